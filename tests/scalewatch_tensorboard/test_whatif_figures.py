"""What another schedule would end at, asked of a run in the panel: at its newest step, and at an earlier one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vl_convert

from scalewatch.errors import ConfigError
from scalewatch.forecast import Forecaster
from scalewatch.forecast.counterfactual import what_if
from scalewatch.run import Run
from scalewatch_tensorboard.runs.logdirs import Logdirs
from scalewatch_tensorboard.runs.registry import RunRegistry
from scalewatch_tensorboard.runs.run_state import RunState
from scalewatch_tensorboard.views.figures import FIGURES
from scalewatch_tensorboard.views.request import ChartRequest, WhatIfRequest
from scalewatch_tensorboard.views.whatif import what_if_of
from tests.scalewatch_tensorboard.logs import event_log, journal_log, losses_of
from tests.scalewatch_tensorboard.registries import registry_of
from tests.synthetic import cosine, planned

TOTAL, DONE = 1_200, 800


def state_of(folder: Path, losses: Any = None, rates: Any = None, run: Run | None = None, done: int = DONE) -> RunState:
    """A run whose journal ends after `done` steps."""
    rates = cosine(TOTAL) if rates is None else rates
    losses = losses_of(TOTAL, done, 0) if losses is None else losses
    journal_log(folder / "run", planned(rates, 8e6) if run is None else run, losses, rates, ended=False)
    state = registry_of(folder).find("run")
    assert state is not None
    return state


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> RunState:
    return state_of(tmp_path_factory.mktemp("running"))


def by_name(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in answer["outcomes"]}


def test_the_plan_stands_first_and_beside_it_the_usual_ways_to_go_on(running: RunState) -> None:
    """Each with its end, its interval, and how far from the plan."""
    answer = what_if_of(running, ChartRequest())
    rows = by_name(answer)

    assert (DONE, TOTAL, True) == tuple(answer["now"][name] for name in ("step", "total_steps", "planned"))
    assert ["as planned", "decay now in 80 steps"] == list(rows)[:2]
    assert {"hold, linear to 0 in last 20 %", "hold", "300 steps longer", "rate × 0.5"} <= set(rows)
    assert 0.0 == rows["as planned"]["difference"]
    assert rows["hold"]["difference"] > 0 > rows["300 steps longer"]["difference"]
    assert (DONE + 80, TOTAL + 300) == tuple(
        rows[n]["total_steps"] for n in ("decay now in 80 steps", "300 steps longer")
    )
    for row in rows.values():
        assert row["low"] < row["final_loss"] < row["high"]
        assert row["difference_low"] <= row["difference"] <= row["difference_high"]


def test_what_is_asked_for_stands_right_after_the_plan(running: RunState) -> None:
    """A longer run in steps, a decay over the last steps, and a factor of the rate."""
    rows = by_name(what_if_of(running, ChartRequest(whatif=WhatIfRequest(extend=240, decay=120, rate=9.0))))

    assert ["as planned", "hold, linear to 0 in last 10 %", "240 steps longer", "rate × 9"] == list(rows)[:4]
    assert (TOTAL, TOTAL + 240) == tuple(rows[name]["total_steps"] for name in list(rows)[1:3])
    assert "C" == rows["rate × 9"]["evidence_grade"]
    assert "times the highest rate so far" in rows["rate × 9"]["notes"][0]


def test_what_is_no_schedule_is_refused_with_a_sentence(running: RunState) -> None:
    """The argument is named."""
    with pytest.raises(ConfigError, match="`factor` must be positive"):
        what_if_of(running, ChartRequest(whatif=WhatIfRequest(rate=-1.0)))


@pytest.mark.parametrize("at", [150, 400, 653])
def test_an_earlier_step_is_told_as_it_would_have_been_then(running: RunState, at: int) -> None:
    """The same as from a forecaster that saw the rows up to there and no more; and the run itself stays where it is."""
    answer = what_if_of(running, ChartRequest(whatif=WhatIfRequest(at=float(at))))
    then = Forecaster(running.run)
    columns = running.columns()
    for step, loss in zip(columns.steps[:at].tolist(), columns.losses[:at].tolist(), strict=True):
        then.observe(step, loss, None)
    (plan,) = what_if(then, [])

    assert (at, True) == (answer["now"]["step"], answer["now"]["looked_back"])
    told = answer["outcomes"][0]
    low, high = plan.interval(0.8)
    assert told["final_loss"] == pytest.approx(plan.final_loss, abs=0.1 * (high - low))
    assert told["high"] - told["low"] == pytest.approx(high - low, rel=0.3)
    assert DONE == what_if_of(running, ChartRequest())["now"]["step"]


def test_rates_that_were_only_seen_are_followed_back_too(tmp_path: Path) -> None:
    """Without a plan: the run's own rates up to there, and all is compared with holding them."""
    run = Run("run", total_steps=TOTAL)
    state = state_of(tmp_path, run=run)
    answer = what_if_of(state, ChartRequest(whatif=WhatIfRequest(at=400.0)))

    assert "hold the rate (the plan is not known)" == answer["outcomes"][0]["name"]
    assert answer["now"]["rate"] == pytest.approx(float(cosine(TOTAL)[399]), rel=0.01)
    assert any("name the schedule" in note for note in answer["notes"])


def test_a_step_after_the_newest_is_the_newest(running: RunState) -> None:
    """A deep link of another day still answers."""
    assert DONE == what_if_of(running, ChartRequest(whatif=WhatIfRequest(at=1e9)))["now"]["step"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("no length", "give the planned steps"),
        ("over", "The run is over, at step 1,200 of 1,200"),
        ("rate zero", "learning rate at step 800 is zero"),
        ("warm-up", "Nothing can be said at step 10 yet"),
        ("recites", "Nothing can be said of other schedules at step 800"),
        ("too early", "No step is that early"),
    ],
)
def test_where_nothing_can_be_said_a_sentence_says_why(kind: str, words: str, tmp_path: Path) -> None:
    """And what would help; no rows, no numbers."""
    request, rates = ChartRequest(), cosine(TOTAL)
    if kind == "no length":
        event_log(tmp_path / "run", losses_of(TOTAL, DONE, 0))
        state = registry_of(tmp_path).find("run")
        assert state is not None
    elif kind == "over":
        state = state_of(tmp_path, done=TOTAL)
    elif kind == "rate zero":
        rates = np.where(np.arange(1, TOTAL + 1) < DONE - 5, rates, 0.0)
        state = state_of(tmp_path, rates=rates, run=planned(rates, 8e6))
    elif kind == "recites":
        state = state_of(tmp_path, losses=losses_of(TOTAL, DONE, 0) / 20)
    else:
        state = state_of(tmp_path)
        request = ChartRequest(whatif=WhatIfRequest(at=10.0 if kind == "warm-up" else 0.0))
    answer = what_if_of(state, request)

    assert words in answer["empty"]
    assert (None, []) == (answer["now"], answer["outcomes"])


def test_a_run_that_is_over_says_how_to_look_back_and_then_does(tmp_path: Path) -> None:
    """The sentence names the step field, and an earlier step answers."""
    state = state_of(tmp_path, done=TOTAL)

    assert "choose an earlier step" in what_if_of(state, ChartRequest())["empty"]
    assert math.isfinite(what_if_of(state, ChartRequest(whatif=WhatIfRequest(at=600.0)))["outcomes"][0]["final_loss"])


@pytest.mark.parametrize("at", [None, 790.0])
def test_an_open_incident_is_named_before_the_numbers(tmp_path: Path, at: float | None) -> None:
    """Then and now: what is said holds for a run that recovers."""
    losses = losses_of(TOTAL, DONE, 0)
    losses[780:] *= 2.0
    answer = what_if_of(state_of(tmp_path, losses=losses), ChartRequest(whatif=WhatIfRequest(at=at)))

    assert answer["notes"][0].startswith("An incident is open: ")
    assert not any(
        "An incident is open" in note for note in what_if_of(state_of(tmp_path / "b"), ChartRequest())["notes"]
    )


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_chart_shows_each_schedule_with_its_rates(running: RunState, dark: bool) -> None:
    """One that Vega-Lite takes, small, with a text for who cannot see it."""
    chart = FIGURES["whatif"](
        running, ChartRequest(dark=dark, whatif=WhatIfRequest(extend=240)), RunRegistry(Logdirs("", (), (), None, None))
    )
    written = json.dumps(chart)

    assert vl_convert.vegalite_to_vega(chart)["marks"]
    assert len(written) < 300_000
    assert "240 steps longer" in written
    assert "as planned" in written
    assert "schedules; the lowest is" in chart["usermeta"]["scalewatch"]["sentence"]


def test_one_alternative_can_be_shown_alone_beside_the_plan(running: RunState) -> None:
    """By its name; a name that there is not shows all."""
    registry = RunRegistry(Logdirs("", (), (), None, None))
    alone = json.dumps(FIGURES["whatif"](running, ChartRequest(whatif=WhatIfRequest(alternative="hold")), registry))
    every = json.dumps(
        FIGURES["whatif"](running, ChartRequest(whatif=WhatIfRequest(alternative="no such one")), registry)
    )

    assert "as planned" in alone
    assert "300 steps longer" not in alone
    assert "300 steps longer" in every


def test_where_nothing_can_be_said_the_chart_says_why(tmp_path: Path) -> None:
    """The same sentence as the table."""
    state = state_of(tmp_path, done=TOTAL)
    empty = FIGURES["whatif"](state, ChartRequest(), RunRegistry(Logdirs("", (), (), None, None)))["empty"]

    assert what_if_of(state, ChartRequest())["empty"] == empty

"""The charts of the Scaling panel: this run among the finished runs of the folder, a given law, or a published one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vl_convert

from scalewatch.laws.law_file import save_law
from scalewatch_tensorboard.runs.registry import RunRegistry
from scalewatch_tensorboard.runs.run_state import RunState
from scalewatch_tensorboard.views.figures import FIGURES
from scalewatch_tensorboard.views.request import ChartRequest
from tests.scalewatch_tensorboard.logs import event_log, journal_log
from tests.scalewatch_tensorboard.registries import registry_of
from tests.synthetic import TrueLaw, cosine, fitted, noisy, planned

CHARTS = ("isoflop", "isoloss", "frontier", "ladder", "collapse")
#: Size and steps of each finished run; of the one that is running; and rows of a log of a published size.
RUNGS = ((1e6, 300), (2e6, 400), (4e6, 500))
TARGET, TOTAL, DONE = 8e6, 600, 420

every_chart = pytest.mark.parametrize("name", CHARTS)


def losses(size: float, total: int, seed: int) -> Any:
    return noisy(TrueLaw().losses(cosine(total), size), 0.01, seed)


def rungs(folder: Path) -> None:
    for seed, (size, total) in enumerate(RUNGS):
        name = f"size_{size / 1e6:g}M"
        journal_log(folder / name, planned(cosine(total), size, name), losses(size, total, seed), cosine(total))


def target(folder: Path, done: int = DONE, size: float = TARGET, times: float = 1.0, tokens: float = 2_000) -> None:
    run = planned(cosine(TOTAL), size, "target", tokens_per_step=tokens)
    own = times * losses(TARGET, TOTAL, 9)[:done]
    journal_log(folder / "target", run, own, cosine(TOTAL), ended=done == TOTAL)


def drawn(registry: RunRegistry, name: str, run: str = "target", **asked: Any) -> dict[str, Any]:
    """A chart, after what the thread in the background would have made for it."""
    state = registry.find(run)
    assert state is not None
    first = FIGURES[name](state, ChartRequest(**asked), registry)
    if registry.work.work():
        return FIGURES[name](state, ChartRequest(**asked), registry)
    return first


def told(chart: dict[str, Any]) -> str:
    """Headline and the sentences under it."""
    title = chart["title"]
    text = title["text"]
    return " ".join([text] if isinstance(text, str) else text) + " " + " ".join(title["subtitle"])


def numbers(part: Any) -> list[float]:
    """All numbers of the data that are drawn."""
    if isinstance(part, str) and part.startswith("[{"):
        return [v for row in json.loads(part) for v in row.values() if isinstance(v, int | float)]
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return [number for each in inner for number in numbers(each)]


def thickest(part: Any) -> list[dict[str, float]]:
    """The rows of the line that is pointed out."""
    if isinstance(part, dict) and isinstance(part.get("mark"), dict) and part["mark"].get("strokeWidth") == 3:
        rows: list[dict[str, float]] = json.loads(part["data"]["values"])
        return rows
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return next((rows for each in inner if (rows := thickest(each))), [])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> list[RunState]:
    """Three runs that are over, read once for all tests: nothing more happens to them."""
    folder = tmp_path_factory.mktemp("finished")
    rungs(folder)
    return registry_of(folder).runs()


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory, finished: list[RunState]) -> RunRegistry:
    """Three finished runs and one under way."""
    folder = tmp_path_factory.mktemp("ladder")
    target(folder)
    return registry_of(folder, beside=finished)


@every_chart
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_run_is_placed_among_the_finished_runs_of_its_folder(ladder: RunRegistry, name: str, dark: bool) -> None:
    """A chart that Vega-Lite takes, small, with a text for who cannot see it."""
    chart = drawn(ladder, name, dark=dark)

    assert vl_convert.vegalite_to_vega(chart)["marks"]
    assert len(json.dumps(chart)) < 300_000
    assert len(chart["usermeta"]["scalewatch"]["sentence"]) > 20


def test_the_law_is_that_of_the_other_runs_and_its_forecast_is_held_against_it(ladder: RunRegistry) -> None:
    """The runs lie on a law, so the forecast lies near it; how many runs it rests on is said."""
    chart = drawn(ladder, "frontier")

    assert "fitted to the 3 other finished runs of this folder" in told(chart)
    assert "The run is forecast to end at 2.7" in told(chart)
    state = ladder.find("target")
    assert state is not None
    forecast = state.tracker.forecast
    assert forecast is not None
    assert any(abs(number - forecast.final_loss) < 1e-4 for number in numbers(chart))


def test_no_request_waits_for_a_fit(tmp_path: Path, finished: list[RunState]) -> None:
    """The first answer says that a law is being fitted; the thread in the background makes it."""
    target(tmp_path)
    registry = registry_of(tmp_path, beside=finished)
    state = registry.find("target")
    assert state is not None

    assert "is being fitted to the 3 finished runs" in FIGURES["isoloss"](state, ChartRequest(), registry)["empty"]
    assert registry.work.work()
    assert not registry.work.work()
    assert "empty" not in FIGURES["isoloss"](state, ChartRequest(), registry)


def test_a_running_target_is_held_against_the_ladder_as_forecast_and_a_finished_one_as_it_ended(
    ladder: RunRegistry, tmp_path: Path, finished: list[RunState]
) -> None:
    """A run 20 % above its law is called above what was predicted."""
    assert "is forecast to end at" in told(drawn(ladder, "ladder"))
    assert "within the predicted" in told(drawn(ladder, "ladder"))
    target(tmp_path, TOTAL, times=1.2)
    ended = told(drawn(registry_of(tmp_path, beside=finished), "ladder"))

    assert "came out at 3.2" in ended
    assert "above the predicted" in ended


def test_collapse_shows_a_run_only_as_far_as_it_has_come(ladder: RunRegistry) -> None:
    """And says that its end is a forecast."""
    chart = drawn(ladder, "collapse")
    written = json.dumps(chart)

    assert "this run, its end as forecast" in written
    rows = thickest(chart)
    assert max(row["x"] for row in rows) == pytest.approx(DONE / TOTAL, abs=0.03)
    assert rows[-1]["value"] == pytest.approx(1.05, abs=0.05)


def test_a_sick_run_is_no_rung(tmp_path: Path, finished: list[RunState]) -> None:
    """A law is not fitted to a run that ended in trouble, nor to one that stopped on its way."""
    target(tmp_path)
    bad = losses(3e6, 400, 5)
    bad[250:] = 9.0
    journal_log(tmp_path / "bad", planned(cosine(400), 3e6, "bad"), bad, cosine(400))
    journal_log(tmp_path / "cut", planned(cosine(400), 6e6, "cut"), losses(6e6, 400, 6)[:200], cosine(400))

    assert "fitted to the 3 other finished runs" in told(drawn(registry_of(tmp_path, beside=finished), "isoflop"))


def test_many_finished_runs_make_a_law_of_final_losses(tmp_path: Path) -> None:
    """Sizes and tokens vary apart: Chinchilla's law, whose valleys the charts then draw."""
    grid = [(size, total) for size in (1e6, 2e6, 4e6) for total in (150, 300, 600)]
    for seed, (size, total) in enumerate(grid):
        tokens = 2_000 * total
        end = 1.7 + 400 * size**-0.34 + 40 * tokens**-0.28
        flat = end * np.exp(0.02 * np.random.default_rng(seed).standard_normal(total))
        flat[-max(total // 40, 4) :] = end
        curve = np.concatenate([np.linspace(1.5, 1.0, total - 20), np.ones(20)]) * flat
        name = f"{size:.0f}_{total}"
        journal_log(tmp_path / name, planned(cosine(total), size, name), curve, cosine(total))
    target(tmp_path)
    chart = drawn(registry_of(tmp_path), "isoflop")

    assert "fitted to the 9 other finished runs" in told(chart)


@every_chart
def test_without_a_size_nothing_is_drawn_and_it_is_said_how_to_get_it(name: str, tmp_path: Path) -> None:
    """Event files do not hold the parameters of a model."""
    event_log(tmp_path / "old", losses(TARGET, TOTAL, 1), cosine(TOTAL))
    empty = drawn(registry_of(tmp_path), name, "old")["empty"]

    assert "ScaleWatch callback" in empty


def test_a_published_law_places_a_run_by_size_and_tokens_and_not_by_its_loss(tmp_path: Path) -> None:
    """Its own loss is not in the picture, which says that the law is of another data set and tokenizer."""
    target(tmp_path, TOTAL, 3e8, tokens=1e7)
    registry = registry_of(tmp_path)
    state = registry.find("target")
    assert state is not None
    own = state.upkeep.summary["final_loss"]
    for name in ("isoflop", "isoloss", "frontier"):
        chart = drawn(registry, name)
        assert "Besiroglu et al. 2024, a published law of another data set and tokenizer" in told(chart)
        assert "--scalewatch_law FILE" in told(chart)
        assert not any(abs(number - own) < 1e-6 for number in numbers(chart))
        if name != "frontier":
            assert any(abs(number - 3e8) < 1 for number in numbers(chart))
    for name in ("ladder", "collapse"):
        assert "of three sizes" in drawn(registry, name)["empty"]


def test_a_published_law_says_nothing_of_a_run_far_outside_of_it(tmp_path: Path) -> None:
    """A loss of 27 nats for a toy model would be worse than silence."""
    target(tmp_path)
    empty = drawn(registry_of(tmp_path), "isoloss")["empty"]

    assert "says nothing of a run of 8M on 1.2M tokens" in empty
    assert "finish smaller runs" in empty


@pytest.mark.parametrize("others", [False, True])
def test_a_law_file_that_was_named_is_the_law_also_where_the_folder_has_one_of_its_own(
    tmp_path: Path, finished: list[RunState], others: bool
) -> None:
    """With the word that it must be of this data and tokenizer."""
    target(tmp_path / "runs")
    file = tmp_path / "small.law.json"
    save_law(fitted(), file)
    text = told(drawn(registry_of(tmp_path / "runs", file, beside=finished if others else ()), "frontier"))

    assert "small.law.json, given with --scalewatch_law" in text
    assert "if it is of this data and tokenizer" in text
    assert "is forecast to end at" in text
    assert "fitted to the" not in text


@pytest.mark.parametrize("done", [DONE, TOTAL])
@pytest.mark.parametrize("named", [True, False])
def test_the_distance_to_the_law_is_the_one_that_the_page_of_the_run_says(
    tmp_path: Path, finished: list[RunState], done: int, named: bool
) -> None:
    """With a law that was named and with the one that the journal holds, of a run on its way and of one that ended."""
    law, file = fitted(), tmp_path / "small.law.json"
    save_law(law, file)
    run = planned(cosine(TOTAL), TARGET, "target", tokens_per_step=2_000)
    own = 1.05 * losses(TARGET, TOTAL, 9)[:done]
    folder = tmp_path / "runs" / "target"
    journal_log(folder, run, own, cosine(TOTAL), ended=done == TOTAL, law=None if named else law)
    given = (file, law) if named else ()
    registry = registry_of(tmp_path / "runs", *given, beside=finished)
    state = registry.find("target")
    assert state is not None

    title = drawn(registry, "frontier")["usermeta"]["scalewatch"]["sentence"]

    assert f"{state.upkeep.summary['gap']['nats']:.3f} nats" in title
    assert "above its law" in title


def test_a_law_that_cannot_be_drawn_is_named_and_why(tmp_path: Path, finished: list[RunState]) -> None:
    """It is not passed over in silence for another."""
    target(tmp_path / "runs")
    file = tmp_path / "small.law.json"
    file.write_text("{}")
    text = told(drawn(registry_of(tmp_path / "runs", file, beside=finished), "frontier"))

    assert "fitted to the 3 other finished runs" in text
    assert "small.law.json, given with --scalewatch_law, cannot be drawn over size and tokens" in text


def test_runs_of_several_recipes_make_no_law_and_it_is_said(tmp_path: Path) -> None:
    """Final losses that no one law describes: the published one stands in, with the reason."""
    for seed, (size, total, times) in enumerate(((1e8, 300, 1.0), (2e8, 400, 1.6), (4e8, 500, 0.7))):
        run = planned(cosine(total), size, f"run_{seed}", tokens_per_step=1e7)
        journal_log(tmp_path / run.name, run, times * losses(1e6, total, seed), cosine(total))
    target(tmp_path, TOTAL, 3e8, tokens=1e7)
    said = told(drawn(registry_of(tmp_path), "frontier"))

    assert "make no law" in said
    assert "published law" in said

"""A sweep as a race that can be taken back: who goes on, who waits, who is stopped, and at what regret."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalewatch import Monitor, Observation, Run
from scalewatch.advising.race import LEVELS, Race, Standing, Step, judge
from scalewatch.errors import ConfigError
from scalewatch.forecast.siblings import SiblingCurve

SCORES = np.array([NormalDist().inv_cdf(level) for level in LEVELS.tolist()])
ROWS = 400


def standing(name: str, middle: float, sd: float = 0.01, progress: float = 0.5, *, spike: bool = False) -> Standing:
    """A run with a Gaussian forecast."""
    return Standing(name, progress, middle + sd * SCORES, spike=spike)


def steps(race: Race) -> dict[str, str]:
    return {verdict.name: str(verdict.step) for verdict in race.verdicts}


def curve(level: float, progress: float = 1.0, tilt: float = 0.0, rates: np.ndarray | None = None) -> SiblingCurve:
    """A smooth descent; with a tilt it leaves the others on its way."""
    at = np.arange(1, round(progress * ROWS) + 1)
    return SiblingCurve.of(at, level * (at / ROWS) ** (-0.1 + tilt), ROWS, np.ones(ROWS) if rates is None else rates)


def test_all_go_to_a_fifth_then_the_best_forecast_goes_on_alone() -> None:
    """The others wait with their checkpoints; one that is not at a fifth goes on to it."""
    race = judge([standing("b", 3.1, 0.1, 0.2), standing("a", 3.0, 0.1, 0.2), standing("early", 9.0, progress=0.1)])

    assert {"a": "run", "b": "pause", "early": "run"} == steps(race)
    assert "a" == race.leader


def test_the_leader_is_finished_also_where_its_forecast_fails_on_the_way() -> None:
    """It is the furthest, and half of its cost is paid."""
    race = judge([replace(standing("a", 3.0, progress=0.7), ends=None, now=3.2), standing("b", 3.1, 0.1, 0.2)])

    assert {"a": "run", "b": "pause"} == steps(race)


def test_once_one_has_ended_the_rest_is_judged_against_it() -> None:
    """The hopeless is stopped, of the others the one that may gain most goes on."""
    runs = [Standing.finished("ended", 3.0), standing("close", 2.997), standing("better", 2.99), standing("bad", 3.3)]
    race = judge(runs)

    assert {"ended": "ended", "close": "pause", "better": "run", "bad": "stop"} == steps(race)
    assert {"ended": "ended", "close": "run", "better": "run", "bad": "stop"} == steps(judge(runs, at_once=2))
    gains = {verdict.name: verdict.gain for verdict in race.verdicts}
    assert (0.01 / 3.0) < (gains["better"] or 0.0) < (0.02 / 3.0)


@pytest.mark.parametrize(("count", "second"), [(9, "run"), (3, "stop")])
def test_of_many_runs_the_two_that_stood_lowest_at_a_fifth_are_followed(count: int, second: str) -> None:
    """Whatever is forecast of the second; of three runs it would cost all that there is to save."""
    lower = [
        replace(standing(str(n), 3.5 + n, 0.001, 0.2), curve=curve(3.5 + n, 0.2), now=3.5 + n) for n in range(count)
    ]
    runs = [Standing.finished("best", 3.0, curve(3.0)), *lower[1:]]

    said = steps(judge(runs))

    assert second == said["1"]
    assert {"stop"} == {said[str(n)] for n in range(2, count)}


def test_the_regret_of_all_that_are_stopped_stays_within_the_budget() -> None:
    """Twenty runs that may each gain a fiftieth of a per cent are not all stopped at a tenth of one."""
    runs = [Standing.finished("ended", 3.0), *(standing(str(n), 3.008, 0.01) for n in range(20))]
    race = judge(runs, budget=0.001)
    alone = judge(runs[:2], budget=0.001)

    assert ["0"] == alone.named(Step.STOP)
    assert 0 < len(race.named(Step.STOP)) < 20
    assert race.expected_regret <= 0.001
    assert len(judge(runs, budget=0.01).named(Step.STOP)) > len(race.named(Step.STOP))


def test_a_run_that_was_stopped_too_early_is_resumed() -> None:
    """The decision is made anew from how the runs stand: where the leader ended high, another comes back."""
    waiting = [standing("b", 3.1, 0.02, 0.2), standing("c", 3.2, 0.02, 0.2)]
    before = judge([standing("a", 3.0, 0.01, 0.2), *waiting])
    after = judge([Standing.finished("a", 3.15), *waiting])

    assert {"a": "run", "b": "stop", "c": "stop"} == steps(before)
    assert {"a": "ended", "b": "run", "c": "stop"} == steps(after)


def test_what_nobody_knows_is_not_stopped() -> None:
    """A run in a spike, and one that no law describes; the chance of a regret says so."""
    best = Standing.finished("best", 3.0)
    unknown = Standing("unknown", 0.5, None, now=9.0)

    assert {"best": "ended", "spiking": "run"} == steps(judge([best, standing("spiking", 9.0, spike=True)]))
    assert {"best": "ended", "unknown": "run"} == steps(judge([best, unknown]))


def test_a_lost_run_is_stopped_whatever_its_forecast_and_costs_no_regret() -> None:
    """It is beyond saving, and no rival."""
    race = judge([replace(standing("lost", 2.0), lost=True), standing("b", 3.0)])

    assert {"lost": "stop", "b": "run"} == steps(race)
    assert 0.0 == race.expected_regret


def test_a_sibling_that_has_ended_says_where_a_run_ends_that_has_no_forecast() -> None:
    """The ratio of the losses stays: 2 % above at a fifth is 2 % above at the end."""
    ended = Standing.finished("ended", 3.0, curve(3.0))
    race = judge(
        [ended, Standing("above", 0.2, None, curve(3.06, 0.2)), Standing("below", 0.2, None, curve(2.94, 0.2))]
    )
    above, below = race.verdicts[1:]

    assert (3.06, 2.94) == pytest.approx((above.middle, below.middle), rel=1e-3)
    assert ("ended", "stop", "run") == (above.sibling, above.step, below.step)


def test_a_sibling_counts_for_little_where_its_law_did_not_hold_so_far() -> None:
    """The surer of two laws weighs more: a run that has been leaving its sibling is forecast by its own law."""
    ended = Standing.finished("ended", 3.0, curve(3.0))
    middles = []
    for tilt in (0.0, 0.1):
        run = curve(3.06, 0.3, tilt)
        middles.append(judge([ended, replace(standing("b", 3.5, 0.1, 0.3), curve=run)]).verdicts[1].middle)

    assert 3.06 == pytest.approx(middles[0], rel=0.01)
    assert (middles[1] or 0.0) > 3.3


def test_a_schedule_of_another_shape_is_not_compared() -> None:
    """Where one run has decayed and the other not, the ratio says nothing; the peak may differ."""
    decayed = np.linspace(1.0, 0.0, ROWS)
    ended = Standing.finished("ended", 3.0, curve(3.0))
    other = Standing("other", 0.3, None, curve(3.06, 0.3, rates=decayed))
    higher = Standing("higher", 0.3, None, curve(3.06, 0.3, rates=np.full(ROWS, 7.0)))
    race = judge([ended, other, higher])

    assert ["", "", "ended"] == [verdict.sibling for verdict in race.verdicts]


@pytest.mark.parametrize(
    ("option", "value"), [("budget", 0.0), ("budget", 1.0), ("budget", float("nan")), ("at_once", 0)]
)
def test_a_budget_that_is_none_is_refused(option: str, value: float) -> None:
    """With the argument's name."""
    with pytest.raises(ConfigError, match=f"`{option}`"):
        judge([standing("a", 3.0), standing("b", 3.1)], **{option: value})


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(2.0, 4.0), st.floats(1e-4, 0.5), st.floats(0.0, 1.0), st.booleans()), min_size=1, max_size=8
    ),
    st.floats(0.0001, 0.5),
)
def test_the_race_always_goes_on_to_an_end(runs: list[tuple[float, float, float, bool]], budget: float) -> None:
    """Whatever the forecasts are: one has ended or one goes on, and the budget is never overspent."""
    standings = [
        Standing.finished(str(n), middle) if ended else standing(str(n), middle, sd, min(progress, 0.99))
        for n, (middle, sd, progress, ended) in enumerate(runs)
    ]
    race = judge(standings, budget=budget)

    assert race.named(Step.RUN) or race.named(Step.ENDED)
    assert race.expected_regret <= budget
    assert 0.0 <= race.chance <= 1.0


def test_calibrated_forecasts_keep_the_promised_regret() -> None:
    """200 made-up sweeps of six runs, each run to its end: the mean regret is within a tenth of a per cent."""
    rng = np.random.default_rng(0)
    regrets, trained = [], 0.0
    for _ in range(200):
        truth = 3.0 + 0.05 * rng.standard_normal(6)
        path = np.cumsum(rng.standard_normal((4, 6)) * 0.01, axis=0)
        at = [0] * 6
        while True:
            race = judge(
                [
                    Standing.finished(str(n), truth[n])
                    if look == 4
                    else standing(str(n), truth[n] + path[3 - look, n], 0.01 * np.sqrt(4 - look), 0.2 + 0.2 * look)
                    for n, look in enumerate(at)
                ]
            )
            going = [n for n, verdict in enumerate(race.verdicts) if verdict.step is Step.RUN]
            if not going:
                break
            for n in going:
                at[n] += 1
        regrets.append(min(truth[n] for n in range(6) if at[n] == 4) / truth.min() - 1)
        trained += sum(0.2 + 0.2 * look for look in at)

    assert np.mean(regrets) <= 0.001
    assert trained / 1200 < 0.6


def test_a_public_sweep_of_schedules_keeps_its_best(data_folder: Path) -> None:
    """Four schedules of one model at half of the run, once a cosine has ended: the constant rate is stopped."""
    pandas = pytest.importorskip("pandas")
    curves = pandas.read_parquet(data_folder / "curves.parquet")
    standings, finals = [], {}
    for way in ("constant_24000", "cosine_24000", "wsd_20000_24000", "wsdld_20000_24000"):
        rows = curves[curves.run_id == f"multipowerlaw/100M_{way}"].sort_values("step")
        total = int(rows.step.max())
        plan = np.interp(np.arange(1, total + 1), [0, *rows.step], [0.0, *rows.lr])
        finals[way] = float(rows.loss.iloc[-3:].mean())
        if way == "cosine_24000":
            standings.append(Standing.finished(way, finals[way]))
            continue
        monitor = Monitor(Run(way, learning_rates=plan))
        for step, loss in zip(rows.step.tolist(), rows.loss.tolist(), strict=True):
            if step <= total / 2:
                monitor.observe(Observation(step, loss, float(plan[step - 1])))
        standings.append(Standing.of(way, 0.5, monitor.forecast()))

    found = steps(judge(standings))
    assert "stop" == found["constant_24000"]
    assert "stop" != found[min(finals, key=finals.__getitem__)]

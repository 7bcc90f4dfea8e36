"""Which runs of a sweep to stop: hardly any chance to end best, at a bounded risk, never all of them."""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalewatch import Monitor, Observation, Run
from scalewatch.advising.stopping import LEVELS, Standing, chances_of_best, runs_to_stop
from scalewatch.errors import ConfigError

SCORES = np.array([NormalDist().inv_cdf(level) for level in LEVELS.tolist()])


def standing(name: str, middle: float, sd: float = 0.01, progress: float = 0.5, *, spike: bool = False) -> Standing:
    """A run with a Gaussian forecast."""
    return Standing(name, progress, middle + sd * SCORES, spike)


def names(stops: object) -> list[str]:
    return [stop.name for stop in stops]  # type: ignore[attr-defined]


def test_two_equal_runs_have_equal_chances() -> None:
    """Half each; of three a third."""
    assert [0.5, 0.5] == pytest.approx(chances_of_best([standing("a", 3.0), standing("b", 3.0)]), abs=0.01)
    assert [1 / 3] * 3 == pytest.approx(chances_of_best([standing(n, 3.0) for n in "abc"]), abs=0.01)


def test_the_chance_is_that_of_the_difference_of_two_gaussians() -> None:
    """0.02 nats apart with an sd of 0.01 each: Phi(-sqrt 2) = 0.079."""
    better, worse = chances_of_best([standing("a", 3.0), standing("b", 3.02)])

    assert (0.921, 0.079) == pytest.approx((better, worse), abs=0.004)


def test_a_margin_takes_chances_from_all() -> None:
    """An advantage that is not worth the compute is none."""
    plain, asked = (chances_of_best([standing("a", 3.0), standing("b", 3.01)], m) for m in (0.0, 0.01))

    assert asked[0] < plain[0]
    assert asked[1] < plain[1]


def test_the_hopeless_run_is_stopped_and_the_close_one_goes_on() -> None:
    """The worst first; with its chance and what it saves."""
    stops = runs_to_stop(
        [standing("best", 3.0), standing("close", 3.005), standing("worse", 3.1), standing("bad", 3.3)]
    )

    assert ["bad", "worse"] == names(stops)
    assert stops[0].chance < 0.001
    assert [0.5, 0.5] == [stop.saved for stop in stops]


def test_a_run_is_stopped_only_from_a_fifth_on_and_never_in_a_spike() -> None:
    """Early forecasts mislead, and one that was made before a spike is none."""
    best = standing("best", 3.0)

    assert [] == runs_to_stop([best, standing("early", 9.0, progress=0.1)])
    assert [] == runs_to_stop([best, standing("spiking", 9.0, spike=True)])
    assert ["late"] == names(runs_to_stop([best, standing("late", 9.0, progress=0.2)]))


def test_a_finished_run_is_a_rival_and_is_not_stopped() -> None:
    """What has ended costs nothing more."""
    ended = Standing.finished("ended", 2.9)

    assert ["running"] == names(runs_to_stop([standing("running", 3.1), ended]))
    assert [] == runs_to_stop([standing("running", 2.5), Standing.finished("worse", 3.0)])


def test_risk_that_was_spent_is_not_spent_again() -> None:
    """The same run is stopped with a fresh budget and kept with an empty one."""
    runs = [standing("a", 3.0), standing("b", 3.035)]

    assert ["b"] == names(runs_to_stop(runs, risk=0.05))
    assert [] == runs_to_stop(runs, risk=0.05, spent=0.03)


@pytest.mark.parametrize(
    ("option", "value"), [("risk", 0.0), ("risk", 1.0), ("margin", -1.0), ("margin", float("nan"))]
)
def test_a_risk_that_is_none_is_refused(option: str, value: float) -> None:
    """With the argument's name."""
    with pytest.raises(ConfigError, match=f"`{option}`"):
        runs_to_stop([standing("a", 3.0), standing("b", 3.1)], **{option: value})


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(2.0, 4.0), st.floats(1e-4, 0.5), st.floats(0.0, 0.99)), min_size=1, max_size=8),
    st.floats(0.001, 0.5),
)
def test_one_run_is_always_left_and_the_risk_is_never_overspent(
    runs: list[tuple[float, float, float]], risk: float
) -> None:
    """Whatever the forecasts are; and chances of best never add up to more than one."""
    standings = [standing(str(n), *run) for n, run in enumerate(runs)]
    stops = runs_to_stop(standings, risk=risk)

    assert len(stops) < len(standings)
    assert sum(stop.chance for stop in stops) <= risk
    assert sum(chances_of_best(standings)) < 1.01


def test_calibrated_forecasts_keep_the_promised_risk() -> None:
    """500 made-up sweeps of six runs, looked at five times as the forecasts close in: the winner is killed in 2 %."""
    rng = np.random.default_rng(0)
    killed = saved = 0.0
    for _ in range(500):
        truth = 3.0 + 0.05 * rng.standard_normal(6)
        error, left, spent = np.zeros(6), list(range(6)), 0.0
        path = np.cumsum(rng.standard_normal((5, 6)) * 0.01, axis=0)[::-1]
        for look, progress in enumerate((0.2, 0.4, 0.6, 0.8, 0.95)):
            error = path[look]
            sd = 0.01 * np.sqrt(5 - look)
            stops = runs_to_stop([standing(str(n), truth[n] + error[n], sd, progress) for n in left], spent=spent)
            spent += sum(stop.chance for stop in stops)
            saved += sum(1 - progress for _ in stops)
            gone = {int(stop.name) for stop in stops}
            killed += int(np.argmin(truth)) in gone
            left = [n for n in left if n not in gone]

    assert killed / 500 <= 0.04
    assert saved / 3000 > 0.3


def test_a_public_sweep_of_schedules_loses_no_winner(data_folder: Path) -> None:
    """Four schedules of one model: at half of the run the constant rate is stopped, and the best schedule is kept."""
    pandas = pytest.importorskip("pandas")
    curves = pandas.read_parquet(data_folder / "curves.parquet")
    standings, finals = [], {}
    for way in ("constant_24000", "cosine_24000", "wsd_20000_24000", "wsdld_20000_24000"):
        rows = curves[curves.run_id == f"multipowerlaw/100M_{way}"].sort_values("step")
        total = int(rows.step.max())
        plan = np.interp(np.arange(1, total + 1), [0, *rows.step], [0.0, *rows.lr])
        monitor = Monitor(Run(way, learning_rates=plan))
        for step, loss in zip(rows.step.tolist(), rows.loss.tolist(), strict=True):
            if step <= total / 2:
                monitor.observe(Observation(step, loss, float(plan[step - 1])))
        forecast = monitor.forecast()
        assert forecast is not None
        standings.append(Standing.of(way, 0.5, forecast))
        finals[way] = float(rows.loss.iloc[-3:].mean())

    stopped = names(runs_to_stop(standings))
    assert "constant_24000" in stopped
    assert min(finals, key=finals.__getitem__) not in stopped

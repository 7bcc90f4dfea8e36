"""A run that the clock ends is forecast to the step that the speed so far leads to, and knows how sure that is."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scalewatch import Monitor, Observation, Run
from scalewatch.forecast.end_by_time import EndByTime
from tests.synthetic import TrueLaw, constant, noisy

TOTAL, SECONDS = 2_000, 1_000.0
LOSSES = noisy(TrueLaw().losses(constant(TOTAL), 8e6), 0.01, 1)


def times(scatter: float, seed: int = 0) -> np.ndarray:
    """When each of the steps was taken, on a clock that began long ago: stretches of forty steps share a speed."""
    speeds = np.exp(scatter * np.random.default_rng(seed).standard_normal(TOTAL // 40)).repeat(40)
    return 1.7e9 + np.cumsum(speeds) * SECONDS / speeds.sum()


def watched(until: int, when: np.ndarray, monitor: Monitor | None = None) -> Monitor:
    """A monitor, new or going on, that was shown the rows up to `until`."""
    monitor = monitor or Monitor(Run("timed", max_seconds=SECONDS, tokens_per_step=1e5))
    for step in range(monitor.step + 1, until + 1):
        monitor.observe(Observation(step, float(LOSSES[step - 1]), 3e-4, seconds=float(when[step - 1])))
    return monitor


def test_before_its_speed_is_known_it_is_said_why_there_is_no_forecast() -> None:
    monitor = watched(60, times(0.0))

    assert monitor.forecast() is None
    assert monitor.why_no_forecast() == "the clock ends it, and how fast its steps are is not known yet"


@pytest.mark.parametrize("until", [400, 1_000, 1_800])
def test_the_end_is_foretold_and_told_anew(until: int) -> None:
    """Stretches that are 20 % faster or slower than the run, by chance."""
    made = watched(until, times(0.2)).forecast()
    assert made is not None
    low, high = made.interval(0.9)  # half of it is for a rate that decays yet

    assert made.total_steps == pytest.approx(TOTAL, rel=0.1)
    assert low < LOSSES[-40:].mean() < high


def test_an_end_that_is_less_certain_makes_the_interval_wider() -> None:
    """The same losses at the same mean speed."""
    steady, restless = (watched(700, times(scatter, 3)).forecast() for scatter in (0.0, 0.8))
    assert steady is not None
    assert restless is not None
    widths = [np.diff(made.interval(0.95))[0] for made in (steady, restless)]

    assert widths[1] > 1.03 * widths[0]


@pytest.mark.parametrize("at", [30, 333, 905])
def test_a_run_that_is_resumed_at_once_is_forecast_as_if_it_had_not_stopped(at: int) -> None:
    when = times(0.1)
    resumed = Monitor(Run("timed", max_seconds=SECONDS, tokens_per_step=1e5))
    resumed.load_state_dict(json.loads(json.dumps(watched(at, when).state_dict())))
    whole = watched(1_000, when)

    assert watched(1_000, when, resumed).state_dict() == whole.state_dict()
    made, expected = resumed.forecast(), whole.forecast()
    assert made is not None
    assert expected is not None
    assert (made.total_steps, made.interval()) == (expected.total_steps, expected.interval())


def test_a_run_that_was_away_is_forecast_much_as_if_it_had_not_been() -> None:
    """Two hours between its processes are no part of its time."""
    when = times(0.1)
    stopped, whole = watched(900, when), watched(1_400, when)
    resumed = Monitor(Run("timed", max_seconds=SECONDS, tokens_per_step=1e5))
    resumed.load_state_dict(stopped.state_dict())
    made, expected = watched(1_400, when + 7_200.0, resumed).forecast(), whole.forecast()
    assert made is not None
    assert expected is not None

    assert made.total_steps == pytest.approx(expected.total_steps, abs=2)
    assert made.final_loss == pytest.approx(expected.final_loss, rel=1e-3)


def test_what_is_kept_of_a_run_that_goes_on_when_its_time_is_over_stays_small() -> None:
    """A thousand times its time: the time that was meant was of something else."""
    clock = EndByTime(10.0)
    for step in range(1, 10_001):
        clock.see(step, float(step))

    assert len(clock.state_dict()["marks"]) < 1_000


def test_a_run_that_goes_on_when_its_time_is_over_is_not_said_to_have_ended_before() -> None:
    monitor = watched(1_500, 2.0 * times(0.0))

    assert monitor.forecast() is None
    assert monitor.why_no_forecast() == "its time of 1,000 s is over, and it goes on"

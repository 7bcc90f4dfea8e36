"""Which rises of the learning rate are meant."""

from __future__ import annotations

import math

import pytest

from scalewatch.detect.schedule import Schedule
from scalewatch.run import Run


def muted(rates: list[float], plan: list[float] | None = None, every: int = 1) -> list[int]:
    schedule = Schedule(Run("test", learning_rates=plan))
    return [row for row, rate in enumerate(rates, start=1) if schedule.expects_rise(row * every, rate)]


def test_a_warm_up_mutes_nothing() -> None:
    """The loss falls in it, and a run that explodes in its warm-up must be heard."""
    assert [] == muted([1e-5 * step for step in range(1, 101)] + [1e-3] * 100)


def test_a_decay_mutes_nothing() -> None:
    """Down is not up."""
    assert [] == muted([1e-3] * 50 + [1e-3 * 0.97**step for step in range(100)])


def test_a_restart_mutes_512_steps() -> None:
    """Back to a rate that this run has seen, after a long time of a low one."""
    assert list(range(251, 763)) == muted([1e-3] * 50 + [1e-4] * 200 + [1e-3] * 1000)


def test_a_short_dip_of_the_rate_mutes_four_times_as_long() -> None:
    """What was annealed for ten steps is undone soon; a rise of the loss long after has another cause."""
    assert list(range(61, 105)) == muted([1e-3] * 50 + [1e-4] * 10 + [1e-3] * 1000)


def test_a_first_warm_up_is_told() -> None:
    """It lasts while the rate rises, and half as long again."""
    schedule = Schedule(Run("test"))
    warming = []
    for step, rate in enumerate([1e-5 * step for step in range(1, 101)] + [1e-3] * 100, start=1):
        schedule.expects_rise(step, rate)
        if schedule.is_warming(step):
            warming.append(step)

    assert (2, 148) == (warming[0], warming[-1])


def test_a_restart_in_a_sparse_log_mutes_eight_rows() -> None:
    """Of 200 steps each."""
    assert list(range(21, 29)) == muted([1e-3] * 10 + [1e-4] * 10 + [1e-3] * 30, every=200)


@pytest.mark.parametrize("factor", [2, 20, 100])
def test_a_jump_above_all_that_was_seen_mutes_nothing(factor: float) -> None:
    """Nobody restarts a schedule at twenty times its peak."""
    assert [] == muted([1e-3] * 100 + [1e-3 * factor] * 100)


def test_a_planned_rise_mutes_even_above_all_that_was_seen() -> None:
    """A plan is a plan, whether or not the log carries the rate."""
    plan = [1e-3] * 100 + [2e-3] * 100

    assert list(range(101, 201)) == muted(plan, plan)
    assert list(range(101, 201)) == muted([math.nan] * 200, plan)


def test_a_restart_that_the_plan_does_not_know_mutes_nothing() -> None:
    """The rate leaves its plan: that is what should be heard."""
    plan = [1e-3] * 50 + [1e-4] * 150

    assert [] == muted([1e-3] * 50 + [1e-4] * 50 + [1e-3] * 100, plan)


@pytest.mark.parametrize("rate", [math.nan, math.inf, -1.0])
def test_a_rate_that_is_none_changes_nothing(rate: float) -> None:
    """It is as if it were not there."""
    assert [] == muted([1e-3] * 20 + [rate] * 20 + [1e-3] * 20)

"""A loss that rises as slowly as it fell: training is made harder on purpose, and nothing breaks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from scalewatch import Monitor, Observation, Run, Severity
from scalewatch.detect.past_levels import PastLevels
from scalewatch.finding import Finding, Kind

ROWS = 1200


def learnt(rows: int = ROWS) -> NDArray[np.float64]:
    """A small classifier's loss, from 2 to .4 within some three hundred steps."""
    return np.asarray(0.4 + 1.6 * np.exp(-np.arange(rows) / 80))


def noisy(loss: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    return np.asarray(loss * np.exp(np.random.default_rng(seed).normal(0.0, 0.12, len(loss))))


def harder(seed: int, by: float, over: int, rows: int = ROWS) -> NDArray[np.float64]:
    """The same, with dropout, noise or a weight that is turned up from step 300 on, over so many steps."""
    return noisy(learnt(rows) + by * np.clip((np.arange(rows) - 300) / over, 0, 1), seed)


def found_in(loss: NDArray[np.float64]) -> list[Finding]:
    monitor = Monitor(Run("harder", total_steps=len(loss)))
    return [f for row, each in enumerate(loss, 1) for f in monitor.observe(Observation(row, float(each)))]


@pytest.mark.parametrize("seed", range(3))
def test_a_loss_that_rises_as_slowly_as_it_fell_is_a_note(seed: int) -> None:
    """Twice as high as at its best, over half of the run: it says so and wakes nobody."""
    found = found_in(harder(seed, by=0.4, over=600))

    assert not [f for f in found if f.pages]
    assert any("as slowly as it fell" in f.message for f in found if f.kind is Kind.LEVEL_SHIFT)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_lost_at_once_is_a_page_however_long_it_took_to_learn(seed: int) -> None:
    """The same rise within thirty steps."""
    loss = noisy(learnt() + 0.4 * np.clip((np.arange(ROWS) - 700) / 30, 0, 1), seed)

    assert 700 < next(f.step for f in found_in(loss) if f.pages) < 760


def test_a_second_rise_that_is_faster_is_not_taken_for_the_first() -> None:
    """Long after the slow one, at its level."""
    loss = harder(1, by=0.25, over=500, rows=3000)
    loss[2400:] *= 1.5

    assert 2400 < next(f.step for f in found_in(loss) if f.pages) < 2450


def test_where_nothing_was_ever_as_low_as_now_there_is_no_rise() -> None:
    """Also not after an incident that was lower than all that the level learnt from."""
    past = PastLevels()
    for mean in np.linspace(2.0, 1.0, 40):
        past.add(float(mean))

    assert not past.rises_slowly(0.9, 0.0)
    assert not past.rises_slowly(1.0, 0.0)
    assert not PastLevels().rises_slowly(1.0, 0.0)


def test_a_slow_rise_that_loses_more_than_it_keeps_is_a_warning_and_not_critical() -> None:
    """Here it ends at five sixths of the loss that the run began with."""
    pages = [f for f in found_in(harder(2, by=1.3, over=600)) if f.pages]

    assert pages
    assert {f.severity for f in pages} == {Severity.WARNING}


def test_a_run_that_was_resumed_knows_how_slowly_it_learnt() -> None:
    """What it knows of its past is part of the state."""
    loss = harder(0, by=0.4, over=600)
    first, second = Monitor(Run("harder")), Monitor(Run("harder"))
    for row, each in enumerate(loss[:700], 1):
        first.observe(Observation(row, float(each)))
    second.load_state_dict(first.state_dict())
    rest = [Observation(row, float(each)) for row, each in enumerate(loss[700:], 701)]

    assert [f for each in rest for f in first.observe(each)] == [f for each in rest for f in second.observe(each)]
    assert first.state_dict() == second.state_dict()

"""A loss that rises as slowly as it fell: training is made harder on purpose, and nothing breaks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from scalewatch import Monitor, Observation, Run, Severity
from scalewatch.columns import Columns
from scalewatch.detect.past_levels import PastLevels
from scalewatch.finding import Finding, Kind
from scalewatch.status import State

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
def test_a_language_model_that_rises_as_slowly_is_paged(seed: int) -> None:
    """Nobody makes its text harder that slowly: what is lost there is lost."""
    loss = harder(seed, by=0.4, over=600)
    monitor = Monitor(Run("text", total_steps=len(loss), tokens_per_step=4096))
    found = [f for row, each in enumerate(loss, 1) for f in monitor.observe(Observation(row, float(each)))]

    assert any(f.pages for f in found)
    assert not any("as slowly as it fell" in f.message for f in found)


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


def watched(loss: NDArray[np.float64], every: int = 1) -> tuple[Monitor, list[Finding]]:
    """The monitor at the end, and what paged."""
    monitor = Monitor(Run("sick"))
    found = [f for row, each in enumerate(loss, 1) for f in monitor.observe(Observation(every * row, float(each)))]
    return monitor, [f for f in found if f.pages]


@pytest.mark.parametrize(("seed", "every"), [(0, 1), (1, 1), (2, 25)])
def test_a_slow_rise_that_stays_near_the_beginning_is_not_called_recovered(seed: int, every: int) -> None:
    """It unlearns over three tenths of the run, to two thirds of the loss that it began with, and stands there."""
    loss = noisy(0.3 + 2.0 * np.exp(-np.arange(400) / 32) + 1.2 * np.clip((np.arange(400) - 120) / 120, 0, 1), seed)
    monitor, pages = watched(loss, every)

    assert pages
    assert monitor.status.state in (State.IN_TROUBLE, State.LOST)


def test_a_slow_rise_back_to_the_first_losses_is_critical() -> None:
    """What stops a lost run goes by that. No run stands for long at its first row, so that is not waited for."""
    t = np.arange(1, 401)
    loss = noisy(3.0 + 7.9 * (1 + t / 1.6) ** -0.5 + 4.5 * np.clip((t - 120) / 160, 0, 1), 0)
    monitor, pages = watched(loss)

    assert pages[0].severity is Severity.WARNING
    assert pages[-1].severity is Severity.CRITICAL
    assert monitor.status.state is State.LOST


def test_half_of_a_fall_to_a_hundredth_is_lost_at_a_tenth() -> None:
    """At fifteen times its lowest loss a regression has not kept more than it lost, though it began at thirty times."""
    t = np.arange(400)
    loss = noisy(0.02 + (1.0 + 0.75 * t) ** -0.9 + 0.5 * np.clip((t - 160) / 240, 0, 1), 3)

    assert watched(loss)[1]


def test_a_rise_that_noise_hides_at_each_level_is_told_when_most_is_lost() -> None:
    """To five times its lowest, so slowly that the level follows it."""
    t = np.arange(3000)
    fall = 0.5 + 5.0 * np.exp(-t / 300) + 2.0 * np.clip((t - 1200) / 1800, 0, 1)
    monitor, pages = watched(fall * np.exp(np.random.default_rng(0).normal(0.0, 0.3, 3000)))

    assert pages[0].step < 2700
    assert monitor.status.state is State.IN_TROUBLE


def test_a_rise_over_tens_of_thousands_of_rows_is_told_while_half_of_the_loss_is_kept() -> None:
    """No sum of rises sees it, for the level goes with it row by row."""
    t = np.arange(100_000)
    fall = 0.3 + 2.0 * np.exp(-t / 8_000) + 1.2 * np.clip((t - 40_000) / 60_000, 0, 1)
    loss = fall * np.exp(np.random.default_rng(0).normal(0.0, 0.1, len(t)))
    monitor = Monitor(Run("sick"))
    found = monitor.observe_many(Columns.of([Observation(row, each) for row, each in enumerate(loss.tolist(), 1)]))

    assert 60_000 < next(f.step for f in found if f.pages) < 80_000
    assert monitor.status.state is State.IN_TROUBLE


def test_a_rise_of_which_the_beginning_was_told_and_settled_is_told_again_when_most_is_lost() -> None:
    """What was learnt before a level was taken anew is still what the run may lose."""
    t = np.arange(40_000)
    fall = 0.3 + 2.0 * np.exp(-t / 3_200) + 1.2 * np.clip((t - 16_000) / 24_000, 0, 1)
    loss = fall * np.exp(np.random.default_rng(2).normal(0.0, 0.1, len(t)))
    found = Monitor(Run("sick")).observe_many(Columns.of([Observation(i, x) for i, x in enumerate(loss.tolist(), 1)]))
    settled = next(f.step for f in found if "has settled" in f.message)

    assert settled < 20_000
    assert any(24_000 < f.step < 34_000 for f in found if f.pages)


def test_an_absurd_first_row_does_not_make_any_rise_small() -> None:
    """A value loss begins at a thousand times what it is one row later."""
    loss = harder(0, by=1.3, over=600)
    loss[0] = 2000.0

    assert watched(loss)[1]


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

"""Rises that keep time, as where tasks are learnt in turn or a rate restarts that nobody logs."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from scalewatch import Monitor, Observation, Run
from scalewatch.finding import Finding

TURN = 400


def in_turn(seed: int, turns: int = 6) -> NDArray[np.float64]:
    """A loss that begins at 2 with each task and is learnt to .4 within it."""
    loss = 0.4 + 1.6 * np.exp(-(np.arange(TURN * turns) % TURN) / 80)
    return np.asarray(loss * np.exp(np.random.default_rng(seed).normal(0.0, 0.1, len(loss))))


def pages_in(loss: NDArray[np.float64]) -> tuple[list[Finding], list[Finding]]:
    monitor = Monitor(Run("in turn", total_steps=len(loss)))
    found = [f for row, each in enumerate(loss, 1) for f in monitor.observe(Observation(row, float(each)))]
    return [f for f in found if f.pages], found


@pytest.mark.parametrize("seed", range(3))
def test_the_third_rise_after_equal_times_is_a_note_that_says_so(seed: int) -> None:
    """The first two might be anything."""
    pages, found = pages_in(in_turn(seed))

    assert pages
    assert all(f.step < 2.5 * TURN for f in pages)
    assert sum(f"as every {TURN}" in f.message or "as every 39" in f.message for f in found) >= 2


def test_a_rise_between_the_times_is_a_page() -> None:
    """However many have kept time before."""
    loss = in_turn(1)
    loss[4 * TURN + 250 :] *= 3.0

    assert any(4 * TURN + 250 < f.step < 4 * TURN + 260 for f in pages_in(loss)[0])


def test_a_rise_at_the_time_that_goes_much_further_is_a_page() -> None:
    """A fault that happens to begin with a task."""
    loss = in_turn(2)
    loss[4 * TURN :] *= 6.0

    assert any(4 * TURN < f.step < 4 * TURN + 20 for f in pages_in(loss)[0])

"""A level that goes up and down is a habit of the run, and no incident each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scalewatch import Monitor, Observation, Run
from scalewatch.finding import Finding, Kind, Phase

#: Rows of a day, and optimizer steps of a row.
DAY, EVERY = 1440, 50


def daily(seed: int, days: int) -> NDArray[np.float64]:
    """A loss that has been learnt and goes up and down by 5 % with the hours of the day, far more than it scatters."""
    row = np.arange(DAY * days)
    loss = (0.16 + 0.5 * np.exp(-row / 300)) * (1 + 0.05 * np.sin(2 * np.pi * row / DAY))
    return np.asarray(loss + np.random.default_rng(seed).normal(0.0, 0.004, len(row)))


def found_in(loss: NDArray[np.float64]) -> list[Finding]:
    monitor = Monitor(Run("daily"))
    return [f for row, each in enumerate(loss, 1) for f in monitor.observe(Observation(EVERY * row, float(each)))]


def day_of(finding: Finding) -> float:
    return finding.step / EVERY / DAY


def test_a_loss_that_goes_up_and_down_every_day_is_paged_in_its_first_days_alone() -> None:
    """From then on its rises are notes that say how often it came back."""
    found = [f for f in found_in(daily(1, days=5)) if f.kind is Kind.DIVERGENCE and f.phase is Phase.OPENED]

    assert 1 <= sum(f.pages for f in found) <= 4
    assert not any(f.pages for f in found if day_of(f) > 3.5)
    assert "times before" in found[-1].message


def test_a_rise_beyond_the_habit_of_the_run_is_a_page_at_once() -> None:
    """Here the spike's or the divergence's: 12 % above the highest of the day."""
    loss = daily(3, days=5)
    loss[DAY * 4 + DAY // 4 :] += 0.02

    newest = [f for f in found_in(loss) if f.pages and day_of(f) > 4.0]

    assert 4.25 <= day_of(newest[0]) <= 4.27

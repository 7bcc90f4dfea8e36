"""Steps that take longer than they did."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from scalewatch.finding import Finding, Kind, Phase, Severity

Follow = Callable[..., list[Finding]]


def stalls(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.kind is Kind.THROUGHPUT]


def clock(paces: NDArray[np.float64], origin: float = 1.7e9) -> list[float]:
    """Time of day of rows that take so many seconds each, and a tenth more or less."""
    found: list[float] = (origin + np.cumsum(paces * np.random.default_rng(0).gamma(100, 0.01, len(paces)))).tolist()
    return found


def test_steps_that_take_three_times_as_long_are_noted_and_then_paged(follow: Follow) -> None:
    """Within three blocks, then after a quarter of an hour; with steps per second."""
    paces = np.where(np.arange(3000) < 2000, 2.0, 6.0)

    noted, paged = stalls(follow([3.0] * 3000, seconds=clock(paces)))

    assert [(Severity.INFO, Phase.OPENED), (Severity.WARNING, Phase.ESCALATED)] == [
        (f.severity, f.phase) for f in (noted, paged)
    ]
    assert 2000 < noted.step <= 2000 + 4 * 32
    assert 0.15 < float(noted.evidence["steps_per_second"] or 0.0) < 0.18
    assert "steps/s" in noted.message


def test_checkpoints_and_validations_are_no_stall(follow: Follow) -> None:
    """Two minutes every fifty steps, and a night in which nothing ran."""
    paces = np.where(np.arange(3000) % 50 == 0, 120.0, 1.0)
    paces[1700] = 40_000.0

    assert [] == stalls(follow([3.0] * 3000, seconds=clock(paces)))


def test_a_stall_that_ends_closes(follow: Follow) -> None:
    """A neighbour who came and went."""
    paces = np.where((np.arange(3000) > 1000) & (np.arange(3000) < 1400), 1.0, 0.5)

    assert [Phase.OPENED, Phase.CLOSED] == [f.phase for f in stalls(follow([3.0] * 3000, seconds=clock(paces)))]


def test_rows_that_become_rarer_are_no_stall(follow: Follow) -> None:
    """It is time per step, not per row."""
    steps = [*range(1, 1001), *range(1010, 11_010, 10)]

    assert [] == stalls(follow([3.0] * 2000, steps=steps, seconds=[2.0 * step for step in steps]))


def test_a_clock_that_goes_back_is_no_time(follow: Follow) -> None:
    """Another machine's, after a resume."""
    seconds = clock(np.ones(1000)) + clock(np.ones(1000), origin=0.0)

    assert [] == stalls(follow([3.0] * 2000, seconds=seconds))

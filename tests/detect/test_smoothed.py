"""Logs that were smoothed before they came here: rows follow each other, and their scatter is not the noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

from scalewatch.finding import Finding, Kind

Follow = Callable[..., list[Finding]]
Curve = Callable[..., NDArray[np.float64]]

#: What trackers and trainers smooth with.
WEIGHTS = (0.9, 0.98, 0.99)


def smoothed(loss: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """An exponential mean of the rows."""
    return np.asarray(lfilter([1.0 - weight], [1.0, -weight], loss - loss[0])) + loss[0]


@pytest.mark.parametrize("weight", WEIGHTS)
def test_a_smoothed_log_of_a_clean_run_wakes_nobody(follow: Follow, curve: Curve, weight: float) -> None:
    """A rule that takes the small steps between rows for the noise pages all the time here."""
    found = follow(smoothed(curve(10_000), weight))

    assert [] == [f.message for f in found if f.pages]


@pytest.mark.parametrize("weight", WEIGHTS[:2])
def test_a_spike_is_found_through_the_smoothing(follow: Follow, curve: Curve, weight: float) -> None:
    """+0.6 nats that decay over 30 steps, which a weight of .98 flattens to a bump of .08; at .99 it is below 2 %."""
    loss = curve(8_000)
    loss[7_000:7_030] += 0.6 * np.exp(-np.arange(30) / 10)

    found = [f for f in follow(smoothed(loss, weight)[:7_200]) if f.pages]

    assert found[0].kind in (Kind.SPIKE, Kind.DIVERGENCE)
    assert 7_000 < found[0].step <= 7_030

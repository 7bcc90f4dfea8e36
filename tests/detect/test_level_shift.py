"""A loss that moves at once and stays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from scalewatch.finding import Finding, Kind, Severity

Follow = Callable[..., list[Finding]]
Curve = Callable[..., NDArray[np.float64]]

#: Quieter than the curve of the other tests: a batch of 500,000 tokens [nats].
QUIET = 0.012


def shifts(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.kind is Kind.LEVEL_SHIFT]


@pytest.mark.parametrize("share", [0.007, -0.02])
def test_a_small_shift_is_noted_where_it_was(follow: Follow, curve: Curve, share: float) -> None:
    """Once, either way, within six blocks, and pages nobody by itself."""
    loss = curve(6000, noise=QUIET)
    loss[4000:] *= 1.0 + share

    (found,) = shifts(follow(loss))

    assert Severity.INFO is found.severity
    assert 4000 < found.step <= 4000 + 6 * 32
    assert 4000 - 2 * 32 <= found.start_step <= 4000 + 32
    assert found.evidence["excess_nats"] == pytest.approx(share * 3.2, rel=0.5)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_learning_is_no_shift(follow: Follow, curve: Curve, seed: int) -> None:
    """The steep start included, however quiet the rows."""
    assert [] == shifts(follow(curve(10_000, seed=seed, noise=0.003)))


def test_a_fall_behind_a_step_of_the_learning_rate_is_no_news(follow: Follow, curve: Curve) -> None:
    """It is what the step is for."""
    loss, t = curve(6000, noise=QUIET), np.arange(6000)
    loss -= np.where(t >= 4000, 0.06 * (1 - np.exp(-(t - 4000) / 40)), 0.0)

    assert [] == shifts(follow(loss, rates=np.where(t < 4000, 1e-3, 3e-4)))
    assert [] == shifts(follow(loss, plan=np.where(t < 4000, 1e-3, 3e-4)))


def test_a_spike_leaves_no_shift(follow: Follow, curve: Curve) -> None:
    """Two dozen high rows come and go."""
    loss = curve(6000)
    loss[4000:4024] += 0.8

    assert [] == shifts(follow(loss))

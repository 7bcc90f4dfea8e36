"""Noise that grows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from scalewatch.finding import Finding, Kind, Phase, Severity

Follow = Callable[..., list[Finding]]
Curve = Callable[..., NDArray[np.float64]]


def noises(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.kind is Kind.NOISE]


def louder(rows: int, at: int, times: float, seed: int = 0) -> NDArray[np.float64]:
    random, t = np.random.default_rng(seed), np.arange(1, rows + 1)
    return 3.2 * t**-0.1 + 1.8 + random.normal(0, 0.02, rows) * np.where(t > at, times, 1.0)


@pytest.mark.parametrize("at", [1500, 6000])
def test_noise_that_trebles_is_noted(follow: Follow, at: int) -> None:
    """Once, with how many times it has grown."""
    found = noises(follow(louder(at + 2000, at, 3.0)))

    assert [Severity.INFO] == [f.severity for f in found if f.phase is Phase.OPENED]
    assert at < found[0].step <= at + 1000
    assert found[0].evidence["ratio"] == pytest.approx(3.0, rel=0.4)


@pytest.mark.parametrize("df", [3.0, 4.0, None])
def test_steady_noise_of_any_tail_is_no_news(follow: Follow, curve: Curve, df: float | None) -> None:
    """Outliers move no median."""
    assert [] == noises(follow(curve(20_000, df=df)))


def test_a_dozen_bad_batches_are_no_noise(follow: Follow, curve: Curve) -> None:
    """Every thirtieth row high, for a while."""
    loss = curve(4000)
    loss[3000:3360:30] += 0.6

    assert [] == noises(follow(loss))


def test_noise_that_calms_down_closes(follow: Follow) -> None:
    """With one note."""
    loss = louder(6000, 2000, 3.0)
    loss[4000:] = louder(6000, 6000, 1.0)[4000:]

    assert [Phase.OPENED, Phase.CLOSED] == [f.phase for f in noises(follow(loss))]

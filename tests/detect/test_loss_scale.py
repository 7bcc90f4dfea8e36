"""Losses of any sign and size."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from scalewatch.detect import DetectorSet
from scalewatch.detect.loss_scale import LossScale
from scalewatch.finding import Finding, Kind, Severity
from scalewatch.guard import Guard
from scalewatch.run import Run

Follow = Callable[..., list[Finding]]
Floats = NDArray[np.float64]

ROWS = 3000


def pages(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.pages]


def likelihood(rows: int = ROWS, seed: int = 0) -> Floats:
    """A negative log likelihood of a density: it falls from 0.5 through zero to -3."""
    random, t = np.random.default_rng(seed), np.arange(1, rows + 1)
    return np.asarray(3.5 * (1.0 + t / 100.0) ** -0.7 - 3.0 + random.normal(0.0, 0.15, rows))


@pytest.mark.parametrize("seed", range(4))
def test_a_likelihood_that_falls_through_zero_wakes_nobody(follow: Follow, seed: int) -> None:
    """Nor is any of its messages of another scale than the loss."""
    assert [] == pages(follow(likelihood(seed=seed)))


def test_a_likelihood_that_is_lost_for_good_is_told_in_its_own_numbers(follow: Follow) -> None:
    """From -2.9 to -1.4 and there to the end."""
    loss = likelihood()
    loss[2000:] += 1.4

    found = pages(follow(loss))

    assert found[0].kind in (Kind.SPIKE, Kind.DIVERGENCE)
    assert 2000 < found[0].step <= 2020
    assert Severity.CRITICAL in {f.severity for f in found}
    assert found[0].evidence["level_nats"] == pytest.approx(-2.6, abs=0.3)
    assert "from -2." in found[0].message


def test_a_dice_loss_at_minus_eight_tenths_is_watched(follow: Follow) -> None:
    """It is negative from its first row on."""
    random = np.random.default_rng(1)
    loss = -0.8 + 0.03 * random.standard_normal(1000)
    worse = loss.copy()
    worse[600:] = -0.2

    assert [] == pages(follow(loss))
    assert 600 < pages(follow(worse))[0].step <= 610


def test_a_loss_that_falls_to_minus_infinity_is_told(follow: Follow) -> None:
    """It is no number any more."""
    loss = [*likelihood(500).tolist(), *[-math.inf] * 3]

    assert [Kind.NONFINITE] == [f.kind for f in pages(follow(loss))]


def test_two_odd_rows_below_zero_change_no_scale(follow: Follow) -> None:
    """A filler before the first loss: what comes is watched as it would be without it."""
    random = np.random.default_rng(2)
    loss = 3.0 + random.normal(0.0, 0.03, 400)
    loss[:2] = -1.0
    loss[300:305] += 0.6

    watch = DetectorSet(Run("test"), Guard())
    found = pages(follow(loss, watch=watch))

    assert [(Kind.SPIKE, 302)] == [(f.kind, f.step) for f in found]
    assert watch.noise == pytest.approx(0.01, rel=0.3)


def test_a_scale_that_was_linear_becomes_logarithmic_again() -> None:
    """After 64 positive rows that are clear of zero."""
    scale = LossScale()
    for row in range(40):
        scale.take(-1.0 + 0.01 * (row % 5))
    assert scale.is_linear

    values = [scale.take(3.0 + 0.01 * (row % 5)) for row in range(100)]

    assert not scale.is_linear
    assert values[-1] == pytest.approx(math.log(3.04))


@given(st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=60), st.floats(-1e3, 1e3))
def test_a_value_is_turned_back_into_its_loss(losses: list[float], loss: float) -> None:
    """On whichever scale it is, as long as it is on it."""
    scale = LossScale()
    for each in losses:
        scale.take(each)
    value = scale.place(loss)

    if value == value and abs(value) < 1e6:
        assert scale.loss_at(value) == pytest.approx(loss, rel=1e-9, abs=1e-9 * max(scale.unit, 1e-300))


@pytest.mark.parametrize("odd", [1e30, 1e-30, 0.0, -5.0, 7])
def test_one_odd_first_row_hides_no_spike_and_wakes_nobody(follow: Follow, odd: float) -> None:
    """Whatever it is."""
    random = np.random.default_rng(3)
    loss: list[float] = (2.0 + random.normal(0.0, 0.02, 500)).tolist()
    loss[0] = odd
    loss[400:405] = [3.0] * 5

    assert [Kind.SPIKE] == [f.kind for f in pages(follow(loss))]


def test_a_loss_whose_unit_changes_is_one_incident(follow: Follow) -> None:
    """From a mean to a sum over 64: told once, and settled."""
    random = np.random.default_rng(4)
    loss = 2.0 + random.normal(0.0, 0.02, 6000)
    loss[2000:] *= 64.0

    found = follow(loss)

    assert len({f.start_step for f in pages(found)}) == 1
    assert any("settled" in f.message for f in found)


def test_an_objective_that_is_no_descent_claims_no_divergence(follow: Follow) -> None:
    """The loss of a policy rises while its reward does; an explosion is told all the same."""
    random, t = np.random.default_rng(5), np.arange(1, ROWS + 1)
    loss = 1.0 + 0.05 * random.standard_normal(ROWS) + np.where(t > 1500, 0.001 * (t - 1500), 0.0)
    broken = loss.copy()
    broken[2000:2010] = 40.0

    def watch(*logged: str) -> DetectorSet:
        return DetectorSet(Run("test", logged=logged), Guard())

    assert Kind.DIVERGENCE in {f.kind for f in pages(follow(loss, watch=watch("loss", "lr")))}
    assert [] == pages(follow(loss, watch=watch("loss", "reward", "kl")))
    assert [Kind.SPIKE] == [f.kind for f in pages(follow(broken, watch=watch("loss", "reward", "kl")))][:1]

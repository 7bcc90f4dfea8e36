"""A validation loss that goes its own way."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from scalewatch.detect import DetectorSet
from scalewatch.finding import Finding, Kind, Phase, Severity
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch.run import Run

Follow = Callable[..., list[Finding]]
Curve = Callable[..., NDArray[np.float64]]


def validations(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.kind is Kind.VALIDATION]


def held_out(rows: int, rise_from: int = 10**9, per_step: float = 0.0, every: int = 100) -> dict[int, Any]:
    """What the clean curve is without its noise, .02 nats higher, and from a step on rising."""
    random = np.random.default_rng(5)
    return {
        step: 3.2 * step**-0.1 + 1.82 + float(random.normal(0, 0.004)) + per_step * max(0, step - rise_from)
        for step in range(every, rows + 1, every)
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_validation_that_follows_training_is_no_news(follow: Follow, curve: Curve, seed: int) -> None:
    """A hundred of them."""
    assert [] == validations(follow(curve(10_000, seed=seed), validation=held_out(10_000)))


def test_overfitting_is_noted_and_then_paged(follow: Follow, curve: Curve) -> None:
    """Validation rises by a tenth over two thousand steps while training goes on falling."""
    found = validations(follow(curve(8000), validation=held_out(8000, rise_from=5000, per_step=2e-4)))

    assert [Severity.INFO, Severity.WARNING] == [f.severity for f in found]
    assert 5000 < found[0].step <= 5800
    assert found[0].step < found[1].step <= 6500
    assert 4500 <= found[0].start_step <= 5400


def test_a_divergence_is_not_told_twice(follow: Follow, curve: Curve) -> None:
    """Both losses rise: that is the run, not its data."""
    loss, t = curve(6000), np.arange(1, 6001)
    loss += np.where(t > 5000, 4e-4 * (t - 5000), 0.0)

    assert [] == validations(follow(loss, validation=held_out(6000, rise_from=5000, per_step=4e-4)))


def test_a_gap_that_widens_is_a_note(follow: Follow, curve: Curve) -> None:
    """Training falls by a sixth through repeated data while validation stays."""
    loss, t = curve(8000), np.arange(1, 8001)
    loss -= 0.5 * np.clip((t - 4000) / 3000, 0, 1)

    found = validations(follow(loss, validation={step: max(value, 3.2) for step, value in held_out(8000).items()}))

    assert [] == [f for f in found if f.pages]
    assert found
    assert "no longer follows" in found[0].message


def test_one_nan_is_a_note_and_two_wake_someone(follow: Follow, curve: Curve) -> None:
    """And a number again closes it."""
    broken = held_out(3000)
    broken[1500] = broken[1600] = math.nan

    found = validations(follow(curve(3000), validation=broken))

    assert [
        (1500, Severity.INFO, Phase.OPENED),
        (1600, Severity.WARNING, Phase.ESCALATED),
        (1700, Severity.INFO, Phase.CLOSED),
    ] == [(f.step, f.severity, f.phase) for f in found]


def test_a_validation_logged_after_the_row_of_its_step_counts(curve: Curve) -> None:
    """Many programs log it in a call of its own, with the step of the last row."""
    watch, found = DetectorSet(Run("test"), Guard()), []
    for step, loss in enumerate(curve(400).tolist(), start=1):
        found += watch.observe(Observation(step, loss))
        if step % 100 == 0:
            found += watch.observe(Observation(step, loss, validation_loss=math.nan))

    assert [Severity.INFO, Severity.WARNING] == [f.severity for f in validations(found)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_lowest_of_a_thousand_noisy_validations_is_no_level(follow: Follow, curve: Curve, seed: int) -> None:
    """It lies three sd below their middle by chance: the others are not up."""
    random = np.random.default_rng(seed)
    noisy = {step: 5.9 + float(random.normal(0, 0.05)) for step in range(2, 3_001, 2)}

    assert [] == [f for f in validations(follow(curve(3_000), validation=noisy)) if f.severity > Severity.INFO]

"""A loss that is better than it can be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from scalewatch import Monitor, Observation
from scalewatch.detect import DetectorSet
from scalewatch.finding import Finding, Kind, Phase, Severity
from scalewatch.guard import Guard
from scalewatch.run import Run

Follow = Callable[..., list[Finding]]
Curve = Callable[..., NDArray[np.float64]]


def too_good(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.kind is Kind.SUSPICIOUS_IMPROVEMENT]


@pytest.mark.parametrize(("drop", "severity"), [(0.08, Severity.INFO), (0.4, Severity.WARNING)])
def test_a_sudden_fall_is_noted_and_a_large_one_wakes_someone(
    follow: Follow, curve: Curve, drop: float, severity: Severity
) -> None:
    """Repeated data at an epoch boundary lowers the loss at once; ignored tokens by half."""
    loss = curve(6000)
    loss[4000:] *= 1.0 - drop

    found = too_good(follow(loss))

    assert [severity] == [f.severity for f in found if f.phase is Phase.OPENED]
    assert 4000 < found[0].step <= 4000 + 7 * 32
    assert "data_change" == found[0].evidence["cause"]


def test_it_closes_when_the_loss_is_up_again(follow: Follow, curve: Curve) -> None:
    """A bug that came and went."""
    loss = curve(6000)
    loss[4000:4800] *= 0.6

    assert [Phase.OPENED, Phase.CLOSED] == [f.phase for f in too_good(follow(loss))]


def test_fast_learning_is_not_too_good(follow: Follow) -> None:
    """A loss that falls by a third over two thousand steps, and one that breaks away from its first plateau."""
    t, random = np.arange(1, 8001), np.random.default_rng(3)
    slow = 3.0 - np.clip((t - 4000) / 2000, 0, 1) + random.normal(0, 0.03, len(t))
    start = np.where(t < 100, 8.0, 3.0 + 5.0 * np.exp(-(t - 100) / 60)) + random.normal(0, 0.03, len(t))

    assert [] == too_good(follow(slow))
    assert [] == [f for f in too_good(follow(start)) if f.pages]


def test_a_decay_of_the_learning_rate_is_not_too_good(follow: Follow, curve: Curve) -> None:
    """A step to a tenth lowers the loss by five percent."""
    t = np.arange(6000)
    loss = curve(6000) - np.where(t >= 4000, 0.16 * (1 - np.exp(-(t - 4000) / 30)), 0.0)

    assert [] == too_good(follow(loss, rates=np.where(t < 4000, 1e-3, 1e-4)))


def test_a_loss_that_no_text_has_is_noted_once(follow: Follow) -> None:
    """It began as a language model and is at a tenth of a nat."""
    t = np.arange(1, 4001)
    loss = 9.0 * t**-0.5 + 0.01

    found = too_good(follow(loss, watch=DetectorSet(Run("test", tokens_per_step=4096), Guard())))

    assert [Severity.INFO] == [f.severity for f in found if f.phase is Phase.OPENED]
    assert [] == too_good(follow(loss / 20, watch=DetectorSet(Run("test", tokens_per_step=4096), Guard())))


def test_what_no_text_has_is_said_of_no_loss_that_is_not_of_text(follow: Follow) -> None:
    """A squared error begins where a language model does, and falls to a tenth: as it should."""
    loss = 9.0 * np.arange(1, 4001) ** -0.5 + 0.01

    assert [] == too_good(follow(loss))


def test_a_fall_where_an_epoch_begins_is_of_data_seen_before_and_no_page() -> None:
    """The loss of a model that remembers its data goes down a stair an epoch; the same fall elsewhere is a page."""
    step = np.arange(1, 3001)
    stairs = 1.4 * 0.55 ** ((step - 1) // 600) * np.exp(np.random.default_rng(3).normal(0.0, 0.1, len(step)))

    def pages(steps_per_epoch: float | None) -> list[Finding]:
        monitor = Monitor(Run("fine-tune", steps_per_epoch=steps_per_epoch))
        rows = zip(step.tolist(), stairs.tolist(), strict=True)
        return [f for at, loss in rows for f in monitor.observe(Observation(at, loss)) if f.pages]

    assert Kind.SUSPICIOUS_IMPROVEMENT in [f.kind for f in pages(None)]
    assert [] == pages(600.0)
    assert [] != pages(460.0)

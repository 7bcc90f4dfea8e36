"""A loss that has stopped falling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from scalewatch.finding import Finding, Kind, Phase, Severity

Follow = Callable[..., list[Finding]]
Curve = Callable[..., NDArray[np.float64]]


def plateaus(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.kind is Kind.PLATEAU]


def stuck(curve: Curve, rows: int, at: int) -> NDArray[np.float64]:
    """The clean curve, which from a row on falls no more."""
    loss = curve(rows)
    loss[at:] += 3.2 * at**-0.1 - 3.2 * np.arange(at + 1, rows + 1) ** -0.1
    return loss


@pytest.mark.parametrize("at", [1000, 4000])
def test_a_loss_that_falls_no_more_is_noted_before_the_run_has_grown_threefold(
    follow: Follow, curve: Curve, at: int
) -> None:
    """Once, as a note, with the numbers of the two quarters."""
    (found,) = plateaus(follow(stuck(curve, 3 * at, at)))

    assert Severity.INFO is found.severity
    assert at < found.step <= 3 * at
    assert abs(float(found.evidence["gain_relative"] or 0.0)) < 0.002


@pytest.mark.parametrize(("exponent", "floor"), [(0.1, 1.8), (0.3, 2.9), (0.5, 2.5)])
def test_a_power_law_is_no_plateau(follow: Follow, exponent: float, floor: float) -> None:
    """Neither a slow one nor one that is near its floor."""
    t, random = np.arange(1, 15_001), np.random.default_rng(2)
    loss = floor + 3.2 * t**-exponent + random.normal(0, 0.03, len(t))

    assert [] == plateaus(follow(loss))


def test_a_plateau_at_the_end_of_the_learning_rate_is_what_was_planned(follow: Follow, curve: Curve) -> None:
    """Where the rate is below a fifth of its peak nothing more is expected."""
    rates = np.where(np.arange(6000) < 2000, 1e-3, 1e-4)

    assert [] == plateaus(follow(stuck(curve, 6000, 2000), rates=rates))


def test_a_plateau_that_ends_closes(follow: Follow, curve: Curve) -> None:
    """When the quarters differ again."""
    loss = stuck(curve, 9000, 1000)
    loss[4000:] -= 0.2 * np.minimum(np.arange(5000) / 3000, 1.0)

    found = plateaus(follow(loss))

    assert [Phase.OPENED, Phase.CLOSED] == [f.phase for f in found][:2]
    assert 4000 < found[1].step


def test_a_flat_log_of_sixty_rows_is_enough(follow: Follow) -> None:
    """One row every fifty steps, quiet as held-out loss is."""
    t, random = np.arange(1, 61), np.random.default_rng(1)
    loss = 3.0 + 4.0 * np.exp(-t / 4) + random.normal(0, 0.001, 60)

    assert plateaus(follow(loss, every=50))


def test_a_run_that_goes_back_keeps_what_came_before(follow: Follow, curve: Curve) -> None:
    """Fifty rows after a resume are no last quarter of anything."""
    loss, steps = curve(4000), np.arange(1, 4001)
    again = np.concatenate([steps, steps[3899:]])

    assert [] == plateaus(follow(np.concatenate([loss, loss[3899:]]), steps=again.tolist()))


def test_a_loss_that_moved_up_and_falls_on_is_no_plateau(follow: Follow, curve: Curve) -> None:
    """What lies before a change of the data is no yardstick."""
    loss = curve(8000)
    loss[4000:] *= 1.03

    assert [] == plateaus(follow(loss))

"""NaN and infinity, in the loss and in the gradient norm."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from scalewatch.finding import Finding, Kind, Phase, Severity

Follow = Callable[..., list[Finding]]


def nonfinite(found: list[Finding]) -> list[Finding]:
    """These logs are flat, which is said too."""
    return [f for f in found if f.kind is Kind.NONFINITE]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("step", [1, 2, 100])
def test_a_loss_that_is_no_number_is_critical_at_once(follow: Follow, value: float, step: int) -> None:
    """Also when it is the first row of all."""
    found = nonfinite(follow([3.0] * (step - 1) + [value]))

    assert [(Kind.NONFINITE, Severity.CRITICAL, step)] == [(f.kind, f.severity, f.step) for f in found]


def test_a_loss_that_stays_nan_is_said_once(follow: Follow) -> None:
    """A thousand NaNs are one finding."""
    assert 1 == len(follow([3.0] * 20 + [math.nan] * 1000))


def test_a_loss_that_flickers_is_one_incident(follow: Follow) -> None:
    """It closes after sixteen numbers running."""
    found = nonfinite(follow([3.0] * 20 + [math.nan, 3.0] * 50 + [3.0] * 20))

    assert [Phase.OPENED, Phase.CLOSED] == [f.phase for f in found]
    assert 119 + 16 == found[1].step


def test_a_row_without_a_loss_is_no_nan(follow: Follow) -> None:
    """None means that nothing was logged."""
    assert [] == follow([3.0, None, 3.0, None, 3.0])


def test_single_overflows_of_the_gradient_are_a_note(follow: Follow) -> None:
    """fp16 loss scaling makes one every two thousand steps on purpose."""
    norms = [math.inf if step % 200 == 50 else 0.5 for step in range(1000)]

    found = nonfinite(follow([3.0] * 1000, norms=norms))

    assert {Severity.INFO} == {f.severity for f in found}
    assert 10 == len(found)


def test_a_gradient_that_stays_infinite_wakes_someone(follow: Follow) -> None:
    """Sixteen more bad rows than good ones."""
    found = nonfinite(follow([3.0] * 100, norms=[0.5] * 50 + [math.nan] * 50))

    assert [(Severity.INFO, 51), (Severity.WARNING, 66)] == [(f.severity, f.step) for f in found]

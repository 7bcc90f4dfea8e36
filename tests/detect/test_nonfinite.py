"""NaN and infinity, in the loss and in the gradient norm."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from scalewatch.finding import Finding, Kind, Phase, Severity

Follow = Callable[..., list[Finding]]


def nonfinite(found: list[Finding], kind: Kind = Kind.NONFINITE) -> list[Finding]:
    """These logs are flat, which is said too."""
    return [f for f in found if f.kind is kind]


def severities(found: list[Finding]) -> list[tuple[Severity, int]]:
    return [(f.severity, f.step) for f in found]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("step", [1, 2, 100])
def test_one_loss_that_is_no_number_is_a_note(follow: Follow, value: float, step: int) -> None:
    """Also when it is the first row of all: its step may have been skipped, and nothing is lost."""
    found = nonfinite(follow([3.0] * (step - 1) + [value] + [3.0] * 20))

    assert [(Severity.INFO, step), (Severity.INFO, step + 16)] == severities(found)
    assert Phase.CLOSED is found[1].phase


def test_three_rows_running_without_a_number_are_a_lost_run(follow: Follow) -> None:
    """Weights that are no numbers give none again; a thousand such rows are two findings."""
    found = nonfinite(follow([3.0] * 20 + [math.nan] * 1000))

    assert [(Severity.INFO, 21), (Severity.CRITICAL, 23)] == severities(found)


def test_two_are_enough_where_rows_are_far_apart(follow: Follow) -> None:
    """Fifty steps lie between them."""
    found = nonfinite(follow([3.0] * 20 + [math.nan] * 2, every=50))

    assert [(Severity.INFO, 21 * 50), (Severity.CRITICAL, 22 * 50)] == severities(found)


def test_rows_that_were_skipped_again_and_again_wake_someone(follow: Follow) -> None:
    """The fourth of one incident, which closes after sixteen numbers running; it is never critical."""
    found = nonfinite(follow([3.0] * 20 + [math.nan, 3.0] * 50 + [3.0] * 20))

    assert [(Severity.INFO, 21), (Severity.WARNING, 27), (Severity.INFO, 119 + 16)] == severities(found)


def test_a_row_without_a_loss_is_no_nan(follow: Follow) -> None:
    """None means that nothing was logged."""
    assert [] == follow([3.0, None, 3.0, None, 3.0])


def test_single_overflows_of_the_gradient_are_a_note(follow: Follow) -> None:
    """fp16 loss scaling makes one every two thousand steps on purpose."""
    norms = [math.inf if step % 200 == 50 else 0.5 for step in range(1000)]

    found = nonfinite(follow([3.0] * 1000, norms=norms), Kind.NONFINITE_GRADIENT)

    assert {Severity.INFO} == {f.severity for f in found}
    assert 10 == len(found)


def test_a_gradient_that_stays_infinite_wakes_someone(follow: Follow) -> None:
    """Sixteen more bad rows than good ones."""
    found = nonfinite(follow([3.0] * 100, norms=[0.5] * 50 + [math.nan] * 50), Kind.NONFINITE_GRADIENT)

    assert [(Severity.INFO, 51), (Severity.WARNING, 66)] == [(f.severity, f.step) for f in found]

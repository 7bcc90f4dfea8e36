"""Gradient norms that jump."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from scalewatch.finding import Finding, Kind, Phase, Severity

Follow = Callable[..., list[Finding]]


def norms(rows: int = 1000, seed: int = 0, df: float = 4.0) -> list[float]:
    """Heavy-tailed norms that fall from 10 to 0.5 in the first hundred steps."""
    random = np.random.default_rng(seed)
    return (np.exp(0.1 * random.standard_t(df, rows)) * (0.5 + 9.5 * np.exp(-np.arange(rows) / 20))).tolist()


@pytest.mark.parametrize("seed", range(4))
def test_heavy_tailed_norms_raise_nothing(follow: Follow, seed: int) -> None:
    """Ten thousand of them."""
    assert [] == [f for f in follow([3.0] * 10_000, norms=norms(10_000, seed)) if f.pages and f.kind is Kind.GRAD_NORM]


def test_one_high_norm_is_a_note(follow: Follow) -> None:
    """Nobody is woken: clipping takes care of one."""
    given = norms()
    given[700] = 20.0

    found = [f for f in follow([3.0] * 1000, norms=given) if f.step > 690]

    assert [(Severity.INFO, Phase.OPENED, 701), (Severity.INFO, Phase.CLOSED, 702)] == [
        (f.severity, f.phase, f.step) for f in found
    ]


def test_a_norm_that_stays_up_wakes_someone(follow: Follow) -> None:
    """Sixteen rows at ten times its level, loss or no loss."""
    given = norms()
    given[700:760] = [5.0] * 60

    found = [f for f in follow([None] * 1000, norms=given) if f.step > 690]

    assert [(Phase.OPENED, 701), (Phase.ESCALATED, 716), (Phase.CLOSED, 792)] == [(f.phase, f.step) for f in found]
    assert {Kind.GRAD_NORM} == {f.kind for f in found}


@pytest.mark.parametrize("value", [0.0, -1.0, None])
def test_a_norm_without_a_logarithm_is_skipped(follow: Follow, value: float | None) -> None:
    """Zero is a frozen model, not a jump."""
    given: list[float | None] = [*norms()]
    given[500:520] = [value] * 20

    assert [] == [f for f in follow([3.0] * 1000, norms=given) if f.step > 400]

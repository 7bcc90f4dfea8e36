"""Losses that no longer scatter as losses of data do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from scalewatch.finding import Finding, Kind, Phase, Severity

Follow = Callable[..., list[Finding]]


def still(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.kind is Kind.STILLNESS]


@pytest.mark.parametrize("value", [16.742, -1.0, 1e-30])
def test_one_constant_is_told_within_forty_rows(follow: Follow, value: float) -> None:
    """Nothing is learnt, or it is no loss."""
    (found,) = still(follow([value] * 80))

    assert Severity.WARNING is found.severity
    assert found.step <= 40
    assert "to all digits" in found.message


def test_a_rounded_loss_that_repeats_itself_is_none(follow: Follow) -> None:
    """Two digits: the same number comes several times running, and now and then for long."""
    random = np.random.default_rng(0)
    rounded = np.round(0.05 + 0.004 * random.standard_normal(5000), 2)

    assert [] == still(follow(rounded))


def test_a_hinge_that_is_nought_now_and_then_is_none(follow: Follow) -> None:
    """Zeros are what it is trained for."""
    random = np.random.default_rng(1)

    assert [] == still(follow(np.maximum(0.0, random.normal(0.0, 0.2, 3000))))


def test_a_hinge_that_is_learnt_is_a_note(follow: Follow) -> None:
    """Where single rows were nought before, nought for good is the end of learning; where none was, it is a page."""
    random = np.random.default_rng(2)
    hinge = np.clip(0.8 * np.exp(-np.arange(1_500) / 150) + random.normal(0, 0.02, 1_500), 0, None)
    hinge[900:] = 0.0
    collapsed = np.where(np.arange(1_500) < 900, 1.5 + random.normal(0, 0.02, 1_500), 0.0)

    assert {Severity.INFO} == {f.severity for f in follow(hinge) if f.kind is Kind.STILLNESS}
    assert Severity.WARNING in {f.severity for f in follow(collapsed) if f.kind is Kind.STILLNESS}


def test_data_turned_to_zeros_leave_a_smooth_curve(follow: Follow) -> None:
    """Each batch is the same: the loss falls without a scatter from row to row; told within 60 rows."""
    random, t = np.random.default_rng(2), np.arange(1, 1001)
    loss = 0.3 * np.exp(random.normal(0.0, 0.4, 1000))
    loss[600:] = 0.1 * np.exp(-0.01 * (t[600:] - 600))

    (found,) = still(follow(loss))

    assert 600 < found.step <= 700
    assert "the same data, or none" in found.message


def test_it_is_over_when_rows_scatter_again(follow: Follow) -> None:
    """One finding when it begins and one when it ends."""
    random, t = np.random.default_rng(3), np.arange(1, 2001)
    loss = 0.3 * np.exp(random.normal(0.0, 0.4, 2000))
    loss[1000:1200] = 0.1 * np.exp(-0.001 * (t[1000:1200] - 1000))

    assert [Phase.OPENED, Phase.CLOSED] == [f.phase for f in still(follow(loss))]


def test_a_smoothed_or_held_out_loss_was_always_still(follow: Follow) -> None:
    """Its scatter is a thousandth from the first row on, and nought where it was drawn through."""
    t = np.arange(1, 1001)
    loss = 2.0 + t**-0.5 + 0.001 * np.sin(t)
    loss[500:600] = np.linspace(loss[500], loss[600], 100)

    assert [] == still(follow(loss))

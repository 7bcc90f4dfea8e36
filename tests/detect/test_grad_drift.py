"""A gradient norm that climbs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from scalewatch.finding import Finding, Kind, Phase, Severity

Follow = Callable[..., list[Finding]]

ROWS = 8000
T = np.arange(1, ROWS + 1)


def drifts(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.kind is Kind.GRAD_DRIFT]


def norms(growth: NDArray[np.float64]) -> list[float]:
    """Heavy-tailed norms that fall to a half in the first hundred steps and then go as they are told."""
    scatter = np.exp(0.1 * np.random.default_rng(0).standard_t(4, ROWS))
    found: list[float] = (scatter * (0.5 + 9.5 * np.exp(-T / 20)) * growth).tolist()
    return found


def test_a_steady_climb_is_noted_at_twice_the_lowest(follow: Follow) -> None:
    """Once, before it has grown threefold."""
    growth = 1.0 + np.maximum(T - 3000, 0) / 1500

    (found,) = drifts(follow([3.0] * ROWS, norms=norms(growth), rates=[1e-3] * ROWS))

    assert Severity.INFO is found.severity
    assert 4300 <= found.step <= 6000
    assert found.evidence["ratio"] == pytest.approx(2.0, rel=0.3)


def test_a_climb_over_a_log_of_a_thousand_rows_is_noted(follow: Follow) -> None:
    """One row every fifty steps: most of such a log is no time to get warm in."""
    growth = 1.0 + np.maximum(np.arange(1000) - 250, 0) / 200

    assert drifts(follow([3.0] * 1000, norms=norms(np.ones(ROWS))[300:1300] * growth, rates=[1e-3] * 1000, every=50))


@pytest.mark.parametrize("apart", [3, 10, 25])
def test_a_climb_of_norms_of_which_each_so_manieth_is_logged_is_noted(follow: Follow, apart: int) -> None:
    """Each third, tenth or twenty-fifth row has one, as a logger does that computes it rarely."""
    rows = 4 * ROWS
    growth = 1.0 + np.maximum(np.arange(rows) - 9000, 0) / 4500
    every = np.tile(np.array(norms(np.ones(ROWS))), 4)
    every[ROWS:] = np.roll(every[ROWS:], 50)
    logged = np.where(np.arange(rows) % apart == 0, np.exp(np.clip(np.log(every), -1.2, 0.0)) * growth, np.nan)

    (found,) = drifts(follow([3.0] * rows, norms=logged.tolist(), rates=[1e-3] * rows))

    assert 12_000 <= found.step <= 26_000


def test_norms_that_are_logged_now_and_then_are_not_compared(follow: Follow) -> None:
    """They may be logged where they are large: each tenth on average is not each tenth."""
    growth = 1.0 + np.maximum(T - 3000, 0) / 1500
    some = np.where(np.random.default_rng(1).random(ROWS) < 0.1, norms(growth), np.nan)

    assert [] == drifts(follow([3.0] * ROWS, norms=some.tolist(), rates=[1e-3] * ROWS))


def test_a_climb_while_the_learning_rate_decays_is_what_weight_decay_does(follow: Follow) -> None:
    """The norm goes as the square root of one over the rate."""
    rates = 1e-3 * np.clip((ROWS - T) / 4000, 0.02, 1.0)

    assert [] == drifts(follow([3.0] * ROWS, norms=norms((1e-3 / rates) ** 0.5), rates=rates))


def test_steady_norms_are_no_news(follow: Follow) -> None:
    """With a rate and without one."""
    flat = norms(np.ones(ROWS))

    assert [] == drifts(follow([3.0] * ROWS, norms=flat, rates=[1e-3] * ROWS))
    assert [] == drifts(follow([3.0] * ROWS, norms=flat))


def test_without_a_learning_rate_it_takes_four_times(follow: Follow) -> None:
    """For a decay that nobody logged may explain two."""
    assert [] == drifts(follow([3.0] * ROWS, norms=norms(np.linspace(1.0, 2.5, ROWS))))
    assert drifts(follow([3.0] * ROWS, norms=norms(np.exp(np.linspace(0.0, 2.5, ROWS)))))


def test_a_climb_that_ends_closes(follow: Follow) -> None:
    """Below one and a half times its lowest."""
    growth = 1.0 + 2.0 * np.clip(np.minimum(T - 2000, 6000 - T) / 2000, 0.0, 1.0)

    found = drifts(follow([3.0] * ROWS, norms=norms(growth), rates=[1e-3] * ROWS))

    assert [Phase.OPENED, Phase.CLOSED] == [f.phase for f in found]

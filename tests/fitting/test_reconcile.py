"""Kaplan and Chinchilla reconciled: Pearce and Song's frontier, Porian's steps."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from scalewatch.errors import ConfigError, FitError
from scalewatch.fitting.isoflop import allocation_fit, bottoms
from scalewatch.fitting.reconcile import PORIAN_STEPS, KaplanFrontier, porian_allocation
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.size import SizeKind, non_embedding, total

FRONTIER = KaplanFrontier(Chinchilla.besiroglu())

#: (hyperparameters, warm-up, decay, what N counts) of each step, in the order of `PORIAN_STEPS`.
STEPS = [
    ("base", "long", "kaplan", "kaplan"),
    ("base", "long", "kaplan", "standard"),
    ("base", "short", "kaplan", "standard"),
    ("base", "short", "chinchilla", "standard"),
    ("tuned", "short", "const", "standard"),
]


@pytest.mark.parametrize(
    ("law", "of_size", "of_loss"),
    [(Chinchilla.besiroglu(), 0.781, -0.069), (Chinchilla.hoffmann_tex(), 0.739, -0.066)],
)
def test_the_published_exponents_come_out(law: Chinchilla, of_size: float, of_loss: float) -> None:
    """0.781 with Epoch's constants, 0.739 with Hoffmann's, on the grid of Pearce and Song (2024, arXiv 2406.12907)."""
    frontier = KaplanFrontier(law)

    assert (of_size, of_loss) == pytest.approx(frontier.published_exponents(), abs=0.001)
    assert (of_size, of_loss) == pytest.approx(frontier.fitted_exponents(), abs=0.012)


def test_local_exponents_are_those_of_the_paper() -> None:
    """From 0.963 at a million parameters to 0.518 at ten billion."""
    sizes = non_embedding([1e6, 1e7, 1e8, 1e9, 1e10])

    assert [0.963, 0.853, 0.613, 0.535, 0.518] == pytest.approx(list(FRONTIER.local_exponent(sizes)), abs=5e-4)


@given(size=st.floats(1e3, 1e12))
def test_the_local_exponent_is_the_slope_of_the_frontier(size: float) -> None:
    """g = dln(N)/dln(C), against a difference quotient."""
    around = non_embedding([size * 0.999, size * 1.001])
    log_flops = np.log(FRONTIER.flops(around))

    slope = np.log(1.001 / 0.999) / (log_flops[1] - log_flops[0])

    assert pytest.approx(slope, rel=1e-4) == float(FRONTIER.local_exponent(non_embedding(size)))


@given(size=st.floats(1e4, 1e11))
def test_no_other_size_does_better_at_that_compute(size: float) -> None:
    """The analytic frontier is the numerical minimum at fixed 6 N D of non-embedding N."""
    flops, law = float(FRONTIER.flops(non_embedding(size))), FRONTIER.law

    def loss(log_size: float) -> float:
        count = np.exp(log_size)
        whole = count + FRONTIER.embedding_weight * np.cbrt(count)
        return float(law.E + law.A * whole**-law.alpha + law.B * (flops / 6 / count) ** -law.beta)

    here = np.log(size)
    best = minimize_scalar(loss, bounds=(here - 3, here + 3), method="bounded", options={"xatol": 1e-9})

    assert pytest.approx(best.fun, rel=1e-10) == loss(here)
    assert pytest.approx(loss(here)) == float(FRONTIER.loss(non_embedding(size)))


def test_large_models_forget_their_embeddings() -> None:
    """The local exponent tends to beta / (alpha + beta)."""
    assert pytest.approx(FRONTIER.law.exponents[0], abs=1e-3) == float(FRONTIER.local_exponent(non_embedding(1e14)))


def test_the_frontier_is_between_kinds_and_says_so() -> None:
    """It takes non-embedding sizes, gives total ones, and starts from a law of total ones."""
    assert FRONTIER.total_size(non_embedding(1e9)).kind is SizeKind.TOTAL
    with pytest.raises(ConfigError, match="counts non-embedding"):
        FRONTIER.tokens(total(1e9))
    with pytest.raises(ConfigError, match="total parameters"):
        KaplanFrontier(Chinchilla(1, 400, 400, 0.3, 0.3, kind=SizeKind.NON_EMBEDDING))
    with pytest.raises(ConfigError, match="less than"):
        FRONTIER.fitted_exponents(1e9, 1e6)


@pytest.mark.parametrize(("key", "step"), list(zip(STEPS, PORIAN_STEPS.items(), strict=True)))
def test_porians_steps_lead_from_kaplan_to_chinchilla(
    key: tuple[str, ...], step: tuple[str, float], data_folder: Path
) -> None:
    """RefinedWeb: .835 .706 .602 .571 .497 within 0.005 (Porian et al. 2024, arXiv 2406.19146)."""
    with (data_folder / "porian_isoflop.csv").open(newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if (row["hparams"], row["warmup"], row["decay"], row["param_count"]) == key
        ]
    size, flops, loss = (np.array([float(row[name]) for row in rows]) for name in ("n", "flops", "loss"))
    count = non_embedding(size) if key[-1] == "kaplan" else total(size)

    fit = porian_allocation(count, flops, loss)

    assert pytest.approx(step[1], abs=0.005) == fit.exponent
    assert 0.003 < fit.exponent_sd < 0.03


def valleys(exponent: float, *, seed: int = 0, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Six budgets whose best size is known, seven sizes each."""
    stream = np.random.default_rng(seed)
    flops = np.repeat(10 ** np.linspace(18, 20.5, 6), 7)
    best = 1e8 * (flops / 1e18) ** exponent
    away = np.tile(np.linspace(-1.2, 1.2, 7), 6) + stream.uniform(-0.1, 0.1, 42)
    loss = 3 * (flops / 1e18) ** -0.05 * np.exp(0.02 * away**2)
    return best * np.exp(away), flops, loss * np.exp(noise * stream.standard_normal(42))


@pytest.mark.parametrize("method", ["parabola", "akima"])
@pytest.mark.parametrize("exponent", [0.3, 0.5, 0.73])
def test_known_valleys_give_back_their_exponent(method: str, exponent: float) -> None:
    """With noise of 0.1 %, within four standard errors and 0.05."""
    found, left_out = bottoms(*valleys(exponent, noise=0.001), method=method)  # type: ignore[arg-type]

    fit = allocation_fit(found, left_out)

    assert pytest.approx(exponent, abs=0.05) == fit.exponent
    assert abs(fit.exponent - exponent) < 4 * fit.exponent_sd
    assert pytest.approx(1e8, rel=0.2) == fit.size_at(1e18)


def test_a_bottom_at_the_edge_is_none() -> None:
    """Where the smallest size is the best one, a smaller one should have been trained; the budget is left out."""
    size, flops, loss = valleys(0.5)
    loss = np.where(flops < 1.1e18, 3 * (size / 1e8) ** 0.1, loss)

    found, left_out = bottoms(size, flops, loss, method="akima")

    assert 5 == len(found)
    assert 1 == len(left_out)
    assert "edge" in left_out[0]


def test_too_few_sizes_or_budgets_are_named() -> None:
    """One budget gives no exponent, two sizes no valley."""
    size, flops, loss = valleys(0.5)
    one = flops < 1.1e18
    found, left_out = bottoms(size[one], flops[one], loss[one])

    with pytest.raises(FitError, match="at least 2 budgets"):
        allocation_fit(found, left_out)
    assert "2 sizes" in bottoms(size[:2], flops[:2], loss[:2])[1][0]


@pytest.mark.parametrize("bad", [{"method": "spline"}, {"noise_nats": 0.0}, {"noise_nats": np.nan}])
def test_options_out_of_range_are_refused(bad: dict[str, object]) -> None:
    """Each names itself."""
    with pytest.raises(FitError, match="must be"):
        bottoms(*valleys(0.5), **bad)  # type: ignore[arg-type]


def test_of_several_runs_of_one_size_the_best_counts() -> None:
    """A diverged twin changes nothing."""
    size, flops, loss = valleys(0.5)

    plain, _ = bottoms(size, flops, loss)
    twins, _ = bottoms(np.append(size, size), np.append(flops, flops), np.append(loss, loss * 3))

    assert [b.log_size for b in plain] == pytest.approx([b.log_size for b in twins], abs=1e-9)

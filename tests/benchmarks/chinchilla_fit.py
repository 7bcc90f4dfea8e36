"""Chinchilla's law on the 240 public points: ours beside a straightforward SciPy fit, in one run, on one thread.

    OMP_NUM_THREADS=1 SCALEWATCH_DATA=folder python tests/benchmarks/chinchilla_fit.py [resamples]

The SciPy fit is what a notebook does: L-BFGS-B with the analytic gradient and tight tolerances, from 16 starts of
Hoffmann's grid, and once more a resample from the optimum. Beside it, SciPy at its default tolerances.
"""

from __future__ import annotations

import csv
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from scalewatch.fitting.chinchilla import allocation_exponent, fit_chinchilla

DELTA = 1e-3
TEX = np.array([6.0073404, 6.0179186, 0.5267228, 0.33917084, 0.2849083])
TIGHT = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 5000, "maxfun": 20000}


def points(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return sizes, tokens and losses of the 240 points."""
    with (folder / "scaling_points.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == "chinchilla_fig4"][5:]
    return tuple(np.array([float(row[name]) for row in rows]) for name in ("n_params", "tokens", "loss"))


def huber(theta: np.ndarray, x: np.ndarray, y: np.ndarray, log_loss: np.ndarray) -> tuple[float, np.ndarray]:
    """Return Hoffmann's objective as a sum, and its gradient."""
    a, b, e, alpha, beta = theta
    terms = np.stack([a - alpha * x, b - beta * y, np.full_like(x, e)])
    top = terms.max(axis=0)
    share = np.exp(terms - top)
    whole = share.sum(axis=0)
    share /= whole
    r = top + np.log(whole) - log_loss
    inside = np.abs(r) <= DELTA
    value = np.where(inside, 0.5 * r**2, DELTA * (np.abs(r) - 0.5 * DELTA)).sum()
    slope = np.clip(r, -DELTA, DELTA)
    gradient = [slope * share[0], slope * share[1], slope * share[2], -slope * share[0] * x, -slope * share[1] * y]
    return float(value), np.array([part.sum() for part in gradient])


def constants(theta: np.ndarray) -> np.ndarray:
    """Return E, A, B, alpha, beta and a of sets of parameters (b, 5)."""
    a, b, e, alpha, beta = np.atleast_2d(theta).T
    return np.stack([np.exp(e), np.exp(a), np.exp(b), alpha, beta, beta / (alpha + beta)], axis=1)


def scipy_fit(data: tuple[np.ndarray, np.ndarray, np.ndarray], resamples: int) -> dict[str, Any]:
    """Fit and resample one by one."""
    x, y, log_loss = (np.log(column) for column in data)
    grid = np.random.default_rng(0)
    starts = np.stack(
        [
            grid.choice(np.arange(0, 26, 5), 16),
            grid.choice(np.arange(0, 26, 5), 16),
            grid.choice(np.arange(-1, 1.1, 0.5), 16),
            grid.choice(np.arange(0, 2.1, 0.5), 16),
            grid.choice(np.arange(0, 2.1, 0.5), 16),
        ],
        axis=1,
    )
    began = time.perf_counter()
    ends = [minimize(huber, s, (x, y, log_loss), jac=True, method="L-BFGS-B", options=TIGHT) for s in starts]
    best = min(ends, key=lambda end: end.fun)
    fitted = time.perf_counter() - began
    stream = np.random.RandomState(42)
    began = time.perf_counter()
    drawn = []
    for _ in range(resamples):
        rows = stream.choice(len(x), len(x))
        end = minimize(huber, best.x, (x[rows], y[rows], log_loss[rows]), jac=True, method="L-BFGS-B", options=TIGHT)
        drawn.append(end.x)
    took = time.perf_counter() - began
    default = minimize(huber, TEX, (x, y, log_loss), jac=True, method="L-BFGS-B")
    return {
        "fit": fitted,
        "bootstrap": took,
        "objective": best.fun,
        "values": constants(best.x)[0],
        "errors": constants(np.array(drawn)).std(axis=0),
        "default": default,
    }


def ours(data: tuple[np.ndarray, np.ndarray, np.ndarray], resamples: int, estimator: Any) -> dict[str, Any]:
    """Fit and resample as `fit_chinchilla` does."""
    fit_chinchilla(*data)
    began = time.perf_counter()
    fit = fit_chinchilla(*data, estimator=estimator)
    fitted = time.perf_counter() - began
    began = time.perf_counter()
    fit = fit_chinchilla(*data, estimator=estimator, bootstrap=resamples, seed=42)
    took = time.perf_counter() - began - fitted
    a = allocation_exponent(fit.draws)
    return {
        "fit": fitted,
        "bootstrap": took,
        "objective": fit.objective,
        "values": np.array([*fit.values.values(), fit.law.exponents[0]]),
        "errors": np.array([*fit.standard_errors.values(), a.std()]),
    }


def main() -> None:
    """Print the table."""
    folder = os.environ.get("SCALEWATCH_DATA")
    if not folder:
        sys.exit("SCALEWATCH_DATA must lead to the folder of public runs.")
    resamples = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    data = points(Path(folder))
    table = {
        "ours, huber": ours(data, resamples, "huber"),
        "ours, lad": ours(data, resamples, "lad"),
        "scipy, huber": scipy_fit(data, resamples),
    }
    print(f"{len(data[0])} points, {resamples} resamples, one thread")
    names = ["E", "A", "B", "alpha", "beta", "a"]
    print(f"{'':<14}{'fit s':>8}{'boot s':>8}  {'objective':<14}" + "".join(f"{name:>20}" for name in names))
    for name, row in table.items():
        pairs = zip(row["values"], row["errors"], strict=True)
        cells = "".join(f"{f'{value:.5g} +- {error:.3g}':>20}" for value, error in pairs)
        print(f"{name:<14}{row['fit']:>8.3f}{row['bootstrap']:>8.2f}  {row['objective']:<14.8g}{cells}")
    default = table["scipy, huber"]["default"]
    print(f"scipy at default tolerances from Hoffmann's point: objective {default.fun:.6g}, success={default.success}")


if __name__ == "__main__":
    main()

"""Chinchilla's law from finished runs (approach 3 of Hoffmann et al. 2022, as Besiroglu et al. 2024 repaired it).

On the 240 points that Besiroglu et al. read off Hoffmann's figure 4, "huber" gives the optimum of the objective
that the paper names, "lad" the published constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.families import CHINCHILLA, AbstractFamily, Points, read_points
from scalewatch.fitting.points import Estimator, PointFit, fit_points, ranges
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN, Parameters, positive

__all__ = ["OptimumInterval", "allocation_exponent", "fit_chinchilla", "optimum_interval"]


def fit_chinchilla(
    parameters: Parameters | ArrayLike,
    tokens: ArrayLike,
    loss: ArrayLike,
    *,
    estimator: Estimator = "huber",
    bootstrap: int = 0,
    seed: int = 0,
    groups: ArrayLike | Sequence[object] | None = None,
    names: Sequence[str] | None = None,
) -> PointFit[Chinchilla]:
    """Fit L = E + A N^-alpha + B D^-beta to finished runs.

    Args:
        parameters: shape (n,); a bare array counts as total. tokens: shape (n,), count.
        loss: shape (n,) [nats/token].
        estimator: "huber" (threshold 1e-3 in log loss) or "lad", least absolute deviations.
        bootstrap: resamples for errors and intervals; 0 for an approximation at once, which on the published
            points is 10 to 40 % too narrow.
        seed: of the resamples, drawn by numpy.random.RandomState.
        groups: run of each point, shape (n,), where a run has several points.
        names: of the points, shape (n,), for the notes; without them a note counts rows from 0.

    Raises:
        FitError: if the input is no table of positive numbers, or has fewer than five runs.

    >>> size, tokens = np.meshgrid([1e8, 3e8, 1e9, 3e9], [3e9, 1e10, 3e10])
    >>> losses = 1.8 + 400 * size**-0.34 + 1200 * tokens**-0.36
    >>> fit = fit_chinchilla(size.ravel(), tokens.ravel(), losses.ravel())
    >>> f"{fit.law.E:.3f} {fit.law.alpha:.3f} {fit.law.beta:.3f}"
    '1.800 0.340 0.360'
    """
    points = read_points(parameters, tokens, loss)
    if names is not None and len(names) != len(points):
        raise FitError(f"`names` must hold one for each of {len(points)} points (got {len(names)}).")
    return fit_points(
        CHINCHILLA, points, _law, estimator=estimator, bootstrap=bootstrap, seed=seed, groups=groups, names=names
    )


def _law(family: AbstractFamily, values: dict[str, float], points: Points) -> Chinchilla:
    sizes, tokens = ranges(points)
    return Chinchilla(
        *(values[name] for name in family.constants),
        source=f"fitted to {len(points)} runs",
        kind=points.kind,
        sizes=sizes,
        tokens=tokens,
    )


def allocation_exponent(draws: Floats) -> Floats:
    """Return a = beta / (alpha + beta) of sets of constants (E, A, B, alpha, beta), (b, 5) -> (b,)."""
    return np.asarray(draws[:, 4] / (draws[:, 3] + draws[:, 4]))


@final
@dataclass(frozen=True, slots=True)
class OptimumInterval:
    """How well a fit knows the best model of a budget, each as (low, high) at `level`.

    Attributes:
        parameters: count, of the law's kind. tokens: count. tokens_per_parameter: dimensionless.
        loss: of the frontier [nats/token], without the scatter of runs. exponent: a of N ~ C^a.
    """

    parameters: tuple[float, float]
    tokens: tuple[float, float]
    tokens_per_parameter: tuple[float, float]
    loss: tuple[float, float]
    exponent: tuple[float, float]
    level: float


def optimum_interval(fit: PointFit[Chinchilla], flops: float, level: float = 0.8) -> OptimumInterval:
    """Return the intervals of the optimum for `flops` [FLOP], from the draws of `fit`.

    Raises:
        ConfigError: if a number is not positive, or `level` is not within (0, 1).
    """
    pairs = float(positive("flops", flops, "FLOP")) / FLOPS_PER_PARAMETER_TOKEN

    def log_size(draws: Floats) -> Floats:
        _, scale_n, scale_d, alpha, beta = draws.T
        balance = np.log(alpha * scale_n) - np.log(beta * scale_d)
        return np.asarray((balance + beta * np.log(pairs)) / (alpha + beta))

    def loss(draws: Floats) -> Floats:
        floor, scale_n, scale_d, alpha, beta = draws.T
        x = log_size(draws)
        return np.asarray(floor + scale_n * np.exp(-alpha * x) + scale_d * np.exp(-beta * (np.log(pairs) - x)))

    low, high = fit.interval_of(log_size, level)
    return OptimumInterval(
        parameters=(float(np.exp(low)), float(np.exp(high))),
        tokens=(float(np.exp(np.log(pairs) - high)), float(np.exp(np.log(pairs) - low))),
        tokens_per_parameter=(float(np.exp(np.log(pairs) - 2 * high)), float(np.exp(np.log(pairs) - 2 * low))),
        loss=fit.interval_of(loss, level),
        exponent=fit.interval_of(allocation_exponent, level),
        level=level,
    )

"""Errors of a fit without a bootstrap: the sandwich approximation, reweighted by the objective itself.

    cov = H^-1 (sum over runs of s s') H^-1,    kappa = trace(H cov) / p,    weight ~ exp(-rise / kappa) / proposal

H is the curvature of the objective, s the gradient of one run. Draws from a widened normal with this covariance
are kept in proportion to how well they fit, so that a scale such as B is skewed as it is under the bootstrap, and
an irreducible loss that the runs do not show cannot run off to where the fit is absurd.

Sources: Huber (1967), Fifth Berkeley Symposium, theorem 3; Chernozhukov and Hong (2003), Journal of Econometrics 115.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.fitting.robust import AbstractResidualModel, objective
from scalewatch.fitting.status import robust_sd

__all__ = ["quasi_posterior"]

#: Draws proposed, and kept. By hand.
PROPOSED, KEPT = 4_000, 1_000
#: Standard deviation of the proposal over that of the approximation. By hand.
WIDER = 1.5
#: Least curvature in a direction, in parts of the parameters' own: below, the runs say nothing about it. By hand.
LEAST_CURVATURE = 1e-9
#: Distance from its bound within which a parameter counts as on it. By hand.
ON_BOUND = 1e-6


def quasi_posterior(
    form: AbstractResidualModel, log_loss: Floats, theta: Floats, labels: NDArray[np.int64], delta: float, seed: int
) -> Floats:
    """Return sets of parameters that fit about as well as the best one, shape (1000, p).

    Args:
        form: the law at n points. log_loss: observed, shape (n,). theta: the optimum, shape (p,).
        labels: run of each point, shape (n,). delta: threshold of the objective. seed: of the draws.
    """
    residuals = form.evaluate(theta[None, :])[0][0] - log_loss
    least, most = form.bounds
    # what sits on its bound is not a normal about it
    free = (theta > least + ON_BOUND) & (theta < most - ON_BOUND)
    curvature, covariance = _sandwich(form, theta, residuals, labels, delta, free)
    kappa = float(np.trace(curvature @ covariance)) / max(int(free.sum()), 1)
    stream = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(covariance)
    normal = stream.standard_normal((PROPOSED, int(free.sum())))
    draws = np.repeat(theta[None, :], PROPOSED, axis=0)
    draws[:, free] += (WIDER * normal * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    draws = np.clip(draws, least, most)
    reached = objective(form.evaluate(draws)[0] - log_loss, 1.0, delta)
    rise = reached - float(objective(residuals, 1.0, delta))
    log_weight = -rise / max(kappa, 1e-300) + 0.5 * np.sum(normal**2, axis=1)
    weight = np.exp(log_weight - log_weight.max())
    return draws[stream.choice(PROPOSED, KEPT, p=weight / weight.sum())]


def _sandwich(
    form: AbstractResidualModel,
    theta: Floats,
    residuals: Floats,
    labels: NDArray[np.int64],
    delta: float,
    free: NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """Return curvature and covariance of the free parameters, clustered by run, shapes (p, p)."""
    n, count, runs = len(residuals), len(theta), int(labels.max()) + 1
    # where few residuals lie within the threshold, their density at zero is taken from a wider window
    nearest = np.sort(np.abs(residuals))[min(2 * count, n - 1)]
    window = max(delta, 0.8 * robust_sd(residuals) * n**-0.2, float(nearest))
    _, state = form.evaluate(theta[None, :])
    bend = np.where(np.abs(residuals) <= window, delta / window, 0.0)[None, :]
    curvature = form.system(state, 0.0 * bend, bend)[1][0][np.ix_(free, free)]
    # the gradient of each run by itself: one row of slopes a run
    alone = np.zeros((runs, n))
    alone[labels, np.arange(n)] = np.clip(residuals, -delta, delta)
    states = [np.repeat(s, runs, axis=0) for s in state] if isinstance(state, list) else np.repeat(state, runs, axis=0)
    scores = form.system(states, alone, 0.0 * alone)[0][:, free]
    scale = np.sqrt(np.maximum(np.diag(curvature), 1e-30))
    values, vectors = np.linalg.eigh(curvature / np.outer(scale, scale))
    inverse = (vectors / np.maximum(values, LEAST_CURVATURE)) @ vectors.T / np.outer(scale, scale)
    small = n / max(n - count, 1) * runs / max(runs - 1, 1)
    return curvature, inverse @ (scores.T @ scores) @ inverse * small

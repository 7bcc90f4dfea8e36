"""What a law leaves of its own runs, carried on to others near them: no law is right, and its errors are smooth.

A Gaussian process over the axes, each in its own spreads: covariance a^2 exp(-|x - x'|^2 / (2 l^2)) between runs of one
label, and noise. Length and noise have the highest likelihood of a few; residuals beyond four scatters are cut, as they
are of runs that went wrong. Far from the runs nothing is carried and the law is alone again.

Source: Rasmussen and Williams (2006), Gaussian Processes for Machine Learning, sections 2.2 and 5.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.fitting.outcomes.axes import GROUP, Axes, Points

__all__ = ["FEWEST_CARRIED", "Carried", "carry"]

#: Runs from which residuals say more than chance. By hand.
FEWEST_CARRIED = 16
#: Lengths [spreads of an axis], and parts of the residuals' variance that are noise, that are tried. By hand.
LENGTHS, NOISES = (0.7, 1.4, 2.8), (0.05, 0.2, 0.5, 0.9)
#: Scatters beyond which a residual is cut. By hand.
MOST_SCATTERS = 4.0
#: Runs on which length and noise are found. By hand.
MOST_TRIED = 200
#: Part of the variance added to the diagonal, so that the same run twice is no trouble. By hand.
JITTER = 1e-8


@final
@dataclass(frozen=True, slots=True, eq=False)
class Carried:
    """Residuals of a law as a process.

    Attributes:
        axes: of the table. at: the runs in spreads, shape (n, d). label: of each, shape (n,).
        weights: of each run, shape (n,). inverse: of the factor of their covariance, shape (n, n).
        length: [spreads]. variance: of what is carried. scatter: sd of what is not.
    """

    axes: Axes
    at: Floats
    label: Floats
    weights: Floats
    inverse: Floats
    length: float
    variance: float
    scatter: float

    def told(self, points: Points) -> tuple[Floats, Floats]:
        """Return what is carried to points, and how sure that is not (sd), each of shape (m,)."""
        across = self.variance * _kernel(_spreads(self.axes, points), self.at, self.length)
        across *= _labels(points, len(across))[:, None] == self.label[None, :]
        left = np.maximum(self.variance - np.sum((across @ self.inverse.T) ** 2, axis=1), 0.0)
        return np.asarray(across @ self.weights), np.sqrt(left)

    def joint(self, points: Points) -> Floats:
        """Return the covariance of what is not sure of points, shape (m, m)."""
        at, label = _spreads(self.axes, points), _labels(points, len(points[self.axes.keys[0]]))
        across = self.variance * _kernel(at, self.at, self.length) * (label[:, None] == self.label[None, :])
        turned = across @ self.inverse.T
        own = self.variance * _kernel(at, at, self.length) * (label[:, None] == label[None, :])
        return np.asarray(own - turned @ turned.T)


def carry(axes: Axes, points: Points, residuals: Floats, scatter: float) -> Carried | None:
    """Return the residuals of a law as a process, None where there are too few or nothing is left in them.

    Args:
        axes: of the table. points: its runs. residuals: observed less predicted, shape (n,).
        scatter: robust sd of them.
    """
    count = len(residuals)
    if count < FEWEST_CARRIED or not scatter > 0:
        return None
    cut = np.clip(residuals, -MOST_SCATTERS * scatter, MOST_SCATTERS * scatter)
    at, label = _spreads(axes, points), _labels(points, count)
    variance = float(cut @ cut) / count
    if not variance > 0:
        return None
    few = np.unique(np.linspace(0, count - 1, min(count, MOST_TRIED)).astype(int))
    same = label[few][:, None] == label[few][None, :]
    length, noise = _likeliest(at[few], same, cut[few], variance)
    whole = _covariance(at, label[:, None] == label[None, :], length, noise, variance)
    inverse = np.linalg.inv(np.linalg.cholesky(whole))
    weights = inverse.T @ (inverse @ cut)
    return Carried(axes, at, label, weights, inverse, length, (1 - noise) * variance, float(np.sqrt(noise * variance)))


def _spreads(axes: Axes, points: Points) -> Floats:
    return np.stack([points[axis.key] / axis.spread for axis in axes.axes], axis=1)


def _labels(points: Points, count: int) -> Floats:
    return np.asarray(points.get(GROUP, np.zeros(count)))


def _kernel(left: Floats, right: Floats, length: float) -> Floats:
    apart = np.sum(left**2, axis=1)[:, None] + np.sum(right**2, axis=1)[None, :] - 2 * left @ right.T
    return np.asarray(np.exp(-0.5 * np.maximum(apart, 0.0) / length**2))


def _covariance(at: Floats, same: np.ndarray, length: float, noise: float, variance: float) -> Floats:
    kernel = (1 - noise) * _kernel(at, at, length) * same
    return np.asarray(variance * (kernel + (noise + JITTER) * np.eye(len(at))))


def _likeliest(at: Floats, same: np.ndarray, residuals: Floats, variance: float) -> tuple[float, float]:
    """Return length and noise of the highest likelihood."""
    best, found = -np.inf, (LENGTHS[-1], NOISES[-1])
    for length in LENGTHS:
        values, vectors = np.linalg.eigh(_kernel(at, at, length) * same)
        turned = (vectors.T @ residuals) ** 2
        for noise in NOISES:
            spread = variance * ((1 - noise) * np.maximum(values, 0.0) + noise)
            likelihood = -0.5 * float(np.sum(turned / spread + np.log(spread)))
            if likelihood > best:
                best, found = likelihood, (length, noise)
    return found

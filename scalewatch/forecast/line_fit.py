"""The straight lines of a law through a curve: one for every shape, of several laws and from several blocks on at once.

Given its shape the law is a straight line, and each line is a weighted least-squares fit with a Gaussian prior. Done
apart, the calls of numpy would take nearly all of the time: side by side they are some products of small matrices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.forecast.shape_prior import LEAST_WALK, Asked

__all__ = ["Columns", "LineFit", "Stack", "fit_lines"]


@final
class Columns(NamedTuple):
    """Of n rows the powers, (c, a, n), D, (c, k, n), and the losses, (c, 1, n), each told from the planned end."""

    powers: Floats
    annealed: Floats
    losses: Floats

    def rows(self, places: NDArray[np.int64] | slice) -> Columns:
        """Return those of some rows."""
        return Columns(*(column[:, :, places] for column in self))

    def less(self, others: Columns) -> Columns:
        """Return how far they are above others, row by row."""
        return Columns(*(mine - other for mine, other in zip(self, others, strict=True)))

    def products(self) -> Floats:
        """Return what second moments of z and y are sums of, (c, ., n): the squares and products of the columns."""
        powers, annealed, losses = self
        count, exponents, rows = powers.shape
        crossed = (powers[:, :, None, :] * annealed[:, None, :, :]).reshape(count, exponents * annealed.shape[1], rows)
        return np.concatenate([powers**2, crossed, annealed**2, powers * losses, annealed * losses, losses**2], axis=1)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """The priors of c laws side by side; one with fewer shapes has others that weigh nothing.

    Attributes:
        alphas: shape (c, a, 1). end_lr_sums: (c, 1). end_annealing_sums: (c, k, 1).
        ratios, gains: (c, 1, r, 1, 1), or (1, 1, 1, 1, 1) if all are zero. log_weights: (c, a, r, k, 1), normalised.
        end_loss, end_precision: prior of P, (c, 1, 1), the precision 0 where nothing is known.
        remaining, remaining_precision: prior of A, (c, 1, 1, 1, 1). log_prior: what the priors add to the evidence.
    """

    alphas: Floats
    end_lr_sums: Floats
    end_annealing_sums: Floats
    ratios: Floats
    gains: Floats
    log_weights: Floats
    end_loss: Floats
    end_precision: Floats
    remaining: Floats
    remaining_precision: Floats
    log_prior: Floats

    @classmethod
    def of(cls, asked: Sequence[Asked]) -> Stack:
        """Return them stacked."""
        priors = [each.prior for each in asked]
        count = len(priors)
        a, r, k = np.max([prior.log_weights.shape for prior in priors], axis=0).tolist()
        alphas, (ratios, gains) = np.ones((count, a)), np.zeros((2, count, r))
        log_weights = np.full((count, a, r, k), -np.inf)
        for place, prior in enumerate(priors):
            here, there, _ = prior.log_weights.shape
            alphas[place, :here], ratios[place, :there], gains[place, :there] = prior.alphas, prior.ratios, prior.gains
            log_weights[place, :here, :there] = prior.log_weights
        heaviest = log_weights.max(axis=(1, 2, 3), keepdims=True)
        log_weights -= heaviest + np.log(np.exp(log_weights - heaviest).sum(axis=(1, 2, 3), keepdims=True))
        mean_a, sd_a = np.array([prior.remaining for prior in priors]).T
        mean_p, sd_p = np.array([prior.end_loss or (0.0, math.inf) for prior in priors]).T
        log_prior = -0.5 * (mean_a / sd_a) ** 2 - np.log(sd_a) - np.where(sd_p < math.inf, np.log(sd_p), 0.0)
        levers = [each[:, None, :, None, None] if each.any() else np.zeros((1, 1, 1, 1, 1)) for each in (ratios, gains)]
        remaining, precision, log_prior = (x.reshape(-1, 1, 1, 1, 1) for x in (mean_a, sd_a**-2, log_prior))
        return cls(
            alphas=alphas[:, :, None],
            end_lr_sums=np.array([[each.end_lr_sum] for each in asked]),
            end_annealing_sums=np.array([each.end_annealing_sum for each in asked])[:, :, None],
            ratios=levers[0],
            gains=levers[1],
            log_weights=log_weights[..., None],
            end_loss=mean_p[:, None, None],
            end_precision=sd_p[:, None, None] ** -2,
            remaining=remaining,
            remaining_precision=precision,
            log_prior=log_prior,
        )

    def columns(self, walked: Floats, annealed: Floats, losses: Floats) -> Columns:
        """Return the columns of a curve; a part of its walk before which no law holds is drawn level."""
        parts = np.maximum(walked / self.end_lr_sums, LEAST_WALK)[:, None, :]
        count = len(self.alphas)
        shown = np.broadcast_to(losses, (count, 1, len(losses)))
        return Columns(parts**-self.alphas - 1.0, annealed.T - self.end_annealing_sums, shown)

    def of_shapes(self, columns: Columns) -> tuple[Floats, Floats]:
        """Return z and y + G D of every shape, each told from the end, (c, a, r, k, n); 1 where all shapes share it.

        Both are linear in the columns, so that of a difference of columns it is the difference.
        """
        powers, decayed = _of_memories(columns.powers, columns.annealed), columns.annealed[:, None, None, :, :]
        return powers - self.ratios * decayed, columns.losses[:, :, None, None, :] + self.gains * decayed


@final
class LineFit(NamedTuple):
    """For t sets of weights the line through the means of z and y of every shape, and how well it is known.

    Attributes:
        log_weights: of the shapes, up to half the logarithm of `precision`; shape (c, a, r, k, t), as of all below,
            with 1 where all shapes share it. means: of the columns, which the lines go through, n being t.
        slope: of the lines; known to the precision `spread`. precision: of a line at the means, (c, 1, 1, 1, t); its
            error is independent of that of the slope.
    """

    log_weights: Floats
    means: Columns
    slope: Floats
    spread: Floats
    precision: Floats


def _of_memories(of_exponents: Floats, of_memories: Floats) -> Floats:
    """Repeat numbers (c, a, t) for each memory of (c, k, t): (c, a, 1, k, t).

    Written out, for numpy takes two axes as one where no number of either is repeated, and five times as long else.
    """
    return np.repeat(of_exponents[:, :, None, None, :], of_memories.shape[1], axis=3)


def fit_lines(stack: Stack, columns: Columns, w: Floats, scale: float) -> LineFit:
    """Fit (P, A) to rows with t sets of precisions, `w` of shape (c, n, t); their losses are less by `scale`.

    The moments of z and y of all shapes are made of few sums over the rows, for no sum has a ratio or a gain in it.
    """
    # what is known of P is one more row, at the end, where z and D are nothing
    known, loss = stack.end_precision, stack.end_loss - scale
    total = w.sum(axis=1, keepdims=True) + known
    products = columns.products() @ w
    products[:, -1:] += known * loss**2
    powers, annealed, losses = (column @ w for column in columns)
    means = Columns(powers / total, annealed / total, (losses + known * loss) / total)
    moments = products - total * means.products()
    a, k = powers.shape[1], annealed.shape[1]
    ends = np.cumsum([a, a * k, k, a, k]).tolist()
    pp, pd, dd, py, dy, yy = (moments[:, i:j] for i, j in zip([0, *ends], [*ends, None], strict=True))
    pp, py = _of_memories(pp, dd) + stack.remaining_precision, _of_memories(py, dd)
    dd, dy, yy = dd[:, None, None, :, :], dy[:, None, None, :, :], yy[:, None, None, :, :]
    pd = pd.reshape(len(pd), a, 1, k, total.shape[-1])
    ratios, gains = stack.ratios, stack.gains
    spread = pp + ratios * (ratios * dd - 2.0 * pd)
    together = (py + stack.remaining * stack.remaining_precision + gains * pd) - ratios * (dy + gains * dd)
    slope = together / spread
    rest = together * slope - (yy + gains * (2.0 * dy + gains * dd)) - np.log(spread)
    evidence = 0.5 * rest + (stack.log_weights + stack.log_prior)
    # a curve that rises as the run walks on is not of this law; if none fits, all shapes stay
    if not slope.min() > 0.0:
        falling = (slope > 0.0) & np.isfinite(stack.log_weights)
        falling |= ~falling.any(axis=(1, 2, 3), keepdims=True)
        evidence = np.where(falling, evidence, -np.inf)
    return LineFit(evidence, means, slope, spread, total[:, None, None, :, :])

"""What the loss curve so far says about the annealing law, and the law about the rest of the curve.

Given its shape h = (alpha, rho, memory), the annealing law is a straight line,

    y = P + A z_h(s),    z_h(s) = x_h(s) - x_h(end),    x_h(s) = u(s)^-alpha - rho D_h(s),    u = S / S(end)

with P the loss at the planned end and A [nats/token] what the walk from here on still has to give. So for
every shape on a grid the posterior of (P, A) under a Gaussian prior is a 2 x 2 solve, shapes are weighted
by how well they explain the curve, and the forecast is the mixture. Nothing is iterated, nothing can fail
to converge, and the cost is the same at every step of the run.

Why blocks further back count less: the law is a good description of a stretch of the curve, not of all of
it (early descent, warm-up, phase changes), so its misfit grows with the distance in log S.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import final

import numpy as np
from numpy.typing import NDArray

__all__ = ["LawPosterior", "Mixture", "ShapePrior", "posterior"]

Floats = NDArray[np.float64]

#: Relative misfit of the law on the newest block, from whole-curve fits of public runs (0.02 to 0.6 %).
MISFIT = 0.003
#: Misfit variance grows as (S now / S then)^this.
MISFIT_GROWTH = 4.75
#: S / S(end) before which a curve is drawn level: no law holds there, and a steep one leaves the floats.
LEAST_WALK = 1e-4
#: Points that stand for each Gaussian of the mixture when quantiles are taken.
_NODES = np.array([NormalDist().inv_cdf((k + 0.5) / 15) for k in range(15)])


@final
@dataclass(frozen=True, slots=True, eq=False)
class ShapePrior:
    """A grid of shapes with the prior of each, and the Gaussian prior of (P, A).

    Attributes:
        alphas: exponents, shape (a,).
        ratios: rho, gain of a full decay over A, shape (r,).
        memories: memories of the decay [steps], shape (k,).
        log_weights: log prior of each shape, shape (a, r, k), up to a constant.
        end_loss: mean and sd of P [nats/token]; None where nothing is known before the run.
        remaining: mean and sd of A [nats/token].
    """

    alphas: Floats
    ratios: Floats
    memories: Floats
    log_weights: Floats
    end_loss: tuple[float, float] | None
    remaining: tuple[float, float]

    def regressors(self, walked: Floats, annealed: Floats) -> Floats:
        """Return x_h, shape (n, a, r, k), at S / S(end) = `walked` (n,) with D = `annealed` (n, k)."""
        power: Floats = np.maximum(walked, LEAST_WALK)[:, None] ** -self.alphas[None, :]
        gained: Floats = self.ratios[None, None, :, None] * annealed[:, None, None, :]
        x: Floats = power[:, :, None, None] - gained
        return x


@final
@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """A weighted set of Gaussians for one quantity.

    Attributes:
        means: shape (h,). sds: shape (h,). weights: shape (h,), summing to 1.
    """

    means: Floats
    sds: Floats
    weights: Floats

    def quantiles(self, levels: Floats) -> Floats:
        """Return the quantiles at `levels`, shape (q,), each in (0, 1)."""
        points = (self.means[:, None] + self.sds[:, None] * _NODES[None, :]).ravel()
        weights = np.repeat(self.weights / len(_NODES), len(_NODES))
        order = np.argsort(points)
        cumulated = np.cumsum(weights[order]) - 0.5 * weights[order]
        values: Floats = np.interp(levels, cumulated, points[order])
        return values

    def drawn_in(self, share: float) -> Mixture:
        """Return it drawn in about its median to `share` of its width."""
        middle = float(self.quantiles(np.array([0.5]))[0])
        return Mixture(middle + share * (self.means - middle), share * self.sds, self.weights)

    @property
    def mean(self) -> float:
        """Mean of the mixture."""
        return float(self.weights @ self.means)

    @property
    def sd(self) -> float:
        """Standard deviation of the mixture."""
        mean = self.mean
        return float(np.sqrt(self.weights @ (self.sds**2 + (self.means - mean) ** 2)))


@final
@dataclass(frozen=True, slots=True, eq=False)
class LawPosterior:
    """Posterior of (P, A) for every shape; h shapes.

    Attributes:
        prior: the prior that was updated.
        weights: posterior weight of each shape, shape (h,).
        end_loss, remaining: posterior means of P and A, shape (h,).
        covariance: of (P, A), shape (h, 2, 2) as its three entries var P, cov, var A: shape (3, h).
        end_regressor: x_h(end), shape (h,).
        misfit: sd of the law's own error [nats/token].
        annealed: D of the newest block, shape (k,).
        gain_error: error of what is gained by a full decay from there on [nats/token].
    """

    prior: ShapePrior
    weights: Floats
    end_loss: Floats
    remaining: Floats
    covariance: Floats
    end_regressor: Floats
    misfit: float
    annealed: Floats
    gain_error: float

    def at(self, walked: Floats, annealed: Floats) -> list[Mixture]:
        """Return the loss at S / S(end) = `walked` (n,), D = `annealed` (n, k), one mixture a point."""
        z = self.prior.regressors(walked, annealed).reshape(len(walked), -1) - self.end_regressor
        means = self.end_loss + self.remaining * z
        var_p, cov, var_a = self.covariance
        to_come = np.broadcast_to(
            (annealed - self.annealed)[:, None, None, :], (len(walked), *self.prior.log_weights.shape)
        )
        unknown = self.misfit**2 + (self.gain_error * to_come.reshape(len(walked), -1)) ** 2
        sds = np.sqrt(np.maximum(var_p + 2 * cov * z + var_a * z**2, 0.0) + unknown)
        return [Mixture(mean, sd, self.weights) for mean, sd in zip(means, sds, strict=True)]


def posterior(
    prior: ShapePrior,
    walked: Floats,
    annealed: Floats,
    losses: Floats,
    noise: Floats,
    end: tuple[float, Floats],
    misfit: float = MISFIT,
    gain_error: float = 0.0,
) -> LawPosterior:
    """Update `prior` with a curve.

    Args:
        prior: shapes and the prior of (P, A).
        walked: S / S(end) of each block, shape (n,), positive; n may be 0 if the prior knows P.
        annealed: D of each block, shape (n, k).
        losses: mean loss of each block [nats/token], shape (n,).
        noise: relative sd of each block's mean from batch noise, shape (n,).
        end: S / S(end) and D, shape (k,), of the step that is forecast.
        misfit: relative sd of the law's own error on the newest block.
        gain_error: sd of the gain of a full decay that is still to come, as a part of the loss.
    """
    end_x = prior.regressors(np.array([end[0]]), end[1][None, :]).ravel()
    log_weights = prior.log_weights.ravel()
    mean_a, sd_a = prior.remaining
    mean_p, precision_p = (0.0, 0.0) if prior.end_loss is None else (prior.end_loss[0], prior.end_loss[1] ** -2)
    precision_a = sd_a**-2
    scale = float(losses[-1]) if len(losses) else mean_p
    if len(losses):
        z = prior.regressors(walked, annealed).reshape(len(walked), -1) - end_x
        variance = (noise**2 + misfit**2 * (walked[-1] / walked) ** MISFIT_GROWTH) * losses**2
        w = 1.0 / variance
        s0, s1, s2 = w.sum(), w @ z, w @ z**2
        t0, t1, t2 = w @ losses, (w * losses) @ z, w @ losses**2
    else:
        s0 = t0 = t2 = 0.0
        s1 = s2 = t1 = np.zeros_like(end_x)
    lam_pp, lam_pa, lam_aa = s0 + precision_p, s1, s2 + precision_a
    b_p, b_a = t0 + precision_p * mean_p, t1 + precision_a * mean_a
    determinant = lam_pp * lam_aa - lam_pa**2
    p = (lam_aa * b_p - lam_pa * b_a) / determinant
    a = (lam_pp * b_a - lam_pa * b_p) / determinant
    explained = p * b_p + a * b_a
    rest = t2 + precision_p * mean_p**2 + precision_a * mean_a**2 - explained
    evidence = log_weights - 0.5 * rest - 0.5 * np.log(determinant)
    # a curve that rises as the run walks on is not of this law; if none fits, all shapes stay
    falling = a > 0
    if falling.any():
        evidence = np.where(falling, evidence, -np.inf)
    weights = np.exp(evidence - evidence.max())
    return LawPosterior(
        prior=prior,
        weights=weights / weights.sum(),
        end_loss=p,
        remaining=a,
        covariance=np.stack([lam_aa / determinant, -lam_pa / determinant, lam_pp / determinant]),
        end_regressor=end_x,
        misfit=misfit * scale,
        annealed=annealed[-1] if len(losses) else np.zeros(len(prior.memories)),
        gain_error=gain_error * scale,
    )

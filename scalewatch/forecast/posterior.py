"""What the loss curve so far says about the annealing law, and the law about the rest of the curve.

Given its shape h = (alpha, rho, memory), the annealing law is a straight line,

    y = P + A z_h(s) - G (D_h(s) - D_h(end)),    z_h(s) = x_h(s) - x_h(end),
    x_h(s) = u(s)^-alpha - rho D_h(s),    u = S / S(end)

with P the loss at the planned end and A [nats/token] what the walk from here on still has to give. A full decay
gives rho A where it goes with the walk (Tissue et al. 2024), or G where it is told by itself. So for
every shape on a grid the posterior of (P, A) under a Gaussian prior is a 2 x 2 solve, shapes are weighted
by how well they explain the curve, and the forecast is the mixture. Nothing is iterated, nothing can fail
to converge, and the cost is the same at every step of the run.

Why blocks further back count less: the law is a good description of a stretch of the curve, not of all of
it (early descent, warm-up, phase changes), so its misfit grows with the distance in log S.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

__all__ = ["LawPosterior", "Mixture", "ShapePrior", "posterior", "predict_ahead"]

Floats = NDArray[np.float64]

#: Relative misfit of the law on the newest block, from whole-curve fits of public runs (0.02 to 0.6 %). Chosen with the
#: prior of candidates.py on the runs of tests/benchmarks/forecast.py.
MISFIT = 0.003
#: Misfit variance grows as (S now / S then)^this. Chosen on the same runs (tests/benchmarks/forecast.py).
MISFIT_GROWTH = 4.75
#: S / S(end) before which a curve is drawn level: no law holds there, and a steep one leaves the floats. By hand.
LEAST_WALK = 1e-4
#: Shapes that weigh less than this over the heaviest are left out of a quantile: hundreds of them are a percent.
#: By hand.
LEAST_WEIGHT = 1e-5
#: Points that stand for each Gaussian of the mixture when quantiles are taken: its quantiles at 1/30, 3/30 ... 29/30,
#: written down because `statistics` takes a tenth of the time of `import scalewatch`. By definition.
_UPPER = (
    *(0.1678940047881054, 0.34069482708779536, 0.5244005127080407, 0.7279132908816445),
    *(0.9674215661017014, 1.2815515655446008, 1.8339146358159142),
)
_NODES = np.array([-node for node in reversed(_UPPER)] + [0.0, *_UPPER])


@final
@dataclass(frozen=True, slots=True, eq=False)
class ShapePrior:
    """A grid of shapes with the prior of each, and the Gaussian prior of (P, A).

    Attributes:
        alphas: exponents, shape (a,).
        ratios: rho, gain of a full decay over A, shape (r,).
        gains: G, gain of a full decay that A does not tell [nats/token], shape (r,).
        memories: memories of the decay [steps], shape (k,).
        log_weights: log prior of each shape, shape (a, r, k), up to a constant.
        end_loss: mean and sd of P [nats/token]; None where nothing is known before the run.
        remaining: mean and sd of A [nats/token].
    """

    alphas: Floats
    ratios: Floats
    gains: Floats
    memories: Floats
    log_weights: Floats
    end_loss: tuple[float, float] | None
    remaining: tuple[float, float]

    def regressors(self, walked: Floats, annealed: Floats) -> Floats:
        """Return x_h, shape (n, h) for h shapes, at S / S(end) = `walked` (n,) with D = `annealed` (n, k)."""
        power: Floats = np.maximum(walked, LEAST_WALK)[:, None] ** -self.alphas[None, :]
        gained: Floats = self.ratios[None, None, :, None] * annealed[:, None, None, :]
        x: Floats = power[:, :, None, None] - gained
        return x.reshape(len(walked), self.log_weights.size)

    def gained(self, annealed: Floats) -> Floats:
        """Return G D, shape (n, h) for h shapes [nats/token], at D = `annealed` (n, k)."""
        each = self.gains[None, None, :, None] * annealed[:, None, None, :]
        spread: Floats = np.broadcast_to(each, (len(annealed), *self.log_weights.shape))
        return spread.reshape(len(annealed), self.log_weights.size)


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
        values: Floats = np.interp(levels, *self.cumulated())
        return values

    def cumulated(self) -> tuple[Floats, Floats]:
        """Return levels, shape (p,), rising, and the quantile at each: between them it is taken straight."""
        heavy = self.weights > LEAST_WEIGHT * self.weights.max()
        points = (self.means[heavy, None] + self.sds[heavy, None] * _NODES[None, :]).ravel()
        weights = np.repeat(self.weights[heavy] / (self.weights[heavy].sum() * len(_NODES)), len(_NODES))
        order = np.argsort(points)
        cumulated = np.cumsum(weights[order]) - 0.5 * weights[order]
        return cumulated, points[order]

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
        end_regressor: x_h(end), shape (h,). end_gained: G D(end), shape (h,) [nats/token].
        log_evidence: log density of the curve under this law: the product of how well each stretch was predicted from
            those before it. Up to a constant that all laws of the curve share.
        misfit: sd of the law's own error [nats/token].
        annealed: D of the newest block, shape (k,).
        gain_error: error of what is gained by a full decay from there on [nats/token].
        now: the curve at the newest block, shape (h,) [nats/token]; nan before there is one.
        fall_error: error of what is still to fall from there, as a part of it.
    """

    prior: ShapePrior
    weights: Floats
    end_loss: Floats
    remaining: Floats
    covariance: Floats
    end_regressor: Floats
    end_gained: Floats
    log_evidence: float
    misfit: float
    annealed: Floats
    gain_error: float
    now: Floats
    fall_error: float

    def with_fall_error(self, fall_error: float) -> LawPosterior:
        """Return it with another error of what is still to fall, as a part of it."""
        return replace(self, fall_error=fall_error)

    def at(self, walked: Floats, annealed: Floats) -> list[Mixture]:
        """Return the loss at S / S(end) = `walked` (n,), D = `annealed` (n, k), one mixture a point."""
        z = self.prior.regressors(walked, annealed) - self.end_regressor
        means = self.end_loss + self.remaining * z - (self.prior.gained(annealed) - self.end_gained)
        var_p, cov, var_a = self.covariance
        to_come = np.broadcast_to(
            (annealed - self.annealed)[:, None, None, :], (len(walked), *self.prior.log_weights.shape)
        )
        unknown = self.misfit**2 + (self.gain_error * to_come.reshape(len(walked), -1)) ** 2
        unknown += (self.fall_error * np.fmax(self.now - means, 0.0)) ** 2
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
    fall_error: float = 0.0,
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
        fall_error: sd of what is still to fall from the newest block on, as a part of it.
    """
    end_x = prior.regressors(np.array([end[0]]), end[1][None, :])
    end_gained = prior.gained(end[1][None, :])
    z = prior.regressors(walked, annealed) - end_x
    targets = losses[:, None] + prior.gained(annealed) - end_gained
    known = len(losses) > 0
    scale = float(losses[-1]) if known else (0.0 if prior.end_loss is None else prior.end_loss[0])
    variance = np.zeros(0) if not known else _variance(walked, losses, noise, misfit, walked[-1])
    solved = _solve(prior, z, targets, 1.0 / variance[None, :])
    weights = np.exp(solved.log_weights[0] - solved.log_weights[0].max())
    normal = float(np.log(weights.sum()) + solved.log_weights[0].max() - 0.5 * np.log(variance).sum())
    newest = prior.gained(annealed[-1:])[0] - end_gained[0] if known else 0.0
    return LawPosterior(
        prior=prior,
        weights=weights / weights.sum(),
        end_loss=solved.end_loss[0],
        remaining=solved.remaining[0],
        covariance=solved.covariance[:, 0],
        end_regressor=end_x[0],
        end_gained=end_gained[0],
        log_evidence=normal,
        misfit=misfit * scale,
        annealed=annealed[-1] if known else np.zeros(len(prior.memories)),
        gain_error=gain_error * scale,
        now=solved.end_loss[0] + solved.remaining[0] * z[-1] - newest if known else np.full(z.shape[1], math.nan),
        fall_error=fall_error,
    )


def predict_ahead(
    prior: ShapePrior,
    walked: Floats,
    annealed: Floats,
    losses: Floats,
    noise: Floats,
    known: NDArray[np.int64],
    asked: NDArray[np.int64],
    end_annealing_sum: Floats,
    misfit: float,
    fall_error: float = 0.0,
) -> tuple[Floats, Floats]:
    """Return (mean, sd) of blocks [nats/token], shape (t,), each forecast from the blocks before it.

    Args:
        prior, walked, annealed, losses, noise, misfit, fall_error: as in `posterior`.
        known: how many of the first blocks each forecast rests on, shape (t,), positive.
        asked: which block each is of, shape (t,).
        end_annealing_sum: D at the planned end, shape (k,).
    """
    z = prior.regressors(walked, annealed) - prior.regressors(np.ones(1), end_annealing_sum[None, :])
    gained = prior.gained(annealed) - prior.gained(end_annealing_sum[None, :])
    newest = walked[known - 1]
    precision = 1.0 / _variance(walked[None, :], losses[None, :], noise[None, :], misfit, newest[:, None])
    precision = np.where(np.arange(len(walked))[None, :] < known[:, None], precision, 0.0)
    solved = _solve(prior, z, losses[:, None] + gained, precision)
    weights = np.exp(solved.log_weights - solved.log_weights.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    at = z[asked]
    means = solved.end_loss + solved.remaining * at - gained[asked]
    var_p, cov, var_a = solved.covariance
    fall = solved.remaining * (z[known - 1] - at) + gained[asked] - gained[known - 1]
    variances = np.maximum(var_p + 2.0 * cov * at + var_a * at**2, 0.0) + (fall_error * np.maximum(fall, 0.0)) ** 2
    mean = (weights * means).sum(axis=1)
    variance = (weights * (variances + (means - mean[:, None]) ** 2)).sum(axis=1)
    return mean, np.sqrt(variance + (misfit * losses[known - 1]) ** 2)


def _variance(walked: Floats, losses: Floats, noise: Floats, misfit: float, newest: float | Floats) -> Floats:
    """What a block may be off by, as seen from `newest`: batch noise, and a misfit that grows on the way back."""
    variance: Floats = (noise**2 + misfit**2 * np.maximum(newest / walked, 1.0) ** MISFIT_GROWTH) * losses**2
    return variance


class _Solved(NamedTuple):
    """Posteriors of (P, A) for t sets of weights and h shapes: each (t, h), the covariance's entries (3, t, h)."""

    log_weights: Floats
    end_loss: Floats
    remaining: Floats
    covariance: Floats


def _solve(prior: ShapePrior, z: Floats, y: Floats, w: Floats) -> _Solved:
    """Update (P, A) with losses `y` at `z`, each (n, h), for each row of the precisions `w`, (t, n)."""
    mean_a, sd_a = prior.remaining
    mean_p, sd_p = (0.0, math.inf) if prior.end_loss is None else prior.end_loss
    precision_p, precision_a = sd_p**-2, sd_a**-2
    s0, s1, s2 = w.sum(axis=1)[:, None], w @ z, w @ z**2
    t0, t1, t2 = w @ y, w @ (y * z), w @ y**2
    lam_pp, lam_pa, lam_aa = s0 + precision_p, s1, s2 + precision_a
    b_p, b_a = t0 + precision_p * mean_p, t1 + precision_a * mean_a
    determinant = lam_pp * lam_aa - lam_pa**2
    p = (lam_aa * b_p - lam_pa * b_a) / determinant
    a = (lam_pp * b_a - lam_pa * b_p) / determinant
    rest = t2 + precision_p * mean_p**2 + precision_a * mean_a**2 - p * b_p - a * b_a
    # of the priors of P and A a part that is the same for all shapes, and not for all laws
    prior_weight = np.log(precision_a) + (0.0 if prior.end_loss is None else np.log(precision_p))
    shape = prior.log_weights.ravel() - np.logaddexp.reduce(prior.log_weights.ravel())
    evidence = shape - 0.5 * rest - 0.5 * np.log(determinant) + 0.5 * prior_weight
    # a curve that rises as the run walks on is not of this law; if none fits, all shapes stay
    falling = (a > 0) & np.isfinite(shape)
    evidence = np.where(falling | ~falling.any(axis=1, keepdims=True), evidence, -np.inf)
    covariance = np.stack([lam_aa / determinant, -lam_pa / determinant, lam_pp / determinant])
    return _Solved(evidence, p, a, covariance)

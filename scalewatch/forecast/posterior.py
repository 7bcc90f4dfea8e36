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
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from scalewatch.forecast.line_fit import Stack, fit_lines
from scalewatch.forecast.mixture import Mixture
from scalewatch.forecast.shape_prior import Asked, ShapePrior

__all__ = ["LawPosterior", "posteriors", "predict_ahead"]

Floats = NDArray[np.float64]

#: Misfit variance grows as (S now / S then)^this. Chosen on the same runs (tests/benchmarks/forecast.py).
MISFIT_GROWTH = 4.75


@final
@dataclass(frozen=True, slots=True, eq=False)
class LawPosterior:
    """Posterior of (P, A) for every shape; h shapes.

    Attributes:
        prior: the prior that was updated.
        weights: posterior weight of each shape, shape (h,).
        end_loss, remaining: posterior means of P and A, shape (h,).
        covariance: of (P, A), shape (h, 2, 2) as its three entries var P, cov, var A: shape (3, h).
        end_annealing_sum: D at the planned end, shape (k,).
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
    end_annealing_sum: Floats
    log_evidence: float
    misfit: float
    annealed: Floats
    gain_error: float
    now: Floats
    fall_error: float

    def with_fall_error(self, fall_error: float) -> LawPosterior:
        """Return it with another error of what is still to fall, as a part of it."""
        return replace(self, fall_error=fall_error)

    @property
    def end_regressor(self) -> Floats:
        """x_h at the planned end, shape (h,)."""
        end: Floats = self.prior.regressors(np.ones(1), self.end_annealing_sum[None, :])[0]
        return end

    def at_end(self) -> Mixture:
        """Return the loss at the planned end, which is where S and D are told from."""
        to_come = self.end_annealing_sum - self.annealed
        gained = np.broadcast_to(self.gain_error * to_come, self.prior.log_weights.shape).ravel()
        fall = self.fall_error * np.fmax(self.now - self.end_loss, 0.0)
        return Mixture(self.end_loss, np.sqrt(self.covariance[0] + self.misfit**2 + gained**2 + fall**2), self.weights)

    def at(self, walked: Floats, annealed: Floats) -> list[Mixture]:
        """Return the loss at S / S(end) = `walked` (n,), D = `annealed` (n, k), one mixture a point."""
        z = self.prior.regressors(walked, annealed) - self.end_regressor
        from_end = self.prior.gained(annealed) - self.prior.gained(self.end_annealing_sum[None, :])
        means = self.end_loss + self.remaining * z - from_end
        var_p, cov, var_a = self.covariance
        to_come = np.broadcast_to(
            (annealed - self.annealed)[:, None, None, :], (len(walked), *self.prior.log_weights.shape)
        )
        unknown = self.misfit**2 + (self.gain_error * to_come.reshape(len(walked), -1)) ** 2
        unknown += (self.fall_error * np.fmax(self.now - means, 0.0)) ** 2
        sds = np.sqrt(np.maximum(var_p + 2 * cov * z + var_a * z**2, 0.0) + unknown)
        return [Mixture(mean, sd, self.weights) for mean, sd in zip(means, sds, strict=True)]


def posteriors(
    asked: Sequence[Asked], walked: Floats, annealed: Floats, losses: Floats, noise: Floats
) -> list[LawPosterior]:
    """Update the prior of each law with a curve, all at once: apart, the calls of numpy would be most of the time.

    Args:
        asked: the laws and futures.
        walked: S of each block, shape (n,), positive; n may be 0 if the priors know P.
        annealed: D of each block, shape (n, k).
        losses: mean loss of each block [nats/token], shape (n,).
        noise: relative sd of each block's mean from batch noise, shape (n,).
    """
    stack, count = Stack.of(asked), len(losses)
    scale = float(losses[-1]) if count else 0.0
    misfit = np.array([each.misfit for each in asked])
    variance = _variance(walked, losses, noise, misfit[:, None], walked[-1]) if count else np.zeros((len(asked), 0))
    columns = stack.columns(walked, annealed, losses - scale)
    fit = fit_lines(stack, columns, 1.0 / variance[:, :, None], scale)
    heaviest = fit.log_weights.max(axis=(1, 2, 3, 4), keepdims=True)
    weights = np.exp(fit.log_weights - heaviest)
    total = weights.sum(axis=(1, 2, 3, 4), keepdims=True)
    evidence = (np.log(total) + heaviest - 0.5 * np.log(fit.precision)).ravel() - 0.5 * np.log(variance).sum(axis=1)
    spread, slope = 1.0 / fit.spread, fit.slope
    middle, level = stack.of_shapes(fit.means)
    if count:
        z, gained = stack.of_shapes(columns.rows(slice(-1, None))._replace(losses=np.zeros((1, 1, 1))))
        now = level + slope * (z - middle) - gained + scale
    else:
        now = np.array(math.nan)
    parts = np.stack(
        np.broadcast_arrays(
            weights / total,
            level - slope * middle + scale,
            slope,
            now,
            1.0 / fit.precision + middle**2 * spread,
            -middle * spread,
            spread,
        )
    )
    found = []
    for place, each in enumerate(asked):
        a, r, k = each.prior.log_weights.shape
        shaped = parts[:, place, :a, :r, :k, 0].reshape(len(parts), -1)
        # before there is a row, the present is what is known of the end
        present = scale if count or each.prior.end_loss is None else each.prior.end_loss[0]
        found.append(
            LawPosterior(
                prior=each.prior,
                weights=shaped[0],
                end_loss=shaped[1],
                remaining=shaped[2],
                covariance=shaped[4:],
                end_annealing_sum=each.end_annealing_sum,
                log_evidence=float(evidence[place]),
                misfit=each.misfit * present,
                annealed=annealed[-1] if count else np.zeros(k),
                gain_error=each.gain_error * present,
                now=shaped[3],
                fall_error=each.fall_error,
            )
        )
    return found


def predict_ahead(
    asked: Asked,
    walked: Floats,
    annealed: Floats,
    losses: Floats,
    noise: Floats,
    known: NDArray[np.int64],
    blocks: NDArray[np.int64],
) -> tuple[Floats, Floats]:
    """Return (mean, sd) of blocks [nats/token], shape (t,), each forecast from the blocks before it.

    Args:
        asked: the law and the future. walked, annealed, losses, noise: as in `posteriors`.
        known: how many of the first blocks each forecast rests on, shape (t,), positive.
        blocks: which block each is of, shape (t,).
    """
    asked, annealed = _narrowed(asked, annealed)
    stack, scale = Stack.of([asked]), float(losses[-1])
    columns = stack.columns(walked, annealed, losses - scale)
    newest = walked[known - 1]
    precision = 1.0 / _variance(walked[:, None], losses[:, None], noise[:, None], asked.misfit, newest[None, :])
    precision[np.arange(len(walked))[:, None] >= known[None, :]] = 0.0
    fit = fit_lines(stack, columns, precision[None], scale)
    weights = fit.log_weights
    weights -= weights.max(axis=(1, 2, 3), keepdims=True)
    np.exp(weights, out=weights)
    total = weights.sum(axis=(0, 1, 2, 3))
    there = columns.rows(blocks)
    nothing = np.zeros((1, 1, 1))
    # what is forecast, from the means on that the lines go through, all of it small
    away, gained = stack.of_shapes(there.less(fit.means)._replace(losses=nothing))
    means = fit.slope * away - gained
    mean = _weighed(weights, means) / total
    apart = away**2 / fit.spread + means**2
    if asked.fall_error:
        fallen, gained = stack.of_shapes(columns.rows(known - 1).less(there)._replace(losses=nothing))
        fall = np.maximum(fit.slope * fallen - gained, 0.0)
        apart += (asked.fall_error * fall) ** 2
    variance = _weighed(weights, apart) / total - mean**2 + 1.0 / fit.precision.ravel()
    level = mean + fit.means.losses.ravel() + scale
    return level, np.sqrt(np.maximum(variance, 0.0) + (asked.misfit * losses[known - 1]) ** 2)


def _narrowed(asked: Asked, annealed: Floats) -> tuple[Asked, Floats]:
    """What is asked, and D, of those memories alone that any shape of the prior has."""
    prior = asked.prior
    kept = np.isfinite(prior.log_weights).any(axis=(0, 1))
    if kept.all():
        return asked, annealed
    prior = replace(prior, memories=prior.memories[kept], log_weights=prior.log_weights[:, :, kept])
    return asked._replace(prior=prior, end_annealing_sum=asked.end_annealing_sum[kept]), annealed[:, kept]


def _weighed(weights: Floats, values: Floats) -> Floats:
    """The sum over shapes, of shape (t,)."""
    summed: Floats = np.einsum("carkt,carkt->t", weights, np.broadcast_to(values, weights.shape))
    return summed


def _variance(walked: Floats, losses: Floats, noise: Floats, misfit: float | Floats, newest: float | Floats) -> Floats:
    """What a block may be off by, as seen from `newest`: batch noise, and a misfit that grows on the way back."""
    # a power of each, for one of every pair takes ten times as long
    grown = np.maximum(newest**MISFIT_GROWTH * walked**-MISFIT_GROWTH, 1.0)
    variance: Floats = (noise**2 + misfit**2 * grown) * losses**2
    return variance

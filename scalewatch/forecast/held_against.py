"""Holds a run against what was registered of it: the distance now, and the way it got there."""

from __future__ import annotations

import math

import numpy as np

from scalewatch.forecast.changepoint import classify_change
from scalewatch.forecast.law_residual import LawResidual
from scalewatch.forecast.preregistered import BaselineForecast
from scalewatch.laws import LossBlocks

__all__ = ["measure"]

#: Part of the run before which its distance to the law is not told: early descent follows no law.
GAP_FROM_SHARE = 0.05
#: Part of the run from which on stretches are compared with the law to tell how it was left.
COMPARED_FROM_SHARE = 0.1
#: Stretches of the curve that the distance is a mean over, a fifth of all steps so far: read off the newest one
#: alone, the token equivalent of a noisy run jumps by a tenth to a fifth from one stretch to the next.
SMOOTHED = 5
#: Two-sided 80 % of a Gaussian.
GAUSSIAN_80 = 1.2816


def measure(promise: BaselineForecast, blocks: LossBlocks, tokens_per_step: float | None) -> LawResidual | None:
    """Return how far `blocks` are off their promise now, None before the run has settled."""
    if not blocks.losses:
        return None
    steps, losses = np.array(blocks.mean_steps), np.array(blocks.losses)
    rows = np.array(blocks.rows, dtype=np.float64)
    first = max(float(promise.steps[0]), GAP_FROM_SHARE * promise.total_steps)
    if steps[-1] < first:
        return None
    keep = steps >= first
    steps, losses, rows = steps[keep], losses[keep], rows[keep]
    expected, factors = promise.at(steps)
    off, noise = losses - expected, losses * blocks.log_noise / np.sqrt(rows)
    newest = slice(-SMOOTHED, None)
    weights = rows[newest] / rows[newest].sum()
    nats, of_noise = float(weights @ off[newest]), float(np.sqrt(weights**2 @ noise[newest] ** 2))
    sd = float(np.sqrt(((weights @ factors[newest]) ** 2).sum()))
    at, level = float(steps[-1]), float(expected[-1])
    error = GAUSSIAN_80 * math.hypot(sd, of_noise)
    ratio, least, most = (promise.token_ratio(at, nats + way * error) for way in (0.0, 1.0, -1.0))
    late = steps >= COMPARED_FROM_SHARE * promise.total_steps
    shape = (promise.alpha, promise.wander, promise.freedom)
    return LawResidual(
        step=round(at),
        loss=level + nats,
        expected=level,
        sd=sd,
        noise=of_noise,
        token_ratio=ratio,
        tokens=None if tokens_per_step is None else tokens_per_step * round(at),
        token_range=None if least is None else (least, math.inf if most is None else most),
        freedom=promise.freedom,
        newest_nats=float(off[-1]),
        departure=classify_change(
            steps[late], promise.walk(steps[late]), off[late], expected[late], noise[late], factors[late], shape
        ),
    )

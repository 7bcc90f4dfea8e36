"""Makes the prediction that a run is held against, before its first step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scalewatch.forecast.forecast import Forecast
from scalewatch.forecast.posterior import LawPosterior
from scalewatch.forecast.preregistered import FACTORS, BaselineForecast
from scalewatch.forecast.schedule import AbstractSchedule
from scalewatch.laws import CurveLaw

__all__ = ["register"]

Floats = NDArray[np.float64]

#: Points of the table in equal ratios and in equal steps: early the curve bends, late the schedule may drop. By hand.
RATIO_POINTS, EQUAL_POINTS = 64, 64
#: Significant digits of what is kept: a hundred-thousandth of a loss is no promise. By hand.
DIGITS = 6
#: Level of the interval of the final loss that is kept. By hand.
LEVEL = 0.8
#: Part of a Gaussian within one sd of its mean. By definition.
ONE_SD = 0.6827


def register(forecast: Forecast, law: CurveLaw, schedule: AbstractSchedule) -> BaselineForecast:
    """Keep what `forecast`, made by `law` before the first step, expects of the run over its `schedule`."""
    first, total = float(forecast.grid()[0]), float(forecast.total_steps)
    equal = np.linspace(first, total, EQUAL_POINTS)
    steps = np.unique(np.concatenate([np.geomspace(first, total, RATIO_POINTS), equal]).round(2))
    losses, below, above = forecast.curve(steps, level=ONE_SD)
    future, posterior = forecast.likeliest
    lr_sum, annealing_sum = schedule.at(steps)
    lr_sum = np.maximum(lr_sum, 1e-9) / future.end_lr_sum
    values, vectors = np.linalg.eigh(_covariance(posterior, lr_sum, annealing_sum))
    factors = vectors[:, -FACTORS:] * np.sqrt(np.maximum(values[-FACTORS:], 0.0))
    # as wide as the interval that is shown: what calibrates that one calibrates this
    wide = 0.5 * (above - below) / np.maximum(np.sqrt((factors**2).sum(axis=1)), 1e-12)
    low, high = forecast.interval(LEVEL)
    told_apart = 1 if law.evidence.sizes[0] == law.evidence.sizes[1] else 2
    return BaselineForecast(
        total_steps=forecast.total_steps,
        final_loss=forecast.final_loss,
        low=low,
        high=high,
        alpha=law.shape.alpha,
        remaining=float(posterior.weights @ posterior.remaining),
        wander=law.scatter.run_log_sd,
        freedom=max(law.evidence.runs - told_apart + 1, 2),
        steps=steps,
        losses=_rounded(losses),
        lr_sums=_rounded(lr_sum),
        factors=_rounded(factors * wide[:, None]),
    )


def _covariance(posterior: LawPosterior, lr_sum: Floats, annealing_sum: Floats) -> Floats:
    """Covariance of the curve with itself under the mixture over shapes, shape (m, m) [nats^2/token^2]."""
    z = posterior.prior.regressors(lr_sum, annealing_sum) - posterior.end_regressor
    var_p, cov, var_a = posterior.covariance
    p, a, w = posterior.end_loss, posterior.remaining, posterior.weights
    curves = p + a * z
    away = curves - (curves @ w)[:, None]
    crossed = (z * (w * cov)) @ np.ones_like(z).T
    within = float(w @ var_p) + crossed + crossed.T + (z * (w * var_a)) @ z.T
    covariance: Floats = (away * w) @ away.T + within
    return covariance


def _rounded(values: Floats) -> Floats:
    return np.array([float(f"{v:.{DIGITS}g}") for v in values.ravel().tolist()]).reshape(values.shape)

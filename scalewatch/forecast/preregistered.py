"""The prediction that a run is held against: made before its first step, kept, and never made again.

A law may be fitted anew while a run goes on, and a run may be resumed on another machine without it. What was
promised at the start stays what was promised: it is a table of plain numbers, which goes into every checkpoint
and, once, into the journal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.errors import ConfigError
from scalewatch.forecast.forecast import Forecast
from scalewatch.forecast.posterior import LawPosterior
from scalewatch.forecast.schedule import AbstractSchedule
from scalewatch.journal.registered import REGISTERED
from scalewatch.laws import CurveLaw

__all__ = ["BaselineForecast", "register"]

Floats = NDArray[np.float64]

#: Points of the table in equal ratios and in equal steps: early the curve bends, late the schedule may drop.
RATIO_POINTS, EQUAL_POINTS = 64, 64
#: Ways in which the law's error can move the whole curve that are kept; the rest is below a hundredth of its sd.
FACTORS = 3
#: Significant digits of what is kept: a hundred-thousandth of a loss is no promise.
DIGITS = 6
#: Level of the interval of the final loss that is kept.
LEVEL = 0.8
#: Part of a Gaussian within one sd of its mean.
ONE_SD = 0.6827
#: Numbers of a table are no larger, and a table is no longer.
MOST_NUMBER, MOST_POINTS = 1e60, 1_024


@final
@dataclass(frozen=True, slots=True, eq=False)
class BaselineForecast:
    """What was expected of a whole run before it started.

    Attributes:
        total_steps: planned end. final_loss: median there [nats/token]; low, high: its 80 % interval.
        alpha: exponent of the law's walk; remaining: A, what the walk has left to give at the end [nats/token].
        wander: relative sd of the law's runs about it. freedom: degrees of freedom of that scatter.
        steps: shape (m,), rising. losses: expected there [nats/token]. walked: S / S(end) there.
        factors: shape (m, f): the law's error is a sum of f independent curves, one sd each [nats/token].
    """

    total_steps: int
    final_loss: float
    low: float
    high: float
    alpha: float
    remaining: float
    wander: float
    freedom: int
    steps: Floats
    losses: Floats
    walked: Floats
    factors: Floats

    def at(self, steps: ArrayLike) -> tuple[Floats, Floats]:
        """Return the expected loss, shape (n,), and the curves of its error, shape (n, f), at `steps`, shape (n,)."""
        wanted = np.atleast_1d(np.asarray(steps, dtype=np.float64))
        factors = [np.interp(wanted, self.steps, column) for column in self.factors.T]
        return np.interp(wanted, self.steps, self.losses), np.stack(factors, axis=1)

    def walk(self, steps: ArrayLike) -> Floats:
        """Return S / S(end) after `steps`, shape (n,)."""
        walked: Floats = np.interp(np.asarray(steps, dtype=np.float64), self.steps, self.walked)
        return walked

    def token_ratio(self, step: float, nats: float) -> float | None:
        """Return how many times its tokens a run needs by the law to be `nats` above it at `step`; None if none do.

        With k times the tokens of every step the law's L = P + A [u^-alpha - rho D] gives A u^-alpha (k^-alpha - 1)
        more (`laws/curve_law.py`), which is solved for k.
        """
        walked = float(self.walk([step])[0])
        power = 1.0 + nats / (self.remaining * walked**-self.alpha)
        if not power > 0.0:
            return None
        log_ratio = -math.log(power) / self.alpha
        return math.exp(log_ratio) if log_ratio < math.log(MOST_NUMBER) / 2 else None

    def record(self) -> dict[str, Any]:
        """Return it as plain numbers and lists, for a journal or a checkpoint; `from_record` takes it back."""
        return {
            "type": REGISTERED,
            "total_steps": self.total_steps,
            "final_loss": [self.final_loss, self.low, self.high],
            "law": [self.alpha, self.remaining, self.wander, self.freedom],
            "steps": self.steps.tolist(),
            "losses": self.losses.tolist(),
            "walked": self.walked.tolist(),
            "factors": self.factors.T.tolist(),
        }

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> BaselineForecast:
        """Take back what `record` gave.

        Raises:
            ConfigError: if it is no registered prediction.
        """
        # what a journal or a checkpoint holds may be anything
        try:
            final_loss, low, high = (float(v) for v in record["final_loss"])
            alpha, remaining, wander, freedom = (float(v) for v in record["law"])
            columns = [np.array(record[name], dtype=np.float64) for name in ("steps", "losses", "walked")]
            factors = np.array(record["factors"], dtype=np.float64)
            total = int(record["total_steps"])
        except (LookupError, TypeError, ValueError, OverflowError) as fault:
            raise ConfigError(
                f"`record` must be a registered prediction as a journal holds it (got {type(fault).__name__}: {fault})."
            ) from None
        steps, losses, walked = columns
        points = len(steps) if steps.ndim == 1 else 0
        numbers = np.concatenate(
            [[final_loss, low, high, alpha, remaining, wander, freedom], *(c.ravel() for c in (*columns, factors))]
        )
        whole = 2 <= points <= MOST_POINTS and losses.shape == walked.shape == steps.shape
        whole = whole and factors.ndim == 2 and factors.shape[1] == points and len(factors) <= FACTORS
        finite = bool(np.all(np.abs(numbers) < MOST_NUMBER))
        if not (whole and finite and min(alpha, remaining, losses.min(), walked.min(), np.diff(steps).min()) > 0):
            raise ConfigError("`record` must be a registered prediction as a journal holds it (its numbers are none).")
        return BaselineForecast(
            total_steps=total,
            final_loss=final_loss,
            low=low,
            high=high,
            alpha=alpha,
            remaining=remaining,
            wander=wander,
            freedom=max(int(freedom), 1),
            steps=steps,
            losses=losses,
            walked=walked,
            factors=factors.T,
        )


def register(forecast: Forecast, law: CurveLaw, schedule: AbstractSchedule) -> BaselineForecast:
    """Keep what `forecast`, made by `law` before the first step, expects of the run over its `schedule`."""
    first, total = float(forecast.grid()[0]), float(forecast.total_steps)
    equal = np.linspace(first, total, EQUAL_POINTS)
    steps = np.unique(np.concatenate([np.geomspace(first, total, RATIO_POINTS), equal]).round(2))
    losses, below, above = forecast.curve(steps, level=ONE_SD)
    future, posterior = forecast.likeliest
    walked, annealed = schedule.at(steps)
    walked = np.maximum(walked, 1e-9) / future.end_walked
    values, vectors = np.linalg.eigh(_covariance(posterior, walked, annealed))
    factors = vectors[:, -FACTORS:] * np.sqrt(np.maximum(values[-FACTORS:], 0.0))
    # as wide as the interval that is shown: what calibrates that one calibrates this
    wide = 0.5 * (above - below) / np.maximum(np.sqrt((factors**2).sum(axis=1)), 1e-12)
    low, high = forecast.interval(LEVEL)
    told_apart = 1 if law.sizes[0] == law.sizes[1] else 2
    return BaselineForecast(
        total_steps=forecast.total_steps,
        final_loss=forecast.final_loss,
        low=low,
        high=high,
        alpha=law.alpha,
        remaining=float(posterior.weights @ posterior.remaining),
        wander=law.run_log_sd,
        freedom=max(law.runs - told_apart + 1, 2),
        steps=steps,
        losses=_rounded(losses),
        walked=_rounded(walked),
        factors=_rounded(factors * wide[:, None]),
    )


def _covariance(posterior: LawPosterior, walked: Floats, annealed: Floats) -> Floats:
    """Covariance of the curve with itself under the mixture over shapes, shape (m, m) [nats^2/token^2]."""
    z = posterior.prior.regressors(walked, annealed) - posterior.end_regressor
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

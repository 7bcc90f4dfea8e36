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
from scalewatch.journal.registered import REGISTERED

__all__ = ["FINGERPRINT_LETTERS", "BaselineForecast"]

Floats = NDArray[np.float64]

#: Ways in which the law's error can move the whole curve that are kept; the rest is below a hundredth of its sd.
#: By hand.
FACTORS = 3
#: Letters of a fingerprint, a SHA-256 in hexadecimal. By definition.
FINGERPRINT_LETTERS = 64
#: Numbers of a table are no larger, and a table is no longer. By hand.
MOST_NUMBER, MOST_POINTS = 1e60, 1_024


@final
@dataclass(frozen=True, slots=True, eq=False)
class BaselineForecast:
    """What was expected of a whole run before it started.

    Attributes:
        total_steps: planned end. final_loss: median there [nats/token]; low, high: its 80 % interval.
        alpha: exponent of the law's walk; remaining: A, what the walk has left to give at the end [nats/token].
        wander: relative sd of the law's runs about it. freedom: degrees of freedom of that scatter.
        steps: shape (m,), rising. losses: expected there [nats/token]. lr_sums: S / S(end) there.
        factors: shape (m, f): the law's error is a sum of f independent curves, one sd each [nats/token].
        registered_as: fingerprint of the prediction file that it is from; "" if it was made as the run began.
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
    lr_sums: Floats
    factors: Floats
    registered_as: str = ""

    def at(self, steps: ArrayLike) -> tuple[Floats, Floats]:
        """Return the expected loss, shape (n,), and the curves of its error, shape (n, f), at `steps`, shape (n,)."""
        wanted = np.atleast_1d(np.asarray(steps, dtype=np.float64))
        factors = [np.interp(wanted, self.steps, column) for column in self.factors.T]
        return np.interp(wanted, self.steps, self.losses), np.stack(factors, axis=1)

    def lr_sum(self, steps: ArrayLike) -> Floats:
        """Return S / S(end) after `steps`, shape (n,)."""
        lr_sums: Floats = np.interp(np.asarray(steps, dtype=np.float64), self.steps, self.lr_sums)
        return lr_sums

    def token_ratio(self, step: float, nats: float) -> float | None:
        """Return how many times its tokens a run needs by the law to be `nats` above it at `step`; None if none do.

        With k times the tokens of every step the law's L = P + A [u^-alpha - rho D] gives A u^-alpha (k^-alpha - 1)
        more (`laws/curve_law.py`), which is solved for k.
        """
        lr_sum = float(self.lr_sum([step])[0])
        power = 1.0 + nats / (self.remaining * lr_sum**-self.alpha)
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
            "walked": self.lr_sums.tolist(),
            "factors": self.factors.T.tolist(),
            "registered_as": self.registered_as,
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
            total, known_as = int(record["total_steps"]), str(record.get("registered_as", ""))[:FINGERPRINT_LETTERS]
        except (LookupError, TypeError, ValueError, OverflowError) as fault:
            raise ConfigError(
                f"`record` must be a registered prediction as a journal holds it (got {type(fault).__name__}: {fault})."
            ) from None
        steps, losses, lr_sums = columns
        points = len(steps) if steps.ndim == 1 else 0
        numbers = np.concatenate(
            [[final_loss, low, high, alpha, remaining, wander, freedom], *(c.ravel() for c in (*columns, factors))]
        )
        whole = 2 <= points <= MOST_POINTS and losses.shape == lr_sums.shape == steps.shape
        whole = whole and factors.ndim == 2 and factors.shape[1] == points and len(factors) <= FACTORS
        finite = bool(np.all(np.abs(numbers) < MOST_NUMBER))
        if not (whole and finite and min(alpha, remaining, losses.min(), lr_sums.min(), np.diff(steps).min()) > 0):
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
            lr_sums=lr_sums,
            factors=factors.T,
            registered_as=known_as,
        )

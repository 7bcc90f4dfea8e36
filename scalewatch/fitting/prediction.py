"""Predictions and intervals of a fitted law, the same for a fit in memory and for its file."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError
from scalewatch.fitting.status import FitStatus, worst
from scalewatch.shown import card_of

__all__ = ["EXTRAPOLATION_SHARE", "MISSHAPEN_SHARE", "Evidence", "Prediction", "tail_of"]

#: Part of the fall in log loss over the fitted runs that a law misses for each e-fold of compute beyond, one standard
#: deviation: most likely for the held-out sizes of 15 public families (tests/benchmarks/held_out_sizes.py).
EXTRAPOLATION_SHARE = 0.14
#: The same of a law whose residuals have a shape: 0.35, 0.75 and 1.24 on the runs of Li et al. (2025) dearer than 60,
#: 80 and 93 % of them. By hand, between these; one family says no more.
MISSHAPEN_SHARE = 0.8
#: Compute past the largest fitted run from which a prediction says that it extrapolates. By hand.
FAR = 10.0


@final
@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a fitted law expects of other runs.

    Attributes:
        loss: [nats/token]. low, high: interval that holds the loss of one new run [nats/token]; 0 and inf where
            the fit is not usable. level: of the interval.
        status: OK, EXTRAPOLATES or what is wrong with the fit. notes: a sentence each.
    """

    loss: Floats
    low: Floats
    high: Floats
    level: float
    status: FitStatus
    notes: tuple[str, ...]

    _repr_html_ = card_of


@final
@dataclass(frozen=True, slots=True)
class Evidence:
    """What a prediction rests on.

    Attributes:
        status: of the fit. notes: the same with numbers.
        scale: sd of ln(loss) of a run about the law. freedom: runs less constants, 1 or more.
        fall_per_efold: how much ln(loss) fell for each e-fold of compute over the runs.
        most_flops: compute of the largest run [FLOP]. misshapen: whether the residuals of the fit have a shape.
    """

    status: FitStatus
    notes: tuple[str, ...]
    scale: float
    freedom: float
    fall_per_efold: float
    most_flops: float
    misshapen: bool = False

    def interval_of(self, draws: Floats, derived: Callable[[Floats], Floats], level: float) -> tuple[float, float]:
        """Return the interval of what `derived` makes of sets of constants, (b, q) -> (b,); not usable: -inf, inf.

        Raises:
            ConfigError: if `level` is not within (0, 1).
        """
        tail = tail_of(level)
        if not self.status.usable:
            return -math.inf, math.inf
        with np.errstate(all="ignore"):
            made = derived(draws)
        low, high = np.quantile(np.nan_to_num(made, nan=np.inf), [tail, 1 - tail], method="nearest")
        return float(low), float(high)

    def predict(
        self,
        middle: Floats,
        sets: Floats,
        log_flops: Floats,
        level: float,
        shape: Sequence[int],
        share: float | None = None,
    ) -> Prediction:
        """Return the prediction of new runs: what the constants leave open, the scatter of runs, and the distance.

        Args:
            middle: ln(loss) at the best constants, shape (m,). sets: the same for each draw, shape (b, m).
            log_flops: ln(6 N D) of the runs, shape (m,). level: of the interval. shape: of the prediction.
            share: part of the fall in log loss beyond the fitted runs that the law may miss, one sd; None for what
                public families say of such a fit.

        Raises:
            ConfigError: if `level` is not within (0, 1).
        """
        from scipy.special import stdtrit

        tail = tail_of(level)
        low, high = np.quantile(sets, [tail, 1 - tail], axis=0)
        beyond = np.maximum(log_flops - math.log(self.most_flops), 0.0)
        usual = MISSHAPEN_SHARE if self.misshapen else EXTRAPOLATION_SHARE
        missed = (usual if share is None else share) * self.fall_per_efold * beyond
        half = float(stdtrit(self.freedom, 1 - tail)) * np.hypot(self.scale, missed)
        low = middle - np.hypot(np.maximum(middle - low, 0.0), half)
        high = middle + np.hypot(np.maximum(high - middle, 0.0), half)
        status, notes = self.status, [*self.notes]
        if np.max(beyond) > math.log(FAR):
            status = worst([status, FitStatus.EXTRAPOLATES])
            notes.append(f"Extrapolates {math.exp(float(np.max(beyond))):.0f}x past the largest fitted run.")
        if not status.usable:
            low, high = np.full_like(middle, -np.inf), np.full_like(middle, np.inf)
        # far enough out the upper end is no float any more, and infinite is what it should say
        with np.errstate(over="ignore"):
            loss, below, above = (np.exp(v).reshape(shape)[()] for v in (middle, low, high))
        return Prediction(loss, below, above, level, status, tuple(notes))


def tail_of(level: float) -> float:
    """Return the probability outside an interval of `level`, on one side.

    Raises:
        ConfigError: if `level` is not within (0, 1).
    """
    if not 0 < level < 1:
        raise ConfigError(f"`level` must be above 0 and below 1 (got {level!r}): 0.8 holds four new runs in five.")
    return (1 - level) / 2

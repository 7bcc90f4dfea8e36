"""What a fit has to say about itself: an enum whose members are sentences of advice, and what finds them.

Why not an exception: a fit of weak data is still something to look at. What must not happen is that it
looks like any other, so a fit that is not `usable` gives no finite interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import final

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats

__all__ = ["FitStatus", "collinear", "not_independent", "outliers", "robust_sd", "scatter", "worst"]

#: Log residual beyond which a point may be an outlier: by hand, the worst of the 240 runs of Besiroglu et al. 2024 is
#: 0.05 off.
LEAST_OUTLIER = 0.06
#: The same in robust standard deviations of the residuals. By hand.
OUTLIER_SDS = 8.0
#: Spread of ln(tokens) about its line in ln(size) below which the two effects cannot be told apart. By hand.
LEAST_SPREAD = 0.1
#: Correlation of the residuals of one size above which its points are not independent. By hand.
MOST_CORRELATION = 0.5


@final
class FitStatus(StrEnum):
    """How far a fit can be trusted, and what to do; later members are worse."""

    OK = "The fit is sound: its starts agree and its constants lie within their bounds."
    SCATTERED = (
        "The runs scatter about the law more than runs of one recipe do: fit one recipe (data, tokenizer, schedule, "
        "tuning) at a time, without runs of few tokens per parameter, and trust no difference below this scatter."
    )
    EXTRAPOLATES = (
        "Extrapolates far past the largest fitted run; intervals are unreliable past 10x: train a run in between."
    )
    ONE_SCHEDULE = (
        "All curves follow one plan, so gain and floor are told apart by a prior alone; add a run with another "
        "schedule before comparing schedules."
    )
    NOT_MONOTONE = "The curve turns within the data: do not extrapolate its direction, and add points past the turn."
    FEW_POINTS = "Fewer than three points more than constants: the interval of a break is wide; add points about it."
    NOT_INDEPENDENT = (
        "Points not independent: those of one size err together; give `groups`, one label a run, so that the "
        "bootstrap draws runs and not points."
    )
    WRONG_SHAPE = (
        "The shape is wrong: what this law leaves rises with tokens per parameter at one end of the sizes and falls at "
        "the other, and grows beyond the runs. Foretell runs with `scalewatch fit TABLE --predict POINTS`, where a law "
        "whose data exponent moves with size competes."
    )
    OUTLIERS = (
        "Some runs lie far off the law: look at `outliers` (diverged, unfinished, another unit?) and leave out "
        "what does not belong."
    )
    BREAK_NOT_NEEDED = "A law with fewer breaks describes the points as well: use that one."
    FLOOR_AT_BOUND = (
        "The irreducible loss went to zero: the runs do not show one; trust no prediction far beyond them, or add "
        "runs of more compute."
    )
    SECOND_OPTIMUM = (
        "A second optimum is nearly as good: these runs do not settle the constants; add runs of other sizes and data "
        "(of curves: another schedule; of a break: points between its two places)."
    )
    AT_BOUND = "A constant sits on its bound: trust nothing unlike the fitted runs, and add runs that differ."
    NO_POINT_PAST_BREAK = (
        "No two points lie past the last break: only trust it with points past it; train a larger run, or use a law "
        "with fewer breaks."
    )
    NO_DROP = "No plan lowers its rate, so what a drop gains is unknown: predict constant-rate runs only."
    IMPRECISE = (
        "An exponent has a standard error of more than half its value: add runs that spread size and tokens "
        "further apart."
    )
    NOT_CONVERGED = "No start converged: look for constant or contradictory points, and refit."
    EXPONENT_AT_BOUND = (
        "The exponent sits on its bound; intervals are not meaningful: add runs of other sizes, or fix the exponent."
    )
    MISFIT = (
        "The law does not describe these runs, it is off by more than the 4 % that seeds alone can make: fit runs of "
        "one recipe, one tokenizer and one unit, and leave out those of few tokens per parameter (below 10)."
    )
    MIXED_UNITS = (
        "Two groups of losses lie a constant factor apart, as bits per byte and nats per token do: convert all to "
        "nats per token, or fit one group at a time."
    )
    COLLINEAR = (
        "Size and tokens rise together, so their effects cannot be told apart: add runs of other tokens per "
        "parameter, or fit a law of compute."
    )
    SIZES_EQUAL = "All sizes are equal, so the effect of size is unknown: add runs of other sizes."
    TOKENS_EQUAL = "All runs saw equally many tokens, so the effect of data is unknown: add longer or shorter runs."
    TOO_FEW_RUNS = "Too few runs for the constants of this law: add runs, or fit a law with fewer constants."

    @property
    def usable(self) -> bool:
        """Whether predictions of a fit with this status have finite intervals."""
        return _ORDER.index(self) < _ORDER.index(FitStatus.NOT_CONVERGED)


_ORDER = list(FitStatus)


def worst(statuses: Sequence[FitStatus]) -> FitStatus:
    """Return the worst of some statuses, OK if there is none."""
    return max(statuses, key=_ORDER.index, default=FitStatus.OK)


def robust_sd(residuals: Floats) -> float:
    """Return the standard deviation that the median of |residual| stands for (1.4826 times it)."""
    return float(1.4826 * np.median(np.abs(residuals)))


def outliers(residuals: Floats) -> NDArray[np.int64]:
    """Return the indices of points more than 8 robust sd and 6 % off, shape (k,)."""
    limit = max(LEAST_OUTLIER, OUTLIER_SDS * robust_sd(residuals))
    return np.flatnonzero(np.abs(residuals) > limit)


def scatter(residuals: Floats) -> float:
    """Return the mean |residual| of the runs that are no outliers."""
    return float(np.mean(np.abs(np.delete(residuals, outliers(residuals)))))


def collinear(log_size: Floats, log_tokens: Floats) -> bool:
    """Return whether ln(size) and ln(tokens) lie on a line, or nearly."""
    both = np.stack([log_size - log_size.mean(), log_tokens - log_tokens.mean()])
    return bool(np.linalg.svd(both, compute_uv=False)[-1] / np.sqrt(len(log_size)) < LEAST_SPREAD)


def not_independent(residuals: Floats, log_size: Floats) -> bool:
    """Return whether points of one size err together more than chance allows (intraclass correlation)."""
    _, label = np.unique(log_size, return_inverse=True)
    count = np.bincount(label)
    several = count[label] >= 3
    if several.sum() < 12 or len(np.unique(label[several])) < 3:
        return False
    r, label = residuals[several], np.unique(label[several], return_inverse=True)[1]
    count = np.bincount(label)
    mean = np.bincount(label, r) / count
    within = float(np.sum((r - mean[label]) ** 2) / (len(r) - len(count)))
    between = float(np.sum(count * (mean - r.mean()) ** 2) / (len(count) - 1))
    each = len(r) / len(count)
    return between > within and (between - within) / (between + (each - 1) * within) > MOST_CORRELATION

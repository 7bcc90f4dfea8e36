"""Several laws at once, weighted by how well each predicts larger runs from smaller ones.

Which law is right is not known, and which one fits the runs at hand best says little about the next decade of
compute: laws without an irreducible loss promise too much, laws with one too little. So each law is fitted to the
cheaper part of the runs and judged on the rest; the average weighs it by that, and how far the laws disagree is a
part of the interval.

    weight ~ 1 / (e^2 + e0^2 + e1^2),    e: mean of the held-out |ln(observed / predicted)|

with e0 the scatter of seeds and e1^2 = 5 median(e^2) / (10 + n), the median over the laws and n the held-out
points: as long as few points speak, no lucky law takes everything.

Why not the likelihood of the fit: all laws are misspecified, and with more points it picks one of them for good.

Source: Bates and Granger (1969), Operational Research Quarterly 20; rolling origin after Tashman (2000).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.errors import ConfigError, FitError
from scalewatch.laws.bootstrap import group_labels
from scalewatch.laws.families import FAMILIES, AbstractFamily, Points, read_points
from scalewatch.laws.fit import EXTRAPOLATION_SHARE as ALONE_SHARE
from scalewatch.laws.fit import Estimator, Fit, FittedLaw, Prediction, fit_family
from scalewatch.laws.fit_status import FitStatus, worst
from scalewatch.laws.size import Parameters

__all__ = ["LawAverage", "LawScore", "average_laws"]

Floats = NDArray[np.float64]

#: Parts of the runs, cheapest first, that a law is fitted to before it is judged on the rest.
ORIGINS = (0.7, 0.9)
#: Held-out error at which laws count as equally good: seeds differ by as much.
LEAST_ERROR = 0.003
#: Part of the middle law's squared error that every law is charged while nothing is held out, and how many
#: held-out points halve it.
SHARED_ERROR, SHARED_POINTS = 0.5, 10.0
#: Part of the fall in log loss beyond the fitted runs that a law misses, one sd: less than for a law alone, because
#: what the laws do not know shows in how far they are apart.
EXTRAPOLATION_SHARE = 0.03
#: Part of the standard deviation between the laws that counts as error of their average: they err on both sides.
SPREAD_SHARE = 0.45
#: Bounds of what held-out errors may do to the width of an interval.
WIDTH_RANGE = (0.6, 3.0)
#: What the width is before any held-out error is seen, and how many points that is worth.
PRIOR_POINTS = 10.0


@final
@dataclass(frozen=True, slots=True, eq=False)
class LawScore:
    """How a law did on larger runs than it was fitted to.

    Attributes:
        name: of the law. weight: its part in the average, in [0, 1]. held_out: held-out points, count.
        error: mean of |ln(observed / predicted)| there; nan if it could not be judged.
        fit: of all runs, None if there is none. why_not: why it has no weight, empty if it has.
    """

    name: str
    weight: float
    held_out: int
    error: float
    fit: Fit[FittedLaw] | None
    why_not: str


@final
@dataclass(frozen=True, slots=True, eq=False)
class LawAverage:
    """A weighted average of fitted laws.

    Attributes:
        scores: every law that was tried. width: factor on the interval from held-out errors.
        status: the worst of the laws with weight, or what left none. notes: a sentence each.
    """

    scores: tuple[LawScore, ...]
    width: float
    status: FitStatus
    notes: tuple[str, ...]

    def predict(self, size: Parameters, tokens: ArrayLike, level: float = 0.8) -> Prediction:
        """Predict the loss of new runs.

        The interval holds the middle of the laws' own intervals, and a part of how far the laws are apart.

        Args:
            size: parameters of the kind fitted. tokens: count; both broadcast. level: of the interval.

        Raises:
            ConfigError: if `size` counts something else, a number is not positive or `level` is not within (0, 1).
        """
        if not 0 < level < 1:
            raise ConfigError(f"`level` must be above 0 and below 1 (got {level!r:.80}).")
        heavy = [(s.weight, s.fit) for s in self.scores if s.fit is not None and s.weight]
        # a law alone has nobody to disagree with
        share = EXTRAPOLATION_SHARE if len(heavy) > 1 else ALONE_SHARE
        told = [(weight, fit.predict(size, tokens, level, extrapolation_share=share)) for weight, fit in heavy]
        return _combined(told, self.width, level, self.status, self.notes)


def _combined(
    told: Sequence[tuple[float, Prediction]],
    width: float,
    level: float,
    status: FitStatus,
    notes: tuple[str, ...],
) -> Prediction:
    from scipy.special import ndtri

    weight = np.array([w for w, _ in told]) / sum(w for w, _ in told)
    middles = np.log([p.loss for _, p in told])
    middle = np.tensordot(weight, middles, axes=1)
    apart = (
        float(ndtri(0.5 + level / 2)) * SPREAD_SHARE * np.sqrt(np.tensordot(weight, (middles - middle) ** 2, axes=1))
    )
    below = _weighted_median(middles - np.log([p.low for _, p in told]), weight)
    above = _weighted_median(np.log([p.high for _, p in told]) - middles, weight)
    far = tuple(n for n in told[0][1].notes if n.startswith("Extrapolates"))
    loss, low, high = (
        np.asarray(np.exp(v))[()]
        for v in (middle, middle - width * np.hypot(below, apart), middle + width * np.hypot(above, apart))
    )
    extrapolates = [FitStatus.EXTRAPOLATES] if far else []
    return Prediction(loss, low, high, level, worst([status, *extrapolates]), notes + far)


def _weighted_median(values: Floats, weight: Floats) -> Floats:
    """Return the weighted median over the first axis: one law that knows nothing does not widen the others."""
    order = np.argsort(values, axis=0)
    reached = np.cumsum(weight[order], axis=0) >= 0.5
    first = np.argmax(reached, axis=0)[None]
    return np.asarray(np.take_along_axis(np.take_along_axis(values, order, axis=0), first, axis=0)[0])


def average_laws(
    parameters: Parameters | ArrayLike,
    tokens: ArrayLike,
    loss: ArrayLike,
    *,
    families: Sequence[AbstractFamily] | None = None,
    estimator: Estimator = "huber",
    groups: ArrayLike | Sequence[object] | None = None,
) -> LawAverage:
    """Fit several laws, judge each on the larger of the runs, and average them.

    Args:
        parameters: shape (n,), a bare array counts as total. tokens: shape (n,), count. loss: shape (n,) [nats/token].
        families: laws to try, every one of `FAMILIES` if None. estimator: of the fits.
        groups: run of each point, shape (n,), where a run has several.

    Raises:
        FitError: if the input is no table of positive numbers, or no law can be fitted to it.
    """
    points = read_points(parameters, tokens, loss)
    labels = group_labels(groups, len(points))
    tried = list(FAMILIES.values()) if families is None else list(families)
    folds = _folds(points)
    fits = [_fit(family, points, estimator, labels) for family in tried]
    if all(isinstance(fit, str) or not fit.status.usable for fit in fits):
        why = "; ".join(f"{f.name}: {r if isinstance(r, str) else r.status}" for f, r in zip(tried, fits, strict=True))
        raise FitError(f"No law can be fitted to these runs: {why}")
    judged = [
        [] if isinstance(fit, str) or not fit.status.usable else _held_out(family, points, folds, estimator, labels)
        for family, fit in zip(tried, fits, strict=True)
    ]
    scores = _scored(tried, fits, judged, points, folds)
    return LawAverage(scores, _width(scores, judged, points, folds), *_state(scores))


def _folds(points: Points) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    order = np.argsort(points.log_flops, kind="stable")
    cuts = sorted({round(part * len(points)) for part in ORIGINS} & set(range(2, len(points))))
    return [(order[:cut], order[cut:]) for cut in cuts]


def _fit(
    family: AbstractFamily, points: Points, estimator: Estimator, labels: NDArray[np.int64]
) -> Fit[FittedLaw] | str:
    size = Parameters(np.exp(points.log_size), points.kind)
    try:
        return fit_family(
            family, size, np.exp(points.log_tokens), np.exp(points.log_loss), estimator=estimator, groups=labels
        )
    except FitError as fault:
        return str(fault)


def _held_out(
    family: AbstractFamily,
    points: Points,
    folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    estimator: Estimator,
    labels: NDArray[np.int64],
) -> list[tuple[int, Prediction]]:
    told = []
    for number, (small, large) in enumerate(folds):
        fit = _fit(family, points.take(small), estimator, labels[small])
        if isinstance(fit, str):
            continue
        rest = points.take(large)
        size, tokens = Parameters(np.exp(rest.log_size), rest.kind), np.exp(rest.log_tokens)
        told.append((number, fit.predict(size, tokens, extrapolation_share=EXTRAPOLATION_SHARE)))
    return told


def _errors(points: Points, rows: NDArray[np.int64], prediction: Prediction) -> Floats:
    return np.asarray(points.log_loss[rows] - np.log(prediction.loss))


def _scored(
    tried: Sequence[AbstractFamily],
    fits: Sequence[Fit[FittedLaw] | str],
    judged: Sequence[Sequence[tuple[int, Prediction]]],
    points: Points,
    folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> tuple[LawScore, ...]:
    off = np.full((len(tried), max(len(folds), 1)), np.nan)
    for law, told in enumerate(judged):
        for fold, prediction in told:
            error = _errors(points, folds[fold][1], prediction)
            off[law, fold] = float(np.mean(np.abs(error)))
    seen = np.isfinite(off).any(axis=1)
    # a fold in which a law could not be fitted counts as the middle of the other laws
    for column in off.T:
        known = np.isfinite(column)
        column[seen & ~known] = np.median(column[known]) if known.any() else np.nan
    usable = [not isinstance(fit, str) and fit.status.usable for fit in fits]
    # a law that fits and could not be judged, for want of runs, counts as the middle of those that could
    squared = np.array([np.nanmean(row**2) if ok else np.nan for row, ok in zip(off, seen, strict=True)])
    middle = float(np.nanmedian(squared)) if seen.any() else 0.0
    shared = SHARED_ERROR * middle * SHARED_POINTS / (SHARED_POINTS + sum(len(rows) for _, rows in folds))
    charged = np.where(seen, squared, middle) + LEAST_ERROR**2 + shared
    weight = np.where(usable, 1.0 / charged, 0.0)
    weight /= weight.sum()
    return tuple(
        LawScore(
            name=family.name,
            weight=float(weight[law]),
            held_out=sum(len(folds[fold][1]) for fold, _ in judged[law]),
            error=float(np.sqrt(squared[law])),
            fit=None if isinstance(fit, str) else fit,
            why_not="" if usable[law] else _why(fit),
        )
        for law, (family, fit) in enumerate(zip(tried, fits, strict=True))
    )


def _why(fit: Fit[FittedLaw] | str) -> str:
    return fit if isinstance(fit, str) else fit.status.value


def _width(
    scores: Sequence[LawScore],
    judged: Sequence[Sequence[tuple[int, Prediction]]],
    points: Points,
    folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> float:
    """Return the factor that would have made four held-out points in five lie inside, drawn towards 1."""
    ratios: list[float] = []
    for fold, (_, rows) in enumerate(folds):
        told = [
            (score.weight, prediction)
            for score, laws in zip(scores, judged, strict=True)
            for number, prediction in laws
            if number == fold and score.weight and np.all(np.isfinite(prediction.high))
        ]
        if not told:
            continue
        both = _combined(told, 1.0, 0.8, FitStatus.OK, ())
        error = _errors(points, rows, both)
        half = np.where(error > 0, np.log(both.high / both.loss), np.log(both.loss / both.low))
        ratios += (np.abs(error) / half).tolist()
    if not ratios:
        return 1.0
    own, known = float(np.quantile(ratios, 0.8)), min(len(ratios), PRIOR_POINTS)
    factor = math.sqrt((PRIOR_POINTS + known * own**2) / (PRIOR_POINTS + known))
    return min(max(factor, WIDTH_RANGE[0]), WIDTH_RANGE[1])


def _state(scores: Sequence[LawScore]) -> tuple[FitStatus, tuple[str, ...]]:
    heavy = [score.fit for score in scores if score.fit is not None and score.weight > 0.1]
    notes = [f"{score.name}: {score.why_not}" for score in scores if score.why_not]
    if sum(score.weight > 0 for score in scores) == 1:
        notes.append("Only one law could be fitted, so how far laws are apart is not known: add runs.")
    return worst([fit.status for fit in heavy]), tuple(notes)

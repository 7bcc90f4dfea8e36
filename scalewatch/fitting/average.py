"""Several laws at once, weighted by how well each predicts larger runs from smaller ones.

Which law is right is not known, and which one fits the runs at hand best says little about the next decade of
compute: laws without an irreducible loss promise too much, laws with one too little. So each law is fitted to the
cheaper part of the runs and judged on the rest (`scalewatch.fitting.model_error`), which gives the variance of its
error, and the average of ln(loss) weighs it by the inverse of that:

    weight ~ 1 / (k (scale^2 + (share g)^2)),    one e-fold of compute beyond the runs

the weights with the least variance for errors that are independent, as those of laws with and without a floor are.
What k is before a law is asked about any held-out run keeps few runs from giving everything to a lucky law.

At every point the error of the average is at most the weighted mean of the laws' errors, whatever the weights. That
it is no larger than the error of the median law is no theorem: it is measured (tests/benchmarks/held_out_sizes.py).

Why not the likelihood of the fit: all laws are misspecified, and with more points it picks one of them for good.

Source: Bates and Granger (1969), Operational Research Quarterly 20.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.errors import FitError
from scalewatch.fitting.averaged_law import AveragedLaw
from scalewatch.fitting.bootstrap import group_labels
from scalewatch.fitting.families import FAMILIES, AbstractFamily, Points, read_points
from scalewatch.fitting.model_error import (
    LEAST_SCATTER,
    HoldoutError,
    HoldoutPrediction,
    ModelError,
    average_holdout,
    law_holdout,
    rolling_origins,
)
from scalewatch.fitting.points import Estimator, FittedLaw, PointFit, fit_family
from scalewatch.fitting.prediction import Prediction, tail_of
from scalewatch.fitting.result import Fit
from scalewatch.fitting.status import FitStatus, worst
from scalewatch.laws.size import Parameters, count_for, positive

__all__ = ["LawAverage", "LawScore", "average_laws"]

LawFit = PointFit[FittedLaw]

#: Weight from which the status of a law is one of the average. By hand.
HEAVY = 0.1


@final
@dataclass(frozen=True, slots=True, eq=False)
class LawScore:
    """How a law did on larger runs than it was fitted to.

    Attributes:
        name: of the law. weight: its part in the average, in [0, 1]. held_out: held-out points, count.
        error: root mean square over the origins of the mean |ln(observed / predicted)|; nan if it was not judged.
        fit: of all runs, None if there is none. why_not: why it has no weight, empty if it has.
        k: factor on the variance of its errors, from those points. freedom: degrees of freedom of its interval.
        prior: what was expected before.
    """

    name: str
    weight: float
    held_out: int
    error: float
    fit: LawFit | None
    why_not: str
    k: float
    freedom: float
    prior: ModelError

    def predict(self, size: Parameters, tokens: ArrayLike, level: float = 0.8) -> Prediction:
        """Predict the loss of new runs by this law alone, as wide as its held-out errors say.

        Args:
            size: parameters of the kind fitted. tokens: count; both broadcast. level: of the interval.

        Raises:
            FitError: if the law could not be fitted.
            ConfigError: if `size` counts something else, a number is not positive or `level` is not within (0, 1).
        """
        if self.fit is None:
            raise FitError(f"The {self.name} law has no fit to predict with: {self.why_not}")
        prediction, plain, shape = _by_law(self.fit, size, tokens, level)
        return _prediction(prediction, self, level, shape, plain, self.fit.status, plain.notes)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class LawAverage(Fit[AveragedLaw]):
    """A weighted average of fitted laws; its objective is `k`, its status the worst of the laws with weight.

    Attributes:
        scores: every law that was tried. k: factor on the variance of its errors, from held-out points.
        freedom: degrees of freedom of its interval. prior: what was expected before.
    """

    scores: tuple[LawScore, ...]
    k: float
    freedom: float
    prior: ModelError
    _tried: tuple[_Tried, ...]

    def predict(self, size: Parameters, tokens: ArrayLike, level: float = 0.8) -> Prediction:
        """Predict the loss of new runs, in an interval as wide as the held-out errors of the average say.

        Args:
            size: parameters of the kind fitted. tokens: count; both broadcast. level: of the interval.

        Raises:
            ConfigError: if `size` counts something else, a number is not positive or `level` is not within (0, 1).
        """
        heavy = [(score.weight, score.fit) for score in self.scores if score.fit is not None and score.weight]
        predictions = [_by_law(fit, size, tokens, level) for _, fit in heavy]
        both = average_holdout(
            [one for one, _, _ in predictions], [fit for _, fit in heavy], [weight for weight, _ in heavy]
        )
        _, plain, shape = predictions[0]
        far = tuple(note for note in plain.notes if note not in heavy[0][1].notes)
        return _prediction(both, self, level, shape, plain, self.status, self.notes + far)

    def under(self, prior: ModelError) -> LawAverage:
        """Return the same fits weighted and judged with another prior."""
        return _judged(self._tried, prior)


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    # a law, its fit or why there is none, and by origin its fit to the cheaper runs and what it said of the rest
    family: AbstractFamily
    fit: LawFit | str
    origins: dict[int, tuple[LawFit, HoldoutError]]

    @property
    def usable(self) -> LawFit | None:
        return None if isinstance(self.fit, str) or not self.fit.status.usable else self.fit

    @property
    def why_not(self) -> str:
        if self.usable is not None:
            return ""
        return self.fit if isinstance(self.fit, str) else self.fit.status.value


def average_laws(
    parameters: Parameters | ArrayLike,
    tokens: ArrayLike,
    loss: ArrayLike,
    *,
    families: Sequence[AbstractFamily] | None = None,
    estimator: Estimator = "huber",
    groups: ArrayLike | Sequence[object] | None = None,
    prior: ModelError | None = None,
) -> LawAverage:
    """Fit several laws, judge each on the larger of the runs, and average them.

    Args:
        parameters: shape (n,), a bare array counts as total. tokens: shape (n,), count. loss: shape (n,) [nats/token].
        families: laws to try, every one of `FAMILIES` if None. estimator: of the fits.
        groups: run of each point, shape (n,), where a run has several.
        prior: what to expect of a law beyond its runs, what public families say if None.

    Raises:
        FitError: if the input is no table of positive numbers, or no law can be fitted to it.
    """
    points = read_points(parameters, tokens, loss)
    labels = group_labels(groups, len(points))
    tried = []
    for family in FAMILIES.values() if families is None else families:
        fit = _fit(family, points, estimator, labels)
        usable = not isinstance(fit, str) and fit.status.usable
        tried.append(_Tried(family, fit, _origins(family, points, estimator, labels) if usable else {}))
    if all(one.usable is None for one in tried):
        why = "; ".join(f"{one.family.name}: {one.why_not}" for one in tried)
        raise FitError(f"No law can be fitted to these runs: {why}")
    return _judged(tuple(tried), prior or ModelError())


def _fit(family: AbstractFamily, points: Points, estimator: Estimator, labels: NDArray[np.int64]) -> LawFit | str:
    size = Parameters(np.exp(points.log_size), points.kind)
    try:
        return fit_family(
            family, size, np.exp(points.log_tokens), np.exp(points.log_loss), estimator=estimator, groups=labels
        )
    except FitError as fault:
        return str(fault)


def _origins(
    family: AbstractFamily, points: Points, estimator: Estimator, labels: NDArray[np.int64]
) -> dict[int, tuple[LawFit, HoldoutError]]:
    found = {}
    for small, large in rolling_origins(points):
        fit = _fit(family, points.take(small), estimator, labels[small])
        # a fit that says it is not to be used is no evidence on the law
        if isinstance(fit, str) or not fit.status.usable:
            continue
        rest = points.take(large)
        prediction, _ = law_holdout(fit, Parameters(np.exp(rest.log_size), rest.kind), rest.log_size, rest.log_tokens)
        found[len(small)] = fit, HoldoutError(rest.log_loss - prediction.log_loss, prediction)
    return found


def _judged(tried: tuple[_Tried, ...], prior: ModelError) -> LawAverage:
    judged = [prior.judge([held for _, held in one.origins.values()]) for one in tried]
    precision = np.array([_precision(one.usable, k, prior) for one, (k, _) in zip(tried, judged, strict=True)])
    weights = (precision / precision.sum()).tolist()
    scores = tuple(
        LawScore(
            name=one.family.name,
            weight=weight,
            held_out=sum(len(held.error) for _, held in one.origins.values()),
            error=_error([held for _, held in one.origins.values()]),
            fit=None if isinstance(one.fit, str) else one.fit,
            why_not=one.why_not,
            k=k,
            freedom=freedom,
            prior=prior,
        )
        for one, weight, (k, freedom) in zip(tried, weights, judged, strict=True)
    )
    k, freedom = prior.judge(_held(tried, weights))
    heavy = [(score.fit, score.weight) for score in scores if score.fit is not None and score.weight > 0]
    status, notes = _state(scores)
    return LawAverage(
        law=AveragedLaw(tuple(fit.law for fit, _ in heavy), tuple(weight for _, weight in heavy)),
        objective=k,
        runs=max(fit.runs for fit, _ in heavy),
        statuses=(status,),
        notes=notes,
        scores=scores,
        k=k,
        freedom=freedom,
        prior=prior,
        _tried=tried,
    )


def _precision(fit: LawFit | None, k: float, prior: ModelError) -> float:
    if fit is None:
        return 0.0
    return float(1 / (k * (max(fit.scale, LEAST_SCATTER) ** 2 + (prior.share * fit.fall_per_efold) ** 2)))


def _error(held: Sequence[HoldoutError]) -> float:
    return float(np.sqrt(np.mean([np.mean(np.abs(one.error)) ** 2 for one in held]))) if held else float("nan")


def _held(tried: Sequence[_Tried], weights: Sequence[float]) -> list[HoldoutError]:
    """Return what the average would have said at each origin."""
    found = []
    for origin in sorted({origin for one in tried for origin in one.origins}):
        there = [(w, *one.origins[origin]) for one, w in zip(tried, weights, strict=True) if origin in one.origins]
        average = average_holdout(
            [held.told for _, _, held in there], [fit for _, fit, _ in there], [w for w, _, _ in there]
        )
        _, _, first = there[0]
        found.append(HoldoutError(first.error + first.told.log_loss - average.log_loss, average))
    return found


def _by_law(
    fit: LawFit, size: Parameters, tokens: ArrayLike, level: float
) -> tuple[HoldoutPrediction, Prediction, tuple[int, ...]]:
    tail_of(level)
    count = count_for(f"The fitted {fit.family.name} law", size, fit.points.kind)
    seen = positive("tokens", tokens, "tokens, count")
    shape = np.broadcast_shapes(np.shape(count), np.shape(seen))
    x, y = (np.broadcast_to(np.log(v), shape).ravel() for v in (count, seen))
    prediction, plain = law_holdout(fit, Parameters(np.exp(x), size.kind), x, y)
    return prediction, plain, shape


def _prediction(
    prediction: HoldoutPrediction,
    judged: LawScore | LawAverage,
    level: float,
    shape: tuple[int, ...],
    plain: Prediction,
    status: FitStatus,
    notes: tuple[str, ...],
) -> Prediction:
    half = prediction.half_width(judged.prior.share, judged.k, judged.freedom, level)
    far = any(note.startswith("Extrapolates") for note in plain.notes)
    with np.errstate(over="ignore"):
        loss, low, high = (
            np.exp(v).reshape(shape)[()]
            for v in (prediction.log_loss, prediction.log_loss - half, prediction.log_loss + half)
        )
    return Prediction(loss, low, high, level, worst([status, FitStatus.EXTRAPOLATES] if far else [status]), notes)


def _state(scores: Sequence[LawScore]) -> tuple[FitStatus, tuple[str, ...]]:
    heavy = [score.fit for score in scores if score.fit is not None and score.weight > HEAVY]
    notes = [f"{score.name}: {score.why_not}" for score in scores if score.why_not]
    if sum(score.weight > 0 for score in scores) == 1:
        notes.append("Only one law could be fitted, so how far laws are apart is not known: add runs.")
    # what every law has to say is about the runs
    notes += [note for note in heavy[0].notes if all(note in fit.notes for fit in heavy[1:])] if heavy else []
    return worst([fit.status for fit in heavy]), tuple(notes)

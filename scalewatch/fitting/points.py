"""One way to fit a law to finished runs, and what comes out of it.

The residual is r = ln(predicted loss) - ln(observed loss), the objective its robust sum over runs (see
`scalewatch.fitting.robust`), minimised from a grid of starts. The result says which optimum it found, how many
starts agree on it, whether another one is nearly as good, and how far its constants can be trusted.

Why robust and relative: one run that diverged should not move a law, and 1 % at loss 5 weighs as much as 1 % at
loss 2. Why one way: fits that differ in tolerance, start and objective cannot be compared.

Source: Hoffmann et al. (2022), section 3.3; Besiroglu et al. (2024), section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError, FitError, LawFileError
from scalewatch.fitting.bootstrap import bootstrap as draw_bootstrap
from scalewatch.fitting.bootstrap import group_labels
from scalewatch.fitting.checks import judge_constants, judge_points, judge_residuals
from scalewatch.fitting.families import FAMILIES, AbstractFamily, Points, Prepared, read_points
from scalewatch.fitting.mixed_units import unit_mismatch
from scalewatch.fitting.prediction import EXTRAPOLATION_SHARE, Evidence, Prediction
from scalewatch.fitting.quasi_posterior import quasi_posterior
from scalewatch.fitting.result import Fit, LawT
from scalewatch.fitting.robust import AbstractResidualModel, minimise, objective
from scalewatch.fitting.status import FitStatus, outliers, worst
from scalewatch.laws.law import Law, Publication, Quantity, asked
from scalewatch.laws.size import Parameters, SizeKind, count_for, positive
from scalewatch.strict_json import choice, least_and_most, number

__all__ = ["EXTRAPOLATION_SHARE", "Estimator", "FittedLaw", "PointFit", "Search", "fit_family", "fit_points"]

Estimator = Literal["huber", "lad"]

#: Huber's threshold in log loss (Hoffmann et al. 2022, section 3.3).
HUBER_DELTA = 1e-3
#: Part of the runs that are the dearest, where a law of the wrong shape is asked from. By hand.
DEAREST = 0.2
#: Relative fall of the objective at which a start, and then the best of them, is done. By hand.
START_TOLERANCE, TOLERANCE = 1e-9, 1e-12
#: Thresholds that lead to the least absolute deviations; the last moves no constant by more than 1e-4 of itself.
#: By hand.
LAD_DELTAS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
#: Threshold of resampled absolute deviations: well below any noise, and wide enough to be fast. By hand.
LAD_BOOTSTRAP_DELTA = 2e-5


@final
@dataclass(frozen=True, slots=True, eq=False)
class FittedLaw(Law):
    """A law of some family with its constants found.

    Attributes:
        family: the family. constants: name -> value. kind: what its N counts.
        sizes: least and most N fitted. tokens: least and most D fitted.
    """

    KIND: ClassVar = "power_law"
    SOURCE: ClassVar = Publication("Kaplan et al.", 2020, "arXiv 2001.08361", "equations 1.1 to 1.5")
    RANGES: ClassVar = {}
    MORE: ClassVar = ("family", "constants", "size_kind", "sizes", "tokens")
    INVERSE: ClassVar = ("parameters", "tokens")

    family: AbstractFamily
    constants: dict[str, float]
    kind: SizeKind
    sizes: tuple[float, float]
    tokens: tuple[float, float]

    @classmethod
    def example(cls) -> FittedLaw:
        """Return Kaplan's L(N, D) as published (table 2), as a fit would give it."""
        constants = {"Nc": 6.4e13, "Dc": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103}
        return cls(FAMILIES["kaplan"], constants, SizeKind.NON_EMBEDDING, (768.0, 1.5e9), (2.2e7, 2.3e10))

    @property
    def inputs(self) -> tuple[Quantity, ...]:
        """Size and tokens."""
        return Quantity("parameters", f"{self.kind} parameters", *self.sizes), Quantity("tokens", "count", *self.tokens)

    @property
    def publication(self) -> Publication:
        """Where its family is from."""
        return self.family.source

    def predict(self, inputs: Mapping[str, ArrayLike]) -> Floats:
        """Return the loss [nats/token] at `parameters` and `tokens`."""
        count, tokens = asked(inputs, "parameters", "tokens")
        return self.loss(Parameters(count, self.kind), tokens)

    def more_json(self) -> dict[str, Any]:
        """Return the family, its constants, what N counts and what was fitted."""
        spans = {"sizes": list(self.sizes), "tokens": list(self.tokens)}
        return {"family": self.family.name, "constants": self.constants, "size_kind": self.kind.value, **spans}

    @classmethod
    def read_more(cls, record: dict[str, Any], source: Path) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        family = FAMILIES[choice(source, "family", record["family"], tuple(FAMILIES))]
        given = record["constants"]
        if not isinstance(given, dict) or set(given) != set(family.constants):
            raise LawFileError(f"{source}: `constants` must hold {', '.join(family.constants)}.")
        kind = SizeKind(choice(source, "size_kind", record["size_kind"], tuple(k.value for k in SizeKind)))
        spans = {name: least_and_most(source, name, record[name]) for name in ("sizes", "tokens")}
        constants = {name: number(source, name, given[name], 1e-300, 1e300) for name in family.constants}
        return {"family": family, "constants": constants, "kind": kind, **spans}

    def loss(self, size: Parameters, tokens: ArrayLike) -> Floats:
        """Return the loss [nats/token].

        Raises:
            ConfigError: if `size` counts something else than the runs it was fitted on.
        """
        log_size = np.log(count_for(f"The fitted {self.family.name} law", size, self.kind))
        values = np.array([self.constants[name] for name in self.family.constants])
        log_tokens = np.log(positive("tokens", tokens, "tokens, count"))
        return np.asarray(np.exp(self.family.log_loss(values, log_size, log_tokens)))[()]


@final
@dataclass(frozen=True, slots=True)
class Search:
    """How a minimum was found.

    Attributes:
        estimator: "huber" or "lad". starts: how many there were. agreeing: how many ended at the best optimum.
        second_objective: Huber objective of another optimum within 1 % of the best, None if there is none.
    """

    estimator: Estimator
    starts: int
    agreeing: int
    second_objective: float | None


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Solution:
    """The family at the points, its free parameters at the best, and sets of them for what is not known."""

    prepared: Prepared
    theta: Floats
    draws: Floats


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class PointFit(Fit[LawT], Generic[LawT]):
    """A law fitted to finished runs, with its errors.

    The objective is the sum of Huber losses at 1e-3 of the log residuals, or of their absolute values; standard errors
    are of the bootstrap if there is one.

    Attributes:
        family: what was fitted. values: constant -> value.
        covariance: of the constants in the order of `standard_errors`, shape (q, q).
        samples: constants of each bootstrap resample, shape (b, q), None without one.
        residuals: ln(observed) - ln(predicted) of each run, shape (n,). outliers: indices of those far off.
        unit_mismatch: indices of runs whose losses are a constant factor away from the others', as in another unit.
        scale: standard deviation of a residual, outliers aside; of a law of the wrong shape that of the dearest runs.
        search: how the optimum was found. points: the runs, as logarithms.
    """

    family: AbstractFamily
    values: dict[str, float]
    covariance: Floats
    samples: Floats | None
    residuals: Floats
    outliers: NDArray[np.int64]
    unit_mismatch: NDArray[np.int64]
    scale: float
    search: Search
    points: Points
    _solution: _Solution

    @cached_property
    def draws(self) -> Floats:
        """Sets of constants that stand for what is not known, shape (b, q): the resamples, or a normal's."""
        return self._solution.prepared.constants(self._solution.draws)

    def interval(self, name: str, level: float = 0.8) -> tuple[float, float]:
        """Return the interval of a constant from its bootstrap, or its normal approximation; not usable: -inf, inf.

        Raises:
            ConfigError: if the law has no such constant or `level` is not within (0, 1).
        """
        if name not in self.family.constants:
            raise ConfigError(f"`name` must be one of {', '.join(self.family.constants)} (got {name!r:.80}).")
        return self.interval_of(lambda draws: draws[:, self.family.constants.index(name)], level)

    def interval_of(self, derived: Callable[[Floats], Floats], level: float = 0.8) -> tuple[float, float]:
        """Return the interval of what `derived` makes of sets of constants, (b, q) -> (b,).

        Raises:
            ConfigError: if `level` is not within (0, 1).
        """
        return self._evidence.interval_of(self.draws, derived, level)

    def predict(
        self,
        size: Parameters,
        tokens: ArrayLike,
        level: float = 0.8,
        *,
        extrapolation_share: float | None = None,
    ) -> Prediction:
        """Predict the loss of new runs, each with an interval that includes the scatter of runs.

        Args:
            size: parameters of the kind fitted. tokens: count; both broadcast. level: of the interval.
            extrapolation_share: part of the fall in log loss beyond the fitted runs that the law may miss, one sd; None
                for what public families say of such a fit.

        Raises:
            ConfigError: if `size` counts something else, a number is not positive or `level` is not within (0, 1).
        """
        count = count_for(f"The fitted {self.family.name} law", size, self.points.kind)
        seen = positive("tokens", tokens, "tokens, count")
        shape = np.broadcast_shapes(np.shape(count), np.shape(seen))
        x, y = (np.broadcast_to(np.log(v), shape).ravel() for v in (count, seen))
        solution = self._solution
        form = solution.prepared.form(x, y)
        middle, sets = form.evaluate(solution.theta[None, :])[0][0], form.evaluate(solution.draws)[0]
        return self._evidence.predict(middle, sets, np.log(6.0) + x + y, level, shape, extrapolation_share)

    @property
    def fall_per_efold(self) -> float:
        """How much ln(loss) fell for each e-fold of compute over the fitted runs, 0 or more."""
        x = self.points.log_flops - self.points.log_flops.mean()
        spread = float(x @ x)
        return abs(float(x @ self.points.log_loss)) / spread if spread > 0 else 0.0

    @property
    def _evidence(self) -> Evidence:
        freedom = float(max(len(self.residuals) - self._solution.theta.shape[0], 1))
        most = float(np.exp(self.points.log_flops.max()))
        misshapen = FitStatus.WRONG_SHAPE in self.statuses
        return Evidence(self.status, self.notes, self.scale, freedom, self.fall_per_efold, most, misshapen)


def fit_family(
    family: AbstractFamily,
    parameters: Parameters | ArrayLike,
    tokens: ArrayLike,
    loss: ArrayLike,
    *,
    estimator: Estimator = "huber",
    bootstrap: int = 0,
    seed: int = 0,
    groups: ArrayLike | Sequence[object] | None = None,
) -> PointFit[FittedLaw]:
    """Fit a law of `family` to finished runs.

    Args:
        family: from `scalewatch.fitting.families`.
        parameters: shape (n,), a bare array counts as total. tokens: shape (n,), count. loss: shape (n,) [nats/token].
        estimator: "huber" (threshold 1e-3 in log loss) or "lad", least absolute deviations.
        bootstrap: resamples for errors and intervals; 0 for an approximation at once, which on the published
            points is 10 to 40 % too narrow (`scalewatch.fitting.quasi_posterior`).
        seed: of the resamples. groups: run of each point, shape (n,), where a run has several.

    Raises:
        FitError: if the input is no table of positive numbers, or has fewer runs than the law has constants.
    """
    points = read_points(parameters, tokens, loss)
    return fit_points(family, points, _fitted_law, estimator=estimator, bootstrap=bootstrap, seed=seed, groups=groups)


def _fitted_law(family: AbstractFamily, values: dict[str, float], points: Points) -> FittedLaw:
    return FittedLaw(family, values, points.kind, *ranges(points))


def ranges(points: Points) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return least and most size, and least and most tokens, of some points."""
    x, y = np.exp(points.log_size), np.exp(points.log_tokens)
    return (float(x.min()), float(x.max())), (float(y.min()), float(y.max()))


def fit_points(
    family: AbstractFamily,
    points: Points,
    build: Callable[[AbstractFamily, dict[str, float], Points], LawT],
    *,
    estimator: Estimator = "huber",
    bootstrap: int = 0,
    seed: int = 0,
    groups: ArrayLike | Sequence[object] | None = None,
    names: Sequence[str] | None = None,
) -> PointFit[LawT]:
    """Fit as `fit_family` does, with the law that `build` makes of the constants; `names` of the runs go into notes."""
    if estimator not in ("huber", "lad"):
        raise FitError(f"`estimator` must be 'huber' or 'lad' (got {estimator!r:.80}).")
    labels = group_labels(groups, len(points))
    judged = judge_points(family, points, labels)
    prepared = family.prepare(points)
    form = prepared.form(points.log_size, points.log_tokens)
    found = _optimum(form, points.log_loss, prepared.starts, estimator)
    theta, residuals = found.theta, points.log_loss - form.evaluate(found.theta[None, :])[0][0]
    if bootstrap:
        delta = HUBER_DELTA if estimator == "huber" else LAD_BOOTSTRAP_DELTA
        draws = draw_bootstrap(form, points.log_loss, theta, labels, delta=delta, count=bootstrap, seed=seed)
    else:
        delta = max(found.delta, LAD_BOOTSTRAP_DELTA)
        draws = quasi_posterior(form, points.log_loss, theta, labels, delta, seed)
    made = prepared.constants(draws)
    covariance = _covariance(made)
    values = dict(zip(family.constants, prepared.constants(theta[None, :])[0].tolist(), strict=True))
    errors = dict(zip(family.constants, np.sqrt(np.diag(covariance)).tolist(), strict=True))
    unit = unit_mismatch(points.log_size, points.log_tokens, points.log_loss)
    judged += judge_residuals(residuals, points, labels, unit, names) + found.judged
    judged += judge_constants(family, form, theta, values, errors, float(np.exp(points.log_loss.min())))
    status, far = worst([s for s, _ in judged]), outliers(residuals)
    return PointFit(
        law=build(family, values, points),
        family=family,
        objective=found.objective,
        runs=len(points),
        values=values,
        standard_errors=errors if status.usable else dict.fromkeys(errors, math.inf),
        covariance=covariance,
        samples=made if bootstrap else None,
        residuals=residuals,
        outliers=far,
        unit_mismatch=np.zeros(0, dtype=np.int64) if unit is None else unit.rows,
        scale=_scale_of(residuals, far, points, len(theta), misshapen=FitStatus.WRONG_SHAPE in [s for s, _ in judged]),
        statuses=tuple(dict.fromkeys(s for s, _ in judged)) or (FitStatus.OK,),
        notes=tuple(note for _, note in judged),
        search=Search(estimator, found.starts, found.agreeing, found.second),
        points=points,
        _solution=_Solution(prepared, theta, draws),
    )


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Optimum:
    theta: Floats
    objective: float
    delta: float
    starts: int
    agreeing: int
    second: float | None
    judged: list[tuple[FitStatus, str]]


def _optimum(form: AbstractResidualModel, log_loss: Floats, starts: Floats, estimator: Estimator) -> _Optimum:
    ends = minimise(form, log_loss, starts, delta=HUBER_DELTA, tolerance=START_TOLERANCE)
    best, second, agreeing = _rank(ends.theta, ends.objective)
    theta, delta, converged = ends.theta[best], HUBER_DELTA, True
    for delta in LAD_DELTAS if estimator == "lad" else (HUBER_DELTA,):
        end = minimise(form, log_loss, theta[None, :], delta=delta, tolerance=TOLERANCE)
        theta, converged = end.theta[0], bool(end.converged[0])
    residuals = form.evaluate(theta[None, :])[0][0] - log_loss
    reached = float(np.sum(np.abs(residuals)) if estimator == "lad" else objective(residuals, 1.0, delta))
    judged = []
    if not converged:
        judged.append((FitStatus.NOT_CONVERGED, "The best start did not converge."))
    if second is not None:
        judged.append((FitStatus.SECOND_OPTIMUM, f"Objective {second:.6g} beside {ends.objective[best]:.6g}."))
    return _Optimum(theta, reached, delta, len(starts), agreeing, second, judged)


def _scale(residuals: Floats, count: int) -> float:
    return float(np.sqrt(residuals @ residuals / max(len(residuals) - count, 1)))


def _scale_of(residuals: Floats, far: NDArray[np.int64], points: Points, count: int, *, misshapen: bool) -> float:
    whole = _scale(np.delete(residuals, far), count)
    if not misshapen:
        return whole
    dear = np.setdiff1d(np.flatnonzero(points.log_flops >= np.quantile(points.log_flops, 1 - DEAREST)), far)
    return max(whole, float(np.sqrt(np.mean(residuals[dear] ** 2))) if len(dear) else 0.0)


def _rank(theta: Floats, reached: Floats) -> tuple[int, float | None, int]:
    """Return the best start, the objective of the next best distinct optimum if it is close, and how many agree."""
    best = int(np.argmin(reached))
    least = reached[best]
    same = reached <= least * (1 + 1e-6) + 1e-15
    apart = np.max(np.abs(theta - theta[best]), axis=1) > 0.1
    rivals = apart & (reached <= least * 1.01 + 1e-12)
    return best, float(np.min(reached[rivals])) if rivals.any() else None, int(np.sum(same))


def _covariance(made: Floats) -> Floats:
    with np.errstate(all="ignore"):
        return np.nan_to_num(np.cov(made, rowvar=False, ddof=0).reshape(made.shape[1], -1), nan=np.inf, posinf=np.inf)

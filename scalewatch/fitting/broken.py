"""Fits a smoothly broken power law, and says whether its breaks are to be believed.

Minimised is a robust sum of squares of ln(y) from a grid of places and widths of each break, the exponents and
the floor being free. Why a grid: the objective has an optimum for nearly every place of a break, and an optimizer
that starts at one of them stays there.

Why so many warnings: with nine constants everything fits. A break is needed only where a law without it is
clearly worse (BIC), settled only where no other place is as good, and of use only where points lie past it.

Source: Caballero et al. (2022), arXiv 2210.14891, appendix A.6 (grid of starts); Kass, Raftery (1995), JASA 90.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.result import Fit
from scalewatch.fitting.status import FitStatus
from scalewatch.laws.broken import MOST_BREAKS, Break, BrokenLaw, Scaling
from scalewatch.laws.size import positive

__all__ = ["BrokenFit", "fit_broken"]

#: Bounds of an exponent, and of a break's width f [e-folds of x]. By hand.
EXPONENTS = (-5.0, 5.0)
WIDTHS = (0.02, 3.0)
#: Residuals of ln(y) beyond this many robust sd pull only linearly. By hand.
ROBUST_SDS = 1.5
#: Least robust sd of ln(y) that is believed: a fit through every point is no noise estimate. By hand.
LEAST_SD = 1e-4
#: Widths that a fit starts from, and how many places of a break. By hand.
START_WIDTHS = (0.1, 0.7)
START_PLACES = 6
#: An optimum within this of the best, relative to the objective, with a break elsewhere is a second one. By hand.
AS_GOOD = 1.1
#: Factor in x by which two breaks are elsewhere. By hand.
ELSEWHERE = 2.0
#: Factor beyond the largest x from which a prediction is far. By hand.
FAR = 10.0
#: Fall of the information criterion that a break must bring to be needed (Kass and Raftery 1995: strong). A break
#: is looked for in many places, so it finds some fall of the criterion in pure noise.
NEEDED_BIC = 6.0


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class BrokenFit(Fit[BrokenLaw]):
    """A fitted broken law; its objective is a robust sum of squared residuals of ln(y).

    Attributes:
        log_sd: robust sd of the residuals of ln(y).
        bic: Bayesian information criterion; lower is better among numbers of breaks.
        bic_without: that of one break less, nan for none.
        scaling: the shape over the fitted x. least_x, most_x: their range.
    """

    log_sd: float
    bic: float
    bic_without: float
    scaling: Scaling
    least_x: float
    most_x: float

    @property
    def trusted(self) -> bool:
        """Whether the law may be used beyond the fitted x at all: points past every break, and no turn."""
        worst = {FitStatus.NO_POINT_PAST_BREAK, FitStatus.NOT_MONOTONE, FitStatus.AT_BOUND}
        return not worst & set(self.statuses)

    def range_notes(self, x: float) -> tuple[str, ...]:
        """Return a sentence for each reason not to trust the law at `x`; none means within the fitted range."""
        at = float(positive("x", x, "scale: compute, size or data"))
        if self.least_x <= at <= self.most_x:
            return ()
        notes = []
        if at > self.most_x:
            notes.append(
                f"Extrapolates {at / self.most_x:.3g}x past the largest fitted point: a break between there and here "
                "would not show in the points."
            )
            if at > FAR * self.most_x or not self.trusted:
                notes.append("Do not plan on this number: train a run in between.")
        else:
            notes.append(f"Lies {self.least_x / at:.3g}x below the smallest fitted point.")
        return tuple(notes)


def fit_broken(x: ArrayLike, y: ArrayLike, breaks: int = 1) -> BrokenFit:
    """Fit a broken law to points of a metric that is positive and better when lower (loss, error rate).

    Least squares of ln(y), points off by more than 1.5 robust sd pulling linearly only, from a grid of starts.

    Args:
        x: compute, size or data, shape (n,), positive. y: shape (n,), positive. breaks: 0, 1 or 2.

    Raises:
        FitError: if numbers are not positive, fewer points than constants (3 + 3 breaks) are given, or all x are
            within a factor of two.
    """
    at, values = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if not isinstance(breaks, int) or not 0 <= breaks <= MOST_BREAKS:
        raise FitError(f"`breaks` must be 0, 1 or {MOST_BREAKS} (got {breaks!r}).")
    if at.ndim != 1 or at.shape != values.shape:
        raise FitError(f"`x` and `y` must have one shape (n,) (got {at.shape} and {values.shape}).")
    if not np.all((at > 0) & (values > 0) & np.isfinite(at) & np.isfinite(values)):
        raise FitError("`x` and `y` must be positive and finite; give an accuracy as error rate, and leave out zeros.")
    needed = 3 + 3 * breaks
    if len(np.unique(at)) <= needed:
        raise FitError(
            f"A law with {breaks} breaks has {needed} constants and got points at {len(np.unique(at))} different x: "
            f"add points, or use fewer breaks."
        )
    if at.max() < 2 * at.min():
        raise FitError("All x lie within a factor of two: no exponent can be seen; add smaller or larger runs.")
    fits = [_search(at, values, count) for count in range(breaks + 1)]
    ends = fits[breaks]
    law, objective, log_sd = ends[0]
    bic = _bic(law, at, values, log_sd)
    # one threshold for both, or the criterion would reward a fit for calling points outliers
    without = _bic(fits[breaks - 1][0][0], at, values, log_sd) if breaks else math.nan
    scaling = law.scaling(float(at.min()), float(at.max()))
    return BrokenFit(
        law=law,
        statuses=_statuses(ends, at, bic, without, scaling),
        objective=objective,
        log_sd=log_sd,
        bic=bic,
        bic_without=without,
        scaling=scaling,
        least_x=float(at.min()),
        most_x=float(at.max()),
        runs=len(at),
    )


_End = tuple[BrokenLaw, float, float]


def _search(x: Floats, y: Floats, breaks: int) -> list[_End]:
    """Law, objective and robust sd of each distinct end, best first."""
    from scipy.optimize import least_squares

    log_x, log_y = np.log(x), np.log(y)
    centre, level = float(log_x.mean()), float(log_y.min())
    u = log_x - centre
    span = float(np.ptp(u))
    least = [0.0, -30.0, EXPONENTS[0]] + [EXPONENTS[0], u.min() - span / 2, math.log(WIDTHS[0])] * breaks
    most = [1.0, 30.0, EXPONENTS[1]] + [EXPONENTS[1], u.max() + span / 2, math.log(WIDTHS[1])] * breaks

    def predicted(q: Floats) -> Floats:
        power = q[1] - q[2] * u
        for change, place, log_width in q[3:].reshape(-1, 3):
            width = math.exp(log_width)
            power = power - change * width * np.logaddexp(0.0, (u - place) / width)
        # the floor is a part of the least value, so that it never passes a point
        return np.asarray(np.logaddexp(math.log(max(q[0], 1e-12)) + level, power))

    def residuals(q: Floats) -> Floats:
        return np.asarray(predicted(q) - log_y)

    # a fit through n points with p constants leaves residuals smaller than the noise
    freedom = math.sqrt(len(x) / max(len(x) - 3 - 3 * breaks, 1))
    scale = max(float(np.std(log_y)), LEAST_SD) * 0.1
    found: list[tuple[float, Floats]] = []
    for _ in range(2):
        starts = _starts(u, log_y, breaks) if not found else [q for _, q in found]
        found = []
        for start in starts:
            q0 = np.clip(start, np.array(least) + 1e-9, np.array(most) - 1e-9)
            end = least_squares(
                residuals,
                q0,
                bounds=(least, most),
                loss="soft_l1",
                f_scale=ROBUST_SDS * scale,
                x_scale="jac",
                max_nfev=200,
            )
            found.append((float(end.cost), np.asarray(end.x)))
        found.sort(key=lambda pair: pair[0])
        # the second round knows the noise, and starts only where the first one ended well
        scale = max(float(1.4826 * np.median(np.abs(residuals(found[0][1])))) * freedom, LEAST_SD)
        found = found[:4]
    return [(_law(q, centre, level, breaks), cost, scale) for cost, q in found]


def _starts(u: Floats, log_y: Floats, breaks: int) -> list[Floats]:
    slope = float(np.polyfit(u, log_y, 1)[0])
    plain = [0.3, float(log_y.mean()), -slope]
    if breaks == 0:
        return [np.array([share, plain[1], plain[2]]) for share in (0.01, 0.3, 0.9)]
    # slopes before and after each place, from the points themselves
    order = np.argsort(u)
    places = np.linspace(u.min(), u.max(), START_PLACES + 2)[1:-1]
    starts = []
    for chosen in itertools.combinations(places.tolist(), breaks):
        edges = [-math.inf, *chosen, math.inf]
        slopes = []
        for low, high in itertools.pairwise(edges):
            inside = order[(u[order] >= low) & (u[order] <= high)]
            several = len(np.unique(u[inside])) >= 2
            slopes.append(float(-np.polyfit(u[inside], log_y[inside], 1)[0]) if several else -slope)
        for width, share in itertools.product(START_WIDTHS, (0.01, 0.6)):
            first = float(np.interp(chosen[0], u[order], log_y[order])) + slopes[0] * chosen[0]
            parts = [
                [after - before, place, math.log(width)]
                for before, after, place in zip(slopes, slopes[1:], chosen, strict=False)
            ]
            starts.append(np.array([share, first, slopes[0], *itertools.chain(*parts)]))
    return starts


def _law(q: Floats, centre: float, level: float, breaks: int) -> BrokenLaw:
    found = tuple(
        Break(float(change), math.exp(place + centre), math.exp(log_width))
        for change, place, log_width in q[3:].reshape(breaks, 3)
    )
    return BrokenLaw(
        floor=float(q[0]) * math.exp(level), scale=math.exp(q[1] + q[2] * centre), exponent=float(q[2]), breaks=found
    )


def _bic(law: BrokenLaw, x: Floats, y: Floats, log_sd: float) -> float:
    residuals = np.abs(np.log(law.values(x) / y))
    # beyond the threshold linear, as in the objective: one outlier does not buy a break
    inner = np.minimum(residuals, 2.0 * ROBUST_SDS * log_sd)
    spread = max(float(np.mean(inner * (2.0 * residuals - inner))), LEAST_SD**2)
    free = 3 + 3 * len(law.breaks)
    # few points to many constants flatter every fit: the correction of Hurvich and Tsai (1989)
    return len(x) * math.log(spread) + free * math.log(len(x)) + 2 * free * (free + 1) / max(len(x) - free - 1, 1)


def _statuses(ends: list[_End], x: Floats, bic: float, without: float, scaling: Scaling) -> tuple[FitStatus, ...]:
    law, best, _ = ends[0]
    found = []
    if scaling not in (Scaling.FALLS, Scaling.RISES):
        found.append(FitStatus.NOT_MONOTONE)
    if len(x) < 3 * len(law.breaks) + 6:
        found.append(FitStatus.FEW_POINTS)
    if law.breaks and not without - bic > NEEDED_BIC:
        found.append(FitStatus.BREAK_NOT_NEEDED)
    for other, cost, _ in ends[1:]:
        apart = [abs(math.log(a.place / b.place)) for a, b in zip(law.breaks, other.breaks, strict=True)]
        if cost <= AS_GOOD * best + 1e-15 and max(apart, default=0.0) > math.log(ELSEWHERE):
            found.append(FitStatus.SECOND_OPTIMUM)
            break
    edges = [law.exponent, *(b.change for b in law.breaks)]
    widths = [b.width for b in law.breaks]
    if any(abs(e) > 0.999 * EXPONENTS[1] for e in edges) or any(w > 0.99 * WIDTHS[1] for w in widths):
        found.append(FitStatus.AT_BOUND)
    if any(np.count_nonzero(np.unique(x) > b.place) < 2 for b in law.breaks):
        found.append(FitStatus.NO_POINT_PAST_BREAK)
    return tuple(found) or (FitStatus.OK,)

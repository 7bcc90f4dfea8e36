"""Laws that compete on a table of finished runs, and their average, with an interval that holds their model error.

Each law that the columns allow is fitted to part of the runs and asked about the others (`origins`), and weighs

    weight ~ 1 / (e^2 + c^2 + s^2)^POWER,    e^2 = (WORTH e0^2 + sum of its mean square at each) / (WORTH + origins)

with c what its parameters leave open at the points (a law that knows nothing there is not heard), s the scatter of the
best law, and e0 what laws usually get wrong here, so that three lucky origins of eight runs do not decide everything.
The interval of the average is Student's with

    var(r) = k (scatter^2 + CONSTANTS constants^2 + APART between^2) + K (1 + FEW / runs) (share reach)^2

where `constants` is what the parameters leave open, `between` how far the laws are apart at the point, and reach how
much the law falls from the nearest place inside the runs to the point: the error grows with the distance. k and K are
what the average itself got wrong at its origins, with a prior as in `scalewatch.fitting.model_error`. An origin counts
for K as far as its own reach made its interval: a short ladder whose next runs were foretold to their scatter has said
nothing of a run a hundred times dearer. Origins in several directions hold out much the same runs, and count together
as those of one. FEW, because few runs leave the wrong law standing.

The degrees of freedom are those of a variance learnt from the runs held out, HELD_FOR_ONE of them for one, because runs
past one origin err together: of five runs one was asked about and the tails are long, of twenty they are nearly normal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.outcomes.axes import Axes, Outcomes
from scalewatch.fitting.outcomes.candidates import Candidate, Told, candidates
from scalewatch.fitting.outcomes.origins import directions, origins

__all__ = ["CALIBRATION", "Calibration", "Contest", "Foretold", "Score", "compete", "mean_square"]

#: Sharpness of the weights. By hand.
POWER = 4.0
#: How many origins the usual error is worth. By hand.
WORTH = 1.0
#: Quantile of the laws' errors that counts as usual. By hand.
USUAL = 0.5
#: Weight below which a law is left out of the average. By hand.
LEAST_WEIGHT = 0.01
#: Squares of a deviation beyond which one run says no more. By hand.
MOST_OFF = 50.0
#: Mean |r| of a normal deviate, in standard deviations: sqrt(2 / pi). By definition.
MEAN_ABS = 0.7979
#: Fewest and most degrees of freedom of an interval: Student's with two has no variance, and from eight on all are
#: alike. By hand.
LEAST_FREEDOM, MOST_FREEDOM = 3.0, 8.0
#: Least scatter of a loss that is not rounding [e-folds or spreads]. By hand.
LEAST_SCATTER = 0.0015


@final
@dataclass(frozen=True, slots=True)
class Calibration:
    """What is expected of an average beyond its runs, before its own origins are asked.

    Attributes:
        share: part of the fall outside the runs that is missed, one sd. worth: how many origins this is worth.
        least, least_reach: k and K, however good the average was at its own origins. constants, apart: weights of what
        the parameters leave open and of how far the laws are apart. few: runs at which the variance that grows with the
        distance is doubled. held_for_one: runs held out that make one degree of freedom.
    """

    share: float = 0.08
    worth: float = 4.0
    least: float = 0.5
    least_reach: float = 0.5
    constants: float = 0.3
    apart: float = 1.0
    few: float = 16.0
    held_for_one: float = 2.0


#: The highest log score over 136 held-out parts of 13 public families: five of size and tokens, fitted to 40, 60 and
#: 80 % of their runs and to a few drawn, and eight tables of other columns. Without a family of ladders, which
#: `cheapest` is for, the interval of 80 % held 70 to 100 % of each of twelve, 83 % on average
#: (tests/benchmarks/planning_left_out.py). `held_for_one` was chosen on eleven of them, few runs of each.
CALIBRATION = Calibration()


@final
@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """How a law did in the contest.

    Attributes:
        name: of the law. weight: in [0, 1]. error: root mean square over the origins of its error [e-folds, or spreads
        of losses that may be negative], nan without an origin. candidate: itself. why_not: why it has no weight.
    """

    name: str
    weight: float
    error: float
    candidate: Candidate | None
    why_not: str = ""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Foretold:
    """What is foretold of runs, each of shape (m,).

    Attributes:
        loss: as the table has it. low, high: interval of `level`. level: of it.
        reach: how much of ln(loss) lies between the run and the nearest place inside the table.
        by_law: name of a law with weight -> what it says alone.
    """

    loss: Floats
    low: Floats
    high: Floats
    level: float
    reach: Floats
    by_law: dict[str, Floats]


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    # laws fitted to all runs, with their errors at each origin; those that could not be; the square of what each leaves
    # open at the points; runs, those held out, and directions in which
    found: tuple[tuple[Candidate, list[tuple[Floats, Told]]], ...]
    failed: tuple[Score, ...]
    unsure: tuple[float, ...]
    runs: int
    held_out: int
    ways: int


@final
@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """Laws fitted to a table, weighed by what each foretold.

    Attributes:
        runs: how many. axes: of the table. scores: every law that was tried, heaviest first.
        k, k_reach, freedom: of the interval, K being `k_reach`. calibration: what was expected.
        held_out: runs that were asked about.
    """

    runs: int
    axes: Axes
    scores: tuple[Score, ...]
    k: float
    k_reach: float
    freedom: float
    calibration: Calibration
    held_out: int
    _tried: _Tried

    def under(self, calibration: Calibration) -> Contest:
        """Return the same laws judged with other expectations."""
        return _judged(self._tried, self.axes, calibration)

    @property
    def weights(self) -> dict[str, float]:
        """Name -> weight of the laws that have one, heaviest first."""
        return {score.name: score.weight for score in self.scores if score.weight > 0}

    def predict(
        self, columns: Mapping[str, Floats], group: Sequence[str] | None = None, level: float = 0.8
    ) -> Foretold:
        """Return what is foretold of other runs.

        Args:
            columns: name -> values, shape (m,), named as in the table. group: labels, shape (m,), where it has them.
            level: of the interval.
        """
        from scipy.special import stdtrit

        there = [(s.weight, s.name, s.candidate.told(columns, group)) for s in self.scores if s.candidate and s.weight]
        middle, near, reach = _average([(weight, told) for weight, _, told in there], self.calibration)
        far = (1 + self.calibration.few / self.runs) * (self.calibration.share * reach) ** 2
        half = float(stdtrit(self.freedom, 0.5 + level / 2)) * np.sqrt(self.k * near + self.k_reach * far)
        loss, low, high = (self.axes.loss(one) for one in (middle, middle - half, middle + half))
        alone = {name: self.axes.loss(told.target) for _, name, told in there}
        return Foretold(loss, low, high, level, reach, alone)


def _average(told: Sequence[tuple[float, Told]], expected: Calibration) -> tuple[Floats, Floats, Floats]:
    """Return middle, variance with k = 1 but for the distance, and reach of an average."""
    weight = np.array([w for w, _ in told])
    weight = weight / weight.sum()
    stacked = np.array([one.target for _, one in told])
    middle = weight @ stacked
    between = expected.apart * (weight @ (stacked - middle) ** 2)
    own = weight @ np.array([one.scatter**2 + expected.constants * one.constants**2 for _, one in told])
    reach = weight @ np.array([one.reach for _, one in told])
    return middle, np.maximum(own + between, LEAST_SCATTER**2), reach


def compete(
    runs: Outcomes,
    asked: Mapping[str, Floats] | None = None,
    group: Sequence[str] | None = None,
    calibration: Calibration = CALIBRATION,
    only: Sequence[str] | None = None,
) -> Contest:
    """Fit every law that the columns allow, ask each about runs it has not seen, and weigh them by that.

    Args:
        runs: finished runs. asked: columns of the runs that are to be foretold, if known: laws are then tried in the
            directions in which these go beyond the table. group: their labels.
        calibration: what is expected beyond the runs. only: names of the laws that compete, all if None.

    Raises:
        FitError: if there are fewer than four runs, nothing varies, or no law could be fitted.
    """
    if len(runs) < 4:
        raise FitError(f"Too few runs: laws compete on four or more (got {len(runs)}).")
    axes = Axes.of(runs)
    points = axes.points(runs.columns, runs.group)
    there = None if asked is None else axes.points(asked, group)
    cuts = origins(axes, points, there)
    known = set(group or ()) <= set(axes.groups)
    entries = [one for one in candidates(axes, known=known) if only is None or one.name in only]
    found: list[tuple[Candidate, list[tuple[Floats, Told]]]] = []
    failed = []
    for entry in entries:
        try:
            found += [one for one in _entered(entry, runs, cuts) if only is None or one[0].name in only]
        except FitError as fault:
            failed.append(Score(entry.name, 0.0, float("nan"), None, str(fault)))
    if not found:
        raise FitError("No law could be fitted: " + "; ".join(f"{one.name}: {one.why_not}" for one in failed))
    unsure = tuple(0.0 if asked is None else _unsure(fitted, asked, group) for fitted, _ in found)
    held_out, ways = sum(len(large) for _, large in cuts), len(directions(axes, points, there))
    tried = _Tried(tuple(found), tuple(failed), unsure, len(runs), held_out, max(min(ways, len(cuts)), 1))
    return _judged(tried, axes, calibration)


def _entered(
    entry: Candidate, runs: Outcomes, cuts: Sequence[tuple[np.ndarray, np.ndarray]]
) -> list[tuple[Candidate, list[tuple[Floats, Told]]]]:
    """Return a law fitted, and what it said at each origin; and the same with its residuals carried on."""
    plain = entry.fit(runs)
    carrying = plain.carrying(runs)
    said: list[tuple[Floats, Told]] = []
    carried: list[tuple[Floats, Told]] = []
    for small, large in cuts:
        few, rest = runs.take(small), runs.take(large)
        fitted = entry.fit(few, plain)
        told = fitted.told(rest.columns, rest.group)
        said.append((fitted.off(told, rest.loss), told))
        if carrying is not None:
            told = (fitted.carrying(few) or fitted).told(rest.columns, rest.group)
            carried.append((fitted.off(told, rest.loss), told))
    return [(plain, said), *([(carrying, carried)] if carrying is not None else [])]


def _unsure(fitted: Candidate, asked: Mapping[str, Floats], group: Sequence[str] | None) -> float:
    return float(np.median(fitted.told(asked, group).constants ** 2))


def _judged(tried: _Tried, axes: Axes, calibration: Calibration) -> Contest:
    found = tried.found
    squares = np.array([[mean_square(off) for off, _ in held] for _, held in found])
    scatter = np.array([fitted.scatter for fitted, _ in found])
    if squares.size:
        error2 = (WORTH * np.quantile(squares.mean(axis=1), USUAL) + squares.sum(axis=1)) / (WORTH + squares.shape[1])
        errors = np.sqrt(squares.mean(axis=1))
    else:
        # nothing could be asked: all that is known is how each fits, of which simple laws promise less
        error2, errors = scatter**2, np.full(len(found), np.nan)
    error2 = error2 + calibration.constants * np.array(tried.unsure)
    weights = 1.0 / (error2 + max(float(scatter.min()), LEAST_SCATTER) ** 2) ** POWER
    weights /= weights.sum()
    weights = np.where(weights < LEAST_WEIGHT, 0.0, weights)
    weights /= weights.sum()
    scores = [
        Score(fitted.name, float(weight), float(error), fitted)
        for (fitted, _), weight, error in zip(found, weights, errors, strict=True)
    ]
    off = [
        _average_off([(w, held[i]) for w, (_, held) in zip(weights, found, strict=True) if w], calibration)
        for i in range(squares.shape[1] if squares.size else 0)
    ]
    near, far = (np.sum([one[i] for one in off], axis=0) / tried.ways if off else np.zeros(2) for i in (0, 1))
    worth = calibration.worth
    k = max((worth + near[0]) / (worth + near[1]), calibration.least)
    k_reach = max((worth + far[0]) / (worth + far[1]), calibration.least_reach)
    heaviest = sorted(scores, key=lambda score: -score.weight)
    ranked = (*heaviest, *tried.failed)
    freedom = min(max(tried.held_out / tried.ways / calibration.held_for_one, LEAST_FREEDOM), MOST_FREEDOM)
    return Contest(tried.runs, axes, ranked, float(k), float(k_reach), freedom, calibration, tried.held_out, tried)


def mean_square(off: Floats) -> float:
    """Return the mean square of errors, as their mean says it: one diverged run is no law's fault."""
    return float((np.mean(np.minimum(np.abs(off), 1e3)) / MEAN_ABS) ** 2)


def _average_off(
    held: Sequence[tuple[float, tuple[Floats, Told]]], calibration: Calibration
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return, for k and for K, the mean square of the average's errors at an origin over what was expected, and weight.

    What the error says of each is shared out by what each had made of the variance.
    """
    observed = held[0][1][0] + held[0][1][1].target
    middle, near, reach = _average([(w, told) for w, (_, told) in held], calibration)
    far = (calibration.share * reach) ** 2
    square = np.minimum((observed - middle) ** 2 / (near + far), MOST_OFF)
    part = far / (near + far)
    return (
        (float(np.mean((1 - part) * square)), float(np.mean(1 - part))),
        (float(np.mean(part * square)), float(np.mean(part))),
    )

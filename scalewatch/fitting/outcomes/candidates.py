"""Who competes: every law that a table's columns allow, and for runs with labels in each way to treat these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.outcomes.axes import Axes, Outcomes, Points
from scalewatch.fitting.outcomes.residuals import Carried, carry
from scalewatch.fitting.outcomes.search import Found, find
from scalewatch.fitting.outcomes.shape import Shape
from scalewatch.fitting.outcomes.shapes_of_columns import AddedPowers, CurvedPower, PowerProduct, Quadratic, TwoTerms
from scalewatch.fitting.outcomes.shapes_of_recipes import (
    ExpertsShape,
    MixtureShape,
    RateAndBatch,
    RepeatedShape,
    StreamsShape,
    VocabularyShape,
)
from scalewatch.fitting.outcomes.shapes_of_size import Bent, ChinchillaShape, ComputeShape, KaplanShape, MovingExponent
from scalewatch.fitting.outcomes.shifted import Shifted

__all__ = ["SHAPES", "Candidate", "Told", "candidates"]

Way = Literal["together", "apart", "shifted"]

#: Every law that may compete.
SHAPES: tuple[Shape, ...] = (
    ChinchillaShape(),
    MovingExponent(usual=True),
    MovingExponent(usual=False),
    Bent(),
    KaplanShape(),
    ComputeShape(),
    *(RepeatedShape(moves=moves, overfits=over) for moves in (False, True) for over in (False, True)),
    *(ExpertsShape(with_floor=with_floor) for with_floor in (False, True)),
    StreamsShape(),
    *(VocabularyShape(moves=moves) for moves in (False, True)),
    RateAndBatch(),
    MixtureShape(),
    AddedPowers(),
    PowerProduct(),
    CurvedPower(),
    TwoTerms(),
    Quadratic(),
)
#: Labels with fewer runs than this are not fitted apart. By hand.
FEWEST_APART = 6
#: Runs that are fitted where a law is only asked about the others: more make it slower and no better. By hand.
MOST_ASKED = 500
#: Step of a derivative, in standard deviations of what the runs leave open. By hand.
SMALL_STEP = 1e-3
#: Runs that a law is fitted to, and whose residuals are carried. By hand.
MOST_FITTED, MOST_CARRIED = 1_500, 800


@final
@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What a law says of points, each of shape (m,): see `contest`.

    Attributes:
        target: what is fitted. scatter, constants: sd of it that runs have, and that the parameters leave open.
        reach: |fall| from the nearest place inside the runs.
    """

    target: Floats
    scatter: Floats
    constants: Floats
    reach: Floats


@final
@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A law in the contest, and once fitted its parameters.

    Attributes:
        shape: the law. way: what labels mean: nothing ("together"), a law each ("apart"), a shift ("shifted").
        whole: axes of all runs. parts: label (None of all) -> the law found.
        carries: whether what the law leaves of its runs is carried on. left: label -> that, where there is something.
    """

    shape: Shape
    way: Way
    whole: Axes
    parts: dict[str | None, Found]
    carries: bool = False
    left: dict[str | None, Carried] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The law's name, and the way where it is not the plain one."""
        way = {"together": "", "apart": ", each label", "shifted": ", labels shifted"}[self.way]
        return self.shape.name + way + (" + rest" if self.carries else "")

    @property
    def scatter(self) -> float:
        """Root mean square scatter of its parts."""
        own = [self.left[label].scatter if label in self.left else part.scatter for label, part in self.parts.items()]
        return float(np.sqrt(np.mean(np.square(own))))

    def fit(self, runs: Outcomes, near: Candidate | None = None) -> Candidate:
        """Return it fitted to runs, to a share of them where there are many.

        Args:
            runs: what is fitted. near: the same fitted to a table that holds them, if they are a part of it.

        Raises:
            FitError: if it cannot be fitted.
        """
        runs = runs.take(_share(runs, MOST_FITTED if near is None else MOST_ASKED))
        there = {} if near is None else near.parts
        if self.way != "apart":
            return replace(self, parts={None: _found(self.shape, runs, there.get(None))})
        labels = sorted(set(runs.group or ()))
        rows = {label: [i for i, one in enumerate(runs.group or ()) if one == label] for label in labels}
        if not labels or min(map(len, rows.values())) < FEWEST_APART:
            raise FitError("A label has too few runs for a law of its own.")
        parts: dict[str | None, Found] = {}
        for label in labels:
            parts[label] = _found(self.shape, runs.take(rows[label]), there.get(label))
        return replace(self, parts=parts)

    def carrying(self, runs: Outcomes) -> Candidate | None:
        """Return it with what it leaves of the runs it was fitted to, None where that is nothing."""
        left = {}
        for label, part in self.parts.items():
            few = runs if label is None else runs.take([i for i, one in enumerate(runs.group or ()) if one == label])
            few = few.take(_share(few, MOST_CARRIED))
            points = part.axes.points(few.columns, few.group)
            residuals = part.axes.target(few.loss) - part.target(points)
            found = carry(part.axes, points, residuals, part.scatter)
            if found is not None:
                left[label] = found
        return replace(self, carries=True, left=left) if left else None

    def told(self, columns: Mapping[str, Floats], group: Sequence[str] | None) -> Told:
        """Return what it says of runs, in the scale of the whole table.

        Raises:
            FitError: if a run has a label that it was not fitted to.
        """
        count = len(next(iter(columns.values())))
        if self.way != "apart":
            return self._rescaled(None, columns, group)
        made = np.full((4, count), np.nan)
        for label in self.parts:
            rows = np.array([i for i, one in enumerate(group or ()) if one == label], dtype=np.int64)
            if len(rows):
                told = self._rescaled(label, {name: values[rows] for name, values in columns.items()}, None)
                made[:, rows] = told.target, told.scatter, told.constants, told.reach
        if np.isnan(made[0]).any():
            raise FitError("A label was not among the runs.")
        return Told(*made)

    def off(self, told: Told, loss: Floats) -> Floats:
        """Return observed less told, of what is fitted."""
        return np.asarray(self.whole.target(loss) - told.target)

    def _rescaled(self, label: str | None, columns: Mapping[str, Floats], group: Sequence[str] | None) -> Told:
        part = self.parts[label]
        told = _told(part, columns, group, self.left.get(label))
        if self.whole.relative and part.axes.relative:
            return told
        # spreads of one label or fewer runs are not those of the table
        if part.axes.relative:
            loss = part.axes.loss(told.target)
            times = loss / self.whole.spread
            return Told(loss / self.whole.spread, told.scatter * times, told.constants * times, told.reach * times)
        ratio = part.axes.spread / self.whole.spread
        return Told(told.target * ratio, told.scatter * ratio, told.constants * ratio, told.reach * ratio)


def _share(runs: Outcomes, most: int) -> np.ndarray:
    """Return the rows of a share of the runs, spread over their losses; of all where there are no more than `most`."""
    if len(runs) <= most:
        return np.arange(len(runs))
    order = np.argsort(runs.loss, kind="stable")
    return np.sort(order[np.linspace(0, len(runs) - 1, most).astype(int)])


def _found(shape: Shape, runs: Outcomes, near: Found | None) -> Found:
    axes = Axes.of(runs)
    if not shape.suits(axes):
        raise FitError(f"The {shape.name} law needs columns that do not vary here.")
    return find(shape, axes, runs, near)


def _told(part: Found, columns: Mapping[str, Floats], group: Sequence[str] | None, left: Carried | None) -> Told:
    points = part.axes.points(columns, group)
    target = part.target(points)
    # a small step: whole standard deviations along what the runs leave open would leave the law's own form
    moved = part.target(points, part.theta[None, :] + SMALL_STEP * part.factor.T)
    constants = np.sqrt(np.sum(((moved - target) / SMALL_STEP) ** 2, axis=0))
    inside = part.target(nearest(part.axes, points, part.most_compute))
    reach = np.abs(target - inside)
    if left is None:
        return Told(target, np.full(len(target), part.scatter), constants, reach)
    more, unsure = left.told(points)
    return Told(target + more, np.full(len(target), left.scatter), np.hypot(constants, unsure), reach)


def nearest(axes: Axes, points: Points, most_compute: float) -> Points:
    """Return the nearest places inside the runs: within each axis, and no dearer than the dearest."""
    inside = {axis.key: np.clip(points[axis.key], axis.least, axis.most) for axis in axes.axes}
    if {"size", "tokens"} <= set(inside):
        past = np.maximum(inside["size"] + inside["tokens"] - most_compute, 0.0)
        inside |= {key: inside[key] - past / 2 for key in ("size", "tokens")}
    return {**points, **inside}


def candidates(axes: Axes, *, known: bool = True) -> list[Candidate]:
    """Return the laws that the columns allow, in each way to treat labels; where some are not known, in none."""
    found = [Candidate(shape, "together", axes, {}) for shape in SHAPES if shape.suits(axes)]
    if len(axes.groups) > 1 and known:
        found += [Candidate(one.shape, "apart", axes, {}) for one in found] + [
            Candidate(Shifted(one.shape), "shifted", axes, {}) for one in found
        ]
    return found

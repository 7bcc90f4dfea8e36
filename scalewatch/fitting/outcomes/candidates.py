"""Who competes: every law that a table's columns allow, and for runs with labels in each way to treat these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.outcomes.axes import Axes, Outcomes, Points
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
    MovingExponent(),
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
#: Runs that a law is fitted to. By hand.
MOST_FITTED = 1_500


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
    """

    shape: Shape
    way: Way
    whole: Axes
    parts: dict[str | None, Found]

    @property
    def name(self) -> str:
        """The law's name, and the way where it is not the plain one."""
        return self.shape.name + {"together": "", "apart": ", each label", "shifted": ", labels shifted"}[self.way]

    @property
    def scatter(self) -> float:
        """Root mean square scatter of its parts."""
        return float(np.sqrt(np.mean([part.scatter**2 for part in self.parts.values()])))

    def fit(self, runs: Outcomes, *, few: bool = False) -> Candidate:
        """Return it fitted to runs, to a share of them where there are many.

        Raises:
            FitError: if it cannot be fitted.
        """
        most = MOST_ASKED if few else MOST_FITTED
        if len(runs) > most:
            order = np.argsort(runs.loss, kind="stable")
            runs = runs.take(np.sort(order[np.linspace(0, len(runs) - 1, most).astype(int)]))
        if self.way != "apart":
            return replace(self, parts={None: _found(self.shape, runs)})
        labels = sorted(set(runs.group or ()))
        rows = {label: [i for i, one in enumerate(runs.group or ()) if one == label] for label in labels}
        if not labels or min(map(len, rows.values())) < FEWEST_APART:
            raise FitError("A label has too few runs for a law of its own.")
        return replace(self, parts={label: _found(self.shape, runs.take(rows[label])) for label in labels})

    def told(self, columns: Mapping[str, Floats], group: Sequence[str] | None) -> Told:
        """Return what it says of runs, in the scale of the whole table.

        Raises:
            FitError: if a run has a label that it was not fitted to.
        """
        count = len(next(iter(columns.values())))
        if self.way != "apart":
            return self._rescaled(self.parts[None], columns, group)
        made = np.full((4, count), np.nan)
        for label, part in self.parts.items():
            rows = np.array([i for i, one in enumerate(group or ()) if one == label], dtype=np.int64)
            if len(rows):
                told = self._rescaled(part, {name: values[rows] for name, values in columns.items()}, None)
                made[:, rows] = told.target, told.scatter, told.constants, told.reach
        if np.isnan(made[0]).any():
            raise FitError("A label was not among the runs.")
        return Told(*made)

    def off(self, told: Told, loss: Floats) -> Floats:
        """Return observed less told, of what is fitted."""
        return np.asarray(self.whole.target(loss) - told.target)

    def _rescaled(self, part: Found, columns: Mapping[str, Floats], group: Sequence[str] | None) -> Told:
        told = _told(part, columns, group)
        if self.whole.relative and part.axes.relative:
            return told
        # spreads of one label or fewer runs are not those of the table
        if part.axes.relative:
            loss = part.axes.loss(told.target)
            times = loss / self.whole.spread
            return Told(loss / self.whole.spread, told.scatter * times, told.constants * times, told.reach * times)
        ratio = part.axes.spread / self.whole.spread
        return Told(told.target * ratio, told.scatter * ratio, told.constants * ratio, told.reach * ratio)


def _found(shape: Shape, runs: Outcomes) -> Found:
    axes = Axes.of(runs)
    if not shape.suits(axes):
        raise FitError(f"The {shape.name} law needs columns that do not vary here.")
    return find(shape, axes, runs)


def _told(part: Found, columns: Mapping[str, Floats], group: Sequence[str] | None) -> Told:
    points = part.axes.points(columns, group)
    target = part.target(points)
    moved = part.target(points, part.theta[None, :] + part.factor.T)
    constants = np.sqrt(np.sum((moved - target) ** 2, axis=0))
    inside = part.target(nearest(part.axes, points, part.most_compute))
    return Told(target, np.full(len(target), part.scatter), constants, np.abs(target - inside))


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

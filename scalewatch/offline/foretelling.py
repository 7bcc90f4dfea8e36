"""From a table of finished runs to the losses of others: what `scalewatch fit TABLE --predict POINTS` answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.outcomes.axes import Axes, role_of
from scalewatch.fitting.outcomes.cheapest import compete_past_cheapest
from scalewatch.fitting.outcomes.contest import Contest, Foretold
from scalewatch.offline.finished_rows import finished_rows
from scalewatch.offline.listed import few, how_many
from scalewatch.offline.outcome_tables import Inputs, inputs_of, loss_columns, numbers_of, told_as
from scalewatch.offline.shape_sizes import counted_alike
from scalewatch.offline.tables import Table
from scalewatch.offline.told_counts import check_counts, named_alike, with_counts
from scalewatch.offline.tuned_runs import best_tuned, check_one_outcome
from scalewatch.text import times

__all__ = ["LEVEL", "FarOut", "Foretelling", "foretell"]

#: Level of the intervals, as of every forecast here.
LEVEL = 0.8
#: What is said of runs that do not follow the law of the others.
CHEAPEST_LEFT_OUT = (
    "Left out: the {}, without which laws foretell the other runs twice as well: a warm-up that is long for a short "
    "run, or a rate tuned for larger ones, makes a ladder bend where it does not."
)
#: Factor beyond the runs that is none: rounding of sizes. By hand.
LEAST_FACTOR = 1.01
#: Difference, relative, by which a number of a point is that of all runs. By hand.
SAME = 0.01


@final
@dataclass(frozen=True, slots=True)
class FarOut:
    """How far a point lies outside the runs.

    Attributes:
        factors: column -> how many times it lies beyond the largest or below the least of the runs (positive columns),
            or how many standard deviations (others); only those outside. compute: size times tokens over the dearest
            run's, 1 or less inside, nan if the table has none. fall: part of the loss that lies between the point and
            the nearest place inside the runs.
    """

    factors: dict[str, float]
    compute: float
    fall: float

    def __str__(self) -> str:
        """Return it in words."""
        found = [f"{name} {times(factor)}" for name, factor in self.factors.items()]
        if self.compute > LEAST_FACTOR:
            found.insert(0, f"compute {times(self.compute)}")
        return ", ".join(found) or "inside"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Foretelling:
    """What is foretold of one loss.

    Attributes:
        loss: name of its column. contest: the laws, weighed. foretold: shape (m,), NaN where a point lacks a number.
        far: how far out each point is, shape (m,). runs: used. notes: how the tables were read, a sentence each.
    """

    loss: str
    contest: Contest
    foretold: Foretold
    far: list[FarOut | None]
    runs: int
    notes: tuple[str, ...]


def foretell(table: Table, points: Table, overrides: Mapping[str, str] | None = None) -> list[Foretelling]:
    """Return what the runs of a table say of the losses of others, one answer for each column that is a loss.

    Args:
        table: finished runs: losses, and whatever says what was trained. points: other runs, columns named alike.
        overrides: `{"loss": name}` where the name of the column does not say so.

    Raises:
        FitError: if a column is missing, or the runs carry no law. ConfigError: if an override is wrong.
    """
    losses = loss_columns(table, overrides or {})
    points = counted_alike(points, table)
    table, counted = with_counts(table)
    points, _ = with_counts(points, table)
    table, left_out = finished_rows(table)
    inputs = inputs_of(table, losses)
    points = named_alike(points, [*inputs.columns, *([inputs.labels] if inputs.labels else [])])
    shared = [name for name in inputs.columns if name in points.columns]
    missing = [name for name in inputs.columns if name not in points.columns]
    if not shared:
        raise FitError(f"{points.source}: it has none of the columns {', '.join(inputs.columns)}.")
    for name in shared:
        check_counts(table, points, name)
    unused = (f"The laws do not use what {points.source} has no column of: {few(missing)}.",) if missing else ()
    if inputs.labels is not None and inputs.labels not in points.columns:
        check_one_outcome(table, inputs, losses[0])
    table, inputs, tuned = best_tuned(table, inputs, missing, losses)
    labels = inputs.labels if inputs.labels in points.columns else None
    inputs = Inputs(
        {name: inputs.columns[name] for name in shared},
        labels,
        inputs.group if labels else None,
        (
            *table.notes,
            *counted,
            *left_out,
            *tuned,
            *inputs.notes,
            *unused,
            *_held(table, points, [*losses, *inputs.columns]),
        ),
    )
    asked = inputs_of(points, losses, [*shared, *([labels] if labels else [])])
    words = [name for name in shared if name not in asked.columns]
    if words:
        raise FitError(f"{points.source}: column '{words[0]}' holds words, and numbers in {table.source}.")
    return [_foretell_one(table, name, inputs, asked) for name in losses]


def _held(table: Table, points: Table, known: Sequence[str]) -> list[str]:
    """What of the points no law knows, since all runs are alike in it, a sentence for each column."""
    notes = []
    for name in table.columns:
        if name in known or role_of(name) is None or name not in points.columns:
            continue
        try:
            runs, asked = (each[np.isfinite(each)] for each in (numbers_of(table, name), numbers_of(points, name)))
        except FitError:  # words
            continue
        if len(runs) and np.ptp(runs) == 0.0 and np.any(np.abs(asked - runs[0]) > SAME * abs(runs[0])):
            notes.append(
                f"All runs have {runs[0]:.3g} in column '{name}', and points do not: what is foretold is as if they "
                "had, and no interval holds the rest."
            )
    return notes


def _foretell_one(table: Table, name: str, inputs: Inputs, asked: Inputs) -> Foretelling:
    told_name, loss = told_as(table, name)
    runs = inputs.outcomes(loss)
    left = len(loss) - len(runs)
    notes = (*inputs.notes, *((f"{how_many(left, 'row')} without a number in each column: left out.",) if left else ()))
    axes = Axes.of(runs) if len(runs) else None
    if axes is None:
        raise FitError(f"{table.source}: no row has a number in each column and in '{name}'.")
    positive = [axis.column for axis in axes.axes if axis.log]
    fine = asked.complete()
    for column in positive:
        fine &= asked.columns[column] > 0
    rows = np.flatnonzero(fine)
    if not len(rows):
        needed = ", ".join(inputs.columns)
        raise FitError(f"No point has a number in each of the columns {needed}, above zero where all runs have one.")
    columns, group = asked.rows(rows)
    contest, cheapest = compete_past_cheapest(runs, columns, group)
    if cheapest:
        notes = (*notes, CHEAPEST_LEFT_OUT.format(how_many(cheapest, "cheapest run")))
    told = contest.predict(columns, group, LEVEL)
    far: list[FarOut | None] = [None] * len(fine)
    for place, row in enumerate(rows.tolist()):
        far[row] = _far(axes, runs.columns, {name: float(v[place]) for name, v in columns.items()}, told.reach[place])
    return Foretelling(told_name, contest, _spread(told, rows, len(fine)), far, contest.runs, notes)


def _spread(told: Foretold, rows: np.ndarray, count: int) -> Foretold:
    def put(values: Floats) -> Floats:
        whole = np.full(count, math.nan)
        whole[rows] = values
        return whole

    by_law = {name: put(values) for name, values in told.by_law.items()}
    return Foretold(put(told.loss), put(told.low), put(told.high), told.level, put(told.reach), by_law)


def _far(axes: Axes, runs: Mapping[str, Floats], point: Mapping[str, float], reach: float) -> FarOut:
    factors = {}
    for axis in axes.axes:
        here, there = point[axis.column], runs[axis.column]
        if axis.log:
            factor = max(here / float(there.max()), float(there.min()) / here)
            if factor > LEAST_FACTOR:
                factors[axis.column] = factor
        else:
            past = max(here - float(there.max()), float(there.min()) - here) / float(there.std())
            if past > LEAST_FACTOR - 1:
                factors[axis.column] = past
    column = {axis.key: axis.column for axis in axes.axes}
    compute = math.nan
    if {"size", "tokens"} <= set(column):
        size, tokens = column["size"], column["tokens"]
        compute = point[size] * point[tokens] / float(np.max(runs[size] * runs[tokens]))
    return FarOut(factors, compute, float(reach))

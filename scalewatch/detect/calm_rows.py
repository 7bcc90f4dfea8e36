"""Many rows of a log as columns of floats, and which of them can be taken together at all."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cached_property
from operator import gt
from typing import Any, final

from scalewatch.arrays import Rates, rates_at
from scalewatch.columns import Columns
from scalewatch.finding import Finding
from scalewatch.observation import Observation

__all__ = ["CalmRows", "one_by_one_or_many"]

#: Losses, norms and steps beyond these are for the detectors to look at one by one. By hand.
LEAST, MOST, MOST_STEP = 1e-30, 1e30, 2**62
#: Rows that are taken one by one where the first of them could not be taken with others, twice as many each time it is
#: so again, up to the second [rows]. By hand.
PATIENCE, MOST_PATIENCE = 1, 32


@final
class CalmRows:
    """The rows of a log as floats.

    Args:
        rows: of the log.

    Attributes:
        steps, losses: of each row. values: log losses.
        rates, seconds, tokens: NaN where a row has none, None where none has.
        norms: gradient norms, NaN in a row without one, None where no row has one. every_norm: whether none lacks one
            of those that are there. odd: places of the rows that have to be looked at one by one.
    """

    def __init__(self, rows: Columns) -> None:
        self.steps: list[int] = list(rows.steps)
        self.losses: list[float] = list(rows.losses)
        odd: set[int] = set()
        kinds = set(map(type, self.losses)), set(map(type, self.steps))
        if kinds != ({float}, {int}) or any(column is not None for column in rows.others):
            odd.update(range(len(self.steps)))
        self._check_losses(odd)
        if rows.validation_losses is not None:
            odd.update([at for at, value in enumerate(rows.validation_losses) if value is not None])
        self.rates = self._floats(rows.learning_rates, odd)
        self.seconds = self._floats(rows.seconds, odd)
        self.tokens = self._floats(_counts_as_floats(rows.tokens), odd)
        self.norms = self._norms(rows.grad_norms, odd)
        self.every_norm = rows.grad_norms is None or None not in rows.grad_norms
        self.odd = sorted(odd)
        self._planned: list[float] = []

    def planned(self, plan: Rates) -> list[float]:
        """Return what one plan has for each row, NaN where it has nothing."""
        if not self._planned:
            self._planned = rates_at(plan, self.steps)
        return self._planned

    def _check_losses(self, odd: set[int]) -> None:
        if len(odd) == len(self.steps):
            return
        steps, losses = self.steps, self.losses
        if not (min(losses) > LEAST and max(losses) < MOST and all(map(LEAST.__lt__, losses))):
            odd.update([at for at, loss in enumerate(losses) if not LEAST < loss < MOST])
        if not all(map(gt, steps[1:], steps)) or max(map(abs, steps)) > MOST_STEP:
            odd.update([at for at, (now, then) in enumerate(zip(steps[1:], steps, strict=False), 1) if now <= then])
            odd.update([at for at, step in enumerate(steps) if abs(step) > MOST_STEP])

    def _floats(self, column: Sequence[Any] | None, odd: set[int]) -> list[float] | None:
        if column is None:
            return None
        kinds = set(map(type, column))
        if kinds == {float}:
            return list(column)
        odd.update([at for at, value in enumerate(column) if value is not None and type(value) is not float])
        return [value if type(value) is float else math.nan for value in column]

    def _norms(self, column: Sequence[Any] | None, odd: set[int]) -> list[float] | None:
        norms = self._floats(column, odd)
        if column is not None and norms and not (all(map(LEAST.__lt__, norms)) and max(norms) < MOST):
            odd.update([at for at, norm in enumerate(norms) if column[at] is not None and not LEAST < norm < MOST])
        return norms

    @cached_property
    def values(self) -> list[float]:
        """Log losses; 0 in an odd row."""
        return self._logs(self.losses)

    @cached_property
    def log_norms(self) -> list[float]:
        """Log gradient norms; 0 in an odd row and in one without a norm."""
        return self._logs(self.norms or [])

    def _logs(self, numbers: list[float]) -> list[float]:
        if not self.odd and self.every_norm:
            return list(map(math.log, numbers))
        return [math.log(number) if LEAST < number < MOST else 0.0 for number in numbers]

    def calm_until(self, place: int) -> int:
        """Return the next place from `place` on of a row that has to be looked at by itself."""
        at = bisect_left(self.odd, place)
        return self.odd[at] if at < len(self.odd) else len(self.steps)


def _counts_as_floats(column: Sequence[Any] | None) -> Sequence[Any] | None:
    if column is None or set(map(type, column)) == {float}:
        return column
    return [float(value) if type(value) is int and abs(value) <= MOST_STEP else value for value in column]


def one_by_one_or_many(
    rows: Columns, one: Callable[[Observation], list[Finding]], many: Callable[[CalmRows, int, int], tuple[int, int]]
) -> list[Finding]:
    """Return what was found in many rows, most of which are taken together.

    Args:
        rows: of the log. one: takes a row. many: takes the rows from a place to before another, or the first of them,
            in none of which anything is found; returns the place of the next one, and to where it is to be one by one.
    """
    calm = CalmRows(rows)
    found: list[Finding] = []
    at, patience = 0, PATIENCE
    while at < len(rows):
        until = calm.calm_until(at)
        taken, single = many(calm, at, until) if until > at else (at, at)
        patience = PATIENCE if taken > at or single > at else min(2 * patience, MOST_PATIENCE)
        at = taken
        for place in range(at, min(max(at + patience, single), len(rows))):
            found += one(rows.row(place))
            at = place + 1
    return found

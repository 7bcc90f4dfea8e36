"""The first rows of a log, column by column: what a name does not say of a column, its numbers do."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any, final

from scalewatch.logs.values import fraction, is_blank, number, seconds

__all__ = ["MOST_ROWS", "Sample"]

#: Rows that are kept; more say nothing more of what a column is. By hand.
MOST_ROWS = 2_000
#: Columns that are kept: a log with more is no table of numbers.
MOST_COLUMNS = 2_000
#: A column is sparse that has this many times fewer numbers than another, as a loss of epochs has. By hand.
SPARSE = 3
#: Different numbers from which it can be said that a column only rises. By hand.
RISES_FROM = 5
#: Part of the rows whose step lies below that of the row before from which rows are in no order. By hand.
MOST_FALLS = 0.2


@final
class Sample:
    """Numbers and words of some rows, bounded.

    Attributes:
        rows: how many were taken.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._numbers: dict[str, list[float]] = {}
        self._words: dict[str, list[str]] = {}
        self._wholes: dict[str, float] = {}

    def add(self, cells: Mapping[str, Any]) -> bool:
        """Take one row; return whether there is room for more."""
        if self.rows >= MOST_ROWS:
            return False
        self.rows += 1
        for name, cell in cells.items():
            if isinstance(cell, bool) or is_blank(cell) or (name not in self._numbers and self._full):
                continue
            value, part = number(cell), fraction(cell)
            if part is not None:
                value, self._wholes[name] = part
            if value is not None:
                self._numbers.setdefault(name, []).append(value)
            elif isinstance(cell, str) and len(self._words) < MOST_COLUMNS:
                self._words.setdefault(name, []).append(cell)
        return True

    @property
    def _full(self) -> bool:
        return len(self._numbers) >= MOST_COLUMNS

    @property
    def names(self) -> list[str]:
        """The columns that hold anything, in the order in which they turned up; those of words behind."""
        return list(dict.fromkeys((*self._numbers, *self._words)))

    def filled(self, name: str) -> int:
        """Return how many rows have a number in a column."""
        return len(self._numbers.get(name, ()))

    def numbers(self, name: str) -> list[float]:
        """Return the numbers of a column, in their order."""
        return self._numbers.get(name, [])

    def words(self, name: str) -> list[str]:
        """Return the cells of a column that are words, in their order."""
        return self._words.get(name, [])

    def whole(self, name: str) -> float | None:
        """Return what the numbers of a column are parts of, where it holds cells such as `10/438`; else None."""
        return self._wholes.get(name)

    def sparse(self, name: str, beside: Iterable[str]) -> bool:
        """Return whether a column has far fewer numbers than another of these."""
        return SPARSE * self.filled(name) < max((self.filled(other) for other in beside), default=0)

    def rises(self, name: str) -> bool:
        """Return whether a column does nothing but rise, as steps and times do."""
        values = self.numbers(name)
        pairs = itertools.pairwise(values)
        return len(set(values)) >= RISES_FROM and all(after >= before for before, after in pairs)

    def passes(self, name: str) -> bool:
        """Return whether a column can be the time of each row, and is not how long each took: it never goes back."""
        times = self.numbers(name) or [time for word in self.words(name) if (time := seconds(word)) is not None]
        if len(times) >= RISES_FROM and len(set(times)) == 1:
            return False
        return all(after >= before for before, after in itertools.pairwise(times))

    def counts(self, name: str, sides: int = 1) -> bool:
        """Return whether a column holds whole numbers, each greater than the one before: it can be a step.

        Args:
            name: the column. sides: rows that one number may have, as where training and validation have one each.
        """
        values = self.numbers(name)
        pairs = itertools.pairwise(values)
        rises = all(after >= before for before, after in pairs) and sides * len(set(values)) >= len(values)
        return bool(values) and all(v.is_integer() for v in values) and rises

    def between_wholes(self, name: str) -> bool:
        """Return whether most numbers of a column are no whole ones, as those of a counter are."""
        values = self.numbers(name)
        return 2 * sum(not value.is_integer() for value in values) > len(values)

    def disordered(self, name: str) -> bool:
        """Return whether steps fall as often as those of a run that goes back do not: newest first, or shuffled."""
        values = self.numbers(name)
        # two writers whose rows alternate each rise from one of their rows to the next
        falls = min(
            sum(after < before for before, after in zip(values, values[apart:], strict=False)) for apart in (1, 2)
        )
        return len(values) >= RISES_FROM and len(set(values)) == len(values) and falls >= MOST_FALLS * len(values)

    def constant(self, name: str) -> float | None:
        """Return the one number that a column holds, None if it holds none or several."""
        values = set(self.numbers(name))
        return values.pop() if len(values) == 1 else None

    def falls(self, name: str) -> bool:
        """Return whether the last third of a column lies below its first third."""
        return self._moved(name) < 0.0

    def climbs(self, name: str) -> bool:
        """Return whether the last third of a column lies above its first third."""
        return self._moved(name) > 0.0

    def _moved(self, name: str) -> float:
        values = [value for value in self.numbers(name) if math.isfinite(value)]
        third = max(len(values) // 3, 1)
        return sum(values[-third:]) - sum(values[:third]) if len(values) > 1 else 0.0

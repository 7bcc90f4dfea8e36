"""Rows of a log -> rows in the order of their steps, one a step, none twice.

Loggers write what belongs to one step in several rows (the learning rate, the loss, the validation), repeat steps,
and two processes may write into one file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, final

from scalewatch.columns import Columns
from scalewatch.observation import Observation

__all__ = ["LOSS", "VALIDATION", "Row", "StepOrder"]

#: A row that is being put together: a value or None for each field of `Observation`.
Row = list[Any]
#: Places of two fields in a row.
LOSS, VALIDATION = 1, 5


@final
class StepOrder:
    """Holds the newest row back until the next one says that it is complete and in its place; constant memory."""

    def __init__(self) -> None:
        self._pending: Row | None = None  # the newest row with a loss, not given out yet
        self._back: Row | None = None  # a row that went back, until the next one says why
        self._side: Row | None = None  # what was measured apart from any loss yet
        self._last: int | None = None
        self._strays = self._backs = 0

    @property
    def newest(self) -> int:
        """Newest step, 0 if there is none yet."""
        newest = self._pending[0] if self._pending is not None else self._last
        return 0 if newest is None else int(newest)

    @property
    def rises(self) -> bool:
        """Whether what comes next may be a row like the one before: no row waits for another to be understood."""
        return self._back is None and self._side is None

    def add(self, row: Row) -> Iterable[Observation]:
        """Return the rows that are complete with this one."""
        pending = self._pending
        alone = row[LOSS] is not None and self._back is None and self._side is None
        if alone and pending is not None and row[0] > pending[0]:
            # by far the most rows are of this kind
            self._pending, self._last = row, pending[0]
            return (Observation(*pending),)
        return self._placed(row)

    def add_rising(self, steps: Sequence[int], columns: Sequence[list[Any] | None]) -> Columns | None:
        """Return the rows that are complete with these, or None where they have to be added one by one.

        Args:
            steps: each higher than the one before, at least one. columns: the other fields of `Observation`, with a
                loss in each row; None for a field that no row has.
        """
        pending = self._pending
        if not self.rises:
            return None
        if pending is None:
            if self._last is not None and steps[0] < self._last:
                return None
        elif steps[0] <= pending[0]:
            return None
        fields: list[Sequence[Any] | None] = [steps, *columns]
        self._pending = [None if column is None else column[-1] for column in fields]
        if pending is None:
            self._last = steps[-2] if len(steps) > 1 else self._last
            return Columns([None if column is None else column[:-1] for column in fields])
        self._last = steps[-2] if len(steps) > 1 else pending[0]
        none = [None] * (len(steps) - 1)
        return Columns(
            [
                (None if first is None else [first, *none]) if column is None else [first, *column[:-1]]
                for first, column in zip(pending, fields, strict=True)
            ]
        )

    def flush(self) -> Iterator[Observation]:
        """Yield what waits for a next row: there is none for now."""
        for row in (self._pending, self._back):
            if row is not None:
                yield self._give(row)
        self._pending = self._back = None

    def notes(self) -> list[str]:
        """Return a line for each disorder since the last call."""
        found = []
        if self._strays:
            found.append(
                f"{self._strays} rows stand before a step that was already there and are left out: steps out of "
                "order, or two writers on one file"
            )
            self._strays = 0
        if self._backs > 3:
            found.append(f"steps go back {self._backs} times: a run resumed often, or two writers on one file")
            self._backs = 0
        return found

    def _placed(self, row: Row) -> Iterator[Observation]:
        if row[LOSS] is None:
            self._aside(row)
            return
        if self._side is not None:
            same_step = self._side[0] == row[0]
            for place in range(2, len(row)):
                if row[place] is None and (same_step or place == VALIDATION):
                    row[place] = self._side[place]
            self._side = None
        if self._pending is None:
            if self._last is not None and row[0] < self._last:
                self._backs += 1
            self._pending = row
            return
        if self._back is not None:
            yield from self._after_back(row)
        elif row[0] >= self._pending[0]:
            yield self._give(self._pending)
            self._pending = row
        else:
            self._back = row

    def _after_back(self, row: Row) -> Iterator[Observation]:
        back, pending = self._back, self._pending
        assert back is not None
        assert pending is not None
        self._back = None
        if row[0] > pending[0] or (row[0] == pending[0] and back[0] < pending[0] - 1):
            # the run had not gone back: one row stood in the wrong place
            if self._last is None or back[0] > self._last:
                yield self._give(back)
            else:
                self._strays += 1
            yield self._give(pending)
        else:
            self._backs += 1
            yield self._give(pending)
            yield self._give(back)
        self._pending = row

    def _aside(self, row: Row) -> None:
        pending = self._pending
        if pending is not None and pending[0] == row[0]:
            for place in range(2, len(row)):
                if pending[place] is None:
                    pending[place] = row[place]
            return
        if self._side is not None and self._side[0] == row[0]:
            row = [new if new is not None else old for old, new in zip(self._side, row, strict=True)]
        elif self._side is not None and row[VALIDATION] is None:
            row[VALIDATION] = self._side[VALIDATION]
        self._side = row

    def _give(self, row: Row) -> Observation:
        self._last = row[0]
        return Observation(*row)

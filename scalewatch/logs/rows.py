"""Cells of a log -> observations: numbers, units, rows of one step joined, steps put in order.

Loggers write what belongs to one step in several rows (the learning rate, the loss, the validation), repeat steps,
and two processes may write into one file. What a monitor needs is one row a step, in order, and no row twice.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, final

from scalewatch.logs.columns import HELD_OUT, RUNS, scale_of
from scalewatch.logs.log import AbstractLog
from scalewatch.logs.values import is_blank, number, seconds
from scalewatch.observation import Observation

__all__ = ["Rows"]

#: Rows with a loss seen before the absence of one in a row like them counts as NaN.
KNOWN_ROWS = 8
#: Columns that say when a row was and not what was measured.
_WHEN = frozenset({"epoch", "_runtime", "runtime", "_timestamp", "timestamp", "_step", "time", "wall_time"})
#: Columns whose value may say that a row's loss is one of validation.
_SPLITS = ("split", "phase", "stage", "mode", "subset", "kind", "type", "event")

_LOSS, _VALIDATION = 1, 5
_WIDTH = len(Observation._fields)


@final
class Rows:
    """Makes the observations of one log; constant memory.

    Args:
        log: whose `columns` say what is what, and which takes the notes. unit: what a place is called: `line`.

    Attributes:
        sparse: whether a blank loss is only a row without one, and never NaN.
    """

    def __init__(self, log: AbstractLog, unit: str) -> None:
        self._log = log
        self._unit = unit
        self._splits: tuple[str, ...] = ()
        self._run_column: str | None = None
        self._run: Any = None
        self._others = 0
        self._pending: list[Any] | None = None  # the newest row with a loss, not given out yet
        self._back: list[Any] | None = None  # a row that went back, until the next one says why
        self._side: list[Any] | None = None  # what was measured apart from any loss yet
        self._last: int | None = None
        self._counted = 0
        self._losses = 0
        self._whole: set[str] | None = None
        self._strays = 0
        self._backs = 0
        self._guessed_nan = False
        self.sparse = False
        self._plan: list[tuple[int, str, str, str, float]] = []

    def add(self, cells: Mapping[str, Any], place: int) -> Iterable[Observation]:
        """Return the rows that are complete with this one, which stands at `place`."""
        if self._run_column is not None and self._is_of_another_run(cells.get(self._run_column)):
            return ()
        row = self._read(cells, place)
        if row is None:
            return ()
        pending = self._pending
        alone = row[_LOSS] is not None and self._back is None and self._side is None
        if alone and pending is not None and row[0] > pending[0]:
            # by far the most rows are of this kind
            self._count(row)
            self._pending, self._last = row, pending[0]
            return (Observation(*pending),)
        return self._order(row)

    def flush(self) -> Iterator[Observation]:
        """Yield what waits for a next row: there is none for now."""
        for row in (self._pending, self._back):
            if row is not None:
                yield self._give(row)
        self._pending = self._back = None
        if self._others:
            self._log.note(
                f"only the rows of '{self._run!s:.40}' are read: {self._others:,} rows are of other runs by the "
                f"column '{self._run_column}'; give each run a file of its own"
            )
            self._others = 0
        if self._strays:
            self._log.note(
                f"{self._strays} rows stand before a step that was already there and are left out: steps out of "
                "order, or two writers on one file"
            )
            self._strays = 0
        if self._backs > 3:
            self._log.note(f"steps go back {self._backs} times: a run resumed often, or two writers on one file")
            self._backs = 0

    # --- one row -----------------------------------------------------------------------------------

    def replan(self, names: Container[str]) -> None:
        """Take note that the log's `columns`, which are some of `names`, have changed."""
        self._splits = tuple(name for name in _SPLITS if name in names)
        self._run_column = next((name for name in RUNS if name in names), None)
        self._plan = [
            (place, field, column, *scale_of(column, field))
            for place, field in enumerate(Observation._fields)
            if (column := self._log.columns.get(field)) is not None
        ]

    def _read(self, cells: Mapping[str, Any], place: int) -> list[Any] | None:
        row: list[Any] = [None] * _WIDTH
        blank_loss = empty = True
        for slot, field, column, how, factor in self._plan:
            cell = cells.get(column)
            value = cell if type(cell) is float else seconds(cell) if field == "seconds" else number(cell)
            if value is None:
                if not is_blank(cell):
                    self._log.note(f"{self._unit} {place}: '{column:.40}' is no number (got {str(cell)!r:.40})")
                    blank_loss = blank_loss and field != "loss"
                continue
            empty = empty and slot == 0
            row[slot] = value * factor if how == "linear" else _log(value)
        if row[_LOSS] is None:
            if blank_loss and self._is_nan(cells, row, place):
                row[_LOSS] = math.nan
            elif empty:
                return None
        elif self._splits and row[_VALIDATION] is None and self._held_out(cells):
            row[_LOSS], row[_VALIDATION] = None, row[_LOSS]
        return row if self._stepped(row, place) else None

    def _stepped(self, row: list[Any], place: int) -> bool:
        step = row[0]
        if step is None:
            if row[_LOSS] is None:
                row[0] = self._newest()
                return True
            if "step" in self._log.columns and self._losses:
                self._log.note(f"{self._unit} {place}: has no step; counted on from the row before")
            self._counted = self._newest() + 1
            row[0] = self._counted
            return True
        if not math.isfinite(step) or abs(step) > 2**62:
            self._log.note(f"{self._unit} {place}: its step is {step}; left out")
            return False
        row[0] = int(step)
        return True

    def _newest(self) -> int:
        newest = self._pending[0] if self._pending is not None else self._last
        return 0 if newest is None else int(newest)

    def _is_nan(self, cells: Mapping[str, Any], row: list[Any], place: int) -> bool:
        """Whether a blank loss stands for NaN, as pandas and JavaScript write it.

        It does where each of the first rows had a loss, and this one has all that those had but the loss.
        """
        loss = self._log.columns.get("loss")
        if (
            self.sparse
            or not self._losses
            or row[_VALIDATION] is not None
            or loss not in cells
            or self._held_out(cells)
        ):
            return False
        given = {name for name, cell in cells.items() if not is_blank(cell)}
        measured = {name for name in given - self._when() if name.lower() not in _WHEN}
        if measured and not (self._whole and self._whole <= given):
            return False
        if self._losses < KNOWN_ROWS:
            self.sparse = True
            return False
        if not self._guessed_nan:
            self._guessed_nan = True
            self._log.note(
                f"{self._unit} {place}: the loss is blank where each row has one: read as NaN, here and below"
            )
        return True

    def _held_out(self, cells: Mapping[str, Any]) -> bool:
        """Whether a column such as `split` says that this row is one of validation."""
        split = next((cell for name in self._splits if isinstance(cell := cells.get(name), str)), "")
        return split.strip().lower() in HELD_OUT

    def _is_of_another_run(self, name: Any) -> bool:
        if is_blank(name):
            return False
        if self._run is None:
            self._run = name
        self._others += name != self._run
        return bool(name != self._run)

    def _when(self) -> set[str | None]:
        return {self._log.columns.get(field) for field in ("step", "seconds", "tokens")}

    # --- order --------------------------------------------------------------------------------------

    def _order(self, row: list[Any]) -> Iterator[Observation]:
        if row[_LOSS] is None:
            self._aside(row)
            return
        self._count(row)
        if self._side is not None:
            same_step = self._side[0] == row[0]
            for place in range(2, len(row)):
                if row[place] is None and (same_step or place == _VALIDATION):
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

    def _after_back(self, row: list[Any]) -> Iterator[Observation]:
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

    def _aside(self, row: list[Any]) -> None:
        pending = self._pending
        if pending is not None and pending[0] == row[0]:
            for place in range(2, len(row)):
                if pending[place] is None:
                    pending[place] = row[place]
            return
        if self._side is not None and self._side[0] == row[0]:
            row = [new if new is not None else old for old, new in zip(self._side, row, strict=True)]
        elif self._side is not None and row[_VALIDATION] is None:
            row[_VALIDATION] = self._side[_VALIDATION]
        self._side = row

    def _count(self, row: list[Any]) -> None:
        self._losses += 1
        if self._losses > KNOWN_ROWS:
            return
        measured = {
            column
            for place, _, column, _, _ in self._plan
            if place not in (_LOSS, _VALIDATION) and row[place] is not None
        } - self._when()
        self._whole = measured if self._whole is None else self._whole & measured

    def _give(self, row: list[Any]) -> Observation:
        self._last = row[0]
        return Observation(*row)


def _log(value: float) -> float:
    return math.log(value) if value > 0 else math.nan

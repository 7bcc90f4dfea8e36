"""Cells of a log -> observations: which cell is which field, in what unit, of which run, and what a blank means.

What a monitor needs is one row a step, in order, and no row twice; `step_order` sees to that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, final

from scalewatch.columns import Columns
from scalewatch.logs.blank_losses import BlankLosses
from scalewatch.logs.columns import COUNTER_OF_EPOCHS, placed, run_column, scale_of
from scalewatch.logs.epoch_steps import EpochLength, EpochSteps
from scalewatch.logs.log import AbstractLog
from scalewatch.logs.loss_names import may_be_maximized
from scalewatch.logs.plain_rows import PlainRows
from scalewatch.logs.sample import Sample
from scalewatch.logs.settings import Settings
from scalewatch.logs.splits import Splits
from scalewatch.logs.step_order import LOSS, VALIDATION, Row, StepOrder
from scalewatch.logs.values import counted, fraction, is_blank, number, seconds
from scalewatch.observation import Observation

__all__ = ["Rows"]

#: Rows with a loss seen before the absence of one in a row like them counts as NaN.
KNOWN_ROWS = 8
#: Rows from which their trend says whether a bound is maximized, where before its sign does. By hand.
TREND_ROWS = 8
#: Columns that say when a row was and not what was measured.
_WHEN = frozenset({"epoch", "_runtime", "runtime", "_timestamp", "timestamp", "_step", "time", "wall_time"})
#: Columns that say which process wrote a row.
_RANKS = ("rank", "global_rank", "process_rank", "process_index", "local_rank")
#: Rows that are held to be sorted at most: 100 MB. By hand.
MOST_HELD = 300_000
#: Under what rows without a step are counted.
_NO_STEP = ""
#: Columns of which it is told how many cells are no numbers.
_MOST_TROUBLES = 8

_WIDTH = len(Observation._fields)
_PHASE = Observation._fields.index("phase")


class _Plan(NamedTuple):
    """Which column is which field: (place, field, column, scale, factor), and the terms of columns that are sums."""

    columns: list[tuple[int, str, str, str, float]]
    sums: dict[str, list[str]]


@final
class _EpochColumn:
    """The column that counts epochs, "" for none, and what it says of steps."""

    def __init__(self) -> None:
        self.column = ""
        self.steps, self.length = EpochSteps(), EpochLength()


@final
class _Troubles:
    """Cells that are no numbers, of which each column is told once, with its count; places are called `unit`."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self._found: dict[str, tuple[int, int, str]] = {}

    def add(self, column: str, cell: Any, place: int) -> None:
        if column in self._found or len(self._found) < _MOST_TROUBLES:
            count, first, shown = self._found.get(column, (0, place, str(cell)))
            self._found[column] = count + 1, first, shown

    def told(self) -> Iterator[str]:
        for column, (count, place, shown) in self._found.items():
            more = f", and {count - 1:,} more like it" if count > 1 else ""
            if column == _NO_STEP:
                yield f"{self.unit} {place}: has no step; counted on from the row before{more}"
                continue
            yield f"{self.unit} {place}: '{column:.40}' is no number (got {shown!r:.40}){more}"
        self._found.clear()


@final
class Rows:
    """Makes the observations of one log; constant memory.

    Args:
        log: whose `columns` say what is what, and which takes the notes. unit: what a place is called: `line`.
        run: of a table of several runs the one to read, None for the first.

    Attributes:
        blanks: what a blank loss stands for.
        maximized: whether the loss is the negative of its column, which rises as it is learnt.
        plans: how often the columns were decided, count.
    """

    def __init__(self, log: AbstractLog, unit: str, run: str | None = None) -> None:
        self._log = log
        self._order, self._one_run = StepOrder(), _OneRun(run)
        self._splits, self._epochs = Splits(), _EpochColumn()
        self._settings, self._troubles = Settings(), _Troubles(unit)
        self._plan = _Plan([], {})
        self.blanks = BlankLosses()
        self.maximized = False
        self._held: _Sorted | None = None
        self.plans = 0

    def add(self, cells: Mapping[str, Any], place: int) -> Iterable[Observation]:
        """Return the rows that are complete with this one, which stands at `place`."""
        if self._one_run.column is not None and self._one_run.leaves_out(cells):
            return ()
        row = self._read(cells, place)
        if row is None:
            return ()
        if row[LOSS] is not None:
            self._count(row)
        return self._order.add(row) if self._held is None else self._held.add(row)

    @property
    def as_they_come(self) -> bool:
        """Whether rows are given on in their order, and no column says of which run they are."""
        return self._one_run.column is None and self._held is None

    @property
    def by_columns(self) -> bool:
        """Whether many rows can be taken at once: none has to be looked at by itself to tell what it is of."""
        alike = self.as_they_come and not self._plan.sums and not self._splits.names
        return alike and self.blanks.losses > KNOWN_ROWS

    def plain(self, cells: Callable[[str], Sequence[Any] | None], count: int) -> PlainRows | None:
        """Return many rows as columns of numbers, None where each has to be looked at by itself.

        Args:
            cells: the cells of a column, None for one that is not there. count: rows.
        """
        if not self.by_columns:
            return None
        fields = {
            field: (cells(column), _log if how == "log" else None if factor == 1.0 else factor.__mul__)
            for _, field, column, how, factor in self._plan.columns
        }
        epochs = cells(self._epochs.column) if self._epochs.column else None
        return PlainRows(fields, count, epochs, self._settings.breaks(cells, self._log.columns.get("loss", "")))

    def add_plain(self, rows: PlainRows, first: int, end: int) -> Columns | None:
        """Return the rows that are complete with those from `first` to before `end`, between which is no break.

        None where they have to be added one by one.
        """
        newest = self._order.newest
        steps: list[int] | None
        if not self._order.rises:
            return None
        if rows.steps is None:
            steps = list(range(newest + 1, newest + 1 + end - first))
        elif rows.epochs is None:
            steps = rows.steps[first:end]
        else:
            steps = self._epochs.steps.of_rising(rows.steps[first:end], rows.epochs[first:end], newest)
        if steps is None:
            return None
        given = (rows.values.get(field) for field in Observation._fields[1:])
        if rows.epochs is not None and self._epochs.length.see_many(steps, rows.epochs[first:end]):
            self._learn_epoch()
        complete = self._order.add_rising(steps, [None if v is None else v[first:end] for v in given])
        if complete is not None:
            self.blanks.losses += end - first
            self._settings.hold(end - first, steps[-1])
        return complete

    def flush(self) -> Iterator[Observation]:
        """Yield what waits for a next row: there is none for now."""
        late: list[str] = []
        if self._held is not None:
            yield from self._held.flush()
            late = self._held.notes()
        yield from self._order.flush()
        for line in (*self._one_run.notes(), *self._order.notes(), *late, *self._troubles.told()):
            self._log.note(line)

    # --- one row -----------------------------------------------------------------------------------

    def replan(self, names: Collection[str]) -> None:
        """Take note that the log's `columns`, which are some of `names`, have changed."""
        self.plans += 1
        self._settings.know(names)
        self._splits.know(names)
        self._one_run.column = run_column(names) or next((n for n in names if placed(n, _RANKS) is not None), None)
        sums = {
            column: terms
            for column in self._log.columns.values()
            if column not in names and len(terms := column.split("+")) > 1
        }
        step = self._log.columns.get("step", "")
        epochs = [name for name in names if placed(name, COUNTER_OF_EPOCHS) is not None and name != step]
        self._epochs.column = epochs[0] if epochs and step and self._held is None else ""
        columns = [
            (place, field, column, *self._scale_of(column, field))
            for place, field in enumerate(Observation._fields)
            if (column := self._log.columns.get(field)) is not None
        ]
        self._plan = _Plan(columns, sums)

    def _scale_of(self, column: str, field: str) -> tuple[str, float]:
        turned = self.maximized and field in ("loss", "validation_loss") and may_be_maximized(column)
        return ("linear", -1.0) if turned else scale_of(column, field)

    def _read(self, cells: Mapping[str, Any], place: int) -> Row | None:
        if self._plan.sums:
            cells = {**cells, **{column: _sum(cells, terms) for column, terms in self._plan.sums.items()}}
        row: Row = [None] * _WIDTH
        blank_loss = empty = True
        for slot, field, column, how, factor in self._plan.columns:
            cell = cells.get(column)
            value = cell if type(cell) is float else seconds(cell) if field == "seconds" else number(cell)
            if value is None and slot == 0:
                part = fraction(cell)
                value = part[0] if part is not None else counted(cell)
            if value is None:
                if not is_blank(cell):
                    self._troubles.add(column, cell, place)
                    blank_loss = blank_loss and field != "loss"
                continue
            empty = empty and slot == 0
            row[slot] = value * factor if how == "linear" else _log(value)
        if row[LOSS] is None:
            if blank_loss and self._is_nan(cells, row, place):
                row[LOSS] = math.nan
            elif empty:
                return None
        elif self._splits.names and row[VALIDATION] is None and self._splits.held_out(cells):
            row[LOSS], row[VALIDATION] = None, row[LOSS]
        if not self._stepped(row, place):
            return None
        if self._epochs.column:
            self._count_epochs(row, cells)
        if row[LOSS] is not None:
            row[_PHASE] = self._settings.see(cells, row[0]) if self._held is None else self._settings.of(cells)
        return row

    def _count_epochs(self, row: Row, cells: Mapping[str, Any]) -> None:
        epochs, epoch = self._epochs, number(cells.get(self._epochs.column))
        if row[LOSS] is not None and not self._splits.held_out(cells):
            row[0] = epochs.steps.of(row[0], epoch)
            if epochs.length.see(row[0], epoch):
                self._learn_epoch()
        elif epochs.steps.restarts:
            row[0] = self._order.newest  # where the counter of a validation stands says nothing of the run

    def _learn_epoch(self) -> None:
        self._log.run = replace(self._log.run, steps_per_epoch=self._epochs.length.steps)

    def _stepped(self, row: Row, place: int) -> bool:
        step = row[0]
        if step is None:
            if row[LOSS] is None:
                row[0] = self._order.newest
                return True
            if "step" in self._log.columns and self.blanks.losses:
                self._troubles.add(_NO_STEP, "", place)
            row[0] = self._order.newest + 1
            return True
        if not math.isfinite(step) or abs(step) > 2**62:
            self._log.note(f"{self._troubles.unit} {place}: its step is {step}; left out")
            return False
        row[0] = int(step)
        return True

    def _is_nan(self, cells: Mapping[str, Any], row: Row, place: int) -> bool:
        """Whether a blank loss stands for NaN, as pandas and JavaScript write it.

        It does where each of the first rows had a loss, and this one has all that those had but the loss.
        """
        loss, blanks = self._log.columns.get("loss"), self.blanks
        if blanks.sparse or not blanks.losses or row[VALIDATION] is not None or loss not in cells:
            return False
        if self._splits.held_out(cells):
            return False
        given = {name for name, cell in cells.items() if not is_blank(cell)}
        measured = {name for name in given - self._when() if name.lower() not in _WHEN}
        if measured and not (blanks.whole and blanks.whole <= given):
            return False
        if blanks.losses < KNOWN_ROWS:
            blanks.sparse = True
            return False
        if not blanks.guessed:
            blanks.guessed = True
            self._log.note(
                f"{self._troubles.unit} {place}: the loss is blank where each row has one: read as NaN, here and below"
            )
        return True

    def look(self, sample: Sample) -> None:
        """See whether the first rows are all of a validation, in the order of their steps, and of what is minimized."""
        loss = self._log.columns.get("loss", "")
        disordered = sample.disordered(self._log.columns.get("step", ""))
        if may_be_maximized(loss):
            losses = [value for value in sample.numbers(loss) if math.isfinite(value)]
            trend = len(losses) >= TREND_ROWS and not disordered
            self.maximized = sample.climbs(loss) if trend else max(losses, default=0.0) < 0.0
            how = "rises as it is learnt" if trend else "is below 0"
        if self.maximized:
            self._log.note(f"'{loss:.60}' {how}: its negative is the loss")
        self._splits.look(sample)
        if disordered:
            self._held = _Sorted(self._order, self._settings)
            self._log.note("its rows do not stand in the order of their steps: they are sorted by them")

    def _when(self) -> set[str | None]:
        return {self._log.columns.get(field) for field in ("step", "seconds", "tokens")}

    def _count(self, row: Row) -> None:
        self.blanks.losses += 1
        if self.blanks.losses > KNOWN_ROWS:
            return
        measured = {
            column
            for place, _, column, _, _ in self._plan.columns
            if place not in (LOSS, VALIDATION) and row[place] is not None
        } - self._when()
        self.blanks.see(measured)


@final
class _Sorted:
    """Rows in no order, held and given on by their steps; bounded memory, so that a row may come too late."""

    def __init__(self, order: StepOrder, settings: Settings) -> None:
        self._order, self._settings = order, settings
        self._held: list[Row] = []
        self._newest: int | None = None
        self._late = 0

    def add(self, row: Row) -> Iterable[Observation]:
        """Hold a row; return those that there is no room for."""
        self._held.append(row)
        return self.flush() if len(self._held) >= MOST_HELD else ()

    def flush(self) -> Iterator[Observation]:
        """Yield what is held but the rows of steps that were passed already."""
        held, self._held = sorted(self._held, key=lambda row: row[0]), []
        for row in held:
            if self._newest is not None and row[0] < self._newest:
                self._late += 1
                continue
            if row[LOSS] is not None:
                row[_PHASE] = self._settings.see(row[_PHASE], row[0])
            yield from self._order.add(row)
        if held:
            self._newest = max(held[-1][0], held[-1][0] if self._newest is None else self._newest)

    def notes(self) -> list[str]:
        """Return a line if rows came too late since the last call."""
        late, self._late = self._late, 0
        return [f"{late:,} rows are of steps that were passed already when they came: left out"] if late else []


@final
class _OneRun:
    """Of a table of several runs, one: its column, and how many rows are of others, unless they are read elsewhere."""

    def __init__(self, run: str | None) -> None:
        self.column: str | None = None
        self._run = run
        self._counts = run is None
        self._others = 0

    def leaves_out(self, cells: Mapping[str, Any]) -> bool:
        """Whether a row is of another run."""
        cell = cells.get(self.column or "")
        if is_blank(cell):
            return False
        name = str(cell)
        if self._run is None:
            self._run = name
        self._others += self._counts and name != self._run
        return name != self._run

    def notes(self) -> list[str]:
        """Return a line if rows of others were left out since the last call."""
        others, self._others = self._others, 0
        if not others:
            return []
        return [
            f"only the rows of '{self._run:.40}' are read: {others:,} rows are of others by the column "
            f"'{self.column}'; give each a file of its own"
        ]


def _sum(cells: Mapping[str, Any], terms: list[str]) -> float | None:
    values = [number(cells.get(term)) for term in terms]
    return None if None in values else math.fsum(value for value in values if value is not None)


def _log(value: float) -> float:
    return math.log(value) if value > 0 else math.nan

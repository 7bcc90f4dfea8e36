"""What logs with named columns have in common: a guess that is shown, overridden, and added to as columns appear."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from scalewatch.columns import Columns
from scalewatch.errors import LogError, RunError
from scalewatch.logs.columns import decides, guess, is_of_a_run, listed, loss_notes, total_of
from scalewatch.logs.hints import likeliest
from scalewatch.logs.log import AbstractLog, NoLogError
from scalewatch.logs.plain_rows import PlainRows
from scalewatch.logs.rows import Rows
from scalewatch.logs.sample import Sample
from scalewatch.logs.shapes import is_unnamed, may_be_a_loss
from scalewatch.observation import Observation
from scalewatch.run import Run

__all__ = ["AbstractBlockLog", "AbstractTabularLog"]

#: Rows from which on it is worth to take them at once [rows]. By hand.
LEAST_ROWS = 16

#: Distinct columns looked at: a log with more is not a table of numbers.
MOST_COLUMNS = 5_000
#: Columns up to which all are looked at again where one turns up. By hand.
FEW_COLUMNS = 200


class AbstractTabularLog(AbstractLog):
    """One run in a log whose columns have names.

    Args:
        name: of the run. path: of its file. asked: field -> column, as the user says. run: as far as it is known.
        unit: what the place of a row is called. only: of a table of several runs the one to read.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        asked: Mapping[str, str],
        run: Run | None = None,
        unit: str = "line",
        only: str | None = None,
    ) -> None:
        super().__init__(name, path, run)
        self.asked = dict(asked)
        self._seen: dict[str, None] = {}
        self._empty: set[str] = set()
        self.assembled = Rows(self, unit, only)
        try:
            self.bytes_total = path.stat().st_size
        except OSError:
            self.bytes_total = 0

    def set_columns(
        self, names: Iterable[str], sample: Sample | None = None, known: Mapping[str, str] | None = None
    ) -> None:
        """Decide what is what, once the columns are known.

        Args:
            names: the columns. sample: first rows, if they can be looked at before. known: field -> column, where the
                format knows it.

        Raises:
            LogError: if the user named a column that is not there, or no loss can be told.
        """
        self._seen = dict.fromkeys(name for name in names if name)
        for field, column in self.asked.items():
            if column not in self._seen and not self._seen.keys() >= set(column.split("+")):
                raise LogError(f"{self.path}: has no column '{column:.60}' for {field}; it has {listed(self._seen)}.")
        found = guess(self._seen, self.asked, known, sample)  # a sum of columns, `a+b`, may be asked for
        if "loss" not in found.columns and (alone := self._alone()):
            found = guess(self._seen, {**self.asked, "loss": alone}, known, sample)
            self.note(f"'{alone:.60}' is the one number of a row that is no counter and no time: taken for the loss")
        if "loss" not in found.columns:
            proposed = likeliest(self._seen, sample) or "NAME"
            fault = LogError if self.asked or any(map(is_of_a_run, self._seen)) else NoLogError
            raise fault(
                f"{self.path}: no loss can be told among its columns ({listed(self._seen)}). "
                f"Say which it is: --column loss={proposed:.60}"
            )
        self.columns = found.columns
        for line in loss_notes(self.columns["loss"], found.rivals, "NAME"):
            self.note(line)
        if "step" not in self.columns:
            self.note(f"no column of steps among {listed(self._seen)}: rows are counted")
        if sample is not None:
            self.assembled.look(sample)
            self._plan_to(total_of(self._seen, sample), sample)
        # a column that a writer has for other kinds of runs is empty in this one
        self._empty = {name for name in self._seen if sample is not None and sample.rows and not sample.filled(name)}
        self.run = replace(self.run, logged=self._logged)
        self.assembled.replan(self._seen)

    def _alone(self) -> str:
        """The one column of numbers that has no name, where the name of the file does not say that it is no loss."""
        unnamed = [name for name in self._seen if is_unnamed(name)]
        return unnamed[0] if len(unnamed) == 1 and may_be_a_loss(self.path.stem) else ""

    @property
    def _logged(self) -> tuple[str, ...]:
        return tuple(name for name in self._seen if name not in self._empty)

    def _plan_to(self, total: int | None, sample: Sample) -> None:
        """Take the planned steps that the log says, where nothing else did and no step lies beyond them."""
        steps = [step for step in sample.numbers(self.columns.get("step", "")) if math.isfinite(step)]
        if total is None or self.run.total_steps is not None or max(steps, default=0) > total:
            return
        try:
            self.run = replace(self.run, total_steps=total)
        except RunError:
            return

    def stretches(
        self, rows: PlainRows, add: Callable[[int], Iterable[Observation]], count: Callable[[int], None]
    ) -> Generator[tuple[Run, Columns], None, int]:
        """Yield blocks of rows, and return how many rows were taken: all of them unless the columns change.

        Args:
            rows: as columns of numbers. add: adds one row by itself, by its place. count: is told of the rows that are
                added otherwise, how many.
        """
        at, plan = 0, self.assembled.plans

        def singles(end: int) -> Iterator[Observation]:
            nonlocal at
            while at < end and self.assembled.plans == plan:
                at += 1
                yield from add(at - 1)

        while at < rows.count and self.assembled.plans == plan:
            end = rows.plain_from(at)
            block = self.assembled.add_plain(rows, at, end) if end - at >= LEAST_ROWS else None
            if block is not None:
                count(end - at)
                if len(block):
                    yield self.run, block
                at = end
                continue
            end = at + 1
            while end < rows.count and (to := rows.plain_from(end)) - end < LEAST_ROWS:
                end = to + 1
            yield from self.gathered(singles(min(end, rows.count)))
        return at

    def add_columns(self, names: Iterable[str]) -> None:
        """Take note of columns that turned up later; what was decided stands."""
        new = [name for name in names if name and name not in self._seen]
        if not new or len(self._seen) > MOST_COLUMNS:
            return
        self._seen.update(dict.fromkeys(new))
        if len(self._seen) > FEW_COLUMNS and not any(map(decides, new)):
            return  # a row that has a name of its own would have all names looked at again
        had_step = "step" in self.columns
        self.columns = guess(self._seen, self.asked, self.columns).columns
        if not had_step:
            self.columns.pop("step", None)  # rows are being counted
        self.run = replace(self.run, logged=self._logged)
        self.assembled.replan(self._seen)

    def covers(self, names: Iterable[str]) -> bool:
        """Return whether none of these columns is new."""
        return self._seen.keys() >= set(names)


class AbstractBlockLog(AbstractTabularLog):
    """One that is read in blocks: its rows are theirs."""

    @abstractmethod
    def blocks(self) -> Iterator[tuple[Run, Columns]]:
        """Yield what is new, some hundred rows at once, with what was known of the run when they were read."""

    def rows(self) -> Iterator[Observation]:
        """Yield what is new."""
        for _, block in self.blocks():
            yield from block.rows()

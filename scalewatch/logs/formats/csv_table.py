"""CSV and TSV with any column names, streamed; a header that is repeated or grows is followed.

Also Lightning's `metrics.csv`, which is rewritten with another header whenever a new metric turns up, has a row for
each call of the logger and leaves blank what that call did not log.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from operator import methodcaller
from pathlib import Path
from typing import ClassVar, final

from scalewatch.columns import Columns
from scalewatch.errors import LogError
from scalewatch.logs.columns import run_column
from scalewatch.logs.csv_lines import (
    GivenLines,
    Heading,
    LostLines,
    cells_of,
    check_width,
    first_line,
    has_decimal_commas,
    header_of,
    is_numbers,
    is_table,
    without,
)
from scalewatch.logs.line_log import AbstractLineLog
from scalewatch.logs.lines import head
from scalewatch.logs.log import BLOCK_ROWS, AbstractFormat, AbstractLog
from scalewatch.logs.loss_names import training_loss, validation_loss
from scalewatch.logs.naming import run_name
from scalewatch.logs.plain_rows import PlainRows
from scalewatch.logs.run_tables import finished_runs, table_runs
from scalewatch.logs.sample import Sample
from scalewatch.logs.shapes import LongForm, long_form, may_be_a_loss
from scalewatch.logs.values import is_blank, number
from scalewatch.observation import Observation
from scalewatch.run import Run

__all__ = ["CsvLog", "CsvTable", "LightningCsv"]

#: Lines that one quoted cell may go over.
MOST_LINES_OF_A_CELL = 16
#: Lines without a number, one after the other, after which the rest is not read: half a second of them. By hand.
MOST_LOST_LINES = 100_000
#: Bytes of a table that are looked at to tell its columns.
SAMPLE_BYTES = 256 << 10
#: Cells that are cut at once at most: a few megabytes; and lines at least, and of the beginning of a file [cells,
#: lines]. By hand.
MOST_CELLS, LEAST_LINES = 200_000, 16
#: Rows of a table without a heading from which its columns can be told [rows], and the least number that is a time
#: since 1970 [seconds: 2001]. By hand.
FEWEST_NAMELESS, LEAST_UNIX = 5, 1e9
#: Columns of a table from TensorBoard's download button, in small letters.
_DOWNLOADED = {"wall time", "step", "value"}


@final
class CsvLog(AbstractLineLog):
    """One CSV file as one run.

    Args:
        path: the file. name: of the run. columns: field -> column, as the user says.
        rename: column -> name for some columns, with all others left out; None to take the names as they are.
        only: of a table of several runs the one to read.

    Attributes:
        heading: of the table.

    Raises:
        LogError: if no loss can be told.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        columns: Mapping[str, str],
        rename: Mapping[str, str] | None = None,
        only: str | None = None,
    ) -> None:
        super().__init__(name, path, columns, only)
        self._rename = rename
        if rename is not None:
            self.assembled.blanks.sparse = True  # where a run of a chart has no row, another has one
        self._top = first_line(path)
        self.heading = Heading(self._top)
        self._given = GivenLines()
        self._ragged = False
        self._lost = LostLines()
        self._open_cell: list[str] = []
        if not self._top:
            raise LogError(f"{path}: is empty so far.")
        check_width(path, self._top)
        self._long: LongForm | None = None
        self._head(self._top)
        self.heading.commas = has_decimal_commas(head(path, SAMPLE_BYTES), self.heading.delimiter)
        self._long = long_form(self.names) if rename is None else None
        if self._long is not None:
            self.assembled.blanks.sparse = True  # a row holds one number
        sample = self._sample()
        if "loss" not in self.asked:
            why = finished_runs(self.names, sample) if rename is None else None
            if why is not None:
                raise LogError(f"{path}: {why}")
            if set(map(str.lower, self.names)) == _DOWNLOADED:
                self._take_downloaded()
        self.set_columns(self.names if self._long is None else sample.names, sample)
        self.decide(sample, SAMPLE_BYTES, surely=self.heading.delimiter in ", ")

    def _take_downloaded(self) -> None:
        """A table from TensorBoard's download button has its tag in the name of the file, if anywhere."""
        tag = self.path.stem.partition("-tag-")[2]
        if tag and training_loss(tag) is None and validation_loss(tag) is None:
            raise LogError(f"{self.path}: holds '{tag:.60}', by its name, and that is no loss. --column loss=Value")
        self.asked["loss"] = next(name for name in self.names if name.lower() == "value")
        if not tag:
            self.note(
                "the table is of TensorBoard's download, and its name does not say of which tag: taken for a loss"
            )

    def _take_nameless(self) -> bool:
        """Take the columns of a table without a heading, where all but one count or tell the time."""
        says = training_loss(self.path.stem) is not None
        if not (says or (may_be_a_loss(self.path.stem) and self.path.suffix.lower() in (".csv", ".tsv"))):
            return False
        sample = self._sample()
        times = [
            name for name in self.names if sample.passes(name) and min(sample.numbers(name), default=0) > LEAST_UNIX
        ]
        counts = [name for name in self.names if name not in times and sample.counts(name)]
        others = [name for name in self.names if name not in (*times, *counts) and sample.filled(name)]
        if len(others) != 1 or len(counts) > 1 or sample.rows < FEWEST_NAMELESS:
            return False
        self.asked |= {"loss": others[0], **({"step": counts[0]} if counts else {})}
        self.note(
            f"its first line names no columns: column {others[0]}, which neither counts nor tells the time, is the loss"
        )
        return True

    def _sample(self) -> Sample:
        sample = Sample()
        for line in head(self.path, SAMPLE_BYTES).split("\n")[:-1]:
            if line and line != self.heading.line and not line.startswith("#"):
                cells = self.heading.pointed(cells_of(line, self.heading.delimiter))
                if not sample.add(self._named(cells)):
                    break
        return sample

    @property
    def names(self) -> list[str]:
        """The columns, in their order."""
        return self.heading.names

    def _head(self, line: str) -> None:
        self.heading.line = "" if is_numbers(line) else line
        if not self.heading.line:
            names, self.heading.delimiter = header_of(line)
            self.heading.names = [str(i + 1) for i in range(len(names))]
            if "loss" not in self.asked and not self._take_nameless():
                raise LogError(
                    f"{self.path}: its first line names no columns; say which is which by number, "
                    "such as --column step=1 --column loss=2."
                )
            return
        self.heading.names, self.heading.delimiter = header_of(line)
        if self._rename is not None:
            self.heading.names = [self._rename.get(name, "") for name in self.names]

    def blocks(self) -> Iterator[tuple[Run, Columns]]:
        """Yield what is new, in blocks: plain lines are converted column by column.

        A file that was written anew is read again, without what was given already.
        """
        became = self._lines.anew() if self._lines.bytes_read else ""
        if self._lines.rotated:
            self.note(became)
            for piece in self._lines.left_behind():
                yield from self._piece(piece)
        if became or (self._lines.bytes_read and first_line(self.path) != self._top):
            self._begin_again()
        for piece in self._lines.pieces() if not self._lost.gave_up else ():
            yield from self._piece(piece)
            if self._lost.gave_up:
                break
        self.bytes_read = self.bytes_total if self._lost.gave_up else self._lines.bytes_read
        self.all_lines_given()
        yield from self.gathered(self._end())

    def _piece(self, piece: list[str]) -> Iterator[tuple[Run, Columns]]:
        most, at = max(LEAST_LINES, min(BLOCK_ROWS, MOST_CELLS // len(self.names))), 0
        while at < len(piece) and not self._lost.gave_up:
            size = most if self._given.lines else LEAST_LINES
            yield from self._block(piece[at : at + size])
            at += size

    def _end(self) -> Iterator[Observation]:
        self._open_cell = []
        if not self._lost.gave_up:
            yield from self._last_line()
        yield from self.assembled.flush()

    def _block(self, lines: list[str]) -> Iterator[tuple[Run, Columns]]:
        while lines and not self._lost.gave_up:
            taken = yield from self._some(lines)
            lines = lines[taken:]

    def _some(self, lines: list[str]) -> Generator[tuple[Run, Columns], None, int]:
        """Yield blocks of rows, and return how many lines were taken."""
        places, first = without(lines, self.heading.line), self._lines.number
        rows = lines if len(places) == len(lines) else [lines[place] for place in places]
        plain = self._plain(rows)
        if plain is None:
            yield from self.gathered(self._one_by_one(lines, first))
            return len(lines)
        done = yield from self.stretches(plain, lambda n: self._one_by_one([rows[n]], first + places[n]), self._count)
        end = [*places, len(lines)][done]
        self._lines.number = first + end
        return end

    def _plain(self, lines: list[str]) -> PlainRows | None:
        """Lines of as many cells as the header names, without a quote or a comment; None for any others."""
        width, delimiter = len(self.names), self.heading.delimiter
        if (
            self._open_cell
            or self._given.lines < self._given.skip
            or delimiter == " "
            or self.heading.commas
            or not self.heading.line
            or self._long is not None
        ):
            return None
        text = delimiter.join(lines)
        if '"' in text or "#" in text or set(map(methodcaller("count", delimiter), lines)) != {width - 1}:
            return None
        cells = text.split(delimiter)
        places = {name: place for place, name in enumerate(self.names) if name}
        return self.assembled.plain(lambda name: cells[places[name] :: width] if name in places else None, len(lines))

    def _count(self, lines: int) -> None:
        self._lines.number += lines
        self._given.lines, self._lost.count = self._given.lines + lines, 0
        self.bytes_read = self._lines.bytes_read

    def _one_by_one(self, lines: Sequence[str], first: int) -> Iterator[Observation]:
        for self._lines.number, line in enumerate(lines, first + 1):
            if self._lost.count > MOST_LOST_LINES and not self._lost.gave_up:
                self._give_up()
            if self._lost.gave_up:
                return
            if '"' not in line and not self._open_cell:
                yield from self._line(line)
                continue
            self._open_cell.append(line)
            if sum(part.count('"') for part in self._open_cell) % 2 == 0:
                line, self._open_cell = "\n".join(self._open_cell), []
                yield from self._line(line)
            elif len(self._open_cell) >= MOST_LINES_OF_A_CELL:
                self._lost.quote_at = self._lines.number - len(self._open_cell) + 1
                self.note(f"line {self._lost.quote_at}: a quote is not closed")
                parts, self._open_cell = self._open_cell, []
                for part in parts:
                    yield from self._line(part)

    def _give_up(self) -> None:
        """Leave the rest of a file that holds rows no more: it may be hundreds of megabytes."""
        self._lost.gave_up = True
        self.leave_rest()
        why = f", where a quote is not closed at line {self._lost.quote_at:,}" if self._lost.quote_at else ""
        self.note(
            f"line {self._lines.number:,}: the {self._lost.count:,} lines before it hold no row{why}; the rest of the "
            f"file, {max(self.bytes_total - self._lines.bytes_read, 0) / 1e6:,.0f} MB, is not read"
        )

    def _begin_again(self) -> None:
        self._lines.start_over()
        self._lost.gave_up, self._lost.count = False, 0
        self._given.skip, self._given.lines = self._given.lines, 0
        self._top = first_line(self.path)
        if self._top:
            self._head(self._top)
            self.add_columns(self.names)

    def _last_line(self) -> Iterator[Observation]:
        rest = self._lines.rest
        if not rest.strip() or not self._lines.quiet():
            return
        cells = cells_of(self._lines.take_rest(), self.heading.delimiter)
        if len(cells) < len(self.names):
            self.note("the last line is cut off and left out")
            return
        # only the last cell can have lost digits
        if self.names[-1] in (self.columns["loss"], self.columns.get("step")):
            self.note("the last line does not end, so its last number may be cut off: left out")
            return
        yield from self._cells(cells[:-1])

    def _line(self, line: str) -> Iterable[Observation]:
        if not line or line.isspace() or line.startswith("#") or (self.heading.line and line == self.heading.line):
            return ()
        cells = cells_of(line, self.heading.delimiter)
        if self._is_header(cells):
            self._head(line)
            self.add_columns(self.names)
            self.assembled.replan(self._seen)
            return ()
        return self._cells(cells)

    def _cells(self, cells: list[str]) -> Iterable[Observation]:
        self._given.lines += 1
        self.bytes_read = self._lines.bytes_read
        if self._given.lines == 1 and self._is_of_another(cells):
            self._given.skip = 0
        if self._given.lines <= self._given.skip:
            return ()
        if len(cells) != len(self.names):
            self._lost.count = 0 if any(number(cell) is not None for cell in cells) else self._lost.count + 1
            if not self._ragged:
                self._ragged = True
                names = len(self.names)
                self.note(f"line {self._lines.number}: has {len(cells)} cells where the header names {names}")
        elif self._lost.count:
            self._lost.count = 0
        pairs = self._named(self.heading.pointed(cells))
        pairs.pop("", None)
        if self._long is not None and not self.covers(pairs):
            self.add_columns(pairs)
        return self.assembled.add(pairs, self._lines.number)

    def _named(self, cells: list[str]) -> dict[str, str]:
        pairs = dict(zip(self.names, cells, strict=False))
        return pairs if self._long is None else self._long.widened(pairs)

    def _is_of_another(self, cells: list[str]) -> bool:
        """Whether the first row is not the one that was first before: then it is not the same table, written anew."""
        told = dict(zip(self.names, cells, strict=False))
        began = [told.get(self.columns.get(field, "")) for field in ("step", "loss")]
        # pandas writes 1.0 for what was 1 while no cell of its column was empty
        began = [cell if (value := number(cell)) is None else str(value) for cell in began]
        before, self._given.began = self._given.began, began
        return before is not None and before != self._given.began

    def _is_header(self, cells: list[str]) -> bool:
        """Whether a line in the middle names columns: a writer began anew and said so."""
        if not self.heading.line or number(cells[0]) is not None or is_blank(cells[0]):
            return False
        names = {cell.strip() for cell in cells}
        return {self.columns.get("loss"), self.columns.get("step")} & names != set() and not any(
            number(cell) is not None for cell in cells
        )


@final
class CsvTable(AbstractFormat):
    """CSV or TSV whose first line names its columns."""

    name: ClassVar[str] = "csv"

    def claims(self, path: Path) -> bool:
        """Return whether the file is named like a table, or its first two lines are one."""
        suffix = path.suffix.lower()
        return suffix in (".csv", ".tsv") or (suffix in (".txt", ".log", ".dat", "") and self.holds(path))

    def holds(self, path: Path) -> bool:
        """Return whether the first two lines are of a table."""
        return is_table(head(path, 8192))

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """Return one run for each file, or for each run that a column of the file names."""
        logs: list[AbstractLog] = []
        for path in paths:
            first = CsvLog(path, run_name(path), columns)
            column = run_column(first.names)
            free = column is not None and column not in first.asked.values()
            runs = table_runs(path, first.names, str(column), first.heading.delimiter) if free else []
            if len(runs) > 1:
                logs += [CsvLog(path, f"{run_name(path)}/{run:.60}", columns, only=run) for run in runs]
            else:
                logs.append(first)
        return logs


@final
class LightningCsv(AbstractFormat):
    """`metrics.csv` of Lightning's CSVLogger."""

    name: ClassVar[str] = "lightning-csv"

    def claims(self, path: Path) -> bool:
        """Return whether it is called `metrics.csv` and has Lightning's columns."""
        names = set(header_of(first_line(path))[0]) if path.name == "metrics.csv" else set()
        return {"epoch", "step"} <= names

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """Return one run for each file."""
        return [CsvLog(path, run_name(path), columns) for path in paths]

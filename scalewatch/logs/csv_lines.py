"""Lines of a table as text: their cells, what stands between them, and the line that names the columns."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from scalewatch.errors import LogError
from scalewatch.logs.lines import head
from scalewatch.logs.loss_names import training_loss
from scalewatch.logs.values import is_blank, number

__all__ = [
    "GivenLines",
    "Heading",
    "LostLines",
    "cells_of",
    "check_width",
    "first_line",
    "has_decimal_commas",
    "header_of",
    "is_numbers",
    "is_table",
    "without",
]

DELIMITERS = ",\t;|"
#: Lines above the heading of a table at most. By hand.
MOST_PREAMBLE = 20
#: Longest first line [bytes], and columns at most: by hand; a run that logs each parameter has some thousand.
MOST_HEADER_BYTES, MOST_COLUMNS = 1 << 20, 20_000
#: A number with a decimal comma; and one whose comma cannot stand between thousands.
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d*(?:[eE][-+]?\d+)?\s*")
_DECIMAL_POINT = re.compile(r"\s*[-+]?(?:0?\.\d+|\d+\.(?:\d{1,2}|\d{4,})|\d+\.\d+(?=[eE]))(?:[eE][-+]?\d+)?\s*")
_NO_THOUSANDS = re.compile(r"\s*[-+]?(?:0,\d+|\d+,(?:\d{1,2}|\d{4,})|\d{4,},\d+|\d+,\d+(?=[eE]))(?:[eE][-+]?\d+)?\s*")


@final
@dataclass(slots=True)
class Heading:
    """The line that names the columns, "" where none does; the columns, what parts cells, and commas for points."""

    line: str
    names: list[str] = field(default_factory=list)
    delimiter: str = ","
    commas: bool = False

    def pointed(self, cells: list[str]) -> list[str]:
        """Return cells with decimal points."""
        return pointed(cells) if self.commas else cells


@final
@dataclass(slots=True)
class GivenLines:
    """Lines with data that were read, those that a table written anew is to skip, and how its first one began."""

    lines: int = 0
    skip: int = 0
    began: list[str | None] | None = None


@final
@dataclass(slots=True)
class LostLines:
    """Lines running without a number, the line at which a quote is not closed (0 for none), and whether it was left."""

    count: int = 0
    quote_at: int = 0
    gave_up: bool = False


def cells_of(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line."""
    if delimiter == " ":
        return line.split()
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return line.split(delimiter)


def header_of(line: str) -> tuple[list[str], str]:
    """Return the column names in a first line and what stands between them."""
    delimiter = max(DELIMITERS, key=line.count)
    if delimiter not in line and len(parts := line.split()) > 1 and all(number(part) is not None for part in parts):
        delimiter = " "  # numbers in columns, without a heading
    names = [name.strip().strip("#").strip() for name in cells_of(line, delimiter)]
    if len(names) > 1 and not names[0] and all(names[1:]):
        names[0] = "index"  # pandas leaves its name out
    return names, delimiter


def first_line(path: Path) -> str:
    """Return the first line that holds anything and is no comment; a header may begin with #."""
    start = head(path)
    if "\n" not in start:
        start = head(path, MOST_HEADER_BYTES)
    lines = [line for line in start.split("\n")[:200] if line.strip()]
    plain = [line for line in lines if not line.startswith("#")]
    if lines and lines[0].startswith("#") and plain:
        # numpy.savetxt marks its header so
        before = lines[: lines.index(plain[0])][-1]
        names, delimiter = header_of(before)
        if len(names) > 1 and len(names) == len(cells_of(plain[0], delimiter)) and is_numbers(plain[0]):
            return before
    if not plain or len(header_of(plain[0])[0]) > 1 or is_numbers(plain[0]):
        return plain[0] if plain else ""
    pairs = itertools.pairwise(plain[:MOST_PREAMBLE])
    return next((line for line, after in pairs if _heads(line, after)), plain[0])


def _heads(line: str, after: str) -> bool:
    """Whether a line can be the heading of the one below it: others tell of the run, above the table."""
    names, delimiter = header_of(line)
    return len(names) > 1 and len(names) == len(cells_of(after, delimiter)) and is_numbers(after)


def check_width(path: Path, first: str) -> None:
    """Refuse a table that is wider than any of a run.

    Raises:
        LogError: if its first line is too long, or names too many columns.
    """
    width = max(map(first.count, DELIMITERS)) + 1
    if len(first) >= MOST_HEADER_BYTES - 4 or width > MOST_COLUMNS:
        raise LogError(
            f"{path}: its first line has {width:,} columns or more, in {len(first):,} letters; a table of a run "
            f"has at most {MOST_COLUMNS:,} columns in {MOST_HEADER_BYTES >> 20} MiB."
        )


def has_decimal_commas(text: str, delimiter: str) -> bool:
    r"""Return whether the numbers of a table have decimal commas: some cannot be thousands, or `;` stands between them.

    Where more of them have a decimal point, a comma stands between thousands, or in a list.

    >>> has_decimal_commas("step\tloss\n1\t4,4039\n2\t4,402\n", "\t"), has_decimal_commas("1,490\t4.4039\n", "\t")
    (True, False)
    >>> has_decimal_commas("step;loss\n1,490;4.4039\n", ";"), has_decimal_commas("step;loss\n1;4,403\n", ";")
    (False, True)
    """
    if delimiter in ", ":
        return False
    cells = re.split(f"[{delimiter}\\n]", text)
    commas, points = (sum(map(bool, map(each.fullmatch, cells))) for each in (_NO_THOUSANDS, _DECIMAL_POINT))
    return commas > points or (delimiter == ";" and commas == points)


def pointed(cells: list[str]) -> list[str]:
    """Return cells with decimal points where they have a decimal comma."""
    return [cell.replace(",", ".") if "," in cell and _DECIMAL_COMMA.fullmatch(cell) else cell for cell in cells]


def without(lines: Sequence[str], heading: str) -> Sequence[int]:
    """Return the places of the lines that are no heading that is printed again."""
    every = range(len(lines))
    return [place for place in every if lines[place] != heading] if heading and heading in lines else every


def is_table(start: str) -> bool:
    """Return whether a text begins with names of columns and, below them, as many numbers, or one for a loss.

    >>> is_table("a,b\\n1,2"), is_table("stage,loss\\ntrain,3.5"), is_table("a,b\\nc,2")
    (True, True, False)
    """
    lines = [line for line in start.split("\n") if line.strip()]
    names, delimiter = header_of(lines[0]) if lines else ([], ",")
    losses = [place for place, name in enumerate(names) if training_loss(name) is not None]
    if len(lines) < 2 or lines[0].startswith("{") or (len(names) < 2 and not losses):
        return False
    cells = cells_of(lines[1], delimiter)
    if len(cells) != len(names):
        return False
    return is_numbers(lines[1], delimiter) or any(number(cells[place]) is not None for place in losses)


def is_numbers(line: str, delimiter: str = "") -> bool:
    """Return whether the cells of a line are numbers, or nothing.

    Args:
        line: of a table. delimiter: what stands between its cells, "" to tell it from the line.
    """
    delimiter = delimiter or header_of(line)[1]
    cells = cells_of(line, delimiter)
    cells = pointed(cells) if has_decimal_commas(line, delimiter) else cells
    return any(number(cell) is not None for cell in cells) and all(
        is_blank(cell) or number(cell) is not None for cell in cells
    )

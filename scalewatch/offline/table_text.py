"""Tables that are kept as text: CSV and its kin, columns set with blanks, and the tables of pages and papers."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from scalewatch.errors import FitError
from scalewatch.logs.documents import as_text
from scalewatch.logs.lines import head
from scalewatch.offline.cells import number_in, without_points

__all__ = ["MAX_BYTES", "MAX_COLUMNS", "MAX_ROWS", "html_columns", "latex_columns", "markdown_columns", "plain_columns"]

MAX_BYTES = 512 << 20
MAX_ROWS = 5_000_000
MAX_COLUMNS = 1_000
#: A line of units below a heading: each cell in brackets, or empty.
_UNIT = re.compile(r"[(\[][^()\[\]]*[)\]]|")
#: Lines of a table in LaTeX that hold no cells, and commands whose braces hold what is shown.
_RULES = re.compile(
    r"\\(?:toprule|midrule|bottomrule|hline|(?:cmidrule|cline|addlinespace|rowcolor)\S*)(?:\[[^\]]*\])?"
)
_SHOWN = re.compile(r"\\(?:textbf|textit|texttt|emph|mathbf|text|mathrm|bf|num|makecell)\b\s*")
_COMMENT = re.compile(r"(?<!\\)%.*")
_DELIMITERS = ",\t;|"
_BLANK_WITHIN = re.compile(r"\S[^\S\n]+\S")


def plain_columns(path: Path) -> dict[str, Any]:
    """Return the columns of a table in text, its cells parted by commas, tabs, semicolons, bars or blanks.

    Raises:
        FitError: if it is none. OSError: if the file cannot be opened.
    """
    with path.open("rb"):  # what cannot be opened is not an empty table
        text = head(path, MAX_BYTES)
    if "\0" in text:
        raise FitError(f"{path}: is no text, by what it holds.")
    return _columns_of(text, path)


def _columns_of(text: str, path: Path) -> dict[str, Any]:
    above, table = _beginning(text)
    file = io.StringIO(table, newline="")
    first = file.readline()
    delimiter = max(_DELIMITERS, key=first.count)
    file.seek(0)
    # below a heading without a delimiter a blank parts cells, if there is one: else its words name one column
    if delimiter in first or _BLANK_WITHIN.search(table, len(first)) is None:
        rows: Iterator[list[str]] = csv.reader(file, delimiter=delimiter, strict=True)
    else:
        rows = iter(_set_with_blanks(list(itertools.islice(file, MAX_ROWS + 2)) or [""]))
    try:
        names, cells = _without_empty(rows, path, above)
    except csv.Error as fault:
        raise FitError(f"{path}: not a CSV file: {str(fault)[:120]}.") from None
    if delimiter == ";":  # then numbers have decimal commas
        cells = without_points(cells)
    units = [column[0].strip() for column in cells if column]
    if any(units) and all(_UNIT.fullmatch(cell) for cell in units):
        names = [f"{name} {unit}".strip() for name, unit in zip(names, units, strict=True)]
        cells = [column[1:] for column in cells]
    return dict(zip(names, cells, strict=True))


def _without_empty(rows: Iterator[list[str]], path: Path, above: int) -> tuple[list[str], list[list[str]]]:
    """The names and cells of rows; a column without a name and without a cell is none, nor is a remark a row."""
    names = [name.strip() for name in next(rows, [])]
    cells: list[list[str]] = [[] for _ in names]
    for at, row in enumerate(rows, above + 2):
        if len(row) != len(names) or not row[0].strip() or not row[-1].strip():  # else it is neither blank nor a remark
            if not any(cell.strip() for cell in row) or (len(names) > 1 and _is_remark(row)):
                continue
            row = row[: len(names)] if not any(cell.strip() for cell in row[len(names) :]) else row
            if len(row) != len(names):
                raise FitError(f"{path}: line {at} has {len(row)} cells, its header {len(names)}.")
        for column, cell in zip(cells, row, strict=True):
            column.append(cell)
        if len(cells[0]) > MAX_ROWS:
            raise FitError(f"{path}: has more than {MAX_ROWS:,} rows; write every tenth.")
    filled = [i for i, name in enumerate(names) if name or any(cell.strip() for cell in cells[i])]
    names, cells = [names[i] for i in filled], [cells[i] for i in filled]
    if len(names) > MAX_COLUMNS or len(set(names)) < len(names):
        raise FitError(f"{path}: its first line must name each column once (at most {MAX_COLUMNS}).")
    return names, cells


def _heads(above: str, line: str) -> bool:
    """Whether a line of comment names the cells of the line below it."""
    delimiter = max(_DELIMITERS, key=line.count)
    if delimiter in line:
        if all(cell.strip() and number_in(cell) is None for cell in line.split(delimiter)):
            return False  # it names columns itself
        return max(map(above.count, _DELIMITERS)) == line.count(delimiter)
    row = line.split()
    return len(row) == len(above.removeprefix("#").split()) > 1 and all(number_in(cell) is not None for cell in row)


def _is_remark(row: Sequence[str]) -> bool:
    """Whether a line is a sentence below or between the rows: its first cell alone is filled, with words."""
    return not any(cell.strip() for cell in row[1:]) and number_in(row[0]) is None


def _set_with_blanks(lines: Sequence[str]) -> list[list[str]]:
    """The cells of lines whose columns stand below each other, by blanks: two where a name is of several words."""
    names = re.split(r"\s{2,}", lines[0].strip()) if "  " in lines[0].strip() else lines[0].split()
    rows = [line.split() for line in lines[1:]]
    if any(len(row) not in (0, len(names), len(names) + 1) for row in rows):  # a cell may be of several words
        rows = [re.split(r"\s{2,}", line.strip()) for line in lines[1:]]
    if rows and all(len(row) == len(names) + 1 for row in rows if row):
        names.insert(0, "index")  # pandas prints its own without a name
    return [names, *rows]


def _beginning(text: str) -> tuple[int, str]:
    """How many lines of comment stand above a table, and it from its heading on, which may begin with # itself."""
    at, lines, above = 0, 0, ""
    while at < len(text):
        end = text.find("\n", at) + 1 or len(text)
        line = text[at:end]
        if line.strip() and not line.startswith("#"):
            if above and _heads(above, line):
                return lines - 1, above.removeprefix("#").lstrip() + text[at:]
            return lines, text[at:]
        above = line if line.startswith("#") else above
        at, lines = end, lines + 1
    return lines, ""


def markdown_columns(path: Path) -> dict[str, Any]:
    """Return the columns of the first table of a page: a heading between bars, a line below it, and rows.

    Raises:
        FitError: if there is none, or its rows are not of one length.
    """
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig", errors="replace").split("\n")]
    at = next(
        (i for i, line in enumerate(lines[1:], 1) if "-" in line and "|" in line and not set(line) - set("|:- ")), 0
    )
    if not at:
        raise FitError(f"{path}: holds no table.")
    names = _between_bars(lines[at - 1])
    rows = [_between_bars(line) for line in itertools.takewhile(lambda line: "|" in line, lines[at + 1 :])]
    if any(len(row) != len(names) for row in rows) or len(set(names)) < len(names):
        raise FitError(f"{path}: a row of its table has not as many cells as its heading, or a name stands twice.")
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _between_bars(line: str) -> list[str]:
    return [cell.strip().replace("**", "").strip("`") for cell in line.strip("|").split("|")]


def latex_columns(path: Path) -> dict[str, Any]:
    """Return the columns of the first `tabular` of a paper: cells between `&`, rows that end in two backslashes.

    Raises:
        FitError: if there is none, or its rows are not of one length.
    """
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    begun = re.search(r"\\begin\{(tabular[*xy]?|longtable)\}", text)
    if begun is None:
        raise FitError(f"{path}: holds no table (\\begin{{tabular}}).")
    inside = _after_groups(text[begun.end() :].split(f"\\end{{{begun[1]}}}", 1)[0].lstrip())
    plain = _RULES.sub("", "\n".join(_COMMENT.sub("", line) for line in inside.split("\n")))
    lines = [line.replace(r"\%", "%").replace(r"\#", "#").replace(r"\_", "_") for line in plain.split(r"\\")]
    rows = [[_SHOWN.sub("", cell).strip(" \n\t{}$") for cell in line.split("&")] for line in lines if "&" in line]
    if not rows or any(len(row) != len(rows[0]) for row in rows) or len(set(rows[0])) < len(rows[0]):
        raise FitError(f"{path}: a row of its table has not as many cells as its heading, or a name stands twice.")
    return {name: [row[i] for row in rows[1:]] for i, name in enumerate(rows[0])}


def _after_groups(text: str) -> str:
    """What comes after the groups that a text begins with: the width of a table, and how its columns are aligned.

    >>> _after_groups("[t]{l@{ }rr} {Params} & Loss")
    ' {Params} & Loss'
    """
    depth = 0
    for at, letter in enumerate(text, 1):
        depth += (letter in "{[") - (letter in "}]")
        if depth == 0 and text[at : at + 1] not in ("{", "["):
            return text[at:]
    return text


def html_columns(path: Path) -> dict[str, Any]:
    """Return the columns of the first table of a page in HTML that has two rows.

    Raises:
        FitError: if there is none. LogError: if the page cannot be read.
    """
    lines = as_text(path).read_text(encoding="utf-8").split("\n")
    tables = (list(rows) for tabs, rows in itertools.groupby(lines, lambda line: line.count("\t")) if tabs)
    found = next((rows for rows in tables if len(rows) > 1), None)
    if found is None:
        raise FitError(f"{path}: holds no table.")
    return _columns_of("\n".join(found), path)

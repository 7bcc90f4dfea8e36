"""Files that people keep tables of runs in: CSV and its kin, parquet, JSON, and the tables of pages and papers."""

from __future__ import annotations

import csv
import importlib
import itertools
import json
import re
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from scalewatch.errors import ConfigError, FitError
from scalewatch.logs.formats.json_lines import flattened, records
from scalewatch.logs.shapes import json_rows
from scalewatch.offline.cells import without_points

__all__ = ["ENDINGS", "MAX_ROWS", "columns_in"]

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


def columns_in(path: Path) -> dict[str, Any]:
    """Return the columns of a table: name -> cells, each of as many rows.

    Raises:
        FitError: if it cannot be read, or is too large. ConfigError: if it is parquet and pyarrow is not installed.
        OSError: if the file cannot be opened.
    """
    if not path.is_file():
        raise FitError(f"{path}: is no file.")
    if path.stat().st_size > MAX_BYTES:
        raise FitError(f"{path}: larger than {MAX_BYTES >> 20} MiB; keep the columns that a law needs.")
    return _READERS.get(path.suffix.lower(), _csv)(path)


def _csv(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            begin, head = _first_line(file)
            file.seek(begin)
            delimiter = max(",\t;|", key=head.count)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            names = [name.strip() for name in next(reader, [])]
            if len(names) > MAX_COLUMNS or len(set(names)) < len(names):
                raise FitError(f"{path}: its first line must name each column once (at most {MAX_COLUMNS}).")
            cells: list[list[str]] = [[] for _ in names]
            for row in reader:
                if not row:
                    continue
                if len(row) != len(names):
                    raise FitError(f"{path}: line {reader.line_num} has {len(row)} cells, its header {len(names)}.")
                for column, cell in zip(cells, row, strict=True):
                    column.append(cell)
                if len(cells[0]) > MAX_ROWS:
                    raise FitError(f"{path}: has more than {MAX_ROWS:,} rows; write every tenth.")
    except (UnicodeDecodeError, csv.Error) as fault:
        raise FitError(f"{path}: not a CSV file in UTF-8: {str(fault)[:120]}.") from None
    if delimiter == ";":  # then numbers have decimal commas
        cells = without_points(cells)
    first = [column[0].strip() for column in cells if column]
    if any(first) and all(_UNIT.fullmatch(cell) for cell in first):
        names = [f"{name} {unit}".strip() for name, unit in zip(names, first, strict=True)]
        cells = [column[1:] for column in cells]
    return dict(zip(names, cells, strict=True))


def _first_line(file: TextIO) -> tuple[int, str]:
    """Where a table begins, and its heading: lines of comment may stand above it, and a heading may begin with #."""
    above = []
    begin, line = file.tell(), file.readline()
    while line.startswith("#") or (line and not line.strip()):
        above.append((begin, line))
        begin, line = file.tell(), file.readline()
    cells = max(map(line.count, ",\t;|"))
    if above and max(map(above[-1][1].count, ",\t;|")) == cells > 0:
        return above[-1]
    return begin, line


def _parquet(path: Path) -> dict[str, Any]:
    try:
        # imported by name: pyarrow ships no types
        arrow, parquet = (importlib.import_module(name) for name in ("pyarrow", "pyarrow.parquet"))
    except ImportError:
        raise ConfigError(
            "Reading parquet needs pyarrow (in the extra `dev`): pip install pyarrow, or write the table as CSV."
        ) from None
    try:
        file = parquet.ParquetFile(path)
        if file.metadata.num_rows > MAX_ROWS or file.metadata.num_columns > MAX_COLUMNS:
            raise FitError(f"{path}: has more than {MAX_ROWS:,} rows or {MAX_COLUMNS} columns; keep what a law needs.")
        read = file.read()
    except arrow.ArrowException as fault:
        raise FitError(f"{path}: not a parquet file: {str(fault)[:120]!r}.") from None
    columns: dict[str, Any] = {}
    for name in read.column_names:
        column = read.column(name)
        if arrow.types.is_integer(column.type) or arrow.types.is_floating(column.type):
            columns[name] = np.asarray(column.to_numpy(), dtype=np.float64)
        else:
            columns[name] = column.to_pylist()
    return columns


def _json(path: Path) -> dict[str, Any]:
    """Rows of one JSON value, or of a line each; keys of inner ones are joined by dots."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    try:
        value = json.loads(text)
        rows = json_rows(value)
    except (ValueError, RecursionError):
        rows = [record for line in text.split("\n") for record in records(line)[0]]
        value = None
    else:
        rows = rows or _named_rows(value)
    made = [flattened(row) for row in rows or [] if isinstance(row, dict)]
    if len(made) > MAX_ROWS:
        raise FitError(f"{path}: has more than {MAX_ROWS:,} rows; write every tenth.")
    names = list(dict.fromkeys(name for row in made for name in row))
    if len(names) > MAX_COLUMNS:
        raise FitError(f"{path}: has more than {MAX_COLUMNS} columns; keep what a law needs.")
    return {name: [row.get(name) for row in made] for name in names}


def _named_rows(value: Any) -> list[dict[str, Any]] | None:
    """Rows under the names of their runs, or the one row that a value is."""
    if not isinstance(value, dict) or not value:
        return None
    if all(
        isinstance(row, dict) and any(isinstance(cell, int | float) for cell in row.values()) for row in value.values()
    ):
        return [{"name": name, **row} for name, row in value.items()]
    return [value] if any(isinstance(cell, int | float) for cell in value.values()) else None


def _markdown(path: Path) -> dict[str, Any]:
    """The first table of a page: a heading between bars, a line below it, and rows."""
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


def _latex(path: Path) -> dict[str, Any]:
    """The first `tabular` of a paper: cells between `&`, rows that end in two backslashes."""
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


_READERS = {".parquet": _parquet, ".json": _json, ".jsonl": _json, ".md": _markdown, ".tex": _latex}
#: What a table is called.
ENDINGS = (".csv", ".tsv", ".txt", *_READERS)

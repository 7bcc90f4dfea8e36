"""Tables that people keep of their runs: CSV, TSV and parquet, and which column is what.

Columns are guessed by their names, the guess is shown, and `--column loss=val_loss` overrides it. What a cell holds
is read with suspicion: a loss that is no number is said with its row, not dropped.
"""

from __future__ import annotations

import csv
import importlib
import itertools
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError, FitError
from scalewatch.logs.columns import placed, ranked
from scalewatch.logs.formats.json_lines import flattened, records
from scalewatch.logs.shapes import json_rows
from scalewatch.logs.values import is_blank, number
from scalewatch.offline.column_units import without_unit
from scalewatch.offline.role_names import IN_LOGS, ROLE_NAMES, ROLES

__all__ = [
    "ROLES",
    "Reading",
    "Table",
    "count_of",
    "is_table",
    "named_columns",
    "parse_pairs",
    "read_table",
    "text_instead",
    "where",
]

ENDINGS = (".csv", ".tsv", ".txt", ".parquet", ".json", ".jsonl", ".md")
#: Endings of tables that are looked for in a folder, and how many of them are read. By hand.
IN_FOLDERS, MOST_TABLES = (".csv", ".tsv", ".parquet"), 1_000
MAX_BYTES = 512 << 20
MAX_ROWS = 5_000_000
MAX_COLUMNS = 1_000
#: Words that stand where a number would, had the run ended.
NO_NUMBER = frozenset(
    {"diverged", "failed", "crashed", "unfinished", "running", "pending", "killed", "oom", "tbd", "todo", "?", "x"}
    | {"average", "mean", "avg", "median", "sum", "total"}
)
#: What stands between a mean and its spread over seeds.
_SPREAD = re.compile(r"(?<=\d)\s*(?:±|\+/?-|\()")
#: A line of units below a heading: each cell in brackets, or empty.
_UNIT = re.compile(r"[(\[][^()\[\]]*[)\]]|")
_SUFFIXES = {"k": 1e3, "K": 1e3, "m": 1e6, "M": 1e6, "b": 1e9, "B": 1e9, "G": 1e9, "T": 1e12}


@final
@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table as it was read: name of the file, names of the columns, and their cells."""

    source: str
    stem: str
    columns: dict[str, Any]

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(next(iter(self.columns.values()), ()))

    def numbers(self, name: str) -> Floats:
        """Return a column as numbers, NaN where a cell is empty; "1.3B" is 1.3e9, and so is 1.3 below "tokens (B)".

        Raises:
            FitError: if a cell holds something else; it names the row.
        """
        column, times = self.columns[name], without_unit(name)[1]
        if isinstance(column, np.ndarray) and column.dtype.kind in "iuf":
            return np.asarray(column, dtype=np.float64) * times
        made = np.array([_number(self.source, name, row, cell) for row, cell in enumerate(column, 1)])
        # of a column in millions a cell of 7M or 7e6 says so itself
        return made if times == 1.0 or np.nanmax(made, initial=0.0) >= times else made * times

    def words(self, name: str) -> list[str]:
        """Return a column as text."""
        return ["" if cell is None else str(cell) for cell in self.columns[name]]

    def take(self, index: NDArray[np.int64]) -> Table:
        """Return some of the rows."""
        few = {n: c[index] if isinstance(c, np.ndarray) else [c[i] for i in index] for n, c in self.columns.items()}
        return Table(self.source, self.stem, few)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a command was given: folders of journals, tables with the rows asked for, and role -> column."""

    folders: list[Path]
    tables: list[Table]
    overrides: dict[str, str]
    bytes_per_token: float | None

    @classmethod
    def of(
        cls, paths: Sequence[Path], column: Sequence[str], where_: Sequence[str], bytes_per_token: float | None
    ) -> Reading:
        """Read the tables among `paths`, and those in a folder without journals; the others are folders or journals.

        Raises:
            FitError: if a table cannot be read or no row is as `where_` says.
            ConfigError: if an option is out of its range.
        """
        if bytes_per_token is not None and not 0.1 <= bytes_per_token <= 100:
            raise ConfigError(f"`--bytes-per-token` must lie between 0.1 and 100 (got {bytes_per_token:g}).")
        conditions = parse_pairs("--where", where_)
        each = [(path, [path] if is_table(path) else tables_in(path)) for path in paths]
        tables = [where(read_table(path), conditions) for _, found in each for path in found]
        folders = [path for path, found in each if not found]
        return cls(folders, tables, parse_pairs("--column", column), bytes_per_token)


def count_of(option: str, text: str) -> float:
    """Return a count such as 7e9 or 7B.

    Raises:
        ConfigError: if it is none.
    """
    try:
        count = _number(option, option, 0, text)
    except FitError:
        count = math.nan
    if not 1 <= count <= 1e30:
        raise ConfigError(f"`{option}` must be a number of at least 1, such as 7e9 or 7B (got {text!r:.40}).")
    return count


def _number(source: str, name: str, row: int, cell: Any) -> float:
    if is_blank(cell):
        return math.nan
    text = str(cell).strip()
    if text.lower() in NO_NUMBER:
        return math.nan
    text = _SPREAD.split(text, 1)[0].rstrip() or text
    times = _SUFFIXES.get(text[-1], 1.0) if len(text) > 1 else 1.0
    value = number(text if times == 1.0 else text[:-1])
    if value is None:
        raise FitError(f"{source}: column '{name}', row {row}: not a number (got {text!r:.40}).")
    return value * times


def is_table(path: Path) -> bool:
    """Return whether a path is named like a table."""
    return path.suffix.lower() in ENDINGS and not path.name.startswith("journal-")  # a segment of ours is no table


def tables_in(folder: Path) -> list[Path]:
    """Return the tables at or below a folder that holds no journal; none of a folder that does, or of no folder."""
    if not folder.is_dir() or next(folder.rglob("journal-*.jsonl"), None) is not None:
        return []
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IN_FOLDERS and path.is_file())
    return found[:MOST_TABLES]


def read_table(path: Path) -> Table:
    """Return the table in a file.

    Raises:
        FitError: if it cannot be read, has no rows, or is too large.
        ConfigError: if it is parquet and pyarrow is not installed.
    """
    try:
        if not path.is_file():
            raise FitError(f"{path}: is no file.")
        if path.stat().st_size > MAX_BYTES:
            raise FitError(f"{path}: larger than {MAX_BYTES >> 20} MiB; keep the columns that a law needs.")
        columns = _READERS.get(path.suffix.lower(), _csv)(path)
    except OSError as fault:
        raise FitError(f"{path}: cannot be read: {fault.strerror or fault}.") from None
    if not columns or not len(next(iter(columns.values()))):
        raise FitError(f"{path}: holds no rows below its header.")
    return Table(str(path), path.stem, columns)


def _csv(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
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
        cells = [[_with_point(cell) for cell in column] for column in cells]
    first = [column[0].strip() for column in cells if column]
    if any(first) and all(_UNIT.fullmatch(cell) for cell in first):
        names = [f"{name} {unit}".strip() for name, unit in zip(names, first, strict=True)]
        cells = [column[1:] for column in cells]
    return dict(zip(names, cells, strict=True))


def _with_point(cell: str) -> str:
    return cell.replace(",", ".") if cell.count(",") == 1 and "." not in cell else cell


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
        rows = json_rows(json.loads(text))
    except (ValueError, RecursionError):
        rows = [record for line in text.split("\n") for record in records(line)[0]]
    made = [flattened(row) for row in rows or [] if isinstance(row, dict)]
    if len(made) > MAX_ROWS:
        raise FitError(f"{path}: has more than {MAX_ROWS:,} rows; write every tenth.")
    names = list(dict.fromkeys(name for row in made for name in row))
    if len(names) > MAX_COLUMNS:
        raise FitError(f"{path}: has more than {MAX_COLUMNS} columns; keep what a law needs.")
    return {name: [row.get(name) for row in made] for name in names}


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
    return [cell.strip() for cell in line.strip("|").split("|")]


_READERS = {".parquet": _parquet, ".json": _json, ".jsonl": _json, ".md": _markdown}


def parse_pairs(option: str, pairs: Sequence[str]) -> dict[str, str]:
    """Return `role=column` and `column=value` options as a dict.

    Raises:
        ConfigError: if one has no "=".
    """
    made = {}
    for pair in pairs:
        left, found, right = pair.partition("=")
        if not found or not left or not right:
            raise ConfigError(f"`{option}` takes NAME=VALUE (got {pair!r:.80}).")
        made[left.strip()] = right.strip()
    return made


def where(table: Table, conditions: dict[str, str]) -> Table:
    """Return the rows whose cells are as `conditions` (column -> text) say.

    Raises:
        ConfigError: if the table has no such column. FitError: if no row is left.
    """
    keep = np.ones(len(table), dtype=bool)
    for name, value in conditions.items():
        if name not in table.columns:
            raise ConfigError(f"`--where`: {table.source} has no column '{name}' ({_list(table.columns)}).")
        keep &= np.array([word == value for word in table.words(name)])
    if not keep.any():
        raise FitError(f"{table.source}: no row is {', '.join(f'{n} = {v}' for n, v in conditions.items())}.")
    return table.take(np.flatnonzero(keep))


def named_columns(table: Table, overrides: dict[str, str]) -> dict[str, str]:
    """Return role -> column, guessed from the names, or as `overrides` say.

    Raises:
        ConfigError: if an override names a role or a column that there is not.
    """
    for role, asked in overrides.items():
        if role not in ROLES:
            raise ConfigError(f"`--column`: {role!r:.40} is none of {', '.join(ROLES)}.")
        if asked not in table.columns:
            raise ConfigError(f"`--column`: {table.source} has no column '{asked}' ({_list(table.columns)}).")
    numeric = [name for name in table.columns if _holds_numbers(table, name)]
    found = {}
    for role in ROLES:
        guesses = _playing(role, list(table.columns) if role == "run" else numeric)
        column = overrides.get(role) or next(iter(guesses), None)
        if column is not None and (role in overrides or column not in overrides.values()):
            found[role] = column
    # a column `model` of sizes, such as 70M, tells no runs apart
    if "run" not in overrides and found.get("run", "") in {found.get(role) for role in ROLES[:3]}:
        del found["run"]
    return found


def _playing(role: str, names: Sequence[str]) -> list[str]:
    """The columns that play a role by their names, the likeliest first."""
    plain = {}
    for name in names:
        bare = without_unit(name)[0]
        plain[name] = bare if _place(role, bare) is not None or "." not in bare else bare.rpartition(".")[2]
    places = [(place, name) for name in names if (place := _place(role, plain[name])) is not None]
    own = [name for _, name in sorted(places, key=lambda pair: pair[0])]
    if role not in IN_LOGS:
        return own
    named = {bare: name for name, bare in reversed(plain.items())}
    return [*(named[bare] for bare in ranked(named, IN_LOGS[role])), *own]


def _place(role: str, name: str) -> float | None:
    return placed(name, ROLE_NAMES.get(role, ()))


def _holds_numbers(table: Table, name: str) -> bool:
    """Return whether the first cell of a column that holds anything is a number."""
    column = table.columns[name]
    if isinstance(column, np.ndarray):
        return True
    cell = next((c for c in column if not _is_empty(c)), "")
    try:
        return math.isfinite(_number(table.source, name, 0, cell))
    except FitError:
        return False


def text_instead(table: Table, role: str) -> str:
    """Return a sentence on a column that is named like `role` and holds text, empty if there is none."""
    column = next(iter(_playing(role, list(table.columns))), None)
    if column is None or _holds_numbers(table, column):
        return ""
    cell = next((word for word in table.words(column) if not _is_empty(word)), "")
    return f" Column '{column}' begins with {cell!r:.40}, no number." if cell else f" Column '{column}' is empty."


def _is_empty(cell: Any) -> bool:
    return is_blank(cell) or str(cell).strip().lower() == "nan"


def _list(columns: Sequence[str] | dict[str, Any]) -> str:
    names = list(columns)
    return "it has " + ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")

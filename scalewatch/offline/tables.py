"""Tables that people keep of their runs: CSV, TSV and parquet, and which column is what.

Columns are guessed by their names, the guess is shown, and `--column loss=val_loss` overrides it. What a cell holds
is read with suspicion: a loss that is no number is said with its row, not dropped.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError, FitError
from scalewatch.fitting.outcomes.axes import counted_by
from scalewatch.logs.columns import placed, ranked
from scalewatch.logs.values import is_blank
from scalewatch.offline.cells import number_in
from scalewatch.offline.column_units import without_unit
from scalewatch.offline.role_names import IN_LOGS, ROLE_NAMES, ROLES
from scalewatch.offline.table_files import ENDINGS, columns_in
from scalewatch.offline.table_shapes import a_row_a_run

__all__ = [
    "ROLES",
    "Table",
    "count_of",
    "is_table",
    "named_columns",
    "parse_pairs",
    "read_table",
    "text_instead",
    "where",
]

#: What a count is to a law -> its role here.
_COUNTS = {"size": "parameters", "tokens": "tokens"}


@final
@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table as it was read: name of the file, names of the columns, their cells, and sentences on how."""

    source: str
    stem: str
    columns: dict[str, Any]
    notes: tuple[str, ...] = ()

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
        return Table(self.source, self.stem, few, self.notes)


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
    value = number_in(cell)
    if value is None:
        raise FitError(f"{source}: column '{name}', row {row}: not a number (got {str(cell).strip()!r:.40}).")
    return value


def is_table(path: Path) -> bool:
    """Return whether a path is named like a table."""
    return path.suffix.lower() in ENDINGS and not path.name.startswith("journal-")  # a segment of ours is no table


def read_table(path: Path, asked: Collection[str] = ()) -> Table:
    """Return the table in a file, a row a run.

    Args:
        path: of it. asked: names of columns that somebody gave: a table that has one as it stands is left so.

    Raises:
        FitError: if it cannot be read, has no rows, or is too large.
        ConfigError: if it is parquet and pyarrow is not installed.
    """
    try:
        columns = columns_in(path)
    except OSError as fault:
        raise FitError(f"{path}: cannot be read: {fault.strerror or fault}.") from None
    if not columns or not len(next(iter(columns.values()))):
        raise FitError(f"{path}: holds no rows below its header.")
    made, turned = a_row_a_run(columns)
    if not turned or any(name in columns and name not in made for name in asked):
        return Table(str(path), path.stem, columns)
    return Table(str(path), path.stem, made, (f"{path}: {turned}",))


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
    if "batch_size" in found and "token" in found["batch_size"].lower() and "tokens_per_step" not in found:
        found["tokens_per_step"] = found.pop("batch_size")
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
    own += [name for name in names if name not in own and _COUNTS.get(counted_by(name) or "") == role]
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

"""What a command on tables was given: tables, folders of them, folders of runs, and folders of journals."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from scalewatch.errors import ConfigError
from scalewatch.objective import words_of
from scalewatch.offline.finished_runs import SIZE_ROLES
from scalewatch.offline.run_folders import read_runs
from scalewatch.offline.table_files import KINDS
from scalewatch.offline.tables import ROLES, Table, is_table, named_columns, parse_pairs, read_table, where

__all__ = ["Reading"]

#: Endings of tables that are looked for in a folder, and how many of them are read. By hand.
IN_FOLDERS, MOST_TABLES = (".csv", ".tsv", ".parquet"), 1_000
_SHEETS = frozenset({".xlsx", ".xls", ".xlsm", ".ods", ".numbers"})


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
        cls,
        paths: Sequence[Path],
        column: Sequence[str],
        where_: Sequence[str],
        bytes_per_token: float | None,
        *,
        ends: bool = False,
    ) -> Reading:
        """Read the tables among `paths`, and those in a folder without journals; the others are folders or journals.

        Args:
            paths: files and folders. column, where_, bytes_per_token: as the options of commands.
            ends: whether of a folder of runs the ends are wanted, a row a run, and not whole curves.

        Raises:
            FitError: if a table cannot be read or no row is as `where_` says.
            ConfigError: if an option is out of its range, or a file is named like no table.
        """
        if bytes_per_token is not None and not 0.1 <= bytes_per_token <= 100:
            raise ConfigError(f"`--bytes-per-token` must lie between 0.1 and 100 (got {bytes_per_token:g}).")
        conditions, overrides = parse_pairs("--where", where_), parse_pairs("--column", column)
        asked = {*conditions, *overrides.values()}
        each = [(path, _tables(path, overrides, asked, ends=ends)) for path in paths]
        tables = [where(table, conditions) for _, found in each for table in found]
        return cls([path for path, found in each if not found], tables, overrides, bytes_per_token)


def _tables(path: Path, overrides: Mapping[str, str], asked: Collection[str], *, ends: bool) -> list[Table]:
    """The tables of a path; none of journals, and of what does not exist."""
    if is_table(path):
        table = read_table(path, asked)
        if not _is_of_several_logs(table, overrides):
            return [table]
        runs = read_runs(path, overrides)
        return [runs.ends if ends else runs.rows]
    if path.suffix.lower() in _SHEETS:
        raise ConfigError(f"{path} is a spreadsheet: save it as CSV.")
    if path.is_file() and not path.name.startswith("journal-"):
        raise ConfigError(f"{path} is no table by its name: {KINDS}.")
    if not path.is_dir() or next(path.rglob("journal-*.jsonl"), None) is not None:
        return []
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in IN_FOLDERS and file.is_file())
    tables = [read_table(file, asked) for file in files[:MOST_TABLES]]
    if tables and not all(_is_log(table, overrides) for table in tables):
        return tables
    runs = read_runs(path, overrides)
    return [runs.ends if ends else runs.rows]


def _roles_of(table: Table, overrides: Mapping[str, str]) -> dict[str, str]:
    """The columns of a table by their roles, those of finished runs; a law of something else has roles of its own."""
    known = {role: name for role, name in overrides.items() if role in ROLES and name in table.columns}
    return named_columns(table, known)


def _is_of_several_logs(table: Table, overrides: Mapping[str, str]) -> bool:
    """Whether a table has steps, and a column of losses for each of several runs, as Weights & Biases exports them."""
    roles = _roles_of(table, overrides)
    return "step" in roles and "loss" not in roles and sum("loss" in words_of(name) for name in table.columns) > 1


def _is_log(table: Table, overrides: Mapping[str, str]) -> bool:
    """Whether rows are steps of a run whose size the table does not say."""
    roles = _roles_of(table, overrides)
    return "step" in roles and "loss" in roles and not any(role in roles for role in SIZE_ROLES)

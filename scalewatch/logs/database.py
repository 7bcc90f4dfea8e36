"""SQLite databases, read and never written."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalewatch.errors import LogError

if TYPE_CHECKING:
    import sqlite3

__all__ = ["asked", "has_columns", "is_database", "opened"]

_MAGIC = b"SQLite format 3\x00"
#: A database that somebody else writes to is waited for so long [s]. By hand.
WAIT_SECONDS = 5.0


def is_database(path: Path) -> bool:
    """Return whether a file begins as SQLite's do."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def opened(path: Path) -> sqlite3.Connection:
    """Return a connection that can only read.

    Raises:
        sqlite3.Error: if it cannot be opened.
    """
    import sqlite3

    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=WAIT_SECONDS)


def asked(path: Path, query: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
    """Return all rows of an answer.

    Raises:
        LogError: if it cannot be read.
    """
    import sqlite3

    if not is_database(path):
        raise LogError(f"{path}: is empty, or no database of SQLite.")
    try:
        with closing(opened(path)) as connection:
            return connection.execute(query, tuple(values)).fetchall()
    except sqlite3.Error as fault:
        raise LogError(f"{path}: the database cannot be read: {fault}.") from None


def has_columns(path: Path, table: str, columns: Iterable[str]) -> bool:
    """Return whether a file is a database with a table that has these columns."""
    if not is_database(path):
        return False
    try:
        found = asked(path, "SELECT name FROM pragma_table_info(?)", [table])
    except LogError:
        return False
    return {name for (name,) in found} >= set(columns)

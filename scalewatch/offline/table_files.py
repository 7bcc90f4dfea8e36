"""Files that people keep tables of runs in: CSV and its kin, parquet, JSON, and the tables of pages and papers."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from scalewatch.errors import ConfigError, FitError, LogError
from scalewatch.logs.formats.json_lines import flattened, records
from scalewatch.logs.shapes import json_rows
from scalewatch.offline.table_text import (
    MAX_BYTES,
    MAX_COLUMNS,
    MAX_ROWS,
    html_columns,
    latex_columns,
    markdown_columns,
    plain_columns,
)

__all__ = ["ENDINGS", "KINDS", "columns_in"]


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
    try:
        return _READERS.get(path.suffix.lower(), plain_columns)(path)
    except LogError as fault:
        raise FitError(str(fault)) from None


def _parquet(path: Path) -> dict[str, Any]:
    try:
        # imported by name: pyarrow ships no types
        arrow, parquet = (importlib.import_module(name) for name in ("pyarrow", "pyarrow.parquet"))
    except ImportError:
        raise ConfigError(
            "Reading parquet needs pyarrow (in the extra `dev`): pip install pyarrow, or write the table as CSV."
        ) from None
    kind = "parquet" if path.suffix.lower() == ".parquet" else "feather"
    try:
        file = parquet.ParquetFile(path) if kind == "parquet" else _feather(path)
        shape = file.metadata if kind == "parquet" else file
        if shape.num_rows > MAX_ROWS or shape.num_columns > MAX_COLUMNS:
            raise FitError(f"{path}: has more than {MAX_ROWS:,} rows or {MAX_COLUMNS} columns; keep what a law needs.")
        read = file.read() if kind == "parquet" else file
    except arrow.ArrowException as fault:
        raise FitError(f"{path}: not a {kind} file: {str(fault)[:120]!r}.") from None
    columns: dict[str, Any] = {}
    for name in read.column_names:
        column = read.column(name)
        if arrow.types.is_integer(column.type) or arrow.types.is_floating(column.type):
            columns[name] = np.asarray(column.to_numpy(), dtype=np.float64)
        else:
            columns[name] = column.to_pylist()
    return columns


def _feather(path: Path) -> Any:
    return importlib.import_module("pyarrow.feather").read_table(path, memory_map=True)


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


_READERS = {
    **dict.fromkeys((".parquet", ".feather", ".arrow"), _parquet),
    **dict.fromkeys((".json", ".jsonl"), _json),
    **dict.fromkeys((".html", ".htm"), html_columns),
    **{".md": markdown_columns, ".tex": latex_columns},
}
#: What a table is called.
ENDINGS = (".csv", ".tsv", ".txt", *_READERS)
#: The same in a sentence.
KINDS = ", ".join(ENDINGS)

"""The rows of a run to be taken away: CSV or JSON, thinned so that every spike stays."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scalewatch_tensorboard.runs.run_state import RunState

__all__ = ["MOST_ROWS", "csv_of", "file_name", "rows_of"]

#: Rows of one answer.
MOST_ROWS = 2_000
#: Columns of an answer, in their order.
HEADER = ("step", "loss", "low", "high", "learning_rate", "grad_norm", "tokens", "seconds")


def rows_of(state: RunState, window: tuple[float, float] | None) -> dict[str, Any]:
    """Return the rows of a window of steps.

    Of more than 2,000, each stretch of equal length gives one: its last step, its mean, least and greatest loss, and
    the rest as they were at its last row.

    Args:
        state: of the run. window: from and to, both included, infinite for an open end; None for all.
    """
    columns = state.columns()
    low, high = window or (-math.inf, math.inf)
    first = int(np.searchsorted(columns.steps, low, "left"))
    last = int(np.searchsorted(columns.steps, high, "right"))
    count = max(last - first, 0)
    edges = np.linspace(first, first + count, min(count, MOST_ROWS) + 1).round().astype(int)
    table = _table(columns, edges) if count else []
    thinned = count > MOST_ROWS
    note = f"{count:,} rows as {len(table):,} stretches: mean, least and greatest loss of each." if thinned else ""
    return {"run": state.name, "columns": list(HEADER), "rows": table, "thinned": thinned, "note": note}


def csv_of(rows: dict[str, Any]) -> str:
    """Return what `rows_of` returned as a table in CSV, its note as a first line."""
    lines = [f"# {rows['note']}"] if rows["note"] else []
    lines += [",".join(HEADER), *(",".join(map(_cell, row)) for row in rows["rows"])]
    return "\n".join(lines) + "\n"


def _table(columns: Any, edges: NDArray[np.int64]) -> list[list[float | int | None]]:
    begins, ends = edges[:-1], edges[1:] - 1
    losses = columns.losses.astype(np.float64)
    finite = np.isfinite(losses)
    counts = np.add.reduceat(finite.astype(np.int64), begins)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.add.reduceat(np.where(finite, losses, 0.0), begins) / counts
    low = np.where(counts > 0, np.minimum.reduceat(np.where(finite, losses, np.inf), begins), np.nan)
    high = np.where(counts > 0, np.maximum.reduceat(np.where(finite, losses, -np.inf), begins), np.nan)
    others = (columns.learning_rates, columns.grad_norms, columns.tokens, columns.seconds)
    parts = [columns.steps[ends], mean, low, high, *(other[ends] for other in others)]
    return [list(row) for row in zip(*(_short(part) for part in parts), strict=True)]


def _short(values: NDArray[Any]) -> list[float | int | None]:
    if values.dtype.kind == "i":
        return [int(v) for v in values.tolist()]
    digits = 7 if values.dtype == np.float32 else 10
    return [float(f"{v:.{digits}g}") if math.isfinite(v) else None for v in values.tolist()]


def _cell(value: float | int | None) -> str:
    return "" if value is None else repr(value)


def file_name(name: str) -> str:
    """Return a name that is safe in a header and on a disk."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:80] or "run"

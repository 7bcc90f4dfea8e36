"""Data that stays data: what a chart may hold of somebody's numbers and names, written as records."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats
from scalewatch.charts.captions import plain
from scalewatch.errors import ConfigError

__all__ = ["columns", "data", "rows"]

#: Marks of one series at most: what a panel of this width can tell apart.
MOST_POINTS = 2_000
#: A number beyond these is drawn at them: no axis goes further, and sums stay finite.
LEAST_DRAWN, MOST_DRAWN = 1e-30, 1e60
#: Digits of a number that is drawn.
DIGITS = 8


def data(values: Sequence[dict[str, Any]]) -> Any:
    """Return records as inline data of a chart.

    They are written at once: altair copies and checks lists of records many times over while it builds a chart.
    """
    import altair as alt

    written = json.dumps([{name: _drawn(value) for name, value in row.items()} for row in values], allow_nan=False)
    return alt.Data(values=written, format={"type": "json"})  # type: ignore[no-untyped-call]


def _drawn(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if not isinstance(value, float):
        return value
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def rows(**series: Any) -> Any:
    """Return columns of equal length as inline data of a chart; what is not finite becomes null."""
    names = list(series)
    lists = [column.tolist() if isinstance(column, np.ndarray) else list(column) for column in series.values()]
    return data([dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)])


def columns(what: str, *, positive: bool = True, **series: ArrayLike) -> tuple[list[Floats], NDArray[np.int64]]:
    """Return columns of equal length without the rows that cannot be drawn, and which rows were kept.

    Of more than 2,000 rows as many are kept, evenly over the order given, with the least and the greatest of each.

    Raises:
        ConfigError: if the shapes differ or no row is left; `what` names the rows.
    """
    made = {name: np.asarray(values, dtype=np.float64) for name, values in series.items()}
    shapes = {column.shape for column in made.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        got = ", ".join(f"{name} {column.shape}" for name, column in made.items())
        raise ConfigError(f"The columns of the {what} must have one shape (n,) (got {got}).")
    fine = np.logical_and.reduce([np.isfinite(c) & ((c > 0) | (not positive)) for c in made.values()])
    kept = np.flatnonzero(fine)
    if not len(kept):
        word = "positive " if positive else ""
        raise ConfigError(f"There is nothing to draw: no row of the {what} holds finite {word}numbers throughout.")
    if len(kept) > MOST_POINTS:
        ends = [[int(kept[np.argmin(c[kept])]), int(kept[np.argmax(c[kept])])] for c in made.values()]
        few = kept[np.linspace(0, len(kept) - 1, MOST_POINTS - 2 * len(ends)).astype(int)]
        kept = np.unique(np.concatenate([few, np.ravel(ends)]))
    least = LEAST_DRAWN if positive else -MOST_DRAWN
    return [np.clip(column[kept], least, MOST_DRAWN) for column in made.values()], kept

"""Quantiles of the last rows, kept sorted: half a microsecond a row (RELIABILITY 2.2)."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import final

from scalewatch.detect.base import Stateful

__all__ = ["Window"]


@final
class Window(Stateful):
    """The last `rows` values, oldest first, and sorted.

    Memory: twice `rows` floats. Only finite values may enter.

    >>> window = Window(3)
    >>> for value in (5.0, 1.0, 9.0, 2.0):
    ...     window.push(value, 3)
    >>> window.values, window.ranked
    ([1.0, 9.0, 2.0], [1.0, 2.0, 9.0])
    """

    STATE = ("values",)

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.values: list[float] = []
        self.ranked: list[float] = []

    def _loaded(self) -> None:
        del self.values[: -self.rows]
        self.ranked = sorted(self.values)

    def push(self, value: float, keep: int) -> None:
        """Take one value in and let the oldest go, down to `keep` values."""
        values, ranked = self.values, self.ranked
        values.append(value)
        insort(ranked, value)
        if keep > self.rows:
            keep = self.rows
        while len(values) > keep:
            del ranked[bisect_left(ranked, values.pop(0))]

    def clear(self) -> None:
        """Forget all."""
        self.values, self.ranked = [], []

"""The whole run in a bounded number of bins: what it did in its last half, at any length."""

from __future__ import annotations

from typing import final

from scalewatch.detect.state import Stateful

__all__ = ["Bins"]

#: Most bins; when they are full, two become one [count]. So the last half of a run always has 16 or more. By hand.
MOST = 64


@final
class Bins(Stateful):
    """Means of a number over the whole run in at most 64 bins of as many rows each.

    Where the run goes back, what lies behind that step is dropped. Memory: 64 bins of three numbers.

    Args:
        rows: rows of a bin at first.

    >>> bins = Bins(4)
    >>> ended = [bins.add(float(row), 4, first_step=row, step=row) for row in range(1, 100)]
    >>> bins.size, bins.means(50, 60)
    (8, [51.5, 53.5, 55.5, 57.5, 59.5])
    """

    STATE = ("sums", "rows", "steps", "first_step", "size")

    def __init__(self, rows: int) -> None:
        self.sums: list[float] = []
        self.rows: list[int] = []
        self.steps: list[int] = []
        self.first_step = 0
        self.size = rows

    def add(self, value: float, rows: int, first_step: int, step: int) -> bool:
        """Take in the mean over some rows, from their first to their last step; whether that filled a bin."""
        while self.steps and self.steps[-1] >= first_step:
            del self.sums[-1], self.rows[-1], self.steps[-1]
        if not self.steps:
            self.first_step = first_step
        if self.steps and self.rows[-1] < self.size:
            self.sums[-1] += value * rows
            self.rows[-1] += rows
            self.steps[-1] = step
        else:
            if len(self.steps) == MOST:
                self._halve()
            self.sums.append(value * rows)
            self.rows.append(rows)
            self.steps.append(step)
        return self.rows[-1] >= self.size

    def means(self, after: float, until: float) -> list[float]:
        """Means of the full bins that end in (after, until] steps."""
        kept = zip(self.sums, self.rows, self.steps, strict=True)
        return [total / rows for total, rows, step in kept if after < step <= until and rows >= self.size]

    def last(self, count: int) -> list[float]:
        """Means of the last full bins, oldest first."""
        full = [total / rows for total, rows in zip(self.sums, self.rows, strict=True) if rows >= self.size]
        return full[-count:]

    def _halve(self) -> None:
        self.sums = [a + b for a, b in zip(self.sums[::2], self.sums[1::2], strict=True)]
        self.rows = [a + b for a, b in zip(self.rows[::2], self.rows[1::2], strict=True)]
        self.steps = self.steps[1::2]
        self.size *= 2

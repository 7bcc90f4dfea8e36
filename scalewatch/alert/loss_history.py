"""The curve of a run for the picture in a message: bounded, O(1) a step."""

from __future__ import annotations

from typing import final

__all__ = ["LossHistory"]

#: Points kept at most; when there are so many, every other one goes.
MAX_POINTS = 1024


@final
class LossHistory:
    """Keeps the mean loss of stretches that double in length as the run goes on.

    A row that is not finite is left out.

    >>> losses = LossHistory()
    >>> for step in range(1, 5): losses.add(step, 3.0)
    >>> losses.points()
    ((1, 3.0), (2, 3.0), (3, 3.0), (4, 3.0))
    """

    __slots__ = ("_count", "_points", "_stride", "_sum")

    def __init__(self) -> None:
        self._points: list[tuple[int, float]] = []
        self._stride, self._count, self._sum = 1, 0, 0.0

    def add(self, step: int, loss: float) -> None:
        """Take in one row."""
        if not -1e30 < loss < 1e30:
            return
        self._sum += loss
        self._count += 1
        if self._count >= self._stride:
            self._points.append((step, self._sum / self._count))
            self._count, self._sum = 0, 0.0
            if len(self._points) >= MAX_POINTS:
                self._points = self._points[1::2]
                self._stride *= 2

    def points(self) -> tuple[tuple[int, float], ...]:
        """Return (step, mean loss [nats/token]), oldest first; may be called from another thread."""
        return tuple(self._points)

"""A few values over a run of any length: every so many-th is kept, and fewer as they become many."""

from __future__ import annotations

from typing import final

import numpy as np
from numpy.typing import NDArray

__all__ = ["ThinnedSeries"]

#: Points after which every second is left out.
MOST_POINTS = 2_000


@final
class ThinnedSeries:
    """Steps and values, bounded.

    >>> trace = Trace()
    >>> for step in range(5_000):
    ...     trace.add(step, 0.5 * step)
    >>> len(trace.pairs()) <= 2_000, trace.pairs()[1]
    (True, (4, 2.0))
    """

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.values: list[float] = []
        self._every = 1
        self._seen = 0

    def add(self, step: int, value: float) -> None:
        """Take the next value; every so many-th is kept."""
        if self._seen % self._every == 0:
            self.steps.append(step)
            self.values.append(float(value))
            if len(self.steps) > MOST_POINTS:
                self.steps, self.values = self.steps[::2], self.values[::2]
                self._every *= 2
        self._seen += 1

    def rewind(self, step: int) -> None:
        """Forget what is of `step` and later."""
        while self.steps and self.steps[-1] >= step:
            self.steps.pop()
            self.values.pop()

    def pairs(self) -> list[tuple[int, float]]:
        """Return (step, value), oldest first."""
        return list(zip(self.steps, self.values, strict=True))

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return steps and values."""
        return np.array(self.steps, dtype=np.int64), np.array(self.values, dtype=np.float64)

    @classmethod
    def of(cls, steps: list[int], values: list[float], every: int) -> ThinnedSeries:
        """Take back what `steps`, `values` and `every` were."""
        trace = cls()
        trace.steps, trace.values, trace._every = (
            [int(s) for s in steps],
            [float(v) for v in values],
            max(int(every), 1),
        )
        return trace

    @property
    def every(self) -> int:
        """Of how many values one is kept."""
        return self._every

"""Few enough points to draw, and every spike among them.

A long log is cut into equal stretches of steps, and each keeps its mean, its least and its greatest loss. So a single
step that went wrong is always in the picture, which a sample of every n-th point would lose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats

__all__ = ["Cut", "Envelope", "cut", "envelope"]

#: Stretches a chart is cut into: about one a pixel of a wide panel.
STRETCHES = 600


@final
class Envelope(NamedTuple):
    """A log in stretches: step of each, mean, least and greatest value, all of shape (n,)."""

    steps: Floats
    mean: Floats
    low: Floats
    high: Floats


def envelope(steps: ArrayLike, values: ArrayLike, stretches: int = STRETCHES, *, log_steps: bool = False) -> Envelope:
    """Cut a log into at most `stretches` stretches of equal length, or of equal length in log step.

    Args:
        steps: step of each row, shape (n,), positive.
        values: value of each row, shape (n,); rows that are not finite are left out.
        stretches: how many at most.
        log_steps: whether the stretches shall be equal on a logarithmic axis.
    """
    at, value = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    keep = np.isfinite(at) & np.isfinite(value) & (at > 0)
    at, value = at[keep], value[keep]
    if not len(at):
        empty = np.zeros(0)
        return Envelope(empty, empty, empty, empty)
    order = np.argsort(at, kind="stable")
    at, value = at[order], value[order]
    scale = np.log(at) if log_steps else at
    span = scale[-1] - scale[0]
    share = np.zeros(len(at)) if span <= 0 else (scale - scale[0]) / span
    cell = np.minimum((share * stretches).astype(int), stretches - 1)
    starts = np.flatnonzero(np.concatenate([[True], np.diff(cell) > 0]))
    counts = np.diff(np.concatenate([starts, [len(at)]]))
    return Envelope(
        np.add.reduceat(at, starts) / counts,
        np.add.reduceat(value, starts) / counts,
        np.minimum.reduceat(value, starts),
        np.maximum.reduceat(value, starts),
    )


@final
@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A window of a log in stretches, for several columns alike.

    Attributes:
        x: middle of each stretch, shape (n,), rising. first: its first row, shape (n,). stop: row after the last.
    """

    x: Floats
    first: NDArray[np.int64]
    stop: int

    @property
    def rows(self) -> NDArray[np.int64]:
        """How many rows each stretch holds, shape (n,)."""
        return np.diff(self.first, append=self.stop)

    def missing(self, values: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return how many rows of each stretch hold no finite value of a column, shape (n,)."""
        if not len(self.first):
            return self.first
        start = int(self.first[0])
        counts: NDArray[np.int64] = np.add.reduceat(
            ~np.isfinite(values[start : self.stop]), self.first - start, dtype=np.int64
        )
        return counts

    def of(self, values: NDArray[np.floating]) -> Envelope:
        """Return mean, least and greatest finite value of one column in each stretch, NaN where it holds none.

        Args:
            values: shape (rows of the log,); about 10 ms for a million.
        """
        if not len(self.first):
            return Envelope(self.x, self.x, self.x, self.x)
        start = int(self.first[0])
        held, first = values[start : self.stop], self.first - start
        fine = np.isfinite(held)
        whole = bool(fine.all())
        shown = held if whole else np.where(fine, held, np.nan)
        added = np.add.reduceat(held if whole else np.where(fine, held, 0), first, dtype=np.float64)
        counts = self.rows if whole else np.add.reduceat(fine, first, dtype=np.int64)
        mean = np.divide(added, counts, out=np.full(len(first), np.nan), where=counts > 0)
        low, high = (least.reduceat(shown, first).astype(np.float64) for least in (np.fmin, np.fmax))
        # the mean of numbers that are rounded may lie beyond them
        return Envelope(self.x, np.clip(mean, low, high), low, high)


def cut(x: Floats, low: float, high: float, *, log: bool = False, stretches: int = STRETCHES) -> Cut:
    """Cut the rows of a log from `low` to `high` into at most `stretches` stretches, equal on the axis that is drawn.

    Args:
        x: place of each row on the axis, shape (n,), never falling. low, high: the window, in its units.
        log: the axis is logarithmic; `low` is then positive.
    """
    start, stop = int(np.searchsorted(x, low)), int(np.searchsorted(x, high, side="right"))
    if stop - start <= stretches:
        return Cut(x[start:stop].astype(np.float64), np.arange(start, stop), stop)
    least, most = float(x[start]), float(x[stop - 1])
    even = np.geomspace(least, most, stretches + 1) if log else np.linspace(least, most, stretches + 1)
    first = np.unique(np.clip(np.searchsorted(x, even[:-1]), start, stop - 1))
    last = np.append(first[1:], stop) - 1
    middle = np.sqrt(x[first] * x[last]) if log else 0.5 * (x[first] + x[last])
    return Cut(middle, first, stop)

"""Few enough points to draw, and every spike among them.

A long log is cut into equal stretches of steps, and each keeps its mean, its least and its greatest loss. So a single
step that went wrong is always in the picture, which a sample of every n-th point would lose.
"""

from __future__ import annotations

from typing import NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Envelope", "envelope"]

Floats = NDArray[np.float64]

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

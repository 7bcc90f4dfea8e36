"""Counts of parameters and tokens that are in another unit: billions among counts, or no counts at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.offline.listed import how_many

__all__ = ["check_counts"]

#: No model and no run has so few parameters or tokens: these are millions or billions.
LEAST_COUNT = 1e3
#: Factor between some counts and all others from which they are in another unit: for those that are no counts, and from
#: which it is asked for those that may be. A run of which each thousandth step is kept begins so far below. By hand.
OTHER_UNIT, ASKED = 1e4, 100.0


def check_counts(source: str, counts: dict[str, Floats], known: NDArray[np.bool_]) -> list[str]:
    """Return what is to be asked about counts that lie far from all others.

    Args:
        source: of the table. counts: name -> those of each row, of shape (rows,). known: which rows have all.

    Raises:
        FitError: if they are none, all of them or those of some rows.
    """
    asked = []
    for name, every in counts.items():
        values = np.unique(every[known])
        if len(values) and values[-1] < LEAST_COUNT:
            raise FitError(
                f"{source}: {name} go from {values[0]:g} to {values[-1]:g}, and a law needs counts: are "
                "these millions or billions? Write 7e9 or 7B."
            )
        if len(values) < 2:
            continue
        at = int(np.argmax(values[1:] / values[:-1]))
        low, high = float(values[at]), float(values[at + 1])
        below, above = np.flatnonzero(known & (every <= low)), np.flatnonzero(known & (every >= high))
        few = below if len(below) <= len(above) else above
        more = f" and {how_many(len(few) - 1, 'other')}" if len(few) > 1 else ""
        rows = f"row {few[0] + 1} with {every[few[0]]:g}{more}"
        if low < LEAST_COUNT and high > OTHER_UNIT * low:
            raise FitError(
                f"{source}: {name} are up to {low:g} in some rows and from {high:g} on in the others ({rows}): "
                "are they in millions or billions there? Write 7e9 or 7B in each row."
            )
        if name == "parameters" and high > ASKED * low:
            asked.append(f"{source}: no {name} lie between {low:g} and {high:g} ({rows}): are all in the same unit?")
    return asked

"""The one kind of array that everything here is computed in, and learning rates of runs that are too long for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, final, overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "KnottedRates", "Rates", "first_at", "rates_at"]

#: Numbers in double precision, of any shape; which shape, and the unit, the place says that takes or returns them.
Floats = NDArray[np.float64]

#: Longest part of a plan that is handed out as an array [steps]: by hand, the steps that are walked one by one.
MOST_DENSE = 16_384


@final
class KnottedRates:
    """Planned learning rates of a long run: straight lines between knots, at a cost that does not grow with its length.

    Read like an array of shape (steps,): by index, and in parts, of which short ones are arrays.

    Args:
        steps: of the knots, shape (k,), increasing from 1 to the last step. rates: there, shape (k,).

    >>> plan = KnottedRates([1, 11, 1_000_000_000], [0.0, 1.0, 1.0])
    >>> len(plan), plan[5], plan[9:12].tolist(), len(plan[:500_000_000]), plan.max()
    (1000000000, 0.5, [0.9, 1.0, 1.0], 500000000, 1.0)
    """

    __slots__ = ("rates", "steps")

    def __init__(self, steps: Any, rates: Any) -> None:
        self.steps: Floats = np.asarray(steps, dtype=np.float64)
        self.rates: Floats = np.asarray(rates, dtype=np.float64)

    def __len__(self) -> int:
        return int(self.steps[-1])

    def at(self, steps: Any) -> Floats:
        """Return the rates of `steps`, counted from 1, shape (n,)."""
        return np.interp(np.asarray(steps, dtype=np.float64), self.steps, self.rates)

    def max(self) -> float:
        """Return the highest rate."""
        return float(self.rates.max())

    def min(self) -> float:
        """Return the lowest rate."""
        return float(self.rates.min())

    @overload
    def __getitem__(self, place: int) -> float: ...
    @overload
    def __getitem__(self, place: slice) -> Rates: ...
    def __getitem__(self, place: int | slice) -> float | Rates:
        """The rate of step `place + 1`, or those of a part without gaps."""
        if isinstance(place, slice):
            start, stop, _ = place.indices(len(self))
            if stop - start <= MOST_DENSE:
                return self.at(np.arange(start + 1, stop + 1))
            inside = (self.steps > start + 1) & (self.steps < stop)
            at = np.concatenate([[start + 1], self.steps[inside], [stop]])
            return KnottedRates(at - start, self.at(at))
        return float(self.at([place + 1 if place >= 0 else len(self) + place + 1])[0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All of them, of which each takes its place."""
        return self.at(np.arange(1, len(self) + 1)).astype(dtype or np.float64, copy=False)


#: Learning rates of steps 1 to T, shape (T,).
Rates: TypeAlias = Floats | KnottedRates


def rates_at(rates: Rates, steps: Sequence[int]) -> list[float]:
    """Return the rates of steps, counted from 1; NaN where `steps` has no step of them.

    >>> rates_at(np.array([3.0, 2.0, 1.0]), [0, 1, 3, 9])
    [nan, 3.0, 1.0, nan]
    """
    count = len(rates)
    at = np.array([step if type(step) is int and 1 <= step <= count else 0 for step in steps], dtype=np.int64)
    found = rates.at(at) if isinstance(rates, KnottedRates) else rates[at - 1]
    told: list[float] = np.where(at > 0, found, np.nan).tolist()
    return told


def first_at(rates: Rates, level: float) -> int:
    """Return the first step, counted from 1, whose rate is at least `level`; 1 if none is.

    >>> first_at(np.array([0.1, 0.5, 1.0]), 0.5), first_at(KnottedRates([1, 11, 20], [0.0, 1.0, 1.0]), 0.95)
    (2, 11)
    """
    if not isinstance(rates, KnottedRates):
        return int(np.argmax(rates >= level)) + 1
    place = int(np.argmax(rates.rates >= level))
    if place == 0:
        return 1
    (before, there), (low, high) = rates.steps[place - 1 : place + 1], rates.rates[place - 1 : place + 1]
    return int(np.ceil(before + (there - before) * (level - low) / (high - low)))

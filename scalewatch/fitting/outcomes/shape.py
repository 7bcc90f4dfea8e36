"""The form of a law over the axes of a table: parameters with what is expected of each, and a formula.

Every parameter has a normal expectation in the scale of the table (its middle, its spread of losses), so a law with
more parameters than few runs can settle falls back to a simpler one instead of going anywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.fitting.outcomes.axes import Axes, Points
from scalewatch.laws.law import Publication

__all__ = ["Expected", "Shape", "Values", "floor", "floor_of", "power", "term_of"]

Values = Mapping[str, Floats]

#: Largest exponent of a term: e^30 spreads are no loss. By hand.
MOST_LOG = 30.0


@final
@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of a parameter before any run is seen: normal, `middle` with `sd`."""

    middle: float
    sd: float


class Shape(ABC):
    """A law that competes.

    Attributes:
        name: as people call it. needs: roles without which it says nothing. source: where it is from, None: of here.
        fixed: whether it is the published law, as its authors write it.
    """

    name: str
    needs: tuple[str, ...] = ()
    source: Publication | None = None

    def suits(self, axes: Axes) -> bool:
        """Return whether the table has what it reads."""
        return set(self.needs) <= set(axes.keys)

    @abstractmethod
    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return its parameters at a table."""

    @abstractmethod
    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return the loss of sets of parameters, name -> (b, 1), at points, key -> (m,): shape (b, m)."""


#: Floor and terms in spreads of the losses: a term about a third of the spread, the floor a third of it below. By hand.
FLOOR = Expected(-0.5, 1.2)
TERM = Expected(-1.0, 1.0)


def floor_of(axes: Axes) -> Expected:
    """Return what is expected of the floor of a table: of a short ladder it lies many spreads below the least loss.

    Terms that fall by `f` in ln from the cheapest run to the dearest leave 1 / (e^f - 1) of the spread to fall.
    """
    return FLOOR if axes.fall is None else Expected(-float(np.log(np.expm1(axes.fall))), FLOOR.sd)


def term_of(axes: Axes) -> Expected:
    """Return what is expected of one of two terms in the middle of a table, in spreads: see `floor_of`."""
    return TERM if axes.fall is None else Expected(-float(np.log(4.0 * np.sinh(axes.fall / 2))), TERM.sd)


def floor(values: Values, axes: Axes) -> Floats:
    """Return the irreducible loss: `floor` is ln of its distance below the least loss, in spreads."""
    below = axes.least - axes.spread * np.exp(np.minimum(values["floor"], MOST_LOG))
    return np.asarray(np.maximum(below, 0.0) if axes.relative else below)


def power(exponent: Floats, axes: Axes) -> Floats:
    """Return a term that is e^exponent spreads high."""
    return np.asarray(axes.spread * np.exp(np.clip(exponent, -MOST_LOG, MOST_LOG)))

"""Smoothly broken power laws: curves that bend, turn, or fall off a cliff.

    y = a + b x^-c0 * product over breaks i of (1 + (x / d_i)^(1 / f_i))^(-c_i f_i)

Far from a break the curve above `a` is a power of x; at d_i its exponent changes from c0 + .. + c_{i-1} to that
plus c_i, within a factor of about e^f_i. One break makes a plateau or a U; an exponent below zero is inverse
scaling, where a larger model is worse.

What it cannot do: a break that lies beyond the data leaves no trace in them. A fitted break is to be believed
only with a point past it, and the curve beyond the largest x only until the next break, which nobody sees
coming: of eleven inverse-scaling tasks, six turned to a U at 540B (Wei et al. 2022). So a fit says so.

Source: Caballero, Gupta, Rish, Krueger (2022), arXiv 2210.14891, equation 1; Wei et al. (2022), arXiv 2211.02011.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError, LawFileError
from scalewatch.laws.law import Law, Publication, Quantity, asked
from scalewatch.laws.size import positive
from scalewatch.strict_json import numbers_within

__all__ = ["Break", "BrokenLaw", "Scaling"]

#: Most breaks: a third takes twelve constants, more than any ladder has points for. By hand.
MOST_BREAKS = 2


#: Change, place and width of a break that a file may give. By hand.
_OF_BREAK = ((-20.0, 20.0), (1e-300, 1e300), (1e-6, 100.0))


@final
class Scaling(StrEnum):
    """The shape of a curve over the range it was fitted on, for a metric that is better when lower."""

    FALLS = "falls"
    RISES = "rises"
    U_SHAPED = "u_shaped"
    PEAKED = "peaked"
    WAVY = "wavy"


@final
@dataclass(frozen=True, slots=True)
class Break:
    """A change of exponent.

    Attributes:
        change: c_i, exponent after less exponent before, dimensionless. place: d_i, in units of x.
        width: f_i, e-folds of x, above 0; small is sharp.
    """

    change: float
    place: float
    width: float


@final
@dataclass(frozen=True, slots=True)
class BrokenLaw(Law):
    """A smoothly broken power law with up to two breaks.

    Attributes:
        floor: a, in the unit of y, 0 or more. scale: b, y - a at x = 1 without breaks. exponent: c0.
        breaks: in the order of their place.

    Raises:
        ConfigError: if a constant is out of range.

    >>> law = BrokenLaw(0.0, 8.0, 0.5, (Break(-1.0, 100.0, 0.2),))
    >>> [round(float(y), 2) for y in law.values([1.0, 100.0, 10_000.0])]
    [8.0, 0.92, 8.0]
    >>> law.scaling(1.0, 1e4)
    <Scaling.U_SHAPED: 'u_shaped'>
    """

    KIND: ClassVar = "broken"
    SOURCE: ClassVar = Publication("Caballero et al.", 2022, "arXiv 2210.14891", "equation 1")
    RANGES: ClassVar = {"floor": (0.0, 1e30), "scale": (1e-300, 1e300), "exponent": (-10.0, 10.0)}
    MORE: ClassVar = ("breaks",)
    INVERSE: ClassVar = ("x",)

    floor: float
    scale: float
    exponent: float
    breaks: tuple[Break, ...] = ()

    def __post_init__(self) -> None:
        positive("scale", self.scale, "b of a broken law")
        if not (math.isfinite(self.floor) and self.floor >= 0 and math.isfinite(self.exponent)):
            raise ConfigError(f"`floor` must be 0 or more and `exponent` finite (got {self.floor}, {self.exponent}).")
        if len(self.breaks) > MOST_BREAKS:
            raise ConfigError(f"At most {MOST_BREAKS} breaks (got {len(self.breaks)}): no ladder has points for more.")
        for one in self.breaks:
            positive("place", one.place, "of a break, in units of x")
            positive("width", one.width, "of a break, e-folds of x")
        object.__setattr__(self, "breaks", tuple(sorted(self.breaks, key=lambda b: b.place)))

    @classmethod
    def example(cls) -> BrokenLaw:
        """Return a law with one break, made up: each metric has its own."""
        return cls(0.5, 8.0, 0.2, (Break(0.3, 1e3, 0.2),))

    @property
    def inputs(self) -> tuple[Quantity, ...]:
        """The scale that the metric is seen over."""
        return (Quantity("x", "compute, size or data", 1e-30, 1e30),)

    @property
    def output(self) -> Quantity:
        """A metric that is better when lower."""
        return Quantity("y", "unit of the metric")

    def predict(self, inputs: Mapping[str, ArrayLike]) -> Floats:
        """Return y at `x`."""
        return self.values(*asked(inputs, "x"))

    def more_json(self) -> dict[str, Any]:
        """Return change, place and width of each break."""
        return {"breaks": [list(astuple(one)) for one in self.breaks]}

    @classmethod
    def read_more(cls, record: dict[str, Any], source: Path) -> dict[str, Any]:
        """Return the breaks."""
        given = record["breaks"]
        if not isinstance(given, list) or len(given) > MOST_BREAKS:
            raise LawFileError(f"{source}: `breaks` must be a list of at most {MOST_BREAKS} breaks.")
        each = [Break(*numbers_within(source, f"breaks[{i}]", one, _OF_BREAK)) for i, one in enumerate(given)]
        return {"breaks": tuple(each)}

    def values(self, x: ArrayLike) -> Floats:
        """Return y at `x`, any shape, positive.

        Raises:
            ConfigError: if an x is not positive and finite.
        """
        log_x = np.log(positive("x", x, "scale: compute, size or data"))
        log_y = math.log(self.scale) - self.exponent * log_x
        for one in self.breaks:
            log_y = log_y - one.change * one.width * np.logaddexp(0.0, (log_x - math.log(one.place)) / one.width)
        return np.asarray(self.floor + np.exp(log_y))[()]

    def local_exponent(self, x: ArrayLike) -> Floats:
        """Return -d ln(y - a) / d ln x at `x`, dimensionless: above 0 where the curve falls.

        Raises:
            ConfigError: if an x is not positive and finite.
        """
        log_x = np.log(positive("x", x, "scale: compute, size or data"))
        exponent = np.full(np.shape(log_x), self.exponent)
        for one in self.breaks:
            exponent = exponent + one.change * _sigmoid((log_x - math.log(one.place)) / one.width)
        return np.asarray(exponent)[()]

    def scaling(self, least: float, most: float) -> Scaling:
        """Return the shape of the curve between two x.

        Raises:
            ConfigError: if `least` is not positive and below `most`.
        """
        if not 0 < least < most:
            raise ConfigError(f"`least` must be positive and below `most` (got {least} and {most}).")
        falls = self.local_exponent(np.geomspace(least, most, 400)) > 0
        turns = int(np.count_nonzero(np.diff(falls)))
        if turns == 0:
            return Scaling.FALLS if falls[0] else Scaling.RISES
        if turns == 1:
            return Scaling.U_SHAPED if falls[0] else Scaling.PEAKED
        return Scaling.WAVY


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * z)))

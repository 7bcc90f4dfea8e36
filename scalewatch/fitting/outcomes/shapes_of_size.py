"""Laws of size and tokens that compete: Chinchilla's, with a data exponent that moves, bent, Kaplan's, of compute."""

from __future__ import annotations

from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.fitting.outcomes.axes import Axes, Points
from scalewatch.fitting.outcomes.shape import Expected, Shape, Values, floor, floor_of, power, term_of
from scalewatch.laws.law import Publication

__all__ = ["USUAL", "Bent", "ChinchillaShape", "ComputeShape", "KaplanShape", "MovingExponent"]

#: Exponent of size or data: 0.28 to 0.45 in published laws (Hoffmann 2022, Besiroglu 2024, Muennighoff 2023). By hand.
EXPONENT = Expected(0.35, 0.12)
#: The same of compute along a frontier: half of it. By hand.
OF_COMPUTE = Expected(0.18, 0.08)
#: How much the data exponent, in parts of it, moves with an e-fold of size, and bends of ln(term). By hand.
MOVES, BENDS = Expected(0.0, 0.08), Expected(0.0, 0.02)


@final
class ChinchillaShape(Shape):
    """loss = E + A N^-alpha + B D^-beta."""

    name = "chinchilla"
    needs = ("size", "tokens")
    source = Publication("Hoffmann et al.", 2022, "arXiv 2203.15556", "equation 2")

    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return its five constants."""
        return {"floor": floor_of(axes), "a": term_of(axes), "b": term_of(axes), "alpha": EXPONENT, "beta": EXPONENT}

    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return the sum."""
        of_size = power(values["a"] - values["alpha"] * points["size"], axes)
        return floor(values, axes) + of_size + power(values["b"] - values["beta"] * points["tokens"], axes)


#: What a data exponent that moves looks like where the runs are many enough to tell, in spreads and e-folds of a table:
#: middle and about twice the sd over the points of Hoffmann et al. (2022) as Besiroglu et al. read them, the isoFLOP
#: runs of Llama 3 (two losses) and the best of each size and tokens of Li et al. (2503.04715). Fitted one by one with
#: wide expectations they gave beta1 -0.11, -0.16, -0.17, -0.08 and b1 0.17, 0.25, 0.29, 0.25.
USUAL = {
    "floor": Expected(0.5, 1.0),
    "a": Expected(0.5, 1.0),
    "b": Expected(-0.9, 0.5),
    "alpha": Expected(0.15, 0.08),
    "beta": Expected(0.39, 0.08),
    "b1": Expected(0.23, 0.1),
    "b2": BENDS,
    "beta1": Expected(-0.12, 0.06),
}


@final
class MovingExponent(Shape):
    """Chinchilla's, with a data term whose height and exponent move with size.

    Args:
        usual: expect what public ladders show, instead of Chinchilla's.
    """

    needs = ("size", "tokens")
    source = Publication("Li et al.", 2025, "arXiv 2506.10972", "the surface, with a linear move of ln(exponent)")

    def __init__(self, *, usual: bool) -> None:
        self.usual = usual
        self.name = "moving_exponent" if usual else "moving_from_chinchilla"

    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return the five constants, and three that move."""
        if self.usual:
            return dict(USUAL)
        five = {"floor": floor_of(axes), "a": term_of(axes), "b": term_of(axes), "alpha": EXPONENT, "beta": EXPONENT}
        return {**five, "b1": Expected(0.0, 0.15), "b2": BENDS, "beta1": MOVES}

    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return the sum."""
        x, y = points["size"], points["tokens"]
        beta = values["beta"] * np.exp(np.clip(values["beta1"] * x, -3.0, 3.0))
        height = values["b"] + values["b1"] * x + values["b2"] * x * x
        return floor(values, axes) + power(values["a"] - values["alpha"] * x, axes) + power(height - beta * y, axes)


@final
class Bent(Shape):
    """Chinchilla's, with both powers bent: a smooth break without a place."""

    name = "bent"
    needs = ("size", "tokens")

    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return the five constants, and two bends."""
        five = {"floor": floor_of(axes), "a": term_of(axes), "b": term_of(axes), "alpha": EXPONENT, "beta": EXPONENT}
        return {**five, "a2": BENDS, "b2": BENDS}

    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return the sum."""
        x, y = points["size"], points["tokens"]
        of_size = power(values["a"] - values["alpha"] * x + values["a2"] * x * x, axes)
        return floor(values, axes) + of_size + power(values["b"] - values["beta"] * y + values["b2"] * y * y, axes)


@final
class KaplanShape(Shape):
    """loss = E + [A N^-(alpha/beta) + B D^-1]^beta: one power within another, above a floor."""

    name = "kaplan"
    needs = ("size", "tokens")
    source = Publication("Kaplan et al.", 2020, "arXiv 2001.08361", "equation 1.5, and a floor")

    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return its five constants."""
        return {
            "floor": floor_of(axes),
            "a": term_of(axes),
            "b": term_of(axes),
            "alpha": Expected(0.25, 0.1),
            "beta": Expected(0.3, 0.1),
        }

    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return the joint power above the floor."""
        beta = np.maximum(values["beta"], 0.02)
        of_size = (values["a"] - values["alpha"] * points["size"]) / beta
        return floor(values, axes) + power(beta * np.logaddexp(of_size, values["b"] / beta - points["tokens"]), axes)


@final
class ComputeShape(Shape):
    """loss = E + F (N D)^-gamma: for runs along one frontier."""

    name = "compute"
    needs = ("size", "tokens")
    source = Publication("Henighan et al.", 2020, "arXiv 2010.14701", "equation 1.1")

    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return its three constants."""
        return {"floor": floor_of(axes), "f": term_of(axes), "gamma": OF_COMPUTE}

    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return the power above the floor."""
        return floor(values, axes) + power(values["f"] - values["gamma"] * (points["size"] + points["tokens"]), axes)

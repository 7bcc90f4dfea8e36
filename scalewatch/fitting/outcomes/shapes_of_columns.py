"""Laws of whatever columns a table has, for those that no published law reads: powers added, multiplied, or bent."""

from __future__ import annotations

import itertools
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.fitting.outcomes.axes import FALLING, Axes, Points
from scalewatch.fitting.outcomes.shape import Expected, Shape, Values, floor, floor_of, power, term_of

__all__ = ["AddedPowers", "CurvedPower", "PowerProduct", "Quadratic", "TwoTerms"]

#: Exponent of an axis of which more is better, and of any other, for an axis of one e-fold spread. By hand.
BETTER, EITHER = Expected(0.3, 0.15), Expected(0.0, 0.3)
#: Bend of ln(term) over one spread either way. By hand.
BEND_SD = 0.15
#: Slope and bend of the loss over one spread, in spreads of the losses. By hand.
SLOPE_SD, CURVE_SD = 0.7, 0.2
#: Columns from which products of two are left out: there would be more of them than runs. By hand.
MOST_PAIRED = 8


def exponents(axes: Axes, name: str) -> dict[str, Expected]:
    """Return an exponent for each axis: name_key, in units of the axis; one of a narrow axis may be larger."""
    found = {}
    for axis in axes.axes:
        one = BETTER if axis.key in FALLING else EITHER
        wide = 1.0 if axis.key in FALLING else max(1.0, 1.0 / axis.spread)
        found[f"{name}_{axis.key}"] = Expected(one.middle, one.sd * wide)
    return found


def pairs(axes: Axes) -> list[tuple[str, str, float]]:
    """Return each two axes, one with itself among them, and the product of their spreads."""
    spread = {axis.key: axis.spread for axis in axes.axes}
    if len(spread) > MOST_PAIRED:
        return [(key, key, one * one) for key, one in spread.items()]
    return [(a, b, spread[a] * spread[b]) for a, b in itertools.combinations_with_replacement(spread, 2)]


def log_power(values: Values, points: Points, axes: Axes, name: str) -> Floats:
    """Return -(sum of exponent times axis), shape (b, m)."""
    return np.asarray(-np.sum([values[f"{name}_{key}"] * points[key] for key in axes.keys], axis=0))


def bends(values: Values, points: Points, axes: Axes, name: str) -> Floats:
    """Return the sum of a bend times two axes each, shape (b, m)."""
    return np.asarray(np.sum([values[f"{name}_{a}_{b}"] * (points[a] * points[b]) for a, b, _ in pairs(axes)], axis=0))


def bent(axes: Axes, name: str, sd: float) -> dict[str, Expected]:
    """Return a bend for each two axes."""
    return {f"{name}_{a}_{b}": Expected(0.0, sd / both) for a, b, both in pairs(axes)}


@final
class AddedPowers(Shape):
    """loss = E + sum over columns of A x^-alpha."""

    name = "added_powers"

    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return the floor, and a height and an exponent for each column."""
        return {"floor": floor_of(axes), **{f"a_{key}": term_of(axes) for key in axes.keys}, **exponents(axes, "alpha")}

    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return the sum."""
        terms = [power(values[f"a_{key}"] - values[f"alpha_{key}"] * points[key], axes) for key in axes.keys]
        return np.asarray(floor(values, axes) + np.sum(terms, axis=0))


@final
class PowerProduct(Shape):
    """loss = E + A times the product over columns of x^-alpha."""

    name = "power_product"

    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return the floor, the height, and an exponent for each column."""
        return {"floor": floor_of(axes), "a": term_of(axes), **exponents(axes, "alpha")}

    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return the product above the floor."""
        return floor(values, axes) + power(values["a"] + log_power(values, points, axes, "alpha"), axes)


@final
class CurvedPower(Shape):
    """loss = E + exp of a quadratic form in the logarithms: each column's power may bend, and move with the others."""

    name = "curved_power"

    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return those of a product of powers, and the bends."""
        return {"floor": floor_of(axes), "a": term_of(axes), **exponents(axes, "alpha"), **bent(axes, "q", BEND_SD)}

    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return the term above the floor."""
        line = values["a"] + log_power(values, points, axes, "alpha")
        return floor(values, axes) + power(line + bends(values, points, axes, "q"), axes)


@final
class TwoTerms(Shape):
    """Chinchilla's two terms, each of which the other columns stretch, bend, and move the exponent of."""

    name = "two_terms"
    needs = ("size", "tokens")

    def suits(self, axes: Axes) -> bool:
        """Return whether there is a column beside size and tokens."""
        return super().suits(axes) and len(axes.axes) > 2

    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return an exponent of each column in each term, and their bends."""
        one, two = exponents(axes, "alpha"), exponents(axes, "beta")
        one["alpha_tokens"] = two["beta_size"] = Expected(0.0, 0.05)
        for key in set(axes.keys) - {"size", "tokens"}:
            one[f"alpha_{key}"], two[f"beta_{key}"] = (
                Expected(0.0, all_[name].sd) for all_, name in ((one, f"alpha_{key}"), (two, f"beta_{key}"))
            )
        line = {f"line_{key}": Expected(0.0, 0.2 / axis.spread) for key, axis in zip(axes.keys, axes.axes, strict=True)}
        curve = {**bent(axes, "q", BEND_SD / 2), **bent(axes, "r", BEND_SD / 2)}
        return {
            "floor": floor_of(axes),
            "a": term_of(axes),
            "b": term_of(axes),
            **one,
            **two,
            **curve,
            **self._own(line),
        }

    @staticmethod
    def _own(line: dict[str, Expected]) -> dict[str, Expected]:
        return {name: one for name, one in line.items() if name not in ("line_size", "line_tokens")}

    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return the sum."""
        one = values["a"] + log_power(values, points, axes, "alpha") + bends(values, points, axes, "q")
        two = values["b"] + log_power(values, points, axes, "beta") + bends(values, points, axes, "r")
        others = [key for key in axes.keys if key not in ("size", "tokens")]
        line = np.sum([values[f"line_{key}"] * points[key] for key in others], axis=0)
        return np.asarray(floor(values, axes) + power(one, axes) + power(two, axes) + axes.spread * line)


@final
class Quadratic(Shape):
    """ln(loss), or the loss where it may be negative, as a quadratic form in the axes: it promises no floor."""

    name = "quadratic"

    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return its level, slopes and bends, in spreads of the losses."""
        slopes = {f"s_{axis.key}": Expected(0.0, SLOPE_SD / axis.spread) for axis in axes.axes}
        return {"level": Expected(0.5, 1.0), **slopes, **bent(axes, "q", CURVE_SD)}

    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return the loss of the form."""
        line = np.sum([values[f"s_{key}"] * points[key] for key in axes.keys], axis=0)
        form = values["level"] + line + bends(values, points, axes, "q")
        if not axes.relative:
            return np.asarray(axes.least + axes.spread * form)
        scale = axes.spread / axes.least
        return np.asarray(axes.least * np.exp(np.clip(np.log1p(scale) * form, -30.0, 30.0)))

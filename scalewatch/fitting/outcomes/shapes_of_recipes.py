"""Published laws of more than size and tokens: repeated data, experts, parallel streams, vocabulary, rate and batch."""

from __future__ import annotations

from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.fitting.outcomes.axes import Axes, Points
from scalewatch.fitting.outcomes.shape import FLOOR, TERM, Expected, Shape, Values, floor, power
from scalewatch.fitting.outcomes.shapes_of_size import EXPONENT, MOVES, USUAL
from scalewatch.laws.law import Publication

__all__ = ["ExpertsShape", "MixtureShape", "RateAndBatch", "RepeatedShape", "StreamsShape", "VocabularyShape"]

#: ln of the multiples after which repeated tokens and excess parameters are worth little: R_D* = 15.4 and R_N* = 5.3
#: (Muennighoff 2023).
REPEATS, EXCESS = Expected(2.73, 1.0), Expected(1.67, 1.0)


def raw(points: Points, axes: Axes, key: str) -> Floats:
    """Return the values of a column, as they stand in the table, of an axis in logarithms."""
    middle = next(axis.middle for axis in axes.axes if axis.key == key)
    return np.asarray(np.exp(points[key] + middle))


@final
class RepeatedShape(Shape):
    """loss = E + A N'^-alpha + B D'^-beta with what repeated tokens and excess parameters are worth.

    D' = U + U R* (1 - exp(-(D / U - 1) / R*)) for U unique of D tokens; N' in the same way about the size that suits U.
    With `overfits` a term rises with epochs and with parameters per unique token, as the loss of held-out text does.

    Args:
        moves: let the data term move with size. overfits: with the rising term.
    """

    needs = ("size", "tokens", "unique")

    def __init__(self, *, moves: bool, overfits: bool) -> None:
        self.moves, self.overfits = moves, overfits
        self.name = "repeated_data" + ("_moving" if moves else "") + ("_overfitting" if overfits else "")
        self.source = Publication("Muennighoff et al.", 2023, "arXiv 2305.16264", "equations 5 and 6")

    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return Chinchilla's five, the two decays, the size that suits a token, and what moves or overfits."""
        found = {"floor": FLOOR, "a": TERM, "b": TERM, "alpha": EXPONENT, "beta": EXPONENT}
        found |= {"repeats": REPEATS, "excess": EXCESS, "suits": Expected(-3.0, 0.7)}
        if self.moves:
            found |= {"floor": USUAL["floor"], "a": USUAL["a"], "b1": USUAL["b1"], "beta1": USUAL["beta1"]}
            found |= {"alpha": Expected(0.2, 0.12)}
        if self.overfits:
            found |= {"o": Expected(-4.0, 2.0), "o_epochs": Expected(0.4, 0.3), "o_size": Expected(0.4, 0.3)}
        return found

    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return the sum."""
        size, tokens = raw(points, axes, "size"), raw(points, axes, "tokens")
        unique = np.minimum(raw(points, axes, "unique"), tokens)
        suited = np.minimum(unique * np.exp(values["suits"]), size)
        x = np.log(_worth(suited, size, values["excess"])) - _middle(axes, "size")
        y = np.log(_worth(unique, tokens, values["repeats"])) - _middle(axes, "tokens")
        beta, height = values["beta"], values["b"]
        if self.moves:
            beta = beta * np.exp(np.clip(values["beta1"] * points["size"], -3.0, 3.0))
            height = height + values["b1"] * points["size"]
        loss = floor(values, axes) + power(values["a"] - values["alpha"] * x, axes) + power(height - beta * y, axes)
        if self.overfits:
            epochs = np.log(np.maximum(tokens / unique, 1.0))
            log_part = values["o"] + values["o_size"] * (np.log(size / unique) + 3.0)
            loss = loss + power(log_part, axes) * np.expm1(np.clip(values["o_epochs"] * epochs, 0.0, 20.0))
        return np.asarray(loss)


def _worth(unique: Floats, whole: Floats, log_decay: Floats) -> Floats:
    """Return what `whole` is worth, of which `unique` is not a repeat."""
    decay = np.exp(np.clip(log_decay, -4.0, 12.0))
    return np.asarray(unique + unique * decay * -np.expm1(-np.maximum(whole / unique - 1.0, 0.0) / decay))


def _middle(axes: Axes, key: str) -> float:
    return next(axis.middle for axis in axes.axes if axis.key == key)


@final
class ExpertsShape(Shape):
    """A power of size whose experts stretch it: ln(term) = a - alpha ln N - (gamma + delta ln N) ln E', E' saturating.

    1 / E' = 1 / (E - 1 + start) + 1 / most. With a floor, or without one as published.

    Args:
        with_floor: add an irreducible loss.
    """

    needs = ("size", "experts")

    def __init__(self, *, with_floor: bool) -> None:
        self.with_floor = with_floor
        self.name = "experts_with_floor" if with_floor else "experts"
        self.source = Publication("Clark et al.", 2022, "arXiv 2202.01169", "equation 2 and 3")

    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return height, exponents, their product, and where experts begin and cease to help."""
        found = {"a": TERM, "alpha": Expected(0.25, 0.12), "gamma": Expected(0.12, 0.1), "delta": Expected(0.0, 0.03)}
        found |= {"start": Expected(0.5, 1.0), "most": Expected(6.0, 1.0)}
        if self.with_floor:
            return {"floor": FLOOR, **found, **self._tokens(axes)}
        level = Expected(float(np.log(axes.least / axes.spread + 0.3)), 0.3)
        return {**found, "a": level, "alpha": Expected(0.08, 0.04), "gamma": Expected(0.05, 0.04)} | self._tokens(axes)

    def suits(self, axes: Axes) -> bool:
        """Return whether there are experts, and losses above zero where there is no floor."""
        return super().suits(axes) and (self.with_floor or axes.relative)

    @staticmethod
    def _tokens(axes: Axes) -> dict[str, Expected]:
        return {"b": TERM, "beta": EXPONENT} if "tokens" in axes.keys else {}

    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return the term of size and experts, and that of data where the table has tokens."""
        experts = np.maximum(raw(points, axes, "experts"), 1.0)
        start, most = np.exp(np.clip(values["start"], -4, 6)), np.exp(np.clip(values["most"], 2, 14))
        seen = -np.log(1 / (experts - 1 + start) + 1 / most)
        x = points["size"]
        line = values["a"] - values["alpha"] * x - (values["gamma"] + values["delta"] * x) * (seen - 2.0)
        loss = power(line, axes)
        if self.with_floor:
            loss = loss + floor(values, axes)
        return (
            np.asarray(loss + power(values["b"] - values["beta"] * points["tokens"], axes)) if "b" in values else loss
        )


@final
class StreamsShape(Shape):
    """loss = E + A (N (1 + k ln P))^-alpha for P parallel streams."""

    name = "streams"
    needs = ("size", "streams")
    source = Publication("Chen et al.", 2025, "arXiv 2505.10475", "equation 5")

    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return floor, height, exponent and k."""
        found = {"floor": FLOOR, "a": Expected(0.0, 1.0), "alpha": Expected(0.2, 0.1), "k": Expected(-1.0, 1.0)}
        return found | ({"b": TERM, "beta": EXPONENT} if "tokens" in axes.keys else {})

    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return the sum."""
        streams = np.log(np.maximum(raw(points, axes, "streams"), 1.0))
        wider = np.log1p(np.exp(np.clip(values["k"], -8, 4)) * streams)
        loss = floor(values, axes) + power(values["a"] - values["alpha"] * (points["size"] + wider), axes)
        return (
            np.asarray(loss + power(values["b"] - values["beta"] * points["tokens"], axes)) if "b" in values else loss
        )


@final
class VocabularyShape(Shape):
    """loss = -E + A1 N^-a1 + A2 Nv^-a2 + B D^-b of parameters without and with vocabulary, Nv = V N^width.

    Args:
        moves: let the data term move with size and vocabulary, and a line in ln V.
    """

    needs = ("size", "tokens", "vocabulary")

    def __init__(self, *, moves: bool) -> None:
        self.moves = moves
        self.name = "vocabulary_moving" if moves else "vocabulary"
        self.source = Publication("Tao et al.", 2024, "arXiv 2407.13623", "equation 7")

    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return its constants, and what moves."""
        found = {"floor": FLOOR, "a": TERM, "b": TERM, "v": Expected(-2.0, 1.5), "alpha": EXPONENT, "beta": EXPONENT}
        found |= {"gamma": EXPONENT, "width": Expected(0.33, 0.1)}
        if self.moves:
            found |= {"b1": Expected(0.0, 0.15), "beta1": MOVES, "b_v": Expected(0.0, 0.3), "beta_v": MOVES}
            found |= {"line": Expected(0.0, 0.1), "beta2": Expected(0.0, 0.03), "b_vv": Expected(0.0, 0.1)}
        return found

    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return the sum."""
        x, y, v = points["size"], points["tokens"], points["vocabulary"]
        beta, height = values["beta"], values["b"]
        loss = floor(values, axes) + power(values["a"] - values["alpha"] * x, axes)
        loss = loss + power(values["v"] - values["gamma"] * (v + values["width"] * x), axes)
        if self.moves:
            beta = beta * np.exp(np.clip(values["beta1"] * x + values["beta_v"] * v, -3.0, 3.0))
            height = height + values["b1"] * x + values["b_v"] * v + values["b_vv"] * v * v
            loss = loss + axes.spread * values["line"] * v
            height = height + values["beta2"] * y * y
        return np.asarray(loss + power(height - beta * y, axes))


@final
class RateAndBatch(Shape):
    """A surface of size and tokens, and two valleys over it: about the best learning rate, and the best batch size.

    The best rate and batch move with size and tokens as powers (step law), the rate with the batch; a valley is steeper
    on one side: 2 (e^(p u) - 1 - p u) / p^2, which is u^2 about its floor.
    """

    name = "rate_and_batch"
    needs = ("size", "tokens", "rate", "batch")
    source = Publication("Li et al.", 2025, "arXiv 2503.04715", "equation 1, with valleys that are not")

    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return the surface's constants, the bests' exponents, and depth and lean of the valleys."""
        found = {"floor": FLOOR, "a": TERM, "b": TERM, "alpha": EXPONENT, "beta": EXPONENT}
        found |= {"b1": Expected(0.0, 0.15), "beta1": MOVES}
        found |= {"rate": Expected(0.0, 1.0), "rate_size": Expected(-0.5, 0.3), "rate_tokens": Expected(0.0, 0.2)}
        found |= {"rate_batch": Expected(0.3, 0.2), "deep": Expected(-3.5, 1.0), "lean": Expected(0.5, 0.4)}
        found |= {"batch": Expected(0.0, 1.0), "batch_size": Expected(0.0, 0.2), "batch_tokens": Expected(0.5, 0.2)}
        found |= {"shallow": Expected(-3.5, 1.0), "tilt": Expected(0.3, 0.4)}
        moves = ("deep_size", "deep_tokens", "shallow_size", "shallow_tokens")
        return found | dict.fromkeys(moves, Expected(0.0, 0.2))

    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return surface and valleys."""
        x, y, rate, batch = (points[key] for key in self.needs)
        beta = values["beta"] * np.exp(np.clip(values["beta1"] * x, -3.0, 3.0))
        loss = floor(values, axes) + power(values["a"] - values["alpha"] * x, axes)
        loss = loss + power(values["b"] + values["b1"] * x - beta * y, axes)
        best = values["rate"] + values["rate_size"] * x + values["rate_tokens"] * y + values["rate_batch"] * batch
        deep = values["deep"] + values["deep_size"] * x + values["deep_tokens"] * y
        loss = loss + power(deep, axes) * _valley(rate - best, values["lean"])
        best = values["batch"] + values["batch_size"] * x + values["batch_tokens"] * y
        shallow = values["shallow"] + values["shallow_size"] * x + values["shallow_tokens"] * y
        return np.asarray(loss + power(shallow, axes) * _valley(batch - best, values["tilt"]))


def _valley(off: Floats, lean: Floats) -> Floats:
    lean = np.where(np.abs(lean) < 0.02, 0.02, lean)
    return np.asarray(2 * (np.expm1(np.clip(lean * off, -20, 20)) - lean * off) / lean**2)


@final
class MixtureShape(Shape):
    """loss = E + A q^-gamma exp(sum of t p): q the data of a mixture that help, e^w0 + sum of e^w p over its parts p.

    The other columns stretch the term by powers. After Ye et al. (2024), whose law is its exponential.
    """

    name = "mixture"
    source = Publication("Ye et al.", 2024, "arXiv 2403.16952", "equation 4, with a power of what helps")

    def suits(self, axes: Axes) -> bool:
        """Return whether some columns are parts of a whole."""
        return len(self._parts(axes)) > 1

    @staticmethod
    def _parts(axes: Axes) -> list[str]:
        return [axis.key for axis in axes.axes if not axis.log and axis.unit == 1.0]

    def expected(self, axes: Axes) -> dict[str, Expected]:
        """Return floor, height, exponent, and what each part is worth."""
        parts = self._parts(axes)
        found = {"floor": FLOOR, "a": TERM, "gamma": Expected(0.3, 0.2), "w": Expected(-3.0, 1.5)}
        found |= {f"w_{key}": Expected(-2.5, 2.5) for key in parts}
        found |= {f"t_{key}": Expected(0.0, 0.5) for key in parts}
        return found | {f"alpha_{key}": Expected(0.2, 0.2) for key in axes.keys if key not in parts}

    def loss(self, values: Values, points: Points, axes: Axes) -> Floats:
        """Return the term above the floor."""
        parts = self._parts(axes)
        worth = np.exp(values["w"]) + np.sum([np.exp(values[f"w_{key}"]) * points[key] for key in parts], axis=0)
        line = values["a"] - values["gamma"] * np.log(worth)
        line = line + np.sum([values[f"t_{key}"] * points[key] for key in parts], axis=0)
        others = [key for key in axes.keys if key not in parts]
        if others:
            line = line - np.sum([values[f"alpha_{key}"] * points[key] for key in others], axis=0)
        return np.asarray(floor(values, axes) + power(line, axes))

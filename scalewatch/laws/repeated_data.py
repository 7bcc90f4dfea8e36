"""The law of repeated data: what tokens are worth that a model has seen before.

    L = E + A / N'^alpha + B / D'^beta
    D' = U_D + U_D R_D* (1 - exp(-R_D / R_D*)),    R_D = D / U_D - 1        (N' likewise, of N beyond U_N)

Of D tokens, U_D are different ones and the rest are repeats, each worth exp(-R_D / R_D*) of a fresh one: four
epochs are nearly as good as four times the data, after 16 a repeat is worth a third, after forty next to
nothing. A model larger than U_N, what U_D tokens call for, gets likewise less out of its excess parameters.

Why not the plain law with D: it promises for forty epochs what fresh data would bring. Why not the law with
U_D: it promises nothing for the second epoch, which is nearly free.

Source: Muennighoff et al. (2023), arXiv 2305.16264, equations 5 to 7 and the fitted constants of section 6
and its code (E, A, B, alpha = beta of C4 runs; R_D*, R_N*).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError
from scalewatch.laws.law import Law, Publication, Quantity, asked
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN, Parameters, SizeKind, count_for, positive, total
from scalewatch.text import percent

__all__ = ["RepeatedData", "RepeatedOptimum"]

#: Largest model and longest training of Muennighoff et al. 2023: 8.7e9 parameters, 9e11 tokens.
MOST_SIZE, MOST_TOKENS = 9e9, 9e11
#: Epochs beyond which a run overfits, which the law cannot say: at 44 epochs the 2.8e9 parameters of Muennighoff et al.
#: 2023 end half a nat above it, at 14 within 0.02 (their logs of C4, as kept by IBM/ColPret).
MOST_EPOCHS = 40.0
#: Half-width of the search for the best size, in e-folds to either side of the unrepeated optimum. By hand.
SEARCH_LOG_WIDTH = 8.0


@final
@dataclass(frozen=True, slots=True)
class RepeatedOptimum:
    """What to train with a compute budget when unique tokens are few.

    Attributes:
        size: N, total parameters. tokens: D, repeats included, count. epochs: D / unique tokens.
        loss: [nats/token]. fresh_loss: the same budget's best with unlimited unique tokens [nats/token].
        notes: reasons not to trust it, a sentence each.
    """

    size: Parameters
    tokens: float
    epochs: float
    loss: float
    fresh_loss: float
    notes: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class RepeatedData(Law):
    """Loss of a model trained on a limited number of unique tokens, for several epochs.

    Attributes:
        E, A, B, alpha, beta: the law without repeats (nats/token; N total parameters; D tokens).
        token_decay: R_D*, repeats after which a repeated token is worth 1/e of a fresh one, epochs.
        parameter_decay: R_N*, the same of excess parameters, in multiples of U_N.

    Raises:
        ConfigError: if a constant is not positive and finite.

    >>> law = RepeatedData.muennighoff()
    >>> [round(float(law.effective_tokens(k * 1e9, 1e9)) / 1e9, 2) for k in (1, 4, 40)]
    [1.0, 3.73, 15.17]
    """

    KIND: ClassVar = "repeated_data"
    SOURCE: ClassVar = Publication("Muennighoff et al.", 2023, "arXiv 2305.16264", "equations 5 to 7")
    RANGES: ClassVar = {
        **dict.fromkeys(("E", "A", "B"), (1e-30, 1e60)),
        **dict.fromkeys(("alpha", "beta"), (1e-4, 10.0)),
        **dict.fromkeys(("token_decay", "parameter_decay"), (1e-6, 1e9)),
    }
    INVERSE: ClassVar = ("unique_tokens",)

    E: float
    A: float
    B: float
    alpha: float
    beta: float
    token_decay: float
    parameter_decay: float

    def __post_init__(self) -> None:
        for name in ("E", "A", "B", "alpha", "beta", "token_decay", "parameter_decay"):
            positive(name, getattr(self, name), "constant of the law of repeated data")

    @classmethod
    def muennighoff(cls) -> RepeatedData:
        """Return the published law of C4, in the digits of its code: 1.87, 521, 1488, .353, 15.39, 5.31."""
        return cls(
            E=math.exp(0.6254804),
            A=math.exp(6.255414),
            B=math.exp(7.3049974),
            alpha=0.3526596,
            beta=0.3526596,
            token_decay=15.387756,
            parameter_decay=5.309743,
        )

    @classmethod
    def example(cls) -> RepeatedData:
        """Return the published law of C4."""
        return cls.muennighoff()

    @property
    def inputs(self) -> tuple[Quantity, ...]:
        """Size, tokens with repeats, and different tokens."""
        size, tokens = Quantity("parameters", "total parameters", 1.0, MOST_SIZE), ("count", 1.0, MOST_TOKENS)
        return size, Quantity("tokens", *tokens), Quantity("unique_tokens", *tokens)

    def predict(self, inputs: Mapping[str, ArrayLike]) -> Floats:
        """Return the loss [nats/token] at `parameters`, `tokens` and `unique_tokens`."""
        count, tokens, unique = asked(inputs, "parameters", "tokens", "unique_tokens")
        return self.loss(total(count), tokens, unique)

    def effective_tokens(self, tokens: ArrayLike, unique_tokens: ArrayLike) -> Floats:
        """Return D' [tokens], what `tokens` with repeats are worth in fresh ones.

        Args:
            tokens: D, repeats included, count. unique_tokens: tokens there are, count; both broadcast.

        Raises:
            ConfigError: if a number is not positive and finite.
        """
        data = positive("tokens", tokens, "training tokens, count")
        unique = np.minimum(positive("unique_tokens", unique_tokens, "different tokens, count"), data)
        return np.asarray(unique * _worth(data / unique, self.token_decay))[()]

    def effective_size(self, size: Parameters, tokens: ArrayLike, unique_tokens: ArrayLike) -> Floats:
        """Return N' [parameters], what a model is worth that may be larger than its unique tokens call for.

        Raises:
            ConfigError: if a number is not positive, or the size is no total count.
        """
        count = count_for("RepeatedData", size, SizeKind.TOTAL)
        data = positive("tokens", tokens, "training tokens, count")
        seen = np.minimum(positive("unique_tokens", unique_tokens, "different tokens, count"), data)
        base = np.minimum(count, self._size_for(seen))
        return np.asarray(base * _worth(count / base, self.parameter_decay))[()]

    def size_for(self, unique_tokens: ArrayLike) -> Parameters:
        """Return U_N, the compute-optimal size for so many tokens seen once: about 0.051 parameters a token.

        Raises:
            ConfigError: if a number is not positive and finite.
        """
        return total(np.maximum(self._size_for(positive("unique_tokens", unique_tokens, "tokens, count")), 1.0))

    def _size_for(self, unique: Floats) -> Floats:
        # at the optimum alpha A N^-alpha = beta B D^-beta
        scale = self.alpha * self.A / (self.beta * self.B)
        return np.asarray((scale * unique**self.beta) ** (1.0 / self.alpha))

    def loss(self, size: Parameters, tokens: ArrayLike, unique_tokens: ArrayLike) -> Floats:
        """Return the loss [nats/token] of `size` after `tokens` of which `unique_tokens` differ.

        Raises:
            ConfigError: if a number is not positive, or the size is no total count.
        """
        inner = self.effective_size(size, tokens, unique_tokens)
        data = self.effective_tokens(tokens, unique_tokens)
        return np.asarray(self.E + self.A * inner**-self.alpha + self.B * data**-self.beta)[()]

    def repeat_worth(self, epochs: ArrayLike) -> Floats:
        """Return what one more token is worth after so many epochs, as a part of a fresh one: exp(-R_D / R_D*).

        Raises:
            ConfigError: if an epoch is not a finite number of at least 1.
        """
        passes = positive("epochs", epochs, "passes over the unique tokens", least=1.0)
        return np.asarray(np.exp(-(passes - 1.0) / self.token_decay))[()]

    def optimum(self, flops: float, unique_tokens: float) -> RepeatedOptimum:
        """Return the size and the tokens that a budget buys the least loss with, at 6 N D FLOP.

        Args:
            flops: C, budget [FLOP]. unique_tokens: different tokens there are, count.

        Raises:
            ConfigError: if a number is not positive, or the budget is below one token of one parameter.
        """
        from scipy.optimize import minimize_scalar

        budget = float(positive("flops", flops, "training budget, FLOP")) / FLOPS_PER_PARAMETER_TOKEN
        unique = float(positive("unique_tokens", unique_tokens, "different tokens, count"))
        ratio = (self.alpha * self.A / (self.beta * self.B)) ** (1.0 / (self.alpha + self.beta))
        fresh = ratio * budget ** (self.beta / (self.alpha + self.beta))
        if not 1.0 <= fresh <= budget:
            raise ConfigError(f"`flops` ({flops:g}) does not buy a model of one parameter and one token.")

        def of(log_size: float, limit: float) -> float:
            size = min(max(math.exp(log_size), 1.0), budget)
            return float(self.loss(total(size), budget / size, limit))

        middle = math.log(fresh)
        bounds = (max(middle - SEARCH_LOG_WIDTH, 0.0), min(middle + SEARCH_LOG_WIDTH, math.log(budget)))
        found = minimize_scalar(of, bounds=bounds, args=(unique,), method="bounded", options={"xatol": 1e-9})
        size, tokens = total(math.exp(found.x)), budget / math.exp(found.x)
        return RepeatedOptimum(
            size=size,
            tokens=tokens,
            epochs=tokens / unique,
            loss=float(found.fun),
            fresh_loss=of(middle, budget),
            notes=self.range_notes(size, tokens, unique),
        )

    def range_notes(self, size: Parameters, tokens: float, unique_tokens: float) -> tuple[str, ...]:
        """Return a sentence for each reason not to trust the number; none means within the paper's range.

        Raises:
            ConfigError: if a number is not positive, or the size is no total count.
        """
        count = float(count_for("RepeatedData", size, SizeKind.TOTAL))
        data = float(positive("tokens", tokens, "training tokens, count"))
        epochs = data / float(positive("unique_tokens", unique_tokens, "different tokens, count"))
        notes = []
        if epochs > MOST_EPOCHS:
            notes.append(
                f"{epochs:.0f} epochs: past about {MOST_EPOCHS:.0f} a run overfits and ends well above this law; "
                "train for fewer, or find more data."
            )
        elif epochs > 1 + self.token_decay:
            worth = float(self.repeat_worth(epochs))
            notes.append(
                f"{epochs:.0f} epochs: one more token is worth {percent(worth)} of a fresh one; regularise or "
                "find data."
            )
        if count > MOST_SIZE or data > MOST_TOKENS:
            notes.append(
                f"Fitted up to {MOST_SIZE:.0e} parameters and {MOST_TOKENS:.0e} tokens of C4 "
                f"(got {count:.1e} and {data:.1e}); check it on two sizes of your own data."
            )
        return tuple(notes)


def _worth(multiple: Floats, decay: float) -> Floats:
    """U + U R* (1 - exp(-R / R*)) in units of U, for R = multiple - 1, none where there is no repeat."""
    return np.asarray(1.0 - decay * np.expm1(-np.maximum(multiple - 1.0, 0.0) / decay))

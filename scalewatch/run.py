"""What is trained, for how long, and with which planned learning rates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats, KnottedRates, Rates
from scalewatch.errors import RunError
from scalewatch.given import MOST_GIVEN, number
from scalewatch.objective import is_text, why_no_descent

__all__ = ["Run"]

#: Longest plan that is held as an array, in steps: 800 MB would be more than a monitor may take.
MAX_PLANNED_STEPS = 100_000_000
#: A rate this far below zero, as a part of the peak, is a schedule that rounds where it means zero.
ROUNDING = 1e-6
#: Longest run that can be planned, in steps: far beyond any, and floats count to it without a gap.
MOST_STEPS = 10**12
#: Bounds of the tokens of a step, as law files have them, and of the time of a run [s].
LEAST_TOKENS = LEAST_SECONDS = 1e-6
#: Names of series that are kept, letters of each, and letters of a unit: more tell nothing more. By hand.
MOST_LOGGED, NAME_LETTERS, UNIT_LETTERS = 1_000, 200, 40


@final
@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One training run, as it is planned.

    Attributes:
        name: what people call it.
        total_steps: planned optimizer steps; None if the run has no planned end.
        learning_rates: planned learning rate of steps 1..total_steps, shape (total_steps,); None if unknown. Of a long
            run as knots, which take no memory.
        parameters: all parameters, embeddings included (Chinchilla's N), count.
        non_embedding_parameters: parameters without embeddings and output head (Kaplan's N), count.
        tokens_per_step: tokens of one optimizer step over all devices, count.
        steps_per_epoch: optimizer steps of one pass over the training data, after which they are seen again; None if
            unknown, or if they are not.
        max_seconds: wall time after which it is ended, where no step ends it [s]; None if nothing does.
        loss_unit: what the loss is counted in, such as "nats/token" or "bits/dim"; None if nobody says so.
        logged: names of the series that are logged with the loss, its own among them, at most 1,000: they tell a loss
            of text, and an objective that is no descent.

    Raises:
        RunError: if a number is not positive and finite, the plan is not one rate a step, or a name is no text.

    >>> Run("demo", tokens_per_step=4096).unit, Run("demo").unit, Run("demo", logged=["loss", "ppl"]).is_text
    ('nats/token', '', True)
    """

    name: str
    total_steps: int | None = None
    learning_rates: Rates | None = None
    parameters: int | None = None
    non_embedding_parameters: int | None = None
    tokens_per_step: float | None = None
    loss_unit: str | None = None
    logged: tuple[str, ...] = ()
    steps_per_epoch: float | None = None
    max_seconds: float | None = None

    def __init__(
        self,
        name: str,
        total_steps: int | None = None,
        learning_rates: ArrayLike | KnottedRates | None = None,
        parameters: int | None = None,
        non_embedding_parameters: int | None = None,
        tokens_per_step: float | None = None,
        loss_unit: str | None = None,
        logged: Iterable[str] = (),
        steps_per_epoch: float | None = None,
        max_seconds: float | None = None,
    ) -> None:
        plan = None if learning_rates is None else _plan(learning_rates)
        if total_steps is None and plan is not None:
            total_steps = len(plan)
        total = _positive("total_steps", total_steps)
        if total is not None and not (total.is_integer() and total <= MOST_STEPS):
            raise RunError(f"`total_steps` must be a whole number up to {MOST_STEPS:.0e} (got {total_steps!r}).")
        if plan is not None and total is not None and len(plan) != int(total):
            raise RunError(
                f"`learning_rates` must hold one rate for each of the {int(total)} planned steps (got {len(plan)})."
            )
        size, inner = (
            _positive("parameters", parameters),
            _positive("non_embedding_parameters", non_embedding_parameters),
        )
        if size is not None and inner is not None and inner > size:
            raise RunError(f"`non_embedding_parameters` ({inner:.0f}) cannot exceed `parameters` ({size:.0f}).")
        assign = object.__setattr__
        assign(self, "name", str(name))
        assign(self, "total_steps", None if total is None else int(total))
        assign(self, "learning_rates", plan)
        assign(self, "parameters", None if size is None else int(size))
        assign(self, "non_embedding_parameters", None if inner is None else int(inner))
        assign(self, "tokens_per_step", _positive("tokens_per_step", tokens_per_step, least=LEAST_TOKENS))
        assign(self, "loss_unit", _unit(loss_unit))
        assign(self, "logged", _names(logged))
        assign(self, "steps_per_epoch", _positive("steps_per_epoch", steps_per_epoch))
        assign(self, "max_seconds", _positive("max_seconds", max_seconds, least=LEAST_SECONDS))

    @property
    def is_text(self) -> bool:
        """Whether the loss is one of text: it has tokens, a unit that counts them, or a name that says so."""
        return self.tokens_per_step is not None or is_text(self.loss_unit, self.logged)

    @property
    def unit(self) -> str:
        """What the loss is counted in, "" where nobody knows."""
        return self.loss_unit or ("nats/token" if self.is_text else "")

    @property
    def unit_after(self) -> str:
        """The same as it stands behind a number in a sentence, such as " nats"; "" where nobody knows."""
        return f" {self.unit.partition('/')[0]}" if self.unit else ""

    @property
    def no_descent(self) -> str:
        """Why its objective is not meant to fall, in words; "" for all that is known of it, it is."""
        return why_no_descent(self.logged)

    def tokens_at(self, step: float) -> float | None:
        """Tokens consumed after `step` steps, None if the tokens of a step are unknown."""
        return None if self.tokens_per_step is None else self.tokens_per_step * step


def _positive(name: str, value: Any, least: float = 1.0) -> float | None:
    if value is None:
        return None
    read = number(value)
    if not least <= read <= MOST_GIVEN:
        got = f"{read:g}" if isinstance(value, int | float) and read == read else repr(value)
        raise RunError(
            f"`{name}` must be positive and finite, a number from {least:g} to {MOST_GIVEN:g}, or None if it is "
            f"unknown (got {got:.80}, {type(value).__name__})."
        )
    return read


def _unit(value: Any) -> str | None:
    if value is not None and not (isinstance(value, str) and 0 < len(value.strip()) <= UNIT_LETTERS):
        raise RunError(
            f"`loss_unit` must be a word such as nats/token, of up to {UNIT_LETTERS} letters, or None if it is unknown "
            f"(got {value!r:.60}, {type(value).__name__})."
        )
    return None if value is None else value.strip()


def _names(logged: Any) -> tuple[str, ...]:
    names = None if isinstance(logged, str | bytes) or not isinstance(logged, Iterable) else list(logged)
    if names is None or not all(isinstance(name, str) for name in names):
        raise RunError(f"`logged` must be names of series (got {logged!r:.60}, {type(logged).__name__}).")
    return tuple(dict.fromkeys(name[:NAME_LETTERS] for name in names))[:MOST_LOGGED]


def _plan(rates: ArrayLike | KnottedRates) -> Rates:
    if isinstance(rates, KnottedRates):
        _possible(rates.rates)
        return KnottedRates(rates.steps, np.maximum(rates.rates, 0.0))
    try:
        given = np.asarray(rates)
        if given.dtype.kind not in "iufO":
            raise TypeError
        plan = given.astype(np.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise RunError(f"`learning_rates` must be an array of numbers (got {type(rates).__name__}).") from None
    if plan.ndim != 1 or not 1 <= len(plan) <= MAX_PLANNED_STEPS:
        raise RunError(f"`learning_rates` must have shape (total_steps,) (got shape {plan.shape}).")
    _possible(plan)
    np.maximum(plan, 0.0, out=plan)
    plan.setflags(write=False)
    return plan


def _possible(plan: Floats) -> None:
    if not np.all(np.isfinite(plan)) or plan.max() <= 0 or plan.min() < -ROUNDING * plan.max():
        raise RunError("`learning_rates` must be finite, none negative, and not all zero.")

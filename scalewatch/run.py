"""What is trained, for how long, and with which planned learning rates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.errors import RunError

__all__ = ["Run"]

#: Longest plan that is held as an array, in steps: 800 MB would be more than a monitor may take.
MAX_PLANNED_STEPS = 100_000_000
#: A rate this far below zero, as a part of the peak, is a schedule that rounds where it means zero.
ROUNDING = 1e-6
#: Longest run that can be planned, in steps: far beyond any, and floats count to it without a gap.
MOST_STEPS = 10**12
#: Bounds of a count of parameters, and of the tokens of a step: law files have the same.
MOST_COUNT = 1e18
LEAST_TOKENS = 1e-6


@final
@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One training run, as it is planned.

    Attributes:
        name: what people call it.
        total_steps: planned optimizer steps; None if the run has no planned end.
        learning_rates: planned learning rate of steps 1..total_steps, shape (total_steps,); None if unknown.
        parameters: all parameters, embeddings included (Chinchilla's N), count.
        non_embedding_parameters: parameters without embeddings and output head (Kaplan's N), count.
        tokens_per_step: tokens of one optimizer step over all devices, count.

    Raises:
        RunError: if a number is not positive and finite, or the plan is not one rate a step.
    """

    name: str
    total_steps: int | None = None
    learning_rates: NDArray[np.float64] | None = None
    parameters: int | None = None
    non_embedding_parameters: int | None = None
    tokens_per_step: float | None = None

    def __init__(
        self,
        name: str,
        total_steps: int | None = None,
        learning_rates: ArrayLike | None = None,
        parameters: int | None = None,
        non_embedding_parameters: int | None = None,
        tokens_per_step: float | None = None,
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

    def tokens_at(self, step: float) -> float | None:
        """Tokens consumed after `step` steps, None if the tokens of a step are unknown."""
        return None if self.tokens_per_step is None else self.tokens_per_step * step


def _positive(name: str, value: Any, least: float = 1.0) -> float | None:
    if value is None:
        return None
    try:
        number = math.nan if isinstance(value, str | bytes | bool) else float(value)
    except (TypeError, ValueError, RuntimeError):
        number = math.nan
    except OverflowError:
        number = math.inf
    if not least <= number <= MOST_COUNT:
        got = f"{number:g}" if isinstance(value, int | float) and value is not True else repr(value)
        raise RunError(
            f"`{name}` must be positive and finite, a number from {least:g} to {MOST_COUNT:g}, or None if it is "
            f"unknown (got {got:.80}, {type(value).__name__})."
        )
    return number


def _plan(rates: ArrayLike) -> NDArray[np.float64]:
    try:
        given = np.asarray(rates)
        if given.dtype.kind not in "iufO":
            raise TypeError
        plan = given.astype(np.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise RunError(f"`learning_rates` must be an array of numbers (got {type(rates).__name__}).") from None
    if plan.ndim != 1 or not 1 <= len(plan) <= MAX_PLANNED_STEPS:
        raise RunError(f"`learning_rates` must have shape (total_steps,) (got shape {plan.shape}).")
    if not np.all(np.isfinite(plan)) or plan.max() <= 0 or plan.min() < -ROUNDING * plan.max():
        raise RunError("`learning_rates` must be finite, none negative, and not all zero.")
    np.maximum(plan, 0.0, out=plan)
    plan.setflags(write=False)
    return plan

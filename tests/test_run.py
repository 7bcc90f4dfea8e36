"""A run is described once, and what no run can be is refused there."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scalewatch import Run
from scalewatch.errors import RunError, ScalewatchError

COUNTS = ("total_steps", "parameters", "non_embedding_parameters", "tokens_per_step")

NO_COUNTS: dict[str, Any] = {
    "zero": 0,
    "negative": -1,
    "negative-token-count": -4096.0,
    "nan": math.nan,
    "inf": math.inf,
    "minus-inf": -math.inf,
    "beyond-floats": 10**400,
    "beyond-digits": 10**5000,
    "beyond-counts": 1e300,
    "text": "12",
    "word": "many",
    "bytes": b"12",
    "true": True,
    "complex": 1j,
    "list": [1],
    "dict": {},
    "object": object(),
    "array": np.array([1, 2]),
    "tensor": torch.tensor([1.0, 2.0]),
    "numpy-nan": np.float64("nan"),
    "numpy-negative": np.int64(-3),
}

NO_PLANS: dict[str, Any] = {
    "empty": [],
    "one-number": 3e-4,
    "a-table": [[1e-3, 1e-3], [1e-3, 1e-3]],
    "ragged": [[1e-3], [1e-3, 1e-3]],
    "text": ["fast", "slow"],
    "digits-as-text": ["1", "2"],
    "one-text": "cosine",
    "dict": {1: 1e-3},
    "complex": np.array([1j, 2.0]),
    "none-inside": [None, 1e-3],
    "nan-inside": [1e-3, math.nan],
    "inf-inside": [1e-3, math.inf],
    "negative": [1e-3, -1e-4],
    "all-zero": [0.0, 0.0],
    "dates": np.array(["2026-01-01"], dtype="datetime64[D]"),
    "needs-grad": torch.ones(3, requires_grad=True),
}


def refusal(**what: Any) -> str:
    """The message of the RunError that a description gets."""
    with pytest.raises(RunError) as refused:
        Run("demo", **what)
    return str(refused.value)


@pytest.mark.parametrize("field", COUNTS)
@pytest.mark.parametrize("value", NO_COUNTS.values(), ids=NO_COUNTS.keys())
def test_a_count_that_is_none_is_refused_by_its_name(field: str, value: Any) -> None:
    """Zero, negative, endless or no number at all: one line that names the field and what was got."""
    message = refusal(**{field: value})

    assert message.startswith(f"`{field}` must be ")
    assert "got " in message
    assert 1 == len(message.splitlines())
    assert len(message) < 250


@pytest.mark.parametrize("plan", NO_PLANS.values(), ids=NO_PLANS.keys())
def test_a_plan_that_is_none_is_refused(plan: Any) -> None:
    """What is not one finite rate a step, none negative, is refused in one line."""
    message = refusal(learning_rates=plan)

    assert message.startswith("`learning_rates` must ")
    assert 1 == len(message.splitlines())


def test_a_plan_of_the_wrong_length_is_refused_with_both_lengths() -> None:
    """The message says how many steps are planned and how many rates were given."""
    message = refusal(total_steps=1000, learning_rates=np.ones(999))

    assert "1000" in message
    assert "999" in message


def test_half_a_step_is_refused() -> None:
    """A planned length is a whole number: a fraction is a mistake, not something to cut off."""
    assert "whole number" in refusal(total_steps=2.5)


def test_the_inner_parameters_cannot_exceed_all_of_them() -> None:
    """More parameters without embeddings than with them means that the two were swapped."""
    assert "cannot exceed" in refusal(parameters=10, non_embedding_parameters=11)


def test_a_refusal_is_a_scalewatch_error_and_a_value_error() -> None:
    """Whoever catches either of the two catches it."""
    assert issubclass(RunError, ScalewatchError)
    assert issubclass(RunError, ValueError)


def test_a_rate_that_rounds_just_below_zero_is_zero() -> None:
    """A cosine that ends at -1e-20 where it means nothing is accepted, and the plan holds no negative rate."""
    run = Run("demo", learning_rates=[3e-4, 1e-4, -1e-20])

    assert run.learning_rates is not None
    assert [3e-4, 1e-4, 0.0] == run.learning_rates.tolist()


def test_the_plan_gives_the_length() -> None:
    """A run with a plan needs no second word on how long it is."""
    assert 7 == Run("demo", learning_rates=np.ones(7)).total_steps


def test_the_plan_is_a_copy_that_nobody_can_change() -> None:
    """What the caller does to the array afterwards changes nothing, and the copy is read-only."""
    rates = np.full(3, 1e-3)
    run = Run("demo", learning_rates=rates)
    rates[:] = 5.0

    assert run.learning_rates is not None
    assert [1e-3] * 3 == run.learning_rates.tolist()
    with pytest.raises(ValueError, match="read-only"):
        run.learning_rates[0] = 1.0


def test_a_run_cannot_be_changed() -> None:
    """A run is described once."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Run("demo").name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("plan", [torch.full((4,), 1e-3), range(1, 5), (1, 2, 3, 4), np.arange(1, 5, dtype=np.int32)])
def test_a_plan_may_be_any_row_of_numbers(plan: Any) -> None:
    """A tensor, a range, a tuple and integers are rates as good as an array of floats."""
    run = Run("demo", learning_rates=plan)

    assert run.learning_rates is not None
    assert np.float64 == run.learning_rates.dtype
    assert 4 == run.total_steps


@given(st.integers(1, 10**12), st.integers(1, 10**15), st.floats(1e-3, 1e12))
def test_what_a_run_can_be_is_kept_as_it_was_given(steps: int, parameters: int, tokens: float) -> None:
    """Counts come back exactly, as plain ints and floats, whatever number type they came as."""
    run = Run("demo", np.int64(steps), None, float(parameters), parameters, np.float64(tokens))  # type: ignore[arg-type]

    assert (steps, parameters, parameters, tokens) == (
        run.total_steps,
        run.parameters,
        run.non_embedding_parameters,
        run.tokens_per_step,
    )
    assert (int, int, int, float) == (
        type(run.total_steps),
        type(run.parameters),
        type(run.non_embedding_parameters),
        type(run.tokens_per_step),
    )


def test_tokens_are_counted_where_a_step_is_known_to_have_some() -> None:
    """12 steps of 1,000 tokens are 12,000; nobody knows where the run does not say."""
    assert 12_000.0 == Run("demo", tokens_per_step=1000).tokens_at(12)
    assert Run("demo").tokens_at(12) is None

"""Between what scalewatch speaks of and what a journal holds: plain dicts, and back.

Every record says what it is under "type". An observation, of which there are millions, has a short
form: `{"type": "o", "s": step, "l": loss, "r": learning rate, "g": gradient norm, "k": tokens,
"v": validation loss, "w": wall-clock seconds, "d": losses of the ranks, "p": precursors by name, "n": the phase that
begins}`, and leaves out what was not measured.

What is read back equals what was written, also a NaN in the evidence of a finding and an integer
beyond 2^53. A learning-rate schedule comes back within 1e-6 of its peak (see `schedule.py`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from scalewatch.advice import Advice
from scalewatch.arrays import KnottedRates, Rates
from scalewatch.errors import JournalError, PlainError, RunError
from scalewatch.finding import Finding
from scalewatch.journal.lines import Record
from scalewatch.journal.schedule import MAX_KNOTS, restored, simplified
from scalewatch.observation import Observation
from scalewatch.plain import from_plain, integer, number, numbers, optional, shown, text, to_plain
from scalewatch.run import Run

__all__ = [
    "advice_from",
    "advice_record",
    "finding_from",
    "finding_record",
    "observation_from",
    "observation_record",
    "run_from",
    "run_record",
]

#: Longest plan that is made an array of again [steps]: 8 MB.
MOST_RESTORED = 1_000_000

P = ParamSpec("P")
T = TypeVar("T")


def _refused_as_damage(read: Callable[P, T]) -> Callable[P, T]:
    """What cannot be in a record is an error of the journal."""

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return read(*args, **kwargs)
        except PlainError as fault:
            raise JournalError(str(fault)) from None

    return reading


def observation_record(observation: Observation) -> Record:
    """The short form of an observation.

    >>> observation_record(Observation(7, 3.2, tokens=1e6))
    {'type': 'o', 's': 7, 'l': 3.2, 'k': 1000000.0}
    """
    step, loss, learning_rate, grad_norm, tokens, validation_loss, seconds, rank_losses, precursors, phase = observation
    record = {"type": "o", "s": step, "l": loss}
    if learning_rate is not None:
        record["r"] = learning_rate
    if grad_norm is not None:
        record["g"] = grad_norm
    if tokens is not None:
        record["k"] = tokens
    if validation_loss is not None:
        record["v"] = validation_loss
    if seconds is not None:
        record["w"] = seconds
    if rank_losses is not None:
        record["d"] = list(rank_losses)
    if precursors is not None:
        record["p"] = dict(precursors)
    if phase is not None:
        record["n"] = phase
    return record


@_refused_as_damage
def observation_from(record: Mapping[str, Any]) -> Observation:
    """The observation that a record holds.

    Raises:
        JournalError: if it is not the record of one.
    """
    _must_be(record, "o")
    get = record.get
    return Observation(
        integer(get("s"), "s"),
        number(get("l"), "l"),
        optional(get("r"), "r"),
        optional(get("g"), "g"),
        optional(get("k"), "k"),
        optional(get("v"), "v"),
        optional(get("w"), "w"),
        None if get("d") is None else numbers(get("d"), "d"),
        _named_numbers(get("p"), "p"),
        None if get("n") is None else text(get("n"), "n"),
    )


def finding_record(finding: Finding) -> Record:
    """A finding."""
    return {"type": "finding", **to_plain(finding)}


@_refused_as_damage
def finding_from(record: Mapping[str, Any]) -> Finding:
    """The finding that a record holds.

    Raises:
        JournalError: if it is not the record of one.
    """
    _must_be(record, "finding")
    return from_plain(Finding, record)


def advice_record(advice: Advice) -> Record:
    """An advice."""
    return {"type": "advice", **to_plain(advice)}


@_refused_as_damage
def advice_from(record: Mapping[str, Any]) -> Advice:
    """The advice that a record holds.

    Raises:
        JournalError: if it is not the record of one.
    """
    _must_be(record, "advice")
    return from_plain(Advice, record)


def run_record(run: Run) -> Record:
    """A run; its planned learning rates as at most 2,000 knots.

    Takes 30 ms for a schedule of a million steps, a second for the longest: for set-up, not for a step.
    """
    record: Record = {
        "name": run.name,
        "total_steps": run.total_steps,
        "parameters": run.parameters,
        "non_embedding_parameters": run.non_embedding_parameters,
        "tokens_per_step": run.tokens_per_step,
        "steps_per_epoch": run.steps_per_epoch,
        "max_seconds": run.max_seconds,
        "loss_unit": run.loss_unit,
        "logged": list(run.logged),
    }
    if run.learning_rates is not None:
        knots = simplified(run.learning_rates)
        record["learning_rates"] = {
            "steps": knots.steps.tolist(),
            "rates": knots.rates.tolist(),
            "max_error": knots.max_error,
        }
    return record


@_refused_as_damage
def run_from(record: Mapping[str, Any]) -> Run:
    """The run that the header of a journal describes.

    Raises:
        JournalError: if no run can be like that.
    """
    total_steps = _optional_integer(record, "total_steps")
    schedule = record.get("learning_rates")
    try:
        return Run(
            text(record.get("name"), "name"),
            total_steps=total_steps,
            learning_rates=None if schedule is None else _schedule(schedule, total_steps),
            parameters=_optional_integer(record, "parameters"),
            non_embedding_parameters=_optional_integer(record, "non_embedding_parameters"),
            tokens_per_step=optional(record.get("tokens_per_step"), "tokens_per_step"),
            steps_per_epoch=optional(record.get("steps_per_epoch"), "steps_per_epoch"),
            max_seconds=optional(record.get("max_seconds"), "max_seconds"),
            loss_unit=record.get("loss_unit"),
            logged=record.get("logged") or (),
        )
    except RunError as fault:
        raise JournalError(f"The run of this journal cannot be: {str(fault)[:300]}") from None


def _schedule(knots: Any, total_steps: int | None) -> Rates:
    steps = knots.get("steps") if isinstance(knots, dict) else None
    rates = knots.get("rates") if isinstance(knots, dict) else None
    if not (isinstance(steps, list) and isinstance(rates, list) and len(steps) == len(rates)):
        raise JournalError("`learning_rates` must hold `steps` and as many `rates`.")
    increase = all(isinstance(step, int) for step in steps) and all(
        before < after for before, after in itertools.pairwise(steps)
    )
    # The last knot decides how much memory the schedule takes: the run has to say the same.
    if not (1 <= len(steps) <= MAX_KNOTS and increase and steps[0] == 1 and steps[-1] == total_steps):
        raise JournalError(
            f"The `steps` of `learning_rates` must be at most {MAX_KNOTS} integers that increase"
            f" from 1 to `total_steps` ({shown(total_steps)})."
        )
    if not all(isinstance(rate, float) and math.isfinite(rate) for rate in rates):
        raise JournalError("The `rates` of `learning_rates` must be finite numbers.")
    if steps[-1] > MOST_RESTORED:
        return KnottedRates(steps, rates)
    return restored(np.array(steps, dtype=np.int64), np.array(rates))


def _must_be(record: Mapping[str, Any], kind: str) -> None:
    if record.get("type") != kind:
        raise JournalError(f'`type` must be "{kind}" (got {shown(record.get("type"))}).')


def _named_numbers(values: Any, field: str) -> dict[str, float] | None:
    if values is None:
        return None
    if not isinstance(values, dict):
        raise PlainError(f"`{field}` must be an object of numbers (got {shown(values)}).")
    return {name: number(value, name) for name, value in values.items()}


def _optional_integer(record: Mapping[str, Any], field: str) -> int | None:
    return None if record.get(field) is None else integer(record[field], field)

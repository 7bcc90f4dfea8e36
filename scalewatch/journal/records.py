"""Between what scalewatch speaks of and what a journal holds: plain dicts, and back.

Every record says what it is under "type". An observation, of which there are millions, has a short
form: `{"type": "o", "s": step, "l": loss, "r": learning rate, "g": gradient norm, "k": tokens,
"v": validation loss, "w": wall-clock seconds, "d": losses of the ranks, "p": precursors by name}`, and leaves out what
was not measured.

What is read back equals what was written, also a NaN in the evidence of a finding and an integer
beyond 2^53. A learning-rate plan comes back within 1e-6 of its peak (see `plan.py`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from scalewatch.advice import Action, Advice, EvidenceGrade
from scalewatch.errors import JournalError, RunError
from scalewatch.finding import Evidence, Finding, Kind, Phase, Severity, kind_of
from scalewatch.journal.lines import NONFINITE, Record
from scalewatch.journal.plan import MAX_KNOTS, restored, simplified
from scalewatch.observation import Observation
from scalewatch.run import MAX_PLANNED_STEPS, Run

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

_E = TypeVar("_E", bound=StrEnum)


def observation_record(observation: Observation) -> Record:
    """The short form of an observation.

    >>> observation_record(Observation(7, 3.2, tokens=1e6))
    {'type': 'o', 's': 7, 'l': 3.2, 'k': 1000000.0}
    """
    step, loss, learning_rate, grad_norm, tokens, validation_loss, seconds, rank_losses, precursors = observation
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
    return record


def observation_from(record: Mapping[str, Any]) -> Observation:
    """The observation that a record holds.

    Raises:
        JournalError: if it is not the record of one.
    """
    _must_be(record, "o")
    return Observation(
        _integer(record, "s"),
        _number(record, "l"),
        _optional(record, "r"),
        _optional(record, "g"),
        _optional(record, "k"),
        _optional(record, "v"),
        _optional(record, "w"),
        _numbers(record, "d"),
        _named_numbers(record, "p"),
    )


def finding_record(finding: Finding) -> Record:
    """A finding, with the names of the evidence that is not finite: as JSON it is only a word."""
    evidence = dict(finding.evidence)
    nonfinite = [
        name for name, value in evidence.items() if isinstance(value, float | np.floating) and not math.isfinite(value)
    ]
    record: Record = {
        "type": "finding",
        "kind": str(finding.kind),
        "severity": finding.severity.value,
        "phase": finding.phase.value,
        "step": finding.step,
        "start_step": finding.start_step,
        "message": finding.message,
        "evidence": evidence,
    }
    return {**record, "nonfinite": nonfinite} if nonfinite else record


def finding_from(record: Mapping[str, Any]) -> Finding:
    """The finding that a record holds.

    Raises:
        JournalError: if it is not the record of one.
    """
    _must_be(record, "finding")
    return Finding(
        kind=_kind(record),
        severity=_member(record, "severity", Severity),
        step=_integer(record, "step"),
        start_step=_integer(record, "start_step"),
        message=_text(record, "message"),
        evidence=_evidence(record),
        phase=_member(record, "phase", Phase),
    )


def advice_record(advice: Advice) -> Record:
    """An advice."""
    return {
        "type": "advice",
        "action": advice.action.value,
        "reason": advice.reason,
        "evidence_grade": advice.evidence_grade.value,
        "expected_gain": advice.expected_gain,
        "step": advice.step,
        "gain_interval": None if advice.gain_interval is None else list(advice.gain_interval),
        "would_change": advice.would_change,
    }


def advice_from(record: Mapping[str, Any]) -> Advice:
    """The advice that a record holds.

    Raises:
        JournalError: if it is not the record of one.
    """
    _must_be(record, "advice")
    interval = _numbers(record, "gain_interval")
    if interval is not None and len(interval) != 2:
        raise JournalError(f"`gain_interval` must be two numbers (got {_shown(interval)}).")
    return Advice(
        action=_member(record, "action", Action),
        reason=_text(record, "reason"),
        evidence_grade=_member(record, "evidence_grade", EvidenceGrade),
        expected_gain=_optional(record, "expected_gain"),
        step=_integer(record, "step"),
        gain_interval=None if interval is None else (interval[0], interval[1]),
        # journals of older versions have none
        would_change=_text(record, "would_change") if "would_change" in record else "",
    )


def run_record(run: Run) -> Record:
    """A run; its planned learning rates as at most 2,000 knots.

    Takes 30 ms for a plan of a million steps, a second for the longest: for set-up, not for a step.
    """
    record: Record = {
        "name": run.name,
        "total_steps": run.total_steps,
        "parameters": run.parameters,
        "non_embedding_parameters": run.non_embedding_parameters,
        "tokens_per_step": run.tokens_per_step,
    }
    if run.learning_rates is not None:
        knots = simplified(run.learning_rates)
        record["learning_rates"] = {
            "steps": knots.steps.tolist(),
            "rates": knots.rates.tolist(),
            "max_error": knots.max_error,
        }
    return record


def run_from(record: Mapping[str, Any]) -> Run:
    """The run that the header of a journal describes.

    Raises:
        JournalError: if no run can be like that.
    """
    total_steps = _optional(record, "total_steps")
    plan = record.get("learning_rates")
    try:
        return Run(
            _text(record, "name"),
            total_steps=None if total_steps is None else _integer(record, "total_steps"),
            learning_rates=None if plan is None else _plan(plan, total_steps),
            parameters=_optional_integer(record, "parameters"),
            non_embedding_parameters=_optional_integer(record, "non_embedding_parameters"),
            tokens_per_step=_optional(record, "tokens_per_step"),
        )
    except RunError as fault:
        raise JournalError(f"The run of this journal cannot be: {str(fault)[:300]}") from None


def _plan(knots: Any, total_steps: float | None) -> NDArray[np.float64]:
    steps = knots.get("steps") if isinstance(knots, dict) else None
    rates = knots.get("rates") if isinstance(knots, dict) else None
    if not (isinstance(steps, list) and isinstance(rates, list) and len(steps) == len(rates)):
        raise JournalError("`learning_rates` must hold `steps` and as many `rates`.")
    increase = all(isinstance(step, int) for step in steps) and all(
        before < after for before, after in itertools.pairwise(steps)
    )
    # The last knot decides how much memory the plan takes: the run has to say the same.
    if not (
        1 <= len(steps) <= MAX_KNOTS
        and increase
        and steps[0] == 1
        and steps[-1] == total_steps
        and steps[-1] <= MAX_PLANNED_STEPS
    ):
        raise JournalError(
            f"The `steps` of `learning_rates` must be at most {MAX_KNOTS} integers that increase"
            f" from 1 to `total_steps` ({_shown(total_steps)})."
        )
    if not all(isinstance(rate, float) and math.isfinite(rate) for rate in rates):
        raise JournalError("The `rates` of `learning_rates` must be finite numbers.")
    return restored(np.array(steps, dtype=np.int64), np.array(rates))


def _must_be(record: Mapping[str, Any], kind: str) -> None:
    if record.get("type") != kind:
        raise JournalError(f'`type` must be "{kind}" (got {_shown(record.get("type"))}).')


def _number(record: Mapping[str, Any], field: str) -> float:
    value = record.get(field)
    if type(value) is float or type(value) is int:  # `isinstance` would take a bool for an int
        return value
    if isinstance(value, str) and value in NONFINITE:
        return NONFINITE[value]
    raise JournalError(f'`{field}` must be a number, or "nan", "inf", "-inf" (got {_shown(value)}).')


def _optional(record: Mapping[str, Any], field: str) -> float | None:
    return None if record.get(field) is None else _number(record, field)


def _numbers(record: Mapping[str, Any], field: str) -> tuple[float, ...] | None:
    values = record.get(field)
    if values is None:
        return None
    if not isinstance(values, list):
        raise JournalError(f"`{field}` must be a list of numbers (got {_shown(values)}).")
    return tuple(_number({field: value}, field) for value in values)


def _named_numbers(record: Mapping[str, Any], field: str) -> dict[str, float] | None:
    values = record.get(field)
    if values is None:
        return None
    if not isinstance(values, dict):
        raise JournalError(f"`{field}` must be an object of numbers (got {_shown(values)}).")
    return {name: _number(values, name) for name in values}


def _integer(record: Mapping[str, Any], field: str) -> int:
    value = record.get(field)
    if type(value) is not int:
        raise JournalError(f"`{field}` must be an integer (got {_shown(value)}).")
    return value


def _optional_integer(record: Mapping[str, Any], field: str) -> int | None:
    return None if record.get(field) is None else _integer(record, field)


def _text(record: Mapping[str, Any], field: str) -> str:
    value = record.get(field)
    if not isinstance(value, str):
        raise JournalError(f"`{field}` must be text (got {_shown(value)}).")
    return value


def _member(record: Mapping[str, Any], field: str, words: type[_E]) -> _E:
    value: Any = record.get(field)
    try:
        return words(value)
    except ValueError:
        known = ", ".join(words)
        raise JournalError(f"`{field}` must be one of {known} (got {_shown(value)}).") from None


def _kind(record: Mapping[str, Any]) -> Kind | str:
    try:
        return kind_of(record.get("kind"))
    except ValueError as fault:
        raise JournalError(f"`kind`: {fault}.") from None


def _evidence(record: Mapping[str, Any]) -> Evidence:
    evidence = record.get("evidence")
    nonfinite = record.get("nonfinite", [])
    if not (isinstance(evidence, dict) and isinstance(nonfinite, list)):
        raise JournalError(f"`evidence` must be an object (got {_shown(evidence)}).")
    for name, value in evidence.items():
        if not isinstance(value, str | int | float | None):
            raise JournalError(f"Evidence must be numbers and words (got {_shown(value)}).")
        if name in nonfinite:
            evidence = {**evidence, name: _number(evidence, name)}
    return evidence


def _shown(value: object) -> str:
    """A value for an error message: escaped, short, and with its type."""
    return f"{ascii(value)[:60]}, {type(value).__name__}"

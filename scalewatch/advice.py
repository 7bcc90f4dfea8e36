"""What to do about a run, why, how good the evidence is, and what it should gain."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import final

__all__ = ["Action", "Advice", "EvidenceGrade"]


@final
class Action(StrEnum):
    """What a person, or the callback if it was asked to act, may do."""

    WAIT = "wait"
    STOP = "stop"
    REWIND = "rewind"
    LOWER_LEARNING_RATE = "lower_learning_rate"
    DECAY_NOW = "decay_now"
    FIX_DATA = "fix_data"
    CHECK_SETUP = "check_setup"
    EXTEND = "extend"
    CHANGE_SCHEDULE = "change_schedule"
    CHANGE_SIZE = "change_size"


@final
class EvidenceGrade(StrEnum):
    """How good the evidence for an advice is.

    A: measured by controlled comparison in several published runs. B: reported by people who trained
    large models, or predicted by a law that was calibrated on real runs. C: practitioners' habit.
    """

    A = "A"
    B = "B"
    C = "C"


@final
@dataclass(frozen=True, slots=True)
class Advice:
    """One recommendation.

    Attributes:
        action: what to do.
        reason: why, in one or two sentences with the numbers that matter.
        evidence_grade: how good the evidence for this action is.
        expected_gain: what it should gain [nats/token of final loss], None where nobody knows.
        step: step at which it was given.
        gain_interval: 80 % interval of that gain [nats/token], low and high, None where nobody knows.
        would_change: what would change our mind.
    """

    action: Action
    reason: str
    evidence_grade: EvidenceGrade
    expected_gain: float | None = None
    step: int = 0
    gain_interval: tuple[float, float] | None = None
    would_change: str = ""

"""What to do about a run, why, how good the evidence is, and what it should gain."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import final

__all__ = ["Action", "Advice", "EvidenceGrade", "gain_text"]


def gain_text(gain: float | None, interval: tuple[float, float] | None, unit: str = "") -> str:
    """Return a gain of final loss with its 80 % interval in words, "" if it is None; less than nothing is a cost.

    >>> gain_text(0.0213, (0.015, 0.03), " nats"), gain_text(-0.004, None)
    ('gains 0.021 nats, 80 %: 0.015 to 0.030', 'costs 0.004 of loss')
    """
    if gain is None:
        return ""
    numbers = [gain, *(interval or ())]
    if gain < 0.0:
        numbers = [-gain, *(-bound for bound in reversed(interval or ()))]
    middle, *bounds = (f"{number:.3f}".replace("-0.000", "0.000") for number in numbers)
    span = f", 80 %: {bounds[0]} to {bounds[1]}" if bounds else ""
    middle = "less than 0.001" if middle == "0.000" else middle
    return f"{'costs' if gain < 0.0 else 'gains'} {middle}{unit or ' of loss'}{span}"


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
        would_change: what would change our mind, the rest of a sentence that begins with "Ignore this if".
        unit: what the gain is counted in as it stands behind a number, such as " nats"; "" where nobody knows.

    >>> Advice(Action.DECAY_NOW, "The rest buys little.", EvidenceGrade.B, -0.004, 900, (-0.009, 0.001)).headline
    'decay now (evidence B, costs 0.004 of loss, 80 %: -0.001 to 0.009)'
    """

    action: Action
    reason: str
    evidence_grade: EvidenceGrade
    expected_gain: float | None = None
    step: int = 0
    gain_interval: tuple[float, float] | None = None
    would_change: str = ""
    unit: str = ""

    @property
    def gain(self) -> str:
        """What it gains or costs, with the interval of that, in words; "" where nobody knows."""
        return gain_text(self.expected_gain, self.gain_interval, self.unit)

    @property
    def headline(self) -> str:
        """What to do, how good the evidence is and what it gains."""
        gain = self.gain
        what = self.action.value.replace("_", " ")
        return f"{what} (evidence {self.evidence_grade.value}{f', {gain}' if gain else ''})"

    @property
    def text(self) -> str:
        """All of it but the step, in one line."""
        change = f" Ignore this if {self.would_change}" if self.would_change else ""
        return f"{self.headline}: {self.reason}{change}"

"""What a detector says.

An incident opens, may escalate, and closes; each of the three is one finding, and in between a detector
is silent. So a spike of fifty steps is two lines to read, not fifty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

__all__ = ["Evidence", "Finding", "Kind", "Phase", "Severity", "kind_of"]

_Value = float | int | str | bool | None
Evidence = Mapping[str, _Value]


@final
class Kind(StrEnum):
    """What was found; `scalewatch.kinds` has a row for each. A detector from outside may bring a word of its own."""

    NONFINITE = "nonfinite"
    NONFINITE_GRADIENT = "nonfinite_gradient"
    SPIKE = "spike"
    BAD_BATCH = "bad_batch"
    DIVERGENCE = "divergence"
    GRAD_NORM = "grad_norm"
    OFF_LAW = "off_law"
    BETTER_THAN_LAW = "better_than_law"
    OFF_PLAN = "off_plan"
    REWOUND = "rewound"
    PHASE = "phase"
    PLATEAU = "plateau"
    LEVEL_SHIFT = "level_shift"
    NOISE = "noise"
    STILLNESS = "stillness"
    GRAD_DRIFT = "grad_drift"
    VANISHED_GRADIENT = "vanished_gradient"
    SUSPICIOUS_IMPROVEMENT = "suspicious_improvement"
    THROUGHPUT = "throughput"
    VALIDATION = "validation"
    PRECURSOR = "precursor"
    RANK_APART = "rank_apart"


_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")


def kind_of(word: object) -> Kind | str:
    """Return the kind that a word names, or the word of a detector from outside as it is.

    Raises:
        ValueError: if it is no word of up to 40 small letters, digits and `_`.

    >>> kind_of("spike"), kind_of("dead_neurons")
    (<Kind.SPIKE: 'spike'>, 'dead_neurons')
    """
    if not isinstance(word, str) or not _WORD.fullmatch(word):
        raise ValueError(f"a kind must be a word such as spike, of up to 40 small letters (got {word!r:.60})")
    try:
        return Kind(word)
    except ValueError:
        return str(word)


@final
class Severity(StrEnum):
    """How much it matters: a note, worth waking someone, the run is lost or losing money every minute."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for critical."""
        return ("info", "warning", "critical").index(self.value)


@final
class Phase(StrEnum):
    """Where in its life the incident is when the finding is made."""

    OPENED = "opened"
    ESCALATED = "escalated"
    CLOSED = "closed"


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth telling a person about a run.

    Attributes:
        kind: what was found: a `Kind`, or the word of a detector from outside: small letters, digits and `_`.
        severity: how much it matters; a closing finding is always info.
        step: step at which it was found.
        start_step: step at which it is believed to have begun, at most `step`.
        message: one sentence in plain words with the numbers that matter.
        evidence: the numbers behind the sentence, by name with unit (`excess_nats`, `sigmas`).
        phase: opened, escalated or closed.

    Raises:
        ValueError: if `kind` is no such word.
    """

    kind: Kind | str
    severity: Severity
    step: int
    start_step: int
    message: str
    evidence: Evidence = field(default_factory=dict)
    phase: Phase = Phase.OPENED

    def __post_init__(self) -> None:
        if type(self.kind) is not Kind:
            object.__setattr__(self, "kind", kind_of(self.kind))

    @property
    def pages(self) -> bool:
        """Whether it is worth waking someone: warning or critical."""
        return self.severity is not Severity.INFO

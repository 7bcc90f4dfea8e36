"""What every detector is: it sees one sample after another and says something only when there is news.

An incident opens, may escalate and closes. `Incident` keeps that life, so that fifty bad steps are two
findings: a detector asks it to `open`, `escalate` or `close`, and it writes the finding.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, final

from scalewatch.errors import ConfigError
from scalewatch.finding import Evidence, Finding, Kind, Phase, Severity

__all__ = ["AbstractDetector", "Incident", "Sample", "Stateful", "amount"]


@final
class Sample:
    """One row of the log, cleaned, with what the shared level knows about it. One object, reused each row.

    Attributes:
        row: rows seen so far, this one included, count.
        step: optimizer steps completed.
        loss: the loss as it was logged [nats/token]; NaN where it is missing or no number.
        loss_given: whether the row carries a loss at all.
        usable: whether the loss is finite and positive, so that it has a logarithm.
        log_loss: natural logarithm of the loss; 0 where it is not usable.
        grad_norm: gradient norm before clipping; NaN where it is not a number.
        grad_given: whether the row carries a gradient norm at all.
        learning_rate: rate of this step; NaN where unknown.
        muted: whether a planned rise of the learning rate explains a rise of the loss.
        spacing: optimizer steps per row of this log, mean.
    """

    __slots__ = (
        "grad_given",
        "grad_norm",
        "learning_rate",
        "log_loss",
        "loss",
        "loss_given",
        "muted",
        "row",
        "spacing",
        "step",
        "usable",
    )

    def __init__(self) -> None:
        self.row = 0
        self.step = 0
        self.loss = math.nan
        self.loss_given = False
        self.usable = False
        self.log_loss = 0.0
        self.grad_norm = math.nan
        self.grad_given = False
        self.learning_rate = math.nan
        self.muted = False
        self.spacing = 1.0


class Stateful(ABC):
    """Something whose whole memory is a few named plain values."""

    #: Names of the attributes that are the memory: ints, floats, strings, lists of them, or `Stateful`.
    STATE: ClassVar[tuple[str, ...]] = ()

    @final
    def state_dict(self) -> dict[str, Any]:
        """The memory as plain ints, floats, strings, lists and dicts."""
        state: dict[str, Any] = {}
        for name in self.STATE:
            value = getattr(self, name)
            if isinstance(value, Stateful):
                value = value.state_dict()
            elif isinstance(value, list):
                value = list(value)
            elif isinstance(value, dict):
                value = dict(value)
            state[name] = value
        return state

    @final
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state_dict`, bit for bit.

        Raises:
            ConfigError: if it is not the state of this class.
        """
        for name in self.STATE:
            if name not in state:
                raise ConfigError(f"The state of a {type(self).__name__} must hold `{name}` (got {sorted(state)}).")
            value, mine = state[name], getattr(self, name)
            if isinstance(mine, Stateful):
                mine.load_state_dict(value)
            elif isinstance(mine, list):
                setattr(self, name, list(value))
            elif isinstance(mine, dict):
                setattr(self, name, dict(value))
            else:
                setattr(self, name, type(mine)(value))
        self._loaded()

    def _loaded(self) -> None:  # noqa: B027  (nothing to rebuild, for most)
        """Rebuild what is derived from the memory."""


@final
class Incident(Stateful):
    """The life of one incident: opened, perhaps escalated, closed; a finding at each of these, silence between.

    >>> life = Incident(Kind.SPIKE)
    >>> life.open(Severity.WARNING, 12, 11, "loss rose from 3.0 to 3.6", {"excess_nats": 0.6}).phase
    <Phase.OPENED: 'opened'>
    >>> life.close(40, "loss is back at 3.0", {}).severity
    <Severity.INFO: 'info'>
    """

    STATE = ("is_open", "severity", "step", "start_step", "message", "evidence")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.is_open = False
        self.severity = ""
        self.step = 0
        self.start_step = 0
        self.message = ""
        self.evidence: dict[str, Any] = {}

    def open(self, severity: Severity, step: int, start_step: int, message: str, evidence: Evidence) -> Finding:
        """Begin, and say so."""
        self.is_open, self.start_step = True, start_step
        return self._say(severity, step, message, evidence, Phase.OPENED)

    def escalate(self, severity: Severity, step: int, message: str, evidence: Evidence) -> Finding:
        """Matter more than before, and say so."""
        return self._say(severity, step, message, evidence, Phase.ESCALATED)

    def close(self, step: int, message: str, evidence: Evidence) -> Finding:
        """End, and say so."""
        self.is_open = False
        return self._say(Severity.INFO, step, message, evidence, Phase.CLOSED)

    def forget(self) -> None:
        """End without a word: the run itself went back to before it."""
        self.is_open = False

    def last(self) -> Finding | None:
        """The newest finding of an incident that is open."""
        if not self.is_open:
            return None
        return Finding(
            self.kind, Severity(self.severity), self.step, self.start_step, self.message, dict(self.evidence)
        )

    def _say(self, severity: Severity, step: int, message: str, evidence: Evidence, phase: Phase) -> Finding:
        self.severity, self.step, self.message, self.evidence = severity.value, step, message, dict(evidence)
        return Finding(self.kind, severity, step, min(self.start_step, step), message, dict(evidence), phase)


class AbstractDetector(Stateful):
    """Watches for one thing, in constant time and memory.

    Attributes:
        name: what its guard, the table and a log call it.
        life: its incident.
        suspects: whether the row just seen may belong to an incident, so that no level may learn from it.
        doubts: whether the base of the level must not rise with it.
    """

    name: ClassVar[str]
    life: Incident
    suspects: bool
    doubts: bool = False

    @abstractmethod
    def observe(self, sample: Sample) -> Finding | None:
        """Look at one row; say something if there is news."""

    @abstractmethod
    def restart(self) -> None:
        """Forget levels and what is open: the run went back to an earlier step. Keep scales."""


def amount(value: float) -> str:
    """A loss or a ratio as people write it.

    >>> amount(3.01249), amount(144.43), amount(6.6e30)
    ('3.012', '144.4', '6.6e+30')
    """
    size = abs(value)
    if size >= 1e5 or 0 < size < 1e-3:
        return f"{value:.2g}"
    return f"{value:.3f}" if size < 100 else f"{value:.1f}"

"""The life of one incident: opened, perhaps escalated, closed, a finding at each and silence between.

So fifty bad steps are two findings. A detector asks its `IncidentState` to `open`, `escalate` or `close`, and it writes
them.
"""

from __future__ import annotations

from typing import Any, final

from scalewatch.detect.state import Stateful
from scalewatch.finding import Evidence, Finding, Kind, Phase, Severity

__all__ = ["IncidentState"]


@final
class IncidentState(Stateful):
    """The life of one incident: opened, perhaps escalated, closed; a finding at each of these, silence between.

    >>> incident = IncidentState(Kind.SPIKE)
    >>> incident.open(Severity.WARNING, 12, 11, "loss rose from 3.0 to 3.6", {"excess_nats": 0.6}).phase
    <Phase.OPENED: 'opened'>
    >>> incident.close(40, "loss is back at 3.0", {}).severity
    <Severity.INFO: 'info'>
    """

    STATE = ("is_open", "severity", "step", "start_step", "message", "evidence", "phase")

    def __init__(self, kind: Kind | str) -> None:
        self.kind = kind
        self.is_open = False
        self.severity = ""
        self.step = 0
        self.start_step = 0
        self.message = ""
        self.evidence: dict[str, Any] = {}
        self.phase = Phase.OPENED.value

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

    def reset(self) -> None:
        """End without a word: the run itself went back to before it."""
        self.is_open = False

    def current(self) -> Finding | None:
        """The newest finding of an incident that is open."""
        if not self.is_open:
            return None
        severity, phase = Severity(self.severity), Phase(self.phase)
        return Finding(self.kind, severity, self.step, self.start_step, self.message, dict(self.evidence), phase)

    def _say(self, severity: Severity, step: int, message: str, evidence: Evidence, phase: Phase) -> Finding:
        self.severity, self.step, self.message, self.evidence = severity.value, step, message, dict(evidence)
        self.phase = phase.value
        return Finding(self.kind, severity, step, min(self.start_step, step), message, dict(evidence), phase)

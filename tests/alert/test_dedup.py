"""Every reason for sending and for not sending, by its name: decisions are pure, and `now` is passed in."""

from __future__ import annotations

import copy

import pytest

from scalewatch.alert import Incident, LogEntry, Quiet, Reason, Route, Rules, SentLog, Silence, decide
from scalewatch.finding import Severity

NOW = 1_767_571_200.0  # a Monday, 00:00 UTC
WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL
ROUTE = Route(("slack",))


def incident(
    kind: str = "spike", severity: Severity = WARNING, age: float = 60.0, over: float | None = None
) -> Incident:
    """One that opened `age` seconds ago, and has been over for `over`."""
    return Incident(kind, severity, "words", 7, 7, NOW - age, None if over is None else NOW - over)


def sent(of: Incident, severity: Severity = WARNING, over: bool = False, ago: float = 400.0) -> SentLog:
    return SentLog({of.kind: LogEntry(of.opened_at, severity, over, NOW - ago)}, [NOW - ago], NOW - ago)


NEW, LONG, SHUT = incident(), incident(age=20_000.0), incident(age=1000.0, over=400.0)
WORSE = incident(severity=CRITICAL)
DIVERGES, PLATEAU = incident("divergence", age=5000.0), incident("plateau")
NOBODY = SentLog()

CASES = {
    Reason.NEW: ([NEW], NOBODY, {}),
    Reason.ESCALATED: ([WORSE], sent(WORSE, ago=1.0), {}),
    Reason.REPEAT: ([LONG], sent(LONG, ago=15_000.0), {}),
    Reason.RESOLVED: ([SHUT], sent(SHUT), {}),
    Reason.UNCHANGED: ([LONG], sent(LONG), {}),
    Reason.NEVER_TOLD: ([SHUT], NOBODY, {}),
    Reason.NO_ROUTE: ([NEW], NOBODY, {"routes": [Route(("slack",), kinds=("divergence",))]}),
    Reason.SILENCED: ([NEW], NOBODY, {"silences": [Silence(NOW + 1.0, NOW - 1.0, ("spike",))]}),
    Reason.QUIET_HOURS: ([NEW], NOBODY, {"rules": Rules(quiet=(Quiet("23:00", "01:00", zone="UTC"),))}),
    Reason.INHIBITED: ([PLATEAU, DIVERGES], sent(DIVERGES), {}),
    Reason.GROUP_WAIT: ([incident(age=10.0)], NOBODY, {}),
    Reason.COOLDOWN: ([incident("off_plan"), DIVERGES], sent(DIVERGES, ago=100.0), {}),
    Reason.BUDGET: ([NEW], SentLog(sent_at=[NOW - n for n in range(18)]), {}),
}


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_has_its_case(reason: Reason) -> None:
    """The first incident is judged so; what sends says whom about; nothing that was passed in is changed."""
    incidents, log, more = CASES[reason]
    before = copy.deepcopy((incidents, log))
    made = decide(
        incidents, log, more.get("routes", [ROUTE]), "gpt", more.get("rules", Rules()), more.get("silences", []), NOW
    )

    assert reason == made.reasons[incidents[0].kind]
    assert reason.sends == bool(made.news)
    assert before == (incidents, log)

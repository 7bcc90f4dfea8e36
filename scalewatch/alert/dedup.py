"""Whether something is sent now, and why: pure functions, with `now` passed in and a named reason.

The words are Alertmanager's (group, group wait, group interval, repeat interval, resolve, silence, inhibit), so
that people on call know them. All incidents of a run are one group. What differs: an incident that was over
before its group had waited is told all the same (a spike of ten seconds is news), and a worse severity does
not wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, final

from scalewatch.alert.rules import Route, Rules, Silence
from scalewatch.finding import Severity
from scalewatch.kinds import kind_row

__all__ = [
    "Decision",
    "Incident",
    "LogEntry",
    "Reason",
    "SentLog",
    "decide",
    "in_budget",
    "judge",
    "why_held",
]

#: Messages of the hour that are kept for what is critical.
RESERVED = 2
HOUR_SECONDS = 3600.0


@final
class Reason(StrEnum):
    """Why something is sent, or is not."""

    NEW = "it is new"
    ESCALATED = "it got worse"
    REPEAT = "it still goes on"
    RESOLVED = "it is over"
    UNCHANGED = "nothing changed since it was told"
    NEVER_TOLD = "it was over before anybody was told, so there is nothing to take back"
    NO_ROUTE = "no route takes it to this receiver"
    SILENCED = "it is silenced"
    QUIET_HOURS = "these are quiet hours"
    INHIBITED = "it follows from a worse incident that goes on"
    GROUP_WAIT = "it waits for others that may belong to it"
    COOLDOWN = "the last message of this run was too short a time ago"
    BUDGET = "the messages of this hour are used up"

    @property
    def sends(self) -> bool:
        """Whether this is a reason to send."""
        return self in _SENDING


_SENDING = frozenset({Reason.NEW, Reason.ESCALATED, Reason.REPEAT, Reason.RESOLVED})


@final
@dataclass(slots=True)
class Incident:
    """Something that goes on, or went on, in a run. Times in Unix seconds.

    Attributes:
        kind, severity, message: what, the worst it has been, the newest word.
        start_step, step: where it began, step of the newest word.
        opened_at, closed_at: when; None while it goes on.
        times: how often it opened. steps: where each phase was found, to know it again after a resume.
        confirmed: whether the monitor knows of it since it was started or rewound.
    """

    kind: str
    severity: Severity
    message: str
    start_step: int
    step: int
    opened_at: float
    closed_at: float | None = None
    times: int = 1
    steps: dict[str, int] = field(default_factory=dict)
    confirmed: bool = True

    def is_over(self, now: float, rules: Rules) -> bool:
        """Whether it has been closed for long enough to be called over."""
        return self.closed_at is not None and now - self.closed_at >= rules.resolve_after


@final
class LogEntry(NamedTuple):
    """What a receiver was told last of an incident: `opened_at` says of which."""

    opened_at: float
    severity: Severity
    over: bool
    at: float


@final
@dataclass(slots=True)
class SentLog:
    """What one receiver was sent. Times in Unix seconds.

    Attributes:
        entries: by kind, what it knows. sent_at: messages of the last hour. last_at: newest message.
        findings_counted: findings of the run that had been counted by then.
        digest_at, digest_step: newest digest, and the step of the run in it; before the first, where the run began.
        failing_since, why: since when nothing has been taken, and the last word about it; 0 and "" while it is.
        unheard: by kind, `opened_at` of an incident that a message was about which was not taken.
    """

    entries: dict[str, LogEntry] = field(default_factory=dict)
    sent_at: list[float] = field(default_factory=list)
    last_at: float = 0.0
    findings_counted: int = 0
    digest_at: float = 0.0
    digest_step: int = 0
    failing_since: float = 0.0
    why: str = ""
    unheard: dict[str, float] = field(default_factory=dict)


@final
class Decision(NamedTuple):
    """What is done now for one receiver.

    Attributes:
        reason: in a word. news: incidents that this message is about, with why. reasons: of each incident.
    """

    reason: Reason
    news: tuple[tuple[Incident, Reason], ...]
    reasons: Mapping[str, Reason]


def judge(
    incident: Incident, entry: LogEntry | None, now: float, rules: Rules, *, unheard: float | None = None
) -> Reason:
    """Return what is new about an incident to somebody who knows what is in `entry`, held back or not.

    `unheard` is when the incident began that was told of last in a message that did not arrive.
    """
    over = incident.is_over(now, rules)
    if entry is None or entry.opened_at != incident.opened_at:
        if over and unheard != incident.opened_at:
            return Reason.NEVER_TOLD
        return Reason.RESOLVED if over else Reason.NEW
    if entry.over:
        return Reason.UNCHANGED
    if over:  # a note is not taken back
        is_note = incident.severity is Severity.INFO or kind_row(incident.kind).at_once
        return Reason.UNCHANGED if is_note else Reason.RESOLVED
    if incident.severity.rank > entry.severity.rank:
        return Reason.ESCALATED
    goes_on = incident.closed_at is None
    return Reason.REPEAT if goes_on and now - entry.at >= rules.repeat_interval else Reason.UNCHANGED


def why_held(
    incident: Incident,
    others: Sequence[Incident],
    routes: Sequence[Route],
    run: str,
    rules: Rules,
    silences: Sequence[Silence],
    now: float,
) -> Reason | None:
    """Return why nothing is sent about an incident, whatever is new about it; None if it may be sent."""
    if not any(route.matches(run, incident.kind, incident.severity) for route in routes):
        return Reason.NO_ROUTE
    if any(silence.holds(incident.kind, now) for silence in silences):
        return Reason.SILENCED
    if any(quiet.holds(incident.severity, now) for quiet in rules.quiet):
        return Reason.QUIET_HOURS
    if incident.severity is not Severity.CRITICAL:
        worse = (o for o in others if incident.kind in kind_row(o.kind).inhibits and o.severity is not Severity.INFO)
        if any(not o.is_over(now, rules) for o in worse) and not incident.is_over(now, rules):
            return Reason.INHIBITED
    return None


def decide(
    incidents: Sequence[Incident],
    log: SentLog,
    routes: Sequence[Route],
    run: str,
    rules: Rules,
    silences: Sequence[Silence],
    now: float,
    *,
    flush: bool = False,
) -> Decision:
    """Decide for one receiver whether a message is sent now, and about what.

    Args:
        incidents: of the run. log: what the receiver was sent. routes: those that lead to it.
        run: name. silences: in force or not. now: Unix seconds. flush: the run ends: nothing waits for others.
    """
    reasons: dict[str, Reason] = {}
    for incident in incidents:
        kind = incident.kind
        reason = judge(incident, log.entries.get(kind), now, rules, unheard=log.unheard.get(kind))
        if reason.sends:
            reason = why_held(incident, incidents, routes, run, rules, silences, now) or reason
        reasons[incident.kind] = reason
    news = tuple((i, reasons[i.kind]) for i in incidents if reasons[i.kind].sends)
    if not news:
        held = [r for r in reasons.values() if r not in {Reason.UNCHANGED, Reason.NEVER_TOLD}]
        return Decision(held[0] if held else Reason.UNCHANGED, (), reasons)
    urgent = any(r is Reason.ESCALATED or (r is Reason.NEW and i.severity is Severity.CRITICAL) for i, r in news)
    waits = None if urgent or flush else _waits(news, incidents, log, rules, now)
    if waits is None and not in_budget(log, rules, now, critical=any(i.severity is Severity.CRITICAL for i, _ in news)):
        waits = Reason.BUDGET
    if waits is not None:
        return Decision(waits, (), {**reasons, **{i.kind: waits for i, _ in news}})
    return Decision(min((r for _, r in news), key=_ORDER.index), news, reasons)


#: Of several reasons, the one that a message gives.
_ORDER = (Reason.ESCALATED, Reason.NEW, Reason.RESOLVED, Reason.REPEAT)


def _waits(
    news: Sequence[tuple[Incident, Reason]], incidents: Sequence[Incident], log: SentLog, rules: Rules, now: float
) -> Reason | None:
    known = [
        i for i in incidents if (entry := log.entries.get(i.kind)) and entry.opened_at == i.opened_at and not entry.over
    ]
    if known:
        return Reason.COOLDOWN if 0 <= now - log.last_at < rules.group_interval else None
    return Reason.GROUP_WAIT if 0 <= now - min(i.opened_at for i, _ in news) < rules.group_wait else None


def in_budget(log: SentLog, rules: Rules, now: float, *, critical: bool) -> bool:
    """Return whether a receiver may get one more message in this hour."""
    used = sum(now - HOUR_SECONDS < at <= now for at in log.sent_at)
    reserved = 0 if critical else min(RESERVED, rules.budget_per_hour // 4)
    return used < rules.budget_per_hour - reserved

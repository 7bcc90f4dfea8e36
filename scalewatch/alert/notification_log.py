"""The incidents of one run and what each receiver was told of them: plain data that survives a kill.

A message is written down as pending before it is sent and as sent after it, each time on the disk before the
next thing is done. So whatever the moment of a kill, a message is sent again only if nobody can know whether
it had arrived, and then it says so.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, final

from scalewatch.advice import Advice
from scalewatch.alert.dedup import Decision, Incident, LogEntry, Reason, SentLog
from scalewatch.alert.notification import (
    MAX_ADVICE,
    MAX_ITEMS,
    MAX_LABELS,
    Item,
    Notification,
    Recommendation,
    Status,
    clean,
)
from scalewatch.alert.rules import Route, Rules
from scalewatch.finding import Finding, Kind, Phase, Severity
from scalewatch.kinds import STANDS_STILL, kind_row
from scalewatch.plain import from_plain, to_plain

__all__ = ["Event", "NotificationLog", "PendingNotifications", "event_of"]

VERSION = 1
#: Kinds of incidents kept: there are 17 of findings and a few of ours.
MAX_KINDS = 64
#: A finding made again this near to where it was made before is the same one, seen again after a resume [steps]:
#: sums in another order move a detection by a few rows, and the longest persistence of a detector is 16.
REPLAY_STEPS = 16
MAX_MEMORY = 32
#: Letters kept of why a message was not taken.
MAX_WHY = 300
#: Kinds that the clock finds and not the data: no step is made; the process is gone.


@final
class Event(NamedTuple):
    """What happened to an incident: a finding, or something that only the alerts know of."""

    kind: str
    severity: Severity
    phase: Phase
    step: int
    start_step: int
    message: str


def event_of(finding: Finding) -> Event:
    """Return a finding as an event, its text cleaned."""
    return Event(
        finding.kind, finding.severity, finding.phase, finding.step, finding.start_step, clean(finding.message)
    )


@final
@dataclass(slots=True)
class PendingNotifications:
    """What one receiver was sent, what is being sent to it, and what it wants to remember.

    Attributes:
        sent: what it knows. pending: the message that is being sent; entries: what it will know then, by kind.
        memory: texts of the receiver's own, such as the thread of a run.
    """

    sent: SentLog = field(default_factory=SentLog)
    pending: Notification | None = None
    entries: dict[str, LogEntry] = field(default_factory=dict)
    memory: dict[str, str] = field(default_factory=dict)


@final
class NotificationLog:
    """The incidents of one run, and an outbox for each receiver.

    Args:
        run: name. run_id: what stays the same when the run resumes. rules: how findings become messages.
    """

    def __init__(self, run: str, run_id: str, rules: Rules) -> None:
        self.rules = rules
        self.run, self.run_id = clean(run, 200), clean(run_id, 100)
        self.incidents: dict[str, Incident] = {}
        self.outboxes: dict[str, PendingNotifications] = {}
        self.advice: tuple[Recommendation, ...] = ()
        self.findings = 0
        self.step = 0
        self._seen_to = 0
        #: Whether the run has said that it ends.
        self.ended = False

    # --- what happens -----------------------------------------------------------------------------

    def record(self, event: Event, now: float, times: int = 1) -> bool:
        """Take in what happened at `now` [Unix seconds], `times` over; whether it is news."""
        if event.kind == Kind.REWOUND:
            self._unconfirm()
            self.step = event.step
            return False
        self.step = max(self.step, event.step)
        known = self.incidents.get(event.kind)
        going_back = self._seen_to > 0 and event.step <= self._seen_to + REPLAY_STEPS
        if known is not None and going_back and event.kind not in STANDS_STILL and _is_replay(event, known):
            known.confirmed = True
            return False
        if event.phase is not Phase.CLOSED:
            self.findings += times
        if event.phase is Phase.CLOSED:
            if known is None or known.closed_at is not None:
                return False
            known.closed_at, known.step, known.message = now, event.step, event.message
            known.steps[event.phase.value] = event.step
            known.confirmed = True
            return True
        return self._opened(event, known, now, times)

    def _opened(self, event: Event, known: Incident | None, now: float, times: int) -> bool:
        steps = {event.phase.value: event.step}
        if known is None or self._has_ended(known, now):
            if known is None and len(self.incidents) >= MAX_KINDS:
                return False
            _, severity, _, step, start, message = event
            kind = str(event.kind)  # a checkpoint holds plain values: torch refuses to load an enum
            made = Incident(kind, severity, message, start, step, now, times=times, steps=steps)
            made.closed_at = now if kind_row(kind).at_once else None
            self.incidents[kind] = made
            return True
        if event.phase is Phase.OPENED and (known.closed_at is not None or times > 1):
            known.times += times  # it flaps: one incident, until somebody was told that it is over
        if known.closed_at is not None or event.severity.rank >= known.severity.rank:
            known.message = event.message  # else a second detector says something milder about the same
        known.closed_at, known.confirmed = now if kind_row(event.kind).at_once else None, True
        known.step = event.step
        known.steps = {**known.steps, **steps}
        known.steps.pop(Phase.CLOSED.value, None)
        known.severity = max(known.severity, event.severity, key=lambda s: s.rank)
        return True

    def _has_ended(self, incident: Incident, now: float) -> bool:
        """Whether what comes now is another incident of this kind."""
        entries = [outbox.sent.entries.get(incident.kind) for outbox in self.outboxes.values()]
        mine = [t for t in entries if t is not None and t.opened_at == incident.opened_at]
        is_note = incident.severity is Severity.INFO or kind_row(incident.kind).at_once
        closed = incident.is_over(now, self.rules) and (not mine or is_note)
        return closed or any(t.over for t in mine)

    def set_advice(self, advice: Sequence[Advice]) -> None:
        """Keep what is advised now."""
        self.advice = tuple(
            Recommendation(
                a.action.value,
                clean(a.reason),
                a.evidence_grade.value,
                a.expected_gain,
                a.gain_interval,
                clean(a.would_change),
                a.unit,
            )
            for a in advice[:MAX_ADVICE]
        )

    def _unconfirm(self) -> None:
        """The run went back: what it says until it is where it was may have been said before."""
        self._seen_to = max(self._seen_to, self.step)
        for incident in self.incidents.values():
            if incident.closed_at is None:
                incident.confirmed = False

    def close_unseen(self, step: int, now: float) -> bool:
        """Close what the run, now at `step`, has passed again without seeing it; whether there was any."""
        gone = [
            i
            for i in self.incidents.values()
            if not i.confirmed and i.closed_at is None and step > i.step + REPLAY_STEPS
        ]
        for incident in gone:
            incident.closed_at, incident.confirmed = now, True
            incident.message = f"not seen again after the run went back: {incident.message}"[:600]
        return bool(gone)

    def drop_old(self, now: float) -> None:
        """Drop incidents that were over two repeat intervals ago, as Alertmanager does."""
        keep = 2 * max(self.rules.repeat_interval, self.rules.resolve_after)
        old = [k for k, i in self.incidents.items() if i.closed_at is not None and now - i.closed_at > keep]
        for kind in old:
            del self.incidents[kind]
            for outbox in self.outboxes.values():
                outbox.sent.entries.pop(kind, None)

    # --- messages ---------------------------------------------------------------------------------

    def draft(self, status: Status, severity: Severity, now: float, routes: Sequence[Route]) -> Notification:
        """Return an empty message about this run."""
        labels = {clean(k, 40): clean(v, 100) for route in routes for k, v in route.labels.items()}
        return Notification(
            id=uuid.uuid4().hex,
            status=status,
            severity=severity,
            run=self.run,
            run_id=self.run_id,
            step=self.step,
            at_unix_s=now,
            link=self.rules.link,
            labels=tuple(labels.items())[:MAX_LABELS],
        )

    def compose(
        self, outbox: PendingNotifications, decision: Decision, now: float, routes: Sequence[Route]
    ) -> tuple[Notification, dict[str, LogEntry]]:
        """Return the message for a decision to send, and what the receiver will then know."""
        news = {incident.kind for incident, _ in decision.news}
        entries = {
            i.kind: LogEntry(i.opened_at, i.severity, reason is Reason.RESOLVED, now) for i, reason in decision.news
        }
        context = [
            i
            for i in self.incidents.values()
            if i.kind not in news and i.kind in outbox.sent.entries and i.closed_at is None
        ]
        everything = [*(i for i, _ in decision.news), *context]
        everything.sort(key=lambda i: (i.kind not in news, i.closed_at is not None, -i.severity.rank, i.start_step))
        items = tuple(
            Item(
                i.kind,
                i.severity,
                entries[i.kind].over if i.kind in entries else False,
                i.message
                if i.closed_at is None or kind_row(i.kind).at_once or (i.kind in entries and entries[i.kind].over)
                else f"{i.message} (for now)",
                i.start_step,
                i.step,
                i.opened_at,
                i.times,
                i.kind in news,
            )
            for i in everything[:MAX_ITEMS]
        )
        firing = [i for i in items if not i.over]
        worst = max((i.severity for i in firing or items), key=lambda s: s.rank)
        status = Status.FIRING if firing else Status.RESOLVED
        taken = [r for r in routes if any(r.matches(self.run, i.kind, i.severity) for i, _ in decision.news)]
        calls = tuple(dict.fromkeys(who for r in taken for who in r.mentions)) if firing else ()
        folded = max(0, self.findings - outbox.sent.findings_counted - sum(i.times for i, _ in decision.news))
        made = replace(
            self.draft(status, worst if firing else Severity.INFO, now, taken),
            reason=decision.reason.value + ".",
            items=items,
            advice=self.advice if firing else (),
            folded=folded,
            mentions=calls,
        )
        return made, entries

    # --- as plain data ----------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "version": VERSION,
            "run": self.run,
            "run_id": self.run_id,
            "step": self.step,
            "seen_to": self._seen_to,
            "ended": self.ended,
            "findings": self.findings,
            "advice": to_plain(self.advice),
            "incidents": [
                [
                    i.kind,
                    i.severity.value,
                    i.message,
                    i.start_step,
                    i.step,
                    i.opened_at,
                    i.closed_at,
                    i.times,
                    dict(i.steps),
                ]
                for i in self.incidents.values()
            ],
            "outboxes": {name: _outbox_to_json(outbox) for name, outbox in self.outboxes.items()},
        }

    def load(self, state: object) -> bool:
        """Go on from what `to_json` returned; False, and nothing changed, if it was something else.

        What was pending is sent once more, marked as a possible repeat.
        """
        try:
            return self._loaded(state)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
            return False

    def _loaded(self, state: Any) -> bool:
        if state["version"] != VERSION or state["run_id"] != self.run_id:
            return False
        incidents = {}
        for kind, severity, message, start, step, opened, closed, times, steps in state["incidents"][:MAX_KINDS]:
            found = {str(k): int(v) for k, v in steps.items()}
            end = None if closed is None else float(closed)
            incidents[str(kind)] = Incident(
                str(kind),
                Severity(severity),
                str(message),
                int(start),
                int(step),
                float(opened),
                end,
                int(times),
                found,
                False,
            )
        boxes = {str(name): _outbox_from_json(outbox) for name, outbox in state["outboxes"].items()}
        advice = tuple(from_plain(Recommendation, each) for each in state["advice"][:MAX_ADVICE])
        self.findings, self.step = int(state["findings"]), int(state["step"])
        self.incidents, self.outboxes, self.advice = incidents, boxes, advice
        self._seen_to, self.ended = int(state["seen_to"]), bool(state.get("ended", False))
        self._unconfirm()
        return True


def _is_replay(event: Event, known: Incident) -> bool:
    """Whether it is in the log already: what was seen before a crash is seen again after the resume."""
    at = known.steps.get(event.phase.value)
    seen = at is not None and abs(event.step - at) <= REPLAY_STEPS
    doubted = not known.confirmed if known.closed_at is None else Phase.CLOSED.value in known.steps
    return seen and doubted and event.severity.rank <= known.severity.rank


def _outbox_to_json(outbox: PendingNotifications) -> dict[str, Any]:
    return {
        "sent_entries": {k: [t.opened_at, t.severity.value, t.over, t.at] for k, t in outbox.sent.entries.items()},
        "sent_at": list(outbox.sent.sent_at),
        "last_at": outbox.sent.last_at,
        "findings_counted": outbox.sent.findings_counted,
        "digest": [outbox.sent.digest_at, outbox.sent.digest_step],
        "failing": [outbox.sent.failing_since, outbox.sent.why],
        "unheard": dict(outbox.sent.unheard),
        "pending": None if outbox.pending is None else outbox.pending.to_json(),
        "entries": {k: [t.opened_at, t.severity.value, t.over, t.at] for k, t in outbox.entries.items()},
        "memory": dict(list(outbox.memory.items())[-MAX_MEMORY:]),
    }


def _outbox_from_json(data: Mapping[str, Any]) -> PendingNotifications:
    def entries(table: Mapping[str, Any]) -> dict[str, LogEntry]:
        return {str(k): LogEntry(float(o), Severity(s), bool(v), float(at)) for k, (o, s, v, at) in table.items()}

    digest_at, digest_step = data.get("digest", (0.0, 0))
    failing_since, why = data.get("failing", (0.0, ""))
    sent = SentLog(
        entries(data["sent_entries"]),
        [float(at) for at in data["sent_at"]][-1000:],
        float(data["last_at"]),
        int(data["findings_counted"]),
        float(digest_at),
        int(digest_step),
        float(failing_since),
        str(why)[:MAX_WHY],
        {str(kind): float(at) for kind, at in data.get("unheard", {}).items()},
    )
    pending = None if data["pending"] is None else replace(Notification.from_json(data["pending"]), may_repeat=True)
    memory = {str(k): str(v) for k, v in data["memory"].items()}
    return PendingNotifications(sent, pending, entries(data["entries"]), memory)

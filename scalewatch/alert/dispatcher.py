"""The door of the alerts: findings in on the training thread, messages out on a thread of their own.

The training thread appends to a bounded queue and never waits. Everything else, decisions, disk and network, is
done on one daemon thread, which takes one attempt at a time: a receiver that hangs costs the others five seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, final

from scalewatch.advice import Advice
from scalewatch.alert.dedup import decide, in_budget
from scalewatch.alert.delivery import ATTEMPT_SECONDS, Counters, DeliveryQueue
from scalewatch.alert.digest import ForecastRow, digest_due, digest_headline, digest_rows
from scalewatch.alert.forecast_alerts import HasForecast, advice_event, target_event
from scalewatch.alert.inbox import Inbox
from scalewatch.alert.notification import Status, clean
from scalewatch.alert.notification_log import Event, NotificationLog, PendingNotifications, event_of
from scalewatch.alert.progress import Progress
from scalewatch.alert.receiver import Receiver
from scalewatch.alert.rules import Route, Rules, Silence
from scalewatch.alert.run_files import RunFiles
from scalewatch.alert.stall import StallDetector, SteadyClock
from scalewatch.finding import Finding, Phase, Severity
from scalewatch.guard import Guard
from scalewatch.kinds import STANDS_STILL, EventKind
from scalewatch.run import Run
from scalewatch.worker import Worker, abandon_in_forked_children

__all__ = ["Dispatcher"]

#: How often decisions are looked at [s].
INTERVAL_SECONDS = 0.5
#: Part of the closing time that one attempt may take, so that the next receiver has a chance.
CLOSING_SHARE = 0.6
#: Rows of the end that its title says too, and rows that a message of the end has at most.
IN_TITLE, MAX_ROWS = ("run", "ended", "health"), 20
#: Messages that one receiver gets at the end, one after another: what was held back, and that it is the end.
MAX_CLOSING_MESSAGES = 4
#: A run that has just begun or resumed has no digest yet [s].
FIRST_DIGEST_SECONDS = 600.0


class _End(NamedTuple):
    """What is told of the end of a run."""

    headline: str
    severity: Severity
    rows: Sequence[tuple[str, str]]


@final
class _Life:
    """Where a run is between its begin and its end; the training thread writes it."""

    def __init__(self) -> None:
        self.begun = self.announced = self.inert = False
        self.end: _End | None = None
        #: By when everything has to be sent [monotonic s]; None while the run goes on.
        self.deadline: float | None = None


@final
class Dispatcher:
    """Turns the findings of one run into messages.

    Args:
        run: what is trained. run_id: what stays the same when it resumes.
        receivers: by name, as `make_receivers` makes them. rules: what goes where and when.
        folder: where the state and the silences are kept; None to keep them in memory. While another process has
            it locked, nothing is sent from here; when that one ends, this one goes on from what it has told.
        state: `state()` as a checkpoint held it; the file in `folder` is used if it is newer.
        clock: Unix time that never goes back [s].

    >>> from scalewatch import Kind, Run
    >>> from scalewatch.alert import Rules
    >>> dispatcher = Dispatcher(Run("demo"), "1", {}, Rules.to("slack"))
    >>> dispatcher.submit([Finding(Kind.SPIKE, Severity.WARNING, 7, 7, "up")], [])
    >>> dispatcher.tick()
    >>> dispatcher.log.incidents["spike"].step
    7
    """

    def __init__(
        self,
        run: Run,
        run_id: str,
        receivers: Mapping[str, Receiver],
        rules: Rules,
        *,
        folder: Path | None = None,
        state: object = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.rules = rules
        self.log = NotificationLog(run.name, run_id, rules)
        self._clock = SteadyClock() if clock is None else clock
        self._files = RunFiles(folder)
        self._load(state)
        self.queues = [
            DeliveryQueue(name, receiver, self._outbox(name), self._save) for name, receiver in receivers.items()
        ]
        self.inbox = Inbox()
        self._progress = Progress(run.total_steps, forecasts=bool(rules.thresholds or rules.digest))
        self._life = _Life()
        self._stall_detector = self._new_detector()
        self._dirty = False
        self._worker = Worker(INTERVAL_SECONDS, "scalewatch-alert", guard=Guard())
        self._worker.add("alerts", self.tick, finish=self._files.release)
        abandon_in_forked_children(self)

    def _load(self, state: object) -> None:
        states = [s for s in (self._files.read(), state) if isinstance(s, Mapping)]
        states.sort(key=_newness, reverse=True)
        any(self.log.load(s) for s in states)  # what is of another run, or cannot be read, is left aside

    def _outbox(self, name: str) -> PendingNotifications:
        return self.log.outboxes.setdefault(name, PendingNotifications())

    def _routes(self, queue: DeliveryQueue) -> tuple[Route, ...]:
        return self.rules.for_receiver(queue.name, self.log.run)

    def _new_detector(self) -> StallDetector:
        known = [self.log.incidents.get(kind) for kind in STANDS_STILL]
        stopped = next((i.kind for i in known if i is not None and i.closed_at is None), "")
        return StallDetector(self.rules.stall_after, self._clock(), stopped)

    @property
    def sends(self) -> bool:
        """Whether the alerts of this run are sent from here."""
        return self._files.owned

    # --- on the training thread: nothing here waits ------------------------------------------------

    def observe(self, step: int, loss: float) -> None:
        """Note that a step was made."""
        self._progress.add(step, loss)

    def submit(self, findings: Sequence[Finding], advice: Sequence[Advice]) -> None:
        """Take in what was found, and what is advised now."""
        if self._life.inert:
            return
        self.inbox.advice = advice
        for finding in findings:
            self.inbox.put(event_of(finding))
        self._worker.wake()

    def submit_event(self, event: Event) -> None:
        """Take in what no detector found."""
        self.inbox.put(event)
        self._worker.wake()

    @property
    def forecast_due(self) -> float:
        """Step at which a forecast is wanted next; never without a threshold or a digest in the rules."""
        return self._progress.forecast_due

    def postpone_forecast(self) -> None:
        """Take note that the forecast that is due was asked for, and is to come."""
        self._progress.postpone()

    def submit_forecast(self, forecast: HasForecast | None) -> None:
        """Hold a forecast against the targets in the rules."""
        self._progress.postpone()
        if forecast is None or self._life.inert:
            return
        low, high = forecast.interval(0.8)
        self._progress.forecast = ForecastRow(forecast.final_loss, low, high)
        event = target_event(forecast, self.rules.thresholds, self.log.incidents.get(EventKind.TARGET))
        if event is not None:
            self.submit_event(event)

    def submit_advice(self, ahead: Sequence[Advice]) -> None:
        """Have told what is advised from the forecast, while nothing is wrong."""
        if ahead and not self._life.inert:
            self.submit_event(advice_event(ahead, max(self._progress.step, 0)))

    def submit_act(self, text: str, step: int, since: int, *, loud: bool) -> None:
        """Have told what is done to the run; worth waking someone where `loud`, else a note."""
        if not self._life.inert:
            severity = Severity.WARNING if loud else Severity.INFO
            self.submit_event(Event(EventKind.ACT, severity, Phase.OPENED, step, since, clean(text)))

    def begin(self, open_findings: Sequence[Finding] = ()) -> None:
        """Start the thread; `open_findings` are the incidents that a resumed monitor knows to be open."""
        for finding in open_findings:
            if finding.phase is not Phase.CLOSED:
                self.inbox.put(event_of(finding))
        self._life.begun = True
        self._worker.start()

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint should hold, as plain data; a little behind what is on the disk at worst."""
        for _ in range(3):
            try:
                return self.log.to_json()
            except RuntimeError:  # the other thread has just added to what is being read
                continue
        return {}

    def end(self, headline: str, severity: Severity, rows: Sequence[tuple[str, str]]) -> None:
        """The run has ended: have that told, with everything that is still held back; does not wait."""
        if not self._life.inert:
            self._life.end = _End(clean(headline, 300), severity, rows)
            self._worker.wake()

    def close(self, timeout_seconds: float = 2.0) -> bool:
        """Send what there is to send, within `timeout_seconds`; whether nothing is left."""
        if self._life.inert:
            return True
        self._life.deadline = time.monotonic() + timeout_seconds
        done = self._worker.close(timeout_seconds)
        return done and not any(queue.unsent for queue in self.queues)

    def release(self, timeout_seconds: float) -> None:
        """See that its thread ends and gives the lock back, also where `close` could not."""
        self._worker.release(timeout_seconds)

    def rows(self) -> list[tuple[str, str]]:
        """What became of the messages, a row a receiver, for the table at the end."""
        if not self.sends:
            return [("alerts", f"none sent from here: {self._files.holder()} sends them")]
        rows = []
        for queue in self.queues:
            text = queue.counters.text
            text += f", {queue.unsent} not sent yet: told when the run resumes" if queue.unsent else ""
            text += f" (off: {queue.off})" if queue.off else f" ({queue.trouble})" if queue.trouble else ""
            rows.append((f"alerts to {queue.name}", text))
        return rows

    @property
    def counters(self) -> Counters:
        """What became of the messages to all receivers together."""
        return sum((queue.counters for queue in self.queues), Counters())

    def abandon(self) -> None:
        """Become inert: for a forked child, whose parent sends."""
        self._life.inert = True
        self._files.release()

    # --- in the background ------------------------------------------------------------------------

    def tick(self) -> None:
        """Take in what waits, decide, and make at most one attempt for each receiver."""
        if self._files.take_over():  # go on from what the other process has sent
            self._load(None)
            self._stall_detector = self._new_detector()
            for queue in self.queues:
                queue.adopt(self._outbox(queue.name))
        if not self._files.owned:
            return  # what is found waits in the inbox, which is bounded
        now = self._clock()
        advice, events = self.inbox.drain()
        if advice is not None:
            self.log.set_advice(advice)
        for event, times in events:
            self._dirty |= self.log.record(event, now, times)
        self._watch_steps(now)
        self._dirty |= self._stall_detector.step >= 0 and self.log.close_unseen(self._stall_detector.step, now)
        self.log.drop_old(now)
        self._announce(now)
        if self._dirty:
            self._save()
        for queue in sorted(self.queues, key=lambda queue: bool(queue.trouble)):  # one that hangs is served last
            self._serve(queue)

    def _watch_steps(self, now: float) -> None:
        step, detector, life = self._progress.step, self._stall_detector, self._life
        if step != detector.step:
            self.log.step, self.log.ended = step, False
            self._progress.first = self._progress.first or (now, step)
        stall = detector.overdue(now) if life.begun and life.end is None and step == detector.step else None
        for event in (detector.update(step, now), stall):
            if event is not None:
                self._dirty |= self.log.record(event, now)

    def _announce(self, now: float) -> None:
        if self._life.begun and not self._life.announced:
            self._life.announced = True
            for queue in self.queues:
                if queue.receiver.opens and not queue.outbox.memory and queue.is_free:
                    started = self.log.draft(Status.STARTED, Severity.INFO, now, self._routes(queue))
                    queue.put(replace(started, headline=f"watched from step {self.log.step:,}"))
        end, self._life.end = self._life.end, None
        if end is None:
            return
        self.log.ended = self._dirty = True
        rows = [
            (clean(label, 60), clean(text.replace("   ", ", "), 300))
            for label, text in end.rows
            if label not in IN_TITLE
        ]
        for queue in self.queues:
            routes = [route for route in self._routes(queue) if _takes_end(route, end.severity)]
            if routes:
                draft = self.log.draft(Status.ENDED, end.severity, now, routes)
                shown, curve = tuple(rows[:MAX_ROWS]), self._curve()
                queue.put(replace(draft, headline=end.headline, rows=shown, advice=self.log.advice, curve=curve))

    def _serve(self, queue: DeliveryQueue) -> None:
        closing = self._life.deadline is not None
        if closing:
            queue.hurry()
        for _ in range(MAX_CLOSING_MESSAGES if closing else 1):
            now = self._clock()
            if queue.is_due(now) and queue.outbox.pending is None and (queue.is_free or closing):
                self._decide(queue, now, flush=closing)
            if not queue.step(now, self.log.findings, timeout=self._time_for(queue)) or queue.trouble:
                return
            if closing:
                queue.hurry()

    def _decide(self, queue: DeliveryQueue, now: float, *, flush: bool) -> None:
        routes = self._routes(queue)
        incidents = list(self.log.incidents.values())
        silences = self._files.silences.read()
        made = decide(incidents, queue.outbox.sent, routes, self.log.run, self.rules, silences, now, flush=flush)
        if made.news:
            notification, entries = self.log.compose(queue.outbox, made, now, routes)
            queue.begin(replace(notification, curve=self._curve()), entries)
        elif not flush and self._progress.first is not None:
            self._digest(queue, silences, now, self._progress.first)

    def _digest(self, queue: DeliveryQueue, silences: Sequence[Silence], now: float, first: tuple[float, int]) -> None:
        if now - first[0] < FIRST_DIGEST_SECONDS:
            return
        sent, routes, total_steps = queue.outbox.sent, self._routes(queue), self._progress.total_steps
        if not sent.digest_at:  # a day after it began, not at once
            sent.digest_at, sent.digest_step = first
            self._dirty = True
        is_due = digest_due(sent, self.rules, routes, silences, now)
        if not (is_due and in_budget(sent, self.rules, now, critical=False)):
            return
        incidents, step, curve = list(self.log.incidents.values()), self.log.step, self._curve()
        bad = [i.severity for i in incidents if i.closed_at is None]
        draft = self.log.draft(Status.DIGEST, max(bad, default=Severity.INFO, key=lambda s: s.rank), now, routes)
        since, before = max((sent.digest_at, sent.digest_step), first)
        rows = digest_rows(incidents, curve, self._progress.forecast, (step, before, total_steps), since, now)
        headline = digest_headline(incidents, step, total_steps)
        advice = self.log.advice if bad else ()
        queue.begin(replace(draft, headline=headline, rows=rows, advice=advice, curve=curve), {})

    def _time_for(self, queue: DeliveryQueue) -> float:
        if self._life.deadline is None:
            return ATTEMPT_SECONDS
        left = self._life.deadline - time.monotonic()
        return max(0.05, left if len(self.queues) == 1 else CLOSING_SHARE * left)

    def _curve(self) -> tuple[tuple[int, float], ...]:
        return self._progress.losses.points()

    def _save(self) -> None:
        self._dirty = False
        self._files.write(self.log.to_json())


def _newness(state: Mapping[str, Any]) -> tuple[float, int]:
    """How new a state is: by its newest message, then by its step."""
    try:
        boxes = state["outboxes"].values()
        return max((float(outbox["last_at"]) for outbox in boxes), default=0.0), int(state["step"])
    except (LookupError, TypeError, ValueError, AttributeError):
        return -1.0, 0


def _takes_end(route: Route, severity: Severity) -> bool:
    """Whether the end of a run goes this way: a crash as its severity says, a planned end unless it is a pager's."""
    return route.ends and (severity.rank >= route.severity.rank or route.severity is not Severity.CRITICAL)

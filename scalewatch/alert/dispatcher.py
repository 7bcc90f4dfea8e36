"""The door of the alerts: findings in on the training thread, messages out on a thread of their own.

The training thread appends to a bounded queue and never waits. Everything else, decisions, disk and network, is
done on one daemon thread, which takes one attempt at a time: a receiver that hangs costs the others five seconds.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

from scalewatch.advice import Advice
from scalewatch.alert.dedup import decide, in_budget
from scalewatch.alert.delivery import ATTEMPT_SECONDS, Counters, DeliveryQueue
from scalewatch.alert.digest import ForecastRow, digest_due, digest_headline, digest_rows
from scalewatch.alert.forecast_alerts import TARGET, HasForecast, advice_event, target_event
from scalewatch.alert.lock import Lock
from scalewatch.alert.loss_history import LossHistory
from scalewatch.alert.notification import Status, clean
from scalewatch.alert.notification_log import GONE, STALLED, Event, NotificationLog, PendingNotifications, event_of
from scalewatch.alert.receiver import Receiver
from scalewatch.alert.rules import Route, Rules, Silence
from scalewatch.alert.silences import SilenceFile
from scalewatch.alert.stall import StallDetector, SteadyClock
from scalewatch.alert.state_file import StateFile
from scalewatch.finding import Finding, Phase, Severity
from scalewatch.guard import Guard
from scalewatch.run import Run
from scalewatch.worker import Worker, abandon_in_forked_children

__all__ = ["LOCK_NAME", "SILENCES_NAME", "STATE_NAME", "Dispatcher"]

_log = logging.getLogger("scalewatch")

#: Names of the files beside the journal.
STATE_NAME, SILENCES_NAME, LOCK_NAME = "alerts.json", "silences.json", "alerts.lock"
#: Batches of findings that wait; beyond it they are folded, one entry a kind.
MAX_INBOX = 256
#: How often decisions are looked at [s].
INTERVAL_SECONDS = 0.5
#: Part of the closing time that one attempt may take, so that the next receiver has a chance.
CLOSING_SHARE = 0.6
#: Rows of the end that its title says too.
IN_TITLE = ("run", "ended", "health")
#: Messages that one receiver gets at the end, one after another: what was held back, and that it is the end.
MAX_CLOSING_MESSAGES = 4
#: Forecasts of a run that are held against the thresholds, and steps between two where its length is unknown.
FORECASTS, FORECAST_STEPS = 100, 1_000
#: A run that has just begun or resumed has no digest yet [s].
FIRST_DIGEST_SECONDS = 600.0


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
        self._clock = SteadyClock() if clock is None else clock
        self._lock = Lock(None if folder is None else folder / LOCK_NAME)
        #: Whether the alerts of this run are sent from here.
        self.sends = self._lock.acquire()
        if not self.sends:
            _log.warning(
                "scalewatch: %s sends the alerts of this run (%s): nothing is sent from here until it ends.",
                self._lock.holder(),
                folder,
            )
        self._file = None if folder is None else StateFile(folder / STATE_NAME)
        self._silences = SilenceFile(None if folder is None else folder / SILENCES_NAME)
        self.log = NotificationLog(run.name, run_id, rules)
        self._load(state)
        self._routes: dict[str, tuple[Route, ...]] = {}
        self.queues: list[DeliveryQueue] = []
        for name, receiver in receivers.items():
            self._routes[name] = rules.for_receiver(name, run.name)
            outbox = self.log.outboxes.setdefault(name, PendingNotifications())
            self.queues.append(DeliveryQueue(name, receiver, outbox, self._save))
        self._guard = Guard()
        self._worker = Worker(INTERVAL_SECONDS, "scalewatch-alert", guard=self._guard)
        self._worker.add("alerts", self.tick, finish=self._lock.release)
        # the training thread writes these
        self._losses = LossHistory()
        self._inbox: deque[tuple[Event, int]] = deque()
        self._folded: dict[str, tuple[Event, Event, int]] = {}
        self._folding = threading.Lock()
        self._advice: Sequence[Advice] | None = None
        self.step = -1
        self._inert = False
        self._begun = self._announced = False
        self._end: tuple[Status, Severity, str, Sequence[tuple[str, str]]] | None = None
        self._deadline: float | None = None
        self._stall_detector = self._new_detector()
        self._first: tuple[float, int] | None = None
        self._forecast: ForecastRow | None = None
        self._dirty = False
        self.taken = 0
        #: Step at which a forecast is wanted next; never without a threshold or a digest in the rules.
        self.forecast_due = 0.0 if rules.thresholds or rules.digest else math.inf
        self._total_steps = run.total_steps
        self._forecast_every = max(1, run.total_steps // FORECASTS) if run.total_steps else FORECAST_STEPS
        abandon_in_forked_children(self)

    def _load(self, state: object) -> None:
        on_disk = None if self._file is None else self._file.read()
        states = [s for s in (on_disk, state) if isinstance(s, Mapping)]
        states.sort(key=_newness, reverse=True)
        any(self.log.load(s) for s in states)  # what is of another run, or cannot be read, is left aside

    def _new_detector(self) -> StallDetector:
        known = [self.log.incidents.get(kind) for kind in (STALLED, GONE)]
        stopped = next((i.kind for i in known if i is not None and i.closed_at is None), "")
        return StallDetector(self.rules.stall_after, self._clock(), stopped)

    # --- on the training thread: nothing here waits ------------------------------------------------

    def observe(self, step: int, loss: float) -> None:
        """Note that a step was made."""
        self.step = step
        self._losses.add(step, loss)

    def submit(self, findings: Sequence[Finding], advice: Sequence[Advice]) -> None:
        """Take in what was found, and what is advised now."""
        if self._inert:
            return
        self._advice = advice
        for finding in findings:
            self._put(event_of(finding))
        self._worker.wake()

    def submit_event(self, event: Event) -> None:
        """Take in what no detector found."""
        self._put(event)
        self._worker.wake()

    def _put(self, event: Event) -> None:
        self.taken += 1
        if len(self._inbox) < MAX_INBOX or not self._folding.acquire(blocking=False):
            self._inbox.append((event, 1))
            return
        try:
            _, worst, times = self._folded.get(event.kind, (event, event, 0))
            worst = event if event.phase is not Phase.CLOSED and event.severity.rank >= worst.severity.rank else worst
            self._folded[event.kind] = (event, worst, times + (event.phase is Phase.OPENED))
        finally:
            self._folding.release()

    def submit_forecast(self, forecast: HasForecast | None) -> None:
        """Hold a forecast against the targets in the rules."""
        self.forecast_due = self.step + self._forecast_every
        if forecast is None or self._inert:
            return
        low, high = forecast.interval(0.8)
        self._forecast = ForecastRow(forecast.final_loss, low, high)
        event = target_event(forecast, self.rules.thresholds, self.log.incidents.get(TARGET))
        if event is not None:
            self.submit_event(event)

    def submit_advice(self, ahead: Sequence[Advice]) -> None:
        """Have told what is advised from the forecast, while nothing is wrong."""
        if ahead and not self._inert:
            self.submit_event(advice_event(ahead, max(self.step, 0)))

    def begin(self, open_findings: Sequence[Finding] = ()) -> None:
        """Start the thread; `open_findings` are the incidents that a resumed monitor knows to be open."""
        for finding in open_findings:
            if finding.phase is not Phase.CLOSED:
                self._put(event_of(finding))
        self._begun = True
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
        if not self._inert:
            self._end = (Status.ENDED, severity, clean(headline, 300), rows)
            self._worker.wake()

    def close(self, timeout_seconds: float = 2.0) -> bool:
        """Send what there is to send, within `timeout_seconds`; whether nothing is left."""
        if self._inert:
            return True
        self._deadline = time.monotonic() + timeout_seconds
        done = self._worker.close(timeout_seconds)
        return done and not any(queue.unsent for queue in self.queues)

    def rows(self) -> list[tuple[str, str]]:
        """What became of the messages, a row a receiver, for the table at the end."""
        if not self.sends:
            return [("alerts", f"none sent from here: {self._lock.holder()} sends them")]
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
        self._inert = True
        self._lock.release()

    # --- in the background ------------------------------------------------------------------------

    def tick(self) -> None:
        """Take in what waits, decide, and make at most one attempt for each receiver."""
        if not (self.sends or self._takes_over()):
            return  # what is found waits in the inbox, which is bounded
        now = self._clock()
        self._take_in(now)
        self._watch_steps(now)
        self._dirty |= self._stall_detector.step >= 0 and self.log.close_unseen(self._stall_detector.step, now)
        self.log.drop_old(now)
        self._announce(now)
        if self._dirty:
            self._save()
        for queue in sorted(self.queues, key=lambda o: bool(o.trouble)):  # one that hangs is served last
            self._serve(queue)

    def _take_in(self, now: float) -> None:
        with self._folding:  # for as long as two assignments take; the training thread does not wait for it
            folded, self._folded = self._folded, {}
            waiting = len(self._inbox)
        advice, self._advice = self._advice, None
        if advice is not None:
            self.log.set_advice(advice)
        for _ in range(waiting):
            event, times = self._inbox.popleft()
            self._dirty |= self.log.record(event, now, times)
        for newest, worst, times in folded.values():
            self._dirty |= self.log.record(worst, now, max(times, 1))
            self._dirty |= newest is not worst and self.log.record(newest, now, 0)

    def _takes_over(self) -> bool:
        """Go on from what another process has told, if it has ended."""
        self.sends = self._lock.acquire()
        if self.sends:
            _log.warning("scalewatch: the other process has ended: the alerts of this run are sent from here now.")
            self._load(None)
            self._stall_detector = self._new_detector()
            for queue in self.queues:
                queue.adopt(self.log.outboxes.setdefault(queue.name, PendingNotifications()))
        return self.sends

    def _watch_steps(self, now: float) -> None:
        step, detector = self.step, self._stall_detector
        if step != detector.step:
            self.log.step, self.log.ended = step, False
            self._first = self._first or (now, step)
        stalls = detector.overdue(now) if self._begun and self._end is None and step == detector.step else None
        for event in (detector.update(step, now), stalls):
            if event is not None:
                self._dirty |= self.log.record(event, now)

    def _announce(self, now: float) -> None:
        if self._begun and not self._announced:
            self._announced = True
            for queue in self.queues:
                if queue.receiver.opens and not queue.outbox.memory and queue.is_free:
                    routes = self._routes[queue.name]
                    started = self.log.draft(Status.STARTED, Severity.INFO, now, routes)
                    queue.put(replace(started, headline=f"watched from step {self.log.step:,}"))
        end, self._end = self._end, None
        if end is None:
            return
        self.log.ended = self._dirty = True
        status, severity, headline, rows = end
        for queue in self.queues:
            taken = [r for r in self._routes[queue.name] if _takes_end(r, severity)]
            if taken:
                notification = self.log.draft(status, severity, now, taken)
                shown = tuple(
                    (clean(label, 60), clean(text.replace("   ", ", "), 300))
                    for label, text in rows
                    if label not in IN_TITLE
                )
                queue.put(
                    replace(
                        notification, headline=headline, rows=shown[:20], advice=self.log.advice, curve=self._curve()
                    )
                )

    def _serve(self, queue: DeliveryQueue) -> None:
        closing = self._deadline is not None
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
        routes = self._routes[queue.name]
        incidents = list(self.log.incidents.values())
        silences = self._silences.read()
        made = decide(incidents, queue.outbox.sent, routes, self.log.run, self.rules, silences, now, flush=flush)
        if made.news:
            notification, entries = self.log.compose(queue.outbox, made, now, routes)
            queue.begin(replace(notification, curve=self._curve()), entries)
        elif not flush and self._first is not None and now - self._first[0] >= FIRST_DIGEST_SECONDS:
            self._digest(queue, silences, now)

    def _digest(self, queue: DeliveryQueue, silences: Sequence[Silence], now: float) -> None:
        log, routes, first = queue.outbox.sent, self._routes[queue.name], self._first or (now, self.log.step)
        if not log.digest_at:  # a day after it began, not at once
            log.digest_at, log.digest_step = first
            self._dirty = True
        is_due = digest_due(log, self.rules, routes, silences, now)
        if not (is_due and in_budget(log, self.rules, now, critical=False)):
            return
        incidents, step = list(self.log.incidents.values()), self.log.step
        bad = [i.severity for i in incidents if i.closed_at is None]
        made = self.log.draft(Status.DIGEST, max(bad, default=Severity.INFO, key=lambda s: s.rank), now, routes)
        since, before = max((log.digest_at, log.digest_step), first)
        rows = digest_rows(incidents, self._curve(), self._forecast, (step, before, self._total_steps), since, now)
        headline = digest_headline(incidents, step, self._total_steps)
        advice = self.log.advice if bad else ()
        queue.begin(replace(made, headline=headline, rows=rows, advice=advice, curve=self._curve()), {})

    def _time_for(self, queue: DeliveryQueue) -> float:
        if self._deadline is None:
            return ATTEMPT_SECONDS
        left = self._deadline - time.monotonic()
        return max(0.05, left if len(self.queues) == 1 else CLOSING_SHARE * left)

    def _curve(self) -> tuple[tuple[int, float], ...]:
        return self._losses.points()

    def _save(self) -> None:
        self._dirty = False
        if self._file is not None:
            self._file.write(self.log.to_json())


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

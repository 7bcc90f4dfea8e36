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
    >>> alerter = Alerter(Run("demo"), "1", {}, Rules.to("slack"))
    >>> alerter.take([Finding(Kind.SPIKE, Severity.WARNING, 7, 7, "up")], [])
    >>> alerter.round()
    >>> alerter.book.incidents["spike"].step
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
        self.sends = self._lock.take()
        if not self.sends:
            _log.warning(
                "scalewatch: %s sends the alerts of this run (%s): nothing is sent from here until it ends.",
                self._lock.holder(),
                folder,
            )
        self._file = None if folder is None else StateFile(folder / STATE_NAME)
        self._silences = SilenceFile(None if folder is None else folder / SILENCES_NAME)
        self.book = NotificationLog(run.name, run_id, rules)
        self._load(state)
        self._routes: dict[str, tuple[Route, ...]] = {}
        self.outlets: list[DeliveryQueue] = []
        for name, receiver in receivers.items():
            self._routes[name] = rules.for_receiver(name, run.name)
            box = self.book.outboxes.setdefault(name, PendingNotifications())
            self.outlets.append(DeliveryQueue(name, receiver, box, self._save))
        self._guard = Guard()
        self._worker = Worker(INTERVAL_SECONDS, "scalewatch-alert", guard=self._guard)
        self._worker.add("alerts", self.round, finish=self._lock.release)
        # the training thread writes these
        self._trace = LossHistory()
        self._inbox: deque[tuple[Event, int]] = deque()
        self._folded: dict[str, tuple[Event, Event, int]] = {}
        self._folding = threading.Lock()
        self._advice: Sequence[Advice] | None = None
        self.step = -1
        self._inert = False
        self._begun = self._announced = False
        self._end: tuple[Status, Severity, str, Sequence[tuple[str, str]]] | None = None
        self._deadline: float | None = None
        self._pace = self._new_pace()
        self._first: tuple[float, int] | None = None
        self._foretold: ForecastRow | None = None
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
        any(self.book.load(s) for s in states)  # what is of another run, or cannot be read, is left aside

    def _new_pace(self) -> StallDetector:
        known = [self.book.incidents.get(kind) for kind in (STALLED, GONE)]
        stopped = next((i.kind for i in known if i is not None and i.closed_at is None), "")
        return StallDetector(self.rules.stall_after, self._clock(), stopped)

    # --- on the training thread: nothing here waits ------------------------------------------------

    def observe(self, step: int, loss: float) -> None:
        """Note that a step was made."""
        self.step = step
        self._trace.add(step, loss)

    def take(self, findings: Sequence[Finding], advice: Sequence[Advice]) -> None:
        """Take in what was found, and what is advised now."""
        if self._inert:
            return
        self._advice = advice
        for finding in findings:
            self._put(event_of(finding))
        self._worker.wake()

    def tell(self, event: Event) -> None:
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

    def foresee(self, forecast: HasForecast | None) -> None:
        """Hold a forecast against the targets in the rules."""
        self.forecast_due = self.step + self._forecast_every
        if forecast is None or self._inert:
            return
        low, high = forecast.interval(0.8)
        self._foretold = ForecastRow(forecast.final_loss, low, high)
        event = target_event(forecast, self.rules.thresholds, self.book.incidents.get(TARGET))
        if event is not None:
            self.tell(event)

    def advise(self, ahead: Sequence[Advice]) -> None:
        """Have told what is advised from the forecast, while nothing is wrong."""
        if ahead and not self._inert:
            self.tell(advice_event(ahead, max(self.step, 0)))

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
                return self.book.to_json()
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
        return done and not any(outlet.unsent for outlet in self.outlets)

    def rows(self) -> list[tuple[str, str]]:
        """What became of the messages, a row a receiver, for the table at the end."""
        if not self.sends:
            return [("alerts", f"none sent from here: {self._lock.holder()} sends them")]
        rows = []
        for outlet in self.outlets:
            text = outlet.counters.text
            text += f", {outlet.unsent} not sent yet: told when the run resumes" if outlet.unsent else ""
            text += f" (off: {outlet.off})" if outlet.off else f" ({outlet.trouble})" if outlet.trouble else ""
            rows.append((f"alerts to {outlet.name}", text))
        return rows

    @property
    def counters(self) -> Counters:
        """What became of the messages to all receivers together."""
        return sum((outlet.counters for outlet in self.outlets), Counters())

    def abandon(self) -> None:
        """Become inert: for a forked child, whose parent sends."""
        self._inert = True
        self._lock.release()

    # --- in the background ------------------------------------------------------------------------

    def round(self) -> None:
        """Take in what waits, decide, and make at most one attempt for each receiver."""
        if not (self.sends or self._takes_over()):
            return  # what is found waits in the inbox, which is bounded
        now = self._clock()
        self._take_in(now)
        self._watch_steps(now)
        self._dirty |= self._pace.step >= 0 and self.book.settle(self._pace.step, now)
        self.book.forget(now)
        self._announce(now)
        if self._dirty:
            self._save()
        for outlet in sorted(self.outlets, key=lambda o: bool(o.trouble)):  # one that hangs is served last
            self._serve(outlet)

    def _take_in(self, now: float) -> None:
        with self._folding:  # for as long as two assignments take; the training thread does not wait for it
            folded, self._folded = self._folded, {}
            waiting = len(self._inbox)
        advice, self._advice = self._advice, None
        if advice is not None:
            self.book.advise(advice)
        for _ in range(waiting):
            event, times = self._inbox.popleft()
            self._dirty |= self.book.take(event, now, times)
        for newest, worst, times in folded.values():
            self._dirty |= self.book.take(worst, now, max(times, 1))
            self._dirty |= newest is not worst and self.book.take(newest, now, 0)

    def _takes_over(self) -> bool:
        """Go on from what another process has told, if it has ended."""
        self.sends = self._lock.take()
        if self.sends:
            _log.warning("scalewatch: the other process has ended: the alerts of this run are sent from here now.")
            self._load(None)
            self._pace = self._new_pace()
            for outlet in self.outlets:
                outlet.adopt(self.book.outboxes.setdefault(outlet.name, PendingNotifications()))
        return self.sends

    def _watch_steps(self, now: float) -> None:
        step, pace = self.step, self._pace
        if step != pace.step:
            self.book.step, self.book.ended = step, False
            self._first = self._first or (now, step)
        stalls = pace.stall(now) if self._begun and self._end is None and step == pace.step else None
        for event in (pace.look(step, now), stalls):
            if event is not None:
                self._dirty |= self.book.take(event, now)

    def _announce(self, now: float) -> None:
        if self._begun and not self._announced:
            self._announced = True
            for outlet in self.outlets:
                if outlet.receiver.opens and not outlet.box.memory and outlet.is_free:
                    routes = self._routes[outlet.name]
                    started = self.book.notice(Status.STARTED, Severity.INFO, now, routes)
                    outlet.put(replace(started, headline=f"watched from step {self.book.step:,}"))
        end, self._end = self._end, None
        if end is None:
            return
        self.book.ended = self._dirty = True
        status, severity, headline, rows = end
        for outlet in self.outlets:
            taken = [r for r in self._routes[outlet.name] if _takes_end(r, severity)]
            if taken:
                notice = self.book.notice(status, severity, now, taken)
                shown = tuple(
                    (clean(label, 60), clean(text.replace("   ", ", "), 300))
                    for label, text in rows
                    if label not in IN_TITLE
                )
                outlet.put(
                    replace(notice, headline=headline, rows=shown[:20], advice=self.book.advice, curve=self._curve())
                )

    def _serve(self, outlet: DeliveryQueue) -> None:
        closing = self._deadline is not None
        if closing:
            outlet.hurry()
        for _ in range(MAX_CLOSING_MESSAGES if closing else 1):
            now = self._clock()
            if outlet.is_due(now) and outlet.box.pending is None and (outlet.is_free or closing):
                self._decide(outlet, now, flush=closing)
            if not outlet.step(now, self.book.findings, timeout=self._time_for(outlet)) or outlet.trouble:
                return
            if closing:
                outlet.hurry()

    def _decide(self, outlet: DeliveryQueue, now: float, *, flush: bool) -> None:
        routes = self._routes[outlet.name]
        incidents = list(self.book.incidents.values())
        silences = self._silences.read()
        made = decide(incidents, outlet.box.log, routes, self.book.run, self.rules, silences, now, flush=flush)
        if made.tell:
            notice, tells = self.book.compose(outlet.box, made, now, routes)
            outlet.begin(replace(notice, curve=self._curve()), tells)
        elif not flush and self._first is not None and now - self._first[0] >= FIRST_DIGEST_SECONDS:
            self._digest(outlet, silences, now)

    def _digest(self, outlet: DeliveryQueue, silences: Sequence[Silence], now: float) -> None:
        log, routes, first = outlet.box.log, self._routes[outlet.name], self._first or (now, self.book.step)
        if not log.digest_at:  # a day after it began, not at once
            log.digest_at, log.digest_step = first
            self._dirty = True
        is_due = digest_due(log, self.rules, routes, silences, now)
        if not (is_due and in_budget(log, self.rules, now, critical=False)):
            return
        incidents, step = list(self.book.incidents.values()), self.book.step
        bad = [i.severity for i in incidents if i.closed_at is None]
        made = self.book.notice(Status.DIGEST, max(bad, default=Severity.INFO, key=lambda s: s.rank), now, routes)
        since, before = max((log.digest_at, log.digest_step), first)
        rows = digest_rows(incidents, self._curve(), self._foretold, (step, before, self._total_steps), since, now)
        headline = digest_headline(incidents, step, self._total_steps)
        advice = self.book.advice if bad else ()
        outlet.begin(replace(made, headline=headline, rows=rows, advice=advice, curve=self._curve()), {})

    def _time_for(self, outlet: DeliveryQueue) -> float:
        if self._deadline is None:
            return ATTEMPT_SECONDS
        left = self._deadline - time.monotonic()
        return max(0.05, left if len(self.outlets) == 1 else CLOSING_SHARE * left)

    def _curve(self) -> tuple[tuple[int, float], ...]:
        return self._trace.points()

    def _save(self) -> None:
        self._dirty = False
        if self._file is not None:
            self._file.write(self.book.to_json())


def _newness(state: Mapping[str, Any]) -> tuple[float, int]:
    """How new a state is: by its newest message, then by its step."""
    try:
        boxes = state["outboxes"].values()
        return max((float(box["last_at"]) for box in boxes), default=0.0), int(state["step"])
    except (LookupError, TypeError, ValueError, AttributeError):
        return -1.0, 0


def _takes_end(route: Route, severity: Severity) -> bool:
    """Whether the end of a run goes this way: a crash as its severity says, a planned end unless it is a pager's."""
    return route.ends and (severity.rank >= route.severity.rank or route.severity is not Severity.CRITICAL)

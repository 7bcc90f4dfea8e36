"""The door of the alerts: findings in on the training thread, messages out on a thread of their own.

The training thread appends to a bounded queue and never waits. Everything else, decisions, disk and network, is
done on one daemon thread, which takes one attempt at a time: a receiver that hangs costs the others five seconds.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, final

from scalewatch.advice import Advice
from scalewatch.alert.book import Book, Event, Outbox, event_of
from scalewatch.alert.decide import decide
from scalewatch.alert.notice import Status, clean
from scalewatch.alert.outlet import ATTEMPT_SECONDS, Counters, Outlet
from scalewatch.alert.receiver import Receiver
from scalewatch.alert.rules import Route, Rules
from scalewatch.alert.silences import SilenceFile
from scalewatch.alert.state_file import StateFile
from scalewatch.alert.trace import Trace
from scalewatch.finding import Finding, Phase, Severity
from scalewatch.guard import Guard
from scalewatch.run import Run
from scalewatch.worker import Worker, abandon_in_forked_children

__all__ = ["Alerter", "SteadyClock"]


#: Names of the files beside the journal.
STATE_NAME, SILENCES_NAME = "alerts.json", "silences.json"
#: Batches of findings that wait; beyond it they are folded, one entry a kind.
MAX_INBOX = 256
#: How often decisions are looked at [s].
INTERVAL_SECONDS = 0.5
#: A pause this many times longer than any before it is no validation and no checkpoint.
STALL_FACTOR = 10.0
#: Part of the closing time that one attempt may take, so that the next receiver has a chance.
CLOSING_SHARE = 0.6
#: Messages that one receiver gets at the end, one after another: what was held back, and that it is the end.
MAX_CLOSING_MESSAGES = 4
#: Forecasts of a run that are held against the thresholds.
FORECASTS = 100


@final
class SteadyClock:
    """Unix time that runs with the monotonic clock: nobody who sets the clock makes an interval long or negative."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def __call__(self) -> float:
        """Return the time [Unix seconds]."""
        return self._offset + time.monotonic()


class Foretells(Protocol):
    """A forecast of the final loss [nats/token], as far as the alerts read it."""

    @property
    def step(self) -> int:
        """Newest step it knows of."""

    @property
    def final_loss(self) -> float:
        """Its median."""

    def interval(self, level: float = 0.8) -> tuple[float, float]:
        """Return (low, high) that hold it with probability `level`."""

    def probability_below(self, loss: float) -> float:
        """Return the probability that it is below `loss`."""


@final
class Alerter:
    """Turns the findings of one run into messages.

    Args:
        run: what is trained. run_id: what stays the same when it resumes.
        receivers: by name, as `make_receivers` makes them. rules: what goes where and when.
        folder: where the state and the silences are kept; None to keep them in memory.
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
        self._file = None if folder is None else StateFile(folder / STATE_NAME)
        self._silences = SilenceFile(None if folder is None else folder / SILENCES_NAME)
        self.book = Book(run.name, run_id, rules)
        self._load(state)
        self._routes: dict[str, tuple[Route, ...]] = {}
        self.outlets: list[Outlet] = []
        for name, receiver in receivers.items():
            self._routes[name] = rules.for_receiver(name, run.name)
            box = self.book.outboxes.setdefault(name, Outbox())
            self.outlets.append(Outlet(name, receiver, box, self._save))
        self._guard = Guard()
        self._worker = Worker(INTERVAL_SECONDS, "scalewatch-alert", guard=self._guard)
        self._worker.add("alerts", self.round)
        # the training thread writes these
        self._trace = Trace()
        self._inbox: deque[tuple[Event, int]] = deque()
        self._folded: dict[str, tuple[Event, Event, int]] = {}
        self._folding = threading.Lock()
        self._advice: Sequence[Advice] | None = None
        self.step = self._step_seen = -1
        self._inert = False
        self._begun = self._announced = False
        self._end: tuple[Status, Severity, str, Sequence[tuple[str, str]]] | None = None
        self._deadline: float | None = None
        self._moved_at, self._longest_pause, self._stalled = self._clock(), 0.0, False
        self._dirty = False
        self.taken = 0
        #: Step at which a forecast is wanted next; never without a threshold in the rules.
        self.forecast_due = 0.0 if rules.thresholds else math.inf
        self._forecast_every = max(1, (run.total_steps or 0) // FORECASTS)
        abandon_in_forked_children(self)

    def _load(self, state: object) -> None:
        on_disk = None if self._file is None else self._file.read()
        states = [s for s in (on_disk, state) if isinstance(s, Mapping)]
        states.sort(key=_newness, reverse=True)
        any(self.book.load(s) for s in states)  # what is of another run, or cannot be read, is left aside

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

    def foresee(self, forecast: Foretells | None) -> None:
        """Hold a forecast against the targets in the rules."""
        self.forecast_due = self.step + self._forecast_every
        if forecast is None or self._inert:
            return
        said = [(t, 1.0 - forecast.probability_below(t.target + t.by)) for t in self.rules.thresholds]
        missed = [(t, miss) for t, miss in said if miss >= t.probability]
        known = self.book.incidents.get("target")
        if bool(missed) == (known is not None and known.closed_at is None):
            return
        worst, miss = max(missed or said, key=lambda pair: (pair[0].severity.rank, pair[1]))
        low, high = forecast.interval(0.8)
        message = (
            f"forecast {forecast.final_loss:.4g} (80 %: {low:.4g} to {high:.4g}) against a target of"
            f" {worst.target:g}: it ends more than {worst.by:g} above it with {miss:.0%}"
        )
        phase = Phase.OPENED if missed else Phase.CLOSED
        self._put(Event("target", worst.severity, phase, forecast.step, forecast.step, message))
        self._worker.wake()

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

    # --- in the background ------------------------------------------------------------------------

    def round(self) -> None:
        """Take in what waits, decide, and make at most one attempt for each receiver."""
        now = self._clock()
        self._take_in(now)
        self._watch_steps(now)
        self._dirty |= self._step_seen >= 0 and self.book.settle(self._step_seen, now)
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

    def _watch_steps(self, now: float) -> None:
        step = self.step
        if step != self._step_seen:
            self._longest_pause = max(self._longest_pause, 0.0 if self._stalled else now - self._moved_at)
            self._moved_at, self._step_seen = now, step
            self.book.step = step
            if self._stalled:
                self._stalled = False
                self._dirty |= self.book.take(
                    Event("stalled", Severity.WARNING, Phase.CLOSED, step, step, f"steps go on (step {step:,})"), now
                )
        pause = now - self._moved_at
        if self._begun and not self._stalled and self._end is None and pause > self._patience():
            self._stalled = True
            message = f"no step for {pause / 60:.0f} minutes (longest pause before: {self._longest_pause:.0f} s)"
            at = max(step, 0)
            self._dirty |= self.book.take(Event("stalled", Severity.CRITICAL, Phase.OPENED, at, at, message), now)

    def _patience(self) -> float:
        return max(self.rules.stall_after, STALL_FACTOR * self._longest_pause)

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
        status, severity, headline, rows = end
        for outlet in self.outlets:
            taken = [r for r in self._routes[outlet.name] if _takes_end(r, severity)]
            if taken:
                notice = self.book.notice(status, severity, now, taken)
                shown = tuple((clean(label, 60), clean(text.replace("   ", ", "), 300)) for label, text in rows)
                outlet.put(
                    replace(notice, headline=headline, rows=shown[:20], advice=self.book.advice, curve=self._curve())
                )

    def _serve(self, outlet: Outlet) -> None:
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

    def _decide(self, outlet: Outlet, now: float, *, flush: bool) -> None:
        routes = self._routes[outlet.name]
        incidents = list(self.book.incidents.values())
        silences = self._silences.read()
        made = decide(incidents, outlet.box.log, routes, self.book.run, self.rules, silences, now, flush=flush)
        if made.tell:
            notice, tells = self.book.compose(outlet.box, made, now, routes)
            outlet.begin(replace(notice, curve=self._curve()), tells)

    def _time_for(self, outlet: Outlet) -> float:
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

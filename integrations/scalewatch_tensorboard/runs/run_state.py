"""One run as the panel knows it: its rows in compact columns, and the monitor over them."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Iterator
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from scalewatch.advice import Advice
from scalewatch.errors import JournalError
from scalewatch.finding import Finding, Kind
from scalewatch.forecast import Forecast
from scalewatch.forecast.preregistered import BaselineForecast
from scalewatch.guard import Guard
from scalewatch.journal import advice_from, finding_from
from scalewatch.kinds import kind_row
from scalewatch.laws import CurveLaw
from scalewatch.monitor import Monitor
from scalewatch.observation import Observation
from scalewatch.offline.assumed_schedule import AssumedSchedule
from scalewatch_tensorboard.runs.columns import Columns, Rows, row_of
from scalewatch_tensorboard.runs.preview import Preview
from scalewatch_tensorboard.runs.saved_forecasts import SavedForecast, saved_forecast
from scalewatch_tensorboard.runs.source import AbstractSource
from scalewatch_tensorboard.runs.thinned_series import ThinnedSeries

__all__ = ["Columns", "RunState", "SavedForecast"]

#: Rows observed with the lock held [rows]: some 4 ms.
CHUNK_ROWS = 256
#: Looks at the forecast on the way of a run, evenly over its plan.
LOOKS = 40
#: Findings and pieces of advice kept of one run.
MOST_FINDINGS, MOST_ADVICE = 2_000, 500
#: Rows between two notes of the noise level [rows], before they are thinned.
NOISE_EVERY = 32
#: Names of measurements inside the model that are kept.
MOST_PRECURSORS = 32
#: A run to whose files nobody wrote for so long is taken as ended [s].
SILENT_SECONDS = 600.0

#: Findings among which one that a journal tells is looked for, lest it stand there twice.
MOST_REPEATED = 200

_CONSEQUENCE = "and is off for this run in TensorBoard; training is not affected"


@final
class RunState:
    """One run: read once, followed from then on.

    Args:
        name: TensorBoard's name of it. source: its log. law: to hold it against, None for none.
        plan: as it is taken to be planned, None for what the log says.
        base: another record of the same run, whose rows and findings are shared then.

    Attributes:
        lock: held by whoever reads `monitor` or changes anything here; for milliseconds.
        findings: all, oldest first. advice: as it was given, oldest first. looks: forecasts on the way.
        stage: waiting, reading, live, finished or failed. version: rises with each change.
        summary: the row of the overview, made anew by whoever follows the run.
        next_look, next_summary, next_keep: when they are due, monotonic [s]. kept: files as they were when it was kept.
        preview: of its rows, before they are watched; None when that is done.
        taken: what came from the source so far [count]. skip: what of it is known from a cache [count].
    """

    def __init__(
        self,
        name: str,
        source: AbstractSource,
        law: CurveLaw | None,
        *,
        plan: AssumedSchedule | None = None,
        base: RunState | None = None,
    ) -> None:
        self.name, self.origin = name, source
        self.run = source.run if plan is None else plan.run
        self.plan = plan
        self.guard = Guard(consequence=_CONSEQUENCE)
        self.law = law if law is not None else source.law
        self.monitor = Monitor(self.run, law=self.law, guard=self.guard, registered=source.registered)
        self.lock = threading.RLock()
        self._turn = threading.Lock()
        self.findings: list[Finding] = [] if base is None else base.findings
        self.advice: list[Advice] = []
        self.looks: list[SavedForecast] = []
        self.validations: list[tuple[int, float]] = []
        self.stage = "waiting"
        self.version = self.rows_read = 0
        self.seconds_last: float | None = None
        self.summary: dict[str, Any] = {}
        self.caught_up = False
        self.next_look = self.next_summary = self.next_keep = 0.0
        self.kept: list[tuple[str, int, int]] = []
        self.identity: list[tuple[str, int, int]] = []
        self.rows: Rows = Rows() if base is None else base.rows
        self._base = base
        self.preview: Preview | None = None
        self._newest_step: int | None = None
        self.noise_trace, self.precursor_traces = ThinnedSeries(), dict[str, ThinnedSeries]()
        self.told_by_journal = False
        self.skip = self.taken = 0
        self._reading: Iterator[Observation | int] | None = None
        total = self.run.total_steps
        self._look_every = math.inf if total is None else max(total / LOOKS, 1.0)
        self._next_look = 0.0
        if self.monitor.registered is not None:
            self._look_back(0)

    @property
    def source(self) -> str:
        """Where it comes from: "journal" or "event files"."""
        return self.origin.kind

    @property
    def rescheduled(self) -> bool:
        """Whether this is a run under another plan than its log tells."""
        return self._base is not None

    @property
    def registered(self) -> BaselineForecast | None:
        """What was promised before the first step; None without a law and a journal that says so."""
        return self.monitor.registered

    @property
    def stale(self) -> bool:
        """Whether what it was read from is no longer so; it has to be read anew."""
        return self.origin.stale or (self.caught_up and self.bytes_total < self.origin.bytes_read)

    @property
    def notes(self) -> list[str]:
        """What is to be said about the reading of its log."""
        plan = () if self.plan is None else self.plan.told
        return [
            *plan,
            *self.origin.notes,
            *(f"A part failed: {part} ({why})." for part, why in self.guard.failed.items()),
        ]

    @property
    def bytes_read(self) -> int:
        """How far the reading is [bytes]."""
        return self.origin.bytes_read if self._reading is not None or not self.caught_up else self.bytes_total

    @property
    def bytes_total(self) -> int:
        """How long its files are, as of the last look [bytes]."""
        return sum(size for _, size, _ in self.identity)

    @property
    def read(self) -> float:
        """Part of the log that has been read, 0 to 1."""
        if self.caught_up:
            return 1.0
        return min(self.bytes_read / self.bytes_total, 0.999) if self.bytes_total else 0.0

    @property
    def noise(self) -> list[tuple[int, float]]:
        """How much one row scatters, by step, thinned."""
        return self.noise_trace.pairs()

    @property
    def precursors(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Measurements inside the model by name: steps and values, thinned."""
        with self.lock:
            return {name: trace.arrays() for name, trace in self.precursor_traces.items()}

    @property
    def axes(self) -> list[str]:
        """Units that its x axis can have."""
        columns = self.columns()
        some = len(columns.steps) > 0
        tokens = self.run.tokens_per_step is not None or (some and bool(np.isfinite(columns.tokens[-1])))
        has = {
            "steps": True,
            "tokens": tokens,
            "flops": tokens and self.run.parameters is not None,
            "hours": some and bool(np.isfinite(columns.seconds[-1])),
        }
        return [axis for axis, there in has.items() if there]

    def columns(self) -> Columns:
        """Return the rows so far; a later row does not change what was returned."""
        with self.lock:
            return self.rows.columns()

    def forecast(self) -> Forecast | None:
        """Return where the run will end; None if it has ended, or nothing can be said."""
        with self.lock:
            return None if self.monitor.verdict().finished else self.monitor.forecast()

    def detectors(self) -> list[dict[str, Any]]:
        """Return each detector's name, state (quiet or open), since which step, and what it looks at."""
        with self.lock:
            return [
                {
                    "name": name,
                    "state": "quiet" if found is None else "open",
                    "severity": None if found is None else str(found.severity),
                    "since": None if found is None else found.start_step,
                    "looks_at": kind_row(kind).looks_at,
                }
                for name, kind, found in self.monitor.watch.detectors
            ]

    def advance(self, seconds: float) -> bool:
        """Read and observe what is new for about `seconds` [s]; return whether there is more at once."""
        if not self._turn.acquire(blocking=False):
            return True  # somebody else reads it just now
        try:
            return self._advance(time.perf_counter() + seconds)
        finally:
            self._turn.release()

    def _advance(self, end: float) -> bool:
        if self._reading is None:
            before, self.identity = self.identity, self.origin.identity()
            if self.caught_up and before == self.identity and self._base is None:
                self.settle()
                return False
            self._reading = self.origin.rows()
            if not self.caught_up:
                self.stage = "reading"
        while True:
            chunk = list(itertools.islice(self._reading, CHUNK_ROWS))
            with self.lock:
                self._take(chunk)
            if len(chunk) < CHUNK_ROWS:
                with self.lock:
                    self._reading = None
                    self.caught_up = True
                    self.settle()
                return False
            if time.perf_counter() >= end:
                return True

    def resume_at(self, rows: Rows, taken: int, rows_read: int) -> None:
        """Go on after the first `taken` things of the source, which gave `rows`; the monitor is there already."""
        self.rows, self.taken, self.skip, self.rows_read = rows, taken, taken, rows_read
        self._newest_step = self.monitor.step
        self._next_look = (math.floor(self.monitor.step / self._look_every) + 1) * self._look_every
        self.caught_up, self.version = True, self.version + 1
        self.settle()

    def settle(self) -> None:
        """Say at which stage the run is, after its log was read to the present end."""
        newest = max((changed for _, _, changed in self.identity), default=0) / 1e9
        total = self.run.total_steps
        ended = total is not None and (self._newest_step or 0) >= total
        silent = time.time() - newest > SILENT_SECONDS
        self.stage = "waiting" if not len(self.rows) else "finished" if ended or silent else "live"

    def fail(self, why: str) -> None:
        """Give the run up."""
        self.stage, self.caught_up, self._reading = "failed", True, None
        self.guard.failed.setdefault("reading", why)
        self.version += 1

    def _take(self, chunk: list[Observation | int]) -> None:
        known = min(self.skip, len(chunk))
        self.skip -= known
        self.taken += len(chunk) - known
        if known and self.skip:
            self.origin.entries.clear()
        for row in chunk[known:]:
            if isinstance(row, int):
                self._resume(row)
            else:
                self._observe(row)
        while self.origin.entries:
            self._told(self.origin.entries.popleft())
        if chunk:
            self.version += 1

    def _resume(self, after_step: int) -> None:
        if self._newest_step is not None and self._newest_step > after_step:
            if self._base is None:
                self.rows.rewind(after_step + 1)
            self._newest_step = after_step
            self._look_back(after_step)

    def _observe(self, row: Observation) -> None:
        monitor, before = self.monitor, self._newest_step
        found = monitor.observe(row)
        self.rows_read += 1
        self._newest_step = step = monitor.step
        if before is not None and step < before:
            self._look_back(step - 1)
        if row.validation_loss is not None:
            self.validations.append((step, float(row.validation_loss)))
        if self._base is None and not (row.loss != row.loss and before == step):
            self.rows.put(row_of(row, step, monitor.watch.sigmas))
        for finding in found if self._base is None and not self.told_by_journal else ():
            self._keep(finding)
        if row.seconds is not None:
            self.seconds_last = row.seconds
        if self.rows_read % NOISE_EVERY == 0 and (noise := monitor.watch.noise) is not None:
            self.noise_trace.add(step, noise)
        if row.precursors:
            for name, value in row.precursors.items():
                if name in self.precursor_traces or len(self.precursor_traces) < MOST_PRECURSORS:
                    self.precursor_traces.setdefault(name, ThinnedSeries()).add(step, value)
        if step >= self._next_look:
            self._look(step)

    def _keep(self, finding: Finding) -> None:
        if len(self.findings) >= MOST_FINDINGS:
            # what pages is kept longest, and of that the first
            place = next((n for n, f in enumerate(self.findings) if not f.pages), len(self.findings) // 2)
            del self.findings[place]
        self.findings.append(finding)

    def _told(self, record: dict[str, Any]) -> None:
        """Take what a journal says besides rows: what was said then counts, and is not found anew."""
        try:
            if record.get("type") == "finding":
                finding = finding_from(record)
                if finding in self.findings[-MOST_REPEATED:]:
                    return
                if not self.told_by_journal:
                    self.told_by_journal = True
                    self.findings = [f for f in self.findings if f.step < finding.step and f.kind is not finding.kind]
                self._keep(finding)
            elif record.get("type") == "advice" and len(self.advice) < MOST_ADVICE:
                self._advise(advice_from(record))
        except JournalError:
            pass

    def _advise(self, advice: Advice) -> None:
        newest = next((a for a in reversed(self.advice) if a.action is advice.action), None)
        if newest is None or newest.reason != advice.reason:
            self.advice.append(advice)

    def _look(self, step: int) -> None:
        """Keep the forecast of now, and the advice."""
        self._next_look = (math.floor(step / self._look_every) + 1) * self._look_every
        forecast = self.monitor.forecast()
        if forecast is not None:
            self.looks = [look for look in self.looks if look.step < step]
            self.looks.append(saved_forecast(forecast)._replace(step=step))
        for advice in self.monitor.advice():
            if len(self.advice) < MOST_ADVICE:
                self._advise(advice)

    def _look_back(self, step: int) -> None:
        """Forget what was noted of steps after `step`; findings stay."""
        self.looks = [look for look in self.looks if look.step <= step]
        self.validations = [pair for pair in self.validations if pair[0] <= step]
        for trace in (self.noise_trace, *self.precursor_traces.values()):
            trace.rewind(step + 1)
        self._next_look = (math.floor(step / self._look_every) + 1) * self._look_every
        if step <= 0:
            self._look(0)

    def newest_look(self) -> None:
        """Add the forecast of the newest step to the looks, and the advice of now, once the log is read."""
        step = self._newest_step
        if step is None or (self.looks and self.looks[-1].step >= step):
            return
        before, self._next_look = self._next_look, math.inf
        if self.looks and self.looks[-1].step % max(round(self._look_every), 1):
            newest = self.looks[-1]
            if newest.step < step and step - newest.step < self._look_every:
                self.looks.pop()  # the newest of before, on no even place
        self._look(step)
        self._next_look = before

    def worst(self) -> bool:
        """Whether something was found that was worth waking someone."""
        return any(f.pages and f.kind is not Kind.REWOUND for f in self.findings)

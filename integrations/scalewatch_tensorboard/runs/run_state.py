"""One run as the panel knows it: its rows in compact columns, and the monitor over them."""

from __future__ import annotations

import itertools
import math
import threading
import time
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from scalewatch.errors import JournalError
from scalewatch.finding import Finding
from scalewatch.forecast.preregistered import BaselineForecast
from scalewatch.guard import Guard
from scalewatch.journal import LOGGED, advice_from, finding_from, logged_in
from scalewatch.kinds import kind_row
from scalewatch.laws import CurveLaw
from scalewatch.monitor import Monitor
from scalewatch.observation import Observation
from scalewatch.offline.assumed_schedule import AssumedSchedule
from scalewatch.tracker import Tracker
from scalewatch_tensorboard.runs.columns import Columns, Rows, row_of
from scalewatch_tensorboard.runs.run_parts import ChartData, Reading, Upkeep
from scalewatch_tensorboard.runs.saved_forecasts import SavedForecast, saved_forecast
from scalewatch_tensorboard.runs.source import AbstractSource
from scalewatch_tensorboard.runs.thinned_series import ThinnedSeries

__all__ = ["Columns", "RunState", "SavedForecast"]

#: Rows observed with the lock held [rows]: some 4 ms.
CHUNK_ROWS = 256
#: Looks at the forecast on the way of a run, evenly over its plan.
LOOKS = 40
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
        lock: held by whoever reads the tracker or changes anything here; for milliseconds.
        tracker: drives the monitor over its rows. stage: waiting, reading, live, finished or failed.
        rows: in compact columns. charts: what is kept beside them for charts. reading: how far its log has been read.
        upkeep: what who follows it keeps of it.
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
        # what was registered is of the journal's law: a law that was named takes its place, here and everywhere
        used, registered = (source.law, source.registered) if law is None else (law, None)
        self.tracker = Tracker(Monitor(self.run, law=used, guard=self.guard, registered=registered))
        self.lock = threading.RLock()
        self.stage = "waiting"
        self.rows: Rows = Rows() if base is None else base.rows
        self.charts, self.reading, self.upkeep = ChartData(), Reading(None if base is None else base.findings), Upkeep()
        if self.tracker.monitor.registered is not None:
            self._look_back(0)

    @property
    def findings(self) -> list[Finding]:
        """All that were made, oldest first."""
        shared = self.reading.shared
        return self.tracker.findings if shared is None else shared

    @property
    def _look_every(self) -> float:
        total = self.run.total_steps
        return math.inf if total is None else max(total / LOOKS, 1.0)

    @property
    def source(self) -> str:
        """Where it comes from: "journal" or "event files"."""
        return self.origin.kind

    @property
    def rescheduled(self) -> bool:
        """Whether this is a run under another plan than its log tells."""
        return self.reading.shared is not None

    @property
    def registered(self) -> BaselineForecast | None:
        """What was promised before the first step; None without a law and a journal that says so."""
        return self.tracker.monitor.registered

    @property
    def stale(self) -> bool:
        """Whether what it was read from is no longer so; it has to be read anew."""
        return self.origin.stale or (self.reading.caught_up and self.bytes_total < self.origin.bytes_read)

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
        return (
            self.origin.bytes_read if self.reading.rows is not None or not self.reading.caught_up else self.bytes_total
        )

    @property
    def bytes_total(self) -> int:
        """How long its files are, as of the last look [bytes]."""
        return sum(size for _, size, _ in self.reading.identity)

    @property
    def read(self) -> float:
        """Part of the log that has been read, 0 to 1."""
        if self.reading.caught_up:
            return 1.0
        here = self.bytes_read / self.bytes_total if self.bytes_total else 0.0
        return min(max(here, self.upkeep.read_elsewhere), 0.999)

    @property
    def noise(self) -> list[tuple[int, float]]:
        """How much one row scatters, by step, thinned."""
        return self.charts.noise.pairs()

    @property
    def precursors(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Measurements inside the model by name: steps and values, thinned."""
        with self.lock:
            return {name: trace.arrays() for name, trace in self.charts.precursors.items()}

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

    def detectors(self) -> list[dict[str, Any]]:
        """Return each detector's name, state (quiet, open or not measured), since which step, and what it looks at."""
        with self.lock:
            given = self.tracker.monitor.watch.given
            return [
                {
                    "name": name,
                    "state": "open" if found else "quiet" if given.get(kind_row(kind).needs, True) else "not measured",
                    "severity": None if found is None else str(found.severity),
                    "since": None if found is None else found.start_step,
                    "looks_at": kind_row(kind).looks_at,
                    "needs": kind_row(kind).needs,
                }
                for name, kind, found in self.tracker.monitor.watch.detectors
            ]

    def advance(self, seconds: float) -> bool:
        """Read and observe what is new for about `seconds` [s]; return whether there is more at once."""
        if not self.reading.turn.acquire(blocking=False):
            return True  # somebody else reads it just now
        try:
            return self._advance(time.perf_counter() + seconds)
        finally:
            self.reading.turn.release()

    def _advance(self, end: float) -> bool:
        if self.reading.rows is None:
            before, self.reading.identity = self.reading.identity, self.origin.identity()
            if self.reading.caught_up and before == self.reading.identity and self.reading.shared is None:
                self.settle()
                return False
            self.reading.rows = self.origin.rows()
            if not self.reading.caught_up:
                self.stage = "reading"
        while True:
            chunk = list(itertools.islice(self.reading.rows, CHUNK_ROWS))
            with self.lock:
                self._take(chunk)
            if len(chunk) < CHUNK_ROWS:
                with self.lock:
                    self.reading.rows = None
                    self.reading.caught_up = True
                    self.settle()
                return False
            if time.perf_counter() >= end:
                return True

    def resume_at(self, rows: Rows, taken: int) -> None:
        """Go on after the first `taken` things of the source, which gave `rows`; the monitor is there already."""
        self.rows, self.reading.taken, self.reading.skip = rows, taken, taken
        self.reading.newest_step = self.tracker.monitor.step
        self.charts.next_look = (math.floor(self.tracker.monitor.step / self._look_every) + 1) * self._look_every
        self.reading.caught_up, self.upkeep.version = True, self.upkeep.version + 1
        self.settle()

    def settle(self) -> None:
        """Say at which stage the run is, after its log was read to the present end."""
        newest = max((changed for _, _, changed in self.reading.identity), default=0) / 1e9
        total = self.run.total_steps
        ended = total is not None and (self.reading.newest_step or 0) >= total
        silent = time.time() - newest > SILENT_SECONDS
        self.stage = "waiting" if not len(self.rows) else "finished" if ended or silent else "live"

    def fail(self, why: str) -> None:
        """Give the run up."""
        self.stage, self.reading.caught_up, self.reading.rows = "failed", True, None
        self.guard.failed.setdefault("reading", why)
        self.upkeep.version += 1

    def _take(self, chunk: list[Observation | int]) -> None:
        known = min(self.reading.skip, len(chunk))
        self.reading.skip -= known
        self.reading.taken += len(chunk) - known
        if known and self.reading.skip:
            self.origin.entries.clear()
        for row in chunk[known:]:
            if isinstance(row, int):
                self._resume(row)
            else:
                self._observe(row)
        while self.origin.entries:
            self._take_entry(self.origin.entries.popleft())
        if chunk:
            self.upkeep.version += 1

    def _resume(self, after_step: int) -> None:
        if self.reading.newest_step is not None and self.reading.newest_step > after_step:
            if self.reading.shared is None:
                self.rows.rewind(after_step + 1)
            self.reading.newest_step = after_step
            self._look_back(after_step)

    def _observe(self, row: Observation) -> None:
        monitor, before = self.tracker.monitor, self.reading.newest_step
        self.tracker.observe(row)
        self.reading.newest_step = step = monitor.step
        if before is not None and step < before:
            self._look_back(step - 1)
        if row.validation_loss is not None:
            self.charts.validations.append((step, float(row.validation_loss)))
        if self.reading.shared is None and not (row.loss != row.loss and before == step):
            self.rows.put(row_of(row, step, monitor.watch.sigmas))
        if row.seconds is not None:
            self.charts.seconds_last = row.seconds
        if self.tracker.rows % NOISE_EVERY == 0 and (noise := monitor.watch.noise) is not None:
            self.charts.noise.add(step, noise)
        if row.precursors:
            for name, value in row.precursors.items():
                if name in self.charts.precursors or len(self.charts.precursors) < MOST_PRECURSORS:
                    self.charts.precursors.setdefault(name, ThinnedSeries()).add(step, value)
        if step >= self.charts.next_look:
            self._look(step)

    def _take_entry(self, record: dict[str, Any]) -> None:
        """Take what a journal says besides rows: what was said then counts, and is not found anew."""
        try:
            if record.get("type") == "finding":
                finding = finding_from(record)
                if finding in self.findings[-MOST_REPEATED:]:
                    return
                if not self.tracker.from_journal:
                    self.tracker.follow_journal(finding)
                self.tracker.keep(finding)
            elif record.get("type") == LOGGED:
                self.tracker.monitor.learn_logged(logged_in(record))
            elif record.get("type") == "advice":
                self.tracker.keep_advice([advice_from(record)])
        except JournalError:
            pass

    def _look(self, step: int) -> None:
        """Keep the forecast of now, and the advice."""
        self.charts.next_look = (math.floor(step / self._look_every) + 1) * self._look_every
        forecast = self.tracker.monitor.forecast()
        if forecast is not None:
            self.charts.looks = [look for look in self.charts.looks if look.step < step]
            self.charts.looks.append(saved_forecast(forecast)._replace(step=step))
        self.tracker.keep_advice(self.tracker.advice)

    def _look_back(self, step: int) -> None:
        """Forget what was noted of steps after `step`; findings stay."""
        self.charts.rewind(step)
        self.charts.next_look = (math.floor(step / self._look_every) + 1) * self._look_every
        if step <= 0:
            self._look(0)

    def newest_look(self) -> None:
        """Add the forecast of the newest step to the looks, and the advice of now, once the log is read."""
        step = self.reading.newest_step
        if step is None or (self.charts.looks and self.charts.looks[-1].step >= step):
            return
        before, self.charts.next_look = self.charts.next_look, math.inf
        if self.charts.looks and self.charts.looks[-1].step % max(round(self._look_every), 1):
            newest = self.charts.looks[-1]
            if newest.step < step and step - newest.step < self._look_every:
                self.charts.looks.pop()  # the newest of before, on no even place
        self._look(step)
        self.charts.next_look = before

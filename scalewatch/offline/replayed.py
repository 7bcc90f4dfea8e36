"""One run of any log under the monitor: what `replay`, `report` and `watch` have in common."""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from scalewatch.advising.adviser import Goals
from scalewatch.errors import ConfigError, LogError
from scalewatch.finding import Finding
from scalewatch.forecast.preregistered import BaselineForecast
from scalewatch.laws import CurveLaw
from scalewatch.logs import AbstractFormat, AbstractLog, Opened, Unreadable, format_named, open_logs
from scalewatch.logs.standard_input import STANDARD_INPUT, spooled
from scalewatch.monitor import Monitor
from scalewatch.observation import Observation
from scalewatch.offline.all_cores import read_on_all_cores, worth_it
from scalewatch.offline.reading_bar import ReadingBar
from scalewatch.plain import from_plain, to_plain
from scalewatch.run import Run
from scalewatch.text import no_control
from scalewatch.tracker import Tracker

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "Curve",
    "ReplayedRun",
    "Settings",
    "baseline_of",
    "law_used",
    "notes",
    "summary",
    "trouble",
    "watch_all",
]

#: Rows kept of one run for its picture; a longer one keeps the extremes of each few rows.
MOST_POINTS = 100_000
#: A loss is drawn no higher than this often the least of the first rows.
MOST_RISE, FIRST_ROWS = 2.0, 3
#: Part of the plan at which the forecast that a picture shows is made.
PICTURED_AT = 0.3
#: Rows over which the speed of a run is taken.
CLOCK_ROWS = 200


@final
@dataclass(frozen=True, slots=True)
class Settings:
    """What the commands are told about the logs.

    Attributes:
        law: of smaller runs, to hold each run against. total_steps: planned steps, where the log does not say.
        columns: field -> column. form: format of all files, None to tell each. name: of the one run.
        goals: what is wanted of the runs.
    """

    law: CurveLaw | None = None
    total_steps: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    form: AbstractFormat | None = None
    name: str | None = None
    goals: Goals = field(default_factory=Goals)

    @classmethod
    def of(
        cls,
        law: Path | None,
        total_steps: int | None,
        column: Sequence[str] | None,
        form: str | None,
        name: str | None = None,
        goals: Goals | None = None,
    ) -> Settings:
        """Return the settings of command-line options.

        Raises:
            ConfigError: if one is out of its range.
            LawFileError: if the law cannot be read.
        """
        from scalewatch.laws import load_law

        if total_steps is not None and total_steps < 1:
            raise ConfigError(f"`--total-steps` must be at least 1 (got {total_steps}).")
        fitted = None if law is None else load_law(law)
        pairs = {}
        if column:
            from scalewatch.offline.tables import parse_pairs

            pairs = parse_pairs("--column", column)
        return cls(fitted, total_steps, pairs, None if form is None else format_named(form), name, goals or Goals())

    def open(self, paths: Sequence[Path]) -> Opened:
        """Open every run at or below `paths`; `-` is standard input.

        Raises:
            LogError: if a path does not exist.
            ConfigError: if a name is given for several runs.
        """
        paths = [spooled() if path == STANDARD_INPUT else path for path in paths]
        opened = open_logs(paths, columns=self.columns, form=self.form)
        if self.name is not None:
            if len(opened.logs) > 1:
                raise ConfigError(f"`--name` is for one run, and there are {len(opened.logs)}.")
            for log in opened.logs:
                log.name = self.name
        return opened


@final
class Curve:
    """Steps and losses of a run of any length, in bounded memory, with every spike among them."""

    def __init__(self, most: int = MOST_POINTS) -> None:
        self.steps, self.losses = array("d"), array("d")
        self._most = most

    def add(self, step: int, loss: float) -> None:
        """Keep one row; one that is not finite cannot be drawn."""
        if not math.isfinite(loss):
            return
        while self.steps and step <= self.steps[-1]:
            self.steps.pop()  # the run went back: those rows were trained away
            self.losses.pop()
        self.steps.append(float(step))
        self.losses.append(loss)
        if len(self.steps) >= self._most:
            self._thin()

    def add_many(self, steps: Sequence[int], losses: Sequence[float]) -> None:
        """Keep many rows."""
        for step, loss in zip(steps, losses, strict=True):
            self.add(step, loss)

    def drawn(self) -> array[float]:
        """Return the losses as they are drawn: one that has left for good would press the rest of the curve flat."""
        most = MOST_RISE * min(self.losses[:FIRST_ROWS], default=0.0)
        return array("d", (min(loss, most) for loss in self.losses)) if most > 0 else self.losses

    def _thin(self) -> None:
        steps, losses = array("d"), array("d")
        for first in range(0, len(self.steps), 4):
            places = range(first, min(first + 4, len(self.steps)))
            least, most = min(places, key=self.losses.__getitem__), max(places, key=self.losses.__getitem__)
            for place in sorted({least, most}):
                steps.append(self.steps[place])
                losses.append(self.losses[place])
        self.steps, self.losses = steps, losses


@final
class ReplayedRun:
    """A log and the tracker over it.

    Attributes:
        log, tracker: these two. clock: (seconds, step) of the last rows that have a time.
        curve: for a picture, if one was asked for; with it before: the forecast before the first step, where a law
            makes one.
    """

    def __init__(self, log: AbstractLog, settings: Settings, *, curve: bool = False) -> None:
        self.log, self._known = log, log.run
        run, law = _run(log, settings), law_used(settings, log.law)
        baseline = baseline_of(settings, log.registered, run)
        monitor = Monitor(run, law=law, registered=baseline, **asdict(settings.goals))
        self.tracker = Tracker(monitor, pictured_at=PICTURED_AT if curve else None)
        self.clock: deque[tuple[float, int]] = deque(maxlen=CLOCK_ROWS)
        self.curve = Curve() if curve else None
        self.before = monitor.forecast() if curve and law is not None else None

    def advance(
        self, tick: Callable[[], None] | None = None, each: Callable[[Observation], None] | None = None
    ) -> Iterator[Finding]:
        """Observe what is new in the log and yield what was found.

        Args:
            tick: called every some hundred rows. each: called with each row, which is then taken by itself.
        """
        for run, rows in self.log.blocks():
            if self._known is not run:
                self._known = run
                self.tracker.monitor.learn_logged(run.logged, run.steps_per_epoch)
            if tick is not None:
                tick()
            if rows.seconds is not None:
                timed = zip(rows.seconds[-CLOCK_ROWS:], rows.steps[-CLOCK_ROWS:], strict=True)
                self.clock.extend((seconds, step) for seconds, step in timed if seconds is not None)
            if self.curve is not None:
                self.curve.add_many(rows.steps, rows.losses)
            if each is None:
                yield from self.tracker.observe_many(rows)
                continue
            for row in rows.rows():
                found = self.tracker.observe(row)
                each(row)
                yield from found

    def state(self) -> dict[str, Any]:
        """Return what the tracker knows but the findings themselves, as plain values."""
        tracker, monitor = self.tracker, self.tracker.monitor
        return {
            "monitor": monitor.state_dict(),
            "logged": monitor.run.logged,
            "steps_per_epoch": monitor.run.steps_per_epoch,
            "rows": tracker.rows,
            "pages": tracker.pages,
            "first_page": None if tracker.first_page is None else to_plain(tracker.first_page),
            "clock": list(self.clock),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`; `log` stands where it stood then.

        Raises:
            ConfigError, PlainError, LookupError, TypeError: if it is none.
        """
        tracker, first = self.tracker, state["first_page"]
        tracker.monitor.learn_logged(state["logged"], state["steps_per_epoch"])
        tracker.monitor.load_state_dict(state["monitor"])
        tracker.rows, tracker.pages = int(state["rows"]), int(state["pages"])
        tracker.first_page = None if first is None else from_plain(Finding, first)
        self.clock.extend((float(seconds), int(step)) for seconds, step in state["clock"])


def law_used(settings: Settings, of_log: CurveLaw | None) -> CurveLaw | None:
    """Return the law that a run is held against: the one that was named, else the one in its journal, else None."""
    return settings.law if settings.law is not None else of_log


def baseline_of(settings: Settings, record: Mapping[str, Any] | None, run: Run) -> BaselineForecast | None:
    """Return what a journal registered before the first step, None where another law was named or the run is longer."""
    if record is None or settings.law is not None:
        return None
    try:
        baseline = BaselineForecast.from_record(record)
    except ConfigError:
        return None
    return baseline if baseline.total_steps == run.total_steps else None


def _run(log: AbstractLog, settings: Settings) -> Run:
    known, total = log.run, settings.total_steps
    plan = known.learning_rates if total is None or total == known.total_steps else None
    return replace(known, name=no_control(log.name), total_steps=total or known.total_steps, learning_rates=plan)


def watch_all(
    opened: Opened,
    settings: Settings,
    found: Callable[[Console, Finding], None] | None = None,
    ended: Callable[[Console, ReplayedRun], None] | None = None,
    *,
    curve: bool = False,
) -> list[ReplayedRun]:
    """Read every run to its end under a progress bar and return them, the worst first.

    A run without a row is none: it goes to the unreadable ones of `opened`.

    Args:
        opened: the runs. settings: of their monitors. curve: keep their curves for a picture.
        found, ended: print a finding when it is made, and a run when it is read.

    Raises:
        LogError: if there is no run, or none has a row.
    """
    from rich.console import Console

    console, stderr = Console(), Console(stderr=True)
    # on a terminal the bar and what is found share a console, so that neither writes over the other
    shown = console if found is not None and console.is_terminal else stderr
    runs = [ReplayedRun(log, settings, curve=curve) for log in opened.logs]
    with ReadingBar(shown, sum(max(log.bytes_total, 1) for log in opened.logs)) as bar:
        if found is None and ended is None and worth_it(runs):
            read = 0
            for place, run in read_on_all_cores(runs):
                runs[place] = run
                read += max(run.log.bytes_total, 1)
                bar.show(run.log.name, read)
        else:
            _read_one_by_one(runs, bar, None if found is None else partial(found, console))
    done = [run for run in runs if run.tracker.rows]
    opened.unreadable.extend(_without_rows(run.log, alone=len(runs) == 1) for run in runs if not run.tracker.rows)
    if not done:
        raise LogError(_why_nothing(opened))
    if ended is not None:
        for run in done:
            ended(console, run)
    return sorted(done, key=trouble)


def _read_one_by_one(runs: Sequence[ReplayedRun], bar: ReadingBar, found: Callable[[Finding], None] | None) -> None:
    before = 0
    for run in runs:
        bar.show(run.log.name, before)
        for finding in run.advance(partial(_move, bar, before, run.log)):
            if found is not None:
                found(finding)
        before += max(run.log.bytes_total, 1)
        bar.show(run.log.name, before)


def _why_nothing(opened: Opened) -> str:
    reasons = [no.reason for no in opened.unreadable]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return (reasons[0] if reasons else "There is no log.") + more


def _without_rows(log: AbstractLog, *, alone: bool) -> Unreadable:
    why = f" ({log.notes[0]})" if log.notes else ""
    return Unreadable(log.path, f"{log.path}: holds no row with a loss{why}.", named=alone)


def _move(bar: ReadingBar, before: int, log: AbstractLog) -> None:
    bar.show(log.name, before + log.bytes_read)


def trouble(watched: ReplayedRun) -> tuple[int, int, float, str]:
    """Sort key: lost runs first, then those in trouble, those that recovered, the healthy; by pages, by first page."""
    tracker = watched.tracker
    first = math.inf if tracker.first_page is None else tracker.first_page.step
    return -tracker.status.state.rank, -tracker.pages, first, watched.log.name


def summary(watched: ReplayedRun) -> dict[str, Any]:
    """Return everything about a run as plain values for JSON; what is not finite is None."""
    tracker = watched.tracker
    verdict, end = tracker.verdict, tracker.forecast
    low, high = (None, None) if end is None else end.interval(0.8)
    return {
        "run": watched.log.name,
        "path": str(watched.log.path),
        "healthy": tracker.pages == 0,
        "verdict": verdict.headline,
        "state": str(verdict.status.state),
        "since": verdict.status.since,
        "not_measured": list(verdict.not_measured),
        "loss_unit": verdict.run.unit or None,
        "rows": tracker.rows,
        "step": verdict.step,
        "total_steps": verdict.run.total_steps,
        "finished": verdict.finished,
        "pages": tracker.pages,
        "first_page_step": None if tracker.first_page is None else tracker.first_page.step,
        "incidents": {str(kind): count for kind, count in verdict.incident_counts.items()},
        "final_loss": _finite(verdict.final_loss),
        "loss": _finite(verdict.last_loss),
        "forecast": None if end is None else {"final_loss": _finite(end.final_loss), "low": low, "high": high},
        "no_forecast": tracker.no_forecast or None,
        "findings": to_plain(tracker.findings),
        "findings_dropped": tracker.dropped,
        "advice": to_plain(tracker.advice),
        "columns": watched.log.columns,
        "notes": notes(watched.log),
    }


def notes(log: AbstractLog) -> list[str]:
    """Return what is to be said about the reading of a log."""
    more = [f"and {log.notes_dropped:,} more like these"] if log.notes_dropped else []
    return [no_control(note) for note in log.notes] + more


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None

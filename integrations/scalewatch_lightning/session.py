"""One fit on the process that watches it: monitor, journal, terminal and TensorBoard, wired together.

An observation goes to the monitor; it and what was found go to the journal; findings and advice go to the terminal;
one step in so many goes to TensorBoard. Each of the four runs through the guard under its own name, so one may
fail and the others go on.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, final

from scalewatch.advice import Action, Advice
from scalewatch.advising.context import Goals
from scalewatch.detect import AnyDetector
from scalewatch.errors import ConfigError, JournalError
from scalewatch.finding import Finding, Phase, Severity
from scalewatch.forecast import Forecast
from scalewatch.forecast.preregistered import BaselineForecast
from scalewatch.guard import Guard
from scalewatch.journal import (
    LAW,
    JournalWriter,
    advice_record,
    finding_record,
    observation_record,
    registered_in,
)
from scalewatch.monitor import Monitor
from scalewatch.observation import Observation
from scalewatch.run import Run
from scalewatch.tracker import Tracker
from scalewatch.worker import Worker
from scalewatch_lightning.advice import AdviceFeed, AdviceNews
from scalewatch_lightning.alerts import end_of, new_dispatcher
from scalewatch_lightning.shutdown import Shutdown
from scalewatch_lightning.tensorboard import Board, advice_markdown, forecast_values, verdict_markdown
from scalewatch_lightning.terminal import Terminal, escape

if TYPE_CHECKING:
    from scalewatch.alert import Dispatcher, Rules
    from scalewatch.laws import CurveLaw

__all__ = ["Resumed", "Session"]

_log = logging.getLogger("scalewatch")

#: How long the end of a run may wait for the disk [s].
CLOSE_SECONDS = 1.7
#: How long it may wait for the disk and the alerts together [s].
ALERT_SECONDS = 2.0
#: Parts of the planned run at which the forecast is told.
FORECAST_FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
#: Forecasts that are made for TensorBoard, at 4 ms each: about so many in a run.
FORECASTS_DRAWN = 24
#: Level of the interval that is told.
LEVEL = 0.8


class Resumed(NamedTuple):
    """Where a run goes on from: the step of the checkpoint, and what our part of it holds."""

    step: int
    monitor: Mapping[str, Any] | None
    run_id: str | None
    alerts: object = None
    told_ahead: Sequence[str] = ()


@final
class Session:
    """Watches one run.

    Args:
        run: what is trained.
        law: the law to hold it against, None for its own.
        guard: what every part runs through.
        terminal: where findings are printed.
        folder: where the journal goes, None for no journal.
        writers: TensorBoard's writers.
        resumed: where the run goes on from, None if it begins.
        alerts: who is told what, None for nobody.
        aims: what is wanted of the run. detectors: of the user, beside the built-in ones.
    """

    def __init__(
        self,
        run: Run,
        *,
        law: CurveLaw | None,
        guard: Guard,
        terminal: Terminal,
        folder: Path | None,
        writers: list[Any],
        resumed: Resumed | None,
        alerts: Rules | None = None,
        aims: Goals | None = None,
        detectors: Sequence[AnyDetector] = (),
    ) -> None:
        self.run = run
        self._aims = Goals() if aims is None else aims
        self._detectors = detectors
        self.run_id = (resumed.run_id if resumed else None) or uuid.uuid4().hex
        self.observed = 0
        self.stop_reason: str | None = None
        self._guard = guard
        self._terminal = terminal
        self._folder = folder
        self._tracker = Tracker(self._new_monitor(law, resumed))
        # with a guard of its own: what was queued is written also where everything else is off
        self._worker = Worker()
        self._journal = guard.call("journal", self._new_journal, folder, resumed)
        self._board = guard.call("tensorboard", Board, writers, run.total_steps) if writers else None
        if self._board is not None:
            self._worker.add("tensorboard", self._board.drain)
        ahead = resumed.told_ahead if resumed else ()
        self._advice = AdviceFeed(self._tracker.monitor, resumed.step if resumed else 0, ahead)
        self._worker.add("advice", self._advice.drain)
        self._worker.start()
        self._milestones = self._forecast_steps(resumed.step if resumed else 0)
        self._forecast_made = self._forecast_due = 0
        self._forecast_values: dict[str, float] = {}
        self._told_forecast = -1
        self._news = False
        self._alerts: Dispatcher | None = None
        if alerts is not None:
            kept = resumed.alerts if resumed else None
            self._alerts = guard.call("alerts", new_dispatcher, alerts, run, self.run_id, folder, kept)

    def _new_monitor(self, law: CurveLaw | None, resumed: Resumed | None) -> Monitor:
        baseline = None if resumed is None else Guard().call("registered prediction", self._registered, resumed)

        def new() -> Monitor:
            wanted = asdict(self._aims)
            return Monitor(self.run, law, self._guard, registered=baseline, detectors=self._detectors, **wanted)

        monitor = new()
        if resumed is None or resumed.monitor is None:
            return monitor
        # a guard of its own: a checkpoint of another version is no fault of this run
        loaded = Guard().call("state from the checkpoint", self._load, monitor, resumed.monitor)
        return monitor if loaded else new()

    def _registered(self, resumed: Resumed) -> BaselineForecast | None:
        """What the run registered when it began, as its journal holds it."""
        record = None if self._folder is None else registered_in(self._folder, resumed.run_id)
        return None if record is None else BaselineForecast.from_record(record)

    def _load(self, monitor: Monitor, state: Mapping[str, Any]) -> bool:
        try:
            monitor.load_state_dict(state)
        except ConfigError as fault:
            _log.warning("scalewatch: watching starts afresh: %s", escape(fault))
            return False
        return True

    def _new_journal(self, folder: Path | None, resumed: Resumed | None) -> JournalWriter | None:
        if folder is None:
            return None
        try:
            return JournalWriter(
                folder,
                self.run,
                run_id=self.run_id,
                resumes_after_step=resumed.step if resumed else None,
                worker=self._worker,
            )
        except JournalError as fault:
            _log.warning("scalewatch: %s The run is watched without one.", escape(fault))
            return None

    def _forecast_steps(self, done: int) -> list[int]:
        total = self.run.total_steps or 0
        return [step for part in FORECAST_FRACTIONS if (step := max(1, round(part * total))) > done and total]

    def begin(self) -> None:
        """Register and tell what is expected, if there is a law to expect it from, and what to do before it begins."""
        self._guard.call("journal", self._write_registered)
        self._guard.call("terminal", self._tell_forecast)
        if self._alerts is not None:
            self._guard.call("alerts", self._alerts.begin, self._tracker.monitor.open_incidents)
        self._tell_news([], look=True)

    def observe(self, observation: Observation) -> None:
        """Take in one step."""
        self.observed += 1
        guard = self._guard
        found = guard.call("monitor", self._tracker.observe, observation) or []
        guard.call("journal", self._write, observation, found)
        guard.call("tensorboard", self._draw, observation, found)
        if guard.call("advice", self._advice.follow, observation.step):
            self._worker.wake()
        if found or self._advice.has_looked:
            self._news = True
            self._tell_news(found)
        if self._alerts is not None:
            guard.call("alerts", self._alert, observation.step, observation.loss, self._alerts)
        if self._milestones and observation.step >= self._milestones[0]:
            guard.call("terminal", self._tell_milestone, observation.step)

    def _tell_news(self, found: list[Finding], *, look: bool = False) -> None:
        """Tell what was found and what is advised, everywhere."""
        guard = self._guard
        news = guard.call("advice", self._advice.say, look=look) or AdviceNews([], [], [])
        guard.call("journal", self._write_advice, news.new)
        guard.call("terminal", self._tell, found, news.new)
        if news.new:
            guard.call("tensorboard", self._show_advice, news)
        if self._alerts is not None:
            guard.call("alerts", self._alert_news, found, news, self._alerts)

    def _alert_news(self, found: list[Finding], news: AdviceNews, alerts: Dispatcher) -> None:
        still = {finding.kind for finding in self._tracker.monitor.open_incidents}
        # two detectors may have found the same kind: it is over when both say so
        alerts.submit([f for f in found if f.phase is not Phase.CLOSED or f.kind not in still], news.standing)
        if news.ahead:
            alerts.submit_advice(news.ahead)

    def _alert(self, step: int, loss: float, alerts: Dispatcher) -> None:
        alerts.observe(step, loss)
        if step >= alerts.forecast_due:
            alerts.submit_forecast(self._tracker.monitor.forecast())

    def _write(self, observation: Observation, found: list[Finding]) -> None:
        if self._journal is None:
            return
        # the hour is for those who look at the run later: what the monitor finds must not hang on it
        self._journal.append(observation_record(observation._replace(seconds=round(time.time(), 2))))
        for finding in found:
            self._journal.append_through(finding_record(finding))

    def _draw(self, observation: Observation, found: list[Finding]) -> None:
        board = self._board
        if board is None or not (found or board.wants(observation.step)):
            return
        step = observation.step
        if step >= self._forecast_due or step < self._forecast_made:
            self._forecast_made = step
            apart = max(1, step // FORECASTS_DRAWN, (self.run.total_steps or 0) // FORECASTS_DRAWN)
            self._forecast_due = step + apart
            forecast = self._tracker.monitor.forecast()
            self._forecast_values = {} if forecast is None else forecast_values(forecast)
        board.point(observation, self._tracker.monitor.expected_at(step), self._forecast_values)

    def _write_advice(self, new: list[Advice]) -> None:
        if self._journal is None:
            return
        for advice in new:
            self._journal.append_through(advice_record(advice))

    def _show_advice(self, news: AdviceNews) -> None:
        if self._board is not None:
            self._board.text("advice", news.new[0].step, advice_markdown(news.standing))

    def _tell(self, found: list[Finding], new: list[Advice]) -> None:
        for finding in found:
            self._terminal.finding(finding)
        for advice in new:
            self._terminal.advice(advice)

    def _tell_milestone(self, step: int) -> None:
        self._milestones = [milestone for milestone in self._milestones if milestone > step]
        self._tell_forecast()

    def _tell_forecast(self) -> None:
        forecast = self._tracker.monitor.forecast()
        if forecast is None or forecast.step == self._told_forecast:  # a lost run teaches it nothing new
            return
        self._told_forecast = forecast.step
        low, high = forecast.interval(LEVEL)
        self._guard.call("journal", self._write_forecast, forecast, low, high)
        when = f"step {forecast.step:,}" if forecast.step else "before the first step"
        gap = f"; now {forecast.law_gap.text()}" if forecast.law_gap else ""
        line = f"final loss {forecast.final_loss:.4g} (80 %: {low:.4g} to {high:.4g}){gap}"
        self._terminal.say(f"scalewatch: {when}: forecast: {escape(line)}", "36")
        for note in forecast.notes if forecast.step == 0 else ():
            self._terminal.say(f"scalewatch: note: {escape(note)}")

    def _write_forecast(self, forecast: Forecast, low: float, high: float) -> None:
        """Register what is predicted now: once written it is never rewritten."""
        if self._journal is not None:
            record = {"type": "forecast", "step": forecast.step, "final_loss": forecast.final_loss}
            self._journal.append_through({**record, "level": LEVEL, "low": low, "high": high})

    def _write_registered(self) -> None:
        """Keep what the run is held against; a run that resumes repeats what it registered when it began."""
        baseline, law = self._tracker.monitor.registered, self._tracker.monitor.law
        if self._journal is not None and baseline is not None:
            self._journal.append_through(baseline.record())
        if self._journal is not None and law is not None:
            self._journal.append_through({"type": LAW, "law": law.to_json()})

    def has_news(self) -> bool:
        """Whether anything was found or advised since this was asked last."""
        news, self._news = self._news, False
        return news

    def wants_stop(self) -> bool:
        """Whether the run is lost, or hopeless: a critical incident is open, or the newest advice is to stop.

        `stop_reason` then says why.
        """
        reasons = [advice.reason for advice in self._tracker.monitor.advice(look=False) if advice.action is Action.STOP]
        open_now = self._tracker.monitor.open_incidents
        reasons += [finding.message for finding in open_now if finding.severity is Severity.CRITICAL]
        self.stop_reason = reasons[0] if reasons else None
        return bool(reasons)

    def write_validation(self, step: int, loss: float) -> None:
        """Keep a validation loss that no observation carries."""
        if self._journal is not None:
            self._journal.append_through({"type": "validation", "step": step, "loss": loss})

    def note(self, text: str) -> None:
        """Print a line that is no finding, and keep it in the journal."""
        self._guard.call("terminal", self._terminal.say, f"scalewatch: {escape(text)}", "1")
        self._guard.call("journal", self._write_note, text)

    def _write_note(self, text: str) -> None:
        if self._journal is not None:
            self._journal.append_through({"type": "note", "text": escape(text)})

    @property
    def told_ahead(self) -> list[str]:
        """What the forecast advised so far, an action each."""
        return list(self._advice.told_ahead)

    def state(self) -> dict[str, Any]:
        """Return the state of the monitor, as plain numbers, strings, lists and dicts."""
        return self._tracker.monitor.state_dict()

    def alert_state(self) -> dict[str, Any] | None:
        """Return what was told to whom, as plain numbers, strings, lists and dicts; None without alerts."""
        return None if self._alerts is None else self._guard.call("alerts", self._alerts.state)

    def close(self, step: int, ended: str, extra: list[tuple[str, str]]) -> None:
        """End the watch: verdict to the journal, TensorBoard and the terminal, within `CLOSE_SECONDS`.

        `ended` says how the run came to its end, `extra` are rows for below the verdict.
        """
        closing = Shutdown(self._guard)
        rows = closing.call("verdict", lambda: self._tracker.verdict.rows()) or [("run", self.run.name)]
        rows += [("ended", ended), *extra]
        failed = {**self._guard.failed, **self._worker.guard.failed}
        if failed:
            off = "; ".join(f"{part} ({why})" for part, why in failed.items())
            rows.append(("switched off", off))
        alert_rows = list(rows)  # alerts have the advice apart
        news = closing.call("advice", self._advice.say, look=True) or AdviceNews([], [], [])
        followed = Action.STOP if self.stop_reason else None
        rows += [("advice", advice.text) for advice in news.standing if advice.action is not followed]
        closing.call("journal", self._write_advice, news.new)
        # a record that could not be made does not mean that the file cannot be written
        closing.again("journal", self._write_verdict, step, rows)
        closing.call("tensorboard", self._show_verdict, step, rows)
        until = time.monotonic() + ALERT_SECONDS
        if self._alerts is not None:  # sent while the journal is being written
            closing.call("alerts", self._tell_end, ended, alert_rows, self._alerts)
        finished = closing.again("background thread", self._worker.close, CLOSE_SECONDS)
        if self._alerts is not None:
            closing.again("alerts", self._alerts.close, max(0.1, until - time.monotonic()))
            rows += closing.again("alerts", self._alerts.rows) or []
        rows += closing.again("journal", self._journal_rows, bool(finished)) or []
        closing.call("terminal", self._terminal.verdict, rows)

    def _tell_end(self, ended: str, rows: list[tuple[str, str]], alerts: Dispatcher) -> None:
        alerts.end(*end_of(ended, self._tracker.status), rows)

    def _show_verdict(self, step: int, rows: list[tuple[str, str]]) -> None:
        if self._board is not None:
            self._board.text("verdict", step, verdict_markdown(rows))

    def _write_verdict(self, step: int, rows: list[tuple[str, str]]) -> None:
        if self._journal is not None:
            table = [[escape(label), escape(text)] for label, text in rows]
            self._journal.append_through({"type": "verdict", "step": step, "rows": table})

    def _journal_rows(self, finished: bool) -> list[tuple[str, str]]:
        rows = []
        if self._journal is not None:
            dropped = self._journal.dropped
            lost = f" ({dropped:,} records lost)" if dropped else ""
            unwritten = "" if finished or dropped else " (still being written)"
            rows.append(("journal", f"{self._journal.path.parent}{lost}{unwritten}"))
        if self._board is not None and self._board.dropped:
            rows.append(("TensorBoard", f"{self._board.dropped:,} points lost"))
        return rows

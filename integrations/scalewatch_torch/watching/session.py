"""One fit on the process that watches it: monitor, journal, terminal and loggers, wired together.

An observation goes to the monitor; it and what was found go to the journal; findings and advice go to the terminal;
one step in so many goes to where the run is logged. Each of the four runs through the guard under its own name, so one
may fail and the others go on.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from scalewatch.acting.acts import Act, ActPhase, Acts, Decision
from scalewatch.advice import Action, Advice
from scalewatch.checkpoints import SavedCheckpoint
from scalewatch.finding import Finding, Phase, Severity
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch.run import Run
from scalewatch.status import Status
from scalewatch.tracker import Tracker
from scalewatch.worker import Worker
from scalewatch_torch.acting.feed import ActFeed
from scalewatch_torch.loggers.base import AbstractLogger
from scalewatch_torch.loggers.markdown import advice_markdown
from scalewatch_torch.watching.advice import AdviceFeed, AdviceNews
from scalewatch_torch.watching.alerts import end_of, new_dispatcher
from scalewatch_torch.watching.drawing import Drawing, ForecastsTold
from scalewatch_torch.watching.options import Options
from scalewatch_torch.watching.records import LEVEL, RunRecords, new_writer
from scalewatch_torch.watching.resumed import Resumed, monitor_of
from scalewatch_torch.watching.shutdown import Shutdown
from scalewatch_torch.watching.terminal import Terminal, escape

if TYPE_CHECKING:
    from scalewatch.alert import Dispatcher
    from scalewatch.forecast import Forecast

__all__ = ["Session"]

_log = logging.getLogger("scalewatch")

#: How long the end of a run may wait for the disk and the alerts together [s].
CLOSE_SECONDS = 2.0
#: How long of it for the alerts, while the journal is written already [s].
ALERT_SECONDS = 1.6
#: What each thread may take to end where it could not be closed [s]: by hand, two rounds of it.
RELEASE_SECONDS = 0.5
#: Acts that the table of the end names.
MOST_ACTS = 10


@final
class _ActsTold:
    """What was told of acts: their words, the advice that one followed, and the factor that is on the rate."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.followed: Action | None = None
        self.factor = 1.0

    def add(self, decision: Decision, text: str, *, loud: bool) -> None:
        self.texts.append(text)
        self.factor = decision.factor
        if decision.act is Act.STOP and loud:
            self.followed = Action.STOP


@final
class Session:
    """Watches one run.

    Args:
        run: what is trained.
        options: as they were checked; which law it is held against, who is told what, what is wanted of the run.
        guard: what every part runs through.
        terminal: where findings are printed.
        folder: where the journal goes, None for no journal.
        loggers: where else the run is logged.
        resumed: where the run goes on from, None if it begins.
    """

    def __init__(
        self,
        run: Run,
        options: Options,
        *,
        guard: Guard,
        terminal: Terminal,
        folder: Path | None,
        loggers: Sequence[AbstractLogger],
        resumed: Resumed | None,
    ) -> None:
        run_id = (resumed.run_id if resumed else None) or uuid.uuid4().hex
        done = resumed.step if resumed else 0
        self.observed = 0
        self.acting: ActFeed | None = None
        self._acts_told = _ActsTold()
        self._guard = guard
        self._terminal = terminal
        self._tracker = Tracker(monitor_of(run, options, guard, resumed, folder))
        # with a guard of its own: what was queued is written also where everything else is off
        self._worker = Worker()
        resumes_after = resumed.step if resumed else None
        writer = guard.call("journal", new_writer, folder, run, run_id, resumes_after, self._worker)
        self._records = RunRecords(writer, run_id)
        self._advice = AdviceFeed(self._tracker.monitor, done, resumed.told_ahead if resumed else ())
        self._forecasts = ForecastsTold(run, done)
        self._worker.add("forecast", self._forecasts.asked.drain)
        self._worker.add("advice", self._advice.drain)
        # what has threads comes last: whatever fails above leaves none behind
        self._drawing = guard.call("loggers", Drawing, loggers, run.total_steps or 0) if loggers else None
        self._alerts: Dispatcher | None = None
        if options.alerts is not None:
            kept = resumed.alerts if resumed else None
            self._alerts = guard.call("alerts", new_dispatcher, options.alerts, run, run_id, folder, kept)
        self._worker.start()

    @property
    def run(self) -> Run:
        """What is trained."""
        return self._tracker.monitor.run

    @property
    def run_id(self) -> str:
        """What the run is filed under, also when it goes on."""
        return self._records.run_id

    def begin(self) -> None:
        """Register and tell what is expected, if there is a law to expect it from, and what to do before it begins."""
        self._guard.call("journal", self._records.registered, self._tracker.monitor)
        self._guard.call("terminal", lambda: self._tell_forecast(self._tracker.monitor.forecast()))
        if self._alerts is not None:
            self._guard.call("alerts", self._begin_alerts, self._alerts)
        self._tell_news([], look=True)

    def _begin_alerts(self, alerts: Dispatcher) -> None:
        alerts.begin(self._tracker.monitor.open_incidents)

    def learn_logged(self, names: Iterable[str]) -> None:
        """Take note of what the module logs: it tells what kind of loss it is."""
        before, monitor = self.run.logged, self._tracker.monitor
        self._guard.call("names of what is logged", monitor.learn_logged, [escape(name) for name in names])
        if monitor.run.logged != before:
            self._guard.call("journal", self._records.logged, monitor.run.logged)

    def observe(self, observation: Observation) -> None:
        """Take in one step."""
        self.observed += 1
        guard = self._guard
        found = guard.call("monitor", self._tracker.observe, observation) or []
        guard.call("journal", self._records.observation, observation, found)
        if self.acting is not None:
            guard.call("act", self.acting.observe, observation, found)
        if self._drawing is not None:
            guard.call("loggers", self._drawing.draw, observation, found, self._tracker.monitor)
        if guard.call("advice", self._advice.follow, observation.step):
            self._worker.wake()
        if found or self._advice.has_looked:
            self._tell_news(found)
        if self._alerts is not None:
            guard.call("alerts", self._alert, observation.step, observation.loss, self._alerts)
        if self._forecasts.is_due(observation.step, observation.seconds):
            guard.call("terminal", self._ask_forecast, self._tell_forecast)
        if self._forecasts.asked.is_answered:
            guard.call("terminal", self._forecasts.asked.tell)

    def _tell_news(self, found: list[Finding], *, look: bool = False) -> None:
        """Tell what was found and what is advised, everywhere."""
        guard = self._guard
        news = guard.call("advice", self._advice.say, look=look) or AdviceNews([], [], [])
        guard.call("journal", self._records.advice, news.new)
        guard.call("terminal", self._tell, found, news.new)
        if news.new:
            guard.call("loggers", self._show_advice, news)
        if found and self._drawing is not None:
            status = guard.call("verdict", lambda: self._tracker.status)
            guard.call("loggers", self._drawing.show_status, found[0].step, status)
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
            alerts.postpone_forecast()
            self._ask_forecast(lambda made: self._guard.call("alerts", alerts.submit_forecast, made))

    def _ask_forecast(self, tell: Callable[[Forecast | None], object]) -> None:
        """Have the forecast of now made in the background, and `tell` called with it some steps later."""
        self._forecasts.asked.ask(self._tracker.monitor.forecast_later(), tell)
        self._worker.wake()

    def _show_advice(self, news: AdviceNews) -> None:
        if self._drawing is not None:
            self._drawing.board.text("advice", news.new[0].step, advice_markdown(news.standing))

    def _tell(self, found: list[Finding], new: list[Advice]) -> None:
        for finding in found:
            self._terminal.finding(finding)
        for advice in new:
            self._terminal.advice(advice)

    def _tell_forecast(self, forecast: Forecast | None) -> None:
        if forecast is None or not self._forecasts.is_new(forecast):
            return
        low, high = forecast.interval(LEVEL)
        self._guard.call("journal", self._records.forecast, forecast)
        when = f"step {forecast.step:,}" if forecast.step else "before the first step"
        gap = f"; now {forecast.law_gap.text()}" if forecast.law_gap else ""
        line = f"final loss {forecast.final_loss:.4g} (80 %: {low:.4g} to {high:.4g}){gap}"
        self._terminal.say(f"scalewatch: {when}: forecast: {escape(line)}", "36")
        for note in forecast.notes if forecast.step == 0 else ():
            self._terminal.say(f"scalewatch: note: {escape(note)}")

    @property
    def critical_since(self) -> int | None:
        """Step at which the oldest incident began that is critical now; None while none is."""
        lost = [f.start_step for f in self._tracker.monitor.open_incidents if f.severity is Severity.CRITICAL]
        return min(lost, default=None)

    def know_checkpoints(self, checkpoints: Sequence[SavedCheckpoint]) -> None:
        """Take note of all checkpoints that are there: the advice names the last good one."""
        monitor = self._tracker.monitor
        new = [each for each in checkpoints if each not in monitor.checkpoints]
        monitor.checkpoints = tuple(checkpoints)
        for each in new:
            self._guard.call("journal", self._records.checkpoint, each)

    def act(
        self,
        acts: Acts,
        weights_finite: Callable[[], bool | None],
        taken: Callable[[int], bool | None] | None,
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        """Have what was asked for decided from now on, as `ActFeed` says; `kept` is what a checkpoint held."""
        self.acting = ActFeed(acts, self._tracker.monitor, weights_finite=weights_finite, taken=taken)
        self.acting.gate.load_state_dict(kept)
        self._acts_told.factor = self.acting.gate.cut.factor

    def decide(self) -> Decision | None:
        """Return what is to be done to the run now, each thing once; None for nothing."""
        return None if self.acting is None else self.acting.decide()

    def keep_act(self, decision: Decision, phase: ActPhase, text: str) -> None:
        """Keep what became of an act, in the journal only."""
        self._guard.call("journal", self._records.act, decision, phase, text)

    def act_state(self) -> dict[str, Any]:
        """Return what was done to the run so far, as plain numbers."""
        return {} if self.acting is None else self.acting.state()

    def tell_act(self, decision: Decision, phase: ActPhase, text: str) -> None:
        """Tell what is done to the run, or would be, everywhere."""
        guard, loud, before = self._guard, phase == "asked", self._acts_told.factor
        self.keep_act(decision, phase, text)
        self.note(text)
        self._acts_told.add(decision, text, loud=loud)
        if self._drawing is not None:
            guard.call("loggers", self._drawing.board.act, decision.step, text, before, decision.factor)
        if self._alerts is not None:
            guard.call("alerts", self._alerts.submit_act, text, decision.step, decision.since, loud=loud)

    def write_validation(self, step: int, loss: float) -> None:
        """Keep a validation loss that no observation carries."""
        self._records.validation(step, loss)

    def write_validations(self, step: int, losses: Mapping[str, float]) -> None:
        """Keep what a validation loss is the mean of, by their names."""
        self._guard.call("journal", self._records.validations, step, losses)

    def note(self, text: str) -> None:
        """Print a line that is no finding, and keep it in the journal."""
        self._guard.call("terminal", self._terminal.say, f"scalewatch: {escape(text)}", "1")
        self._guard.call("journal", self._records.note, text)

    @property
    def told_ahead(self) -> list[str]:
        """What the forecast advised so far, an action each."""
        return list(self._advice.told_ahead)

    def state(self) -> dict[str, Any]:
        """Return the state of the monitor, as plain numbers, strings and lists; its rows are on the disk then."""
        self._guard.call("journal", self._records.settle)
        return self._tracker.monitor.state_dict()

    def alert_state(self) -> dict[str, Any] | None:
        """Return what was told to whom, as plain numbers, strings, lists and dicts; None without alerts."""
        return None if self._alerts is None else self._guard.call("alerts", self._alerts.state)

    @property
    def status(self) -> Status:
        """How the run stands."""
        return self._tracker.status

    def close(self, step: int, ended: str, extra: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """End the watch: verdict to the journal, TensorBoard and the terminal, within `CLOSE_SECONDS`.

        `ended` says how the run came to its end, `extra` are rows for below the verdict. Returns the table.
        """
        closing, until = Shutdown(self._guard), time.monotonic() + CLOSE_SECONDS
        closing.call("terminal", self._forecasts.asked.finish)
        rows = closing.call("verdict", lambda: self._tracker.verdict.rows()) or [("run", self.run.name)]
        rows += [("ended", ended), *extra, *(("act", text) for text in self._acts_told.texts[:MOST_ACTS])]
        failed = {**self._guard.failed, **self._worker.guard.failed, **(self._drawing.failed if self._drawing else {})}
        if failed:
            off = "; ".join(f"{part} ({why})" for part, why in failed.items())
            rows.append(("switched off", off))
        alert_rows = list(rows)  # alerts have the advice apart
        news = closing.call("advice", self._advice.say, look=True) or AdviceNews([], [], [])
        rows += [("advice", advice.text) for advice in news.standing if advice.action is not self._acts_told.followed]
        closing.call("journal", self._records.advice, news.new)
        # a record that could not be made does not mean that the file cannot be written
        closing.again("journal", self._records.verdict, step, rows)
        if self._drawing is not None:
            status = closing.call("verdict", lambda: self._tracker.status)
            closing.call("loggers", self._drawing.show_verdict, step, status, rows)
        if self._alerts is not None:  # sent while the journal is being written
            closing.call("alerts", self._tell_end, ended, alert_rows, self._alerts)
            closing.again("alerts", self._alerts.close, ALERT_SECONDS)
            told = closing.again("alerts", self._alerts.rows) or []
            for label, text in told:  # what nobody took stands at least here
                closing.again("journal", self._records.note, f"{label}: {text}")
            rows += told
        finished = closing.again("background thread", self._worker.close, until - time.monotonic())
        rows += closing.again("journal", self._records.row, bool(finished)) or []
        if self._drawing is not None:
            rows += closing.again("loggers' thread", self._drawing.close, until - time.monotonic()) or []
        closing.call("terminal", self._terminal.verdict, rows)
        return rows

    def release(self) -> None:
        """See that every thread of the watch ends, and with it what it has open, also where `close` could not."""
        letting_go = Guard()
        for part in (self._alerts, self._drawing, self._worker):
            if part is not None:
                letting_go.net("end", part.release, RELEASE_SECONDS)

    def _tell_end(self, ended: str, rows: list[tuple[str, str]], alerts: Dispatcher) -> None:
        alerts.end(*end_of(ended, self._tracker.status), rows)

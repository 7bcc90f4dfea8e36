"""What of a run is drawn and told at some of its steps: forecasts, and what goes to where it is logged."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import final

from scalewatch.finding import Finding
from scalewatch.forecast import Forecast
from scalewatch.monitor import Monitor
from scalewatch.observation import Observation
from scalewatch.run import Run
from scalewatch.status import Status
from scalewatch.worker import Worker
from scalewatch_torch.loggers.base import AbstractLogger, forecast_values
from scalewatch_torch.loggers.board import Board
from scalewatch_torch.loggers.markdown import verdict_markdown
from scalewatch_torch.watching.asked_forecasts import AskedForecasts

__all__ = ["Drawing", "ForecastsTold"]

#: Parts of the planned run at which the forecast is told.
FORECAST_FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
#: Forecasts that are made for what is drawn: about so many in a run.
FORECASTS_DRAWN = 24
#: What a key may not hold in some place.
_NO_KEY = re.compile(r"[^A-Za-z0-9]+")
#: What the end of a run waits for the places at least [s].
LEAST_SECONDS = 0.3


@final
class ForecastsTold:
    """Which forecasts are told: at some parts of the run, as its steps or the clock will end it, and none twice.

    Attributes:
        asked: those that were asked for and are being made.
    """

    def __init__(self, run: Run, done: int) -> None:
        self.asked = AskedForecasts()
        whole = run.total_steps or run.max_seconds or 0.0
        self._by_clock = run.total_steps is None
        marks = [max(1, round(part * whole)) for part in FORECAST_FRACTIONS if whole]
        self._to_come = [mark for mark in marks if self._by_clock or mark > done]
        self._began = math.nan
        self._newest = -1

    def is_due(self, step: int, seconds: float | None) -> bool:
        """Whether it is time for one, at `step` and `seconds` of any clock; not again until the next part is done."""
        at: float = step
        if self._by_clock:
            now = math.nan if seconds is None else seconds
            self._began = now if math.isnan(self._began) else self._began
            at = now - self._began
        due = bool(self._to_come) and at >= self._to_come[0]
        if due:
            self._to_come = [other for other in self._to_come if other > at]
        return due

    def is_new(self, forecast: Forecast) -> bool:
        """Whether it says more than the one told last: a lost run teaches a forecast nothing."""
        new = forecast.step != self._newest
        self._newest = forecast.step
        return new


@final
class Drawing:
    """Draws a run where it is logged, in a thread of its own: a server that hangs holds nothing else.

    Args:
        loggers: the places. total: planned steps, 0 if unknown.
    """

    def __init__(self, loggers: Sequence[AbstractLogger], total: int) -> None:
        self.board = Board(loggers, total or None)
        self._worker = Worker(name="scalewatch loggers")
        self._worker.add("loggers", self.board.drain)
        self._total = total
        self._made = self._due = 0
        self._worker.start()

    def draw(self, observation: Observation, found: list[Finding], monitor: Monitor) -> None:
        """Draw a step, if it is one that is drawn; a few times in a run have a new forecast made for it, elsewhere."""
        step = observation.step
        for finding in found:
            self.board.finding(finding)
        if not (found or self.board.wants(step)):
            return
        forecast = None
        if step >= self._due or step < self._made:
            self._made = step
            self._due = step + max(1, step // FORECASTS_DRAWN, self._total // FORECASTS_DRAWN)
            forecast = partial(_values, monitor.forecast_later())
        self.board.point(observation, monitor.expected_at(step), forecast)

    def show_status(self, step: int, status: Status | None) -> None:
        """Say how the run stands; nothing where nobody knows."""
        if status is not None:
            self.board.summary(step, {"status": status.state.value, "status_sentence": status.sentence})

    def show_verdict(self, step: int, status: Status | None, rows: Sequence[tuple[str, str]]) -> None:
        """Say how the run stood at its end: the rows of its table, and its last forecast in numbers."""
        self.board.text("verdict", step, verdict_markdown(rows))
        said: dict[str, str | float] = {}
        for label, text in rows:
            key = _NO_KEY.sub("_", label).strip("_")
            said[key] = f"{said[key]}\n{text}" if key in said else text
        self.board.summary(step, said, with_forecast=True)
        self.show_status(step, status)
        self.board.end(step)
        self._worker.wake()

    def close(self, seconds: float) -> list[tuple[str, str]]:
        """Wait until all is logged, at most so long [s]; rows that say what is not."""
        finished = self._worker.close(max(LEAST_SECONDS, seconds))
        rows = [("loggers", f"{self.board.dropped:,} points lost")] if self.board.dropped else []
        if not finished and not self.failed:
            rows.append(("loggers", "what is logged is still being written"))
        return rows

    def release(self, seconds: float) -> None:
        """See that its thread ends, also where `close` could not: what comes later meets a file that is closed."""
        self._worker.release(seconds)

    @property
    def failed(self) -> dict[str, str]:
        """What was switched off, and why."""
        return {**self.board.failed, **self._worker.guard.failed}


def _values(make: Callable[[], Forecast | None]) -> dict[str, float]:
    forecast = make()
    return {} if forecast is None else forecast_values(forecast)

"""Hands what is drawn of a run to all places that it is logged to.

The step path appends to a bounded queue; what waits is logged in a background thread. Each place runs through a guard
of its own, so that one that fails or is gone takes nothing from the others.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, final

from scalewatch.finding import Finding
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch_torch.loggers.base import (
    EXPECTED,
    FINAL,
    HIGH,
    LOSS,
    LOW,
    PREFIX,
    RATE_FACTOR,
    SDS,
    VALIDATION_LOSS,
    AbstractLogger,
    Incident,
    band,
)

__all__ = ["Board"]

#: Points of one tag in a run of known length; stock TensorBoard draws a sample of 1,000.
POINTS = 1_000
#: Points that wait for the background thread at most; what is beyond them is dropped and counted.
MAX_WAITING = 4_096
#: Findings that are kept for the table of the end at most, newest last. By hand.
MAX_INCIDENTS = 500


#: Part of a run's time that its forecasts may take in this thread, which holds the interpreter while it makes them, and
#: what they may take at once [s], so that a short run has some too. By hand.
FORECAST_SHARE, FORECAST_SECONDS = 0.01, 0.05

Values = Mapping[str, float]


class _Point(NamedTuple):
    step: int
    values: dict[str, float]
    forecast: Callable[[], Values] | None = None


class _Text(NamedTuple):
    tag: str
    step: int
    markdown: str


class _Summary(NamedTuple):
    step: int
    values: Mapping[str, str | float]
    with_forecast: bool = False


class _End(NamedTuple):
    step: int


@final
class _Forecasts:
    """Makes the forecasts that are drawn, as long as they take no more than their share of the time; and the last."""

    def __init__(self) -> None:
        self._began, self._spent = time.monotonic(), 0.0
        self._waiting: Callable[[], Values] | None = None
        self._values: Values = {}

    def newest(self, make: Callable[[], Values] | None) -> Values:
        if make is not None:
            self._waiting = make
            if self._spent <= FORECAST_SECONDS + FORECAST_SHARE * (time.monotonic() - self._began):
                self.last()
        return self._values

    def last(self) -> tuple[Values, bool]:
        """The newest that was asked for, and whether it is made only now."""
        make, self._waiting = self._waiting, None
        if make is None:
            return self._values, False
        began = time.thread_time()
        self._values = make()
        self._spent += time.thread_time() - began
        return self._values, True


@final
class Board:
    """Logs a run.

    Memory: at most `MAX_WAITING` points.

    Args:
        loggers: the places. total_steps: planned steps, None if unknown.
    """

    def __init__(self, loggers: Sequence[AbstractLogger], total_steps: int | None) -> None:
        self._loggers = list(loggers)
        self._total_steps = total_steps
        self._guard = Guard()
        self._waiting: deque[_Point | _Text | _Summary | Incident | _End] = deque()
        self._incidents: deque[Incident] = deque(maxlen=MAX_INCIDENTS)
        self._forecasts = _Forecasts()
        self.dropped = 0

    @property
    def failed(self) -> Mapping[str, str]:
        """The places that have been switched off, and why."""
        return self._guard.failed

    def wants(self, step: int) -> bool:
        """Whether `step` is one of the about `POINTS` steps that are drawn."""
        if self._total_steps is not None:
            stride = max(1, self._total_steps // POINTS)
        else:  # twice as far apart each time the run has doubled: 500 points a doubling
            stride = 1 << max(0, int(math.log2(max(1.0, 2 * step / POINTS))))
        return step == 1 or step % stride == 0

    def point(
        self,
        observation: Observation,
        expected: tuple[float, float] | None,
        forecast: Callable[[], Values] | None = None,
    ) -> None:
        """Draw a step: what was observed, what the law `expected` (loss, its sd), and the newest forecast.

        `forecast` makes a newer one, in the background; None for none. Where forecasts would take more than a twentieth
        of a second and a hundredth of the run's time, some are not made, but never the last.
        """
        values = {LOSS: observation.loss}
        if observation.validation_loss is not None:
            values[VALIDATION_LOSS] = observation.validation_loss
        if expected is not None:
            loss, sd = expected
            values |= band(EXPECTED, loss, loss - SDS * sd, loss + SDS * sd)
        self._append(_Point(observation.step, values, forecast))

    def finding(self, finding: Finding) -> None:
        """Log what was found."""
        self._append(Incident.of(finding))

    def text(self, tag: str, step: int, markdown: str) -> None:
        """Show a text, such as the verdict."""
        self._append(_Text(tag, step, markdown))

    def act(self, step: int, text: str, before: float, factor: float) -> None:
        """Show what was done to the run, and the factor on its learning rate."""
        self.text("acts", step, text)
        if before != factor:
            self._append(_Point(step, {RATE_FACTOR: before}))
            self._append(_Point(step + 1, {RATE_FACTOR: factor}))

    def summary(self, step: int, values: Mapping[str, str | float], *, with_forecast: bool = False) -> None:
        """Say what is known of the run as a whole, with the last forecast of its end if that is asked for."""
        self._append(_Summary(step, values, with_forecast))

    def end(self, step: int) -> None:
        """Log what is logged once."""
        self._append(_End(step))

    def _append(self, item: _Point | _Text | _Summary | Incident | _End) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return
        self._waiting.append(item)

    def drain(self) -> None:
        """Log what waits. For the background thread."""
        while self._waiting:
            item = self._waiting.popleft()
            if isinstance(item, Incident):
                self._incidents.append(item)
            if isinstance(item, _Point) and LOSS in item.values:
                item = item._replace(values={**item.values, **self._forecasts.newest(item.forecast)})
            elif isinstance(item, _Summary) and item.with_forecast:
                item = item._replace(values={**item.values, **self._last_forecast(item.step)})
            for logger in self._loggers:
                self._guard.call(logger.name, self._log, logger, item)

    def _last_forecast(self, step: int) -> dict[str, float]:
        """The last one that was asked for, without its prefix; if it was not made before, it is drawn now too."""
        values, is_new = self._forecasts.last()
        if is_new and values:
            for logger in self._loggers:
                self._guard.call(logger.name, logger.point, step, values)
        wanted = (FINAL, FINAL + LOW, FINAL + HIGH)
        return {name.removeprefix(PREFIX): values[name] for name in wanted if name in values}

    def _log(self, logger: AbstractLogger, item: _Point | _Text | _Summary | Incident | _End) -> None:
        match item:
            case _Point():
                logger.point(item.step, item.values)
            case _Text():
                logger.text(item.tag, item.step, item.markdown)
            case _Summary():
                logger.summary(item.step, item.values)
            case Incident():
                logger.incident(item)
            case _End():
                logger.end(item.step, list(self._incidents))

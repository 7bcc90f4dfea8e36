"""Hands what is drawn of a run to all places that it is logged to.

The step path appends to a bounded queue; what waits is logged in a background thread. Each place runs through a guard
of its own, so that one that fails or is gone takes nothing from the others.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple, final

from scalewatch.finding import Finding
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch_torch.loggers.base import (
    EXPECTED,
    LOSS,
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


class _Point(NamedTuple):
    step: int
    values: dict[str, float]


class _Text(NamedTuple):
    tag: str
    step: int
    markdown: str


class _Summary(NamedTuple):
    step: int
    values: Mapping[str, str | float]


class _End(NamedTuple):
    step: int


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
        forecast: dict[str, float],
    ) -> None:
        """Draw a step: what was observed, what the law `expected` (loss, its sd), what is forecast."""
        values = {LOSS: observation.loss, **forecast}
        if observation.validation_loss is not None:
            values[VALIDATION_LOSS] = observation.validation_loss
        if expected is not None:
            loss, sd = expected
            values |= band(EXPECTED, loss, loss - SDS * sd, loss + SDS * sd)
        self._append(_Point(observation.step, values))

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

    def summary(self, step: int, values: Mapping[str, str | float]) -> None:
        """Say what is known of the run as a whole."""
        self._append(_Summary(step, values))

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
            for logger in self._loggers:
                self._guard.call(logger.name, self._log, logger, item)

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

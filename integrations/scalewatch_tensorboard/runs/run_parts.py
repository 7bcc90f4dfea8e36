"""What the panel keeps of a run: for its charts, for the reading of its log, and for who follows it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, final

from scalewatch.finding import Finding
from scalewatch.observation import Observation
from scalewatch_tensorboard.runs.preview import Preview
from scalewatch_tensorboard.runs.saved_forecasts import SavedForecast
from scalewatch_tensorboard.runs.thinned_series import ThinnedSeries

__all__ = ["ChartData", "Files", "Reading", "Upkeep"]

#: Path, size [bytes] and time of change [ns] of each file of a run.
Files = list[tuple[str, int, int]]


@final
@dataclass(slots=True)
class ChartData:
    """What is kept for the charts beside the rows.

    Attributes:
        looks: forecasts on the way. next_look: step of the next one. validations: step and loss [nats/token].
        noise: how much a row scatters. precursors: measurements inside the model, by name.
        seconds_last: when the newest row was written, since 1970 [s].
    """

    looks: list[SavedForecast] = field(default_factory=list)
    next_look: float = 0.0
    validations: list[tuple[int, float]] = field(default_factory=list)
    noise: ThinnedSeries = field(default_factory=ThinnedSeries)
    precursors: dict[str, ThinnedSeries] = field(default_factory=dict)
    seconds_last: float | None = None

    def rewind(self, step: int) -> None:
        """Forget what was noted of steps after `step`."""
        self.looks = [look for look in self.looks if look.step <= step]
        self.validations = [pair for pair in self.validations if pair[0] <= step]
        for trace in (self.noise, *self.precursors.values()):
            trace.rewind(step + 1)


@final
@dataclass(slots=True)
class Reading:
    """How far the log has been read.

    Attributes:
        shared: findings of another state of the same run, whose rows are shared too; None for none.
        turn: held by whoever reads. rows: what is being read, None between two readings. newest_step: of the rows.
        caught_up: whether the end was reached once. identity: of the files, as of the last look.
        taken: what came from the source so far [count]. skip: what of it is known from a cache [count].
    """

    shared: list[Finding] | None = None
    turn: threading.Lock = field(default_factory=threading.Lock)
    rows: Iterator[Observation | int] | None = None
    newest_step: int | None = None
    caught_up: bool = False
    identity: Files = field(default_factory=list)
    taken: int = 0
    skip: int = 0


@final
@dataclass(slots=True)
class Upkeep:
    """What who follows the run keeps of it.

    Attributes:
        version: rises with each change. summary: the row of the overview.
        next_visit, next_summary, next_keep: when they are due, monotonic [s].
        kept: files as they were when it was kept. preview: of its rows, before they are watched; None after that.
        asked_cache: whether it was looked for in what a helper kept. read_elsewhere: part that a helper has read of it.
    """

    version: int = 0
    summary: dict[str, Any] = field(default_factory=dict)
    next_visit: float = 0.0
    next_summary: float = 0.0
    next_keep: float = 0.0
    kept: Files = field(default_factory=list)
    preview: Preview | None = None
    asked_cache: bool = False
    read_elsewhere: float = 0.0

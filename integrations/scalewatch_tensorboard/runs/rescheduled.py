"""A run with other learning rates planned than its log tells: watched anew from the rows that were read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import final

from scalewatch.observation import Observation
from scalewatch.offline.assumed_schedule import assume_schedule
from scalewatch_tensorboard.runs.run_state import RunState
from scalewatch_tensorboard.runs.source import AbstractSource

__all__ = ["RowsOf", "rescheduled_state"]

#: Rows that are made ready at once.
BLOCK_ROWS = 1_024


@final
class RowsOf(AbstractSource):
    """The rows of a run that was read, as a source.

    Args:
        state: of the run as its log tells it.
    """

    def __init__(self, state: RunState) -> None:
        super().__init__(state.origin.run)
        self.kind = state.source
        self.registered = None
        self._state = state
        self._place = 0
        self._rewinds = state.rows.rewinds

    def rows(self) -> Iterator[Observation | int]:
        """Yield the rows that have come."""
        while not self.stale:
            columns, place = self._state.columns(), self._place
            block = [column[place : place + BLOCK_ROWS].tolist() for column in columns]
            if not block[0]:
                return
            self._place = place + len(block[0])
            for step, loss, rate, norm, seconds, tokens, _ in zip(*block, strict=True):
                yield Observation(
                    step,
                    loss,
                    None if math.isnan(rate) else rate,
                    None if math.isnan(norm) else norm,
                    None if math.isnan(tokens) else tokens,
                    None,
                    None if math.isnan(seconds) else seconds,
                )

    @property
    def stale(self) -> bool:
        """Whether the run went back, so that what was taken from it no longer counts."""
        return self._state.rows.rewinds != self._rewinds

    def files(self) -> list[Path]:
        """The files of the run."""
        return self._state.origin.files()

    @property
    def bytes_read(self) -> int:
        """How far the reading is [bytes]."""
        whole = max(len(self._state.rows), 1)
        return round(self._state.bytes_total * self._place / whole)

    @property
    def notes(self) -> list[str]:
        """What is to be said of the reading of the run."""
        return self._state.origin.notes

    @property
    def columns(self) -> dict[str, str]:
        """The log's name of each field."""
        return self._state.origin.columns


def rescheduled_state(state: RunState, total_steps: int | None, schedule: str | None) -> RunState:
    """Return the run watched with another schedule, its rows shared; nothing is read yet.

    Raises:
        ConfigError: if the schedule is none. RunError: if the length is none that a run has.
    """
    columns = state.columns()
    plan = assume_schedule(
        state.name, state.origin.run, columns.steps, columns.learning_rates, total_steps, schedule, options=False
    )
    made = RunState(state.name, RowsOf(state), state.tracker.monitor.law, plan=plan, base=state)
    made.reading.identity, made.charts.validations = state.reading.identity, state.charts.validations
    made.charts.precursors = state.charts.precursors
    return made

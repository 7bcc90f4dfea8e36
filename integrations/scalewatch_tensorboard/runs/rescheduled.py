"""A run under another plan than its log tells: watched anew from the rows that were read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import final

from scalewatch.observation import Observation
from scalewatch.offline.assumed_schedule import assumed_schedule
from scalewatch_tensorboard.runs.run_state import RunState
from scalewatch_tensorboard.runs.source import AbstractSource

__all__ = ["RowsOf", "rescheduled_state"]

#: Rows that are made ready at once.
BLOCK_ROWS = 1_024


@final
class RowsOf(AbstractSource):
    """The rows of a record as a source.

    Args:
        record: of the run as its log tells it.
    """

    def __init__(self, record: RunState) -> None:
        super().__init__(record.origin.run)
        self.kind = record.source
        self.registered = None
        self._record = record
        self._place = 0
        self._rewinds = record.rows.rewinds

    def rows(self) -> Iterator[Observation | int]:
        """Yield the rows that have come."""
        while not self.stale:
            columns, place = self._record.columns(), self._place
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
        """Whether the record went back, so that what was taken from it no longer counts."""
        return self._record.rows.rewinds != self._rewinds

    def files(self) -> list[Path]:
        """The files of the record."""
        return self._record.origin.files()

    @property
    def bytes_read(self) -> int:
        """How far the reading is [bytes]."""
        whole = max(len(self._record.rows), 1)
        return round(self._record.bytes_total * self._place / whole)

    @property
    def notes(self) -> list[str]:
        """What was said of the reading of the record."""
        return self._record.origin.notes

    @property
    def columns(self) -> dict[str, str]:
        """The log's name of each field."""
        return self._record.origin.columns


def rescheduled_state(record: RunState, total_steps: int | None, schedule: str | None) -> RunState:
    """Return the run watched with another plan, its rows shared; nothing is read yet.

    Raises:
        ConfigError: if the schedule is none. RunError: if the length is none that a run has.
    """
    columns = record.columns()
    plan = assumed_schedule(
        record.name, record.origin.run, columns.steps, columns.learning_rates, total_steps, schedule, options=False
    )
    made = RunState(record.name, RowsOf(record), record.law, plan=plan, base=record)
    made.identity, made.validations = record.identity, record.validations
    made.precursor_traces = record.precursor_traces
    return made

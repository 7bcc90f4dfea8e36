"""The whole curve of a long run before the monitor has been through it: rows are read ten times as fast as watched."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import final

from scalewatch.observation import Observation
from scalewatch_tensorboard.runs.columns import Rows
from scalewatch_tensorboard.runs.source import AbstractSource

__all__ = ["LEAST_BYTES", "Preview"]

#: A shorter log is watched about as soon as it is previewed [bytes].
LEAST_BYTES = 2_000_000
#: Rows taken at once [rows].
CHUNK_ROWS = 2_048


@final
class Preview:
    """Reads the rows of a log once, and nothing else.

    Args:
        source: of the run, for this alone.
    """

    def __init__(self, source: AbstractSource) -> None:
        self._source = source
        self._reading: Iterator[Observation | int] = source.rows()

    def advance(self, seconds: float, rows: Rows, lock: AbstractContextManager[object]) -> bool:
        """Read into `rows` for about `seconds` [s]; return whether there is more."""
        end = time.perf_counter() + seconds
        while True:
            chunk = list(itertools.islice(self._reading, CHUNK_ROWS))
            share = self._source.bytes_read / max(self._source.bytes_total, 1)
            with lock:
                rows.extend(chunk)
                if share > 0:
                    rows.expect(round(len(rows) / share))
            self._source.entries.clear()
            if len(chunk) < CHUNK_ROWS:
                return False
            if time.perf_counter() >= end:
                return True

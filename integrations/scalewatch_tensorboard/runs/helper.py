"""A process of its own that watches runs which the tab only lists: one JSON line in, one or more out, for each run.

    python -m scalewatch_tensorboard.runs.helper

In: `{"name", "folder", "journal", "events", "files", "law", "cache"}`. Out: `{"name", "row", "done", "seconds"}`, or
`{"name", "no_run"}` and `{"name", "unreadable"}` with the reason. It ends when its input does, so with TensorBoard.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO, final

from scalewatch.errors import ScalewatchError
from scalewatch.guard import FAULT, Guard
from scalewatch.laws import CurveLaw, load_law
from scalewatch_tensorboard.runs.cache import Cache
from scalewatch_tensorboard.runs.listed import row_json
from scalewatch_tensorboard.runs.logdirs import Found
from scalewatch_tensorboard.runs.memory import return_large_pieces, trim
from scalewatch_tensorboard.runs.run_state import RunState
from scalewatch_tensorboard.runs.source import UnreadableRunError, open_source
from scalewatch_tensorboard.views.overview import row_of

__all__ = ["Helper"]

#: Runs that go on and are kept in memory, so that what they add is read alone, and rows of each at most.
MOST_KEPT, MOST_ROWS_KEPT = 12, 200_000
#: Time between two rows for the overview while a run is read [s].
PROGRESS_SECONDS = 1.0
#: How far it stands back behind training and the page, as `nice` counts.
NICENESS = 10
#: Rows after which unused memory is given back [rows].
TRIM_ROWS = 100_000


@final
class Helper:
    """Watches the runs of its lines.

    Args:
        out: where the answers go.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._kept: OrderedDict[str, RunState] = OrderedDict()

    def work(self, line: str) -> None:
        """Watch one run to its present end; a fault of this is told as that run's."""
        job = json.loads(line)
        guard = Guard(consequence="of a run in TensorBoard's tab and is tried again")
        if guard.outcome("reading", self._watch, job) is FAULT:
            self._kept.pop(job["name"], None)
            self._say(job, unreadable=guard.failed["reading"])

    def _watch(self, job: dict[str, Any]) -> None:
        began = time.process_time()
        cache = Cache(None if job["cache"] is None else Path(job["cache"]))
        try:
            state = self._state(job, cache)
        except UnreadableRunError as fault:
            return self._say(job, unreadable=str(fault))
        except ScalewatchError as fault:
            return self._say(job, no_run=str(fault))
        while state.advance(PROGRESS_SECONDS):
            self._say(job, row=row_of(state) | {"stage": state.stage}, done=False)
        with state.lock:
            state.newest_look()
        row = row_of(state) | {"stage": state.stage}
        if state.reading.identity != state.upkeep.kept:
            state.upkeep.kept = state.reading.identity
            cache.keep(state)
        self._say(job, row=row, done=True, seconds=time.process_time() - began)
        if state.stage == "live" and len(state.rows) <= MOST_ROWS_KEPT:
            self._kept[state.name] = state
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        if len(state.rows) > TRIM_ROWS:
            del state
            trim()
        return None

    def _state(self, job: dict[str, Any], cache: Cache) -> RunState:
        kept = self._kept.pop(job["name"], None)
        journal = None if job["journal"] is None else Path(job["journal"])
        found = Found(job["name"], Path(job["folder"]), journal, job["events"])
        if kept is not None and kept.source == ("event files" if journal is None else "journal") and not kept.stale:
            return kept
        state = RunState(found.name, open_source(found), _law(job["law"]))
        state.reading.identity = state.origin.identity()
        if cache.load(state):
            state.upkeep.kept = state.reading.identity
        return state

    def _say(self, job: dict[str, Any], **what: Any) -> None:
        self._out.write(row_json({"name": job["name"], "files": job["files"], **what}).decode() + "\n")
        self._out.flush()


@lru_cache(maxsize=1)
def _law(path: str | None) -> CurveLaw | None:
    try:
        return None if path is None else load_law(Path(path))
    except ScalewatchError:
        return None  # the tab says so


def main() -> None:
    """Work until the input ends."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(NICENESS)
    return_large_pieces()
    helper = Helper(sys.stdout)
    for line in sys.stdin:
        helper.work(line)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        main()

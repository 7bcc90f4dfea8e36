"""Watches runs to their present end, one after the other, and says their rows of the overview: the work of a helper."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, final

from scalewatch.errors import ScalewatchError
from scalewatch.laws import CurveLaw, load_law
from scalewatch_tensorboard.runs.cache import Cache
from scalewatch_tensorboard.runs.logdirs import Found
from scalewatch_tensorboard.runs.memory import trim
from scalewatch_tensorboard.runs.run_state import RunState
from scalewatch_tensorboard.runs.source import UnreadableRunError, open_source
from scalewatch_tensorboard.views.overview import row_of

__all__ = ["Watcher"]

#: Runs that go on and are kept in memory, so that what they add is read alone, and rows of each at most.
MOST_KEPT, MOST_ROWS_KEPT = 12, 200_000
#: Time between two rows for the overview while a run is read [s].
PROGRESS_SECONDS = 1.0
#: Rows after which unused memory is given back [rows].
TRIM_ROWS = 100_000


@final
class Watcher:
    """Watches runs; those that go on it keeps in memory.

    Args:
        say: takes what is to be said.
    """

    def __init__(self, say: Callable[[dict[str, Any]], None]) -> None:
        self._say = say
        self._kept: OrderedDict[str, RunState] = OrderedDict()

    def forget(self, name: str) -> None:
        """Read a run from its beginning the next time."""
        self._kept.pop(name, None)

    def watch(self, job: dict[str, Any]) -> None:
        """Read one run to its present end and say its row, or why there is none."""
        began = time.process_time()
        cache = Cache(None if job["cache"] is None else Path(job["cache"]))
        try:
            state = self._state(job, cache)
        except UnreadableRunError as fault:
            return self._tell(job, unreadable=str(fault))
        except ScalewatchError as fault:
            return self._tell(job, no_run=str(fault))
        while state.advance(PROGRESS_SECONDS):
            self._tell(job, row=row_of(state) | {"stage": state.stage}, done=False)
        with state.lock:
            state.newest_look()
        row = row_of(state) | {"stage": state.stage}
        if state.reading.identity != state.upkeep.kept:
            state.upkeep.kept = state.reading.identity
            cache.keep(state)
        self._tell(job, row=row, done=True, seconds=time.process_time() - began)
        if state.stage == "live" and len(state.rows) <= MOST_ROWS_KEPT:
            self._kept[state.name] = state
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        if len(state.rows) > TRIM_ROWS:
            del state
            trim()
        return None

    def _tell(self, job: dict[str, Any], **what: Any) -> None:
        self._say({"name": job["name"], "files": job["run"]["files"], **what})

    def _state(self, job: dict[str, Any], cache: Cache) -> RunState:
        kept, found = self._kept.pop(job["name"], None), Found.of(job["run"])
        kind = "event files" if found.journal is None else "journal"
        if kept is not None and kept.source == kind and not kept.stale:
            return kept
        state = RunState(found.name, open_source(found), _law(job["law"]))
        state.reading.identity = state.origin.identity()
        if cache.load(state):
            state.upkeep.kept = state.reading.identity
        return state


@lru_cache(maxsize=1)
def _law(path: str | None) -> CurveLaw | None:
    try:
        return None if path is None else load_law(Path(path))
    except ScalewatchError:
        return None  # the tab says so

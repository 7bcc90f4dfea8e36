"""The one thread that finds runs, reads them and follows them, in slices between which answers are given."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, final

from scalewatch.errors import ScalewatchError
from scalewatch.guard import FAULT, Fault, Guard
from scalewatch_tensorboard.runs.cache import Cache
from scalewatch_tensorboard.runs.helpers import Helpers
from scalewatch_tensorboard.runs.listed import Told
from scalewatch_tensorboard.runs.logdirs import Found
from scalewatch_tensorboard.runs.many import ManyRuns
from scalewatch_tensorboard.runs.memory import return_large_pieces, trim
from scalewatch_tensorboard.runs.preview import LEAST_BYTES, Preview
from scalewatch_tensorboard.runs.registry import AbstractReader, RunRegistry
from scalewatch_tensorboard.runs.rescheduled import rescheduled_state
from scalewatch_tensorboard.runs.run_state import RunState
from scalewatch_tensorboard.runs.source import UnreadableRunError, open_source
from scalewatch_tensorboard.runs.tries import Tries

__all__ = ["Ingester"]

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("scalewatch")

#: Time between two searches for runs [s].
SEARCH_SECONDS = 4.0
#: Longest stretch of reading before others may have their turn [s], and the pause after it.
SLICE_SECONDS, BREATH_SECONDS = 0.010, 0.001
#: A request that is being answered holds the reading up for no longer than this [s].
MOST_WAIT_SECONDS = 0.5
#: Time between two looks at a run that is being written, and at one that is not [s].
LIVE_SECONDS, IDLE_SECONDS = 2.0, 10.0
#: A run that somebody looked at lately is looked at as often as a live one [s].
LOOKED_AT_SECONDS = 60.0
#: Time between two rows for the overview while a run is read [s].
SUMMARY_SECONDS = 1.0

#: Time between two times that a run which goes on is kept [s].
KEEP_SECONDS = 600.0
#: Time that a request for such a run may take for its reading [s].
AT_ONCE_SECONDS = 0.15
#: Runs under a schedule that a user guesses that are kept.
MOST_RESCHEDULED = 6
#: Runs that are remembered as looked at.
MOST_PREFERRED = 16

#: Part of the time that the search for runs takes at most.
SEARCH_SHARE = 0.05
#: A search that failed is tried again after so long, each time after twice as long [s].
RETRY_SECONDS, MOST_RETRY_SECONDS = 5.0, 300.0

_CONSEQUENCE = "in TensorBoard's tab and is tried again"


@final
class Ingester(AbstractReader):
    """Reads the runs of a registry.

    Args:
        registry: to be filled and kept up to date. summary_of: makes a run's row of the overview.
        warm_up: imports what the first chart needs, once all short logs are read.
    """

    def __init__(
        self, registry: RunRegistry, summary_of: Callable[[RunState], dict[str, Any]], warm_up: Callable[[], None]
    ) -> None:
        self._summary_of, self._warm_up = summary_of, warm_up
        self._registry = registry
        self._cache = Cache(registry.cache)
        self._wake = threading.Event()
        self._tries = Tries()
        self._many = ManyRuns(registry, self._tries, Helpers(self._wake.set))
        self._lock = threading.Lock()
        self._rescheduled: dict[tuple[str, int | None, str | None], RunState] = {}
        self._preferred: list[tuple[float, RunState]] = []
        self._next_search = float("-inf")

    def run(self) -> None:
        """Go on for ever."""
        return_large_pieces()
        _guarded("law", self._load_law)
        _guarded("first search", self.turn)
        _guarded("charts", self._warm_up)
        wait = RETRY_SECONDS
        while True:
            more = _guarded("search and reading", self.turn)
            if more is FAULT:
                self._next_search = time.monotonic() + wait
                time.sleep(wait)
                wait = min(2 * wait, MOST_RETRY_SECONDS)
                continue
            wait = RETRY_SECONDS
            if not more:
                self._wake.wait(0.2)
                self._wake.clear()

    def prefer(self, state: RunState) -> None:
        """Read this run before the others from now on."""
        now = time.monotonic()
        self._preferred = [(now, state), *((t, r) for t, r in self._preferred if r is not state)][:MOST_PREFERRED]
        self._wake.set()

    def rescheduled(self, state: RunState, total_steps: int | None, schedule: str | None) -> RunState:
        """Return the run with other learning rates planned; a few of them are kept.

        Raises:
            ScalewatchError: if there is no such schedule.
        """
        key = state.name, total_steps, schedule
        with self._lock:
            made = self._rescheduled.pop(key, None)
        if made is None or made.rows is not state.rows or made.stale:
            if not len(state.rows):
                return state
            made = rescheduled_state(state, total_steps, schedule)
            made.advance(AT_ONCE_SECONDS)  # a short run is ready with the answer
        with self._lock:
            self._rescheduled[key] = made
            while len(self._rescheduled) > MOST_RESCHEDULED:
                del self._rescheduled[next(iter(self._rescheduled))]
        self.prefer(made)
        return made

    def wake(self) -> None:
        """Look at once what is to be done."""
        self._wake.set()

    def load(self, found: Found) -> RunState | None:
        """Open a run that is listed, from what was kept of it or anew; None if that is not possible now."""
        guard = Guard(consequence=f"of the run {found.name:.100} {_CONSEQUENCE}")
        if guard.outcome("opening", self._open, found) is FAULT:
            self._registry.fail(self._tries, found, guard.failed["opening"])
        return self._registry.loaded(found.name)

    def turn(self) -> bool:
        """Do the next thing; whether there is more at once."""
        now = time.monotonic()
        if now >= self._next_search:
            self._search()
            # a search through very many folders is a share of a core at most
            took = time.monotonic() - now
            self._next_search = time.monotonic() + max(SEARCH_SECONDS, took / SEARCH_SHARE)
        if self._registry.work.work():
            return True
        helped = self._many.turn()
        state = self._next(now)
        if state is None:
            waiting = None if helped or self._many.wanted else self._many.next()
            if waiting is not None:
                self.load(waiting.found)
            return helped or waiting is not None
        self._registry.requests.wait(MOST_WAIT_SECONDS)
        self._read(state)
        time.sleep(BREATH_SECONDS)
        return True

    def _next(self, now: float) -> RunState | None:
        """The run to be read next: those looked at lately, then the shortest, then those that are due."""
        with self._lock:
            rescheduled = list(self._rescheduled.values())
        runs = [*self._registry.runs(), *rescheduled]
        there = set(map(id, runs))
        for _, state in self._preferred:
            if id(state) in there and self._due(state, now):
                return state
        due = [state for state in runs if self._due(state, now)]
        return min(due, key=lambda r: (r.reading.caught_up, r.bytes_total, r.name), default=None)

    def _due(self, state: RunState, now: float) -> bool:
        if state.stage == "failed":
            return False
        if state.upkeep.preview is None and not state.reading.caught_up and self._is_helped(state):
            return False
        return not state.reading.caught_up or now >= state.upkeep.next_visit

    def _is_helped(self, state: RunState) -> bool:
        """Whether a helper watches this run and keeps what it finds, so that it is taken from there."""
        listed = self._registry.listing.get(state.name)
        if state.rescheduled or listed is None or self._registry.cache is None or state.bytes_total < LEAST_BYTES:
            return False
        if listed.at_work or not (listed.told is Told.ALL and listed.fresh):
            state.upkeep.read_elsewhere = listed.read
            return listed.at_work
        if not state.upkeep.asked_cache:
            state.upkeep.asked_cache = True
            self.load(listed.found)
        return False

    def _read(self, state: RunState) -> None:
        """Read a run for a slice of time; a fault of this is that run's."""
        guard = Guard(consequence=f"of the run {state.name:.100} {_CONSEQUENCE}")
        if guard.outcome("reading", self._advance, state, guard) is FAULT:
            why = guard.failed["reading"]
            state.fail(why)
            listed = self._registry.listing.get(state.name)
            if not state.rescheduled and listed is not None:
                self._registry.fail(self._tries, listed.found, why)

    def _advance(self, state: RunState, guard: Guard) -> None:
        if state.upkeep.preview is not None:
            if not guard.call("preview", state.upkeep.preview.advance, SLICE_SECONDS, state.rows, state.lock):
                state.upkeep.preview = None
                trim()
            state.upkeep.version += 1
            if time.monotonic() >= state.upkeep.next_summary:
                self._summarise(state)
            return
        before, stage = state.upkeep.version, state.stage
        more = state.advance(SLICE_SECONDS)
        now = time.monotonic()
        if more:
            if now >= state.upkeep.next_summary:
                self._summarise(state)
            return
        if not state.rescheduled:
            self._tries.forget(state.name)
        if state.stale and not state.rescheduled:
            self._registry.unload(state.name)  # opened anew, by the next search at the latest
            self._next_search = now
        lately = any(r is state and now - t < LOOKED_AT_SECONDS for t, r in self._preferred)
        state.upkeep.next_visit = now + (LIVE_SECONDS if lately or state.stage == "live" else IDLE_SECONDS)
        if state.upkeep.version != before or state.stage != stage or not state.upkeep.summary:
            with state.lock:
                guard.call("looks", state.newest_look)
            self._summarise(state)
        if state.reading.identity != state.upkeep.kept and (state.stage != "live" or now >= state.upkeep.next_keep):
            state.upkeep.kept, state.upkeep.next_keep = state.reading.identity, now + KEEP_SECONDS
            if not state.rescheduled and state.bytes_total >= LEAST_BYTES:
                trim()
            if not state.rescheduled:
                guard.call("cache", self._cache.keep, state)

    def _summarise(self, state: RunState) -> None:
        state.upkeep.summary = self._summary_of(state)
        state.upkeep.next_summary = time.monotonic() + SUMMARY_SECONDS
        if not state.rescheduled:
            self._registry.tell(state)

    def _load_law(self) -> None:
        path = self._registry.logdirs.law
        if path is None:
            return
        from scalewatch.laws import load_law

        try:
            self._registry.law = load_law(path)
        except ScalewatchError as fault:
            self._registry.law_trouble = str(fault)
            _log.warning("scalewatch: --scalewatch_law: %s", fault)

    def _search(self) -> None:
        registry = self._registry
        found = {one.name: one for one in registry.found()}
        for run in registry.listing.all():
            if run.found.name not in found:
                registry.drop(run.found.name)
        self._tries.gone(set(found))
        for one in found.values():
            known = registry.listing.get(one.name)
            if known is not None and known.found.journal != one.journal:
                registry.unload(one.name)
            if not self._tries.is_no_run(one):
                registry.listing.add(one)
        self._many.refresh()
        registry.troubles = self._tries.sentences()
        registry.search.done = True

    def _open(self, one: Found) -> None:
        registry = self._registry
        try:
            state = RunState(one.name, open_source(one), registry.law)
        except UnreadableRunError as fault:
            return registry.fail(self._tries, one, str(fault))
        except ScalewatchError as fault:
            self._tries.no_run(one, str(fault))
            registry.drop(one.name)
            registry.troubles = self._tries.sentences()
            return None
        state.reading.identity = state.origin.identity()
        if _guarded("cache", self._cache.load, state) is True:
            state.upkeep.kept = state.reading.identity
        elif state.bytes_total >= LEAST_BYTES:
            state.upkeep.preview = Preview(open_source(one))
            state.stage = "reading"
        state.upkeep.summary = self._summary_of(state)
        registry.put(state, one)
        return None


def _guarded(part: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | Fault:
    """Return what a part returns; a fault of it is told and is no reason not to try it again."""
    return Guard(consequence=_CONSEQUENCE).outcome(part, function, *args, **kwargs)


def _size(found: Found) -> int:
    total = 0
    for folder in {found.folder, found.journal}:
        if folder is not None:
            try:
                total += sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
            except OSError:
                continue
    return total

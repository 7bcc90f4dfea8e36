"""The one thread that finds runs, reads them and follows them, in slices between which answers are given."""

from __future__ import annotations

import importlib
import logging
import threading
import time
from typing import TYPE_CHECKING, final

from scalewatch.errors import ScalewatchError
from scalewatch.guard import Guard
from scalewatch_tensorboard.runs.cache import Cache
from scalewatch_tensorboard.runs.preview import LEAST_BYTES, Preview
from scalewatch_tensorboard.runs.rescheduled import rescheduled_state
from scalewatch_tensorboard.runs.run_state import RunState
from scalewatch_tensorboard.runs.source import open_source
from scalewatch_tensorboard.server.memory import return_large_pieces, trim
from scalewatch_tensorboard.views.overview import row_of

if TYPE_CHECKING:
    from scalewatch_tensorboard.runs.logdirs import Found
    from scalewatch_tensorboard.runs.registry import RunRegistry

__all__ = ["Ingester"]

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
#: Runs under a plan that a user guesses that are kept.
MOST_PLANNED = 6
#: Runs that are remembered as looked at.
MOST_PREFERRED = 16

_CONSEQUENCE = "and is off until TensorBoard is started again"


@final
class Ingester:
    """Reads the runs of a library.

    Args:
        library: to be filled and kept up to date.
    """

    def __init__(self, library: RunRegistry) -> None:
        self._library = library
        self._guard = Guard(consequence=_CONSEQUENCE)
        self._cache = Cache(library.cache)
        self._wake = threading.Event()
        self._known: dict[str, Found] = {}
        self._unread: dict[str, tuple[int, str]] = {}
        self._lock = threading.Lock()
        self._planned: dict[tuple[str, int | None, str | None], RunState] = {}
        self._preferred: list[tuple[float, RunState]] = []
        self._next_search = float("-inf")

    def run(self) -> None:
        """Go on for ever."""
        return_large_pieces()
        self._guard.call("law", self._load_law)
        self._guard.call("search and reading", self._turn)
        self._guard.call("charts", _import_charts)
        while not self._guard.off:
            if not self._guard.call("search and reading", self._turn):
                if self._guard.is_off("search and reading"):
                    return
                self._wake.wait(0.2)
                self._wake.clear()

    def prefer(self, record: RunState) -> None:
        """Read this run before the others from now on."""
        now = time.monotonic()
        self._preferred = [(now, record), *((t, r) for t, r in self._preferred if r is not record)][:MOST_PREFERRED]
        self._wake.set()

    def planned(self, record: RunState, total_steps: int | None, schedule: str | None) -> RunState:
        """Return the run with another plan; a few of them are kept.

        Raises:
            ScalewatchError: if there is no such plan.
        """
        key = record.name, total_steps, schedule
        with self._lock:
            made = self._planned.pop(key, None)
        if made is None or made.rows is not record.rows or made.stale:
            if not len(record.rows):
                return record
            made = rescheduled_state(record, total_steps, schedule)
            made.advance(AT_ONCE_SECONDS)  # a short run is ready with the answer
        with self._lock:
            self._planned[key] = made
            while len(self._planned) > MOST_PLANNED:
                del self._planned[next(iter(self._planned))]
        self.prefer(made)
        return made

    def _turn(self) -> bool:
        """Do the next thing; whether there is more at once."""
        now = time.monotonic()
        if now >= self._next_search:
            self._search()
            self._next_search = time.monotonic() + SEARCH_SECONDS
        if self._library.fits.work():
            return True
        record = self._next(now)
        if record is None:
            return False
        self._library.busy.wait(MOST_WAIT_SECONDS)
        self._read(record)
        time.sleep(BREATH_SECONDS)
        return True

    def _next(self, now: float) -> RunState | None:
        """The run to be read next: those looked at lately, then the shortest, then those that are due."""
        with self._lock:
            planned = list(self._planned.values())
        runs = [*self._library.runs(), *planned]
        there = set(map(id, runs))
        for _, record in self._preferred:
            if id(record) in there and self._due(record, now):
                return record
        due = [record for record in runs if self._due(record, now)]
        return min(due, key=lambda r: (r.caught_up, r.bytes_total, r.name), default=None)

    def _due(self, record: RunState, now: float) -> bool:
        if record.state == "failed":
            return False
        return not record.caught_up or now >= record.next_look

    def _read(self, record: RunState) -> None:
        if record.preview is not None:
            if not record.guard.call("preview", record.preview.advance, SLICE_SECONDS, record.rows, record.lock):
                record.preview = None
                trim()
            record.version += 1
            if time.monotonic() >= record.next_summary:
                self._summarise(record)
                record.next_summary = time.monotonic() + SUMMARY_SECONDS
            return
        before, state = record.version, record.state
        more = record.guard.call("reading", record.advance, SLICE_SECONDS)
        if more is None:
            record.fail(record.guard.failed.get("reading", "its parts failed"))
        now = time.monotonic()
        if more:
            if now >= record.next_summary:
                self._summarise(record)
                record.next_summary = now + SUMMARY_SECONDS
            return
        if record.stale:
            self._known.pop(record.name, None)  # found anew by the next search
            self._next_search = now
        lately = any(r is record and now - t < LOOKED_AT_SECONDS for t, r in self._preferred)
        record.next_look = now + (LIVE_SECONDS if lately or record.state == "live" else IDLE_SECONDS)
        if record.version != before or record.state != state or not record.summary:
            with record.lock:
                record.guard.call("looks", record.newest_look)
            self._summarise(record)
        if record.identity != record.kept and (record.state != "live" or now >= record.next_keep):
            record.kept, record.next_keep = record.identity, now + KEEP_SECONDS
            if not record.planned and record.bytes_total >= LEAST_BYTES:
                trim()
            if not record.planned:
                self._guard.call("cache", self._cache.keep, record)

    def _summarise(self, record: RunState) -> None:
        made = record.guard.call("summary", row_of, record)
        if made is not None:
            record.summary = made

    def _load_law(self) -> None:
        path = self._library.where.law
        if path is None:
            return
        from scalewatch.laws import load_law

        try:
            self._library.law = load_law(path)
        except ScalewatchError as fault:
            self._library.law_trouble = str(fault)
            _log.warning("scalewatch: --scalewatch_law: %s", fault)

    def _search(self) -> None:
        library = self._library
        found = {one.name: one for one in library.found()}
        for name in [record.name for record in library.runs() if record.name not in found]:
            library.drop(name)
            self._known.pop(name, None)
        troubles: list[str] = []
        for name, one in found.items():
            known = self._known.get(name)
            if known is not None and known.journal == one.journal:
                continue
            size = _size(one)
            tried = self._unread.get(name)
            if tried is not None and tried[0] == size:
                troubles.append(tried[1])
                continue
            try:
                record = RunState(name, open_source(one), library.law)
            except ScalewatchError as fault:
                self._unread[name] = size, f"{name}: {fault}"
                troubles.append(f"{name}: {fault}")
                continue
            record.identity = record.origin.identity()
            if self._guard.call("cache", self._cache.load, record):
                record.kept = record.identity
            elif record.bytes_total >= LEAST_BYTES:
                record.preview = Preview(open_source(one))
                record.state = "reading"
            self._known[name] = one
            record.summary = row_of(record)
            library.put(record)
        library.troubles = troubles
        library.searched = True


def _import_charts() -> None:
    """Have at hand what the first chart needs, which takes half a second to import."""
    from scalewatch_tensorboard.views.figures import FIGURES

    if FIGURES:
        try:
            importlib.import_module("altair")
            importlib.import_module("scalewatch.charts")
        except ImportError as fault:
            _log.warning("scalewatch: no charts in TensorBoard: %s (pip install 'scalewatch[tensorboard]').", fault)


def _size(found: Found) -> int:
    total = 0
    for folder in {found.folder, found.journal}:
        if folder is not None:
            try:
                total += sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
            except OSError:
                continue
    return total

"""The runs of a logdir: found again every few seconds, looked up by name, never joined to a path."""

from __future__ import annotations

import itertools
import threading
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, final

from scalewatch_tensorboard.runs.background import BackgroundWork
from scalewatch_tensorboard.runs.listed import Told
from scalewatch_tensorboard.runs.listing import Listing
from scalewatch_tensorboard.runs.logdirs import Found, Logdirs, found_runs

if TYPE_CHECKING:
    from scalewatch.laws import CurveLaw
    from scalewatch_tensorboard.runs.run_state import RunState
    from scalewatch_tensorboard.runs.tries import Tries

__all__ = ["AbstractReader", "RunRegistry"]

#: Runs that are listed at most; the first that are found.
MOST_RUNS = 20_000
#: Runs whose rows are in memory at most, but for the one that was opened last, and bytes of their rows.
MOST_LOADED, MOST_LOADED_BYTES = 48, 96_000_000
#: What a row takes in memory [bytes].
ROW_BYTES = 36
#: How long a first look for runs holds [s].
FIRST_LOOK_SECONDS = 5.0


class AbstractReader(ABC):
    """Who reads the runs in the background, as requests speak to it."""

    @abstractmethod
    def prefer(self, state: RunState) -> None:
        """Read this run before the others from now on."""

    @abstractmethod
    def wake(self) -> None:
        """Look at once what is to be done."""

    @abstractmethod
    def load(self, found: Found) -> RunState | None:
        """Open a run that is listed, from what was kept of it or anew; None if that is not possible now."""

    @abstractmethod
    def rescheduled(self, state: RunState, total_steps: int | None, schedule: str | None) -> RunState:
        """Return the run with other learning rates planned; raises `ScalewatchError` if there is no such schedule."""


@final
class RunRegistry:
    """What the panel knows: the list of all runs, and those of them that somebody looks at, with their rows.

    Args:
        logdirs: where the runs are, and the law and the cache.

    Attributes:
        law: each run is held against, None for none. law_trouble: why the one that was asked for cannot be used.
        troubles: why folders that look like runs are none, a sentence each. listing: every run, with its row.
        search: whether the folders have been looked through at all, and whether there is a run.
        requests: those that are being answered. work: what takes too long for a request.
        reader: reads the runs; None before TensorBoard's start is over.
    """

    def __init__(self, logdirs: Logdirs) -> None:
        self.logdirs = logdirs
        self.law: CurveLaw | None = None
        self.law_trouble = ""
        self.troubles: list[str] = []
        self.listing = Listing()
        self.search = Search(logdirs)
        self.requests = Requests()
        self.work = BackgroundWork()
        self.reader: AbstractReader | None = None
        self._loaded: OrderedDict[str, RunState] = OrderedDict()
        self._unreadable: dict[str, str] = {}
        self._lock = threading.RLock()

    def has_runs(self) -> bool:
        """Return whether a folder below the logdir may hold a run; quick, and looked at again every few seconds."""
        if len(self.listing):
            return True
        return self.search.finds_any()

    def runs(self) -> list[RunState]:
        """Return the runs whose rows are in memory, by name."""
        with self._lock:
            return [self._loaded[name] for name in sorted(self._loaded)]

    def find(self, name: str) -> RunState | None:
        """Return the run of that name with its rows, None if there is none; one that is only listed is opened."""
        with self._lock:
            state = self._loaded.get(name)
            if state is not None:
                self._loaded.move_to_end(name)
                return state
        listed = self.listing.get(name)
        if listed is None or self.reader is None or name in self._unreadable:
            return None
        return self.reader.load(listed.found)

    def put(self, state: RunState, found: Found | None = None) -> RunState:
        """Hold a run in memory, in the place of the one of its name; the ones looked at longest ago go."""
        with self._lock:
            self._unreadable.pop(state.name, None)
            self._loaded[state.name] = state
            self._loaded.move_to_end(state.name)
            self.listing.add(found or Found(state.name, Path(), None, events=True))
            if state.upkeep.summary:
                self.tell(state)
            self._make_room()
        return state

    def tell(self, state: RunState) -> None:
        """Show in the list what is known of a run in memory."""
        whole = state.reading.caught_up
        self.listing.tell(
            state.name, state.upkeep.summary | {"stage": state.stage}, Told.ALL if whole else Told.LAST_ROWS
        )

    def _make_room(self) -> None:
        sizes = {name: len(state.rows) * ROW_BYTES for name, state in self._loaded.items()}
        total = sum(sizes.values())
        for name, size in list(sizes.items())[:-1]:
            if len(self._loaded) <= MOST_LOADED and total <= MOST_LOADED_BYTES:
                return
            del self._loaded[name]
            total -= size

    def fail(self, tries: Tries, found: Found, why: str) -> None:
        """Say why a run cannot be read now, and note it to be tried again; what was read of it before is gone."""
        tries.failed(found, why)
        with self._lock:
            self._loaded.pop(found.name, None)
            self._unreadable[found.name] = why
            self.listing.give_up(found.name, why)

    def loaded(self, name: str) -> RunState | None:
        """Return the run of that name if its rows are in memory."""
        return self._loaded.get(name)

    def unreadable(self) -> dict[str, str]:
        """Return the runs that cannot be read now, name -> why."""
        with self._lock:
            return dict(self._unreadable)

    def unload(self, name: str) -> None:
        """Take a run out of memory; it stays in the list."""
        with self._lock:
            self._loaded.pop(name, None)

    def drop(self, name: str) -> None:
        """Take a run away: its folder is gone, or holds none."""
        with self._lock:
            self._loaded.pop(name, None)
            self._unreadable.pop(name, None)
            self.listing.drop(name)

    def wake(self) -> None:
        """Say that a page shows other rows now."""
        if self.reader is not None:
            self.reader.wake()

    def prefer(self, state: RunState) -> None:
        """Have this run read before the others."""
        if self.reader is not None:
            self.reader.prefer(state)

    def rescheduled(self, state: RunState, total_steps: int | None, schedule: str | None) -> RunState:
        """Return the run as it would be watched with that schedule; read from its rows in the background."""
        if self.reader is None or (total_steps is None and schedule is None):
            return state
        return self.reader.rescheduled(state, total_steps, schedule)

    def found(self) -> list[Found]:
        """Look through the folders now."""
        return sorted(itertools.islice(found_runs(self.logdirs.roots), MOST_RUNS), key=lambda found: found.name)

    @property
    def cache(self) -> Path | None:
        """Folder of the cache, None if it is not wanted."""
        return self.logdirs.cache


@final
class Search:
    """Where the runs are looked for.

    Attributes:
        done: whether the folders have been looked through at all.
    """

    def __init__(self, logdirs: Logdirs) -> None:
        self.done = False
        self._logdirs = logdirs
        self._first: tuple[float, bool] = (float("-inf"), False)

    def finds_any(self) -> bool:
        """Return whether a folder may hold a run: a first look, which holds for a few seconds."""
        looked, there = self._first
        if time.monotonic() - looked > FIRST_LOOK_SECONDS:
            there = next(found_runs(self._logdirs.roots), None) is not None
            self._first = time.monotonic(), there
        return there


@final
class Requests:
    """The requests that are being answered: who reads in the background waits for them.

    Attributes:
        seen: names that a page shows just now, and when it said so, monotonic [s].
    """

    def __init__(self) -> None:
        self.seen: tuple[float, tuple[str, ...]] = (float("-inf"), ())
        self._lock = threading.Lock()
        self._count = 0
        self._free = threading.Event()
        self._free.set()

    def __enter__(self) -> None:
        with self._lock:
            self._count += 1
            self._free.clear()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0:
                self._free.set()

    def wait(self, seconds: float) -> None:
        """Wait until nobody is being answered, or for `seconds` [s]."""
        self._free.wait(seconds)

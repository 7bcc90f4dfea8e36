"""The runs of a logdir: found again every few seconds, looked up by name, never joined to a path."""

from __future__ import annotations

import itertools
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, final

from scalewatch_tensorboard.runs.background import BackgroundWork
from scalewatch_tensorboard.runs.logdirs import Found, Logdirs, found_runs

if TYPE_CHECKING:
    from scalewatch.laws import CurveLaw
    from scalewatch_tensorboard.runs.run_state import RunState

__all__ = ["AbstractReader", "RunRegistry"]

#: Runs that are kept at most; the first by name.
MOST_RUNS = 2_000
#: How long a first look for runs holds [s].
FIRST_LOOK_SECONDS = 5.0


class AbstractReader(ABC):
    """Who reads the runs in the background, as requests speak to it."""

    @abstractmethod
    def prefer(self, state: RunState) -> None:
        """Read this run before the others from now on."""

    @abstractmethod
    def rescheduled(self, state: RunState, total_steps: int | None, schedule: str | None) -> RunState:
        """Return the run with other learning rates planned; raises `ScalewatchError` if there is no such schedule."""


@final
class RunRegistry:
    """What the panel knows.

    Args:
        logdirs: where the runs are, and the law and the cache.

    Attributes:
        law: each run is held against, None for none. law_trouble: why the one that was asked for cannot be used.
        troubles: why folders that look like runs are none, a sentence each. generation: rises when runs come or go.
        searched: whether the folders have been looked through at all.
        busy: how many requests are being answered. work: what takes too long for a request.
        reader: reads the runs; None before TensorBoard's start is over.
    """

    def __init__(self, logdirs: Logdirs) -> None:
        self.logdirs = logdirs
        self.law: CurveLaw | None = None
        self.law_trouble = ""
        self.troubles: list[str] = []
        self.generation = 0
        self.searched = False
        self.busy = Busy()
        self.work = BackgroundWork()
        self.reader: AbstractReader | None = None
        self._states: dict[str, RunState] = {}
        self._unreadable: dict[str, str] = {}
        self._lock = threading.Lock()
        self._any: tuple[float, bool] = (float("-inf"), False)

    def has_runs(self) -> bool:
        """Return whether a folder below the logdir may hold a run; quick, and looked at again every few seconds."""
        if self._states:
            return True
        looked, there = self._any
        if time.monotonic() - looked > FIRST_LOOK_SECONDS:
            there = next(found_runs(self.logdirs.roots), None) is not None
            self._any = time.monotonic(), there
        return there

    def runs(self) -> list[RunState]:
        """Return every run, by name."""
        with self._lock:
            return [self._states[name] for name in sorted(self._states)]

    def find(self, name: str) -> RunState | None:
        """Return the run of that name, None if there is none."""
        with self._lock:
            return self._states.get(name)

    def put(self, state: RunState) -> None:
        """Add a run, or put it in the place of the one of its name."""
        with self._lock:
            self._unreadable.pop(state.name, None)
            self._states[state.name] = state
            self.generation += 1

    def put_unreadable(self, name: str, why: str) -> None:
        """Say why a run cannot be read now; what was read of it before is gone."""
        with self._lock:
            if self._unreadable.get(name) != why or name in self._states:
                self.generation += 1
            self._states.pop(name, None)
            self._unreadable[name] = why

    def unreadable(self) -> dict[str, str]:
        """Return the runs that cannot be read now, name -> why."""
        with self._lock:
            return dict(self._unreadable)

    def drop(self, name: str) -> None:
        """Take a run away: its folder is gone."""
        with self._lock:
            known = self._states.pop(name, None) is not None
            if self._unreadable.pop(name, None) is not None or known:
                self.generation += 1

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
class Busy:
    """How many requests are being answered: who reads in the background waits for them."""

    def __init__(self) -> None:
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

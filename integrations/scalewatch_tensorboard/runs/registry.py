"""The runs of a logdir: found again every few seconds, looked up by name, never joined to a path."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, final

from scalewatch_tensorboard.runs.logdirs import Found, Logdirs, found_runs
from scalewatch_tensorboard.views.fits import Fits

if TYPE_CHECKING:
    from scalewatch.laws import CurveLaw
    from scalewatch_tensorboard.runs.ingest import Ingester
    from scalewatch_tensorboard.runs.run_state import RunState

__all__ = ["RunRegistry"]

#: Runs that are kept at most; the first by name.
MOST_RUNS = 2_000
#: Reasons why folders hold no run that are told.
MOST_TROUBLES = 8
#: Time that TensorBoard's start is left alone [s].
FIRST_PAUSE_SECONDS = 0.4
#: How long a first look for runs holds [s].
FIRST_LOOK_SECONDS = 5.0


@final
class RunRegistry:
    """What the panel knows.

    Args:
        where: the runs are, and the law and the cache.

    Attributes:
        law: each run is held against, None for none. law_trouble: why the one that was asked for cannot be used.
        troubles: why folders that look like runs are none, a sentence each. generation: rises when runs come or go.
        searched: whether the folders have been looked through at all.
    """

    def __init__(self, where: Logdirs) -> None:
        self.where = where
        self.law: CurveLaw | None = None
        self.law_trouble = ""
        self.troubles: list[str] = []
        self.generation = 0
        self.searched = False
        self.busy = Busy()
        self.fits = Fits()
        self._records: dict[str, RunState] = {}
        self._lock = threading.Lock()
        self._follower: Ingester | None = None
        self._any: tuple[float, bool] = (float("-inf"), False)

    def start(self) -> None:
        """Begin to read in the background, once TensorBoard's start is over."""
        threading.Thread(target=self._begin, name="scalewatch", daemon=True).start()

    def _begin(self) -> None:
        # TensorBoard's own start is left alone: what follows is half a second of imports
        time.sleep(FIRST_PAUSE_SECONDS)
        from scalewatch_tensorboard.runs.ingest import Ingester

        self._follower = Ingester(self)
        self._follower.run()

    def has_runs(self) -> bool:
        """Return whether a folder below the logdir may hold a run; quick, and looked at again every few seconds."""
        if self._records:
            return True
        looked, there = self._any
        if time.monotonic() - looked > FIRST_LOOK_SECONDS:
            there = next(iter(itertools.islice(found_runs(self.where.roots), 1)), None) is not None
            self._any = time.monotonic(), there
        return there

    def runs(self) -> list[RunState]:
        """Return every run, by name."""
        with self._lock:
            return [self._records[name] for name in sorted(self._records)]

    def find(self, name: str) -> RunState | None:
        """Return the run of that name, None if there is none."""
        with self._lock:
            return self._records.get(name)

    def put(self, record: RunState) -> None:
        """Add a run, or put it in the place of the one of its name."""
        with self._lock:
            self._records[record.name] = record
            self.generation += 1

    def drop(self, name: str) -> None:
        """Take a run away: its folder is gone."""
        with self._lock:
            if self._records.pop(name, None) is not None:
                self.generation += 1

    def asked_for(self, record: RunState) -> None:
        """Have this run read before the others."""
        if self._follower is not None:
            self._follower.prefer(record)

    def planned(self, record: RunState, total_steps: int | None, schedule: str | None) -> RunState:
        """Return the run as it would be watched with that plan; read from its rows in the background."""
        if self._follower is None or (total_steps is None and schedule is None):
            return record
        return self._follower.planned(record, total_steps, schedule)

    def found(self) -> list[Found]:
        """Look through the folders now."""
        return sorted(itertools.islice(found_runs(self.where.roots), MOST_RUNS), key=lambda found: found.name)

    @property
    def cache(self) -> Path | None:
        """Folder of the cache, None if it is not wanted."""
        return self.where.cache


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

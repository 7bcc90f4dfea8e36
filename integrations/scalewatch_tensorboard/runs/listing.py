"""The list of all runs, told in parts: what changed since a page asked last, a few hundred kilobytes at a time."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple, final

from scalewatch_tensorboard.runs.listed import ListedRun, Told, unreadable_row
from scalewatch_tensorboard.runs.logdirs import Files, Found

__all__ = ["Listing", "Part"]

#: Names of runs that went that are remembered; a page that asked before that is told everything again.
MOST_GONE = 2_000


@final
class Part(NamedTuple):
    """What a page is told.

    Attributes:
        epoch: of this list; a page that knows another one forgets it. version: up to which it is told.
        whole: whether all that the page had is forgotten first. more: whether there is more to be asked for at once.
        rows: of the overview, JSON. gone: names of runs that went. left_out: rows that have no room at all, count.
        total: runs that are listed, count.
    """

    epoch: str
    version: int
    whole: bool
    more: bool
    rows: list[bytes]
    gone: list[str]
    left_out: int
    total: int


@final
class Listing:
    """All runs by name, and when each of their rows changed."""

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(4)
        self.version = 0
        self._runs: dict[str, ListedRun] = {}
        self._gone: deque[tuple[int, str]] = deque(maxlen=MOST_GONE)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._runs)

    def get(self, name: str) -> ListedRun | None:
        """Return the run of that name, None if there is none."""
        return self._runs.get(name)

    def all(self) -> list[ListedRun]:
        """Return every run, by name."""
        with self._lock:
            return [self._runs[name] for name in sorted(self._runs)]

    def add(self, found: Found) -> ListedRun:
        """List a run, or note that its files are others now."""
        with self._lock:
            listed = self._runs.get(found.name)
            if listed is None:
                listed = self._runs[found.name] = ListedRun(found)
            elif found.files:
                listed.found = found
            return listed

    def tell(self, name: str, row: dict[str, Any], told: Told, of: Files | None = None) -> None:
        """Take a run's row; a row that tells less of the same files than the one before is passed over.

        Args:
            name: of the run. row: of the overview. told: how much it tells. of: which files; None for those of now.
        """
        with self._lock:
            listed = self._runs.get(name)
            if listed is None or (told < listed.told and listed.fresh):
                return
            listed.told = max(told, listed.told) if listed.fresh else told
            if told:
                listed.of = listed.found.files if of is None else of
            if listed.take(row):
                self.version += 1
                listed.changed = self.version

    def give_up(self, name: str, why: str) -> None:
        """Show why a run cannot be read, in the place of its row."""
        with self._lock:
            listed = self._runs.get(name)
            if listed is not None:
                listed.told, listed.of = Told.NOTHING, ()
                if listed.take(unreadable_row(name, why)):
                    self.version += 1
                    listed.changed = self.version

    def drop(self, name: str) -> None:
        """Take a run off the list."""
        with self._lock:
            if self._runs.pop(name, None) is not None:
                self.version += 1
                self._gone.append((self.version, name))

    def since(self, epoch: str, version: int, room: int) -> Part:
        """Return what changed after a version, the oldest change first.

        Args:
            epoch, version: what the page knows; "" and 0 for nothing. room: for rows [bytes].
        """
        with self._lock:
            first_gone = self._gone[0][0] if len(self._gone) == MOST_GONE else 0
            whole = epoch != self.epoch or version < first_gone
            known = 0 if whole else version
            changed = [run for run in self._runs.values() if run.row and run.changed > known]
            gone = [name for at, name in self._gone if at > known and name not in self._runs]
            now, total = self.version, len(self._runs)
        changed.sort(key=lambda run: run.changed)
        kept = _fitting(changed, room)
        left = len(changed) - kept
        rows = [run.row for run in changed[:kept]]
        upto = changed[kept - 1].changed if left and kept else now
        return Part(self.epoch, upto, whole, left > 0, rows, gone, left, total)


def _fitting(runs: Iterable[ListedRun], room: int) -> int:
    """How many rows fit; one at least."""
    count = 0
    for run in runs:
        room -= len(run.row) + 1
        if room < 0 and count:
            break
        count += 1
    return count

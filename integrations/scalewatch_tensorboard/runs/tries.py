"""Folders that could not be read: why, and when each is tried again. Nothing is given up for good."""

from __future__ import annotations

import math
import time
from typing import NamedTuple, final

from scalewatch_tensorboard.runs.logdirs import Files, Found

__all__ = ["Tries"]

#: A run that failed is tried again after so long, each time after twice as long [s].
RETRY_SECONDS, MOST_RETRY_SECONDS = 5.0, 300.0


@final
class _Tried(NamedTuple):
    """A try that failed: of which files, why, whether it is shown among the runs, and when the next one is due [s]."""

    files: Files
    why: str
    is_run: bool
    wait: float = 0.0
    again: float = math.inf


@final
class Tries:
    """Tries that failed, by the name of the run."""

    def __init__(self) -> None:
        self._tried: dict[str, _Tried] = {}

    def waits(self, found: Found) -> bool:
        """Whether it is too early to try this one again: its files are the same, and it is not long ago."""
        tried = self._tried.get(found.name)
        return tried is not None and tried.files == found.files and time.monotonic() < tried.again

    def is_no_run(self, found: Found) -> bool:
        """Whether its files, as they are, hold no run."""
        tried = self._tried.get(found.name)
        return tried is not None and not tried.is_run and tried.files == found.files

    def no_run(self, found: Found, why: str) -> None:
        """Note that its files hold no run: it is looked at again when they change."""
        self._tried[found.name] = _Tried(found.files, why, is_run=False)

    def failed(self, found: Found, why: str) -> None:
        """Note that a run could not be read."""
        before = self._tried.get(found.name)
        wait = RETRY_SECONDS if before is None or not before.wait else min(2 * before.wait, MOST_RETRY_SECONDS)
        self._tried[found.name] = _Tried(found.files, why, is_run=True, wait=wait, again=time.monotonic() + wait)

    def forget(self, name: str) -> None:
        """It was read, or is gone."""
        self._tried.pop(name, None)

    def gone(self, names: set[str]) -> None:
        """Forget all but those of these names."""
        for name in self._tried.keys() - names:
            del self._tried[name]

    def sentences(self) -> list[str]:
        """Why folders that look like runs are none."""
        return [f"{name}: {tried.why}" for name, tried in sorted(self._tried.items()) if not tried.is_run]

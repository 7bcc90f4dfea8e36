"""The files of a run's alerts, beside its journal, and the lock on them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from scalewatch.alert.lock import Lock
from scalewatch.alert.silences import SilenceFile
from scalewatch.alert.state_file import StateFile

__all__ = ["LOCK_NAME", "SILENCES_NAME", "STATE_NAME", "RunFiles"]

_log = logging.getLogger("scalewatch")

#: Names of the files.
STATE_NAME, SILENCES_NAME, LOCK_NAME = "alerts.json", "silences.json", "alerts.lock"


@final
class RunFiles:
    """State, silences and lock; of them all, only the lock is there without a folder.

    Args:
        folder: where they are, None to keep everything in memory.

    Attributes:
        owned: whether the lock is ours: the alerts of this run are sent from here.
    """

    def __init__(self, folder: Path | None) -> None:
        self.silences = SilenceFile(None if folder is None else folder / SILENCES_NAME)
        self._state = None if folder is None else StateFile(folder / STATE_NAME)
        self._lock = Lock(None if folder is None else folder / LOCK_NAME)
        self.owned = self._lock.acquire()
        if not self.owned:
            _log.warning(
                "scalewatch: %s sends the alerts of this run (%s): nothing is sent from here until it ends.",
                self.holder(),
                folder,
            )

    def holder(self) -> str:
        """Who sends the alerts of this run, in words for people."""
        return self._lock.holder()

    def take_over(self) -> bool:
        """Take the lock if another process has it no longer; whether it was just taken."""
        if self.owned:
            return False
        self.owned = self._lock.acquire()
        if self.owned:
            _log.warning("scalewatch: the other process has ended: the alerts of this run are sent from here now.")
        return self.owned

    def read(self) -> object:
        """Return the state on the disk, None if there is none."""
        return None if self._state is None else self._state.read()

    def write(self, state: Mapping[str, Any]) -> None:
        """Put the state on the disk."""
        if self._state is not None:
            self._state.write(state)

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()

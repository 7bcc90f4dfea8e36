"""A small JSON file that is always whole: written beside and renamed."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from scalewatch.system import open_to_read, open_to_replace

__all__ = ["StateFile"]

_log = logging.getLogger("scalewatch")

MAX_STATE_BYTES = 2**20


@final
class StateFile:
    """Plain data on the disk: after a kill it is what it was before the write, or after it.

    Args:
        path: of the file; its folder is made, for its owner only.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._warned = False

    def read(self) -> object:
        """Return what it holds; None if there is none or it cannot be read."""
        try:
            with os.fdopen(open_to_read(self.path), "rb") as stream:
                raw = stream.read(MAX_STATE_BYTES + 1)
            return None if len(raw) > MAX_STATE_BYTES else json.loads(raw)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as fault:
            self._warn("read", fault)
            return None

    def write(self, state: Mapping[str, Any]) -> bool:
        """Put it on the disk; False, and one warning for them all, if that cannot be done."""
        beside = self.path.with_name(self.path.name + ".new")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(open_to_replace(beside), "wb") as stream:
                stream.write(json.dumps(state, allow_nan=False).encode("ascii"))
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(beside, self.path)
            return True
        except (OSError, ValueError) as fault:
            with contextlib.suppress(OSError):
                beside.unlink()
            self._warn("written", fault)
            return False

    def _warn(self, what: str, fault: Exception) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "scalewatch: the state of the alerts cannot be %s (%s): after a crash some may repeat.",
                what,
                type(fault).__name__,
            )

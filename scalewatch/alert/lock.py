"""One sender a run: a lock on the state of its alerts, which the system takes back when its holder dies.

Why not a file that is made with O_EXCL: after a kill it stays, and whether its holder is dead is a guess, on another
machine a bad one. Where a file system knows no locks, nothing is locked, and two processes would both send.
"""

from __future__ import annotations

import contextlib
import os
import socket
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = ["Lock"]

#: Longest note of who holds it [bytes].
MAX_NOTE_BYTES = 200


@final
class Lock:
    """A lock that one process has at a time.

    Args:
        path: of its file, which stays when the lock is given back; None for a lock that nobody else knows.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock: FileLock | None = None
        self._held = path is None

    def acquire(self) -> bool:
        """Take it if it is free, and return whether it is ours; never waits for it."""
        if not self._held:
            self._held = self._path is None or self._acquired(self._path)
        return self._held

    def _acquired(self, path: Path) -> bool:
        with warnings.catch_warnings(action="ignore"):  # it warns where the system has no locks
            from filelock import FileLock, SoftFileLock, Timeout  # 70 ms, for asyncio: only where there are alerts
        if issubclass(FileLock, SoftFileLock):  # which is a file that was made with O_EXCL
            return True
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # taken on one thread and given back on another
            lock = FileLock(
                path, mode=0o600, thread_local=False, fallback_to_soft=False, preserve_lock_file=True, on_acquired=_sign
            )
            lock.acquire(blocking=False)
        except Timeout:
            return False
        except OSError:  # no locks here; or the state cannot be written either, which is told there
            return True
        self._lock = lock
        return True

    def holder(self) -> str:
        """Who holds it, in words for people."""
        try:
            text = b"" if self._path is None else self._path.read_bytes()[:MAX_NOTE_BYTES]
        except OSError:
            text = b""
        words = "".join(c for c in text.decode("utf-8", "replace") if c.isprintable())
        return words if words.startswith("process ") else "another process"

    def release(self) -> None:
        """Give it back; it may be taken again."""
        lock, self._lock = self._lock, None
        self._held = self._path is None
        if lock is not None:
            lock.release(force=True)


def _sign(descriptor: int) -> None:
    """Write down who holds the lock; on a full disk it is held all the same."""
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())

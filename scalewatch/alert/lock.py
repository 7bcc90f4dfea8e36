"""One sender a run: a lock on the state of its alerts, which the system takes back when its holder dies.

Why not a file that is made with O_EXCL: after a kill it stays, and whether its holder is dead is a guess, on another
machine a bad one. Where a file system knows no locks, nothing is locked, and two processes would both send.
"""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import final

try:
    import fcntl
except ImportError:  # not on this system, and then no locks either
    fcntl = None  # type: ignore[assignment]

__all__ = ["Lock"]

#: What a file system that cannot lock says.
_CANNOT = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
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
        self._descriptor = -1
        self._held = path is None

    def acquire(self) -> bool:
        """Take it if it is free, and return whether it is ours; never waits for it."""
        if not self._held:
            self._held = self._taken()
        return self._held

    def _taken(self) -> bool:
        if self._path is None or fcntl is None:
            return True
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._path, flags, 0o600)
        except OSError:  # then the state cannot be written either, which is told there
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        except OSError as fault:
            if fault.errno not in _CANNOT | {errno.ENOSPC, errno.EDQUOT, errno.EIO}:
                os.close(descriptor)
                return False
        self._descriptor = descriptor
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
        descriptor, self._descriptor = self._descriptor, -1
        self._held = self._path is None
        if descriptor >= 0:
            os.close(descriptor)

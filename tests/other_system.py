"""Takes away what Windows has not, and gives what only Windows has.

No fork, no groups of processes, no POSIX modules, `os.linesep` of two characters, and descriptors that were opened
without `O_BINARY` turn each newline into two characters, as the C library does there. It stands for a machine that
nobody here has; it is not one.
"""

from __future__ import annotations

import os
import sys
from typing import Any

#: What `os` has on POSIX only.
ONLY_POSIX = (
    *("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_DIRECTORY", "killpg", "setsid", "mkfifo", "register_at_fork"),
    *("fork", "getuid", "geteuid", "getloadavg", "uname", "fchmod", "sched_getaffinity"),
)
#: Modules that are not there; what was imported before us keeps its own.
NO_MODULES = ("fcntl", "termios", "pty", "tty", "pwd", "grp", "resource")
O_BINARY = 1 << 29

_open, _write = os.open, os.write
_in_text_mode: set[int] = set()


def _opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    if os.path.isdir(path):  # Windows opens no folders
        raise PermissionError(13, "Permission denied", os.fspath(path))
    descriptor = _open(path, flags & ~O_BINARY, mode, dir_fd=dir_fd)
    (_in_text_mode.discard if flags & O_BINARY else _in_text_mode.add)(descriptor)
    return descriptor


def _written(descriptor: int, data: Any) -> int:
    if descriptor not in _in_text_mode:
        return _write(descriptor, data)
    _write(descriptor, bytes(data).replace(b"\n", b"\r\n"))
    return len(data)


def become_windows() -> None:
    """Change the system of this process, before anything of ours is imported."""
    import subprocess  # noqa: F401  # which looks for POSIX by itself, as NumPy does

    import numpy  # noqa: F401

    for name in ONLY_POSIX:
        if hasattr(os, name):
            delattr(os, name)
    for module in NO_MODULES:
        sys.modules[module] = None  # type: ignore[assignment]  # an import of it fails
    os.O_BINARY = O_BINARY  # type: ignore[attr-defined]
    os.linesep = "\r\n"
    os.open, os.write = _opened, _written  # type: ignore[assignment]

"""What systems differ in, each with what takes its place where a system has nothing of the kind.

Everything here works on POSIX and on Windows. The one other place with calls of POSIX is the terminal that
`scalewatch run` opens for a program (`cli/passed_through.py`), where there is no Windows at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

__all__ = [
    "after_fork_in_child",
    "algebra_in_one_thread",
    "cores",
    "environment_of_others",
    "kill_with_descendants",
    "open_new_to_append",
    "open_to_read",
    "open_to_replace",
    "sync_folder",
]

#: How many threads numpy's linear algebra has, as OpenBLAS reads it, and as it reads it too.
_THREADS, _ALSO_THREADS = "OPENBLAS_NUM_THREADS", ("OMP_NUM_THREADS", "GOTO_NUM_THREADS")
#: What was set here in the environment, and is no wish of the user's.
_set_here: set[str] = set()

# Bytes stay as they are (Windows would put a carriage return before each newline), a forked or started program does
# not inherit the file, and nobody leads us elsewhere by a link or keeps us waiting at a pipe.
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)


def open_to_read(path: Path, *, follow_links: bool = False) -> int:
    """Return a descriptor of a regular file; of nothing else, and without waiting for anything.

    Raises:
        OSError: if it is no regular file or cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _BINARY | _NO_WAIT | (0 if follow_links else _NO_LINK))
    except ValueError as fault:  # a NUL in the path
        raise OSError(errno.EINVAL, str(fault), os.fspath(path)) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    return descriptor


def open_new_to_append(path: Path) -> int:
    """Return a descriptor of a file that was not there, for its owner only; writes go to its end.

    Raises:
        FileExistsError: if there is something of that name.
        OSError: if it cannot be made.
    """
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | _BINARY | _NO_LINK, 0o600)


def open_to_replace(path: Path) -> int:
    """Return a descriptor of a file, for its owner only, that is empty whatever it was before.

    Raises:
        OSError: if it cannot be made.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _BINARY | _NO_LINK, 0o600)


def sync_folder(folder: Path) -> None:
    """Have the disk keep the names in a folder: a power cut may take the name of a file whose bytes are safe.

    Some systems and file systems cannot do it, and then there is nothing to be done about it.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | _BINARY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def after_fork_in_child(function: Callable[[], None]) -> None:
    """Have `function` called in every child that this process forks; nothing where processes do not fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)


def kill_with_descendants(process: subprocess.Popen[bytes]) -> None:
    """Kill a program that was started with `start_new_session=True`, and what it has started.

    Windows knows no groups of processes: there, what it has started is left.
    """
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg") and hasattr(signal, "SIGKILL"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def algebra_in_one_thread() -> None:
    """Let linear algebra run in the thread that asks for it, unless the user says otherwise; before numpy is imported.

    What is solved here has some tens of rows, and threads of OpenBLAS cost their start and turn while they wait.
    """
    if not {_THREADS, *_ALSO_THREADS} & os.environ.keys():
        os.environ[_THREADS] = "1"
        _set_here.add(_THREADS)


def environment_of_others() -> dict[str, str]:
    """Return the environment for a program of somebody else: as it was when this process began."""
    return {name: value for name, value in os.environ.items() if name not in _set_here}

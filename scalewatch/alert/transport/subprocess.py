"""Runs another program for a moment: with a limit of time, no shell, and nothing of it left behind."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Mapping, Sequence

from scalewatch.system import kill_with_descendants

__all__ = ["run_program"]


def run_program(argv: Sequence[str], data: bytes, env: Mapping[str, str], timeout: float) -> int | str:
    """Run a program with `data` on its standard input and return its exit code, or why it has none.

    What it prints is thrown away. What takes longer than `timeout` [s] is killed, on POSIX with all that it started. No
    exception leaves this function, because it would keep its frame, with `data` and `env`, alive.
    """
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=env,
            start_new_session=True,
        )
    except (OSError, ValueError) as fault:
        return f"cannot be run ({type(fault).__name__})"
    try:
        process.communicate(data, timeout=timeout)
    except subprocess.TimeoutExpired:
        return "did not end in time"
    finally:
        _end(process)
    return process.returncode


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        kill_with_descendants(process)
        process.wait()
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()

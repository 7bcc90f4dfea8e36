"""A program run with its output passed through, byte for byte, and a copy of it kept.

On a terminal the program gets a terminal too, so that its colours and bars are as they were; elsewhere it gets pipes,
one for its output and one for its errors, or one for both where both go to one place. Signals reach it, and how it
ended is how we end. What it prints line by line, many times a second, is passed on some lines at once.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, final

from scalewatch.errors import ConfigError
from scalewatch.system import environment_of_others

__all__ = ["Program", "end_as"]

#: Bytes read at once.
CHUNK_BYTES = 1 << 16
#: The copy of the output begins anew when it is larger [bytes]: bars print for weeks.
MOST_BYTES = 256 << 20
#: Longest time without output between two looks at whether the program has ended [s].
WAIT_SECONDS = 0.5
#: Least time between two turns of a program that prints little at once: each wakes us, which costs more than its lines
#: [s]; and bytes from which on it prints much, after which it is not made to wait for a time [bytes, s]. By hand.
LEAST_SECONDS, MUCH_BYTES, MUCH_SECONDS = 0.05, 1 << 13, 1.0
#: What is passed on to the program. On a terminal ctrl-C reaches it by itself.
_SIGNALS = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGCONT")
#: Exit code of a shell for a program that a signal ended, beside the number of the signal.
BY_SIGNAL = 128


@final
class Program:
    """Runs a command.

    Args:
        command: the program and its arguments. copy: where its output is kept too.
        words: of its environment, beside those of ours. again: whether the copy goes on.

    Raises:
        ConfigError: if the program cannot be started, or the copy cannot be written.
    """

    def __init__(
        self, command: Sequence[str], copy: Path, *, words: Mapping[str, str] | None = None, again: bool = False
    ) -> None:
        self._terminal = sys.platform != "win32" and all(os.isatty(stream) for stream in (1, 2))
        try:
            self._copy: IO[bytes] = copy.open("ab" if again else "wb", buffering=0)
        except OSError as fault:
            raise ConfigError(f"{copy} cannot be written: {fault.strerror or fault}.") from None
        self._copied = 0
        environment = {
            "PYTHONUNBUFFERED": "1",
            **environment_of_others(),
            **(words or {}),
        }  # what waits in a buffer is seen when it is too late
        self._from: dict[int, int] = {}
        try:
            if self._terminal:
                ours, theirs = _terminal_pair()
                self._from[ours] = 1
                self._child = subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment)
                os.close(theirs)
            else:
                errors = subprocess.STDOUT if _are_one_place() else subprocess.PIPE
                self._child = subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=errors, env=environment, bufsize=0
                )
                for pipe, stream in ((self._child.stdout, 1), (self._child.stderr, 2)):
                    if pipe is not None:
                        self._from[pipe.fileno()] = stream
        except OSError as fault:
            raise ConfigError(f"{command[0]} cannot be started: {fault.strerror or fault}.") from None

    def run(self) -> int:
        """Pass the output through until the program has ended; return its code, negative for a signal."""
        with self._signals(), selectors.DefaultSelector() as selector:
            for source in self._from:
                selector.register(source, selectors.EVENT_READ)
            turns = _Turns()
            while selector.get_map():
                ready = selector.select(WAIT_SECONDS)
                if not ready and self._child.poll() is not None:
                    break  # somebody whom it left behind holds its output open
                turns.wait([key.fd for key, _ in ready])
                for key, _ in ready:
                    passed = self._pass(key.fd)
                    turns.see(key.fd, passed)
                    if not passed:
                        selector.unregister(key.fd)
            code = self._child.wait()
        self._keep(b"\n")
        with contextlib.suppress(OSError):
            self._copy.close()
        return code

    def _pass(self, source: int) -> int:
        """Pass on what can be read; return how many bytes that was, 0 at its end."""
        try:
            chunk = os.read(source, CHUNK_BYTES)
        except OSError:  # the other side of a terminal is closed
            chunk = b""
        if not chunk:
            return 0
        target, rest = self._from[source], memoryview(chunk)
        try:
            while rest:
                rest = rest[os.write(target, rest) :]
        except OSError:
            self._close(source)  # nobody reads our output any more: the program meets that as it would without us
            return 0
        self._keep(chunk)
        return len(chunk)

    def _close(self, source: int) -> None:
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None and pipe.fileno() == source:
                pipe.close()
                return
        os.close(source)

    def _keep(self, chunk: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):  # a full disk costs the copy, never the program
            if self._copied > MOST_BYTES:
                self._copy.seek(0)
                self._copy.truncate()
                self._copied = 0
            self._copied += self._copy.write(chunk)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def pass_on(number: int, _frame: FrameType | None) -> None:
            with contextlib.suppress(OSError):
                self._child.send_signal(number)

        def leave(_number: int, _frame: FrameType | None) -> None:
            """Ctrl-C on a terminal reaches the program without us."""

        wanted: dict[int, Callable[[int, FrameType | None], None]] = {
            getattr(signal, name): pass_on for name in _SIGNALS if hasattr(signal, name)
        }
        wanted[signal.SIGINT] = leave if os.isatty(0) else pass_on
        if self._terminal:
            wanted[signal.SIGWINCH] = lambda *_: _same_size(next(iter(self._from)))
        before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@final
class _Turns:
    """When to pass on: at once after a pause, and then some lines together.

    What comes from two sources is never kept waiting, which would change its order.
    """

    def __init__(self) -> None:
        self._before = -LEAST_SECONDS
        self._until = 0.0
        self._seen: dict[int, float] = {}

    def wait(self, sources: Sequence[int]) -> None:
        """Wait for more of what is being printed, a moment at most."""
        now = time.monotonic()
        others = any(now - at < MUCH_SECONDS for source, at in self._seen.items() if source not in sources)
        if len(sources) == 1 and not others and now >= self._until and now - self._before < LEAST_SECONDS:
            time.sleep(LEAST_SECONDS - (now - self._before))
            now = time.monotonic()
        self._before = now
        self._seen.update(dict.fromkeys(sources, now))

    def see(self, source: int, size: int) -> None:
        """Take note of what was passed on from a source [bytes], 0 at its end."""
        if size >= MUCH_BYTES:
            self._until = self._before + MUCH_SECONDS
        elif not size:
            self._seen.pop(source, None)


def _are_one_place() -> bool:
    """Whether our output and our errors go to one file, pipe or device, as after `2>&1`."""
    try:
        return os.path.sameopenfile(1, 2)
    except OSError:
        return False


def _terminal_pair() -> tuple[int, int]:
    """Both ends of a terminal of the size of ours, which changes no byte."""
    import pty
    import termios

    ours, theirs = pty.openpty()
    settings = termios.tcgetattr(theirs)
    settings[1] &= ~termios.OPOST  # ends of lines are left to the terminal that we stand in
    termios.tcsetattr(theirs, termios.TCSANOW, settings)
    _same_size(ours)
    return ours, theirs


def _same_size(terminal: int) -> None:
    import fcntl
    import struct
    import termios

    with contextlib.suppress(OSError):
        size = os.get_terminal_size(1)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", size.lines, size.columns, 0, 0))


def end_as(code: int) -> int:
    """End as the program did: by its signal, if one ended it; else return its exit code."""
    if code < 0 and hasattr(os, "kill"):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        return BY_SIGNAL - code
    return code

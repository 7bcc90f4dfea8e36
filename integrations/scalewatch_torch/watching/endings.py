"""How a run came to its end, in words; and the end of a run that nobody has told of, when its process exits."""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.util
import os
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, final

from scalewatch.acting.rewinding import RewindExit
from scalewatch.guard import attempt

__all__ = ["Closable", "OpenWatches", "close_at_exit", "ended", "ended_by", "sigterm_held_back"]

#: Before what `multiprocessing` does itself at the exit of a process, which has 10 and below.
EXIT_PRIORITY = 100


class Closable(Protocol):
    """Something whose end is to be told before its process exits."""

    def end(self, fault: BaseException | None) -> None:
        """Close, after `fault` if there was one; raises nothing."""


def ended(step: int, total_steps: int | None) -> str:
    """Return the words for an end without a fault, after `step` of the planned steps.

    >>> ended(100, 100), ended(1500, 2000)
    ('as planned', 'after step 1,500')
    """
    return "as planned" if total_steps and step >= total_steps else f"after step {step:,}"


def ended_by(fault: BaseException | None, step: int) -> str:
    """Return the words for an end by an exception, after `step`; None where the process just leaves.

    A job that its cluster takes back with SIGTERM has not crashed: Lightning raises an exception of that name.

    >>> ended_by(ValueError("no data"), 1500), ended_by(KeyboardInterrupt(), 7)
    ('crashed after step 1,500: ValueError: no data', 'interrupted after step 7: KeyboardInterrupt')
    """
    if fault is None:
        return f"interrupted after step {step:,}"
    taken_back = any(kind.__name__ == "SIGTERMException" for kind in type(fault).__mro__)
    if taken_back:
        return f"interrupted after step {step:,}: SIGTERM"
    if isinstance(fault, RewindExit):
        return f"stopped by scalewatch after step {step:,}: {fault}"
    word = "interrupted" if isinstance(fault, KeyboardInterrupt) else "crashed"
    why, _ = attempt(str, fault)  # it may be of a class with a fault of its own
    return f"{word} after step {step:,}: {type(fault).__name__}: {why or ''}".rstrip(": ")


@contextmanager
def sigterm_held_back() -> Iterator[None]:
    """Hold a SIGTERM back until the block is left, which then gets it.

    For the two seconds in which a run is closed: what a launcher sends when another process has failed would end it in
    the middle, by itself or by what its handler does.
    """
    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or before is None:  # only there, and only Python's
        yield
        return
    came: list[int] = []

    def note(signum: int, _: Any) -> None:
        came.append(signum)

    signal.signal(signal.SIGTERM, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if came:
            signal.raise_signal(signal.SIGTERM)


@final
class OpenWatches:
    """What is to be closed when the process exits, with the exception that it exits by."""

    def __init__(self) -> None:
        self._open: weakref.WeakKeyDictionary[Closable, tuple[int, BaseException | None]] = weakref.WeakKeyDictionary()
        self._is_registered = False
        self._finalizes_in = 0

    def add(self, thing: Closable) -> None:
        """Close it at the exit of this process; not of its children."""
        self._open[thing] = os.getpid(), _last_fault()
        if not self._is_registered:
            # after the hook of the background threads, so that it runs before it
            self._is_registered = True
            atexit.register(self.close)
        if multiprocessing.parent_process() is not None and self._finalizes_in != os.getpid():
            # a process of `multiprocessing` leaves without these hooks, but not without its own
            self._finalizes_in = os.getpid()
            multiprocessing.util.Finalize(None, self.close, exitpriority=EXIT_PRIORITY)

    def close(self) -> None:
        """Close all that is open."""
        fault = _last_fault() or _fault_under_way()
        for thing, (process, before) in list(self._open.items()):
            if process == os.getpid():
                thing.end(None if fault is before else fault)
        self._open.clear()

    def remove(self, thing: Closable) -> None:
        """Leave it alone: it is closed."""
        self._open.pop(thing, None)


#: Those of this process.
close_at_exit = OpenWatches()


def _last_fault() -> BaseException | None:
    # what the interpreter remembers of the exception that it has printed last
    fault = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    return fault if isinstance(fault, BaseException) else None


def _fault_under_way() -> BaseException | None:
    """The exception that a process of `multiprocessing` leaves by: what runs it has turned it into an exit code."""
    fault = sys.exc_info()[1]
    while isinstance(fault, SystemExit) and fault.__context__ is not None:
        fault = fault.__context__
    return fault

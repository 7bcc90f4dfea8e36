"""How a run came to its end, in words; and the end of a run that nobody has told of, when its process exits."""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from typing import Protocol, final

from scalewatch.guard import attempt

__all__ = ["Closable", "OpenWatches", "close_at_exit", "ended", "ended_by"]


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


def ended_by(fault: BaseException, step: int) -> str:
    """Return the words for an end by an exception, after `step`.

    >>> ended_by(ValueError("no data"), 1500), ended_by(KeyboardInterrupt(), 7)
    ('crashed after step 1,500: ValueError: no data', 'interrupted after step 7: KeyboardInterrupt')
    """
    word = "interrupted" if isinstance(fault, KeyboardInterrupt) else "crashed"
    why, _ = attempt(str, fault)  # it may be of a class with a fault of its own
    return f"{word} after step {step:,}: {type(fault).__name__}: {why or ''}".rstrip(": ")


@final
class OpenWatches:
    """What is to be closed when the process exits, with the exception that it exits by."""

    def __init__(self) -> None:
        self._open: weakref.WeakKeyDictionary[Closable, tuple[int, BaseException | None]] = weakref.WeakKeyDictionary()
        self._is_registered = False

    def add(self, thing: Closable) -> None:
        """Close it at the exit of this process; not of its children."""
        self._open[thing] = os.getpid(), _last_fault()
        if not self._is_registered:
            # after the hook of the background threads, so that it runs before it
            self._is_registered = True
            atexit.register(self.close)

    def close(self) -> None:
        """Close all that is open."""
        fault = _last_fault()
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

"""The one background thread of a process: what is slow is done here, never on the step path.

A part (journal, alerts, fits) leaves its work in a queue of its own and adds a drain, a function
that empties the queue. The thread calls every drain four times a second, at once when somebody wakes
it, and a last time when it is closed.

Why a drain on a timer and not a thread behind a `queue.Queue`: each item put there wakes the other
thread, which costs the training loop twice the time per step and hands the GIL back and forth
(p99.9 of 4 to 7 ms). A `deque` that is emptied now and then costs the loop one append.

After a fork the child's copy of a worker is inert: it has no thread, its drains are forgotten, and
closing it does nothing. The records of the parent are the parent's to write.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import NamedTuple, Protocol, final

from scalewatch.errors import ConfigError
from scalewatch.guard import Guard, strict
from scalewatch.system import after_fork_in_child

__all__ = ["Bell", "Forkable", "Worker", "abandon_in_forked_children"]

_log = logging.getLogger("scalewatch")

#: Half of the half second that a crash may cost [s]: the other half is for drains that take their time.
INTERVAL_SECONDS = 0.25

#: How long a process that ends without `close` waits for the last drains [s].
EXIT_SECONDS = 2.0

#: A longer pause is a mistake in the unit [s].
MAX_INTERVAL_SECONDS = 3600.0


class Forkable(Protocol):
    """Something that a forked child must not go on using."""

    def abandon(self) -> None:
        """Let go of everything that belongs to the parent; called in the child, raises nothing."""


_forkables: weakref.WeakSet[Forkable] = weakref.WeakSet()
_open_workers: weakref.WeakSet[Worker] = weakref.WeakSet()
_hooked: set[str] = set()


def abandon_in_forked_children(thing: Forkable) -> None:
    """Have `thing.abandon()` called in every child that is forked while `thing` lives."""
    _forkables.add(thing)
    if _first_time("fork"):
        after_fork_in_child(_abandon_all)


def _first_time(hook: str) -> bool:
    # Hooks cannot be taken back: there is one for the process, not one a worker. And none before
    # there is a worker, so that an import changes nothing.
    first = hook not in _hooked
    _hooked.add(hook)
    return first


def _abandon_all() -> None:
    for thing in list(_forkables):
        thing.abandon()


def _close_all() -> None:
    deadline = time.monotonic() + EXIT_SECONDS
    for worker in list(_open_workers):
        worker.close(max(0.0, deadline - time.monotonic()))


class _Part(NamedTuple):
    name: str
    drain: Callable[[], None]
    finish: Callable[[], object] | None


@final
class Bell:
    """Wakes the one thread that waits for it.

    A lock used the other way round: ringing is one C call that never waits, also inside a signal
    handler or a garbage collection. There, `Event.set` could meet itself on its own lock.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake whoever waits, or who waits next."""
        with contextlib.suppress(RuntimeError):  # it has been rung already
            self._lock.release()

    def wait(self, seconds: float) -> None:
        """Wait until it is rung, or so long [s]."""
        self._lock.acquire(timeout=seconds)


@final
class Worker:
    """One daemon thread that calls drains.

    Nothing starts when it is built: `start` starts the thread. A part that fails is told once
    through `logging` and switched off by the guard; the others go on. A process that ends without
    `close` closes its workers on the way out, and waits two seconds at most for it.

    Args:
        interval_seconds: pause between two rounds of drains [s], above 0, at most 3600. What a
            crash may cost is this and the time that a round takes.
        name: name of the thread.
        guard: what the drains run through; None for a guard of its own.

    Raises:
        ConfigError: if `interval_seconds` is out of its range.

    >>> done = []
    >>> worker = Worker()
    >>> worker.add("example", lambda: done.append("drained"))
    >>> worker.close()
    True
    >>> done
    ['drained']
    """

    def __init__(
        self,
        interval_seconds: float = INTERVAL_SECONDS,
        name: str = "scalewatch",
        *,
        guard: Guard | None = None,
    ) -> None:
        if not 0 < interval_seconds <= MAX_INTERVAL_SECONDS:
            raise ConfigError(
                f"`interval_seconds` must be above 0 and at most {MAX_INTERVAL_SECONDS:.0f} (got"
                f" {interval_seconds!r}): it is the pause between two writes to disk, in seconds."
            )
        self.interval_seconds = float(interval_seconds)
        self.name = name
        self.guard = Guard() if guard is None else guard
        self._parts: tuple[_Part, ...] = ()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._inert = False
        self._finished = False
        self._fault: Exception | None = None
        self._renew()
        abandon_in_forked_children(self)

    def _renew(self) -> None:
        self._lock = threading.Lock()  # held for microseconds, never while a drain runs
        self._bell = Bell()
        self._done = threading.Event()

    def add(self, part: str, drain: Callable[[], None], *, finish: Callable[[], object] | None = None) -> None:
        """Call `drain` in every round from now on, and `finish` once, after the last round.

        Parts finish in the reverse of the order in which they were added, so add first what the
        others still write to. `part` is the name under which a failure is told. After `close` this
        has no effect.
        """
        with self._lock:
            if self._closing or self._inert:
                return
            self._parts = (*self._parts, _Part(part, drain, finish))
        _open_workers.add(self)
        if _first_time("exit"):
            with contextlib.suppress(RuntimeError):  # the interpreter is past its exit hooks
                atexit.register(_close_all)

    def start(self) -> bool:
        """Start the thread if it is not running yet; whether it runs.

        It does not after `close`, in a forked child, or where the system or an interpreter on its
        way out refuses a thread: then `close` calls the drains itself.
        """
        with self._lock:
            return not self._closing and self._started()

    def _started(self) -> bool:
        if self._thread is not None or self._inert:
            return not self._inert
        # Set before it starts: a Ctrl-C that arrives inside `Thread.start` must not lead to two.
        self._thread = threading.Thread(target=self._main, name=self.name, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None
        return self._thread is not None

    @property
    def is_running(self) -> bool:
        """Whether its thread runs drains, now and until it is closed."""
        return self._thread is not None and not self._done.is_set()

    def wake(self) -> None:
        """Have a round of drains run now. Never waits; allowed inside a signal handler."""
        self._bell.ring()

    def close(self, timeout_seconds: float = 2.0) -> bool:
        """Run every drain a last time, finish every part, end the thread; whether all that is done.

        Waits `timeout_seconds` [s] at most. What takes longer goes on in the background while the
        process lives, and a later call waits for it again. Where no thread can be had, the drains
        run here, and none begins after the time is up. A part that was switched off is not done.

        Raises:
            Exception: the fault that ended the thread, with `SCALEWATCH_STRICT=1` only.
        """
        deadline = time.monotonic() + timeout_seconds
        with self._lock:
            if self._inert:
                return True
            self._closing = True
            threaded = self._done.is_set() or self._started()
        if threaded:
            self._bell.ring()
            itself = threading.current_thread() is self._thread  # would wait for its own end
            self._done.wait(0.0 if itself else max(0.0, timeout_seconds))
        elif self._round(deadline, last=True):
            self._finished = True
            self._done.set()
        if self._done.is_set():
            _open_workers.discard(self)
        fault, self._fault = self._fault, None
        if fault is not None and strict():
            raise fault
        return self._finished and not any(self.guard.is_off(part.name) for part in self._parts)

    def release(self, timeout_seconds: float = 0.0) -> None:
        """See that the thread ends, also where `close` could not: after the round it is in, and one more.

        Waits for it, so long [s] at most, only where `close` has not. Nothing is said of what it leaves.
        """
        waits, self._closing = not self._closing, True
        self._bell.ring()
        if waits and self._thread is not None and self._thread is not threading.current_thread():
            self._done.wait(timeout_seconds)

    def abandon(self) -> None:
        """Become inert: for a forked child, which has no such thread."""
        self._inert = True
        self._parts = ()
        self._thread = None
        self._renew()  # in this copy, whoever held the old locks will never let go of them

    def _main(self) -> None:
        last = False
        try:
            while not last:
                self._bell.wait(self.interval_seconds)
                # Read before the drains run, so that they see all that was queued before `close`.
                last = self._closing
                self._round(None, last=last)
            self._finished = True
        except Exception as fault:  # a bug of this file, or with SCALEWATCH_STRICT=1 any fault
            self._fault = fault
            _log.error("scalewatch: its thread ended (%s: %s).", type(fault).__name__, fault)
        finally:
            self._done.set()

    def _round(self, deadline: float | None, *, last: bool) -> bool:
        """Call every drain, in the last round also every `finish`; False if the time was up."""
        parts = self._parts
        calls: list[tuple[str, Callable[[], object]]] = [(part.name, part.drain) for part in parts]
        if last:
            calls += [(part.name, part.finish) for part in reversed(parts) if part.finish]
        for name, function in calls:
            if deadline is not None and time.monotonic() >= deadline:
                return False
            self.guard.call(name, function)
        return True

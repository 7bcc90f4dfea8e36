"""How fast the steps of a run follow each other, and whether they still do."""

from __future__ import annotations

import time
from typing import final

from scalewatch.alert.notification_log import Event
from scalewatch.finding import Phase, Severity
from scalewatch.kinds import EventKind

__all__ = ["StallDetector", "SteadyClock"]

#: A pause this many times longer than any before it is no validation and no checkpoint.
STALL_FACTOR = 10.0


@final
class SteadyClock:
    """Unix time that runs with the monotonic clock: nobody who sets the clock makes an interval long or negative."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def __call__(self) -> float:
        """Return the time [Unix seconds]."""
        return self._offset + time.monotonic()


@final
class StallDetector:
    """Watches the newest step. Times in Unix seconds.

    Args:
        stall_after: a pause below this is no stall [s]. now: when the run began to be watched.
        stopped: the kind of incident that is open because no steps were made: `stalled`, `gone`, or none.
    """

    def __init__(self, stall_after: float, now: float, stopped: str = "") -> None:
        self._stall_after = stall_after
        self.step = -1
        self.stopped = stopped
        self.moved_at, self._longest_pause = now, 0.0

    def update(self, step: int, now: float) -> Event | None:
        """Take in the newest step; the event that ends a stall, if it does so."""
        if step == self.step:
            return None
        self._longest_pause = max(self._longest_pause, 0.0 if self.stopped else now - self.moved_at)
        self.moved_at, self.step = now, step
        kind, self.stopped = self.stopped, ""
        if not kind:
            return None
        return Event(kind, Severity.WARNING, Phase.CLOSED, step, step, f"steps go on (step {step:,})")

    def overdue(self, now: float) -> Event | None:
        """Return the event that opens a stall, if it is time for one."""
        pause = now - self.moved_at
        if self.stopped or pause <= max(self._stall_after, STALL_FACTOR * self._longest_pause):
            return None
        self.stopped = EventKind.STALLED.value
        message = f"no step for {pause / 60:.0f} minutes (longest pause before: {self._longest_pause:.0f} s)"
        at = max(self.step, 0)
        return Event(EventKind.STALLED, Severity.CRITICAL, Phase.OPENED, at, at, message)

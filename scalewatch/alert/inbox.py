"""What the training thread has found and the other thread has not taken in yet: bounded, and nobody waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import final

from scalewatch.advice import Advice
from scalewatch.alert.notification_log import Event
from scalewatch.finding import Phase

__all__ = ["Inbox"]

#: Events that wait; beyond it they are folded, one entry a kind.
MAX_WAITING = 256


@final
class Inbox:
    """Events and the newest advice, put in on one thread and taken out on another.

    Attributes:
        taken: events that were put in [count].
        advice: what is advised now; None if nobody has said so since it was taken out.
    """

    def __init__(self) -> None:
        self.taken = 0
        self.advice: Sequence[Advice] | None = None
        self._events: deque[tuple[Event, int]] = deque()
        self._folded: dict[str, tuple[Event, Event, int]] = {}
        self._folding = threading.Lock()

    def __len__(self) -> int:
        """Return how many wait, what is folded apart."""
        return len(self._events)

    def put(self, event: Event) -> None:
        """Put one in; never waits, not for the thread that takes them out either."""
        self.taken += 1
        if len(self._events) < MAX_WAITING or not self._folding.acquire(blocking=False):
            self._events.append((event, 1))
            return
        try:
            _, worst, times = self._folded.get(event.kind, (event, event, 0))
            worst = event if event.phase is not Phase.CLOSED and event.severity.rank >= worst.severity.rank else worst
            self._folded[event.kind] = (event, worst, times + (event.phase is Phase.OPENED))
        finally:
            self._folding.release()

    def drain(self) -> tuple[Sequence[Advice] | None, list[tuple[Event, int]]]:
        """Take out the advice, and events with how many times each was found, in their order."""
        with self._folding:  # for as long as two assignments take; the training thread does not wait for it
            folded, self._folded = self._folded, {}
            waiting = len(self._events)
        advice, self.advice = self.advice, None
        events = [self._events.popleft() for _ in range(waiting)]
        for newest, worst, times in folded.values():
            events.append((worst, max(times, 1)))
            if newest is not worst:
                events.append((newest, 0))
        return advice, events

"""Forecasts that are told on the way, but made in the background: from a copy of the curve as it stood then.

A look takes a millisecond or more, which is some steps of a small run. So the step path hands over a copy, and tells
what was made of it with one of its next steps; the end of the run waits for what is under way.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import final

from scalewatch.forecast import Forecast

__all__ = ["AskedForecasts"]

#: Forecasts that wait at most: a thread that is this far behind is not coming back. By hand.
MOST_WAITING = 16
#: How long the end of a run waits for one that is being made [s]. By hand: hundreds of times what it takes.
END_SECONDS = 0.5

Tell = Callable[[Forecast | None], object]


@final
class AskedForecasts:
    """What was asked of a run's forecast and not yet told."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Callable[[], Forecast | None], Tell]] = deque(maxlen=MOST_WAITING)
        self._made: deque[tuple[Forecast | None, Tell]] = deque(maxlen=MOST_WAITING)
        # held while a forecast is made; the step path never takes it
        self._making = threading.Lock()

    def ask(self, make: Callable[[], Forecast | None], tell: Tell) -> None:
        """Have a forecast made, and `tell` called with it by whoever calls `tell` here."""
        self._waiting.append((make, tell))

    def drain(self) -> None:
        """Make what waits. For the background thread."""
        with self._making:
            self._make()

    def _make(self) -> None:
        while self._waiting:
            make, tell = self._waiting.popleft()
            self._made.append((make(), tell))

    @property
    def is_answered(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._made)

    def tell(self) -> None:
        """Tell what was made, oldest first."""
        while self._made:
            forecast, tell = self._made.popleft()
            tell(forecast)

    def finish(self) -> None:
        """Tell all that was asked for, for the run ends; one that is being made is waited for, but not for long."""
        if self._making.acquire(timeout=END_SECONDS):
            try:
                self._make()
            finally:
                self._making.release()
        self.tell()

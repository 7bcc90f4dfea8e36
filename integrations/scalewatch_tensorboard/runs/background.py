"""What requests ask for and take too long to make: made by the thread in the background, and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, final

__all__ = ["BackgroundWork"]

#: Results that are kept, and that wait to be made; charts that are kept, of 150 kB at most.
MOST_KEPT, MOST_DRAWN = 8, 24


@final
class BackgroundWork:
    """Laws of finished runs, and charts of them, by what they were made from."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: OrderedDict[Hashable, Callable[[], Any]] = OrderedDict()
        self._made: OrderedDict[Hashable, Any] = OrderedDict()
        self._drawn: OrderedDict[Hashable, dict[str, Any]] = OrderedDict()

    def drawn(self, key: Hashable) -> dict[str, Any] | None:
        """Return the chart that was kept under a key, None if there is none."""
        with self._lock:
            return self._drawn.get(key)

    def keep(self, key: Hashable, chart: dict[str, Any]) -> dict[str, Any]:
        """Keep a chart; return it."""
        with self._lock:
            self._drawn[key] = chart
            _keep(self._drawn, MOST_DRAWN)
        return chart

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what `make` gave for a key, None while it is not made yet; `make` raises nothing."""
        with self._lock:
            made = self._made.get(key)
            if made is not None:
                self._made.move_to_end(key)
                return made
            self._wanted[key] = make
            _keep(self._wanted)
            return None

    def work(self) -> bool:
        """Make one thing that was asked for, the newest first; return whether there was one; up to some seconds."""
        with self._lock:
            if not self._wanted:
                return False
            key, make = self._wanted.popitem()
        made = make()
        with self._lock:
            self._made[key] = made
            _keep(self._made)
        return True


def _keep(kept: OrderedDict[Any, Any], most: int = MOST_KEPT) -> None:
    while len(kept) > most:
        kept.popitem(last=False)

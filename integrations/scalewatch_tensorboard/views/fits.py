"""Laws of finished runs, asked for by requests and made by the thread in the background, and the charts of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from scalewatch_tensorboard.views.scaling import LadderRun, LawSource

__all__ = ["Fits"]

#: Laws that are kept, and that wait to be made; charts that are kept, of 150 kB at most.
MOST_KEPT, MOST_DRAWN = 8, 24

_Key = tuple[tuple[str, int, int], ...]


@final
class Fits:
    """Laws, by the runs that they are of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: OrderedDict[_Key, list[LadderRun]] = OrderedDict()
        self._made: OrderedDict[_Key, LawSource | str] = OrderedDict()
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

    def get(self, rungs: list[LadderRun]) -> LawSource | str | None:
        """Return the law of some runs, or why there is none; None while it is not made yet."""
        key = tuple((rung.record.name, id(rung.record), rung.version) for rung in rungs)
        with self._lock:
            made = self._made.get(key)
            if made is not None:
                self._made.move_to_end(key)
                return made
            self._wanted[key] = rungs
            _keep(self._wanted)
            return None

    def work(self) -> bool:
        """Make one law that was asked for, the newest first; return whether there was one. Takes up to some seconds."""
        with self._lock:
            if not self._wanted:
                return False
            key, rungs = self._wanted.popitem()
        # not at the top: TensorBoard's start imports this file
        from scalewatch.errors import ScalewatchError
        from scalewatch_tensorboard.views.scaling import fitted

        try:
            made: LawSource | str = fitted(rungs)
        except (ScalewatchError, ValueError, ArithmeticError) as fault:
            made = str(fault) or type(fault).__name__
        with self._lock:
            self._made[key] = made
            _keep(self._made)
        return True


def _keep(kept: OrderedDict[Any, Any], most: int = MOST_KEPT) -> None:
    while len(kept) > most:
        kept.popitem(last=False)

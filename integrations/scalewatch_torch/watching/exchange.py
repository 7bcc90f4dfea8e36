"""What the ranks of a run tell one another, in the hooks of a loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import final

from scalewatch.guard import Guard
from scalewatch_torch.ranks import AllRanks, RankReader
from scalewatch_torch.watching.watch import Watch

__all__ = ["RankExchange"]


@final
class RankExchange:
    """Takes part in the exchanges of the ranks, whatever has failed on this one: the others wait for it.

    Attributes:
        ranks: what joins them, None where rank 0 alone is watched.
    """

    def __init__(self) -> None:
        self.ranks: AllRanks | None = None
        # of its own: it goes on also where everything else is off
        self._guard = Guard()

    def readers(self) -> list[RankReader]:
        """Return what takes the losses of the steps, one for each that is watched; none where ranks are not joined."""
        return [] if self.ranks is None else self.ranks.readers()

    def after_batch(self, watch: Watch | None, *, now: bool) -> bool:
        """Exchange if it is time, or `now`; whether it was. What has arrived is given to `watch`."""
        return self.ranks is not None and self._share(partial(self.ranks.after_batch, now=now), watch)

    def between_batches(self, watch: Watch | None) -> None:
        """Exchange what is left, which all ranks are at."""
        if self.ranks is not None:
            self._share(self.ranks.between_batches, watch)

    def part(self) -> None:
        """End a run that was not to end here: on rank 0 at once, elsewhere when its verdict is told."""
        if self.ranks is not None:
            self.ranks.parting.part()

    def _share(self, exchange: Callable[[], bool], watch: Watch | None) -> bool:
        shared = bool(self._guard.call("ranks", exchange))
        if shared and watch is not None:
            watch.take_arrived()
        return shared

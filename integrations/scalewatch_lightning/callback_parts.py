"""What the callback keeps of one fit: where it is watched from, and the vote on stopping."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, final

from scalewatch.guard import Guard
from scalewatch_torch.introspect import Sizes
from scalewatch_torch.watching.session import Session
from scalewatch_torch.watching.several import Sessions

__all__ = ["Place", "StopVote"]

#: Batches between two votes on stopping where there are several processes: a collective of 0.6 ms over
#: gloo, 0.04 ms a batch.
VOTE_EVERY_BATCHES = 16


class Place(NamedTuple):
    """What is known before the first batch: the folder of the journal, None for none, and the sizes of the model."""

    folder: Path | None = None
    sizes: Sizes = Sizes(None, None)


@final
class StopVote:
    """Stops if any process wants to: on all of them, after the same batch.

    Attributes:
        stopped: whether that was decided.
    """

    def __init__(self) -> None:
        # votes must go on where everything else is off: the other processes wait for this one's
        self._guard = Guard()
        self._batches = 0
        self.stopped = False

    def take(self, trainer: Any, session: Session | Sessions | None, guard: Guard) -> bool:
        """Vote after a batch, if it is time to; whether it was decided just now to stop."""
        self._batches += 1
        is_due = self._batches % VOTE_EVERY_BATCHES == 0
        if trainer.world_size == 1:  # nobody to wait for
            is_due = is_due or (session is not None and session.has_news())
        if not is_due:
            return False
        wanted = session is not None and bool(guard.call("act", session.wants_stop))
        vote = trainer.strategy.reduce_boolean_decision
        self.stopped = bool(self._guard.call("act", vote, wanted, all=False))
        return self.stopped

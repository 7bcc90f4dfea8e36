"""What the callback keeps of one fit: where it is watched from, the vote on stopping, what watching costs."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, final

from scalewatch.arrays import Floats
from scalewatch.guard import Guard
from scalewatch_torch.introspect import Sizes
from scalewatch_torch.lr_lookahead import pack_rates
from scalewatch_torch.watching.session import Session

__all__ = ["Checkpoint", "Cost", "Place", "StopVote"]

#: Batches between two votes on stopping where there are several processes: a collective of 0.6 ms over
#: gloo, 0.04 ms a batch.
VOTE_EVERY_BATCHES = 16


class Place(NamedTuple):
    """What is known before the first batch: the folder of the journal, None for none, and the sizes of the model."""

    folder: Path | None = None
    sizes: Sizes = Sizes(None, None)


@final
class Checkpoint:
    """What a checkpoint held of us, or the end of the fit before; it is of one trainer's runs.

    Attributes:
        state: plain numbers, strings, lists and dicts; None for nothing.
    """

    def __init__(self) -> None:
        self.state: dict[str, Any] | None = None
        self._trainer_id: int | None = None
        self._packed: tuple[Floats, dict[str, Any]] | None = None

    def packed(self, rates: Floats | None) -> dict[str, Any] | None:
        """Return planned rates as a checkpoint holds them; packed once, for they may be millions."""
        if rates is None:
            return None
        if self._packed is None or self._packed[0] is not rates:
            self._packed = rates, pack_rates(rates)
        return self._packed[1]

    def belong_to(self, trainer: object) -> None:
        """Forget what is of a run of another trainer."""
        if self._trainer_id not in (None, id(trainer)):
            self.state = None
        self._trainer_id = id(trainer)


@final
class Cost:
    """The time that watching takes of each step, and each step of the training."""

    def __init__(self, first_step: int = 0) -> None:
        self.first_step = first_step
        self.seconds = 0.0
        self._began_at = perf_counter()

    def rows(self, taken: int) -> list[tuple[str, str]]:
        """Return the row of the end table, after `taken` steps."""
        if not taken:
            return []
        cost, whole = self.seconds / taken, (perf_counter() - self._began_at) / taken
        share = f"{cost / whole:.2%} of {whole * 1e3:.3g} ms"
        return [("cost of watching", f"{cost * 1e6:.0f} us a step ({share})")]


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

    def take(self, trainer: Any, session: Session | None, guard: Guard) -> bool:
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

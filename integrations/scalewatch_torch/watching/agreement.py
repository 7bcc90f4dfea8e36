"""One decision on all processes of a run, after the same batch: what the first of them decides, told or voted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import final

from scalewatch.acting.acts import Decision
from scalewatch.guard import Guard
from scalewatch_torch.acting.ballot import from_ballot, to_ballot
from scalewatch_torch.ranks import EXCHANGE_EVERY_BATCHES, AllRanks
from scalewatch_torch.watching.control import LoopControl

__all__ = ["Agreement"]

Decide = Callable[[], Decision | None]


@final
class Agreement:
    """Brings what one process decides to all of them.

    Args:
        guard: of what the processes do together, which goes on where everything else is off.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._batches = 0
        self._wished: deque[Decision] = deque()

    def told(self, control: LoopControl, decide: Decide | None) -> Decision | None:
        """Return what the first process decides, the same on all of them; `decide` is None on the others."""
        self._batches += 1
        alone = control.processes == 1
        if not alone and self._batches % EXCHANGE_EVERY_BATCHES:
            return None
        decided = None if decide is None else decide()
        if alone:
            return decided
        plain = None if decided is None else decided.to_plain()
        told = self._guard.call("agreement", control.tell_all, plain)
        return None if told is None else Decision.from_plain(told)

    def voted(self, ranks: AllRanks, decide: Decide | None) -> Decision | None:
        """Return what rank 0 decides, by the broadcast that goes with an exchange."""
        wish = None if decide is None else decide()
        if wish is not None:
            self._wished.append(wish)
        decision = from_ballot(self._guard.call("agreement", ranks.vote, to_ballot(wish)) or to_ballot(None))
        if decision is None or not self._wished:
            return decision
        # on rank 0 it has its reason; where a device runs behind it is that of the exchange before. Numbers are those
        # that were sent: a rate that is rounded on one rank only would part the weights
        return replace(self._wished.popleft(), factor=decision.factor)

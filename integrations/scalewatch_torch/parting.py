"""How the processes of a run part: where one is gone first, its launcher may end the others in mid-word.

torch's launcher sends SIGTERM to all once one process has failed, and in answer to that Lightning broadcasts, which
fails where the other side is gone: then rank 0 has no time for its verdict. So the others hold their end for it, for a
few seconds at most. They hear of it by the store in which they found one another, not by a collective.
"""

from __future__ import annotations

import itertools
import time
from datetime import timedelta
from typing import Any, final

import torch.distributed as dist
from torch.distributed import distributed_c10d

from scalewatch.guard import attempt

__all__ = ["Parting", "default_store", "let_go"]

#: How long a process holds its end for rank 0 [s]: rank 0 takes at most 2 s for its own, and may come a step later. By
#: hand.
HOLD_SECONDS = 4.0
#: How long the thread of gloo is waited for [s]: it takes microseconds once it may. By hand.
LET_GO_SECONDS = 0.01
_numbers = itertools.count()


def default_store() -> Any | None:
    """Return where the processes of torch's default group find one another, None where it has no such place."""
    store, _ = attempt(distributed_c10d._get_default_store)
    return store


@final
class Parting:
    """The end of one run that is watched on all ranks; each of them makes one, in the same order as the others."""

    def __init__(self) -> None:
        self._word = f"scalewatch/parts {next(_numbers)}"
        self._first = dist.get_rank() == 0
        self._store = default_store()

    def part(self) -> None:
        """On rank 0 say that its verdict is told; elsewhere wait until it is, or rank 0 is gone."""
        store, self._store = self._store, None
        if store is not None and self._first:
            attempt(store.set, self._word, "told")
        elif store is not None:
            attempt(store.wait, [self._word], timedelta(seconds=HOLD_SECONDS))
        let_go()


def let_go() -> None:
    """Let the thread of gloo drop the tensors of the newest collective, for which it needs the interpreter.

    Where the process group is destroyed at once, its destructor waits for that thread and holds the interpreter: both
    wait for ever (seen with torch 2.13, at the end of a script).
    """
    time.sleep(LET_GO_SECONDS)

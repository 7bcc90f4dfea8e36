"""Whether all processes of a run are there, asked without a collective: in one that a process misses the others hang.

A hand-written loop may have its `Watcher` in one process only, or leave it in one before the others. So before the
first exchange, and before the last one, each process leaves a word in the store that they found one another by, and
rank 0 says to all whether it is held.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, final

import torch.distributed as dist

from scalewatch.guard import attempt
from scalewatch_torch.parting import default_store

__all__ = ["Meeting"]

#: How long a process waits for the word of one that has come: as long as torch waits for a collective [s].
WORD_SECONDS = 1800.0


@final
class Meeting:
    """One meeting of the processes of the default group; `name` is the same on all of them, and of this one alone."""

    def __init__(self, name: str) -> None:
        self._name = f"scalewatch/{name}"
        self._size, self._rank = dist.get_world_size(), dist.get_rank()
        self._store = default_store()

    def come(self) -> None:
        """Say that this process is there."""
        if self._store is not None:
            attempt(self._store.set, f"{self._name}/{self._rank}", "here")

    def is_held(self, seconds: float) -> bool:
        """Whether all of them have come, the same on each; waits at most so long [s] for who has not."""
        if self._store is None:
            return False
        return self._call(self._store, seconds) if self._rank == 0 else self._hear(self._store, seconds)

    def _call(self, store: Any, seconds: float) -> bool:
        _, missing = attempt(
            store.wait, [f"{self._name}/{rank}" for rank in range(1, self._size)], timedelta(seconds=seconds)
        )
        _, unheard = attempt(store.set, f"{self._name}/held", "no" if missing else "yes")
        return not (missing or unheard)

    def _hear(self, store: Any, seconds: float) -> bool:
        _, missing = attempt(store.wait, [f"{self._name}/0"], timedelta(seconds=seconds))
        if missing:
            return False
        # rank 0 has come, and will say it
        _, unheard = attempt(store.wait, [f"{self._name}/held"], timedelta(seconds=WORD_SECONDS))
        word, _ = (None, "") if unheard else attempt(store.get, f"{self._name}/held")
        return word == b"yes"

"""What all ranks of a run measure, brought to rank 0: one gather every 16 batches, and a broadcast of what is decided.

Each rank writes the losses of its steps into a buffer on its device. `AllRanks.after_batch` gathers the buffers of all
of them, and rank 0 observes the mean, with the loss of each rank beside it where they are not alike. Why a gather and
not a sum: by the sum nobody can tell which rank is broken.

On a device that runs behind the host nothing waits: the gather and its copy to the host are queued, and are read at the
next exchange, 16 batches later, when they have long arrived. So what is decided holds one exchange later there, on all
ranks after the same batch.

A rank must call `after_batch` and `vote` at each batch whatever has failed in it, for the others wait for it as they
wait for its gradients. It does so with an empty buffer.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import final

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from scalewatch.arrays import Floats
from scalewatch.detect.ranks import odd_rank, ranks_in_words
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch_torch.acting.ballot import BALLOT
from scalewatch_torch.parting import Parting, let_go
from scalewatch_torch.scalars import Row, ScalarReader
from scalewatch_torch.transfer import Transfers

__all__ = ["EXCHANGE_EVERY_BATCHES", "AllRanks", "RankReader", "mean_over_ranks"]

#: Batches between two exchanges: a gather of 1 ms over gloo is .06 ms a batch (by hand; tests/benchmarks/rank_cost.py
#: measures it).
EXCHANGE_EVERY_BATCHES = 16
#: Time between two exchanges at most, of batches that take longer than a sixteenth of it [s]. By hand.
EXCHANGE_SECONDS = 1.0
#: Behind the losses and norms of a buffer: how many steps are in it, and the number of the last one.
_HEADER = 2
#: Step numbers are compared modulo this: float32 counts no further.
_STEP_MODULO = 1 << 20
#: Part of the lower loss by which two ranks differ before both are kept [ratio]. By hand.
APART_SHARE = 0.1
#: Pause between two looks at what has not arrived [s].
_POLL_SECONDS = 0.001


@final
class _Pace:
    """How many batches there are between two exchanges: 16, and fewer where they take long, agreed on once.

    Attributes:
        since: batches since the last exchange, count.
    """

    def __init__(self) -> None:
        self.since = 0
        self._every_batches = EXCHANGE_EVERY_BATCHES
        self._batches = 0
        self._is_known = False
        self._last = math.nan
        self._fastest = math.inf

    def after_batch(self) -> None:
        """Count a batch, and take its time; the fastest one counts, for the first ones compile."""
        self.since += 1
        self._batches += 1
        if self._is_known:
            return
        now = time.perf_counter()
        if now - self._last < self._fastest:
            self._fastest = now - self._last
        self._last = now

    @property
    def is_due(self) -> bool:
        """Whether it is time for an exchange."""
        return self.since >= self._every_batches

    @property
    def wants_agreement(self) -> bool:
        """Whether enough was seen to agree on the time between two exchanges, which is done once."""
        return self._batches >= EXCHANGE_EVERY_BATCHES and not self._is_known

    def agree(self, device: torch.device) -> None:
        """Agree on the slowest rank's: the one time that all ranks wait for their device."""
        self._is_known = True
        seconds = torch.zeros(1, device=device)
        seconds.fill_(self._fastest)
        dist.all_reduce(seconds, dist.ReduceOp.MAX)
        arriving: Transfers[None] = Transfers((1,))
        arriving.send(seconds, None)
        while (arrived := arriving.take()) is None:
            time.sleep(_POLL_SECONDS)
        slowest = max(float(arrived[1][0]), EXCHANGE_SECONDS / EXCHANGE_EVERY_BATCHES)
        self._every_batches = max(1, int(EXCHANGE_SECONDS / slowest)) if slowest < math.inf else EXCHANGE_EVERY_BATCHES


@final
class AllRanks:
    """The exchange between the ranks of one run. Every rank makes one, with the same arguments.

    Args:
        device: where the losses are, and what the process group can carry.
        losses: how many are watched. acts: whether anything may be decided, which takes the broadcast.

    Attributes:
        size: ranks. rank: this one. parting: how they end.
        decided: what the newest vote decided, shape (7,); zeros before there is one.
    """

    def __init__(self, device: torch.device, *, losses: int = 1, acts: bool = False) -> None:
        self.size, self.rank = dist.get_world_size(), dist.get_rank()
        self.parting = Parting()
        self.decided: tuple[float, ...] = (0.0,) * BALLOT
        self._acts = acts
        self.late = device.type != "cpu"
        self._guard = Guard()
        self._pace = _Pace()
        width = 2 * EXCHANGE_EVERY_BATCHES + _HEADER
        self._buffer = torch.zeros((losses, width), device=device)
        self._ballots: Transfers[None] = Transfers((1, BALLOT), dtype=torch.float64)
        self._readers = [RankReader(self._buffer[number], self) for number in range(losses)]
        self._lots: Transfers[list[list[Row]]] = Transfers((self.size * losses, width))

    def readers(self) -> list[RankReader]:
        """What takes the losses of the steps, one for each loss that is watched."""
        return list(self._readers)

    def after_batch(self, *, now: bool = False) -> bool:
        """Count a batch, and take part in the exchange if it is time for one; whether it was.

        All ranks must call it alike, also with `now`, for an exchange before its time.
        """
        self._pace.after_batch()
        if not (now or self._pace.is_due):
            return False
        self._exchange()
        if self._pace.wants_agreement:
            self._pace.agree(self._buffer.device)
        return True

    def between_batches(self) -> bool:
        """Take part in an exchange of what is left since the last one; whether there was a batch since."""
        if not self._pace.since:
            return False
        self._exchange()
        let_go()
        return True

    def _exchange(self) -> None:
        self._pace.since = 0
        lots = [reader.seal() for reader in self._readers]
        gathered = torch.empty((self.size, *self._buffer.shape), device=self._buffer.device)
        dist.all_gather(list(gathered.unbind()), self._buffer)
        for reader in self._readers:
            reader.carry_over()
        if self.rank == 0:
            self._lots.send(gathered.view(self.size * len(lots), -1), lots)
            self.receive()

    def vote(self, wish: Sequence[float]) -> tuple[float, ...]:
        """Decide what rank 0 wishes, shape (7,), on all ranks after the same batch; the wishes of others are not asked.

        To be called by all ranks after each exchange. What is returned is what is decided now.
        """
        if not self._acts:
            return self.decided
        if self.late:
            self._count_ballots()
        ballot = torch.zeros(BALLOT, dtype=torch.float64, device=self._buffer.device)
        if self.rank == 0:
            for place, value in enumerate(wish):
                ballot[place].fill_(value)
        dist.broadcast(ballot, 0)
        self._ballots.send(ballot[None], None)
        if not self.late:
            self._count_ballots()
        return self.decided

    def _count_ballots(self) -> None:
        while self._ballots.labels:
            arrived = self._ballots.take()
            if arrived is None:  # the same on all ranks: none may go on without it
                time.sleep(_POLL_SECONDS)
                continue
            self.decided = tuple(arrived[1][0])

    def receive(self) -> None:
        """Take in what has arrived, without waiting."""
        # a fault of ours in here must not end the exchange: the other ranks would wait for this one
        self._guard.call("ranks", self._receive)

    def _receive(self) -> None:
        while (arrived := self._lots.take()) is not None:
            lots, values = arrived
            table = np.array(values, dtype=np.float64).reshape(self.size, len(lots), -1)
            for number, (reader, lot) in enumerate(zip(self._readers, lots, strict=True)):
                reader.receive(lot, table[:, number])

    def flush(self, timeout_seconds: float) -> None:
        """Wait at most so long [s] for what was gathered and has not arrived."""
        give_up = time.monotonic() + timeout_seconds
        while self._lots.labels:
            self.receive()
            if self._guard.failed or time.monotonic() >= give_up:
                return
            if self._lots.labels:
                time.sleep(_POLL_SECONDS)

    @property
    def under_way(self) -> int:
        """Steps that were gathered and have not arrived, count."""
        return sum(len(lot) for lots in self._lots.labels for lot in lots)


@final
class RankReader(ScalarReader):
    """Takes the losses of one rank's steps; on rank 0 it gives observations of all ranks, after an exchange.

    Args:
        buffer: cells on the device, shape (2 x 16 + 2,). ranks: what exchanges it.

    Attributes:
        unshared: steps that no exchange took, known when it is abandoned, count.
        unseen: rank -> steps in which it had no loss to show while rank 0 had one, count.
    """

    def __init__(self, buffer: Tensor, ranks: AllRanks) -> None:
        super().__init__()
        most = EXCHANGE_EVERY_BATCHES
        self._ranks = ranks
        # views made once: indexing costs more than the copy into the cell
        beyond = torch.zeros(2, device=buffer.device)  # for steps that nobody will exchange
        self._losses_at = [*(buffer[place] for place in range(most)), beyond[0]]
        self._norms_at = [*(buffer[most + place] for place in range(most)), beyond[1]]
        self._header = [buffer[2 * most + place] for place in range(_HEADER)]
        self._sealed = 0
        self.unshared = 0
        self.unseen: Counter[int] = Counter()
        self._rows: list[Row] = []
        self._ready: list[Observation] = []

    def alone(self) -> list[Observation]:
        """Return the steps of this rank that no exchange has taken, as it saw them; none where reading would wait."""
        if self._ranks.late:
            return []
        cells = zip(self._rows, self._losses_at, self._norms_at, strict=False)
        return [self.observation(row, loss.item(), norm.item()) for row, loss, norm in cells]

    def _cell(self) -> tuple[Tensor, Tensor]:
        place = len(self._rows)
        return self._losses_at[place], self._norms_at[place]

    def _put_loss(self, loss: Tensor, *, first: bool) -> None:
        value = loss.detach()
        if type(value).__name__ == "DTensor":
            value = value.to_local()  # type: ignore[attr-defined]
        value = value if value.ndim == 0 else value.reshape(())
        if first:
            self._cell()[0].copy_(value, non_blocking=True)
        else:
            self._cell()[0].add_(value)

    def _put_norm(self, norm: Tensor) -> None:
        self._cell()[1].copy_(norm, non_blocking=True)

    def _close(self, row: Row) -> None:
        if len(self._rows) == EXCHANGE_EVERY_BATCHES:  # nobody exchanges: there is no cell left
            self.dropped += 1
            return
        if row.loss_scale != 1.0:
            self._cell()[0].mul_(row.loss_scale)
        self._rows.append(row._replace(loss_scale=1.0))

    def seal(self) -> list[Row]:
        """Write the header behind the cells, and return the steps that are in them."""
        rows, self._rows = self._rows, []
        self._sealed = len(rows)
        last = rows[-1].step % _STEP_MODULO if rows else 0
        for cell, value in zip(self._header, (len(rows), last), strict=True):
            cell.fill_(value)
        return rows

    def carry_over(self) -> None:
        """Move what is of the step under way to the first cell: the exchange took those before it."""
        if self._sealed and self._losses:
            self._losses_at[0].copy_(self._losses_at[self._sealed])
            self._norms_at[0].copy_(self._norms_at[self._sealed])

    def receive(self, rows: list[Row], table: Floats) -> None:
        """Take the buffers of all ranks, shape (ranks, 34), for the steps of this one."""
        most = EXCHANGE_EVERY_BATCHES
        if not rows:
            return
        # a rank whose watch is off has no steps, and one that counts them otherwise has others
        same = (table[:, 2 * most] == len(rows)) & (table[:, 2 * most + 1] == rows[-1].step % _STEP_MODULO)
        for rank in np.flatnonzero(~same).tolist():
            self.unseen[rank] += len(rows)
        for place, row in enumerate(rows):
            each = np.where(same, table[:, place], math.nan)
            loss, losses = mean_over_ranks(each, same)
            observation = self.observation(row, loss, float(table[0, most + place]))
            self._ready.append(observation._replace(rank_losses=losses))

    def take(self) -> list[Observation]:
        """Return the steps whose losses of all ranks have arrived; on other ranks than 0 there are none."""
        if self._ranks.late:
            self._ranks.receive()
        ready, self._ready = self._ready, []
        return ready

    def flush(self, timeout_seconds: float) -> list[Observation]:
        """Return what was gathered, waiting at most so long [s]; what was not stays."""
        self._ranks.flush(timeout_seconds)
        return self.take()

    def abandon(self) -> None:
        """Count what no exchange will take."""
        self.unshared += len(self._rows) + self._ranks.under_way
        self._rows.clear()

    def table_rows(self) -> list[tuple[str, str]]:
        """Return the row of the end table that says which ranks were watched."""
        text = f"mean of {self._ranks.size}"
        if self.unseen:
            steps = max(self.unseen.values())
            text += f"; not seen in {steps:,} steps: {ranks_in_words(sorted(self.unseen))}"
        if self.unshared:
            text += f"; the last {self.unshared:,} steps were not shared"
        return [("ranks", text)]


def mean_over_ranks(losses: Floats, here: np.ndarray) -> tuple[float, tuple[float, ...] | None]:
    """Return the mean loss of one step over the ranks, and the loss of each where one of them is not like the others.

    Args:
        losses: of each rank, shape (ranks,). here: whether a rank has the step, shape (ranks,); others are left out.

    >>> both = np.array([True, True])
    >>> mean_over_ranks(np.array([3.0, 3.1]), both), mean_over_ranks(np.array([3.0, 8.0]), both)
    ((3.05, None), (5.5, (3.0, 8.0)))
    """
    mean = float(losses[here].mean()) if here.any() else math.nan
    if len(losses) < 2 or not here.all():
        return mean, None
    each = tuple(losses.tolist())
    low, high = min(each), max(each)
    if not math.isfinite(mean) or (len(each) == 2 and high - low > APART_SHARE * abs(low)) or odd_rank(each)[0] >= 0:
        return mean, each
    return mean, None

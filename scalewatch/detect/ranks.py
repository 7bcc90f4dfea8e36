"""A rank that is not like the others: broken hardware, or data of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, final

from scalewatch.detect.base import AbstractDetector, Sample, amount
from scalewatch.detect.incident_state import IncidentState
from scalewatch.finding import Finding, Kind, Severity

__all__ = ["RankApart", "broken_ranks", "odd_rank", "ranks_in_words"]

#: One rank off by so many scaled median deviations, and by so much of the median; ranks to compare at least. By hand.
RANK_SIGMAS, RANK_SHARE, RANKS = 10.0, 0.05, 3
#: Of two ranks the odd one is so many times further from the level of the loss than the other. By hand.
FURTHER = 4.0
#: Scale of a normal distribution over its median absolute deviation. By definition.
MAD = 1.4826
#: Loss of one rank above that of the others [ratio], and the rows running for a note. By hand: ranks that read other
#: texts by design differ by a tenth.
NOTE_SHARE, NOTE_ROWS = 0.25, 16
#: The same for a warning, of a rank that was like the others before; and of one that never was, which may have harder
#: data by design. By hand.
PAGE_SHARE, PAGE_ROWS = 0.5, 32
NEVER_ALIKE_SHARE = 1.0
#: Rows running without it that end the incident [rows]. By hand.
CALM_ROWS = 16
#: Ranks that a sentence names, at most. By hand.
_MOST_NAMED = 4


@final
class RankApart(AbstractDetector):
    """The loss of one rank stays above that of the others, though the mean may look like a healthy run.

    Rule: the same rank above the median of the others by a quarter, in 16 rows running that carry losses of ranks:
    info; by half in 32 (by all of it where the ranks were never alike for as long): warning. Closes after 16 rows
    without. Rows are only compared where no loss is below zero. Memory: six counts; `restart` closes it.

    >>> detector, row = RankApart(), Sample()
    >>> row.rank_losses = (3.0, 3.1, 8.0)
    >>> for row.step in range(1, 40):
    ...     finding = detector.observe(row)
    ...     if finding is not None:
    ...         print(finding.step, finding.severity, finding.message)
    16 info rank 2 is not like the others: its loss is 8.000, theirs 3.100
    32 warning rank 2 stays unlike the others: its loss is 8.000, theirs 3.100
    """

    name = "rank_apart"
    STATE = ("incident", "rank", "rows", "far_rows", "first", "calm", "alike")

    def __init__(self) -> None:
        super().__init__(IncidentState(Kind.RANK_APART))
        self.rank = -1
        self.rows = 0
        self.far_rows = 0
        self.first = 0
        self.calm = 0
        self.alike = 0

    def observe(self, sample: Sample) -> Finding | None:
        if sample.rank_losses is None and not self.rows:
            return None
        rank, loss, others = _highest(sample.rank_losses)
        apart = others > 0.0 and loss > (1.0 + NOTE_SHARE) * others
        if not apart or (self.incident.is_open and rank != self.rank):
            self.alike = min(self.alike + (others > 0.0 and not apart), PAGE_ROWS)
            return self._calm(sample)
        if rank != self.rank:
            self.rank, self.rows, self.far_rows = rank, 0, 0
        if not self.rows:
            self.first = sample.step
        self.calm = 0
        self.rows = min(self.rows + 1, PAGE_ROWS)
        share = PAGE_SHARE if self.alike >= PAGE_ROWS else NEVER_ALIKE_SHARE
        self.far_rows = min(self.far_rows + 1, PAGE_ROWS) if loss > (1.0 + share) * others else 0
        incident = self.incident
        evidence = {"rank": rank, "rank_loss_nats": loss, "others_loss_nats": others, "rows": self.rows}
        if not incident.is_open and self.rows >= NOTE_ROWS:
            message = f"rank {rank} is not like the others: its loss is {amount(loss)}, theirs {amount(others)}"
            return incident.open(Severity.INFO, sample.step, self.first, message, evidence)
        if incident.is_open and self.far_rows >= PAGE_ROWS and incident.severity == Severity.INFO:
            message = f"rank {rank} stays unlike the others: its loss is {amount(loss)}, theirs {amount(others)}"
            return incident.escalate(Severity.WARNING, sample.step, message, evidence)
        return None

    def restart(self) -> None:
        self.incident.reset()
        self.rank, self.rows, self.far_rows, self.calm = -1, 0, 0, 0

    def _calm(self, sample: Sample) -> Finding | None:
        self.far_rows = 0
        if not self.incident.is_open:
            self.rows = 0
            return None
        self.calm += 1
        if self.calm < CALM_ROWS:
            return None
        rank = self.rank
        self.rank, self.rows, self.calm = -1, 0, 0
        return self.incident.close(sample.step, f"rank {rank} is like the others again", {"rank": rank})


def _numbers(losses: Any) -> list[float]:
    try:
        return [float(value) for value in losses or ()]
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return []


def _highest(losses: Any) -> tuple[int, float, float]:
    """The rank with the highest loss, that loss, and the median of the others; NaN where they cannot be compared."""
    values = _numbers(losses)
    if len(values) < 2 or not all(0.0 <= value < math.inf for value in values):
        return -1, math.nan, math.nan
    rank = max(range(len(values)), key=values.__getitem__)
    others = sorted(values[:rank] + values[rank + 1 :])
    return rank, values[rank], others[len(others) >> 1]


def odd_rank(losses: Any, level: float = math.nan) -> tuple[int, bool]:
    """The one rank that is not like the others, -1 if there is none, and whether its loss is not finite.

    Of two ranks it is the one that is away from `level`, the loss of the run before.

    >>> odd_rank((3.1, 3.0, float("nan"), 3.2)), odd_rank((3.1, 3.0, 9.0, 3.2)), odd_rank((3.1, 3.0, 3.3, 3.2))
    ((2, True), (2, False), (-1, False))
    >>> odd_rank((3.1, 9.0)), odd_rank((3.1, 9.0), level=3.0)
    ((-1, False), (1, False))
    """
    values = _numbers(losses)
    broken = [rank for rank, value in enumerate(values) if not math.isfinite(value)]
    if len(values) < 2 or broken:
        return (broken[0], True) if len(broken) == 1 < len(values) else (-1, False)
    if len(values) < RANKS:
        away = [abs(value - level) for value in values]
        rank = 0 if away[0] > away[1] else 1
        is_odd = away[rank] > max(FURTHER * away[1 - rank], RANK_SHARE * abs(level))
        return (rank, False) if is_odd else (-1, False)
    ranked = sorted(values)
    median = ranked[len(ranked) >> 1]
    spread = MAD * sorted(abs(value - median) for value in values)[len(values) >> 1]
    far = [r for r, v in enumerate(values) if abs(v - median) > max(RANK_SIGMAS * spread, RANK_SHARE * abs(median))]
    return (far[0], False) if len(far) == 1 else (-1, False)


def broken_ranks(losses: Any) -> list[int]:
    """Ranks whose loss is not finite, where others have one that is; empty where all or none are broken.

    >>> broken_ranks((3.0, float("nan"))), broken_ranks((float("nan"), float("nan"))), broken_ranks(None)
    ([1], [], [])
    """
    values = _numbers(losses)
    broken = [rank for rank, value in enumerate(values) if not math.isfinite(value)]
    return broken if len(broken) < len(values) else []


def ranks_in_words(ranks: Sequence[int]) -> str:
    """Which ranks, for a sentence.

    >>> ranks_in_words([3]), ranks_in_words([1, 2, 3, 4, 5, 6])
    ('rank 3', 'ranks 1, 2, 3, 4 and 2 more')
    """
    named = ", ".join(str(rank) for rank in ranks[:_MOST_NAMED])
    more = f" and {len(ranks) - _MOST_NAMED} more" if len(ranks) > _MOST_NAMED else ""
    return f"rank{'s' if len(ranks) > 1 else ''} {named}{more}"

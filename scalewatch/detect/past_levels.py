"""Where a series stood over its whole past, coarsely: whether it loses in a moment what took it long to learn.

A fault takes away at once what the run learnt slowly. Where a schedule makes the objective harder (noise that is
turned up, a curriculum, dropout, a weight in the loss) the loss rises as slowly as it fell.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import final

from scalewatch.detect.state import Stateful

__all__ = ["PastLevels"]

#: Levels kept [count]: then two become one, so the past is always known to a sixty-fourth of itself or finer. And the
#: least of them that say something: those of 128 rows. By hand.
MOST, LEAST = 128, 8
#: Part of a rise that must be behind it where the rise is said to begin [share]: below it is noise. By hand.
BEGUN = 0.25
#: Time of the rise for each in which the same was learnt, from which on it is slow [ratio]. By hand.
SLOW = 1.0 / 3.0
#: Parts that a rise is cut into [count], and how much of it one of them may stand above the one before [share]; and how
#: many times as fast as the whole of it any part that lasts until now may be [ratio]: a jump is no slow rise, also one
#: that comes on top of a slow one. By hand.
PARTS, AT_ONCE, FASTER = 4, 0.5, 3.0


@final
class PastLevels(Stateful):
    """Means of stretches of equal length, of the whole past of a series.

    Memory: 128 numbers. `restart` forgets them.

    Attributes:
        means: of each stretch, oldest first. blocks: blocks in a stretch [count].

    >>> past = PastLevels()
    >>> for row in range(200):
    ...     past.add(max(3.0 - 0.05 * row, 1.0) + 0.005 * max(0, row - 100))
    >>> past.rises_slowly(1.5, 0.0), past.rises_slowly(2.5, 0.0)
    (True, False)
    """

    STATE = ("means", "blocks", "sum", "count")

    def __init__(self) -> None:
        self.means: list[float] = []
        self.blocks = 1
        self.sum = 0.0
        self.count = 0

    def add(self, mean: float) -> None:
        """Take in the mean of one block of rows."""
        self.sum += mean
        self.count += 1
        if self.count < self.blocks:
            return
        # another list, for somebody may go back to this one
        means = [*self.means, self.sum / self.count]
        self.sum, self.count = 0.0, 0
        if len(means) >= MOST:
            means = [0.5 * (first + second) for first, second in zip(means[::2], means[1::2], strict=True)]
            self.blocks *= 2
        self.means = means

    @property
    def lowest(self) -> float:
        """Where it stood lowest; NaN while too little is known."""
        return min(self.means) if len(self.means) >= LEAST else math.nan

    def lost(self, risen: float, noise: float) -> float:
        """Return the part of its fall since its first stretch that is lost at `risen`; infinite if it never fell.

        In its own units, so half of a fall to a hundredth is lost at a tenth; and not from its first row, which may be
        absurd, and at which no run stands for long. A fall of no more than `noise` is none.
        """
        first, lowest = self.means[0] if self.means else math.nan, self.lowest
        return (risen - lowest) / (first - lowest) if first - lowest > noise else math.inf

    def rises_slowly(self, risen: float, noise: float, unseen: float = 0.0) -> bool:
        """Return whether a rise to `risen` took a third of the time or more in which as much was learnt, with no jump.

        Args:
            risen: where it stands now. noise: what it may stand off by chance. unseen: blocks of the rise that were
                not taken in, for an incident is open.
        """
        means, lowest = self.means, self.lowest
        if not risen > lowest:
            return False
        rise, waits = risen - lowest, unseen / self.blocks
        last = max(at for at, mean in enumerate(means) if mean <= lowest + BEGUN * rise)
        first = next(at for at, mean in enumerate(means) if mean < risen or at == last)
        since = means[last + 1 :]
        lasted = len(since) + waits
        if len(since) < PARTS or lasted <= SLOW * (last + 1 - first):
            return False
        lags = [2**power for power in range(len(since).bit_length()) if 2**power < len(since)]
        if any(risen - since[-lag] > FASTER * rise * (lag + waits) / lasted + noise for lag in lags):
            return False
        cuts = [len(since) * part // PARTS for part in range(PARTS + 1)]
        parts = [math.fsum(since[cut:end]) / (end - cut) for cut, end in pairwise(cuts)]
        return all(after - before <= AT_ONCE * rise for before, after in pairwise(parts))

    def restart(self) -> None:
        """Forget them: the series starts anew elsewhere."""
        self.means, self.blocks, self.sum, self.count = [], 1, 0.0, 0

"""How much the rows of a series scatter about their level, for one row and for sums over many.

    scale   s = median |y - 2 y' + y''| / 1.652       y', y'': the two rows before; over the last 128 rows
              and at least IQR(y - level) / 1.349, once 64 rows are known
              and at least deepest dip / 3, a dip being one row below both its neighbours
    wander  w = q75 |m - 2 m' + m''| * 4 / (2.818 s)    m, m', m'': means of 16 rows each; at least 1

A second difference has no slope in it, so a falling loss does not look noisy even in a log of thirty rows; in a
smoothed log it is too small, which the quartiles of the excess see. In a long log the quantiles are taken each 16 rows:
a window of 128 in which an eighth has not arrived yet. Incidents go up: a dip is noise, and the deepest
one warns of heavy tails before the quantiles do; one alone at most doubles the scale.

Why not a variance: one bad batch in a window of 128 doubles it. Why a median, which wastes half the rows: the steep
start of a short log fills its upper quartile.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import final

from scalewatch.detect.past_levels import PastLevels
from scalewatch.detect.state import Stateful

__all__ = ["RobustScale", "Window"]

#: Rows whose scatter is the scale, and the least of them while only the younger half of a short log counts [rows].
#: By hand.
SCALE_ROWS = 128
LEAST_SCALE_ROWS = 16
#: Rows before the quartiles of the excess count: before, they hold the first descent [rows]. By hand.
QUARTILE_ROWS = 64
#: Rows from which on a log is long, and rows between two looks at its quantiles [rows]. By hand.
LONG_ROWS, REFRESH_ROWS = 1024, 16
#: Rows from which on the two scatters are compared [rows]. By hand.
STRAY_ROWS = 24
#: Scale before anything is known [log units], median over the sources in data/, and the rows it counts for, by hand.
PRIOR_SCALE = 0.015
PRIOR_ROWS = 4.0
#: Least scale [log units]: below it logs are smoothed or held-out, and their scatter is not noise. By hand.
LEAST_SCALE = 5e-4
#: Median and upper quartile of |second difference| of white noise of unit sd: .6745 sqrt(6), 1.1503 sqrt(6).
#: By definition.
NORMAL_BEND, NORMAL_HIGH_BEND = 1.652, 2.818
#: Interquartile range of a normal distribution of unit sd. By definition.
NORMAL_IQR = 1.349
#: Deepest dip in the last hundred rows of white noise of unit sd (95th percentile, simulated), and how much of it a row
#: forgets, by hand.
NORMAL_DIP = 3.0
DIP_FADE = 1.0 / 128.0
#: Rows of one block mean; block bends kept. By hand.
BLOCK_ROWS = 16
BLOCKS = 128
#: Blocks between the means of a long bend, which sees a memory that outlasts a block [blocks]; bends without which
#: their quantile says nothing [count]. By hand.
LONG_LAG, LONG_BENDS = 4, 16
#: Block bends that the doubt about the wander starts with: w is raised by 1 + 1/sqrt(4 + bends). By hand.
FEW_BLOCKS = 4.0


@final
class Window(Stateful):
    """The last values, oldest first, and sorted: half a microsecond a row, a fifth of it where they may wait.

    Memory: twice `rows` floats. Only finite values may enter.

    Attributes:
        values, ranked: oldest first, and sorted. waiting: values that are in neither yet.

    >>> window = Window(3)
    >>> for value in (5.0, 1.0, 9.0, 2.0):
    ...     window.push(value, 3)
    >>> window.values, window.ranked
    ([1.0, 9.0, 2.0], [1.0, 2.0, 9.0])
    """

    STATE = ("values", "waiting")

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.waiting: list[float] = []
        self.values: list[float] = []
        self.ranked: list[float] = []

    def _loaded(self) -> None:
        del self.values[: -self.rows]
        self.ranked = sorted(self.values)

    def push(self, value: float, keep: int) -> None:
        """Take one value in and let the oldest go, down to `keep` values."""
        values, ranked = self.values, self.ranked
        values.append(value)
        insort(ranked, value)
        if keep > self.rows:
            keep = self.rows
        while len(values) > keep:
            del ranked[bisect_left(ranked, values.pop(0))]

    def take_waiting(self) -> None:
        """Let all that waits in at once."""
        # other lists, for somebody may go back to these; two runs that rise are sorted by one merge
        values, ranked = [*self.values, *self.waiting], [*self.ranked, *sorted(self.waiting)]
        ranked.sort()
        gone = max(len(values) - self.rows, 0)
        for value in values[:gone]:
            del ranked[bisect_left(ranked, value)]
        self.values, self.ranked, self.waiting = values[gone:], ranked, []

    def quantile(self, share: float) -> float:
        """The value that this share of the window lies below."""
        return self.ranked[int(share * len(self.ranked))]


@final
class BlockMeans(Stateful):
    """Means of 16 rows each, and how they bend: what tells of a memory that outlasts a row.

    Attributes:
        sum, rows: of the block that is not full yet. means: the last of them.
        bends, long_bends: between neighbours, and between those four apart. past: where the series stood, of all rows.
    """

    STATE = ("sum", "rows", "means", "bends", "long_bends", "past")

    def __init__(self) -> None:
        self.sum = 0.0
        self.rows = 0
        self.means: list[float] = []
        self.bends = Window(BLOCKS)
        self.long_bends = Window(BLOCKS)
        self.past = PastLevels()

    def close(self, scale: float) -> float | None:
        """Take in the mean of a block that is full; the wander by then, None for too few blocks."""
        means = self.means
        means.append(self.sum / BLOCK_ROWS)
        self.past.add(means[-1])
        self.sum, self.rows = 0.0, 0
        if len(means) < 3:
            return None
        self.bends.push(abs(means[-3] - 2.0 * means[-2] + means[-1]), BLOCKS)
        bend = self.bends.quantile(0.75) / NORMAL_HIGH_BEND
        if len(means) > 2 * LONG_LAG:
            self.long_bends.push(means[0] - 2.0 * means[LONG_LAG] + means[-1], BLOCKS)
            del means[0]
            if len(self.long_bends.ranked) >= LONG_BENDS:
                bend = max(bend, -self.long_bends.quantile(0.125) / NORMAL_HIGH_BEND)
        ratio = bend * BLOCK_ROWS**0.5 / scale
        wander: float = max(1.0, ratio) * (1.0 + 1.0 / (FEW_BLOCKS + len(self.bends.ranked)) ** 0.5)
        return wander

    def restart(self) -> None:
        """The series starts anew elsewhere; how much its means bend stays known."""
        self.means = []
        self.sum, self.rows = 0.0, 0
        self.past.restart()


@final
class RobustScale(Stateful):
    """Scale of one row and wander of many.

    NaN never enters. Memory: 3 x 128 floats, twice. Nothing resets it; `pause` only says that rows are missing.

    Attributes:
        rows: rows learnt, count.
        scale: sd of one row [units of the series]. steady: the same without the deepest dip.
        wander: by how much sums over many rows scatter more than white noise would, at least 1 [ratio].
        blocks: the means that the wander is read off; whoever has a row that belongs to no incident adds it there.

    >>> from random import Random
    >>> scatter, noise = RobustScale(), Random(0)
    >>> for row in range(1000):
    ...     value = noise.gauss(0.0, 0.02)
    ...     _ = scatter.learn(value - 0.001 * row, value)
    >>> round(scatter.scale, 3)
    0.02
    """

    STATE = ("rows", "scale", "steady", "wander", "past", "bends", "excesses", "dip", "blocks")

    def __init__(self) -> None:
        self.rows = 0
        self.scale = self.steady = PRIOR_SCALE
        self.wander = 1.0 + 1.0 / FEW_BLOCKS**0.5
        self.past: list[float] = []
        self.bends = Window(SCALE_ROWS)
        self.excesses = Window(SCALE_ROWS)
        self.dip = 0.0
        self.blocks = BlockMeans()

    def learn(self, value: float, excess: float) -> float:
        """Take in one finite row and its excess over the level; return the scale by then."""
        self.rows = rows = self.rows + 1
        past, is_long = self.past, rows > LONG_ROWS
        if is_long:
            self.excesses.waiting.append(excess)
        else:
            self.excesses.push(excess, SCALE_ROWS)
        if len(past) < 2:
            past.append(value)
            return self.scale
        before, middle = past
        past[0], past[1] = middle, value
        dip = (before if before < value else value) - middle
        most, faded = 2.0 * NORMAL_DIP * self.scale, self.dip * (1.0 - DIP_FADE)
        dip = dip if dip < most else most
        self.dip = dip = dip if dip > faded else faded
        bend = abs(before - 2.0 * middle + value)
        if is_long:
            waiting = self.bends.waiting
            waiting.append(bend)
            if len(waiting) >= REFRESH_ROWS:
                self.look_again()
        else:
            half = rows // 2
            self.bends.push(bend, half if half > LEAST_SCALE_ROWS else LEAST_SCALE_ROWS)
            self._look()
        dip /= NORMAL_DIP
        scale = self.steady if self.steady > dip else dip
        self.scale = scale = scale if scale > LEAST_SCALE else LEAST_SCALE
        return scale

    def look_again(self) -> None:
        """Take in what waits, and the scale from it."""
        self.excesses.take_waiting()
        self.bends.take_waiting()
        self._look()

    def close_block(self) -> None:
        """Take in a block of rows that belong to no incident, and the wander from it."""
        wander = self.blocks.close(self.scale)
        if wander is not None:
            self.wander = wander

    @property
    def strays(self) -> float:
        """Scatter about the level over that from row to row, by quartiles [ratio]; 1 while there are too few rows."""
        excesses, bends = self.excesses.ranked, self.bends.ranked
        count = len(excesses)
        if count < STRAY_ROWS:
            return 1.0
        high, low = excesses[(3 * count) >> 2], excesses[count >> 2]
        # in a steep descent all rows lie below their level: there only the upper quartile tells of memory
        spread = (high - low if self.rows >= QUARTILE_ROWS else 2.0 * high) / NORMAL_IQR
        return spread * NORMAL_BEND / max(bends[len(bends) >> 1], LEAST_SCALE * NORMAL_BEND)

    def pause(self) -> None:
        """The next row does not follow the last one."""
        self.past = []

    def restart(self) -> None:
        """The series starts anew elsewhere; how much it scatters stays known."""
        self.past = []
        self.blocks.restart()

    def _look(self) -> None:
        """Take the scale from the quantiles."""
        ranked = self.bends.ranked
        count = len(ranked)
        scale = ranked[count >> 1] / NORMAL_BEND
        if count < SCALE_ROWS:
            prior = PRIOR_ROWS * (1.0 - count / SCALE_ROWS)
            scale = ((prior * PRIOR_SCALE * PRIOR_SCALE + count * scale * scale) / (prior + count)) ** 0.5
        ranked = self.excesses.ranked
        count = len(ranked)
        if count >= QUARTILE_ROWS:
            spread = (ranked[(3 * count) >> 2] - ranked[count >> 2]) / NORMAL_IQR
            if spread > scale:
                scale = spread
        self.steady = scale

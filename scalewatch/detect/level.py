"""Where a series stands and how much its rows scatter, in constant time: the ground of every other rule.

For a row y (a log loss, or a log gradient norm)

    excess  e = y - fast            fast: mean of the last 3 to 8 rows
    rise      = y - base            base: mean of the last 8 to 256 rows, started anew after an improvement
    scale   s = median |y - 2 y' + y''| / 1.652     y', y'': the two rows before; over the last 128 rows,
                but at least IQR(e) / 1.349, once 64 rows are known

Both means move by at most 3 s a row, so that no value, 1e308 included, moves them more than an ordinary
bad row would; and not at all while an incident is open. A second difference has no slope in it, so a falling loss
does not look noisy even in a log of thirty rows; in a smoothed log it is too small, which the quartiles see.

Why not a variance: one bad batch in a window of 128 doubles it, and heavy tails (t with 4 degrees of freedom)
make it the wrong yardstick. Why no trend term: a trend carried on where a curve flattens predicts too low,
and the flattening then looks like a rise. A level that lags behind a falling loss is only less sensitive.
"""

from __future__ import annotations

from typing import final

from scalewatch.detect.base import Stateful
from scalewatch.detect.scatter import Window

__all__ = ["Level"]

#: Memory of the fast mean [rows], and the part of the log so far that it may span: a learning curve looks the
#: same on any scale of log steps, so early rows age faster.
FAST_ROWS = 8
LEAST_FAST_ROWS = 2
FAST_SHARE = 8
#: Memory of the base [rows], and what it starts with when it is started anew from the fast mean.
BASE_ROWS = 256
LEAST_BASE_ROWS = 8
ANEW = 1.0
SHORT_ROWS = 64
#: Rows whose scatter is the scale [rows].
SCALE_ROWS = 128
LEAST_SCALE_ROWS = 16
#: Rows before the quartiles of the excess count: before, they hold the first descent [rows].
QUARTILE_ROWS = 64
#: Scale before anything is known [log units]: median of the sources in data/.
PRIOR_SCALE = 0.015
#: Rows that the prior counts for.
PRIOR_ROWS = 4.0
#: Least scale [log units]: below it logs are smoothed or held-out and their scatter is not noise.
LEAST_SCALE = 5e-4
#: Largest move that a row may ask for [scales] (SCIENCE 10 winsorises at 4).
CLIP = 3.0
#: Median of |second difference| of white noise of unit sd: .6745 sqrt(6).
NORMAL_BEND = 1.652
QUANTILE = 0.5
#: Interquartile range of a normal distribution of unit sd.
NORMAL_IQR = 1.349
#: Rows below the fast mean by more than the clip, one after another, that make a new level [rows].
LOW_ROWS = 3
#: One-sided CUSUM of improvement: allowance and limit [scales]; at 12 it fires by chance once in a million rows.
DOWN_ALLOWANCE = 0.5
DOWN_LIMIT = 12.0
#: Deepest dip (down and up again) in white noise of unit sd, and how it is forgotten [per row].
NORMAL_DIP = 3.0
DIP_FADE = 1.0 - 1.0 / 128.0
#: Rows of one block mean, block means kept: they show scatter that rows next to each other share.
BLOCK_ROWS = 16
BLOCKS = 128
FEW_BLOCKS = 4.0


@final
class Level(Stateful):
    """The tracked level and scale of one series.

    NaN never enters. Memory: 2 x 128 + 32 floats. `restart` forgets the level and keeps the scale.

    Attributes:
        rows: rows learnt since the last restart, count.
        fast, base: short and long mean [log units].
        scale: sd of one row [log units].
        wander: how much larger it is for sums over many rows, at least 1 [ratio].
        held_by: name of the detector whose incident is open, or nothing.
        excess, sigmas, rise: of the row measured last.

    >>> level = Level()
    >>> for row in range(200):
    ...     level.measure(1.0 + 0.01 * (row % 5))
    ...     level.absorb(False)
    >>> level.measure(1.2)
    >>> round(level.excess, 2), level.sigmas > 8
    (0.18, True)
    """

    STATE = (
        "rows",
        "known",
        "fast",
        "base",
        "base_rows",
        "low",
        "low_value",
        "dip",
        "past",
        "last",
        "bends",
        "excesses",
        "scale",
        "wander",
        "held_by",
        "block_sum",
        "block_rows",
        "block_means",
        "block_bends",
    )

    def __init__(self) -> None:
        self.rows = 0
        self.known = 0
        self.fast = 0.0
        self.base = 0.0
        self.base_rows = 0
        self.low = False
        self.low_value = 0.0
        self.dip = 0.0
        self.past: list[float] = []
        self.last: list[float] = []
        self.near = 0.0
        self.bends = Window(SCALE_ROWS)
        self.excesses = Window(SCALE_ROWS)
        self.scale = PRIOR_SCALE
        self.wander = 1.0 + 1.0 / FEW_BLOCKS**0.5
        self.held_by = ""
        self.block_sum = 0.0
        self.block_rows = 0
        self.block_means: list[float] = []
        self.block_bends = Window(BLOCKS)
        self._value = 0.0
        self.excess = 0.0
        self.sigmas = 0.0
        self.rise = 0.0

    def measure(self, value: float) -> None:
        """Set `excess`, `sigmas` and `rise` of one finite row against what came before it."""
        self._value = value
        if self.rows == 0:
            self.excess = self.sigmas = self.rise = 0.0
            self.near = value
            return
        near = self.fast
        if self.rows < SHORT_ROWS and len(self.last) >= 3:
            middle = sorted(self.last)[1]
            if middle < near:
                near = middle
        self.near = near
        self.excess = value - near
        self.sigmas = self.excess / self.scale
        self.rise = value - self.base

    def absorb(self, hold: bool, suspicious: bool = False) -> None:
        """Learn from the row measured last.

        Args:
            hold: an incident is open or may begin here: nothing is learnt.
            suspicious: the base must not rise, or a slow divergence would move its own yardstick.
        """
        if hold:
            self.past = []
            return
        value = self._value
        if self.rows == 0:
            self.rows, self.fast, self.base, self.base_rows, self.past = 1, value, value, 1, [value]
            return
        self.rows += 1
        self._scatter(value)
        move, bound = value - self.fast, CLIP * self.scale
        if move < -self.scale:
            if self.low:
                # Two rows running are clearly lower: half way down to the higher of them.
                self.fast += 0.5 * (max(self.low_value, value) - self.fast)
                move = 0.0
            elif move < -bound:
                move = -bound
            self.low, self.low_value = True, value
        else:
            self.low = False
            if move > bound:
                move = bound
        self.fast += move / min(self.rows, FAST_ROWS)
        self._follow(suspicious)
        if self.rows <= SHORT_ROWS:
            self.last = [*self.last[-2:], value]
        self._block(value)

    def settle(self) -> None:
        """Take the present level as the new base."""
        self.base, self.base_rows = self.fast, LEAST_BASE_ROWS

    def restart(self) -> None:
        """Forget where the series stands; keep how much it scatters."""
        self.rows = self.base_rows = self.block_rows = 0
        self.block_sum, self.low = 0.0, False
        self.past, self.last, self.block_means = [], [], []

    def _follow(self, suspicious: bool) -> None:
        """Move the base; start it anew at the present level once the series has clearly improved."""
        slow = self.scale * self.wander
        move, bound = self.rise, CLIP * slow
        move = bound if move > bound else -bound if move < -bound else move
        self.base_rows += 1
        anew = self.near + ANEW * slow
        if self.base > anew:
            self.base, self.base_rows = anew, LEAST_BASE_ROWS
            return
        if suspicious:
            return
        self.base += move / min(self.base_rows, BASE_ROWS)

    def _scatter(self, value: float) -> None:
        """Read the scale off the last second differences and excesses."""
        self.known += 1
        keep = max(self.known // 2, LEAST_SCALE_ROWS)
        self.excesses.push(self.excess, SCALE_ROWS)
        past = self.past
        past.append(value)
        if len(past) < 3:
            return
        dip = min(past[0], value) - past[1]
        self.dip = max(dip, self.dip * DIP_FADE)
        bends = self.bends
        bends.push(abs(past[0] - 2.0 * past[1] + value), keep)
        del past[0]
        ranked = bends.ranked
        count = len(ranked)
        scale = ranked[int(QUANTILE * count)] / NORMAL_BEND
        if count < SCALE_ROWS:
            prior = PRIOR_ROWS * (1.0 - count / SCALE_ROWS)
            scale = ((prior * PRIOR_SCALE * PRIOR_SCALE + count * scale * scale) / (prior + count)) ** 0.5
        ranked = self.excesses.ranked
        count = len(ranked)
        if count >= QUARTILE_ROWS:
            spread = (ranked[(3 * count) >> 2] - ranked[count >> 2]) / NORMAL_IQR
            if spread > scale:
                scale = spread
        scale = max(scale, self.dip / NORMAL_DIP)
        self.scale = scale if scale > LEAST_SCALE else LEAST_SCALE

    def _block(self, value: float) -> None:
        """Compare the scatter of block means with that of rows: white noise gives one.

        The bend m1 - 2 m2 + m3 of three block means in a row has no slope in it; for white noise its
        variance is 6 s^2 / 16.
        """
        self.block_sum += value
        self.block_rows += 1
        if self.block_rows < BLOCK_ROWS:
            return
        means = self.block_means
        means.append(self.block_sum / BLOCK_ROWS)
        self.block_sum, self.block_rows = 0.0, 0
        if len(means) < 3:
            return
        self.block_bends.push(abs(means[0] - 2.0 * means[1] + means[2]), BLOCKS)
        del means[0]
        count = len(self.block_bends.ranked)
        ratio = self.block_bends.ranked[count >> 1] / 1.652 * BLOCK_ROWS**0.5 / self.scale
        self.wander = max(1.0, ratio) * (1.0 + 1.0 / (FEW_BLOCKS + count) ** 0.5)

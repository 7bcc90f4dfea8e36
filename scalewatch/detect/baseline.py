"""Where a series stands, in constant time: the ground of every other rule.

For a row y (a log loss, or a log gradient norm)

    excess  e = y - fast      fast: mean of the last 8 rows; in a log of under 64 rows at most the median of the last 3
    rise      = y - slow      slow: mean of the last 256 rows, never more than one slow scale above `fast`
    scale   s, wander w       see robust_scale.py; s w is the slow scale

Means are asked to move by at most 3 s a row, so that no value, 1e308 included, moves them more than an ordinary bad
row would; and not at all while an incident is open or may begin. Two rows running that are clearly lower move the fast
mean half the way down, by 3 s at most: improvement is taken up fast, a rise slowly.

Why no trend term: a trend carried on where a curve flattens predicts too low, and the flattening then looks like a
rise. A level that lags behind a falling loss is only less sensitive; what lag there is, the cap on the slow mean and
the median of three take away where it matters, in short logs.
"""

from __future__ import annotations

from typing import final

from scalewatch.detect.clock import Clock
from scalewatch.detect.loss_scale import LossScale, nats
from scalewatch.detect.robust_scale import BLOCK_ROWS, RobustScale
from scalewatch.detect.state import Stateful

__all__ = ["SPARSE_STEPS", "UNKNOWN", "RobustBaseline"]

#: Memory of the fast mean [rows]: a mean of eight has a third of the scatter of a row, and follows a descent. By hand.
FAST_ROWS = 8
#: Rows before which the median of the last three may stand for it [rows]. By hand.
SHORT_ROWS = 64
#: Memory of the slow mean [rows], and the rows it counts for when it is taken anew from the fast mean. By hand.
SLOW_ROWS = 256
ANEW_ROWS = 8
#: Largest move that a row may ask for [scales]: by hand, between the 1.5 of Huber 1964 and a winsorising at 4.
CLIP = 3.0
#: Rows of an incident that the scale still learns from [rows]: a short one does not move an upper quartile, and
#: leaving every high row out would make the noise of a wild run look small. By hand.
FROZEN_ROWS = 8
#: A loss that halves from one row to the next is a broken row, until so many running have said so [log units, rows].
#: By hand.
BROKEN, BROKEN_ROWS = -0.69, 8
#: Rows up to which the median of the last five is kept [rows]: the time in which a slow mean of 256 settles. By hand.
MIDDLE_ROWS = 512
#: Part of the loss at the start, which is at most 20 nats (a vocabulary of 500 million), below which nothing matters:
#: by hand, the least by which seeds move a final loss.
LEAST_SHARE = 0.002
MOST_START_NATS = 20.0
#: Scatter of one row below which a log is narrow, and from which on it is wide [log units]: of language models rows of
#: whole batches scatter by .3 to 3 %, of small batches and other objectives by 10 to 150 %, with tails of any kind. By
#: hand.
NARROW, WIDE = 0.03, 0.1
#: Steps a row from which on rows are far apart [steps]: most spikes and all bad batches are over by then. By hand.
SPARSE_STEPS = 5.0
#: Scatter about the level over that from row to row, from which on rows follow each other [ratio]: 1.06 where they do
#: not, 3 where nine tenths of one go on in the next. By hand.
STRAYS = 1.6
#: Stands for a level that is not known yet [log units]: above every log of a float. By hand.
UNKNOWN = 1e3


@final
class RobustBaseline(Stateful):
    """Where one series stands, and how much it scatters.

    NaN never enters. Memory: its scatter and a dozen numbers. `restart` forgets the level and keeps the scale.

    Attributes:
        rows: rows learnt since the last restart, count.
        start: the first row of all [log units].
        fast_mean, slow_mean: short and long mean [log units].
        middle: median of the last five rows, `UNKNOWN` outside the first 512.
        frozen_by: name of the detector whose incident is open, or nothing. clock: when its incidents began.
        excess, sigmas, rise: of the row measured last.

    >>> baseline = RobustBaseline()
    >>> for row in range(200):
    ...     baseline.score(1.0 + 0.01 * (row % 4))
    ...     baseline.update(False)
    >>> baseline.score(1.2)
    >>> round(baseline.excess, 2), baseline.sigmas > 8
    (0.18, True)
    """

    STATE = (
        "rows",
        "start",
        "running_mean",
        "fast_mean",
        "slow_mean",
        "slow_rows",
        "low",
        "low_value",
        "last",
        "scatter",
        "frozen_by",
        "frozen_rows",
        "broken_rows",
        "clock",
        "slow_scale",
    )

    def __init__(self, loss_scale: LossScale | None = None) -> None:
        self.loss_scale = LossScale() if loss_scale is None else loss_scale
        self.rows = 0
        self.start = UNKNOWN
        self.running_mean = 0.0
        self.fast_mean = 0.0
        self.slow_mean = 0.0
        self.slow_rows = 0
        self.low = False
        self.low_value = 0.0
        self.last: list[float] = []
        self.scatter = RobustScale()
        self.frozen_by = ""
        self.frozen_rows = 0
        self.broken_rows = 0
        self.clock = Clock()
        self.scale = self.scatter.scale
        self.slow_scale = self.scale * self.scatter.wander
        self.middle = UNKNOWN
        self.excess = 0.0
        self.sigmas = 0.0
        self.rise = 0.0
        self._value = 0.0

    def _loaded(self) -> None:
        self.scale = self.scatter.scale

    def score(self, value: float) -> None:
        """Set `excess`, `sigmas`, `rise` and `middle` of one finite row against what came before it."""
        self._value, rows = value, self.rows
        if rows > MIDDLE_ROWS:
            self.middle = UNKNOWN
            if self.frozen_rows == 0:
                self.fast_mean = self.running_mean
        elif rows == 0:
            self.fast_mean = value
            self.clear_scores()
            return
        else:
            self._score_early()
        self.excess = excess = value - self.fast_mean
        self.sigmas = excess / self.scale
        self.rise = value - self.slow_mean

    def _score_early(self) -> None:
        """Set `middle` and the fast mean where few rows came before."""
        last, near = self.last, self.running_mean
        self.middle = sorted((*last, self._value))[2] if len(last) == 4 else UNKNOWN
        if self.frozen_rows:
            return
        if self.rows < SHORT_ROWS and len(last) >= 3:
            median = sorted(last[-3:])[1]
            if median < near:
                near = max(median, near - CLIP * self.scale)
        self.fast_mean = near

    def update(self, frozen: bool, trend_frozen: bool = False) -> None:
        """Learn from the row measured last.

        Args:
            frozen: an incident is open or may begin here: the level learns nothing.
            trend_frozen: the slow mean must stay, or a slow divergence would move its own yardstick.
        """
        value, rows, excess = self._value, self.rows, self.excess
        if rows == 0:
            self._begin(value)
            return
        if excess < BROKEN and rows >= FAST_ROWS:
            self.broken_rows += 1
            if self.broken_rows <= BROKEN_ROWS:
                return
        else:
            self.broken_rows = 0
        self.frozen_rows = self.frozen_rows + 1 if frozen else 0
        if self.frozen_rows > FROZEN_ROWS:
            self.scatter.pause()
            return
        if rows <= MIDDLE_ROWS:
            self.last.append(value)
            if len(self.last) > 4:
                del self.last[0]
        before, scatter = self.scale, self.scatter
        self.scale = scale = scatter.learn(value, excess)
        self.slow_scale = slow = scale * scatter.wander
        if frozen:
            self.low = False
            return
        self.rows = rows = rows + 1
        if rows < FAST_ROWS:
            # no mean of so few rows forgets an odd first one
            middle = sorted(self.last)[len(self.last) >> 1]
            self.running_mean = self.slow_mean = middle
            self.slow_rows = rows
            return
        move = value - self.running_mean
        if move < -before:
            self._fall(value, move, CLIP * before)
        else:
            self.low = False
            bound = CLIP * before
            self.running_mean += (move if move < bound else bound) / FAST_ROWS
        taken_anew = self.fast_mean + slow
        if self.slow_mean > taken_anew:
            # after an improvement it is taken anew, a slow scale above the present level
            self.slow_mean, self.slow_rows = taken_anew, ANEW_ROWS
        elif not trend_frozen:
            self.slow_rows = rows = self.slow_rows + 1
            move, bound = self.rise, CLIP * slow
            move = bound if move > bound else -bound if move < -bound else move
            self.slow_mean += move / (rows if rows < SLOW_ROWS else SLOW_ROWS)
        blocks = scatter.blocks
        blocks.sum += value
        blocks.rows += 1
        if blocks.rows >= BLOCK_ROWS:
            scatter.close_block()

    def settle(self, value: float, fast_mean: float, rise: float, scale: float) -> None:
        """Let the scores be those of a row that was scored and learnt elsewhere, on this scale."""
        self._value, self.fast_mean, self.rise, self.middle = value, fast_mean, rise, UNKNOWN
        self.excess = value - fast_mean
        self.sigmas = self.excess / scale

    @property
    def width(self) -> float:
        """How wide the scatter of a row is: 0 for that of a language model's log, 1 for one that may have any tails."""
        share = 1.0 if self.loss_scale.is_linear else (self.scale - NARROW) / (WIDE - NARROW)
        return 0.0 if share < 0.0 else 1.0 if share > 1.0 else share

    @property
    def memory(self) -> float:
        """Scatter of a level over that of a row, where rows follow each other; 1 where each is one by itself."""
        strays = self.scatter.strays
        if strays <= STRAYS:
            return 1.0
        # of few rows a narrow scatter is taken for that of a language model, whose rows are each one by itself
        return strays if self.scatter.rows >= SHORT_ROWS else 1.0 + self.width * (strays - 1.0)

    def alone(self, spacing: float) -> float:
        """How far each row is one by itself, from 0 to 1: rows of whole batches with several steps between them are.

        Not those that follow each other all the same, and so stray further from their level than from row to row.
        """
        if spacing < SPARSE_STEPS or self.scatter.strays > STRAYS:
            return 0.0
        return max(0.0, 1.0 - 2.0 * self.width)

    def matters(self, high: float, low: float) -> bool:
        """Whether a rise from `low` to `high` is more than 0.2 % of the loss at the start; any is on a linear scale."""
        return self.loss_scale.is_linear or nats(high) - nats(low) > LEAST_SHARE * min(
            nats(self.start), MOST_START_NATS
        )

    def freeze(self, name: str) -> None:
        """Stay as you are: this detector has an incident open."""
        self.frozen_by = name

    def unfreeze(self, name: str) -> None:
        """Learn again, if it was this detector that held the level; its rows are no part of any median."""
        if self.frozen_by == name:
            self.frozen_by, self.last = "", []

    def reset_slow_mean(self) -> None:
        """Take the present level as the new slow mean."""
        self.slow_mean, self.slow_rows = self.running_mean, ANEW_ROWS

    def restart(self) -> None:
        """Forget where the series stands; keep how much it scatters."""
        self.rows = self.slow_rows = self.frozen_rows = self.broken_rows = 0
        self.low, self.last = False, []
        self.scatter.restart()
        self.clear_scores()

    def clear_scores(self) -> None:
        """Let no rule see anything in the row at hand."""
        self.excess = self.sigmas = self.rise = 0.0
        self.middle = UNKNOWN

    def _begin(self, value: float) -> None:
        if self.start == UNKNOWN:
            self.start = value
        self.rows = self.slow_rows = 1
        self.running_mean = self.slow_mean = value
        self.last = [value]
        self.scatter.past = [value]

    def _fall(self, value: float, move: float, bound: float) -> None:
        """Move the fast mean down to a row that is lower by more than a scale."""
        if self.low:
            # Half way down to the higher of the two, so that one absurd row counts for nothing.
            self.running_mean += max(0.5 * (max(self.low_value, value) - self.running_mean), -bound)
        else:
            self.running_mean += max(move, -bound) / FAST_ROWS
        self.low, self.low_value = True, value

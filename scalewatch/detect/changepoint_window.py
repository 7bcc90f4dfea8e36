"""The last blocks of the loss, and whether it has moved at once and stayed.

    before: 8 blocks    gap: 1 block, in which it may happen    after: 4 blocks
    shift   D = mean(after) - mean(before), less what the slope of `before` carries on, where that goes the same way
    scale   s: median |m - 2 m' + m''| / .6745, each over the sd that it has for rows of unit sd

A line carried on predicts too low where a curve flattens. So a rise is measured against the mean before, which only
makes it less sensitive on a falling curve, and a fall against the line.
"""

from __future__ import annotations

from typing import NamedTuple, final

from scalewatch.detect.block import Block
from scalewatch.detect.loss_scale import LossScale
from scalewatch.detect.robust_scale import Window
from scalewatch.detect.state import Stateful

__all__ = ["ChangepointWindow"]

#: Blocks before and after the one in which a shift may happen [blocks]. By hand.
BEFORE, AFTER = 8, 4
#: Bends of block means that the scale is read off, and the least of them [count]. By hand.
BENDS, LEAST_BENDS = 64, 8
#: Median of |normal deviate|. By definition.
NORMAL_MEDIAN = 0.6745
#: Least scale of one row [log units]: as in robust_scale.py.
LEAST_SCALE = 5e-4
#: Part of the shift that each block after must show for it to have stayed. By hand.
STAYS = 0.5
#: Blocks within which it has then happened [blocks]: half of it in the gap and a part of the next, so all of it in 3.
#: By hand.
WITHIN = 3
#: Share of a block that an open incident may cover [share]: the middle half leaves these rows out. By hand.
MOST_HELD = 0.25
#: Change of the learning rate that explains a shift [ratio], as in schedule.py.
RATE_CHANGE = 1.1
#: From its centre, the distance of `after` to that of `before`, and the sum of squares of 8 places [blocks].
#: By definition.
DISTANCE = (AFTER + BEFORE) / 2 + 1
SQUARES = BEFORE * (BEFORE * BEFORE - 1) / 12


class Shift(NamedTuple):
    """How far the level has moved within the window.

    Attributes:
        nats: of the log loss; 0 where there is none to speak of. sigmas: the same in its own scale.
        elasticity: |shift| over the log of how much longer the run has become.
        rate_changed: whether the learning rate differs between before and after.
    """

    nats: float = 0.0
    sigmas: float = 0.0
    elasticity: float = 0.0
    rate_changed: bool = False


#: Of a window in which nothing has moved.
NO_SHIFT = Shift()


@final
class ChangepointWindow(Stateful):
    """The last 13 calm blocks of one size, and what their means scatter by.

    A block with an incident in it, or of another size, begins a new window; so does the rule that has spoken of a
    shift. Memory: 13 blocks and 64 bends.

    Attributes:
        moved, moved_step: whether a shift was told or an incident stood for 8 blocks or more, and where it was last:
            what lies before is no yardstick for what comes.
        ready: whether there are enough blocks to speak. shift: as it was at the last `update`.
    """

    STATE = ("values", "rows", "first_steps", "rates", "bends", "expected_blocks", "held", "moved", "moved_step")

    def __init__(self, loss_scale: LossScale | None = None) -> None:
        self.loss_scale = LossScale() if loss_scale is None else loss_scale
        self.values: list[float] = []
        self.rows: list[int] = []
        self.first_steps: list[int] = []
        self.rates: list[float] = []
        self.bends = Window(BENDS)
        self.expected_blocks = 0
        self.held = 0
        self.moved = False
        self.moved_step = 0
        self.shift = NO_SHIFT
        self.ready = False

    def update(self, block: Block) -> None:
        """Take one block in."""
        self.shift = NO_SHIFT
        self.ready = False
        self.expected_blocks = BEFORE + AFTER + 1 if block.rise_expected else max(self.expected_blocks - 1, 0)
        self.held = self.held + 1 if block.held > MOST_HELD else 0
        if self.held >= BEFORE:
            self.move(block.step)
        if block.loss != block.loss or self.held or (self.rows and self.rows[-1] != block.losses):
            self.restart()
        if block.loss != block.loss or self.held:
            return
        values = self.values
        values.append(block.loss)
        self.rows.append(block.losses)
        self.first_steps.append(block.first_step)
        self.rates.append(block.rate if block.rate == block.rate else -1.0)
        if len(values) >= 3:
            sd = (6.0 / block.losses) ** 0.5
            self.bends.push(abs(values[-3] - 2.0 * values[-2] + values[-1]) / sd, BENDS)
        if len(values) > BEFORE + AFTER + 1:
            for part in (values, self.rows, self.first_steps, self.rates):
                del part[0]
        if len(values) <= BEFORE + AFTER or len(self.bends.ranked) < LEAST_BENDS:
            return
        self.shift = self._measured(block)
        self.ready = True

    def move(self, step: int) -> None:
        """Begin anew, for the level has moved up to this step."""
        self.moved, self.moved_step = True, step
        self.restart()

    def restart(self) -> None:
        """Begin anew with the next block."""
        self.values, self.rows, self.first_steps, self.rates = [], [], [], []
        self.ready = False

    @property
    def level(self) -> float:
        """Mean log loss before the gap."""
        return sum(self.values[:BEFORE]) / BEFORE

    @property
    def now(self) -> float:
        """Mean log loss after the gap."""
        return sum(self.values[-AFTER:]) / AFTER

    @property
    def start_step(self) -> int:
        """First step of the gap."""
        return self.first_steps[BEFORE]

    def _measured(self, block: Block) -> Shift:
        before, after, level = self.values[:BEFORE], self.values[-AFTER:], self.level
        centre = (BEFORE - 1) / 2
        slope = sum((place - centre) * value for place, value in enumerate(before)) / SQUARES
        moved = self.now - level
        one = max(self.bends.quantile(0.5) / NORMAL_MEDIAN, LEAST_SCALE) / block.losses**0.5
        variance = 1.0 / AFTER + 1.0 / BEFORE
        if moved > 0.0:
            shift = max(moved - max(slope, 0.0) * DISTANCE, 0.0)
            stays = min(after) - level > STAYS * moved
        else:
            shift = min(moved - min(slope, 0.0) * DISTANCE, 0.0)
            variance += DISTANCE * DISTANCE / SQUARES
            stays = level - max(after) > STAYS * -moved
        if not stays:
            return NO_SHIFT
        places = self.first_steps
        grown = (places[BEFORE + WITHIN] - places[BEFORE]) / max(places[BEFORE] - block.begun_step, 1)
        elasticity = abs(shift) / grown if grown > 0.0 else 0.0
        low, high = min(self.rates), max(self.rates)
        rate_changed = self.expected_blocks > 0 or (low >= 0.0 and high > RATE_CHANGE * low)
        return Shift(shift, abs(shift) / (one * variance**0.5), elasticity, rate_changed)

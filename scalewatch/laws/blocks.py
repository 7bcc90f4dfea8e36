"""A loss curve as the means of geometrically growing blocks of steps.

Every block spans a twentieth of the steps before it, so a curve of any length is at most a few hundred
numbers, each a mean of more rows the later it is. A law is compared with these: batch noise is averaged
out, and a misfit of the law, which is shared by neighbouring rows, is counted once a block and not a
thousand times.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import final

import numpy as np

from scalewatch.arrays import Floats

__all__ = ["LossBlocks"]

#: Growth of the block edges; 270 blocks hold 1e7 steps. By hand.
EDGE_RATIO = 1.05
#: Rows beyond this many noise scales from the running level are moved to it, so that a bad batch is one row. By hand.
CLIP_SIGMAS = 4.0
#: Weight of a new row in the running level and noise scale: a memory of some 30 rows. By hand.
LEVEL_WEIGHT = 1.0 / 32.0
#: The same where two rows on end lie beyond the clip on one side: only single rows are moved to the level. By hand.
CATCH_UP_WEIGHT = 0.25
#: Rows before the noise scale is used. By hand.
ROWS_TO_LEARN = 16
#: Mean of |x - y| over the sd of x, for two equal Gaussians: 2 / sqrt(pi), by definition.
_ABS_DIFFERENCE_OVER_SD = 1.1284
#: No step, loss or sum of them is beyond this. By hand.
MOST_NUMBER = 1e60
#: Hard bound on memory, far beyond what EDGE_RATIO needs for any number of steps that fits an int64. By hand.
MAX_BLOCKS = 1_024
#: Hard bound on the segments that are kept apart. By hand.
MAX_SEGMENTS = 64


@final
class _Level:
    """The running level and noise of the log loss: what moves a row that lies too far off."""

    def __init__(self) -> None:
        self.log_noise = 0.0  # sd of one row's log loss about the curve
        self.level = math.nan
        self.last = math.nan
        self.seen = 0

    def tame(self, loss: float) -> float:
        """Take in a loss [nats/token]; return it, or what is left of it."""
        log_loss, level, last, noise = math.log(loss), self.level, self.last, self.log_noise
        self.seen = seen = self.seen + 1
        self.last = log_loss
        if level != level:
            self.level = log_loss
            return loss
        difference, excess, bound = abs(log_loss - last), log_loss - level, math.inf
        if seen > ROWS_TO_LEARN and noise > 0:
            bound = CLIP_SIGMAS * noise
            if difference > 2.0 * bound:
                difference = 2.0 * bound
        weight = 1.0 / seen
        if weight < LEVEL_WEIGHT:
            weight = LEVEL_WEIGHT
        self.log_noise = noise + weight * (difference / _ABS_DIFFERENCE_OVER_SD - noise)
        if -bound <= excess <= bound:
            self.level = level + weight * excess
            return loss
        kept = -bound if excess < 0 else bound
        if excess < 0 or last - level > bound:
            # a level that cannot keep up with a fast fall follows it; a rise has to last for two rows
            self.level = level + max(weight, CATCH_UP_WEIGHT) * min(max(excess, -1.0), 1.0)
        else:
            self.level = level + weight * kept
        return math.exp(self.level + kept)

    def tame_many(self, losses: Sequence[float]) -> list[float]:
        """Take in many losses, as `tame` takes each."""
        if self.seen < 1.0 / LEVEL_WEIGHT or not math.isfinite(self.level):
            return [self.tame(loss) for loss in losses]
        log_noise, level, last = self.log_noise, self.level, self.last
        tamed = []
        for loss in losses:
            log_loss = math.log(loss)
            difference, before, excess = abs(log_loss - last), last - level, log_loss - level
            last = log_loss
            bound = CLIP_SIGMAS * log_noise if log_noise > 0 else math.inf
            if difference > 2.0 * bound:
                difference = 2.0 * bound
            log_noise += LEVEL_WEIGHT * (difference / _ABS_DIFFERENCE_OVER_SD - log_noise)
            if -bound <= excess <= bound:
                level += LEVEL_WEIGHT * excess
                tamed.append(loss)
                continue
            kept = -bound if excess < 0 else bound
            if excess < 0 or before > bound:
                level += CATCH_UP_WEIGHT * min(max(excess, -1.0), 1.0)
            else:
                level += LEVEL_WEIGHT * kept
            tamed.append(math.exp(level + kept))
        self.log_noise, self.level, self.last = log_noise, level, last
        self.seen += len(losses)
        return tamed


@final
class _OpenBlock:
    """The block that rows go into: where it ends, and its sums."""

    def __init__(self) -> None:
        self.edge = self.count = self.newest = 0
        self.sum_steps = self.sum_losses = 0.0


@final
class LossBlocks:
    """Collects rows of a log into blocks, constant time a row.

    >>> blocks = LossBlocks()
    >>> closed = [blocks.add(step, 4.0 * step**-0.1) for step in range(1, 101)]
    >>> len(blocks), sum(closed)
    (45, 45)
    """

    def __init__(self) -> None:
        self.end_steps: list[int] = []
        self.mean_steps: list[float] = []
        self.losses: list[float] = []
        self.rows: list[int] = []
        self.begins: list[int] = []
        self._level = _Level()
        self._open = _OpenBlock()

    def __len__(self) -> int:
        return len(self.losses)

    @property
    def log_noise(self) -> float:
        """Standard deviation of one row's log loss about the curve."""
        return self._level.log_noise

    @property
    def last_step(self) -> int:
        """Step of the newest row, 0 before the first."""
        return self._open.newest or (self.end_steps[-1] if self.end_steps else 0)

    @property
    def rows_seen(self) -> int:
        """Rows taken so far, count."""
        return self._level.seen

    def add(self, step: int, loss: float) -> bool:
        """Add a row with positive finite `loss` [nats/token] in rising `step`; return whether a block closed."""
        value, block = self._level.tame(loss), self._open
        if block.count and step < block.edge:
            block.count += 1
            block.sum_steps += step
            block.sum_losses += value
            block.newest = step
            return False
        return self._put(step, value)

    def _put(self, step: int, value: float) -> bool:
        block, closed = self._open, False
        if block.count and step > block.edge:
            closed = self._close()
        if not block.count:
            block.edge = max(step, int((step - 1) * EDGE_RATIO) + 1)
        block.count += 1
        block.sum_steps += step
        block.sum_losses += value
        block.newest = step
        if step >= block.edge:
            closed = self._close() or closed
        return closed

    def begin(self, step: int) -> None:
        """Let another segment begin with `step`: no block holds rows of both; a step of the past says nothing."""
        if step <= max(self.last_step, 0) or len(self.begins) >= MAX_SEGMENTS:
            return
        if self._open.count:
            self._close()
        self._level.level = self._level.last = math.nan
        self.begins.append(step)

    @property
    def newest(self) -> LossBlocks:
        """Those of the newest segment; itself where the curve is one."""
        if not self.begins:
            return self
        twin = self.copy()
        for column in (twin.end_steps, twin.mean_steps, twin.losses, twin.rows):
            del column[: self._before]
        return twin

    @property
    def before(self) -> LossBlocks:
        """Those of the segments before the newest; none where the curve is one."""
        return self._until(self._before)

    @property
    def at_first(self) -> LossBlocks:
        """Those of the first segment."""
        return self._until(sum(1 for end in self.end_steps if end < self.begins[0])) if self.begins else self

    def _until(self, block: int) -> LossBlocks:
        twin = self.copy()
        twin._open = _OpenBlock()
        for column in (twin.end_steps, twin.mean_steps, twin.losses, twin.rows):
            del column[block:]
        return twin

    @property
    def _before(self) -> int:
        return sum(1 for end in self.end_steps if end < self.begins[-1]) if self.begins else 0

    def room_until(self) -> float:
        """Return the step with which the open block closes; 0 where the next row begins one."""
        return self._open.edge if self._open.count else 0

    def add_many(self, steps: Sequence[int], losses: Sequence[float]) -> None:
        """Add many rows, as `add` adds each."""
        tamed = self._level.tame_many(losses)
        block = self._open
        if not block.count or steps[-1] >= block.edge:
            for step, value in zip(steps, tamed, strict=True):
                self._put(step, value)
            return
        sum_steps, sum_losses = block.sum_steps, block.sum_losses
        for step, value in zip(steps, tamed, strict=True):
            sum_steps += step
            sum_losses += value
        block.sum_steps, block.sum_losses = sum_steps, sum_losses
        block.count += len(steps)
        block.newest = steps[-1]

    def _close(self) -> bool:
        block, there = self._open, len(self.losses) < MAX_BLOCKS
        if there:
            self.end_steps.append(block.newest)
            self.mean_steps.append(block.sum_steps / block.count)
            self.losses.append(block.sum_losses / block.count)
            self.rows.append(block.count)
        block.count, block.sum_steps, block.sum_losses = 0, 0.0, 0.0
        return there

    def copy(self) -> LossBlocks:
        """Return another with the same rows."""
        twin = copy.copy(self)
        twin._level, twin._open = copy.copy(self._level), copy.copy(self._open)
        twin.end_steps, twin.mean_steps = list(self.end_steps), list(self.mean_steps)
        twin.losses, twin.rows, twin.begins = list(self.losses), list(self.rows), list(self.begins)
        return twin

    def rewind(self, step: int) -> None:
        """Forget every row at or after `step`: the run has gone back to before it."""
        keep = sum(1 for end in self.end_steps if end < step)
        for column in (self.end_steps, self.mean_steps, self.losses, self.rows):
            del column[keep:]
        self.begins = [begun for begun in self.begins if begun < step]
        self._level.level = self._level.last = math.nan
        self._open = _OpenBlock()

    def arrays(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Return (end step, mean step, mean loss, rows), each of shape (blocks,), open block included."""
        ends, means = list(self.end_steps), list(self.mean_steps)
        losses, rows = list(self.losses), list(self.rows)
        block = self._open
        if block.count:
            ends.append(block.newest)
            means.append(block.sum_steps / block.count)
            losses.append(block.sum_losses / block.count)
            rows.append(block.count)
        columns = (ends, means, losses, rows)
        return tuple(np.array(column, dtype=np.float64) for column in columns)  # type: ignore[return-value]

    def state_dict(self) -> dict[str, object]:
        """Return everything as plain numbers and lists."""
        level, block = self._level, self._open
        return {
            "end_steps": list(self.end_steps),
            "mean_steps": list(self.mean_steps),
            "losses": list(self.losses),
            "rows": list(self.rows),
            "begins": list(self.begins),
            # JSON has no NaN: before its first row there is no level
            "level": [level.log_noise, *([level.level, level.last] if level.seen else [0.0, 0.0]), level.seen],
            "open": [block.edge, block.count, block.sum_steps, block.sum_losses, block.newest],
        }

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            ValueError: if it is no state of blocks.
        """
        ends = [int(v) for v in _list(state["end_steps"])]
        means, losses = _numbers(state["mean_steps"]), _numbers(state["losses"])
        rows = [int(v) for v in _list(state["rows"])]
        begins = [int(v) for v in _list(state["begins"])][:MAX_SEGMENTS]
        if not len(ends) == len(means) == len(losses) == len(rows) <= MAX_BLOCKS or min(losses, default=1.0) <= 0.0:
            raise ValueError("blocks must be as many steps as losses, each above 0")
        noise, level, last, seen = _list(state["level"])
        edge, count, newest = (int(_list(state["open"])[n]) for n in (0, 1, 4))
        sums = _numbers(_list(state["open"])[2:4])
        (log_noise,) = _numbers([noise])
        self.end_steps, self.mean_steps, self.losses, self.rows = ends, means, losses, rows
        self.begins = begins
        self._level.log_noise = log_noise
        self._level.seen = int(seen)
        self._level.level, self._level.last = (float(level), float(last)) if seen else (math.nan, math.nan)
        self._open.edge, self._open.count, self._open.newest = edge, count, newest
        self._open.sum_steps, self._open.sum_losses = sums


def _numbers(value: object) -> list[float]:
    numbers = [float(v) for v in _list(value)]
    if not all(0.0 <= number < MOST_NUMBER for number in numbers):
        raise ValueError("blocks are finite and not negative")
    return numbers


def _list(value: object) -> list[float]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list (got {type(value).__name__})")
    return value

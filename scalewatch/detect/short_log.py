"""Two rules for the first rows of a log, in which no slow mean has settled."""

from __future__ import annotations

import math
from typing import final

from scalewatch.detect.baseline import UNKNOWN, RobustBaseline
from scalewatch.detect.excursions import Excursions
from scalewatch.detect.state import Stateful

__all__ = ["FirstRows", "LowestMedian"]

#: The first row by itself: so many rows after it [rows], all of them so far above it [log units: 65 %], the middle one
#: by so many quartile ranges of them, in logarithms and in the loss; while they scatter by at least so much [log
#: units], for a calm loss above one odd first row has not exploded. By hand.
START_ROWS, START_RISE, START_RANGES, START_LINEAR_RANGES, START_SCALE = 11, 0.5, 3.0, 1.5, 0.15
#: The same after so few rows [rows], if all of them are five times the first and that is so many times their own range
#: [log units, ranges]. By hand.
AT_ONCE_ROWS, AT_ONCE_RISE, AT_ONCE_RANGES = 6, 1.6, 3.0
#: Orders of the first rows of which one has all of the high ones last: chance is one in so many [count]. By hand.
LEAST_ORDERS = 150
#: Median of five above the lowest by so many scales and so much [scales, log units]; and so many scales more where the
#: scatter is wide. A median of five scatters by .54 scales, so 3 scales are 4 sd of a difference of two; 1.5 % because
#: the lowest is low by chance. By hand.
SIGMAS, WIDE_SIGMAS, RISE = 3.0, 3.0, 0.015
#: Descent from the first row to the lowest median, as a multiple of the rise: a run that has learnt and loses it. By
#: hand.
DESCENT = 3.0
#: Least part of the present scale that counts there: noise that grows with the loss excuses no rise. By hand.
SHARE = 0.5
#: Beyond the highest rise that it has come back from by the first, and by one more in a past of so many rows; where
#: there was none, that was so much [ratio, rows, scales]. By hand.
MARGIN, SHORT_ROWS, LEAST_PAST = 1.4, 16.0, 1.0
#: Rows for which a rise is not yet past [rows]. By hand.
LAG = 16


@final
class FirstRows(Stateful):
    """Whether a run exploded within its first dozen rows, where all that it has is the few rows before.

    Memory: twelve numbers, until it has answered.

    Attributes:
        level: highest value before the explosion that was found last. rows: rows since, count. step: its first step.

    >>> rule, baseline = FirstRows(), RobustBaseline()
    >>> losses = [1.9, 1.6, 1.41, 3.3, 6.4, 5.5, 4.85, 4.87, 4.6, 4.5, 4.45]
    >>> for row, loss in enumerate(losses, start=1):
    ...     if rule.look(math.log(loss), 25 * row, baseline, rows_apart=True):
    ...         print(row, rule.rows, rule.step)
    11 8 100
    """

    STATE = ("begun", "steps", "level", "rows", "step")

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.steps: list[int] = []
        self.level = 0.0
        self.rows = 0
        self.step = 0

    def look(self, value: float, step: int, baseline: RobustBaseline, *, rows_apart: bool) -> bool:
        """Take one row in; whether the rows up to it are an explosion."""
        begun = self.begun
        if len(begun) > START_ROWS:
            return False
        begun.append(value)
        self.steps.append(step)
        if len(begun) > START_ROWS and self._first_alone(baseline):
            return self._found(1)
        return rows_apart and (self._at_once() or self._split())

    def _at_once(self) -> bool:
        """Whether all rows after the first are so far above it that their own range is nothing to that."""
        first, rest = self.begun[0], self.begun[1:]
        if len(rest) < AT_ONCE_ROWS or min(rest) < first + AT_ONCE_RISE:
            return False
        clear = min(rest) - first > AT_ONCE_RANGES * (max(rest) - min(rest))
        return clear and self._found(1)

    def _split(self) -> bool:
        """Whether all of the rows since one of them are far above all before, so many that it is no chance."""
        begun, count = self.begun, len(self.begun)
        for before in range(2, count - 1):
            low, high = min(begun[:before]), max(begun[:before])
            clear = min(begun[before:]) - high > max(START_RISE, high - low)
            if clear and math.comb(count, before) >= LEAST_ORDERS:
                return self._found(before)
        return False

    def _first_alone(self, baseline: RobustBaseline) -> bool:
        first, rest = self.begun[0], sorted(self.begun[1:])
        low, middle, high = (rest[len(rest) * quarter // 4] for quarter in (1, 2, 3))
        calm = baseline.scale < START_SCALE
        if calm or rest[0] < first + START_RISE or middle - first < START_RANGES * (high - low):
            return False
        loss_at = baseline.loss_scale.loss_at
        return loss_at(middle) - loss_at(first) > START_LINEAR_RANGES * (loss_at(high) - loss_at(low))

    def _found(self, before: int) -> bool:
        self.level, self.rows, self.step = max(self.begun[:before]), len(self.begun) - before, self.steps[before]
        return True


@final
class LowestMedian(Stateful):
    """Whether the median of the last five rows stands far above the lowest such, and further than it ever did.

    Neither lags behind a falling loss, as a mean does. Memory: twenty numbers.
    """

    STATE = ("value", "scale", "step", "recent", "past")

    def __init__(self) -> None:
        self.value = UNKNOWN
        self.scale = 0.0
        self.step = 0
        self.recent: list[float] = []
        self.past = Excursions()

    def look(self, baseline: RobustBaseline, step: int) -> bool:
        """Take one row in; whether it has risen."""
        middle = baseline.middle
        if middle < self.value:
            self.value, self.scale, self.step = middle, baseline.scale, step
        rise = middle - self.value
        self.recent.append(rise / baseline.scale)
        if len(self.recent) > LAG:
            self.past.see(self.recent.pop(0), ended=True)
        if rise <= RISE or baseline.start - self.value < DESCENT * rise:
            return False
        scale = min(baseline.scale, max(self.scale, SHARE * baseline.scale)) * baseline.memory
        return (
            rise > (SIGMAS + WIDE_SIGMAS * baseline.width) * scale + RISE
            and rise / baseline.scale > (MARGIN + SHORT_ROWS / baseline.rows) * max(LEAST_PAST, self.past.highest)
            and baseline.matters(middle, self.value)
        )

    def restart(self) -> None:
        """Forget the lowest."""
        self.value, self.recent = UNKNOWN, []

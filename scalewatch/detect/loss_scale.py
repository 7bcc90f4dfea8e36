"""The scale on which a loss is watched: its logarithm, or the loss itself in units of its own scatter.

    value = ln(loss)            while losses are positive
    value = loss / unit         of losses that go below zero; unit: 20 sd of one row

So a value that scatters by .05 is that of an ordinary noisy log on either scale, and rules that are told in log units
mean the same in both: 1 % of a loss, or a fifth of the scatter of one row. Likelihoods of densities, bounds on them,
policy losses and Dice go below zero, where a logarithm ends.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

from scalewatch.detect.robust_scale import NORMAL_BEND
from scalewatch.detect.state import Stateful

__all__ = ["LossScale", "nats"]

#: Scatter of one row on the linear scale when it is chosen [value units], of the 1 to 10 % of ordinary logs. By hand.
SCATTER = 0.05
#: Share of recent losses below zero that makes the scale linear, and the least rows that its unit is read off [share,
#: rows]: a few are odd rows, such as a filler before the first loss. By hand.
NEGATIVE, LEAST_ROWS = 0.25, 8
#: Rows that the unit is read off [rows]. By hand.
ROWS = 32
#: Positive rows running that make the scale logarithmic again, if their least is so many sd of a row [rows, sd]. By
#: hand.
POSITIVE_ROWS, CLEAR = 64, 8.0
#: Largest value on the linear scale [value units]: beyond it a loss is as far as it can be. By hand.
MOST = 1e6
#: Largest logarithm that is turned back into a number [log units]: a little under that of the largest float. By hand.
MOST_LOG = 700.0


@final
class LossScale(Stateful):
    """Turns losses into values on the scale that fits them, and back; the scale may change in mid-run.

    Memory: 32 numbers.

    Attributes:
        unit: loss of one unit of the linear scale; 0 while it is logarithmic.
        changed: whether the row taken last changed the scale, so that what was learnt before is void.

    >>> scale = LossScale()
    >>> round(scale.take(2.0), 3)
    0.693
    >>> values = [scale.take(-1.0 + 0.01 * (row % 3)) for row in range(20)]
    >>> scale.is_linear, round(scale.loss_at(values[-1]), 2)
    (True, -0.99)
    """

    STATE = ("unit", "recent", "positive_rows")

    def __init__(self) -> None:
        self.unit = 0.0
        self.recent: list[float] = []
        self.positive_rows = 0
        self.changed = False

    @property
    def is_linear(self) -> bool:
        """Whether values are losses in units of scatter, not logarithms."""
        return self.unit > 0.0

    def take(self, loss: float) -> float:
        """The value of the newest row; NaN where it has none: no number, or none that the scale holds."""
        self.changed = False
        if not -math.inf < loss < math.inf:
            return math.nan
        recent = self.recent
        recent.append(loss)
        if len(recent) > ROWS:
            del recent[0]
        if self.unit == 0.0:
            if loss > 0.0:
                return math.log(loss)
            negative = sum(each < 0.0 for each in recent)
            if len(recent) < LEAST_ROWS or negative < NEGATIVE * len(recent):
                return math.nan
            self._change(max(self._scatter() / SCATTER, 1e-300))
        elif loss > 0.0:
            self.positive_rows += 1
            if self.positive_rows >= POSITIVE_ROWS and min(recent) > CLEAR * self._scatter():
                self._change(0.0)
        else:
            self.positive_rows = 0
        return self.place(loss)

    def see_many(self, losses: Sequence[float]) -> None:
        """Take in many losses above zero, on the logarithmic scale, whose values were taken elsewhere."""
        self.changed = False
        self.recent = [*self.recent, *losses][-ROWS:]

    def place(self, loss: float) -> float:
        """The value of any loss on the present scale; NaN where it has none."""
        if self.unit == 0.0:
            return math.log(loss) if 0.0 < loss < math.inf else math.nan
        return max(-MOST, min(MOST, loss / self.unit))

    def loss_at(self, value: float) -> float:
        """The loss that has this value."""
        return nats(value) if self.unit == 0.0 else value * self.unit

    def share(self, before: float, now: float) -> str:
        """By how much one value is above another as people say it: " (+3.1 %)", or nothing on the linear scale.

        >>> LossScale().share(0.0, 0.03)
        ' (+3.0 %)'
        """
        if self.unit > 0.0:
            return ""
        share = 100.0 * (nats(now - before) - 1.0)
        return f" ({share:+.1f} %)" if abs(share) < 10.0 else f" ({share:+.0f} %)"

    def _change(self, unit: float) -> None:
        self.unit, self.changed = unit, True
        self.positive_rows = 0

    def _scatter(self) -> float:
        """Standard deviation of one of the recent rows, or what stands for it where they do not scatter."""
        rows = self.recent
        bends = sorted(abs(a - 2.0 * b + c) for a, b, c in zip(rows, rows[1:], rows[2:], strict=False))
        scatter = bends[len(bends) >> 1] / NORMAL_BEND or (max(rows) - min(rows)) / 4.0 or abs(rows[-1]) or 1.0
        return min(scatter, 1e300)


def nats(log_value: float) -> float:
    """The number that has this logarithm, at most 1e304.

    >>> nats(0.0)
    1.0
    """
    return math.exp(log_value if log_value < MOST_LOG else MOST_LOG)

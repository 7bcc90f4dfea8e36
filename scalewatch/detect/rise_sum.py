"""How much a loss has risen since it last did not: a one-sided CUSUM, and what its own past says of it.

    S = max(0, S + min(r / s, 3) - 0.4 - 1/sqrt(n))      r = loss - slow mean, s: slow scale, n: rows that it rests on

S grows by what the rise has more than four tenths of a scale, so that half a scale for a hundred rows counts as much as
three scales for twenty; one bad batch counts for less than three. It is nought again when the loss is back below its
slow mean: what it had been is then an excursion of this run (excursions.py), and the next is news only far beyond it.
"""

from __future__ import annotations

from typing import final

from scalewatch.detect.baseline import RobustBaseline
from scalewatch.detect.excursions import Excursions, RecentHigh
from scalewatch.detect.state import Stateful

__all__ = ["RiseSum"]

#: Allowance, limit, largest step [slow scales]. With the slow mean known to 1/16 and a slow scale that is 1.09 scales,
#: white noise reaches the limit once in 4e5 rows (Siegmund 1985: (exp(2kb) - 2kb - 1) / 2k^2, b = h + 1.166).
ALLOWANCE, LIMIT, CLIP = 0.4, 10.0, 3.0
#: Mean rise below which the rise is over [slow scales]. By hand.
OVER = -0.5
#: From here on [slow scales] a slow mean that rests on so many rows stays where it is. By hand.
FREEZE, FREEZE_ROWS = 4.0, 128
#: Memory of the slow mean [rows], as baseline.py has it.
SLOW_ROWS = 256
#: Least mean rise that is news [log units: 1 % of the loss]: laws and the order of data err by .5-2 %. By hand.
LEAST_RISE = 0.01
#: Mean rise since the onset that is full evidence [log units: 6 %; scales, of a wide scatter]: of one that is smaller S
#: must be further beyond the past, as the square; less so where the past is so many times as long. By hand.
FULL_RISE, FULL_SIGMAS, OLD_RUN = 0.06, 3.0, 12.0
#: Rows of the past, for each row of the rise, without which nothing is known of rises as long; fewer where each row is
#: one by itself [rows]. By hand.
AS_LONG, AS_LONG_ALONE = 3.0, 1.0
#: An excursion that was told and came back counts as no more than so many times what it was then [ratio]. By hand.
MOST_LEARNT = 3.0


@final
class RiseSum(Stateful):
    """The CUSUM of one loss over its slow mean, with the excursions that it has come back from.

    Memory: fifteen numbers.

    Attributes:
        total: S. rows, step: rows since its onset, and the last step before it.
        freezes: whether the slow mean must stay where it is.
    """

    STATE = ("total", "rows", "step", "freezes", "past", "recent", "told")

    def __init__(self, baseline: RobustBaseline) -> None:
        self._baseline = baseline
        self.total = 0.0
        self.rows = 0
        self.step = 0
        self.freezes = False
        self.past = Excursions()
        self.recent = RecentHigh()
        self.told = 0.0

    def add(self, step: int, spacing: float, mean_rise: float) -> bool:
        """Carry the sum on by one row; whether the rise is beyond what noise and the run's own past explain.

        Args:
            step: of the row. spacing: steps between rows. mean_rise: mean of r over the last rows.
        """
        baseline = self._baseline
        scale, rests_on = baseline.slow_scale, baseline.slow_rows
        z = baseline.rise / scale
        allowance = ALLOWANCE + (rests_on if rests_on < SLOW_ROWS else SLOW_ROWS) ** -0.5
        total = self.total + (z if z < CLIP else CLIP) - allowance
        if total <= 0.0 or mean_rise < OVER * scale:
            self.past.see(0.0, ended=True)
            self.recent.see(baseline.fast_mean)
            self.total, self.rows, self.step, self.freezes = 0.0, 0, step, False
            return False
        self.past.see(total, ended=False)
        self.total = total
        self.rows += 1
        self.freezes = total > FREEZE and rests_on > FREEZE_ROWS
        if total < LIMIT or mean_rise < LEAST_RISE or total < LIMIT * baseline.memory**2:
            return False
        return self._is_news((total / self.rows + allowance) * baseline.slow_scale, mean_rise, spacing)

    def tell(self) -> None:
        """The rise is told of now."""
        self.told, self.freezes = self.total, False

    def go_on(self) -> None:
        """Count one row of a rise that was told of."""
        baseline = self._baseline
        z = baseline.rise / baseline.slow_scale
        self.total += (z if z < CLIP else CLIP) - ALLOWANCE
        self.past.see(min(self.total, MOST_LEARNT * self.told), ended=False)

    def come_back(self) -> None:
        """The rise that was told of has come back by itself: it is an excursion of this run."""
        self.past.see(0.0, ended=True)

    def clear(self, step: int) -> None:
        """Begin anew after `step`; what goes on is no excursion."""
        self.past.drop()
        self.total, self.rows, self.step, self.freezes = 0.0, 0, step, False

    def _is_news(self, mean: float, mean_rise: float, spacing: float) -> bool:
        baseline = self._baseline
        if mean_rise < baseline.width * (self.recent.highest - baseline.slow_mean):
            return False  # of a wide scatter only a loss above all that it was lately has risen
        full = max(FULL_RISE, FULL_SIGMAS * baseline.width * baseline.scale)
        small = (full / mean) ** 2 - 1.0 if full > mean else 0.0
        new = min(1.0, OLD_RUN * self.rows / (self.past.rows + 1.0))
        alone = baseline.alone(spacing)
        as_long = AS_LONG + (AS_LONG_ALONE - AS_LONG) * alone
        beyond = self.past.beyond(self.total, factor=1.0 + small * new, lasted=as_long * self.rows, alone=alone)
        return beyond and baseline.matters(baseline.slow_mean + mean_rise, baseline.slow_mean)

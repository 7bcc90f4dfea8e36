"""Whether a rise of the learning rate was meant: then a rise of the loss is not news.

A restart of a schedule (rate up after a decay) lifts the loss for some hundred steps and is no incident. A rate
that leaves the plan, or jumps above anything this run has seen, is not a restart.
"""

from __future__ import annotations

import math
from typing import final

from scalewatch.detect.base import Sample
from scalewatch.detect.calm_rows import CalmRows
from scalewatch.detect.state import Stateful
from scalewatch.run import Run

__all__ = ["Schedule"]

#: Rise of the rate that counts as one [ratio], and steps for which a rise of the loss is then expected [steps]: by
#: hand, on the curves of Luo et al. 2025 (arXiv 2503.12811), where changes of the rate gave three false alarms without
#: it.
RISE = 1.1
EXPECT_STEPS = 512
#: So many times the steps for which the rate was low, at most: what was not annealed for long is soon undone. By hand.
EXPECT_LOW = 4
#: Rows for which it is expected at least [rows]: by hand, the memory of the fast mean.
EXPECT_ROWS = 8
#: Rate that still counts as planned, or as seen before [ratio to it]: by hand, half of a rise.
SLACK = 1.05
#: Above every learning rate. By hand.
MOST_RATE = 1e300
#: Largest jump that is told apart from a larger one [ratio]: more is no number. By hand.
MOST_JUMP = 1e9
#: Rows in which the rate did not rise that end the first warm-up [rows]: by hand.
FLAT_ROWS = 4


@final
class WarmUp(Stateful):
    """The rise of the rate that a run begins with: until it has not risen for four rows.

    Attributes:
        first_step, top_step: where the first rate was seen, and the highest one so far.
        over: whether it has ended.
        until_step: up to where the loss of weights that were annealed before may still rise.
    """

    STATE = ("seen", "first_step", "top_step", "flat_rows", "over", "until_step")

    def __init__(self) -> None:
        self.seen = False
        self.first_step = 0
        self.top_step = 0
        self.flat_rows = 0
        self.over = False
        self.until_step = 0

    def see(self, *, rises: bool) -> None:
        """Take in a row before its end."""
        self.flat_rows = 0 if rises else self.flat_rows + 1
        if self.flat_rows >= FLAT_ROWS:
            self.over = True
            self.until_step = self.top_step + min(EXPECT_STEPS, (self.top_step - self.first_step) // 2)

    @property
    def rises(self) -> bool:
        """Whether the rate rose from its first one to the highest so far."""
        return self.top_step > self.first_step


@final
class Jump(Stateful):
    """By how much the rate last jumped above all before it, after the warm-up, and where; 0 if it never did."""

    STATE = ("ratio", "step")

    def __init__(self) -> None:
        self.ratio = 0.0
        self.step = 0


@final
class Schedule(Stateful):
    """Says for how long a rising loss is expected after a meant rise of the learning rate.

    Rule: rate > 1.1 x its lowest since the last rise, after the first warm-up, and rate <= 1.05 x plan(step),
    or without a plan rate <= 1.05 x the highest rate so far. For four times the steps since the rate was last at its
    highest, 512 at most. A jump above everything seen before is nobody's
    restart and makes no rise expected. Memory: a dozen numbers; `restart` expects nothing.

    Attributes:
        rate: of the newest row; NaN where neither the log nor the plan has it. planned: that of the plan, or NaN.
        highest: highest rate so far. warm_up: how the run began. jump: the last one above all rates before it.

    >>> schedule = Schedule(Run("doc"))
    >>> rates = [1e-3] * 10 + [1e-4] * 10 + [1e-3] * 5
    >>> [step for step, rate in enumerate(rates, start=1) if schedule.expects_rise(step, rate)]
    [21, 22, 23, 24, 25]
    """

    STATE = (
        "lowest",
        "highest",
        "warm_up",
        "until_step",
        "rows_left",
        "jump",
        "high_step",
    )

    def __init__(self, run: Run) -> None:
        self._plan = run.learning_rates
        self._steps = 0 if self._plan is None else len(self._plan)
        self.lowest = 0.0
        self.highest = 0.0
        self.warm_up = WarmUp()
        self.until_step = -(2**63)
        self.rows_left = 0
        self.jump = Jump()
        self.high_step = 0
        self.rate = math.nan
        self.planned = math.nan
        self._seen_rate = math.nan

    def expects_rise(self, step: int, rate: float) -> bool:
        """Whether at this step a rise of the loss is expected; `rate` may be NaN where it is unknown."""
        planned = float(self._plan[step - 1]) if self._plan is not None and 1 <= step <= self._steps else math.nan
        if not rate >= 0.0:
            rate = planned
        self.rate, self.planned = math.nan, planned
        if rate >= 0.0 and rate < math.inf:
            self.rate = rate
            self._see(step, rate, planned)
        if self.rows_left > 0:
            self.rows_left -= 1
            return True
        return step < self.until_step

    def look(self, sample: Sample) -> None:
        """Say of a row whether a rise of the loss is expected with it, and whether the rate warms up."""
        step, rate = sample.step, sample.learning_rate
        if self._plan is None and rate == self._seen_rate and not self.rows_left:
            # a rate that stays moves nothing but where it was last at its highest
            if SLACK * rate >= self.highest:
                self.high_step = step
            sample.rise_expected = step < self.until_step
        else:
            sample.rise_expected = self.expects_rise(step, rate)
            self._seen_rate = self.rate if self.warm_up.over else math.nan
        warm_up = self.warm_up
        sample.warming = (not warm_up.over or step < warm_up.until_step) and self.is_warming(step)

    def calm_until(self, rows: CalmRows, first: int, end: int) -> int:
        """Return how far from `first` on no rate rises and no rise of the loss is expected; `first` if not there."""
        step, rates = rows.steps[first], self._rates(rows, first, end)
        if self.rows_left or step < self.until_step:
            return first
        if rates is None:
            return end
        if not self.warm_up.over or step < self.warm_up.until_step:
            return first
        lowest = self.lowest
        for place, rate in enumerate(rates, first):
            if not 0.0 <= rate <= self.highest or rate > RISE * lowest:
                return place
            if rate < lowest:
                lowest = rate
        return end

    def follow(self, rows: CalmRows, first: int, end: int) -> None:
        """Take in rows that are calm by `calm_until`, at least one."""
        steps, rates = rows.steps[first:end], self._rates(rows, first, end)
        self.rate = self._seen_rate = math.nan
        self.planned = math.nan if self._plan is None else rows.planned(self._plan)[end - 1]
        if rates is None:
            return
        self.rate = self._seen_rate = rates[-1]
        self.lowest = min(self.lowest, min(rates))
        high = next((at for at in range(len(rates) - 1, -1, -1) if SLACK * rates[at] >= self.highest), None)
        if high is not None:
            self.high_step = steps[high]

    def _rates(self, rows: CalmRows, first: int, end: int) -> list[float] | None:
        """The rates of some rows, those of the plan where they show none."""
        shown = None if rows.rates is None else rows.rates[first:end]
        if self._plan is None:
            return shown
        planned = rows.planned(self._plan)[first:end]
        return planned if shown is None else [a if a >= 0.0 else b for a, b in zip(shown, planned, strict=True)]

    def _see(self, step: int, rate: float, planned: float) -> None:
        warm_up = self.warm_up
        if not warm_up.seen:
            warm_up.seen, warm_up.first_step = True, step
        if not warm_up.over:
            warm_up.see(rises=rate > self.highest)
            self.lowest = rate
        elif rate < self.lowest:
            self.lowest = rate
        elif rate > RISE * self.lowest:
            meant = rate <= SLACK * planned if planned == planned else rate <= SLACK * self.highest
            self.lowest = rate
            if meant:
                low = step - self.high_step if rate <= SLACK * self.highest else EXPECT_STEPS
                steps = min(EXPECT_STEPS, EXPECT_LOW * low)
                self.until_step, self.rows_left = max(self.until_step, step + steps), EXPECT_ROWS
        if SLACK * rate >= self.highest:
            self.high_step = step
        if rate > self.highest:
            if warm_up.over and rate > RISE * self.highest > 0.0:
                self.jump.step, self.jump.ratio = step, min(rate / self.highest, MOST_JUMP)
            self.highest, warm_up.top_step = rate, step

    def expect(self, step: int) -> None:
        """Expect a rise from this step on, for 512 steps, or 8 rows where that is longer: a person says so."""
        self.until_step, self.rows_left = max(self.until_step, step + EXPECT_STEPS), EXPECT_ROWS

    def is_warming(self, step: int) -> bool:
        """Whether this is the first warm-up or half as long after it, at most 512 steps.

        The loss of weights that were annealed before, such as a checkpoint from the end of another run, rises in it.
        """
        if not self.warm_up.rises or not self.rate >= 0.0:
            return False
        return not self.warm_up.over or step < self.warm_up.until_step

    def restart(self) -> None:
        """The run went back: what was expected there is not expected here."""
        self.until_step, self.rows_left = -(2**63), 0
        self.lowest, self._seen_rate = MOST_RATE, math.nan

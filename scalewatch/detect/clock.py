"""Rises that keep time: restarts of a rate that nobody logs, epochs, tasks in turn. Faults keep no clock."""

from __future__ import annotations

from typing import final

from scalewatch.detect.state import Stateful

__all__ = ["Clock"]

#: Onsets that are remembered [count]. By hand.
MOST = 4
#: How far an onset may be off the time that two before it keep, in parts of it [share] and at least [rows]; and the
#: least time, which else chance keeps too often [rows]. By hand.
OFF, OFF_ROWS, LEAST_ROWS = 0.02, 2.0, 50.0
#: How much further than those before it a rise may go [ratio], and how much of each must have been undone before the
#: next [share]. By hand.
FURTHER, UNDONE = 1.25, 0.5
#: Memory of the mean rise [rows]. By hand.
MEAN_ROWS = 8


@final
class Clock(Stateful):
    """When the last rises began, from where, and how far they went.

    Three that began at equal times apart were by chance one time in twenty at most; of none of them it is known at the
    first two. Memory: twelve numbers.

    Attributes:
        steps, levels, rises: onset, level before it and highest mean rise of the last four. time: steps between those
            that the newest one goes on with; 0 if it keeps none.

    >>> clock = Clock()
    >>> for step in (400, 800, 1205):
    ...     clock.strike(step, level=0.1, rows_apart=1.0)
    ...     clock.see(0.5)
    ...     print(clock.time, end=" ")
    0 0 405
    """

    STATE = ("steps", "levels", "rises", "mean", "most", "time")

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.levels: list[float] = []
        self.rises: list[float] = []
        self.mean = 0.0
        self.most = 0.0
        self.time = 0

    def strike(self, step: int, level: float, rows_apart: float) -> None:
        """Take note that a rise begins at `step`, from `level`; `rows_apart`: steps between rows."""
        self.time, self.most = self._kept(step, level, rows_apart)
        self.steps = [*self.steps, step][-MOST:]
        self.levels = [*self.levels, level][-MOST:]
        self.rises = [*self.rises, 0.0][-MOST:]
        self.mean = 0.0

    def see(self, rise: float) -> None:
        """Take in one row of the rise that is going on, so far above the level before it."""
        self.mean += (rise - self.mean) / MEAN_ROWS
        self.rises[-1] = max(self.rises[-1], self.mean)

    @property
    def known(self) -> bool:
        """Whether the newest rise keeps time with two before it, and goes no further than they went."""
        return self.time > 0 and self.mean <= FURTHER * self.most

    def _kept(self, step: int, level: float, rows_apart: float) -> tuple[int, float]:
        """The time that two onsets and this one keep, and how far those two went; (0, 0) if there is none."""
        for newer in range(len(self.steps) - 1, 0, -1):
            time = step - self.steps[newer]
            off = max(OFF * time, OFF_ROWS * rows_apart)
            if time < LEAST_ROWS * rows_apart or level > self.levels[newer] + UNDONE * self.rises[newer]:
                continue
            for older in range(newer):
                if abs(self.steps[newer] - self.steps[older] - time) <= off:
                    return time, max(self.rises[newer], self.rises[older])
        return 0, 0.0

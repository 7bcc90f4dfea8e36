"""A level that wanders: rises that settled, and that the run has come back from, are its habit and no news."""

from __future__ import annotations

from typing import final

from scalewatch.detect.state import Stateful

__all__ = ["Wandering"]

#: Rises that settled and were undone before the next began, from which on one like them is no page [count]. By hand.
HABIT = 2
#: How much further than the largest of them a rise may reach, and how much higher [parts of it]. By hand.
FURTHER, HIGHER = 0.25, 0.25
#: Part of a rise that must be undone for the run to have come back from it [share]. By hand.
UNDONE = 0.5


@final
class Wandering(Stateful):
    """What a loss has risen by, settled at and come back from: daily cycles, data in order, drift of what is learnt.

    Rises that settle one above the other are one climb, which is undone as a whole. Memory: six numbers.

    Attributes:
        count: rises that settled and were undone. size, highest: the largest climb, and the highest level that one led
            to [log units].

    >>> habit = Wandering()
    >>> for level in (1.0, 1.02, 0.99):
    ...     habit.begin(level)
    ...     print(habit.knows(level, level + 0.05), end=" ")
    ...     habit.settle(level, level + 0.05)
    False False True
    """

    STATE = ("count", "size", "highest", "stages", "before", "after")

    def __init__(self) -> None:
        self.count = 0
        self.size = 0.0
        self.highest = 0.0
        self.stages = 0
        self.before = self.after = 0.0

    def begin(self, level: float) -> None:
        """Take note that a rise begins at `level`: whether the one before has been undone is known by it."""
        if self.stages and level <= self.before + UNDONE * (self.after - self.before):
            self.size = max(self.size, self.after - self.before)
            self.highest = self.after if self.count == 0 else max(self.highest, self.after)
            self.count += self.stages
            self.stages = 0

    def knows(self, level: float, risen: float) -> bool:
        """Return whether a rise from `level` to `risen` is like those that the run has come back from."""
        if self.count < HABIT:
            return False
        return risen - level <= (1.0 + FURTHER) * self.size and risen <= self.highest + HIGHER * self.size

    def settle(self, before: float, after: float) -> None:
        """Take note that a rise has settled, at `after`."""
        if not self.stages:
            self.before = before
        self.stages += 1
        self.after = after

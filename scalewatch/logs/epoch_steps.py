"""Epochs of a log: steps that start anew with each -> steps of the whole run; and how many steps one has."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import final

from scalewatch.given import MOST_GIVEN

__all__ = ["EpochLength", "EpochSteps"]

#: Epochs whose first step is remembered, for a run that goes back to one of them.
MOST_EPOCHS = 100_000
#: Part of an epoch from which on a fraction tells its length: the Trainer of transformers rounds them to two digits in
#: its older versions. By hand.
LEAST_FRACTION = 0.2


@final
class EpochSteps:
    """Adds up the steps of the epochs before.

    Steps start anew where the epoch rises and the step falls at once. How long an epoch is, the log says (`[50/5000]`),
    or it is taken for as long as its rows are: one that begins at 0 has as many steps behind its last row as between
    two of them.

    >>> steps = EpochSteps()
    >>> [steps.of(step, epoch) for step, epoch in ((50, 1), (100, 1), (50, 2), (100, 2), (50, 3))]
    [50, 100, 150, 200, 250]
    >>> steps = EpochSteps()
    >>> [steps.of(step, epoch) for step, epoch in ((0, 1), (50, 1), (0, 2), (50, 2), (0, 3))]
    [0, 50, 100, 150, 200]
    """

    def __init__(self) -> None:
        self._epoch: float | None = None
        self._last = self._offset = self._apart = 0
        self._begins: dict[int, int] = {}
        #: Whether a step was seen to start anew.
        self.restarts = False

    def of(self, step: int, epoch: float | None, length: int | None = None) -> int:
        """Return the step of the whole run.

        Args:
            step: as the row says it. epoch: that it is in, None if the row does not say. length: steps of an epoch,
                where the row says it.
        """
        if epoch is None or not math.isfinite(epoch):
            return step + self._offset
        if self._epoch is not None and epoch != self._epoch:
            if epoch > self._epoch and step <= self._last and (step < self._last or length == step):
                self.restarts = True
                self._offset += (
                    length * max(int(epoch - self._epoch), 1) if length else self._last + self._apart * (step == 0)
                )
            elif epoch < self._epoch:
                self._offset = self._begins.get(int(epoch), 0)
        if step > self._last and epoch == self._epoch:
            self._apart = step - self._last
        self._epoch, self._last = epoch, step
        if len(self._begins) < MOST_EPOCHS:
            self._begins[int(epoch)] = self._offset
        return step + self._offset

    def fits(self, step: int, epoch: float, count: int) -> bool:
        """Return whether rows that begin with this one, and whose steps rise, go on where the rows before them end."""
        falls = self._epoch is not None and (epoch < self._epoch or step <= self._last)
        return not falls and len(self._begins) + count <= MOST_EPOCHS

    def of_rising(self, steps: Sequence[int], epochs: Sequence[float], newest: int) -> list[int] | None:
        """Return the steps of the whole run of rows whose steps rise and whose epochs do not fall.

        None where the first of them does not come after step `newest` of the run, or may begin an epoch anew: they
        have to be asked for one by one.
        """
        if steps[0] + self._offset <= newest or not self.fits(steps[0], epochs[0], len(steps)):
            return None
        self._begins.update(dict.fromkeys(map(int, set(epochs)), self._offset))
        for place in range(len(steps) - 1, -1, -1):
            epoch, step = (epochs[place - 1], steps[place - 1]) if place else (self._epoch, self._last)
            if epoch == epochs[place]:
                self._apart = steps[place] - step
                break
        self._epoch, self._last = epochs[-1], steps[-1]
        return [step + self._offset for step in steps] if self._offset else list(steps)


@final
class EpochLength:
    """How many steps an epoch has, as far as the rows have told.

    Fractions say it at once, whole numbers where the next one begins: between two rows. It is told anew whenever twice
    as many epochs are seen.

    Attributes:
        steps: of an epoch, None while nobody knows.

    >>> length = EpochLength()
    >>> [length.see(step, step // 100) for step in (50, 90, 110)], length.steps
    ([False, False, True], 100.0)
    >>> [length.see(step, step / 100) for step in (15, 30)], length.steps
    ([False, False], 100.0)
    """

    def __init__(self) -> None:
        self.steps: float | None = None
        self._first: float | None = None
        self._before, self._epoch = 0, 0.0
        self._due = LEAST_FRACTION

    def see(self, step: int, epoch: float | None) -> bool:
        """Take the step of the whole run and the epoch of a row; return whether more is known of the length by it."""
        if epoch is None or not math.isfinite(epoch) or step < 1:
            return False
        if self._first is None:
            self._first = self._epoch = float(math.floor(epoch))
        before, self._before = self._before, step
        whole, begins, self._epoch = epoch == int(epoch), epoch > self._epoch, epoch
        passed = epoch - self._first if whole else epoch
        # what begins in mid-run does not say where its epochs began
        if passed < self._due or self._first > 1.0 or (whole and not begins):
            return False
        steps, self._due = (0.5 * (before + step) if whole else step) / passed, 2.0 * passed
        if not 1.0 <= steps <= MOST_GIVEN:  # a row of many epochs, or a clock for a counter
            return False
        self.steps = steps
        return True

    def see_many(self, steps: Sequence[int], epochs: Sequence[float]) -> bool:
        """Take many rows whose steps rise and whose epochs do not fall, as `see` takes each where that matters."""
        found, at = False, 0
        while at < len(steps) and (self._first is None or at == 0):
            found, at = self.see(steps[at], epochs[at]) or found, at + 1
        while at < len(steps):
            # the next that says more: of a later epoch, and far enough
            at = max(bisect_right(epochs, self._epoch, at), bisect_left(epochs, self._due, at))
            self._before, self._epoch = steps[at - 1], epochs[at - 1]
            if at < len(steps):
                found = self.see(steps[at], epochs[at]) or found
            at += 1
        return found

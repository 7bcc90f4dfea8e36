"""At which step a run ends that the clock ends: told from how fast its steps were so far, with an interval."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, final

from scalewatch.guard import Guard
from scalewatch_lightning.introspect import why_no_end

__all__ = ["EndByTime", "end_without_plan"]

#: Stretches of the time that speeds are taken over, how many there must be, and parts of it at which the end is told.
#: By hand.
STRETCHES, FEWEST, TOLD_AT = 50, 4, (0.1, 0.5)
#: Speed that stretches of one run differ in at least, one sd, relative: what comes may hold other pauses. By hand.
LEAST_SD = 0.01
#: Two-sided 80 % of a Gaussian, by definition, and how much wider it is where few stretches tell the scatter, by hand:
#: Student's t of three degrees is 1.28 times as wide.
GAUSSIAN_80, OF_FEW = 1.2816, 1.3


@final
class EndByTime:
    """Tells where a run will stand when its time is over.

    Args:
        seconds: of the whole run. elapsed: gives those so far. note: tells a sentence.
    """

    def __init__(self, seconds: float, elapsed: Callable[[], float], note: Callable[[str], None]) -> None:
        self._seconds, self._elapsed, self._note = seconds, elapsed, note
        self._marks: list[tuple[float, int]] = []
        self._to_tell = list(TOLD_AT)
        self._guard = Guard()

    def after_step(self, step: int) -> None:
        """Take note that a step was taken, and tell if it is time to."""
        if self._to_tell:
            self._guard.call("end by time", self._look, step)

    def _look(self, step: int) -> None:
        now = self._elapsed()
        if self._marks and now - self._marks[-1][0] < self._seconds / STRETCHES:
            return
        self._marks.append((now, step))
        if now < self._to_tell[0] * self._seconds or (end := self.end()) is None:
            return
        self._to_tell = [part for part in self._to_tell if now < part * self._seconds]
        about, low, high = (f"{steps:,}" for steps in end)
        self._note(
            f"by `max_time` and the speed so far it ends after about {about} steps (80 %: {low} to {high});"
            f" `Trainer(max_steps={end[0]})` would have its loss forecast"
        )

    def end(self) -> tuple[int, int, int] | None:
        """Return (middle, low, high) of the last step, 80 %; None before four stretches were timed.

        The first stretch is none of them: it began with what is done once.
        """
        marks = self._marks[1:]
        if len(marks) <= FEWEST:
            return None
        speeds = [(step - before) / (now - then) for (then, before), (now, step) in pairwise(marks)]
        (began, first), (now, step) = marks[0], marks[-1]
        speed, left = (step - first) / (now - began), max(self._seconds - now, 0.0)
        scatter = math.sqrt(sum((each - speed) ** 2 for each in speeds) / (len(speeds) - 1)) / max(speed, 1e-12)
        to_come = max(left * STRETCHES / self._seconds, 1.0)
        error = OF_FEW * GAUSSIAN_80 * max(scatter, LEAST_SD) * math.sqrt(1.0 / len(speeds) + 1.0 / to_come)
        least, most = speed * left * max(1.0 - error, 0.0), speed * left * (1.0 + error)
        return _rounded(step, speed * left), _rounded(step, least), _rounded(step, most)


def end_without_plan(trainer: Any, note: Callable[[str], None]) -> EndByTime | None:
    """Say that no end of a run is planned, and why; return what tells where the clock ends it, None if none does."""
    note(f"note: no forecast, for no end of the run is planned: {why_no_end(trainer)}.")
    timer = next((each for each in trainer.callbacks if type(each).__name__ == "Timer"), None)
    left = None if timer is None else timer.time_remaining()
    return None if timer is None or left is None else EndByTime(left + timer.time_elapsed(), timer.time_elapsed, note)


def _rounded(step: int, more: float) -> int:
    """A step, to three digits of what is still to come."""
    return step + round(float(f"{more:.3g}")) if more >= 1.0 else step

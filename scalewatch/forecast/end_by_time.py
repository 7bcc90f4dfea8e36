"""At which step a run ends that the clock ends: told from how fast its steps were so far."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple, final

__all__ = ["EndByTime", "TimedEnd"]

#: Stretches of the time that speeds are taken over, and how many there must be. By hand.
STRETCHES, FEWEST = 50, 4
#: Speed that stretches of one run differ in at least, one sd, relative: what comes may hold other pauses. By hand.
LEAST_SD = 0.01
#: How much wider it is where few stretches tell the scatter. By hand: Student's t of three degrees is 1.28 as wide.
OF_FEW = 1.3
#: Times beyond this are none [s]. By hand.
MOST_SECONDS = 1e12


@final
class TimedEnd(NamedTuple):
    """The last step of a run that the clock ends.

    Attributes:
        step: newest so far. more: how many are to come, and its sd.
    """

    step: int
    more: float
    sd: float

    @property
    def total(self) -> int:
        """The last step."""
        return self.step + max(round(self.more), 1)


@final
class EndByTime:
    """Tells at which step a run ends when its time is over.

    The first stretch of its time is left out: it began with what is done once. Gaps between two rows count, and a row
    whose time lies before that of the row before begins another process, whose time goes on. A run that is resumed was
    away, which is no time of it: there a gap counts as the longest so far at most.

    Args:
        seconds: of the whole run.

    Attributes:
        end: where the run ends, None before four stretches were timed.

    >>> clock = EndByTime(1_000.0)
    >>> for step in range(1, 2_001):
    ...     told = clock.see(step, 5e9 + step * 0.1)
    >>> clock.end.total
    10001
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.end: TimedEnd | None = None
        self._elapsed = self._longest = 0.0
        self._newest: float | None = None
        self._resumed = False
        self._marks: list[tuple[float, int]] = []

    def see(self, step: int, now: float) -> bool:
        """Take the time of a step [s, from any origin], NaN where unknown; return whether a stretch was completed."""
        if not abs(now) < MOST_SECONDS:
            return False
        if self._newest is not None and now > self._newest:
            gap = min(now - self._newest, self._longest) if self._resumed else now - self._newest
            self._elapsed, self._longest = self._elapsed + gap, max(self._longest, gap)
        self._newest, self._resumed = now, False
        # of a run that goes on when its time is over stretches are ever longer, so that they stay few
        if self._marks and self._elapsed - self._marks[-1][0] < max(self.seconds, self._elapsed) / STRETCHES:
            return False
        if self._marks and step <= self._marks[-1][1]:
            return False
        self._marks.append((self._elapsed, step))
        self.end = self._told() or self.end
        return True

    @property
    def why_over(self) -> str:
        """Why its end cannot be foretold any more, in words; "" while its time runs."""
        return f"its time of {self.seconds:,.0f} s is over, and it goes on" if self._elapsed > self.seconds else ""

    def rewind(self, step: int) -> None:
        """Forget the marks from `step` on; the time that they took is spent."""
        self._marks = [mark for mark in self._marks if mark[1] < step]

    def _told(self) -> TimedEnd | None:
        marks = self._marks[1:]
        if len(marks) <= FEWEST:
            return None
        speeds = [(step - before) / (now - then) for (then, before), (now, step) in pairwise(marks)]
        (began, first), (now, step) = marks[0], marks[-1]
        speed, left = (step - first) / (now - began), max(self.seconds - now, 0.0)
        scatter = math.sqrt(sum((each - speed) ** 2 for each in speeds) / (len(speeds) - 1)) / max(speed, 1e-12)
        to_come = max(left * STRETCHES / self.seconds, 1.0)
        error = OF_FEW * max(scatter, LEAST_SD) * math.sqrt(1.0 / len(speeds) + 1.0 / to_come)
        return TimedEnd(step, speed * left, speed * left * error)

    def state_dict(self) -> dict[str, list[float]]:
        """Return what a resumed run needs."""
        return {
            "elapsed": [self._elapsed, self._longest],
            "newest": [] if self._newest is None else [self._newest],
            "marks": [value for mark in self._marks for value in mark],
            "end": list(self.end or ()),
        }

    def load_state_dict(self, state: dict[str, list[float]]) -> None:
        """Take back what `state_dict` gave."""
        marks, newest, end = ([float(value) for value in state[name]] for name in ("marks", "newest", "end"))
        self._elapsed, self._longest = (float(value) for value in state["elapsed"])
        self._newest, self._resumed = newest[0] if newest else None, True
        self._marks = [(now, int(step)) for now, step in zip(marks[::2], marks[1::2], strict=True)]
        self.end = TimedEnd(int(end[0]), *end[1:]) if end else None

"""Steps that take longer than they did."""

from __future__ import annotations

from typing import final

from scalewatch.detect.block import AbstractBlockDetector, Block
from scalewatch.detect.incident_state import IncidentState
from scalewatch.finding import Finding, Kind, Severity
from scalewatch.text import rate, seconds

__all__ = ["Throughput"]

#: Blocks whose median is the level, and the least of them [blocks]. By hand.
LEVEL_BLOCKS, LEAST_BLOCKS = 32, 4
#: Time per step over its level, in each of so many blocks running, that is worth a note [ratio, blocks]: data loading
#: and neighbours on a shared network move it by a tenth or two. By hand.
SLOW, SLOW_BLOCKS = 1.5, 2
#: And the least time for which steps were slow [s]: of less, nobody would have noticed. By hand.
LEAST_SECONDS = 5.0
#: Over its level by so much, for so long, is worth waking someone: half of what is paid for is lost [ratio, seconds].
#: By hand.
PAGE_SLOW, PAGE_SECONDS = 2.0, 900.0
#: Below this it is over [ratio]. By hand.
OVER = 1.25
#: Blocks after which it is taken for the level [blocks]. By hand.
GIVE_UP_BLOCKS = 256


@final
class Throughput(AbstractBlockDetector):
    """Time per step has risen to a multiple of its level and stays there: a note, and a warning when large and lasting.

    Rule: median seconds per step of a block, over the median of the last 32 blocks, at least 4; above 1.5 in two blocks
    running or more, for 5 s: info; above 2 for 900 s: warning. Closes below 1.25, or after 256 blocks. A checkpoint, a
    validation or a break of the run is one row and moves no median. Memory: 32 numbers. `restart` closes it and keeps
    the level.

    >>> from scalewatch.detect.block import Blocks
    >>> from scalewatch.detect.base import Sample
    >>> from scalewatch.detect.schedule import Schedule
    >>> from scalewatch.run import Run
    >>> blocks, row, detector = Blocks(Schedule(Run("doc"))), Sample(), Throughput()
    >>> row.seconds = 0.0
    >>> for row.step in range(1, 1501):
    ...     row.row, row.seconds = row.step, row.seconds + (2.0 if row.step <= 1000 else 5.0)
    ...     block = blocks.take(row, hold=False)
    ...     finding = None if block is None else detector.observe(block)
    ...     if finding is not None:
    ...         print(finding.step, finding.severity, finding.message)
    1056 info a step takes 5 s instead of 2 s (0.2 steps/s, 2.5 times slower) since step 993
    1184 warning steps stay slow: 5 s instead of 2 s (0.2 steps/s, 2.5 times slower) for 16 minutes
    """

    name = "throughput"
    STATE = ("incident", "paces", "slow", "slow_step", "blocks", "level", "lasted")

    def __init__(self) -> None:
        super().__init__(IncidentState(Kind.THROUGHPUT))
        self.paces: list[float] = []
        self.slow = 0
        self.slow_step = 0
        self.blocks = 0
        self.level = 0.0
        self.lasted = 0.0

    def observe(self, block: Block) -> Finding | None:
        pace = block.pace
        if not pace > 0.0:
            return None
        if self.incident.is_open:
            return self._watch(block)
        if len(self.paces) < LEAST_BLOCKS:
            self.paces.append(pace)
            return None
        self.level = sorted(self.paces)[len(self.paces) >> 1]
        if pace < SLOW * self.level:
            self.slow, self.lasted = 0, 0.0
            self.paces = [*self.paces[1 - LEVEL_BLOCKS :], pace]
            return None
        if self.slow == 0:
            self.slow_step = block.first_step
        self.slow += 1
        self.lasted += block.lasted
        if self.slow < SLOW_BLOCKS or self.lasted < LEAST_SECONDS:
            return None
        self.blocks = 0
        message = f"a step takes {self._text(pace)} since step {self.slow_step}"
        return self.incident.open(Severity.INFO, block.step, self.slow_step, message, self._evidence(pace))

    def restart(self) -> None:
        self.incident.reset()
        self.slow, self.lasted = 0, 0.0

    def _watch(self, block: Block) -> Finding | None:
        pace, incident = block.pace, self.incident
        self.blocks += 1
        self.lasted += block.lasted
        if pace < OVER * self.level:
            message = f"a step takes {seconds(pace)} again ({rate(1.0 / pace)})"
        elif self.blocks >= GIVE_UP_BLOCKS:
            message = f"a step has settled at {seconds(pace)} ({rate(1.0 / pace)})"
            self.paces = []
        elif incident.severity == Severity.INFO and pace > PAGE_SLOW * self.level and self.lasted > PAGE_SECONDS:
            message = f"steps stay slow: {self._text(pace)} for {self.lasted / 60.0:.0f} minutes"
            return incident.escalate(Severity.WARNING, block.step, message, self._evidence(pace))
        else:
            return None
        found = incident.close(block.step, message, self._evidence(pace))
        self.slow, self.lasted = 0, 0.0
        return found

    def _text(self, pace: float) -> str:
        return (
            f"{seconds(pace)} instead of {seconds(self.level)} ({rate(1.0 / pace)}, "
            f"{pace / self.level:.1f} times slower)"
        )

    def _evidence(self, pace: float) -> dict[str, float]:
        return {
            "seconds_per_step": pace,
            "level_seconds_per_step": self.level,
            "steps_per_second": 1.0 / pace,
            "ratio": pace / self.level,
            "lasted_seconds": self.lasted,
        }

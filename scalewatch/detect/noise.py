"""Noise that grows: rows scatter about the level by twice what they did."""

from __future__ import annotations

import math
from typing import final

from scalewatch.detect.bins import Bins
from scalewatch.detect.block import AbstractBlockDetector, Block
from scalewatch.detect.incident_state import IncidentState
from scalewatch.detect.loss_scale import nats
from scalewatch.finding import Finding, Kind, Severity

__all__ = ["Noise"]

#: Rows of a bin at first [rows]: the log of its scatter is known to .1. By hand.
FIRST_ROWS = 128
#: Growth over the lower quartile of the last half of the run, in each of two bins running, that is worth a note; and
#: the one at which it is over [log units: 2, 1.5 times]. Of the last half, because the noise of every run doubles
#: somewhere in its first thousands of steps (data/: from 0.5 to 1.1 % of the loss). A quartile, because the least of
#: many bins is low by chance. By hand.
GROWN, OVER = math.log(2.0), math.log(1.5)
#: Least bins in the last half of the run [count]. By hand.
LEAST_BINS = 4
#: Least scatter [log units], as in robust_scale.py.
LEAST_SCATTER = 5e-4


@final
class Noise(AbstractBlockDetector):
    """Scatter of one row has doubled within the last half of the run; a note.

    Rule: log scatter of the loss, a median within each block, meaned over bins of 128 rows or more; above the lower
    quartile of the bins since half of this step by log 2 in two running. Closes below 1.5 times that, or when the run
    has doubled since. A bad batch moves no median; a planned rise of the learning rate begins the count anew. Memory:
    64 bins. `restart` closes it.

    >>> from random import Random
    >>> from scalewatch.detect.block import Blocks
    >>> from scalewatch.detect.base import Sample
    >>> from scalewatch.detect.schedule import Schedule
    >>> from scalewatch.run import Run
    >>> random, blocks, row, detector = Random(0), Blocks(Schedule(Run("doc"))), Sample(), Noise()
    >>> row.usable = True
    >>> for row.step in range(1, 2001):
    ...     row.row, row.value = row.step, 1.0 + random.gauss(0.0, 0.01 if row.step < 1500 else 0.03)
    ...     block = blocks.take(row, hold=False)
    ...     finding = None if block is None else detector.observe(block)
    ...     if finding is not None:
    ...         print(finding.step, finding.severity, finding.message)
    1728 info noise of one row of the loss has grown from 1.0 % to 2.8 % (2.8 times)
    """

    name = "noise"
    in_loss_units = True
    STATE = ("incident", "bins", "since", "since_step", "low", "usual", "now")

    def __init__(self) -> None:
        super().__init__(IncidentState(Kind.NOISE))
        self.bins = Bins(FIRST_ROWS)
        self.since = False
        self.since_step = 0
        self.low = 0.0
        self.usual = 0.0
        self.now = 0.0

    @property
    def grown(self) -> float:
        """How many times its median of the last half of the run the scatter is now; 1 while unknown."""
        return nats(self.now - self.usual)

    def observe(self, block: Block) -> Finding | None:
        if block.rise_expected:
            self.since, self.since_step = True, block.step
        if block.scatter != block.scatter:
            return None
        value = math.log(max(block.scatter, LEAST_SCATTER))
        if not self.bins.add(value, block.rows, block.first_step, block.step):
            return None
        after = max(0.5 * block.step, self.since_step) if self.since else 0.5 * block.step
        past = self.bins.means(after, block.step)
        if len(past) < LEAST_BINS:
            return None
        if self.incident.is_open:
            return self._watch(block, past[-1])
        ranked = sorted(past)
        self.low, self.usual, self.now = ranked[len(past) >> 2], ranked[len(past) >> 1], min(past[-2:])
        if self.now - self.low < GROWN:
            return None
        message = (
            f"noise of one row of the loss has grown from {100.0 * nats(self.low):.1f} % to "
            f"{100.0 * nats(self.now):.1f} % ({nats(self.now - self.low):.1f} times)"
        )
        return self.incident.open(Severity.INFO, block.step, block.first_step, message, self._evidence())

    def restart(self) -> None:
        self.incident.reset()
        self.since, self.low, self.usual, self.now = False, 0.0, 0.0, 0.0

    def _watch(self, block: Block, now: float) -> Finding | None:
        self.now = now
        if now - self.low < OVER:
            message = f"noise of one row of the loss is back at {100.0 * nats(now):.1f} %"
        elif block.step > 2 * self.incident.start_step:
            message = f"noise of one row of the loss has settled at {100.0 * nats(now):.1f} %"
        else:
            return None
        return self.incident.close(block.step, message, self._evidence())

    def _evidence(self) -> dict[str, float]:
        now, low = nats(self.now), nats(self.low)
        return {"scale_relative": now, "low_scale_relative": low, "ratio": now / low}

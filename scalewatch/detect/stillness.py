"""A loss that no longer scatters as a loss of data does: one constant, or a curve as smooth as that of one batch."""

from __future__ import annotations

from typing import final

from scalewatch.detect.base import amount
from scalewatch.detect.block import AbstractBlockDetector, Block
from scalewatch.detect.incident_state import IncidentState
from scalewatch.finding import Finding, Kind, Severity

__all__ = ["Stillness"]

#: Rows of one same number, to all its digits, that are worth waking someone; of zeros, which a hinge or a rounded loss
#: has where it is learnt, so many [rows]. By hand.
SAME_ROWS, ZERO_ROWS = 32, 256
#: Blocks that had a zero among other numbers from which zeros are what this loss comes to, and no collapse [blocks].
#: By hand.
ZERO_BLOCKS = 2
#: At least so many times the longest such stretch before: a log of two digits repeats itself [ratio]. By hand.
LONGER = 8
#: Blocks whose scatter is compared with, and the least of them [blocks]. By hand.
PAST_BLOCKS, LEAST_BLOCKS = 64, 8
#: Scatter in so many blocks running below the first part of the usual and the second of the lowest before: a constant
#: batch leaves a hundredth, the calmest block of a wide log a quarter [blocks, ratios]. By hand.
STILL_BLOCKS, BELOW_USUAL, BELOW_LOWEST = 2, 0.1, 0.3
#: Least usual scatter that can be missed [value units]: smoothed and held-out losses have none. By hand.
LEAST_USUAL = 0.02
#: Over when the scatter is above this part of the usual again [ratio]. By hand.
BACK = 0.3


@final
class Stillness(AbstractBlockDetector):
    """Loss is the same number row after row, or its scatter from row to row has gone; a warning.

    Rule: 32 equal rows (256 zeros; a note where single rows were zero before), 8 times as many as ever before. Or the
    scatter of a block (block.py) in two running below a tenth of the median and .3 of the lowest of the last 64. Where
    each batch holds the same data, or none, the curve of the loss is smooth. Closes when rows differ and scatter by .3
    of what was usual. Memory: 64 numbers. `restart` closes it.

    >>> from scalewatch.detect.base import Sample
    >>> from scalewatch.detect.block import Blocks
    >>> from scalewatch.detect.schedule import Schedule
    >>> from scalewatch.run import Run
    >>> blocks, row, detector = Blocks(Schedule(Run("doc"))), Sample(), Stillness()
    >>> row.usable, row.loss = True, 16.742
    >>> for row.step in range(1, 101):
    ...     row.row = row.step
    ...     block = blocks.take(row, hold=False)
    ...     finding = None if block is None else detector.observe(block)
    ...     if finding is not None:
    ...         print(finding.step, finding.severity, finding.message)
    32 warning loss has been 16.742 to all digits for 32 rows: a constant, not a loss that is trained
    """

    name = "stillness"
    in_loss_units = True
    STATE = ("incident", "longest", "past", "still", "usual", "start_step", "zeros")

    def __init__(self) -> None:
        super().__init__(IncidentState(Kind.STILLNESS))
        self.longest = 0
        self.past: list[float] = []
        self.still = 0
        self.usual = 0.0
        self.start_step = 0
        self.zeros = 0

    def observe(self, block: Block) -> Finding | None:
        if self.incident.is_open:
            return self._watch(block)
        rows, is_zero = block.same.rows, block.same.loss == 0.0
        if rows >= max(ZERO_ROWS if is_zero else SAME_ROWS, LONGER * self.longest):
            return self._same(block)
        self.zeros += is_zero and rows < block.rows and self.zeros < ZERO_BLOCKS
        self.longest = max(self.longest, block.same.longest)
        return self._compare(block)

    def restart(self) -> None:
        self.incident.reset()
        self.still, self.past = 0, []

    def _same(self, block: Block) -> Finding:
        loss, rows, since, _ = block.same
        evidence = {"loss_nats": loss, "rows": rows}
        if loss == 0.0 and self.zeros >= ZERO_BLOCKS:
            message = f"loss has been 0 for {rows} rows, as single rows were before: there is nothing left to learn"
            return self.incident.open(Severity.INFO, block.step, since, message, evidence)
        message = f"loss has been {amount(loss)} to all digits for {rows} rows: a constant, not a loss that is trained"
        return self.incident.open(Severity.WARNING, block.step, since, message, evidence)

    def _compare(self, block: Block) -> Finding | None:
        scatter = block.scatter
        if not scatter > 0.0:
            return None  # nought where few digits make neighbours equal
        past = self.past
        if len(past) >= LEAST_BLOCKS:
            ranked = sorted(past)
            self.usual = ranked[len(ranked) >> 1]
            if self.usual > LEAST_USUAL and scatter < min(BELOW_USUAL * self.usual, BELOW_LOWEST * ranked[0]):
                if self.still == 0:
                    self.start_step = block.first_step
                self.still += 1
                return self._open(block) if self.still >= STILL_BLOCKS else None
        self.still = 0
        past.append(scatter)
        if len(past) > PAST_BLOCKS:
            del past[0]
        return None

    def _open(self, block: Block) -> Finding:
        message = (
            f"loss scatters from row to row by a {self.usual / max(block.scatter, 1e-12):.0f}th of what it did since "
            f"step {self.start_step}: each batch seems to hold the same data, or none"
        )
        evidence = {"scatter_relative": block.scatter, "usual_scatter_relative": self.usual}
        return self.incident.open(Severity.WARNING, block.step, self.start_step, message, evidence)

    def _watch(self, block: Block) -> Finding | None:
        if block.same.rows > block.rows or not block.scatter > BACK * self.usual:
            return None
        self.still = 0
        return self.incident.close(
            block.step, "loss scatters from row to row again", {"scatter_relative": block.scatter}
        )

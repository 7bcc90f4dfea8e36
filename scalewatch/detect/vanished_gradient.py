"""A gradient norm that is nought: from then on no weight moves, whatever the loss says."""

from __future__ import annotations

from typing import final

from scalewatch.detect.base import amount
from scalewatch.detect.block import AbstractBlockDetector, Block
from scalewatch.detect.incident_state import IncidentState
from scalewatch.finding import Finding, Kind, Severity

__all__ = ["VanishedGradient"]

#: Rows of nought that are worth waking someone: where loss scaling begins too low a dozen underflow. By hand.
ZERO_ROWS = 32
#: Least norm that it had before: a smaller one may be nought in a log of two digits. By hand.
LEAST_NORM = 0.05


@final
class VanishedGradient(AbstractBlockDetector):
    """Gradient norm is nought row after row, and was not; a warning.

    Rule: 32 rows with a norm, of whole blocks (block.py) that have no other than 0, after one whose median was .05 or
    more. Of a log that never had another nothing is told: it is not measured there. Closes with a block of which half
    of the norms are not 0. Memory: ten numbers. `restart` closes it.

    >>> from scalewatch.detect.base import Sample
    >>> from scalewatch.detect.block import Blocks
    >>> from scalewatch.detect.schedule import Schedule
    >>> from scalewatch.run import Run
    >>> blocks, row, detector = Blocks(Schedule(Run("doc"))), Sample(), VanishedGradient()
    >>> row.grad_given = True
    >>> for row.step in range(1, 201):
    ...     row.row, row.grad_norm = row.step, 1.5 if row.step < 100 else 0.0
    ...     block = blocks.take(row, hold=False)
    ...     finding = None if block is None else detector.observe(block)
    ...     if finding is not None:
    ...         print(finding.step, finding.severity, finding.message)
    136 warning gradient norm has been 0 for 32 rows and was near 1.50: no weight moves
    """

    name = "vanished gradient"
    STATE = ("incident", "level", "zeros", "start_step")

    def __init__(self) -> None:
        super().__init__(IncidentState(Kind.VANISHED_GRADIENT))
        self.level = 0.0
        self.zeros = 0
        self.start_step = 0

    def observe(self, block: Block) -> Finding | None:
        if block.norms:
            self.zeros = 0
            if block.norms < block.zero_norms:
                return None
            self.level = block.norm
            if not self.incident.is_open:
                return None
            return self.incident.close(block.step, f"gradient norm is {amount(block.norm)} again", {})
        if not block.zero_norms:  # none was taken
            return None
        if self.zeros == 0:
            self.start_step = block.first_step
        self.zeros += block.zero_norms
        if self.incident.is_open or self.zeros < ZERO_ROWS or self.level < LEAST_NORM:
            return None
        message = f"gradient norm has been 0 for {self.zeros} rows and was near {amount(self.level)}: no weight moves"
        evidence = {"usual_grad_norm": self.level, "rows": self.zeros}
        return self.incident.open(Severity.WARNING, block.step, self.start_step, message, evidence)

    def restart(self) -> None:
        self.incident.reset()
        self.zeros = 0

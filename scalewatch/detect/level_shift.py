"""A loss that moves at once and stays where it is: less than a divergence, more than its scatter."""

from __future__ import annotations

from typing import final

from scalewatch.detect.base import amount
from scalewatch.detect.block import AbstractBlockDetector, Block
from scalewatch.detect.changepoint_window import ChangepointWindow
from scalewatch.detect.incident_state import IncidentState
from scalewatch.detect.suspicious_improvement import DROP
from scalewatch.finding import Finding, Kind, Phase, Severity

__all__ = ["LevelShift"]

#: Shift in its own scale [sigmas], in blocks that overlap: white noise reaches it once in 1e8 looks. By hand.
SIGMAS = 6.0
#: Least shift [log units: 0.5 %]: by so much the schedule moves a loss off its law in the curves of
#: Luo et al. 2025 (arXiv 2503.12811).
LEAST_SHIFT = 0.005
#: Largest d log loss / d log steps of learning: published exponents are below 0.5, of a part of the loss (Hoffmann et
#: al. 2022: 0.34 and 0.28). By hand.
LEARNING = 0.5


@final
class LevelShift(AbstractBlockDetector):
    """Mean loss moved within a block and stays there; a note.

    Rule: |D| > 6 s and > 0.5 % between 8 blocks before and 4 after (see changepoint_window.py), with the learning rate
    unchanged; downward faster than learning and less than `SuspiciousImprovement` speaks of. Memory: none but the
    shared window. `restart` has nothing to forget.

    >>> from scalewatch.detect.block import Blocks
    >>> from scalewatch.detect.base import Sample
    >>> from scalewatch.detect.schedule import Schedule
    >>> from scalewatch.run import Run
    >>> blocks, row, window = Blocks(Schedule(Run("doc"))), Sample(), ChangepointWindow()
    >>> detector = LevelShift(window)
    >>> row.usable = True
    >>> for row.step in range(1, 3001):
    ...     row.row, row.value = row.step, 1.0 + 0.01 * (row.step * 7 % 5) + 0.008 * (row.step > 2000)
    ...     block = blocks.take(row, hold=False)
    ...     if block is not None:
    ...         window.update(block)
    ...         finding = detector.observe(block)
    ...         if finding is not None:
    ...             print(finding.step, finding.severity, finding.message)
    2144 info loss moved from 2.773 to 2.796 (+0.8 %) near step 1985 and stays there
    """

    name = "level shift"
    in_loss_units = True
    STATE = ("incident",)

    def __init__(self, window: ChangepointWindow) -> None:
        super().__init__(IncidentState(Kind.LEVEL_SHIFT))
        self._window = window

    def observe(self, block: Block) -> Finding | None:
        window, shift = self._window, self._window.shift
        if not window.ready or shift.sigmas < SIGMAS or abs(shift.nats) < LEAST_SHIFT or shift.rate_changed:
            return None
        if shift.nats < 0.0 and (shift.elasticity < LEARNING or shift.nats < -DROP):
            return None
        scale = window.loss_scale
        before, now = scale.loss_at(window.level), scale.loss_at(window.now)
        share = scale.share(0.0, shift.nats)
        message = (
            f"loss moved from {amount(before)} to {amount(now)}{share} near step {window.start_step} and stays there"
        )
        evidence = {
            "loss_nats": now,
            "level_nats": before,
            "excess_nats": now - before,
            "sigmas": shift.sigmas,
            "elasticity": shift.elasticity,
        }
        start, phase = window.start_step, Phase.OPENED
        window.move(block.step)
        return Finding(Kind.LEVEL_SHIFT, Severity.INFO, block.step, start, message, evidence, phase)

    def restart(self) -> None:
        """Nothing to forget: the window is not its own."""

"""What all detectors of one run look at together: the row, the level, the schedule, the blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from scalewatch.detect.baseline import RobustBaseline
from scalewatch.detect.block import Blocks
from scalewatch.detect.changepoint_window import ChangepointWindow
from scalewatch.detect.phase_changes import PhaseChanges
from scalewatch.detect.sample_reader import SampleReader
from scalewatch.detect.schedule import Schedule
from scalewatch.detect.state import Stateful
from scalewatch.run import Run

__all__ = ["SharedParts"]


@final
class SharedParts:
    """One of each, for the detectors of one run.

    Args:
        run: what is trained, as planned.
    """

    def __init__(self, run: Run) -> None:
        self.reader = SampleReader()
        self.phases = PhaseChanges()
        self.baseline = RobustBaseline(self.reader.loss_scale)
        self.schedule = Schedule(run)
        self.blocks = Blocks(self.schedule)
        self.window = ChangepointWindow(self.reader.loss_scale)

    def begin_phase(self, step: int) -> None:
        """Begin levels anew, for something is changed by design; that of an open incident stays."""
        if not self.baseline.frozen_by:
            self.baseline.restart()
        self.blocks.restart()
        self.window.restart()
        self.schedule.expect(step)

    def restart(self) -> None:
        """The run went back: forget levels and what was expected, and keep scales."""
        for part in (self.baseline, self.schedule, self.blocks, self.window):
            part.restart()

    def state_dict(self) -> dict[str, Any]:
        """Return the memory of each, by its name."""
        return {name: part.state_dict() for name, part in self._parts()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        for name, part in self._parts():
            part.load_state_dict(state[name])

    def _parts(self) -> list[tuple[str, Stateful]]:
        return list(vars(self).items())

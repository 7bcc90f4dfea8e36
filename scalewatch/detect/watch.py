"""All detectors over one stream of observations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, final

from scalewatch.detect.base import AbstractDetector, Sample
from scalewatch.detect.divergence import Divergence
from scalewatch.detect.grad_norm import GradNorm
from scalewatch.detect.level import Level
from scalewatch.detect.nonfinite import NonFinite, NonFiniteGradient
from scalewatch.detect.schedule import Schedule
from scalewatch.detect.spike import Spike
from scalewatch.errors import ConfigError
from scalewatch.finding import Finding, Kind, Severity
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch.run import Run

__all__ = ["DETECTORS", "Watch"]

#: Every detector, in the order in which they look at a row; each is made from the shared level of the loss.
DETECTORS: tuple[Callable[[Level], AbstractDetector], ...] = (
    lambda level: NonFinite(),
    lambda level: NonFiniteGradient(),
    lambda level: Spike(level),
    lambda level: Divergence(level),
    lambda level: GradNorm(),
)

#: Version of `state_dict`.
STATE_VERSION = 1
#: Rows before the scale of one row is called known [rows].
NOISE_ROWS = 16
#: A row above its level by no more than this belongs to no incident [scales].
CLEAN_SIGMAS = 4.0
#: Steps beyond this are no steps [steps]: floats stop counting at 2**53.
MAX_STEP = 2**62


@final
class Watch:
    """Observation in, findings out; never raises on a value, O(1) a row.

    A repeated step is counted once. A step back is a resume: one info finding, levels start anew, scales stay.

    Args:
        run: what is trained; its planned learning rates, if known, say which rises are meant.
        guard: keeps the fault of a detector from the others.
    """

    def __init__(self, run: Run, guard: Guard) -> None:
        self._guard = guard
        self._level = Level()
        self._schedule = Schedule(run)
        self._detectors = tuple(make(self._level) for make in DETECTORS)
        self._parts = tuple((f"detector {d.name}", d) for d in self._detectors)
        self._sample = Sample()
        self._last_step = 0
        self._first_step = 0
        self._epoch_rows = 0
        self._rows = 0
        self.clean = False

    @property
    def sample(self) -> Sample:
        """The newest row, cleaned; the same object each time."""
        return self._sample

    @property
    def noise(self) -> float | None:
        """Standard deviation of one row's log loss, so relative to the loss; None until it is known."""
        return self._level.scale if self._level.known >= NOISE_ROWS else None

    @property
    def open_incidents(self) -> list[Finding]:
        """The newest finding of each incident that is open."""
        return [last for d in self._detectors if (last := d.life.last()) is not None]

    def observe(self, observation: Observation) -> list[Finding]:
        """What is new with this row; mostly nothing."""
        guard = self._guard
        found: list[Finding] = []
        back = guard.call("detector order", self._take, observation)
        if back is None:
            return found
        sample = self._sample
        if not back:
            return found
        if back < 0:
            found.append(self._rewound(back))
        level = self._level
        if sample.usable:
            level.measure(sample.log_loss)
        hold = suspicious = False
        for part, detector in self._parts:
            said = guard.call(part, detector.observe, sample)
            if said is not None:
                found.append(said)
            if detector.suspects:
                hold = True
            elif detector.doubts:
                suspicious = True
        if guard.failed:
            hold = self._release()
        self.clean = sample.usable and not hold and level.sigmas < CLEAN_SIGMAS
        if sample.usable:
            level.absorb(hold, suspicious)
        return found

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on, as plain ints, floats, strings, lists and dicts."""
        return {
            "version": STATE_VERSION,
            "last_step": self._last_step,
            "first_step": self._first_step,
            "epoch_rows": self._epoch_rows,
            "rows": self._rows,
            "clean": self.clean,
            "level": self._level.state_dict(),
            "schedule": self._schedule.state_dict(),
            "detectors": {d.name: d.state_dict() for d in self._detectors},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`, bit for bit.

        Raises:
            ConfigError: if it was written by something else.
        """
        if state.get("version") != STATE_VERSION:
            raise ConfigError(f"`state` must be of version {STATE_VERSION} (got {state.get('version')!r}).")
        self._last_step, self._first_step = int(state["last_step"]), int(state["first_step"])
        self._epoch_rows, self._rows = int(state["epoch_rows"]), int(state["rows"])
        self.clean = bool(state["clean"])
        self._level.load_state_dict(state["level"])
        self._schedule.load_state_dict(state["schedule"])
        for detector in self._detectors:
            detector.load_state_dict(state["detectors"][detector.name])

    def _take(self, observation: Observation) -> int:
        """Clean one row into the sample: 1 for a new step, 0 for a repeated one, -n for n steps back."""
        sample = self._sample
        step = observation.step
        if type(step) is not int:
            step = _step(step, self._last_step)
        jump = step - self._last_step
        if self._rows and jump == 0:
            return 0
        loss = observation.loss
        if type(loss) is not float:
            loss = _number(loss)
        rate = observation.learning_rate
        if type(rate) is not float:
            rate = _number(rate)
        norm = observation.grad_norm
        if type(norm) is not float:
            sample.grad_given = norm is not None
            norm = _number(norm)
        else:
            sample.grad_given = True
        sample.loss_given = observation.loss is not None
        sample.step, sample.loss, sample.grad_norm, sample.learning_rate = step, loss, norm, rate
        sample.usable = 0.0 < loss < math.inf
        sample.log_loss = math.log(loss) if sample.usable else 0.0
        self._rows += 1
        self._last_step = step
        if jump < 0 or self._epoch_rows == 0:
            self._first_step, self._epoch_rows = step, 0
        self._epoch_rows += 1
        sample.row = self._rows
        sample.spacing = (step - self._first_step) / (self._epoch_rows - 1) if self._epoch_rows > 1 else 1.0
        sample.muted = self._schedule.mutes(step, rate)
        return 1 if jump > 0 or self._rows == 1 else jump

    def _rewound(self, jump: int) -> Finding:
        step, before = self._sample.step, self._sample.step - jump
        self._level.restart()
        self._schedule.restart()
        for detector in self._detectors:
            detector.restart()
        message = f"the run went back from step {before} to step {step}: levels start anew"
        return Finding(Kind.REWOUND, Severity.INFO, step, step, message, {"from_step": before, "steps": -jump})

    def _release(self) -> bool:
        """Whether a detector that still runs holds the level; one that was switched off must not."""
        hold = False
        for part, detector in self._parts:
            if self._guard.is_off(part):
                detector.suspects = False
                detector.life.is_open = False
                if self._level.held_by == detector.name:
                    self._level.held_by = ""
            hold = hold or detector.suspects
        return hold


def _number(value: Any) -> float:
    """A float, or NaN for what is none: None, text, complex numbers, arrays of several values."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return math.nan


def _step(value: Any, last: int) -> int:
    """A step count, or the next one where the row carries none."""
    try:
        step = int(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return last + 1
    return max(-MAX_STEP, min(MAX_STEP, step))

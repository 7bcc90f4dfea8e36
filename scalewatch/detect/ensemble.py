"""All detectors over one stream of observations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, final

from scalewatch.detect.attribution import CauseAttribution
from scalewatch.detect.base import AbstractDetector, Sample
from scalewatch.detect.baseline import RobustBaseline
from scalewatch.detect.block import AbstractBlockDetector, Block, Blocks
from scalewatch.detect.changepoint_window import ChangepointWindow
from scalewatch.detect.divergence import Divergence
from scalewatch.detect.grad_drift import GradDrift
from scalewatch.detect.grad_norm import GradNorm
from scalewatch.detect.level_shift import LevelShift
from scalewatch.detect.noise import Noise
from scalewatch.detect.nonfinite import NonFinite, NonFiniteGradient
from scalewatch.detect.plateau import Plateau
from scalewatch.detect.precursor import Precursor
from scalewatch.detect.schedule import Schedule
from scalewatch.detect.spike import Spike
from scalewatch.detect.suspicious_improvement import SuspiciousImprovement
from scalewatch.detect.throughput import Throughput
from scalewatch.detect.validation import Validation
from scalewatch.errors import ConfigError
from scalewatch.finding import Finding, Kind, Severity
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch.run import Run

__all__ = ["BLOCK_DETECTORS", "DETECTORS", "DetectorSet"]

#: Every detector, in the order in which they look at a row; each is made from the shared level of the loss.
DETECTORS: tuple[Callable[[RobustBaseline], AbstractDetector], ...] = (
    lambda level: NonFinite(),
    lambda level: NonFiniteGradient(),
    lambda level: Spike(level),
    lambda level: Divergence(level),
    lambda level: GradNorm(),
    lambda level: Precursor(),
)

#: Every slow detector, in the order in which they look at a block of rows; each is made from the shared trail.
BLOCK_DETECTORS: tuple[Callable[[ChangepointWindow], AbstractBlockDetector], ...] = (
    lambda trail: Plateau(trail),
    lambda trail: LevelShift(trail),
    lambda trail: SuspiciousImprovement(trail),
    lambda trail: Noise(),
    lambda trail: GradDrift(),
    lambda trail: Throughput(),
)

#: Version of `state_dict`.
STATE_VERSION = 2
#: Rows before the scale of one row is called known [rows].
NOISE_ROWS = 16
#: A row above its level by no more than this belongs to no incident [scales].
CLEAN_SIGMAS = 4.0
#: Seconds beyond this are no time [s]: 30 million years.
MAX_SECONDS = 1e15
#: Row this far above its level at which the losses of the ranks are looked at [scales].
RANK_SIGMAS = 3.0
#: Steps beyond this are no steps [steps]: floats stop counting at 2**53.
MAX_STEP = 2**62


@final
class DetectorSet:
    """Observation in, findings out; never raises on a value, O(1) a row.

    A repeated step is counted once. A step back is a resume: one info finding, levels start anew, scales stay.

    Args:
        run: what is trained; its planned learning rates, if known, say which rises are meant.
        guard: keeps the fault of a detector from the others.

    >>> watch = DetectorSet(Run("doc"), Guard())
    >>> for step, loss in enumerate([3.0, 2.9, float("nan")], start=1):
    ...     for finding in watch.observe(Observation(step, loss)):
    ...         print(finding.kind, finding.severity, finding.message)
    nonfinite critical loss is nan at step 3
    """

    def __init__(self, run: Run, guard: Guard) -> None:
        self._guard = guard
        self._level = RobustBaseline()
        self._schedule = Schedule(run)
        self._detectors = tuple(make(self._level) for make in DETECTORS)
        self._parts = tuple((f"detector {d.name}", d) for d in self._detectors)
        self._validation = Validation(self._level)
        self._blocks = Blocks(self._schedule)
        self._trail = ChangepointWindow()
        self._slow_detectors = tuple(make(self._trail) for make in BLOCK_DETECTORS)
        self._slow_parts = tuple((f"detector {d.name}", d) for d in self._slow_detectors)
        by_type: dict[type, Any] = {type(d): d for d in (*self._detectors, *self._slow_detectors)}
        signs = (by_type[kind] for kind in (GradNorm, NonFiniteGradient, Noise, Precursor))
        self._cause = CauseAttribution(self._level, self._schedule, *signs)
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
        return self._level.scale if self._level.scatter.rows >= NOISE_ROWS else None

    @property
    def sigmas(self) -> float:
        """The newest row's log loss above its level, in standard deviations of one row; NaN where it has no loss."""
        return self._level.sigmas if self._sample.usable else math.nan

    @property
    def detectors(self) -> list[tuple[str, Finding | None]]:
        """Each detector that runs, with the newest finding of its incident if one is open."""
        return [(d.name, d.life.last()) for d in self._every if not self._guard.is_off(f"detector {d.name}")]

    @property
    def open_incidents(self) -> list[Finding]:
        """The newest finding of each incident that is open."""
        return [last for d in self._every if (last := d.life.last()) is not None]

    def observe(self, observation: Observation) -> list[Finding]:
        """What is new with this row; mostly nothing."""
        guard = self._guard
        found: list[Finding] = []
        back = guard.call("detector order", self._take, observation)
        if not back:
            if back == 0 and observation.validation_loss is not None:
                self._late_validation(observation, found)
            return found
        sample, level = self._sample, self._level
        if back < 0:
            found.append(self._rewound(back))
        sample.muted = guard.call("detector schedule", self._schedule.mutes, sample.step, sample.learning_rate) or False
        if sample.usable:
            guard.call("detector level", level.measure, sample.log_loss)
        if sample.rank_losses is not None and not (sample.usable and level.sigmas < RANK_SIGMAS):
            guard.call("detector cause", self._cause.look_at_ranks, sample)
        hold = doubt = False
        for part, detector in self._parts:
            said = guard.call(part, detector.observe, sample)
            if said is not None:
                found.append(self._explained(said, detector))
            if detector.suspects:
                hold = True
            elif detector.doubts:
                doubt = True
        if sample.validation_given:
            said = guard.call("detector validation", self._validation.observe, sample)
            if said is not None:
                found.append(said)
        if guard.failed:
            hold = self._release()
        block = guard.call("detector blocks", self._blocks.take, sample, hold)
        if block is not None:
            self._look(block, found)
        self.clean = sample.usable and not hold and level.sigmas < CLEAN_SIGMAS
        if sample.usable:
            guard.call("detector level", level.absorb, hold, doubt)
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
            "detectors": {d.name: d.state_dict() for d in self._every},
            "blocks": self._blocks.state_dict(),
            "trail": self._trail.state_dict(),
            "cause": self._cause.state_dict(),
            "validated": self._sample.validation_given,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`, bit for bit.

        Raises:
            ConfigError: if it was written by something else.
        """
        if state.get("version") != STATE_VERSION:
            raise ConfigError(f"`state` must be of version {STATE_VERSION} (got {state.get('version')!r}).")
        missing = sorted(set(self.state_dict()) - set(state))
        if missing:
            raise ConfigError(f"`state` must be what `state_dict` gave (these are missing: {', '.join(missing)}).")
        self._last_step, self._first_step = int(state["last_step"]), int(state["first_step"])
        self._epoch_rows, self._rows = int(state["epoch_rows"]), int(state["rows"])
        self.clean = bool(state["clean"])
        self._level.load_state_dict(state["level"])
        self._schedule.load_state_dict(state["schedule"])
        self._blocks.load_state_dict(state["blocks"])
        self._trail.load_state_dict(state["trail"])
        self._cause.load_state_dict(state["cause"])
        self._sample.step, self._sample.validation_given = self._last_step, bool(state["validated"])
        for part in self._every:
            part.load_state_dict(state["detectors"][part.name])

    @property
    def _every(self) -> tuple[AbstractDetector | AbstractBlockDetector, ...]:
        return (*self._detectors, self._validation, *self._slow_detectors)

    def _look(self, block: Block, found: list[Finding]) -> None:
        """Show one block to the slow detectors."""
        self._guard.call("detector trail", self._trail.follow, block)
        for part, detector in self._slow_parts:
            said = self._guard.call(part, detector.observe, block)
            if said is not None:
                found.append(self._explained(said, detector))

    def _explained(self, said: Finding, detector: AbstractDetector | AbstractBlockDetector) -> Finding:
        """What a detector said, with its cause."""
        told = self._guard.call("detector cause", self._cause.explain, said, self._sample)
        if told is None or told is said:
            return said
        if detector.life.is_open and detector.life.kind is said.kind:
            detector.life.evidence = dict(told.evidence)
        return told

    def _late_validation(self, observation: Observation, found: list[Finding]) -> None:
        """A validation loss that was logged apart from the training loss of the same step."""
        if self._sample.validation_given:
            return
        self._take_validation(observation.validation_loss)
        said = self._guard.call("detector validation", self._validation.observe, self._sample)
        if said is not None:
            found.append(said)

    def _take_validation(self, value: Any) -> None:
        loss = value if type(value) is float else _number(value)
        self._sample.validation_given = loss is not None
        self._sample.validation_loss = math.nan if loss is None else loss

    def _take(self, observation: Observation) -> int:
        """Clean one row into the sample: 1 for a new step, 0 for a repeated one, -n for n steps back."""
        sample = self._sample
        step = observation.step
        if type(step) is not int or not -MAX_STEP <= step <= MAX_STEP:
            step = _step(step, self._last_step)
        jump = step - self._last_step
        if self._rows and jump == 0:
            return 0
        _, logged, rate, norm, _, validation, seconds, ranks, precursors = observation
        given: float | None = logged if type(logged) is float else _number(logged)
        if rate is not None and type(rate) is not float:
            rate = _number(rate)
        if norm is not None and type(norm) is not float:
            norm = _number(norm)
        if seconds is not None and type(seconds) is not float:
            seconds = _number(seconds)
        sample.loss_given, sample.grad_given = given is not None, norm is not None
        loss = math.nan if given is None else given
        sample.step, sample.loss = step, loss
        sample.learning_rate = math.nan if rate is None else rate
        sample.grad_norm = math.nan if norm is None else norm
        if validation is None:
            sample.validation_given = False
        else:
            self._take_validation(validation)
        sample.seconds = seconds if seconds is not None and -MAX_SECONDS < seconds < MAX_SECONDS else math.nan
        sample.rank_losses = ranks
        sample.precursors = precursors
        sample.usable = 0.0 < loss < math.inf
        sample.log_loss = math.log(loss) if sample.usable else 0.0
        self._rows += 1
        self._last_step = step
        if jump < 0 or self._epoch_rows == 0:
            self._first_step, self._epoch_rows = step, 0
        self._epoch_rows += 1
        sample.row = self._rows
        sample.spacing = (step - self._first_step) / (self._epoch_rows - 1) if self._epoch_rows > 1 else 1.0
        return 1 if jump > 0 or self._rows == 1 else jump

    def _rewound(self, jump: int) -> Finding:
        step, before, dropped = self._sample.step, self._sample.step - jump, len(self.open_incidents)
        self._guard.call("detector cause", self._cause.resume, step)
        self._level.restart()
        self._schedule.restart()
        self._blocks.restart()
        self._trail.restart()
        for part in self._every:
            part.restart()
        message = f"the run went back from step {before} to step {step}, so levels start anew"
        evidence = {"from_step": before, "steps": -jump, "incidents_dropped": dropped}
        return Finding(Kind.REWOUND, Severity.INFO, step, step, message, evidence)

    def _release(self) -> bool:
        """Whether a detector that still runs holds the level; one that was switched off must not."""
        hold = False
        if self._guard.is_off("detector level"):
            self._level.silence()
        for part, detector in self._parts:
            if self._guard.is_off(part):
                detector.suspects = detector.doubts = False
                self._level.release(detector.name)
            hold = hold or detector.suspects
        for any_part in self._every:
            if self._guard.is_off(f"detector {any_part.name}"):
                any_part.life.forget()
        return hold


def _number(value: Any) -> float | None:
    """A float, or None for what is no one number: nothing, text, complex numbers, arrays of several values."""
    if value is None:
        return None
    try:
        return float(value if isinstance(value, (int, str)) else value.item())
    except (AttributeError, TypeError, ValueError, OverflowError, RuntimeError):
        return None


def _step(value: Any, last: int) -> int:
    """A step count, or the next one where the row carries none."""
    try:
        step = int(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return last + 1
    return max(-MAX_STEP, min(MAX_STEP, step))

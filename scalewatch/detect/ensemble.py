"""All detectors over one stream of observations."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias, final

from scalewatch.detect.attribution import CauseAttribution
from scalewatch.detect.base import AbstractDetector, Sample
from scalewatch.detect.baseline import RobustBaseline
from scalewatch.detect.block import AbstractBlockDetector, Block
from scalewatch.detect.calm import CalmStretch
from scalewatch.detect.calm_rows import CalmRows
from scalewatch.detect.changepoint_window import ChangepointWindow
from scalewatch.detect.divergence import Divergence
from scalewatch.detect.grad_drift import GradDrift
from scalewatch.detect.grad_norm import GradNorm
from scalewatch.detect.level_shift import LevelShift
from scalewatch.detect.noise import Noise
from scalewatch.detect.nonfinite import NonFinite, NonFiniteGradient
from scalewatch.detect.outside import fresh_detectors
from scalewatch.detect.plateau import Plateau
from scalewatch.detect.precursor import Precursor
from scalewatch.detect.ranks import RankApart
from scalewatch.detect.shared_parts import SharedParts
from scalewatch.detect.spike import Spike
from scalewatch.detect.stillness import Stillness
from scalewatch.detect.suspicious_improvement import SuspiciousImprovement
from scalewatch.detect.throughput import Throughput
from scalewatch.detect.validation import Validation
from scalewatch.detect.vanished_gradient import VanishedGradient
from scalewatch.errors import ConfigError
from scalewatch.finding import Finding, Kind, Severity, kind_of
from scalewatch.guard import FAULT, Guard, Stage, attempt
from scalewatch.observation import Observation
from scalewatch.phases import NOTES, checked_phase
from scalewatch.run import Run

__all__ = ["BLOCK_DETECTORS", "DETECTORS", "AnyDetector", "DetectorSet"]

_log = logging.getLogger("scalewatch")

#: Every detector of rows, in the order in which they look at one; each is made from the shared baseline of the loss.
DETECTORS: tuple[Callable[[RobustBaseline], AbstractDetector], ...] = (
    lambda baseline: NonFinite(),
    lambda baseline: NonFiniteGradient(),
    lambda baseline: Spike(baseline),
    lambda baseline: Divergence(baseline),
    lambda baseline: GradNorm(),
    lambda baseline: Precursor(),
    lambda baseline: RankApart(),
)

#: Every detector of blocks, in the order in which they look at one; each is made from the shared window.
BLOCK_DETECTORS: tuple[Callable[[ChangepointWindow], AbstractBlockDetector], ...] = (
    lambda window: Plateau(window),
    lambda window: LevelShift(window),
    lambda window: SuspiciousImprovement(window),
    lambda window: Noise(),
    lambda window: Stillness(),
    lambda window: GradDrift(),
    lambda window: VanishedGradient(),
    lambda window: Throughput(),
)

#: Version of `state_dict`. By definition.
STATE_VERSION = 13
#: Rows before the scale of one row is called known [rows]: by hand, four times what its prior counts for.
NOISE_ROWS = 16
#: A row above its baseline by no more than this belongs to no incident [scales]: by hand, `STAY_SIGMAS` of spikes.
CLEAN_SIGMAS = 4.0
#: Row this far above its baseline at which the losses of the ranks are looked at [scales]: by hand, below every rule's.
RANK_SIGMAS = 3.0

AnyDetector: TypeAlias = AbstractDetector | AbstractBlockDetector


@final
class DetectorSet:
    """Observation in, findings out; never raises on a value, O(1) a row.

    A repeated step is counted once. A step back is a resume: one info finding, baselines start anew, scales stay.

    Args:
        run: what is trained; its planned learning rates, if known, say which rises are meant.
        guard: keeps the fault of a detector from the others.
        outside: detectors beside the built-in ones, as `checked_detectors` returned them; copies of them look at rows.

    >>> watch = DetectorSet(Run("doc"), Guard())
    >>> for step, loss in enumerate([3.0, 2.9, *3 * [float("nan")]], start=1):
    ...     for finding in watch.observe(Observation(step, loss)):
    ...         print(finding.kind, finding.severity, finding.message)
    nonfinite info loss is nan at step 3: nothing is lost if that step was skipped
    nonfinite critical loss is nan since step 3, 3 rows running
    """

    def __init__(self, run: Run, guard: Guard, outside: Iterable[AnyDetector] = ()) -> None:
        self._guard = guard
        self._shared = shared = SharedParts(run)
        baseline, window = shared.baseline, shared.window
        rows = [make(baseline) for make in DETECTORS]
        blocks = [make(window) for make in BLOCK_DETECTORS]
        validation = Validation(baseline)
        own: tuple[AnyDetector, ...] = (*rows, validation, *blocks)
        self._outside = fresh_detectors(outside, [detector.name for detector in own])
        by_type: dict[type, Any] = {type(detector): detector for detector in (*rows, *blocks)}
        signs = (by_type[kind] for kind in (GradNorm, NonFiniteGradient, Noise, Precursor))
        self._cause = CauseAttribution(baseline, shared.schedule, *signs)
        for detector in self._outside:
            if isinstance(detector, AbstractDetector):
                guard.call(_part(detector), detector.attach, baseline)
                rows.append(detector)
            else:
                blocks.append(detector)
        self._detectors = {_part(detector): detector for detector in (*own, *self._outside)}
        self._take_in(run)
        on_loss = [baseline, shared.blocks, window, *(d for d in own if d.in_loss_units)]
        self._as_new = [(part, part.state_dict()) for part in on_loss]
        # of ours two ever freeze it, and of others nobody knows
        freezing = [d for d in rows if "freezes_baseline" in d.STATE or d in self._outside]
        self._level = _Level(baseline, freezing, guard, self._cause)
        self._stages = _Stages(
            rows=(
                ("detector schedule", shared.schedule.look),
                ("detector level", self._level.score),
                *((_part(d), d.observe) for d in rows),
            ),
            ends=(("detector blocks", self._take_block), ("detector level", self._level.learn)),
            validation=((_part(validation), validation.observe),),
            blocks=(("detector window", window.update), *((_part(d), d.observe) for d in blocks)),
        )
        calm = (Spike, Divergence, GradNorm, NonFinite, NonFiniteGradient, RankApart)
        detectors: Any = tuple(by_type[kind] for kind in calm)
        self._calm = CalmStretch(shared, detectors)
        self._found: list[Finding] = []
        self.clean = self.has_series = False

    def know(self, run: Run) -> None:
        """Take note of what is known of the run by now, for names of series have turned up in its log."""
        self.has_series = True
        self._take_in(run)

    def _take_in(self, run: Run) -> None:
        for detector in self._detectors.values():
            if isinstance(detector, SuspiciousImprovement):
                detector.of_text, detector.steps_per_epoch = run.is_text, run.steps_per_epoch
            elif isinstance(detector, Divergence):
                detector.claims, detector.drift.may_be_meant = not run.no_descent, not run.is_text

    @property
    def sample(self) -> Sample:
        """The newest row, cleaned; the same object each time."""
        return self._shared.reader.sample

    @property
    def rows(self) -> int:
        """Rows so far, also those of before a break, count."""
        return self._shared.reader.rows

    @property
    def given(self) -> dict[str, bool]:
        """Whether a row ever carried a loss that is a number, a gradient norm, a validation loss."""
        reader = self._shared.reader
        return {"loss": reader.losses, "grad_norm": reader.norms, "validation_loss": reader.validations}

    @property
    def judged_rows(self) -> int:
        """Rows that the scale of one row is known from, count."""
        return self._shared.baseline.scatter.rows

    @property
    def noise(self) -> float | None:
        """Standard deviation of one row's log loss, so relative to the loss; None until it is known."""
        return self._shared.baseline.scale if self._shared.baseline.scatter.rows >= NOISE_ROWS else None

    @property
    def sigmas(self) -> float:
        """The newest row's log loss above its baseline, in standard deviations of one row; NaN where it has no loss."""
        return self._shared.baseline.sigmas if self.sample.usable else math.nan

    @property
    def detectors(self) -> list[tuple[str, str, Finding | None]]:
        """Each detector that runs: name, kind, and the newest finding of its incident if one is open."""
        every = self._detectors.items()
        return [(d.name, d.incident.kind, d.incident.current()) for part, d in every if not self._guard.is_off(part)]

    @property
    def open_incidents(self) -> list[Finding]:
        """The newest finding of each incident that is open."""
        return [newest for d in self._detectors.values() if (newest := d.incident.current()) is not None]

    def note_phase(self, name: str) -> None:
        """Let a phase begin with the next row, as `scalewatch.note_phase` does for all monitors of the process.

        Raises:
            ConfigError: if `name` is no text of 1 to 80 letters.
        """
        self._shared.phases.note(checked_phase(name))

    def observe(self, observation: Observation) -> list[Finding]:
        """What is new with this row; mostly nothing."""
        guard, sample = self._guard, self._shared.reader.sample
        found: list[Finding] = []
        self._found = found
        jump = guard.given("detector order", self._shared.reader.read, observation)
        if jump is FAULT:
            return found
        if jump == 0:
            if observation.validation_loss is not None and not sample.validation_given:
                # logged apart from the training loss of the same step
                self._shared.reader.read_validation(observation.validation_loss)
                guard.run(self._stages.validation, sample, self._keep)
            return found
        if jump < 0:
            found.append(self._rewound(jump))
        if self._shared.reader.loss_scale.changed:
            guard.call("detector level", self._begin_anew)
        phases = self._shared.phases
        if observation.phase is not None or NOTES.count != phases.heard or not phases.quiet:
            begun = guard.call("detector phase", self._begin_phase, observation.phase)
            if begun is not None:
                found.append(begun)
        guard.run(self._stages.rows, sample, self._keep)
        if sample.validation_given:
            guard.run(self._stages.validation, sample, self._keep)
        if guard.failed:
            self._release()
        self.clean = self._level.is_clean(sample)
        guard.run(self._stages.ends, sample, self._keep)
        return found

    def take_calm(self, rows: CalmRows, first: int, end: int) -> tuple[int, int]:
        """Take the rows from `first` to before `end`, as far as nothing can be said of them.

        Returns the place of the next one, and the one to which they are to be looked at one by one.
        """
        phases = self._shared.phases
        if self._guard.failed or self._outside or not phases.quiet or NOTES.count != phases.heard:
            return first, first
        at, single = self._calm.take(rows, first, end)
        if at > first:
            self._level.thaw()
            self.clean = True
        return at, single

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on, as plain ints, floats, strings, lists and dicts."""
        return {
            "version": STATE_VERSION,
            "clean": self.clean,
            "detectors": {d.name: d.state_dict() for d in self._detectors.values() if d not in self._outside},
            "outside": [{"name": d.name, "state": self._guard.call(_part(d), d.state_dict)} for d in self._outside],
            "cause": self._cause.state_dict(),
            **self._shared.state_dict(),
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
        self.clean = bool(state["clean"])
        self._cause.load_state_dict(state["cause"])
        self._shared.load_state_dict(state)
        for detector in self._detectors.values():
            if detector not in self._outside:
                detector.load_state_dict(state["detectors"][detector.name])
        self._load_outside({each["name"]: each["state"] for each in state["outside"]})

    def _load_outside(self, states: Mapping[str, Any]) -> None:
        """Let each detector from outside go on from its state; one that has none here, or another, begins anew."""
        for detector in self._outside:
            state, before = states.get(detector.name), detector.state_dict()
            why = "" if state is None else attempt(detector.load_state_dict, state)[1]
            if why:
                detector.load_state_dict(before)
                _log.warning(
                    "scalewatch: the detector %s starts anew, its state does not fit (%s).", detector.name, why
                )

    def _take_block(self, sample: Sample) -> None:
        block = self._shared.blocks.take(sample, self._level.frozen)
        if block is not None:
            self._guard.run(self._stages.blocks, block, self._keep)

    def _keep(self, part: str, finding: Finding) -> None:
        """Take in what a detector said, with its cause; what is no finding, or of no kind, is its own fault."""
        if not isinstance(finding, Finding):
            raise TypeError(f"a detector must return a Finding or None (got {type(finding).__name__})")
        kind_of(finding.kind)
        attributed = self._guard.call("detector cause", self._cause.attribute, finding, self.sample)
        if attributed is not None and attributed is not finding:
            incident = self._detectors[part].incident
            if incident.is_open and incident.kind == finding.kind:
                incident.evidence, incident.message = dict(attributed.evidence), attributed.message
            finding = attributed
        self._found.append(finding)

    def _begin_anew(self) -> None:
        """The loss is watched on another scale: what was learnt of it in other units is void."""
        for part, state in self._as_new:
            part.load_state_dict(state)

    def _begin_phase(self, given: object) -> Finding | None:
        """What a person says begins with this row, if that is news; an open incident stays open, at its own level."""
        name, step = self._shared.phases.take(given), self.sample.step
        if not name:
            return None
        self._shared.begin_phase(step)
        for part, detector in self._detectors.items():
            if not detector.incident.is_open:
                self._guard.call(part, detector.restart)
        message = f"a phase begins: {name}; levels start anew"
        return Finding(Kind.PHASE, Severity.INFO, step, step, message, {"phase": name})

    def _rewound(self, jump: int) -> Finding:
        step, before, dropped = self.sample.step, self.sample.step - jump, len(self.open_incidents)
        self._guard.call("detector cause", self._cause.resume, step)
        self._shared.restart()
        for part, detector in self._detectors.items():
            self._guard.call(part, detector.restart)
        message = f"the run went back from step {before} to step {step}, so levels start anew"
        evidence = {"from_step": before, "steps": -jump, "incidents_dropped": dropped}
        return Finding(Kind.REWOUND, Severity.INFO, step, step, message, evidence)

    def _release(self) -> None:
        """Let go of what a part holds that was switched off."""
        if self._guard.is_off("detector level"):
            self._shared.baseline.clear_scores()
        for part, detector in self._detectors.items():
            if self._guard.is_off(part):
                detector.incident.reset()
                if isinstance(detector, AbstractDetector):
                    detector.freezes_baseline = detector.freezes_trend = False
                    self._shared.baseline.unfreeze(detector.name)


@final
class _Level:
    """Scores rows against the level, and lets it learn from those that belong to no incident.

    Args:
        freezing: the detectors that may say so. cause: looks at the ranks where a row may be high.

    Attributes:
        frozen: whether the newest row may belong to an incident.
    """

    def __init__(
        self, baseline: RobustBaseline, freezing: Iterable[AbstractDetector], guard: Guard, cause: CauseAttribution
    ) -> None:
        self._baseline, self._freezing = baseline, tuple(freezing)
        self._guard, self._cause = guard, cause
        self.frozen = self._trend_frozen = False

    def score(self, sample: Sample) -> None:
        if sample.usable:
            self._baseline.score(sample.value)
        if sample.rank_losses is not None and not (sample.usable and self._baseline.sigmas < RANK_SIGMAS):
            self._guard.call("detector cause", self._cause.look_at_ranks, sample)

    def is_clean(self, sample: Sample) -> bool:
        """Ask the detectors of a row that they have seen; whether it is above the level by no more than chance."""
        self.frozen = self._trend_frozen = False
        for detector in self._freezing:
            if detector.freezes_baseline:
                self.frozen = True
            elif detector.freezes_trend:
                self._trend_frozen = True
        return sample.usable and not self.frozen and self._baseline.sigmas < CLEAN_SIGMAS

    def thaw(self) -> None:
        """The newest row belongs to no incident."""
        self.frozen = self._trend_frozen = False

    def learn(self, sample: Sample) -> None:
        if sample.usable:
            self._baseline.update(self.frozen, self._trend_frozen)


class _Stages(NamedTuple):
    """What is run of each row before and after it is known to be calm, of each validation, and of each block."""

    rows: tuple[Stage[Sample, Finding], ...]
    ends: tuple[Stage[Sample, Finding], ...]
    validation: tuple[Stage[Sample, Finding], ...]
    blocks: tuple[Stage[Block, Finding], ...]


def _part(detector: AnyDetector) -> str:
    """What its guard calls a detector."""
    return f"detector {detector.name}"

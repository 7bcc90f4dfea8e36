"""What stands between a page and an act: how sure one has to be before anything is done to a run.

A page costs a look, an act costs a run. So a critical incident is not enough: it has to last for a share of the run
after it was called critical, with the loss far up in the run's own scatter all that time, or the weights have to be
dead: steps in a row that were really taken with a loss that is no number. Nothing is done in warm-up, and nothing where
the monitor cannot tell how the run is.

The gate is a pure function of what the monitor of one process has seen: rank 0 decides, and hands the decision on.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, final

from scalewatch.acting.acts import Act, Acts, Decision
from scalewatch.acting.offending import offending_steps
from scalewatch.acting.standing import Standing
from scalewatch.arrays import first_at
from scalewatch.finding import Finding, Kind, Phase, Severity
from scalewatch.kinds import kind_name
from scalewatch.run import Run

__all__ = ["Gate", "RateCut", "confirm_steps", "known_after", "warm_up_end"]

#: Part of the planned run for which a critical incident has to last, and bounds of that [steps]. Of 92 healthy runs of
#: 23 domains one turned critical, and stood 2 sd up; of the runs that were lost and stayed so nearly all stand above 3.
#: By hand, on the open runs of the zoo (tests/benchmarks/gate.py).
CONFIRM_SHARE, LEAST_STEPS, MOST_STEPS = 0.01, 16, 300
#: Mean height that the loss has in these rows over its median before the incident [sd of a row then], and what one row
#: counts at most. By hand, as above.
SURE_SIGMAS, MOST_SIGMAS = 3.0, 8.0
#: Rows that this mean is of at least [rows]. By hand: the least that the patience of the detectors is.
LEAST_ROWS = 16
#: Rows before an incident that the level and the scatter of the loss are taken from [rows]. By hand.
LEVEL_ROWS = 64
#: Standard deviations of a Gaussian to one median absolute deviation. By definition.
SD_OF_MAD = 1.4826
#: Least scatter, as a part of the level. By hand: logs are rounded.
LEAST_SCALE = 1e-3
#: Memory of the mean that says whether the loss is still up [rows]. By hand.
RECENT_ROWS = 4
#: Steps in a row, really taken with a loss that is no number, after which the weights are called dead [steps]: by hand,
#: what the detector of such losses calls critical.
DEAD_STEPS = 3
#: Part of its peak from which on a planned rate is no longer warming up. By hand.
WARM = 0.99
#: Part of the planned steps that counts as warm-up where no rates are known. By hand.
UNKNOWN_WARM_UP = 0.02
#: So many times the confirmation an act has its chance before the next one, and a run is calm before a cut is taken
#: back. By hand.
CHANCE, CALM = 3, 4
#: A rate above its plan by more than this factor is the cause that is put right first; schedulers differ by a step in
#: what they call step k, hence no less than the tolerance of the schedule's detector. By hand.
OFF_PLAN = 1.5
#: Steps, and part of the planned run if that is less, that a fault takes at most to be called critical (the patience of
#: the detectors).
PATIENCE_STEPS, PATIENCE_SHARE = 300, 0.1
#: Rows between two looks at whether a cut may be taken back [rows]. By hand.
LOOK_EVERY_STEPS = 16
#: Rows that are kept to see which batches an incident began with [rows]. By hand.
KEPT_ROWS = 512


@dataclass(slots=True)
class _Confirmation:
    """A critical incident, level and scatter of the loss before it, and how it stood since it was called so."""

    finding: Finding
    before: tuple[float, float] | None = None
    rows: int = 0
    mean: float = 0.0
    recent: float = 0.0

    def add(self, loss: float, sigmas: float, most_rows: int) -> None:
        if self.before is not None and math.isfinite(loss):
            level, scale = self.before
            sigmas = (loss - level) / scale
        sigmas = max(-MOST_SIGMAS, min(MOST_SIGMAS, sigmas)) if sigmas == sigmas else 0.0
        self.rows += 1
        self.mean += (sigmas - self.mean) / min(self.rows, max(most_rows, LEAST_ROWS))
        self.recent += (sigmas - self.recent) / RECENT_ROWS

    @property
    def stands(self) -> bool:
        return self.rows >= LEAST_ROWS and min(self.mean, self.recent) >= SURE_SIGMAS

    def restart(self) -> None:
        self.rows, self.mean, self.recent = 0, 0.0, 0.0


@final
class _DeadSteps:
    """Steps in a row that were taken with a loss that is no number, and the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.since = 0

    def add(self, step: int) -> None:
        self.count += 1
        self.since = step if self.count == 1 else self.since

    @property
    def is_sure(self) -> bool:
        """Whether there are so many that the weights may be dead."""
        return self.count >= DEAD_STEPS


@dataclass(slots=True)
class RateCut:
    """What the learning rate is multiplied with now, whether until it is on its plan, and how often it was cut."""

    factor: float = 1.0
    for_plan: bool = False
    times: int = 0


@dataclass(slots=True)
class _Cause:
    """What an act is against."""

    since: int
    reason: str
    dead: bool


def warm_up_end(run: Run) -> int:
    """Return the last step of a run's warm-up: the one before its planned rate is at its peak for the first time.

    Where no rates are planned it is taken to be a fiftieth of the run.

    >>> warm_up_end(Run("a", 100, [min(1.0, step / 10) for step in range(1, 101)])), warm_up_end(Run("b", 100))
    (9, 2)
    """
    rates = run.learning_rates
    if rates is None or not len(rates):
        return 0 if run.total_steps is None else int(UNKNOWN_WARM_UP * run.total_steps)
    return int(first_at(rates, WARM * float(rates.max()))) - 1


def confirm_steps(run: Run, step: int) -> int:
    """Return for how long an incident has to be critical [steps]: a hundredth of the run, 16 at least, 300 at most.

    >>> [confirm_steps(Run("a", total), 1) for total in (500, 10_000, 1_000_000)], confirm_steps(Run("b"), 5_000)
    ([16, 100, 300], 50)
    """
    return int(min(MOST_STEPS, max(LEAST_STEPS, CONFIRM_SHARE * (run.total_steps or step))))


def known_after(run: Run) -> int:
    """Return how many steps after its begin a fault that is critical is sure [steps].

    >>> known_after(Run("a", 1_000)), known_after(Run("b"))
    (116, 600)
    """
    patience = PATIENCE_STEPS if run.total_steps is None else min(PATIENCE_STEPS, PATIENCE_SHARE * run.total_steps)
    return int(patience) + confirm_steps(run, PATIENCE_STEPS * 100)


@final
class Gate:
    """Decides what is done to one run.

    Memory: 512 rows, and a few numbers for each incident that is critical.

    Args:
        acts: what was asked for. run: what is trained.

    Attributes:
        cut: what is on the learning rate.

    >>> gate = Gate(Acts(frozenset({Act.STOP})), Run("demo", 1_000))
    >>> for step in range(30, 33):
    ...     gate.observe(step, math.nan, math.nan, [])
    >>> gate.decide(Standing()).reason
    'the loss is no number since step 30, for 3 steps that were taken'
    """

    def __init__(self, acts: Acts, run: Run) -> None:
        self._acts, self._run = acts, run
        first = acts.limits.from_step
        self._first = warm_up_end(run) if first is None else max(first, warm_up_end(run))
        self._rows: deque[tuple[int, float]] = deque(maxlen=KEPT_ROWS)
        self._critical: dict[str, _Confirmation] = {}
        self._step = 0
        self._dead = _DeadSteps()
        self._calm = 0
        self._aims_since: int | None = None
        self._tried: list[Act] = []
        self._hold_until = 0
        self.cut = RateCut()

    def resume(self, still_open: Iterable[Finding]) -> None:
        """Know of the incidents that are open when the run goes on."""
        self._learn(still_open)

    def observe(
        self, step: int, loss: float, sigmas: float, found: Sequence[Finding], *, taken: bool | None = None
    ) -> None:
        """Take one row in, in constant time.

        Args:
            loss: of the step. sigmas: its height over its level [scales], NaN where it has none; of an incident with
                too few rows before it.
            found: what was found with it. taken: whether the optimizer really stepped, None where nobody knows.
        """
        if step <= self._step:
            self._go_back()
        self._step = step
        self._rows.append((step, loss))
        self._learn(found)
        is_number = math.isfinite(loss)
        if is_number:
            self._dead.count = 0
        elif taken is not False:
            self._dead.add(step)
        if not self._critical and not self._dead.is_sure:
            self._calm += 1
            return
        self._calm = 0
        height = sigmas if is_number else 0.0 if taken is False else MOST_SIGMAS
        for confirmation in self._critical.values():
            confirmation.add(loss, height, confirm_steps(self._run, step))

    def _learn(self, found: Iterable[Finding]) -> None:
        for finding in found:
            if finding.phase is Phase.CLOSED:
                self._critical.pop(finding.kind, None)
            elif finding.kind is Kind.REWOUND:
                self._go_back()
            elif finding.severity is Severity.CRITICAL and finding.kind not in self._critical:
                self._critical[finding.kind] = _Confirmation(finding, self._level_before(finding.start_step))

    def _level_before(self, since: int) -> tuple[float, float] | None:
        """Median and robust sd of the last rows before a step; None for too few of them."""
        rows = [loss for step, loss in self._rows if step < since and math.isfinite(loss)][-LEVEL_ROWS:]
        if len(rows) < LEAST_ROWS:
            return None
        level = median(rows)
        scale = SD_OF_MAD * median(abs(loss - level) for loss in rows)
        return level, max(scale, LEAST_SCALE * abs(level), math.ulp(1.0))

    def _go_back(self) -> None:
        self._critical.clear()
        self._rows.clear()
        self._dead.count = self._calm = self._hold_until = 0
        self._tried, self._aims_since = [], None

    @property
    def is_due(self) -> bool:
        """Whether asking could lead to anything; asking costs a look at advice, weights and checkpoints."""
        if self._step <= max(self._first, self._hold_until):
            return False
        done = (self.cut.factor != 1.0 or bool(self._tried)) and self._step % LOOK_EVERY_STEPS == 0
        return self._dead.is_sure or bool(self._sure()) or done

    @property
    def may_be_dead(self) -> bool:
        """Whether it is worth a look whether the weights are numbers."""
        return self._dead.is_sure

    @property
    def since(self) -> int | None:
        """Step at which the oldest thing that is critical began; None while nothing is."""
        begun = [each.finding.start_step for each in self._critical.values()]
        if self._dead.count:
            begun.append(self._dead.since)
        return min(begun, default=None)

    def decide(self, now: Standing) -> Decision | None:
        """Return what to do, once for each time that it is to be done; None for nothing."""
        if self._step <= max(self._first, self._hold_until):
            return None
        if Act.STOP in self._tried and not self._acts.dry:  # it is honoured when the loop allows it
            return None
        cause = self._cause(now)
        if cause is not None:
            return self._against(cause, now)
        return self._release(now) or self._hopeless(now)

    def _cause(self, now: Standing) -> _Cause | None:
        """What is sure enough to act on; the weights first, which are a fact."""
        dead = self._dead
        if dead.is_sure and now.weights_finite is not True:
            reason = f"the loss is no number since step {dead.since:,}, for {dead.count} steps that were taken"
            return _Cause(dead.since, reason, dead=True)
        sure = self._sure()
        if not sure or now.unjudged:
            return None
        first = min(sure, key=lambda each: each.finding.start_step)
        lasted = self._step - first.finding.step
        reason = f"{first.finding.message}; {kind_name(first.finding.kind)} has stayed critical for {lasted:,} steps"
        return _Cause(first.finding.start_step, reason, dead=False)

    def _sure(self) -> list[_Confirmation]:
        """The incidents that have been critical for long enough, and still stand."""
        needed = confirm_steps(self._run, self._step)
        critical = self._critical.values()
        return [each for each in critical if each.stands and self._step - each.finding.step >= needed]

    def _against(self, cause: _Cause, now: Standing) -> Decision | None:
        return self._rewind(cause, now) or self._lower(cause, now) or self._stop(cause.reason, cause.since)

    def _rewind(self, cause: _Cause, now: Standing) -> Decision | None:
        if Act.REWIND not in self._acts or Act.REWIND in self._tried:
            return None
        # a dry run tells it also where nobody would take it back
        if not self._acts.dry and (now.checkpoint is None or now.rewinds_left < 1):
            return None
        self._tried.append(Act.REWIND)
        excess = max(now.rate_excess, now.rate_excess_then)
        off_plan = excess > OFF_PLAN
        skip = None if off_plan else offending_steps(self._rows, cause.since)
        factor = 1.0 / excess if off_plan else self._acts.limits.cut if now.rewinds_done else 1.0
        return Decision(Act.REWIND, self._step, cause.reason, cause.since, factor, skip=skip, to_plan=off_plan)

    def _lower(self, cause: _Cause, now: Standing) -> Decision | None:
        limits, cut = self._acts.limits, self.cut
        if Act.LOWER_LEARNING_RATE not in self._acts or cause.dead or cut.times >= limits.cuts:
            return None
        if self._acts.dry and Act.LOWER_LEARNING_RATE in self._tried:
            return None
        for_plan = now.rate_excess > OFF_PLAN
        factor = 1.0 / now.rate_excess if for_plan else cut.factor * limits.cut
        if factor >= cut.factor or (factor < limits.lowest and not for_plan):
            return None
        self._tried.append(Act.LOWER_LEARNING_RATE)
        self._hold_until = self._step + CHANCE * confirm_steps(self._run, self._step)
        if not self._acts.dry:
            cut.times, cut.factor, cut.for_plan = cut.times + 1, factor, for_plan
        for confirmation in self._critical.values():  # what follows is judged by what follows
            confirmation.restart()
        lower = Act.LOWER_LEARNING_RATE
        return Decision(lower, self._step, cause.reason, cause.since, factor, lost=False, to_plan=for_plan)

    def _release(self, now: Standing) -> Decision | None:
        """Take a cut back: at once where the rate is on its plan again, else when the run has been calm."""
        calm = self._calm >= CALM * confirm_steps(self._run, self._step)
        if calm:
            self._tried = []
        if self.cut.factor == 1.0 or (now.rate_excess > OFF_PLAN if self.cut.for_plan else not calm):
            return None
        self.cut.factor, self.cut.for_plan = 1.0, False
        reason = "the scheduled rate is on its plan" if not calm else f"the loss has been calm for {self._calm:,} steps"
        return Decision(Act.LOWER_LEARNING_RATE, self._step, reason, self._step, 1.0, lost=False)

    def _hopeless(self, now: Standing) -> Decision | None:
        if not now.aims:
            self._aims_since = None
            return None
        if self._aims_since is None:
            self._aims_since = self._step
        if now.unjudged or self._step - self._aims_since < confirm_steps(self._run, self._step):
            return None
        return self._stop(now.aims, self._aims_since, lost=False)

    def _stop(self, reason: str, since: int, *, lost: bool = True) -> Decision | None:
        if Act.STOP not in self._acts or Act.STOP in self._tried:
            return None
        self._tried.append(Act.STOP)
        return Decision(Act.STOP, self._step, reason, since, self.cut.factor, lost=lost)

    def went_back(self, decision: Decision) -> None:
        """The run has gone back by this decision: a rate that was cut stays so until it is past what it was for."""
        self._hold_until = decision.step + confirm_steps(self._run, decision.step)
        if decision.factor < 1.0 and not decision.to_plan:
            self.cut.factor, self.cut.times = decision.factor, self.cut.times + 1

    def state_dict(self) -> dict[str, Any]:
        """Return what was done so far, as plain numbers: the limits are those of a run, and not of a process."""
        return {"factor": self.cut.factor, "for_plan": self.cut.for_plan, "cuts": self.cut.times}

    def load_state_dict(self, state: object) -> None:
        """Take back what `state_dict` gave; what is nothing of the kind changes nothing."""
        if not isinstance(state, Mapping):
            return
        factor, cuts = state.get("factor"), state.get("cuts")
        if isinstance(factor, float) and 0.0 < factor <= 1.0 and isinstance(cuts, int) and cuts >= 0:
            self.cut = RateCut(factor, bool(state.get("for_plan")), cuts)

"""A loss that rises and stays up, fast or slow.

Three looks at it: the CUSUM of the rise over the slow mean (rise_sum.py); where rows are far apart, in the first 512 of
them, the median of the last five against the lowest such; and in the first dozen rows the rows themselves
(short_log.py). Each is news only beyond what the run's own past explains.

Why not raw CUSUM or Page-Hinkley: on a falling loss they alarm at the improvement (17 of
19 alarms of trainscope 1.8.1 in 60,000 clean rows of a power law). Why not block means: blocks of 64 cost 64 rows of
delay.
"""

from __future__ import annotations

import math
from typing import final

from scalewatch.detect.base import AbstractDetector, Sample, amount
from scalewatch.detect.baseline import SPARSE_STEPS, UNKNOWN, RobustBaseline
from scalewatch.detect.incident_state import IncidentState
from scalewatch.detect.patience import GIVE_UP, GIVE_UP_CRITICAL, waited
from scalewatch.detect.rise_sum import LIMIT, RiseSum
from scalewatch.detect.robust_scale import BLOCK_ROWS
from scalewatch.detect.short_log import START_ROWS, FirstRows, LowestMedian
from scalewatch.detect.state import Stateful
from scalewatch.detect.wandering import Wandering
from scalewatch.finding import Finding, Kind, Phase, Severity

__all__ = ["Divergence"]

#: Rows before the rule may speak, and where each step is a row [rows]: the first rows of a log are one descent, and
#: what recurs in it has not been seen. By hand.
ARM_ROWS, DENSE_ROWS = 8, 128
#: Memory of the mean rise [rows]. By hand.
MEAN_ROWS = 8
#: One row counts in it as no more than so many times the mean and so many slow scales: 1e308 is one bad row. By hand.
MOST_TIMES, MOST_SCALES = 2.0, 24.0
#: Rise that a planned rise of the learning rate does not explain [log units]. By hand.
MUTED_RISE = 0.35
#: The same of the first warm-up: what annealing had gained is lost in it again, .27 nats of 3 in public runs
#: that went on from a decayed checkpoint [log units]. By hand.
WARMING_RISE = 0.2
#: Critical above the first [log units: 28 %] and the second [slow scales] after so many rows; or above the third (see
#: spike.py) and the fourth [scales] when it has not come back (patience.py). By hand.
CRITICAL_RISE, CRITICAL_SIGMAS, CRITICAL_ROWS = 0.25, 5.0, 8
CRITICAL_STAY, CRITICAL_STAY_SIGMAS = 0.03, 2.0
#: Part of what was learnt up to which a slow rise may have lost it [share]: less than is kept. By hand.
MOST_LOST = 0.5
#: How far the mean rise may stand off the mean of a block by chance [slow scales]: two sd of their difference. By
#: definition.
DRIFT_SIGMAS = 0.9
#: Rows of a sum that is no news, after which a slow rise is followed all the same [rows]: else what comes on top of it
#: is held against a level from long ago. By hand.
FOLLOW_ROWS = 128
#: How much further a slow rise must be to be noted again [log units: a quarter more]. By hand.
DRIFT_NOTE = 0.22
#: Over when the mean rise is below this part of its peak. By hand.
BACK = 0.3


@final
class _OpenRise(Stateful):
    """The rise that is open: the level before it and its highest mean [log units], and its rows."""

    STATE = ("level", "peak", "rows")

    def __init__(self) -> None:
        self.level = 0.0
        self.peak = 0.0
        self.rows = 0

    def begin(self, level: float, rise: float) -> None:
        self.level, self.peak, self.rows = level, rise, 0

    def see(self, rise: float) -> None:
        self.rows += 1
        if rise > self.peak:
            self.peak = rise


@final
class _Drift(Stateful):
    """A slow rise that is followed: how far it was noted [log units], and the last step before it, -1 without one.

    Attributes:
        may_be_meant: whether the objective may be made harder on purpose, slowly; that of a language model is not.
    """

    STATE = ("noted", "step")

    def __init__(self) -> None:
        self.noted, self.step = -UNKNOWN, -1
        self.may_be_meant = True


@final
class Divergence(AbstractDetector):
    """Loss above its slow mean for longer than its scatter and its own past allow.

    Rule: S > 10, and beyond what S has come back from (rise_sum.py): warning. Where rows are five steps apart or more:
    also median of five rows above the lowest by 3 scales and 1.5 %. In the first twelve rows all of several rows at
    1.65 times all before: critical. Critical else above 28 % and 5 slow scales for 8 rows, or when it stays up by 3 %
    for the patience (patience.py). A note, where rises like it settled and were undone (wandering.py), keep time
    (clock.py), or it rises as slowly as it fell and has kept more than it lost (past_levels.py); that is never
    critical. Closes when the mean of r over 8 rows is below 0.3 of its peak. NaN is skipped. Memory: some sixty
    numbers. `restart` forgets what is open.

    Attributes:
        claims: whether the objective is one that falls, so that a rise is a fault; that of a game or a policy is none.

    >>> from scalewatch.detect import DetectorSet
    >>> from scalewatch.guard import Guard
    >>> from scalewatch.observation import Observation
    >>> from scalewatch.run import Run
    >>> watch = DetectorSet(Run("doc"), Guard())
    >>> for step in range(1, 1101):
    ...     value = 3.0 + 0.01 * (step * 7 % 5) + 0.001 * max(0, step - 1000)
    ...     for finding in filter(lambda found: found.pages, watch.observe(Observation(step, value))):
    ...         print(finding.step, finding.severity, finding.message)
    1059 warning loss has risen from 3.022 to 3.073 since step 1016 (+0.051, 1.7 sigma) and stays up
    """

    name = "divergence"
    in_loss_units = True
    STATE = (
        "incident",
        "freezes_baseline",
        "freezes_trend",
        "mean_rise",
        "open",
        "muted",
        "sum",
        "first",
        "lowest",
        "habit",
        "drift",
    )

    def __init__(self, baseline: RobustBaseline) -> None:
        super().__init__(IncidentState(Kind.DIVERGENCE))
        self._baseline = baseline
        self.claims = True
        self.mean_rise = 0.0
        self.open = _OpenRise()
        self.muted = False
        self.sum = RiseSum(baseline)
        self.first = FirstRows()
        self.lowest = LowestMedian()
        self.habit = Wandering()
        self.drift = _Drift()

    def observe(self, sample: Sample) -> Finding | None:
        if not sample.usable:
            return None
        baseline, first, mean, rise = self._baseline, self.first, self.mean_rise, self._baseline.rise
        bound = MOST_TIMES * (mean if mean > 0.0 else -mean) + MOST_SCALES * baseline.slow_scale
        self.mean_rise = mean = mean + ((rise if rise < bound else bound) - mean) / MEAN_ROWS
        if self.incident.is_open:
            return self._watch(sample)
        sparse = sample.spacing >= SPARSE_STEPS
        begins = len(first.begun) <= START_ROWS
        exploded = begins and first.look(sample.value, sample.step, baseline, rows_apart=sparse)
        if baseline.frozen_by:
            self._clear(sample.step)
            return None
        if not self.claims:
            return None
        if exploded:
            found = self._open(sample, first.level, sample.value - first.level, first.step, Severity.CRITICAL)
            self.open.rows = first.rows
            return found
        if baseline.rows < ARM_ROWS:
            return None
        if (sample.rise_expected or sample.warming or self.muted) and self._is_explained(sample):
            return None
        lowest, total = self.lowest, self.sum
        if sparse and baseline.middle < UNKNOWN and lowest.look(baseline, sample.step):
            return self._open(sample, lowest.value, baseline.middle - lowest.value, lowest.step)
        risen = total.add(sample.step, sample.spacing, mean)
        self.freezes_trend = total.freezes
        if baseline.rows < DENSE_ROWS and not sparse:
            return None
        waits = self.freezes_trend and total.rows % FOLLOW_ROWS == 0
        if (risen or waits) and self._is_drift():
            return self._follow(sample, tell=risen)
        if self._has_drifted_away():
            start, low = self.drift.step if self.drift.step >= 0 else self.sum.step, baseline.scatter.blocks.past.lowest
            return self._open(sample, low, baseline.slow_mean + self.mean_rise - low, start)
        if not risen:
            return None
        return self._open(sample, baseline.slow_mean, self.mean_rise, self.sum.step)

    def _is_explained(self, sample: Sample) -> bool:
        """Whether the learning rate explains the rise; while it does, the level from before stands still."""
        rise = self.mean_rise
        if (sample.rise_expected and rise < MUTED_RISE) or (sample.warming and rise < WARMING_RISE):
            self.sum.clear(sample.step)
            self.lowest.restart()
            self.freezes_trend = self.muted = True
            return True
        if self.muted and not (sample.rise_expected or sample.warming):
            self.muted = False
            self._baseline.reset_slow_mean()
        return False

    def _is_drift(self) -> bool:
        """Whether the loss rises as slowly as it fell, and has kept more than it lost: an objective made harder."""
        baseline, past = self._baseline, self._baseline.scatter.blocks.past
        if not self.drift.may_be_meant:
            return False
        risen = baseline.slow_mean + self.mean_rise
        noise = DRIFT_SIGMAS * baseline.slow_scale
        return past.rises_slowly(risen, noise) and past.lost(risen, noise) < MOST_LOST

    def _has_drifted_away(self) -> bool:
        """Whether a slow rise has lost more by now than was kept.

        The sum of one that was followed began anew at each level, of one that lasts as long as all before it nothing is
        known from the past, and one over tens of thousands of rows takes the slow mean with it.
        """
        if not self.sum.freezes:
            return False
        baseline, past = self._baseline, self._baseline.scatter.blocks.past
        noise = DRIFT_SIGMAS * baseline.slow_scale
        if self.drift.step >= 0:
            return MOST_LOST <= past.lost(baseline.slow_mean, noise) < math.inf
        told = self.sum.total > LIMIT * baseline.memory**2
        risen = baseline.slow_mean + (self.mean_rise if told else 0.0)
        return MOST_LOST <= past.lost(risen - noise, noise) < math.inf and past.rises_slowly(risen, noise)

    def _follow(self, sample: Sample, *, tell: bool) -> Finding | None:
        """Take where the loss has drifted to for its level; a note where it is further than the note before."""
        baseline = self._baseline
        level, risen = baseline.slow_mean, baseline.slow_mean + self.mean_rise
        start = self.sum.step
        self.drift.step = start if self.drift.step < 0 else self.drift.step
        self._clear(sample.step)
        baseline.reset_slow_mean()
        low, loss_at = baseline.scatter.blocks.past.lowest, baseline.loss_scale.loss_at
        if risen < (self.drift.noted if tell else max(self.drift.noted, low)) + DRIFT_NOTE:
            return None
        self.drift.noted, lowest = risen, loss_at(low)
        message = (
            f"loss rises as slowly as it fell, to {amount(loss_at(risen))} from {amount(lowest)} at its lowest, "
            "as where training is made harder on purpose"
        )
        evidence = {"loss_nats": loss_at(risen), "level_nats": loss_at(level), "lowest_nats": lowest}
        return Finding(Kind.LEVEL_SHIFT, Severity.INFO, sample.step, start, message, evidence, Phase.OPENED)

    def restart(self) -> None:
        self.muted, self.drift.noted, self.drift.step = False, -UNKNOWN, -1
        self.mean_rise = 0.0
        self.open.rows = 0
        self.lowest.restart()
        self._release()

    def _open(
        self, sample: Sample, level: float, rise: float, start: int, severity: Severity = Severity.WARNING
    ) -> Finding:
        baseline = self._baseline
        baseline.slow_mean = level
        self.mean_rise = rise
        self.open.begin(level, rise)
        self.freezes_baseline, self.freezes_trend = True, False
        self.sum.tell()
        baseline.freeze(self.name)
        message = (
            f"loss has risen from {self._text(0.0)} to {self._text(self.mean_rise)} since step {start} "
            f"(+{amount(self._rise())}, {self.mean_rise / baseline.scale:.1f} sigma) and stays up"
        )
        self.habit.begin(level)
        clock = baseline.clock
        clock.strike(start, level, sample.spacing)
        clock.see(rise)
        if severity is Severity.WARNING and clock.known:
            severity = Severity.INFO
            message += f", as every {clock.time:,} steps"
        if severity is Severity.WARNING and self.habit.knows(level, level + rise):
            severity = Severity.INFO
            message += f", as {self.habit.count} times before"
        return self.incident.open(severity, sample.step, start, message, self._evidence(sample))

    def _watch(self, sample: Sample) -> Finding | None:
        baseline, incident = self._baseline, self.incident
        risen = self.open
        risen.see(self.mean_rise)
        baseline.clock.see(self.mean_rise)
        self.sum.go_on()
        if self.mean_rise < BACK * risen.peak:
            message = f"loss is back near {self._text(self.mean_rise)} (it was {self._text(0.0)} before it rose)"
            found = incident.close(sample.step, message, self._evidence(sample))
            self.sum.come_back()
            self.drift.step = -1
            self._release()
            return found
        steps = sample.step - incident.start_step
        critical = incident.severity == Severity.CRITICAL
        known = incident.severity == Severity.INFO and (
            baseline.clock.known or self.habit.knows(risen.level, risen.level + self.mean_rise)
        )
        if self._has_settled(sample, steps):
            message = f"loss has settled near {self._text(self.mean_rise)}, which is taken for its level from here on"
            found = incident.close(sample.step, message, self._evidence(sample))
            self.habit.settle(risen.level, risen.level + self.mean_rise)
            # another level, and the same run: what it has learnt and may lose is known
            past = baseline.scatter.blocks.past
            learnt = past.state_dict()
            baseline.restart()
            past.load_state_dict(learnt)
            self.restart()
            return found
        if known:
            return None
        if incident.severity == Severity.INFO:
            message = f"loss has risen to {self._text(self.mean_rise)}, further than at any time that it came back from"
            return incident.escalate(Severity.WARNING, sample.step, message, self._evidence(sample))
        if not critical and self._is_lost(sample, steps) and not self._is_slow():
            message = (
                f"loss does not come back: {self._text(self.mean_rise)} against {self._text(0.0)} {steps} steps ago"
            )
            return incident.escalate(Severity.CRITICAL, sample.step, message, self._evidence(sample))
        return None

    def _is_lost(self, sample: Sample, steps: int) -> bool:
        baseline, rise = self._baseline, self.mean_rise
        if rise > CRITICAL_RISE and rise > CRITICAL_SIGMAS * baseline.slow_scale and self.open.rows >= CRITICAL_ROWS:
            return True
        stays = max(CRITICAL_STAY, CRITICAL_STAY_SIGMAS * baseline.scale)
        return rise > stays and waited(self.open.rows, steps, sample.row, baseline.memory**2)

    def _is_slow(self) -> bool:
        """Whether it rises as slowly as it fell, and is not back where the run began."""
        baseline, past = self._baseline, self._baseline.scatter.blocks.past
        now = self.open.level + self.mean_rise
        noise, unseen = DRIFT_SIGMAS * baseline.slow_scale, self.open.rows / BLOCK_ROWS
        return self.drift.may_be_meant and past.lost(now - noise, noise) < 1.0 and past.rises_slowly(now, noise, unseen)

    def _has_settled(self, sample: Sample, steps: int) -> bool:
        """Whether it has stood here so long that this is its level: not if nothing is kept, or little, lost slowly."""
        baseline, past = self._baseline, self._baseline.scatter.blocks.past
        now, rows = self.open.level + self.mean_rise, self.open.rows
        give_up = GIVE_UP_CRITICAL if self.incident.severity == Severity.CRITICAL else GIVE_UP
        if not waited(rows, steps, sample.row, give_up * baseline.memory**2):
            return False
        noise = DRIFT_SIGMAS * baseline.slow_scale
        lost = past.lost(now, noise)
        if lost == math.inf or lost < MOST_LOST:
            return True
        return lost < 1.0 and not past.rises_slowly(now, noise, rows / BLOCK_ROWS)

    def _text(self, rise: float) -> str:
        """The loss so far above the level of the onset."""
        return amount(self._baseline.loss_scale.loss_at(self.open.level + rise))

    def _rise(self) -> float:
        loss_at = self._baseline.loss_scale.loss_at
        return loss_at(self.open.level + self.mean_rise) - loss_at(self.open.level)

    def _evidence(self, sample: Sample) -> dict[str, float]:
        loss_at = self._baseline.loss_scale.loss_at
        return {
            "loss_nats": loss_at(self.open.level + self.mean_rise),
            "level_nats": loss_at(self.open.level),
            "excess_nats": self._rise(),
            "sigmas": self.mean_rise / self._baseline.scale,
            "scale_relative": self._baseline.scale,
            "rows": self.open.rows,
        }

    def _clear(self, step: int) -> None:
        self.sum.clear(step)
        self.freezes_trend = False

    def _release(self) -> None:
        self.incident.reset()
        self._clear(self.sum.step)
        self.freezes_baseline = False
        self._baseline.unfreeze(self.name)

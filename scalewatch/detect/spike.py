"""A loss that jumps: told apart from one bad batch by whether the next row is still high.

    z = (log loss - level) / scale        level and scale as they were before the first high row

A batch of odd text is high once; weights that were thrown off stay off for a while. In a log of every fifth step or
rarer the weights may have come back between two rows, and a bad batch seldom falls on a logged step: there one row
that is high enough is a spike.

Why not a multiple of the mean: the rules of 2x, 3x or 10x that frameworks ship miss a jump of 0.6 nats at 3.1, twenty
scales. Why not the mean and sd of a window: a bad batch doubles the sd, and a NaN
blinds it.
"""

from __future__ import annotations

from typing import final

from scalewatch.detect.base import AbstractDetector, Sample, amount
from scalewatch.detect.baseline import SPARSE_STEPS, RobustBaseline
from scalewatch.detect.excursions import Excursions
from scalewatch.detect.incident_state import IncidentState
from scalewatch.detect.patience import GIVE_UP, GIVE_UP_CRITICAL, waited
from scalewatch.detect.state import Stateful
from scalewatch.finding import Finding, Kind, Phase, Severity

__all__ = ["Spike"]

#: Rows before the rule may speak [rows]: by hand, the memory of the fast mean; and where each step is a row: what
#: recurs has not been seen before. By hand.
ARM_ROWS, DENSE_ROWS = 8, 32
#: One row so far above the level is worth a note [scales]; the confirmed bad batches in data/ stand at 5.4 to 25.
#: By hand.
NOTE_SIGMAS = 6.0
#: Two rows running above the first, their sum above the second, are a spike [scales]. A sum of 12 is 8.5 sd of the
#: sum of two rows, as rare as one row at 8 sd, or two at 6. By hand.
STAY_SIGMAS, SUM_SIGMAS = 4.0, 12.0
#: The same between rows that are far apart: no bad batch covers both, so 7 sd of the sum will do. By hand.
SPARSE_STAY, SPARSE_SUM = 3.5, 10.0
#: Of rows that follow each other two are as good as one: the sd of their sum is so many times that of two that do
#: not [ratio]. By definition.
MOST_AS_ONE = 2.0**0.5
#: There one row is a spike alone, at 7 sd too, if it is up by so much [scales, log units]: the largest confirmed bad
#: batch of a whole global batch lifted the loss by 9 % (data/, modded_nanogpt). By hand.
ALONE_SIGMAS, ALONE_EXCESS = 7.0, 0.09
#: How far each row must be one by itself for that (baseline.py), from 0 to 1. By hand.
LEAST_ALONE = 0.5
#: What a pair far below the highest counts as one alike, in the past of pairs [share]: one bad pair is not to blind for
#: long. By hand.
SMALLER = 1.0 / 32.0
#: By how much further a pair must be beyond the past where rows are not each one by itself [ratio]. By hand.
PAIR_FACTOR = 0.33
#: Least excess that is worth waking someone [log units: 2 % of the loss]: by hand, beyond what data order moves.
PAGE_EXCESS = 0.02
#: Excess that a planned rise of the learning rate does not explain [log units: 42 % of the loss]: by hand.
MUTED_EXCESS = 0.35
#: Back to normal: the mean of z over so many rows, each row clipped, is below the first [scales]. One low row would end
#: a spike in its tail, and the tail would be a divergence. By hand.
CALM_SIGMAS, CALM_CLIP, CALM_ROWS = 1.0, 6.0, 4
#: Not back after the patience (patience.py) is critical if it is still up by so much [log units: 3 %]: by Kaplan's
#: L ~ C^-0.05 (Kaplan et al. 2020, arXiv 2001.08361) the price of 1.8 times the compute.
CRITICAL_EXCESS = 0.03
#: And by so much over the last rows [scales]. By hand.
CRITICAL_SIGMAS = 2.0


@final
class _HighRow(Stateful):
    """A row above the level: where it stands, its loss [nats/token], and how far it is above [scales]."""

    STATE = ("step", "loss", "sigmas")

    def __init__(self) -> None:
        self.step = 0
        self.loss = 0.0
        self.sigmas = 0.0

    def be(self, step: int, loss: float, sigmas: float) -> None:
        self.step, self.loss, self.sigmas = step, loss, sigmas


@final
class Spike(AbstractDetector):
    """Loss above its tracked level by more than its scatter allows, for two rows or more.

    Rule: two rows running with z > 4, z1 + z2 > 12 and 2 % of excess: warning (in a log of every fifth step or rarer
    z > 3.5 and 10, or one row with z > 7 and 9 %). One row with z > 6 and the next below 4: a bad batch, info.
    Closes when the mean of z over 4 rows is below 1; critical when it is still up by 3 % and 2 scales
    after the patience (patience.py); a note where it keeps time (clock.py). NaN is skipped. Memory: ten numbers.
    `restart` forgets what is open.

    >>> from random import Random
    >>> from scalewatch.detect import DetectorSet
    >>> from scalewatch.guard import Guard
    >>> from scalewatch.observation import Observation
    >>> from scalewatch.run import Run
    >>> watch, noise = DetectorSet(Run("doc"), Guard()), Random(1)
    >>> loss = [noise.gauss(3.0, 0.03) for step in range(1, 101)] + [3.6, 3.5] + 10 * [3.02]
    >>> for step, value in enumerate(loss, start=1):
    ...     for finding in watch.observe(Observation(step, value)):
    ...         print(finding.step, finding.severity, finding.message)
    102 warning loss rose from 2.988 to 3.600 (+0.612, 17 sigma) for 2 logged steps
    """

    name = "spike"
    in_loss_units = True
    STATE = (
        "incident",
        "freezes_baseline",
        "pending",
        "first",
        "peak",
        "level_loss",
        "rows",
        "high_rows",
        "mean_sigmas",
        "before",
        "singles",
        "pairs",
    )

    def __init__(self, baseline: RobustBaseline) -> None:
        super().__init__(IncidentState(Kind.SPIKE))
        self._baseline = baseline
        # whether a high row stands before this one, which may be the first of a spike
        self.pending = False
        self.first, self.peak = _HighRow(), _HighRow()
        self.level_loss = 0.0
        self.rows = 0
        self.high_rows = 0
        self.mean_sigmas = 0.0
        self.before = 0.0
        self.singles = Excursions()
        self.pairs = Excursions(smaller=SMALLER)

    def observe(self, sample: Sample) -> Finding | None:
        if not sample.usable:
            return None
        if self.incident.is_open:
            return self._watch(sample)
        z, before = self._baseline.sigmas, self.before
        pair, self.before = before if before < z else z, z
        if self._baseline.rows < ARM_ROWS:
            return None
        sparse = sample.spacing >= SPARSE_STEPS
        high = z > (SPARSE_STAY if sparse else STAY_SIGMAS)
        found = self._judge(sample, high, sparse, pair) if high or self.pending else None
        if not self.incident.is_open:
            if sparse:
                self.singles.see(z, ended=z < CALM_SIGMAS)
            self.pairs.see(pair, ended=z < CALM_SIGMAS)
        return found

    def restart(self) -> None:
        self.pending = False
        self.rows = self.high_rows = 0
        self._release()

    def _judge(self, sample: Sample, high: bool, sparse: bool, pair: float) -> Finding | None:
        baseline = self._baseline
        muted = sample.rise_expected and baseline.excess < MUTED_EXCESS
        if baseline.frozen_by or muted or (sample.row < DENSE_ROWS and not sparse):
            self.pending = self.freezes_baseline = False
            return None
        if high and baseline.excess > PAGE_EXCESS and baseline.matters(sample.value, baseline.fast_mean):
            if self.pending and self._stays(sparse, pair, baseline.alone(sample.spacing)):
                return self._open(sample, self.first.step, 2)
            if baseline.alone(sample.spacing) > LEAST_ALONE and self._stands_alone():
                return self._open(sample, sample.step, 1)
        found = self._bad_batch(sample) if self.pending and not high and self.first.sigmas > NOTE_SIGMAS else None
        self.pending = self.freezes_baseline = high
        if high:
            self.first.be(sample.step, sample.loss, baseline.sigmas)
            self.level_loss = baseline.loss_scale.loss_at(baseline.fast_mean)
        return found

    def _stays(self, sparse: bool, pair: float, alone: float) -> bool:
        """Whether two rows running are a spike: by the scatter, and by what the run has come back from."""
        least = (SPARSE_SUM if sparse else SUM_SIGMAS) * min(self._baseline.memory, MOST_AS_ONE)
        if self.first.sigmas + self._baseline.sigmas <= least:
            return False
        strict = 1.0 - alone
        return self.pairs.beyond(pair, factor=1.0 + PAIR_FACTOR * strict, lasted=1.0 + strict, alone=alone)

    def _stands_alone(self) -> bool:
        z, excess = self._baseline.sigmas, self._baseline.excess
        return z > ALONE_SIGMAS and excess > ALONE_EXCESS and self.singles.beyond(z, alone=1.0)

    def _bad_batch(self, sample: Sample) -> Finding:
        row = self.first
        rise = row.loss - self.level_loss
        message = (
            f"loss of step {row.step} was {amount(row.loss)} instead of {amount(self.level_loss)} "
            f"(+{amount(rise)}, {row.sigmas:.0f} sigma) and the next row is normal: a bad batch"
        )
        evidence = {
            "loss_nats": row.loss,
            "level_nats": self.level_loss,
            "excess_nats": rise,
            "sigmas": row.sigmas,
        }
        return Finding(Kind.BAD_BATCH, Severity.INFO, sample.step, row.step, message, evidence, Phase.OPENED)

    def _open(self, sample: Sample, start: int, rows: int) -> Finding:
        self.level_loss = self._baseline.loss_scale.loss_at(self._baseline.fast_mean)
        first, peak = self.first, self.peak
        peak.be(sample.step, sample.loss, self._baseline.sigmas)
        if rows > 1 and first.loss > sample.loss:
            peak.be(first.step, first.loss, first.sigmas)
        self.rows, self.high_rows, self.mean_sigmas = rows, rows, CALM_CLIP
        self.pending, self.freezes_baseline = False, True
        self.singles.drop()
        self.pairs.drop()
        self._baseline.freeze(self.name)
        tail = f"for {rows} logged steps" if rows > 1 else f"in a log of every {sample.spacing:.0f} steps"
        message = (
            f"loss rose from {amount(self.level_loss)} to {amount(peak.loss)} "
            f"(+{amount(peak.loss - self.level_loss)}, {peak.sigmas:.0f} sigma) {tail}"
        )
        clock = self._baseline.clock
        clock.strike(start, self._baseline.fast_mean, sample.spacing)
        clock.see(self._baseline.excess)
        if clock.known:
            message += f", as every {clock.time:,} steps"
        severity = Severity.INFO if clock.known else Severity.WARNING
        return self.incident.open(severity, sample.step, start, message, self._evidence(sample))

    def _watch(self, sample: Sample) -> Finding | None:
        baseline, incident = self._baseline, self.incident
        self.rows += 1
        if sample.loss > self.peak.loss:
            self.peak.be(sample.step, sample.loss, baseline.sigmas)
        z = min(baseline.sigmas, CALM_CLIP)
        self.mean_sigmas += (z - self.mean_sigmas) / CALM_ROWS
        baseline.clock.see(min(baseline.excess, CALM_CLIP * CALM_CLIP * baseline.scale))
        if z > STAY_SIGMAS:
            self.high_rows = self.rows
        if self.mean_sigmas < CALM_SIGMAS:
            message = (
                f"loss is back at {amount(sample.loss)} after {self.high_rows} high "
                f"{'row' if self.high_rows == 1 else 'rows'} (peak {amount(self.peak.loss)})"
            )
            found = incident.close(sample.step, message, self._evidence(sample))
            self._release()
            return found
        if incident.severity == Severity.INFO and not baseline.clock.known:
            message = f"loss has risen to {amount(sample.loss)}, further than at the times that it came back from"
            return incident.escalate(Severity.WARNING, sample.step, message, self._evidence(sample))
        steps, patience = sample.step - incident.start_step, baseline.memory**2
        if not waited(self.rows, steps, sample.row, patience):
            return None
        give_up = GIVE_UP_CRITICAL if incident.severity == Severity.CRITICAL else GIVE_UP
        if waited(self.rows, steps, sample.row, give_up * patience):
            message = f"loss has settled near {amount(sample.loss)}, which is taken for its level from here on"
            found = incident.close(sample.step, message, self._evidence(sample))
            baseline.restart()
            self._release()
            return found
        if (
            incident.severity == Severity.WARNING
            and baseline.excess > CRITICAL_EXCESS
            and self.mean_sigmas > CRITICAL_SIGMAS
        ):
            message = (
                f"loss still {amount(sample.loss)} after {steps:,} steps; it was {amount(self.level_loss)} before the "
                f"spike (peak {amount(self.peak.loss)})"
            )
            return incident.escalate(Severity.CRITICAL, sample.step, message, self._evidence(sample))
        return None

    def _evidence(self, sample: Sample) -> dict[str, float]:
        return {
            "loss_nats": sample.loss,
            "level_nats": self.level_loss,
            "excess_nats": sample.loss - self.level_loss,
            "peak_nats": self.peak.loss,
            "sigmas": self.peak.sigmas,
            "scale_relative": self._baseline.scale,
            "rows": self.rows,
        }

    def _release(self) -> None:
        self.incident.reset()
        self.freezes_baseline = False
        self._baseline.unfreeze(self.name)

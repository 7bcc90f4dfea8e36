"""A loss that jumps: told apart from one bad batch by whether the next row is still high."""

from __future__ import annotations

import math
from typing import final

from scalewatch.detect.base import AbstractDetector, Incident, Sample, amount
from scalewatch.detect.level import Level
from scalewatch.finding import Finding, Kind, Phase, Severity

__all__ = ["Spike"]

#: Rows before the rule may speak [rows].
ARM_ROWS = 8
#: One row so far above the level is worth a note [scales].
NOTE_SIGMAS = 6.0
#: Rows in a row above this, whose sum is above the next, are a spike [scales].
STAY_SIGMAS = 4.0
SUM_SIGMAS = 12.0
#: Least excess that is worth waking someone [log units: 0.02 is 2 % of the loss].
PAGE_EXCESS = 0.02
#: In a log of every n-th step one high row is worth it alone, if it is this far up [scales, log units]:
#: the largest confirmed bad batch of a whole global batch lifted the loss by 9 % (data/, modded_nanogpt).
SPARSE_SPACING = 5.0
SPARSE_SIGMAS = 8.0
SPARSE_EXCESS = 0.09
#: Excess that a planned rise of the learning rate does not explain [log units: 42 % of the loss].
MUTED_EXCESS = 0.35
#: Back to normal: below so many scales for so many rows.
CALM_SIGMAS = 3.0
CALM_ROWS = 3
#: A spike that has not come back after so many steps, and rows, is critical (SCIENCE 7: a few hundred steps).
PATIENCE_STEPS = 300
PATIENCE_ROWS = 16
#: Patience times this, and the new level is taken for the normal one.
GIVE_UP = 8


@final
class Spike(AbstractDetector):
    """Loss above its tracked level by more than its scatter allows, for two rows or more.

    Rule, with z = (log loss - level) / scale: two rows running with z > 4 and z1 + z2 > 12 and an excess of
    at least 2 %: warning. One row with z > 6 and the next below 4: a bad batch, info; in a log of every
    fifth step or rarer, one row with z > 8 and 9 % is a spike too, for weights recover between two rows and
    a bad batch seldom falls on a logged step. Closes after 3 rows with z < 3; critical when it has not come
    back after 300 steps. Memory: a dozen numbers; `restart` forgets what is open.
    """

    name = "spike"
    STATE = (
        "life",
        "pending",
        "pending_step",
        "pending_loss",
        "pending_sigmas",
        "level_loss",
        "peak_loss",
        "peak_sigmas",
        "rows",
        "calm",
    )

    def __init__(self, level: Level) -> None:
        self.life = Incident(Kind.SPIKE)
        self.suspects = False
        self._level = level
        self.pending = 0
        self.pending_step = 0
        self.pending_loss = 0.0
        self.pending_sigmas = 0.0
        self.level_loss = 0.0
        self.peak_loss = 0.0
        self.peak_sigmas = 0.0
        self.rows = 0
        self.calm = 0

    def observe(self, sample: Sample) -> Finding | None:
        if not sample.usable:
            return None
        if self.life.is_open:
            return self._watch(sample)
        sigmas = self._level.sigmas
        if sigmas <= STAY_SIGMAS and self.pending == 0:
            self.suspects = False
            return None
        return self._judge(sample, sigmas)

    def _judge(self, sample: Sample, sigmas: float) -> Finding | None:
        level = self._level
        if level.held_by or level.rows < ARM_ROWS or (sample.muted and level.excess < MUTED_EXCESS):
            self.pending, self.suspects = 0, False
            return None
        high = sigmas > STAY_SIGMAS
        if self.pending and high and self.pending_sigmas + sigmas > SUM_SIGMAS and level.excess > PAGE_EXCESS:
            return self._open(sample, self.pending_step, 2)
        found: Finding | None = None
        if self.pending and self.pending_sigmas > NOTE_SIGMAS and not high:
            found = self._bad_batch(sample)
        if high and sample.spacing >= SPARSE_SPACING and sigmas > SPARSE_SIGMAS and level.excess > SPARSE_EXCESS:
            return self._open(sample, sample.step, 1)
        self.pending = 1 if high else 0
        self.suspects = high
        if high:
            self.pending_step, self.pending_loss, self.pending_sigmas = sample.step, sample.loss, sigmas
            self.level_loss = math.exp(level.near)
        return found

    def _bad_batch(self, sample: Sample) -> Finding:
        rise = self.pending_loss - self.level_loss
        message = (
            f"loss of step {self.pending_step} was {amount(self.pending_loss)} against {amount(self.level_loss)} "
            f"(+{amount(rise)} nats, {self.pending_sigmas:.0f} sigma) and the next row is normal: a bad batch"
        )
        evidence = {
            "loss_nats": self.pending_loss,
            "level_nats": self.level_loss,
            "excess_nats": rise,
            "sigmas": self.pending_sigmas,
        }
        return Finding(Kind.BAD_BATCH, Severity.INFO, sample.step, self.pending_step, message, evidence, Phase.OPENED)

    def _open(self, sample: Sample, start: int, rows: int) -> Finding:
        self.level_loss = math.exp(self._level.near)
        self.peak_loss, self.peak_sigmas = sample.loss, self._level.sigmas
        if rows > 1 and self.pending_loss > sample.loss:
            self.peak_loss, self.peak_sigmas = self.pending_loss, self.pending_sigmas
        self.rows, self.calm, self.pending, self.suspects = rows, 0, 0, True
        self._level.held_by = self.name
        tail = f"and has stayed high for {rows} rows" if rows > 1 else f"in a log of every {sample.spacing:.0f} steps"
        message = (
            f"loss rose from {amount(self.level_loss)} to {amount(self.peak_loss)} "
            f"(+{amount(self.peak_loss - self.level_loss)} nats, {self.peak_sigmas:.0f} sigma) {tail}"
        )
        return self.life.open(Severity.WARNING, sample.step, start, message, self._evidence(sample))

    def _watch(self, sample: Sample) -> Finding | None:
        level = self._level
        self.rows += 1
        if sample.loss > self.peak_loss:
            self.peak_loss, self.peak_sigmas = sample.loss, level.sigmas
        self.calm = self.calm + 1 if level.sigmas < CALM_SIGMAS else 0
        if self.calm >= CALM_ROWS:
            self._end()
            message = (
                f"loss is back at {amount(sample.loss)} after {self.rows - CALM_ROWS} rows "
                f"(peak {amount(self.peak_loss)})"
            )
            return self.life.close(sample.step, message, self._evidence(sample))
        steps = sample.step - self.life.start_step
        if self.rows < PATIENCE_ROWS or steps < PATIENCE_STEPS:
            return None
        if self.rows >= GIVE_UP * PATIENCE_ROWS and steps >= GIVE_UP * PATIENCE_STEPS:
            self._end()
            level.restart()
            message = f"loss has settled near {amount(sample.loss)}: taken for its level from here on"
            return self.life.close(sample.step, message, self._evidence(sample))
        if self.life.severity != Severity.CRITICAL and self.calm == 0:
            message = (
                f"loss has not come back: {amount(sample.loss)} against {amount(self.level_loss)} "
                f"{steps} steps ago (peak {amount(self.peak_loss)})"
            )
            return self.life.escalate(Severity.CRITICAL, sample.step, message, self._evidence(sample))
        return None

    def _evidence(self, sample: Sample) -> dict[str, float]:
        return {
            "loss_nats": sample.loss,
            "level_nats": self.level_loss,
            "excess_nats": sample.loss - self.level_loss,
            "peak_nats": self.peak_loss,
            "sigmas": self.peak_sigmas,
            "scale_log": self._level.scale,
            "rows": self.rows,
        }

    def _end(self) -> None:
        self.suspects = False
        self._level.held_by = ""

    def restart(self) -> None:
        self.life.forget()
        self.pending = self.rows = self.calm = 0
        self._end()

"""A loss that rises and stays up, fast or slow."""

from __future__ import annotations

import math
from typing import final

from scalewatch.detect.base import AbstractDetector, Incident, Sample, amount
from scalewatch.detect.level import Level
from scalewatch.finding import Finding, Kind, Severity

__all__ = ["Divergence"]

#: Rows before the rule may speak [rows].
ARM_ROWS = 8
#: One-sided CUSUM of the rise: allowance, limit, largest step [scales]. At .5 and 12 white noise fires once in
#: a million rows (Siegmund 1985: (exp(2kb) - 2kb - 1) / 2k^2, b = h + 1.166).
ALLOWANCE = 0.5
LIMIT = 10.0
SLACK = 1.0
CLIP = 3.0
#: From here on the base does not rise with the loss [scales].
DOUBT = 4.0
DOUBT_ROWS = 128
#: Memory of the mean rise [rows].
MEAN_ROWS = 8
#: Least mean rise that is worth waking someone [log units: 1 % of the loss]: laws and data order err by .5-2 %.
PAGE_RISE = 0.01
#: Rise that a planned rise of the learning rate does not explain [log units].
MUTED_RISE = 0.35
#: Above its first value by so much for so many rows while nothing is known yet [log units, rows].
ABOVE_START = 0.5
ABOVE_START_ROWS = 2
#: Critical above this rise [log units: 28 %], or when it has not come back after so many steps, and rows.
CRITICAL_RISE = 0.25
PATIENCE_STEPS = 300
PATIENCE_ROWS = 16
GIVE_UP = 8
#: Over when the mean rise is below this part of its peak.
BACK = 0.3


@final
class Divergence(AbstractDetector):
    """Loss above its base for longer than its scatter allows.

    Rule, with r = log loss - base and s the slow scale: S = max(0, S + min(r / s, 3) - 0.5) > 12 and the mean
    of r over the last 8 rows above 1 %: warning. Critical when r stays for 300 steps or passes 28 %. In the
    first 8 rows: two rows at 1.65 times the first. Closes when the mean of r is below 0.3 of its peak.
    Memory: eight numbers; `restart` forgets what is open.
    """

    name = "divergence"
    STATE = ("life", "sum", "onset_step", "onset_loss", "mean_rise", "peak_rise", "rows", "first", "seen", "above")

    def __init__(self, level: Level) -> None:
        self.life = Incident(Kind.DIVERGENCE)
        self.suspects = False
        self._level = level
        self.sum = 0.0
        self.onset_step = 0
        self.onset_loss = 0.0
        self.mean_rise = 0.0
        self.peak_rise = 0.0
        self.rows = 0
        self.first = 0.0
        self.seen = 0
        self.above = 0

    def observe(self, sample: Sample) -> Finding | None:
        if not sample.usable:
            return None
        level = self._level
        rise = level.rise
        self.mean_rise += (rise - self.mean_rise) / MEAN_ROWS
        if self.life.is_open:
            return self._watch(sample)
        self.seen += 1
        if level.rows < ARM_ROWS:
            return self._start(sample)
        if level.held_by:
            self.sum = 0.0
            return None
        if sample.muted and self.mean_rise < MUTED_RISE:
            self.sum = 0.0
            level.settle()
            return None
        z = rise / (level.scale * level.wander)
        total = self.sum + (z if z < CLIP else CLIP) - ALLOWANCE - SLACK * min(level.base_rows, 256) ** -0.5
        if total <= 0.0:
            self.sum, self.onset_step, self.doubts = 0.0, sample.step, False
            return None
        if total > LIMIT:
            if self.mean_rise > PAGE_RISE:
                self.sum = 0.0
                return self._open(sample, self.onset_step, level.base)
            total = LIMIT
        self.sum = total
        self.doubts = DOUBT < total < LIMIT and level.base_rows > DOUBT_ROWS
        return None

    def _start(self, sample: Sample) -> Finding | None:
        if self.seen == 1:
            self.first, self.onset_step = sample.log_loss, sample.step
            return None
        self.above = self.above + 1 if sample.log_loss > self.first + ABOVE_START else 0
        if self.above < ABOVE_START_ROWS:
            return None
        self._level.base = self.first
        self.mean_rise = sample.log_loss - self.first
        return self._open(sample, self.onset_step, self.first)

    def _open(self, sample: Sample, start: int, base: float) -> Finding:
        self.onset_loss, self.peak_rise, self.rows, self.suspects = math.exp(base), self.mean_rise, 0, True
        self._level.held_by = self.name
        now = math.exp(min(base + self.mean_rise, 700.0))
        message = (
            f"loss has risen from {amount(self.onset_loss)} to {amount(now)} since step {start} "
            f"(+{amount(now - self.onset_loss)} nats, {self.mean_rise / self._level.scale:.1f} sigma) and stays up"
        )
        severity = Severity.CRITICAL if self.mean_rise > CRITICAL_RISE else Severity.WARNING
        return self.life.open(severity, sample.step, start, message, self._evidence(sample))

    def _watch(self, sample: Sample) -> Finding | None:
        self.rows += 1
        if self.mean_rise > self.peak_rise:
            self.peak_rise = self.mean_rise
        if self.mean_rise < BACK * self.peak_rise:
            self._end()
            message = f"loss is back at {amount(sample.loss)} (it was {amount(self.onset_loss)} before it rose)"
            return self.life.close(sample.step, message, self._evidence(sample))
        steps = sample.step - self.life.start_step
        late = self.rows >= PATIENCE_ROWS and steps >= PATIENCE_STEPS
        if self.rows >= GIVE_UP * PATIENCE_ROWS and steps >= GIVE_UP * PATIENCE_STEPS:
            self._end()
            self._level.restart()
            message = f"loss has settled near {amount(sample.loss)}: taken for its level from here on"
            return self.life.close(sample.step, message, self._evidence(sample))
        if self.life.severity != Severity.CRITICAL and (late or self.mean_rise > CRITICAL_RISE):
            message = (
                f"loss does not come back: {amount(sample.loss)} against {amount(self.onset_loss)} {steps} steps ago"
            )
            return self.life.escalate(Severity.CRITICAL, sample.step, message, self._evidence(sample))
        return None

    def _evidence(self, sample: Sample) -> dict[str, float]:
        return {
            "loss_nats": sample.loss,
            "level_nats": self.onset_loss,
            "excess_nats": sample.loss - self.onset_loss,
            "rise_log": self.mean_rise,
            "scale_log": self._level.scale,
            "rows": self.rows,
        }

    def _end(self) -> None:
        self.suspects = self.doubts = False
        self.sum = 0.0
        self._level.held_by = ""

    def restart(self) -> None:
        self.life.forget()
        self.mean_rise = self.sum = 0.0
        self.seen = self.above = self.rows = 0
        self._end()

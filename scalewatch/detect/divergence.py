"""A loss that rises and stays up, fast or slow.

    S = max(0, S + min(r / s, 3) - 0.4 - 1/sqrt(n))      r = log loss - slow mean, n: rows that it rests on

S grows by what the rise has more than four tenths of a scale, so that half a scale for a hundred rows counts as much as
three scales for twenty; one bad batch counts for less than three. In the first 512 rows of a log, where no slow mean
has
settled, the median of the last five rows is compared with the lowest such median instead: neither lags behind a falling
loss. Noise that grows together with the loss does not excuse it: of the scale then and now, at least half counts.

Why not raw CUSUM or Page-Hinkley: on a falling loss they alarm at the improvement (17 of
19 alarms of trainscope 1.8.1 in 60,000 clean rows of a power law). Why not block means: blocks of 64 cost 64 rows of
delay.
"""

from __future__ import annotations

import math
from typing import final

from scalewatch.detect.base import AbstractDetector, Sample, amount
from scalewatch.detect.baseline import UNKNOWN, RobustBaseline, nats
from scalewatch.detect.incident_state import IncidentState
from scalewatch.finding import Finding, Kind, Severity

__all__ = ["Divergence"]

#: Rows before the rule may speak [rows]. By hand.
ARM_ROWS = 8
#: One-sided CUSUM: allowance, limit, largest step [slow scales]. With the slow mean known to 1/16 and a slow scale that
#: is 1.09 scales, white noise alarms once in 4e5 rows (Siegmund 1985: (exp(2kb) - 2kb - 1) / 2k^2, b = h + 1.166).
ALLOWANCE, LIMIT, CLIP = 0.4, 10.0, 3.0
#: From here on [slow scales] a slow mean that rests on so many rows stays where it is. By hand.
FREEZE, FREEZE_ROWS = 4.0, 128
#: Memory of the slow mean [rows], as baseline.py has it.
SLOW_ROWS = 256
#: Memory of the mean rise [rows]. By hand.
MEAN_ROWS = 8
#: Least mean rise that is worth waking someone [log units: 1 % of the loss]: laws and the order of data err by .5-2 %.
#: By hand.
PAGE_RISE = 0.01
#: Short logs: median of five above the lowest by so many scales and so much [scales, log units]. A median of five
#: scatters by .54 scales, so 3 scales are 4 sd of a difference of two; 1.5 % because the lowest is low by chance.
#: By hand.
SHORT_SIGMAS, SHORT_RISE = 3.0, 0.015
#: Least part of the present scale that counts there. By hand.
SHORT_SHARE = 0.5
#: Rise that a planned rise of the learning rate does not explain [log units]. By hand.
MUTED_RISE = 0.35
#: Above the first row by so much for so many rows, while nothing is known yet [log units: 65 %, rows]. By hand.
START_RISE, START_ROWS = 0.5, 2
#: Critical above the first [log units: 28 %]; or above the second (see spike.py) when it has not come back after so
#: many steps, and rows. By hand.
CRITICAL_RISE, CRITICAL_STAY = 0.25, 0.03
PATIENCE_STEPS, PATIENCE_ROWS = 300, 16
#: So many times the patience, and where it stands is taken for its level: when critical, and when not. By hand.
GIVE_UP_CRITICAL, GIVE_UP = 8, 2
#: Over when the mean rise is below this part of its peak. By hand.
BACK = 0.3


@final
class Divergence(AbstractDetector):
    """Loss above its slow mean for longer than its scatter allows.

    Rule: S > 10 and the mean of r over the last 8 rows above 1 %: warning; in the first 512 rows also median of five
    rows above the lowest by 3 scales and 1.5 %; in the first 8 rows two rows at 1.65 times the first. Critical above
    28 %, or when it stays up by 3 % for 300 steps. Closes when the mean of r is below 0.3 of its peak. NaN is
    skipped. Memory: a dozen numbers. `restart` forgets what is open.

    >>> from scalewatch.detect import DetectorSet
    >>> from scalewatch.guard import Guard
    >>> from scalewatch.observation import Observation
    >>> from scalewatch.run import Run
    >>> watch = DetectorSet(Run("doc"), Guard())
    >>> for step in range(1, 1101):
    ...     value = 3.0 + 0.01 * (step * 7 % 5) + 0.001 * max(0, step - 1000)
    ...     for finding in filter(lambda found: found.pages, watch.observe(Observation(step, value))):
    ...         print(finding.step, finding.severity, finding.message)
    1043 warning loss has risen from 3.022 to 3.056 since step 1016 (+0.034 nats, 1.1 sigma) and stays up
    """

    name = "divergence"
    STATE = (
        "incident",
        "freezes_baseline",
        "freezes_trend",
        "sum",
        "onset_step",
        "onset_loss",
        "mean_rise",
        "peak_rise",
        "rows",
        "first",
        "above",
        "lowest",
        "lowest_scale",
        "lowest_step",
    )

    def __init__(self, baseline: RobustBaseline) -> None:
        super().__init__(IncidentState(Kind.DIVERGENCE))
        self._baseline = baseline
        self.sum = 0.0
        self.onset_step = 0
        self.onset_loss = 0.0
        self.mean_rise = 0.0
        self.peak_rise = 0.0
        self.rows = 0
        self.first = 0.0
        self.above = 0
        self.lowest = UNKNOWN
        self.lowest_scale = 0.0
        self.lowest_step = 0

    def observe(self, sample: Sample) -> Finding | None:
        if not sample.usable:
            return None
        baseline = self._baseline
        self.mean_rise += (baseline.rise - self.mean_rise) / MEAN_ROWS
        if self.incident.is_open:
            return self._watch(sample)
        if baseline.rows < ARM_ROWS:
            return self._early(sample)
        if baseline.frozen_by:
            self._calm(sample.step)
            return None
        if sample.rise_expected and self.mean_rise < MUTED_RISE:
            self._calm(sample.step)
            self.lowest = UNKNOWN
            baseline.reset_slow_mean()
            return None
        if baseline.middle < UNKNOWN and self._above_lowest(sample.step):
            self.mean_rise = baseline.middle - self.lowest
            baseline.slow_mean = self.lowest
            return self._open(sample, self.lowest_step)
        return self._sum_up(sample)

    def restart(self) -> None:
        self.mean_rise = 0.0
        self.above = self.rows = 0
        self.lowest = UNKNOWN
        self._release()

    def _sum_up(self, sample: Sample) -> Finding | None:
        baseline = self._baseline
        z = baseline.rise / baseline.slow_scale
        rests_on = baseline.slow_rows if baseline.slow_rows < SLOW_ROWS else SLOW_ROWS
        total = self.sum + (z if z < CLIP else CLIP) - ALLOWANCE - rests_on**-0.5
        if total <= 0.0:
            self._calm(sample.step)
            return None
        if total > LIMIT:
            high = baseline.slow_mean + self.mean_rise
            if self.mean_rise > PAGE_RISE and baseline.matters(high, baseline.slow_mean):
                return self._open(sample, self.onset_step)
            total = LIMIT
        self.sum = total
        self.freezes_trend = FREEZE < total < LIMIT and baseline.slow_rows > FREEZE_ROWS
        return None

    def _above_lowest(self, step: int) -> bool:
        baseline = self._baseline
        middle = baseline.middle
        if middle < self.lowest:
            self.lowest, self.lowest_scale, self.lowest_step = middle, baseline.scale, step
            return False
        scale = min(baseline.scale, max(self.lowest_scale, SHORT_SHARE * baseline.scale))
        return middle - self.lowest > SHORT_SIGMAS * scale + SHORT_RISE and baseline.matters(middle, self.lowest)

    def _early(self, sample: Sample) -> Finding | None:
        """The first rows: a run that starts by exploding is above its first row."""
        if self._baseline.rows == 0:
            self.first, self.lowest, self.onset_step, self.above = sample.log_loss, UNKNOWN, sample.step, 0
        self.above = self.above + 1 if sample.log_loss > self.first + START_RISE else 0
        if self.above < START_ROWS or self._baseline.frozen_by:
            return None
        self._baseline.slow_mean = self.first
        self.mean_rise = sample.log_loss - self.first
        return self._open(sample, self.onset_step)

    def _open(self, sample: Sample, start: int) -> Finding:
        baseline = self._baseline
        self.onset_loss, self.peak_rise, self.rows = nats(baseline.slow_mean), self.mean_rise, 0
        self.sum, self.freezes_baseline, self.freezes_trend = 0.0, True, False
        baseline.freeze(self.name)
        message = (
            f"loss has risen from {amount(self.onset_loss)} to {amount(self._now())} since step {start} "
            f"(+{amount(self._now() - self.onset_loss)} nats, {self.mean_rise / baseline.scale:.1f} sigma) and stays up"
        )
        severity = Severity.CRITICAL if self.mean_rise > CRITICAL_RISE else Severity.WARNING
        return self.incident.open(severity, sample.step, start, message, self._evidence(sample))

    def _watch(self, sample: Sample) -> Finding | None:
        baseline, incident = self._baseline, self.incident
        self.rows += 1
        if self.mean_rise > self.peak_rise:
            self.peak_rise = self.mean_rise
        if self.mean_rise < BACK * self.peak_rise:
            message = f"loss is back near {amount(self._now())} (it was {amount(self.onset_loss)} before it rose)"
            found = incident.close(sample.step, message, self._evidence(sample))
            self._release()
            return found
        steps = sample.step - incident.start_step
        times = GIVE_UP_CRITICAL if incident.severity == Severity.CRITICAL else GIVE_UP
        if self.rows >= times * PATIENCE_ROWS and steps >= times * PATIENCE_STEPS:
            message = f"loss has settled near {amount(self._now())}, which is taken for its level from here on"
            found = incident.close(sample.step, message, self._evidence(sample))
            baseline.restart()
            self.restart()
            return found
        late = self.rows >= PATIENCE_ROWS and steps >= PATIENCE_STEPS and self.mean_rise > CRITICAL_STAY
        if incident.severity != Severity.CRITICAL and (late or self.mean_rise > CRITICAL_RISE):
            message = (
                f"loss does not come back: {amount(self._now())} against {amount(self.onset_loss)} {steps} steps ago"
            )
            return incident.escalate(Severity.CRITICAL, sample.step, message, self._evidence(sample))
        return None

    def _now(self) -> float:
        """Loss of the last rows, from their mean logarithm [nats]."""
        return nats(math.log(self.onset_loss) + self.mean_rise)

    def _evidence(self, sample: Sample) -> dict[str, float]:
        now = self._now()
        return {
            "loss_nats": now,
            "level_nats": self.onset_loss,
            "excess_nats": now - self.onset_loss,
            "sigmas": self.mean_rise / self._baseline.scale,
            "scale_relative": self._baseline.scale,
            "rows": self.rows,
        }

    def _calm(self, step: int) -> None:
        self.sum, self.onset_step, self.freezes_trend = 0.0, step, False

    def _release(self) -> None:
        self.incident.reset()
        self.freezes_baseline = self.freezes_trend = False
        self.sum = 0.0
        self._baseline.unfreeze(self.name)

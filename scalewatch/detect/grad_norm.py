"""A gradient norm that jumps and stays up."""

from __future__ import annotations

import math
from typing import final

from scalewatch.detect.base import AbstractDetector, Sample, amount
from scalewatch.detect.baseline import RobustBaseline
from scalewatch.detect.incident_state import IncidentState
from scalewatch.detect.loss_scale import nats
from scalewatch.finding import Finding, Kind, Severity

__all__ = ["GradNorm"]

#: Rows before the rule may speak [rows]: the norm falls by orders of magnitude in the first hundred. By hand.
ARM_ROWS = 64
#: A row so far above the level [scales] and by such a factor [log units: 3 times] is worth a note: by hand.
NOTE_SIGMAS = 10.0
NOTE_EXCESS = 1.1
#: A row so far above the level [scales] and by such a factor [log units: 1.5 times] is kept for whoever asks what came
#: before an incident; so many rows running without one begin anew [rows]. By hand.
HIGH_SIGMAS, HIGH_EXCESS, HIGH_ROWS = 4.0, 0.4, 16
#: High rows less calm ones that make it worth waking someone [rows]: by hand.
STAY_ROWS = 16
#: Patience: a norm that stays up for so many rows is its new level [rows]: by hand, two slow means.
GIVE_UP_ROWS = 512


@final
class GradNorm(AbstractDetector):
    """Gradient norm far above its level: a note, and a warning when it stays up.

    Rule, with g = log norm, z = (g - level) / scale: z > 10 and g above the level by 1.1 (three times): info. While
    it is open, c counts rows above half of that up, to 32, and others down: warning at c = 16, closed at c = 0. NaN and
    infinity belong to `NonFiniteGradient`. Memory: a level of its own; `restart` forgets the level.

    Attributes:
        high_step, high_last, high_rows: first and last step and count of the rows above the level by 4 scales and 1.5
            times, with at most 16 rows between them.

    >>> from scalewatch.detect.base import Sample
    >>> detector, row = GradNorm(), Sample()
    >>> row.grad_given = True
    >>> for row.step in range(1, 141):
    ...     row.grad_norm = (0.5 if row.step <= 100 else 5.0) + 0.01 * (row.step * 7 % 5)
    ...     finding = detector.observe(row)
    ...     if finding is not None:
    ...         print(finding.step, finding.severity, finding.message)
    101 info gradient norm jumped from 0.518 to 5.020 (40 sigma)
    116 warning gradient norm stays up: 5.020 against 0.518 before step 101
    """

    name = "gradient norm"
    STATE = ("incident", "baseline", "count", "rows", "peak", "high_step", "high_last", "high_rows", "high_row")

    def __init__(self) -> None:
        super().__init__(IncidentState(Kind.GRAD_NORM))
        self.baseline = RobustBaseline()
        self.count = 0
        self.rows = 0
        self.peak = 0.0
        self.high_step = 0
        self.high_last = 0
        self.high_rows = 0
        self.high_row = 0

    def observe(self, sample: Sample) -> Finding | None:
        norm = sample.grad_norm
        if not (sample.grad_given and 0.0 < norm < math.inf):
            return None
        baseline = self.baseline
        baseline.score(math.log(norm))
        if baseline.sigmas > HIGH_SIGMAS and baseline.excess > HIGH_EXCESS:
            self._mark(sample)
        if self.incident.is_open:
            found = self._watch(sample, norm)
        elif baseline.sigmas > NOTE_SIGMAS and baseline.excess > NOTE_EXCESS and baseline.rows >= ARM_ROWS:
            self.count, self.rows, self.peak = 1, 1, norm
            before = amount(nats(baseline.fast_mean))
            message = f"gradient norm jumped from {before} to {amount(norm)} ({baseline.sigmas:.0f} sigma)"
            found = self.incident.open(Severity.INFO, sample.step, sample.step, message, self._evidence(norm))
        else:
            found = None
        baseline.update(self.incident.is_open)
        return found

    def _mark(self, sample: Sample) -> None:
        if self.high_rows == 0 or sample.row - self.high_row > HIGH_ROWS:
            self.high_step, self.high_rows = sample.step, 0
        self.high_rows += 1
        self.high_last, self.high_row = sample.step, sample.row

    def _watch(self, sample: Sample, norm: float) -> Finding | None:
        baseline, incident = self.baseline, self.incident
        self.rows += 1
        self.peak = max(self.peak, norm)
        self.count = min(self.count + 1, 2 * STAY_ROWS) if baseline.excess > 0.5 * NOTE_EXCESS else self.count - 1
        if self.count <= 0:
            message = f"gradient norm is back at {amount(norm)} after {self.rows} rows (peak {amount(self.peak)})"
            return incident.close(sample.step, message, self._evidence(norm))
        if self.rows >= GIVE_UP_ROWS:
            found = incident.close(sample.step, f"gradient norm has settled near {amount(norm)}", self._evidence(norm))
            baseline.restart()
            return found
        if self.count >= STAY_ROWS and incident.severity == Severity.INFO:
            message = (
                f"gradient norm stays up: {amount(norm)} against {amount(nats(baseline.fast_mean))} "
                f"before step {incident.start_step}"
            )
            return incident.escalate(Severity.WARNING, sample.step, message, self._evidence(norm))
        return None

    def _evidence(self, norm: float) -> dict[str, float]:
        return {
            "grad_norm": norm,
            "level_grad_norm": nats(self.baseline.fast_mean),
            "peak_grad_norm": self.peak,
            "sigmas": self.baseline.sigmas,
            "rows": self.rows,
        }

    def restart(self) -> None:
        self.incident.reset()
        self.baseline.restart()
        self.count = self.rows = self.high_rows = 0

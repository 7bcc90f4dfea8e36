"""A loss or a gradient norm that is no number any more."""

from __future__ import annotations

import math
from typing import final

from scalewatch.detect.base import AbstractDetector, Sample
from scalewatch.detect.baseline import SPARSE_STEPS
from scalewatch.detect.incident_state import IncidentState
from scalewatch.detect.ranks import broken_ranks, ranks_in_words
from scalewatch.finding import Evidence, Finding, Kind, Severity

__all__ = ["NonFinite", "NonFiniteGradient"]

#: Rows running without a number that mean a lost run, and of rows that are far apart [rows]: weights that are no
#: numbers give none again, a step that was skipped does. By hand.
LOST_ROWS, SPARSE_LOST_ROWS = 3, 2
#: Rows without a number, though numbers come between, that are worth waking someone [rows]. By hand.
REPEATED_ROWS = 4
#: Finite rows that end the incident [rows]: a loss that flickers between NaN and numbers is one incident. By hand.
CALM_ROWS = 16
#: Non-finite gradient norms before it is worth waking someone [rows, less finite ones]: dynamic loss scaling
#: halves its scale after each overflow, so a healthy fp16 run shows single ones, and a start from 2**16
#: some ten in a row while it finds its scale. By hand.
BAD_GRADIENTS = 16
#: Rows between bad gradients that belong together [rows]. By hand.
TOGETHER_ROWS = 64


@final
class NonFinite(AbstractDetector):
    """Loss is NaN or infinite: a note, a warning when it repeats, critical when it stays.

    Rule: not isfinite(loss): info; the fourth such row of one incident: warning; three running (two where rows are five
    steps apart or more): critical. A step that fp16 scaling or the training loop skipped leaves one such row and no
    harm. Closes after 16 finite rows. A row without any loss is skipped. Memory: three counts; `restart` closes it.

    >>> detector, row = NonFinite(), Sample()
    >>> row.loss, row.loss_given = math.nan, True
    >>> for row.step in range(7, 11):
    ...     finding = detector.observe(row)
    ...     if finding is not None:
    ...         print(finding.step, finding.severity, finding.message)
    7 info loss is nan at step 7: nothing is lost if that step was skipped
    9 critical loss is nan since step 7, 3 rows running
    """

    name = "nonfinite"
    STATE = ("incident", "calm", "running", "bad_rows")

    def __init__(self) -> None:
        super().__init__(IncidentState(Kind.NONFINITE))
        self.calm = 0
        self.running = 0
        self.bad_rows = 0

    def observe(self, sample: Sample) -> Finding | None:
        if not sample.loss_given:
            return None
        if -math.inf < sample.loss < math.inf:
            return self._finite(sample) if self.incident.is_open else None
        incident = self.incident
        self.calm = 0
        self.running += 1
        self.bad_rows += 1
        broken = broken_ranks(sample.rank_losses)
        where = f" of {ranks_in_words(broken)}" if broken else ""
        evidence: Evidence = {"loss": str(sample.loss), "rows": self.bad_rows}
        if broken:
            evidence = {**evidence, "rank": broken[0], "broken_ranks": len(broken)}
        if not incident.is_open:
            message = f"loss{where} is {sample.loss} at step {sample.step}: nothing is lost if that step was skipped"
            return incident.open(Severity.INFO, sample.step, sample.step, message, evidence)
        if incident.severity == Severity.CRITICAL:
            return None
        if self.running >= (SPARSE_LOST_ROWS if sample.spacing >= SPARSE_STEPS else LOST_ROWS):
            message = f"loss{where} is {sample.loss} since step {incident.start_step}, {self.running} rows running"
            return incident.escalate(Severity.CRITICAL, sample.step, message, evidence)
        if self.bad_rows < REPEATED_ROWS or incident.severity == Severity.WARNING:
            return None
        message = f"loss{where} keeps being {sample.loss}: {self.bad_rows} rows since step {incident.start_step}"
        return incident.escalate(Severity.WARNING, sample.step, message, evidence)

    def restart(self) -> None:
        self.incident.reset()
        self.calm = self.running = self.bad_rows = 0

    def _finite(self, sample: Sample) -> Finding | None:
        self.calm += 1
        self.running = 0
        if self.calm < CALM_ROWS:
            return None
        rows, self.bad_rows = self.bad_rows, 0
        message = (
            f"loss has been a number again for {CALM_ROWS} rows (now {sample.loss:.4g}), after {rows} "
            f"{'row' if rows == 1 else 'rows'} without one"
        )
        return self.incident.close(sample.step, message, {"loss_nats": sample.loss, "rows": rows})


@final
class NonFiniteGradient(AbstractDetector):
    """Gradient norm is NaN or infinite: a note, and a warning when it keeps happening.

    Rule: c counts non-finite rows up and finite rows down, c = max(0, c +- 1); a note at the first, a warning
    at c = 16; closes at c = 0. Loss scaling in fp16 makes single ones on purpose. Memory: five numbers; `restart`
    closes it.

    Attributes:
        bad_rows, last_step: bad rows with at most 64 rows between them, and where the last one was.
        infinite: whether one of them was infinite, not NaN.

    >>> from scalewatch.detect.base import Sample
    >>> detector, row = NonFiniteGradient(), Sample()
    >>> row.grad_given = True
    >>> for row.step in range(1, 21):
    ...     finding = detector.observe(row)
    ...     if finding is not None:
    ...         print(finding.step, finding.severity, finding.message)
    1 info gradient norm is nan at step 1: fp16 loss scaling does this now and then
    16 warning gradient norm keeps being nan (16 rows since step 1)
    """

    name = "nonfinite gradient"
    STATE = ("incident", "count", "bad_rows", "last_step", "last_row", "infinite")

    def __init__(self) -> None:
        super().__init__(IncidentState(Kind.NONFINITE_GRADIENT))
        self.count = 0
        self.bad_rows = 0
        self.last_step = 0
        self.last_row = 0
        self.infinite = False

    def observe(self, sample: Sample) -> Finding | None:
        if not sample.grad_given:
            return None
        incident = self.incident
        if -math.inf < sample.grad_norm < math.inf:
            if self.count == 0:
                return None
            self.count -= 1
            if self.count or not incident.is_open:
                return None
            return incident.close(sample.step, "gradient norm is a number again", {"grad_norm": sample.grad_norm})
        self.count += 1
        self._mark(sample)
        evidence: Evidence = {"grad_norm": str(sample.grad_norm), "rows": self.count}
        if not incident.is_open:
            message = (
                f"gradient norm is {sample.grad_norm} at step {sample.step}: fp16 loss scaling does this now and then"
            )
            return incident.open(Severity.INFO, sample.step, sample.step, message, evidence)
        if self.count == BAD_GRADIENTS and incident.severity == Severity.INFO:
            message = (
                f"gradient norm keeps being {sample.grad_norm} ({self.count} rows since step {incident.start_step})"
            )
            return incident.escalate(Severity.WARNING, sample.step, message, evidence)
        if self.count > 2 * BAD_GRADIENTS:
            self.count = 2 * BAD_GRADIENTS
        return None

    def restart(self) -> None:
        self.incident.reset()
        self.count = self.bad_rows = 0
        self.infinite = False

    def _mark(self, sample: Sample) -> None:
        if sample.row - self.last_row > TOGETHER_ROWS:
            self.bad_rows, self.infinite = 0, False
        self.bad_rows += 1
        self.last_step, self.last_row = sample.step, sample.row
        self.infinite = self.infinite or math.isinf(sample.grad_norm)

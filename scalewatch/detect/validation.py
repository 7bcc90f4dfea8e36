"""A validation loss that goes its own way."""

from __future__ import annotations

import math
from typing import final

from scalewatch.detect.base import AbstractDetector, Sample, amount
from scalewatch.detect.baseline import UNKNOWN, RobustBaseline
from scalewatch.detect.incident_state import IncidentState
from scalewatch.detect.robust_scale import NORMAL_BEND, Window
from scalewatch.detect.state import Stateful
from scalewatch.finding import Finding, Kind, Severity

__all__ = ["Validation"]

#: Validations whose scatter is the scale, and the least of them before the rule may speak [count]. By hand.
SCALE_COUNT, LEAST_COUNT = 96, 6
#: Least scale of a validation [log units: 0.1 %], while few bends say what it is. By hand.
LEAST_SCALE = 1e-3
#: Above the lowest by so many scales, and so much [log units: 0.5 %], in so many validations running: a note. By hand.
SIGMAS, NOTE_RISE, NOTE_COUNT = 4.0, 0.005, 3
#: Validations near the lowest up to which the scales above allow for how low the lowest of them lies by chance [count]:
#: that of n lies sqrt(2 ln n) below their middle. By hand.
CHANCE_COUNT = 32
#: And by so many times the highest that has come back by itself, which each validation forgets by a hundredth. By hand.
EXCURSION, FORGET = 1.5, 0.99
#: Above it by so much in so many running: a warning [log units: 3 %, by Kaplan's L ~ C^-0.05 (Kaplan et al. 2020) the
#: price of 1.8 times the compute]. By hand.
PAGE_RISE, PAGE_COUNT = 0.03, 8
#: Part of the rise that training may have risen by: beyond it the run itself is up, and other rules say so. By hand.
TRAIN_SHARE = 0.5
#: Gap between validation and training above its lowest [log units: 5 %] while validation improves no more: a note.
#: By hand.
GAP = 0.05
#: Part of what a note asks for below which it is over. By hand.
BACK = 0.5
#: NaN running before it is worth waking someone [validations]. By hand.
BAD_COUNT = 2


@final
class _Best(Stateful):
    """The lowest validation loss: its value, where it was, and where the training loss stood then [log units]."""

    STATE = ("value", "step", "train")

    def __init__(self) -> None:
        self.value = UNKNOWN
        self.step = 0
        self.train = 0.0


@final
class Validation(AbstractDetector):
    """Validation loss rises while training does not, or is no number.

    Rule, at rows with a validation: v = log of it, above its lowest by 4 scales (and by how much lower that of more
    than 32 lies by chance), 0.5 % and 1.5 times what has come back
    by itself, in 3 running, while the slow mean of the training loss has risen by less than half of that: info; by 3 %
    in 8: warning. Also info where v has not fallen below its lowest for 3 and stands 5 % more above training than at
    its best. NaN: info, warning at the second running. Closes below half of what the note asked for. Memory: 96
    numbers. `restart` begins anew and keeps the scale.

    >>> baseline, row = RobustBaseline(), Sample()
    >>> detector, row.validation_given = Validation(baseline), True
    >>> for number in range(30):
    ...     row.step, row.validation_loss = 100 * number, 3.0 - 0.02 * min(number, 12) + 0.02 * max(0, number - 12)
    ...     finding = detector.observe(row)
    ...     if finding is not None:
    ...         print(finding.step, finding.severity, finding.message)
    1500 info validation loss rises while training does not: 2.820 against 2.760 at step 1200
    2000 warning validation loss stays up while training does not: 2.920 against 2.760 at step 1200
    """

    name = "validation"
    in_loss_units = True
    STATE = (
        "incident",
        "count",
        "past",
        "bends",
        "best",
        "high",
        "wide",
        "bad",
        "peak",
        "excursion",
        "near",
    )

    def __init__(self, baseline: RobustBaseline) -> None:
        super().__init__(IncidentState(Kind.VALIDATION))
        self._baseline = baseline
        self.count = 0
        self.past: list[float] = []
        self.bends = Window(SCALE_COUNT)
        self.best = _Best()
        self.high = 0
        self.wide = 0
        self.bad = 0
        self.peak = 0.0
        self.excursion = 0.0
        self.near = 0

    def observe(self, sample: Sample) -> Finding | None:
        loss = sample.validation_loss
        if not math.isfinite(loss):
            return self._broken(sample)
        value = self._baseline.loss_scale.place(loss)
        if value != value:
            return None
        if self.bad:
            self.bad, self.high, self.wide = 0, 0, 0
            if self.incident.is_open:
                message = f"validation loss is a number again ({amount(loss)})"
                return self.incident.close(sample.step, message, {"validation_loss_nats": loss})
        train = self._baseline.slow_mean if self._baseline.rows else 0.0
        scale, best = self._scale(value), self.best
        self.near = 1 if value < best.value - scale else self.near + 1
        bar = max((SIGMAS + _chance(self.near)) * scale, NOTE_RISE, EXCURSION * self.excursion)
        self.count += 1
        self.excursion *= FORGET
        improves = value < best.value
        if improves:
            self.excursion, self.peak = max(self.excursion, self.peak), 0.0
            best.value, best.step, best.train = value, sample.step, train
        rise, train_rise = value - best.value, train - best.train
        self.peak = max(self.peak, rise)
        calm = not (sample.rise_expected or self._baseline.frozen_by)
        own = calm and rise > bar and train_rise < TRAIN_SHARE * rise
        self.high = min(self.high + 1, 2 * PAGE_COUNT) if own else 0
        self.wide = min(self.wide + 1, 2 * PAGE_COUNT) if calm and not improves and rise - train_rise > GAP + bar else 0
        if self.incident.is_open:
            return self._watch(sample, rise, bar)
        if self.count < LEAST_COUNT or max(self.high, self.wide) < NOTE_COUNT:
            return None
        what = "rises while training does not" if self.high >= NOTE_COUNT else "no longer follows training, which falls"
        message = f"validation loss {what}: {self._text(loss)}"
        return self.incident.open(Severity.INFO, sample.step, best.step, message, self._evidence(loss, train))

    def restart(self) -> None:
        self.incident.reset()
        self.count = self.high = self.wide = self.bad = self.near = 0
        self.past, self.best.value, self.peak = [], UNKNOWN, 0.0

    def _broken(self, sample: Sample) -> Finding | None:
        """A validation that is no number."""
        self.bad, incident = min(self.bad + 1, BAD_COUNT + 1), self.incident
        evidence = {"validation_loss": str(sample.validation_loss)}
        if not incident.is_open:
            message = f"validation loss is {sample.validation_loss} at step {sample.step}"
            return incident.open(Severity.INFO, sample.step, sample.step, message, evidence)
        if self.bad == BAD_COUNT and incident.severity == Severity.INFO:
            message = f"validation loss stays {sample.validation_loss} (step {sample.step})"
            return incident.escalate(Severity.WARNING, sample.step, message, evidence)
        return None

    def _scale(self, value: float) -> float:
        """Take one validation in; how much one scatters [log units]."""
        past = self.past
        past.append(value)
        if len(past) >= 3:
            self.bends.push(abs(past[0] - 2.0 * past[1] + past[2]), SCALE_COUNT)
            del past[0]
        scale = self.bends.quantile(0.5) / NORMAL_BEND if self.bends.ranked else LEAST_SCALE
        return max(scale, LEAST_SCALE)

    def _watch(self, sample: Sample, rise: float, bar: float) -> Finding | None:
        incident, loss = self.incident, sample.validation_loss
        evidence = self._evidence(loss, self._baseline.slow_mean)
        if rise <= BACK * bar and not self.wide:
            return incident.close(sample.step, f"validation loss is back at {amount(loss)}", evidence)
        if self.high >= PAGE_COUNT and rise > PAGE_RISE and incident.severity == Severity.INFO:
            message = f"validation loss stays up while training does not: {self._text(loss)}"
            return incident.escalate(Severity.WARNING, sample.step, message, evidence)
        return None

    def _text(self, loss: float) -> str:
        lowest = self._baseline.loss_scale.loss_at(self.best.value)
        return f"{amount(loss)} against {amount(lowest)} at step {self.best.step}"

    def _evidence(self, loss: float, train: float) -> dict[str, float]:
        lowest = self._baseline.loss_scale.loss_at(self.best.value)
        return {
            "validation_loss_nats": loss,
            "lowest_validation_loss_nats": lowest,
            "excess_nats": loss - lowest,
            "train_rise_relative": train - self.best.train,
            "validations": self.high,
        }


def _chance(count: int) -> float:
    """How much lower the lowest of so many lies than that of `CHANCE_COUNT` [scales]."""
    return math.sqrt(2.0 * math.log(count)) - math.sqrt(2.0 * math.log(CHANCE_COUNT)) if count > CHANCE_COUNT else 0.0

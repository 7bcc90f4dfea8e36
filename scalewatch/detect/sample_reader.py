"""From a row of a log to the sample that all detectors see: cleaned, and in order."""

from __future__ import annotations

import math
from typing import Any, final

from scalewatch.detect.base import Sample
from scalewatch.detect.loss_scale import LossScale
from scalewatch.detect.state import Stateful
from scalewatch.observation import Observation

__all__ = ["SampleReader"]

#: Seconds beyond this are no time [s]: 30 million years. By hand.
MAX_SECONDS = 1e15
#: Steps beyond this are no steps [steps]: 64-bit integers end at 2**63. By hand.
MAX_STEP = 2**62


@final
class SampleReader(Stateful):
    """Cleans rows into one sample, which is the same object each time, and knows which of them are new.

    Memory: four counts, and the scale of the loss.

    Attributes:
        sample: the newest row, cleaned. losses, norms, validations: whether a row ever carried one.

    >>> reader = SampleReader()
    >>> [reader.read(Observation(step, "3.1")) for step in (1, 2, 2, 5, 3)], reader.sample.loss
    ([1, 1, 0, 1, -2], 3.1)
    """

    STATE = (
        "last_step",
        "first_step",
        "epoch_rows",
        "rows",
        "validated",
        "losses",
        "norms",
        "validations",
        "loss_scale",
        "last_loss",
    )

    def __init__(self) -> None:
        self.sample = Sample()
        self.last_step = 0
        self.first_step = 0
        self.epoch_rows = 0
        self.rows = 0
        self.losses = self.norms = self.validations = False
        self.loss_scale = LossScale()
        self.last_loss = 0.0

    @property
    def validated(self) -> bool:
        """Whether the newest row carries a validation loss."""
        return self.sample.validation_given

    @validated.setter
    def validated(self, given: bool) -> None:
        self.sample.validation_given = given

    def _loaded(self) -> None:
        sample = self.sample
        sample.row, sample.step, sample.loss = self.rows, self.last_step, self.last_loss

    def read(self, observation: Observation) -> int:
        """Take one row into the sample: 1 for a new step, 0 for a repeated one (left out), -n for n steps back."""
        sample = self.sample
        step = observation.step
        if type(step) is not int or not -MAX_STEP <= step <= MAX_STEP:
            step = _step(step, self.last_step)
        jump = step - self.last_step
        if self.rows and jump == 0:
            return 0
        _, logged, rate, norm, tokens, validation, seconds, ranks, precursors, _ = observation
        given: float | None = logged if type(logged) is float else _number(logged)
        if rate is not None and type(rate) is not float:
            rate = _number(rate)
        if norm is not None and type(norm) is not float:
            norm = _number(norm)
        if tokens is not None and type(tokens) is not float:
            tokens = _number(tokens)
        if seconds is not None and type(seconds) is not float:
            seconds = _number(seconds)
        sample.loss_given, sample.grad_given = given is not None, norm is not None
        if not self.norms and norm is not None and norm != 0.0:
            self.norms = True
        loss = math.nan if given is None else given
        sample.step, sample.loss = step, loss
        sample.learning_rate = math.nan if rate is None else rate
        sample.grad_norm = math.nan if norm is None else norm
        sample.tokens = math.nan if tokens is None else tokens
        if validation is None:
            sample.validation_given = False
        else:
            self.read_validation(validation)
        sample.seconds = seconds if seconds is not None and -MAX_SECONDS < seconds < MAX_SECONDS else math.nan
        sample.rank_losses = ranks
        sample.precursors = precursors
        sample.rise_expected = False
        value = self.loss_scale.take(loss)
        sample.usable = value == value
        sample.value = value if sample.usable else 0.0
        if sample.usable:
            self.last_loss = loss
        if not self.losses and loss == loss:
            self.losses = True
        self.rows += 1
        self.last_step = step
        if jump < 0 or self.epoch_rows == 0:
            self.first_step, self.epoch_rows = step, 0
        self.epoch_rows += 1
        sample.row = self.rows
        sample.spacing = (step - self.first_step) / (self.epoch_rows - 1) if self.epoch_rows > 1 else 1.0
        return 1 if jump > 0 or self.rows == 1 else jump

    def read_validation(self, value: Any) -> None:
        """Take the validation loss of the newest row, which may be logged apart from its training loss."""
        loss = value if type(value) is float else _number(value)
        self.sample.validation_given = loss is not None
        self.validations = self.validations or loss is not None
        self.sample.validation_loss = math.nan if loss is None else loss


def _number(value: Any) -> float | None:
    """A float, or None for what is no one number: nothing, text, complex numbers, arrays of several values."""
    if value is None:
        return None
    is_one = isinstance(value, (int, float, str)) or not hasattr(value, "item")  # a Decimal, a Fraction
    try:
        return float(value if is_one else value.item())
    except (AttributeError, TypeError, ValueError, OverflowError, RuntimeError):
        return None


def _step(value: Any, last: int) -> int:
    """A step count, or the next one where the row carries none."""
    try:
        step = int(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return last + 1
    return max(-MAX_STEP, min(MAX_STEP, step))

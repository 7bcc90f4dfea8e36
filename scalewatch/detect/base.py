"""What every detector is: it sees one sample after another and says something only when there is news.

One `Sample` carries one row to all of them. What a detector remembers is named in `STATE`, so that saving, loading
and the checks on every detector need no line of it.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, final

from scalewatch.detect.baseline import RobustBaseline
from scalewatch.detect.incident_state import IncidentState
from scalewatch.detect.state import Stateful
from scalewatch.finding import Finding
from scalewatch.text import few_digits

__all__ = ["AbstractDetector", "Sample", "amount"]


@final
class Sample:
    """One row of the log, cleaned, with what the shared level knows about it. One object, reused each row.

    Attributes:
        row: rows seen so far, this one included, count.
        step: optimizer steps completed.
        loss: the loss as it was logged [nats/token]; NaN where it is missing or no number.
        loss_given: whether the row carries a loss at all.
        usable: whether the loss has a value on its scale: it is finite, and positive where the scale is logarithmic.
        value: the loss on the scale that it is watched on (loss_scale.py); 0 where it is not usable.
        grad_norm: gradient norm before clipping; NaN where it is not a number.
        grad_given: whether the row carries a gradient norm at all.
        learning_rate: rate of this step; NaN where unknown.
        seconds: wall-clock time of this row from any origin [s]; NaN where unknown.
        tokens: consumed up to and including this step, count; NaN where unknown.
        validation_loss: loss on held-out text [nats/token]; NaN where it is no number.
        validation_given: whether the row carries one.
        rank_losses: loss of each rank as it was given, or nothing.
        precursors: what was measured inside the model, as it was given, or nothing.
        rise_expected: whether a planned rise of the learning rate explains a rise of the loss.
        warming: whether the learning rate warms up for the first time, or did lately.
        spacing: optimizer steps per row of this log, mean.
    """

    __slots__ = (
        "grad_given",
        "grad_norm",
        "learning_rate",
        "loss",
        "loss_given",
        "precursors",
        "rank_losses",
        "rise_expected",
        "row",
        "seconds",
        "spacing",
        "step",
        "tokens",
        "usable",
        "validation_given",
        "validation_loss",
        "value",
        "warming",
    )

    def __init__(self) -> None:
        self.row = 0
        self.step = 0
        self.loss = math.nan
        self.loss_given = False
        self.usable = False
        self.value = 0.0
        self.grad_norm = math.nan
        self.tokens = math.nan
        self.grad_given = False
        self.learning_rate = math.nan
        self.seconds = math.nan
        self.validation_loss = math.nan
        self.validation_given = False
        self.rank_losses: tuple[float, ...] | None = None
        self.precursors: Mapping[str, float] | None = None
        self.rise_expected = False
        self.warming = False
        self.spacing = 1.0


class AbstractDetector(Stateful):
    """Watches for one thing, in constant time and memory.

    Attributes:
        name: what its guard, the table and a log call it.
        in_loss_units: whether it remembers values of the loss, which a change of their scale makes void.
        incident: its incident.
        freezes_baseline: whether the row just seen may belong to an incident, so that no baseline may learn from it.
        freezes_trend: whether the slow mean must not move with it.
    """

    name: ClassVar[str]
    in_loss_units: ClassVar[bool] = False

    def __init__(self, incident: IncidentState) -> None:
        self.incident = incident
        self.freezes_baseline = False
        self.freezes_trend = False

    def attach(self, baseline: RobustBaseline) -> None:
        """Be given the shared baseline of the loss, before the first row; for detectors from outside that want it."""

    @abstractmethod
    def observe(self, sample: Sample) -> Finding | None:
        """Look at one row; say something if there is news."""

    @abstractmethod
    def restart(self) -> None:
        """Forget levels and what is open, for the run went back to an earlier step. Keep scales."""


def amount(value: float) -> str:
    """A loss or a ratio as people write it.

    >>> amount(3.01249), amount(144.43), amount(6.6e30)
    ('3.012', '144.4', '6.6e30')
    """
    size = abs(value)
    if size >= 1e5 or 0 < size < 1e-3:
        return few_digits(value, 2)
    return f"{value:.3f}" if size < 100 else f"{value:.1f}"

"""What an advice is made from: the state of a run, and what its people want of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

from scalewatch.checkpoints import SavedCheckpoint
from scalewatch.finding import Finding
from scalewatch.forecast.forecast import LawResidual
from scalewatch.forecast.forecaster import Forecaster
from scalewatch.forecast.schedule_detector import ScheduleDetector
from scalewatch.given import number_between
from scalewatch.run import Run

__all__ = ["AdviceContext", "Goals"]


@final
@dataclass(frozen=True, slots=True)
class Goals:
    """What the people of a run want of it; None for what they did not say.

    Attributes:
        target_loss: final loss that it is for [nats/token].
        incumbent_loss: final loss of the best run so far, which it has to beat [nats/token].
        least_gain: final loss that the rest of the run must buy to be worth its compute [nats/token].

    Raises:
        ConfigError: if one is not positive and finite.
    """

    target_loss: float | None = None
    incumbent_loss: float | None = None
    least_gain: float | None = None

    def __post_init__(self) -> None:
        for name in ("target_loss", "incumbent_loss", "least_gain"):
            value: Any = getattr(self, name)
            if value is not None:
                what = "positive and finite [nats/token], or None"
                object.__setattr__(self, name, number_between(name, value, what))

    @property
    def bar(self) -> tuple[float, str] | None:
        """The lower of target and incumbent, and which it is; None if neither is known."""
        known = [(self.target_loss, "target"), (self.incumbent_loss, "incumbent")]
        return min(((loss, name) for loss, name in known if loss is not None), default=None)


@final
@dataclass(frozen=True, slots=True)
class AdviceContext:
    """Where a run stands, as far as an advice depends on it.

    Attributes:
        step: newest step. open_incidents: the newest finding of each open incident.
        spikes: spikes so far. rollbacks: how often it went back to before an incident.
        spacing: optimizer steps to a row of its log, mean.
        gap: how far it is off its law, None without one or while it is on it.
        off_plan: where the learning rate stands against its plan.
        run, forecaster: of the run; without them nothing is said of its end.
        goals: what is wanted of it. checkpoints: that it has left and are still there.
    """

    step: int
    open_incidents: Sequence[Finding]
    spikes: int
    gap: LawResidual | None
    off_plan: ScheduleDetector
    rollbacks: int = 0
    spacing: float = 1.0
    run: Run | None = None
    forecaster: Forecaster | None = None
    goals: Goals = field(default_factory=Goals)
    checkpoints: Sequence[SavedCheckpoint] = ()

    @property
    def is_over(self) -> bool:
        """Whether the planned end was reached."""
        return self.run is not None and self.run.total_steps is not None and self.step >= self.run.total_steps

    @property
    def of_text(self) -> bool:
        """Whether the loss is known to be one of text."""
        return self.run is not None and self.run.is_text

"""How far a run is, as its training thread says it: newest step, curve and forecast."""

from __future__ import annotations

import math
from typing import final

from scalewatch.alert.digest import ForecastRow
from scalewatch.alert.loss_history import LossHistory

__all__ = ["Progress"]

#: Forecasts of a run that are held against the thresholds, and steps between two where its length is unknown.
FORECASTS, FORECAST_STEPS = 100, 1_000


@final
class Progress:
    """The newest of a run.

    Args:
        total_steps: planned, None if unknown. forecasts: whether anybody reads them.

    Attributes:
        step: newest, -1 before the first. losses: the curve. forecast: the newest.
        first: when and at which step it began to be watched; None before [Unix seconds, step].
        forecast_due: step at which a forecast is wanted next; never if nobody reads them.
    """

    def __init__(self, total_steps: int | None, *, forecasts: bool) -> None:
        self.step, self.total_steps = -1, total_steps
        self.losses = LossHistory()
        self.forecast: ForecastRow | None = None
        self.first: tuple[float, int] | None = None
        self.forecast_due = 0.0 if forecasts else math.inf
        self._apart = max(1, total_steps // FORECASTS) if total_steps else FORECAST_STEPS

    def add(self, step: int, loss: float) -> None:
        """Take in one row."""
        self.step = step
        self.losses.add(step, loss)

    def postpone(self) -> None:
        """A forecast was made now; say when the next is due."""
        self.forecast_due = self.step + self._apart

"""The forecasts that a run is held against when it ends: at each tenth of its plan, as they were given.

At a tenth the curve so far is kept, which takes some hundredths of a millisecond; the forecast is made from it when
somebody first reads it, which takes some milliseconds and gives the same number. Most of them nobody reads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, final

from scalewatch.forecast.forecast import Forecast
from scalewatch.forecast.forecaster import Forecaster
from scalewatch.forecast.pinball_loss import pinball
from scalewatch.guard import Guard
from scalewatch.text import away

__all__ = ["MOST_SUM", "TENTHS", "Look", "Looks", "Milestone", "next_look"]

#: Stands for the step of a look that never comes: JSON has no infinity. By definition.
NEVER = -1.0
#: A sum of losses is no higher: what overflows is infinite, and no JSON. The largest double, by hand.
MOST_SUM = 1e308
#: A run is looked at, and advice from its forecast refreshed, at each tenth of its plan. By hand.
TENTHS = 10


def next_look(step: int, total_steps: int | None, parts: int = TENTHS) -> float:
    """Return the step after `step` at which a run is looked at next, at each of `parts` of its plan before its end.

    >>> next_look(0, 1_000), next_look(100, 1_000), next_look(900, 1_000), next_look(5, None)
    (100.0, 200.0, inf, inf)
    """
    if total_steps is None:
        return math.inf
    part = max(math.floor(parts * step / total_steps), 0) + 1
    return total_steps * part / parts if part < parts else math.inf


@final
@dataclass(frozen=True, slots=True)
class Milestone:
    """A forecast as it was given at some part of the run, kept to be held against the outcome.

    Attributes:
        progress: part of the planned steps done, 0 for before the start.
        step: steps completed. final_loss: the forecast. low, high: its 80 % interval, all three in the loss's unit.
    """

    progress: float
    step: int
    final_loss: float
    low: float
    high: float

    def text(self) -> str:
        """The forecast and its interval."""
        return f"{self.final_loss:.3f}   80 % interval {self.low:.3f} to {self.high:.3f}"

    def holds(self, loss: float) -> bool:
        """Whether the interval holds the loss that came."""
        return self.low <= loss <= self.high

    def score(self, loss: float) -> str:
        """What is said of the forecast once the final loss is known: inside or not, its error, its pinball loss."""
        penalty = pinball(loss, {0.1: self.low, 0.5: self.final_loss, 0.9: self.high})
        return f"{'inside' if self.holds(loss) else 'OUTSIDE'}, {away(self.final_loss, loss)}, pinball {penalty:.4f}"


@final
class Look:
    """One look at the forecast of a run.

    Args:
        progress: part of the planned steps done.
        made: the milestone, None for none, or what makes the forecast of then, which the first who reads it asks.
    """

    __slots__ = ("_made", "progress")

    def __init__(self, progress: float, made: Milestone | Callable[[], Forecast | None] | None) -> None:
        self.progress = progress
        self._made = made

    @property
    def milestone(self) -> Milestone | None:
        """The forecast as it was given; None if there was nothing to say."""
        if callable(self._made):
            forecast = self._made()
            self._made = None if forecast is None else _milestone(self.progress, forecast)
        return self._made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Look) and self.milestone == other.milestone

    def __hash__(self) -> int:
        return hash(self.progress)

    @classmethod
    def from_plain(cls, values: list[float]) -> Look:
        """Return the look that `to_plain` gave the numbers of."""
        progress, *forecast = values
        if not forecast:
            return cls(float(progress), None)
        step, final, low, high = forecast
        return cls(float(progress), Milestone(float(progress), int(step), float(final), float(low), float(high)))

    def to_plain(self) -> list[float]:
        """Return it as numbers: the part of the plan and, if there was a forecast, step, final loss, low and high."""
        made = self.milestone
        return [self.progress] if made is None else [made.progress, made.step, made.final_loss, made.low, made.high]


@final
class Looks:
    """The looks at a run so far, and the step of the next one.

    Args:
        total_steps: of the plan, None without one.

    Attributes:
        made: oldest first. due: step at which the run is looked at next; infinite where it is not.
    """

    def __init__(self, total_steps: int | None) -> None:
        self._total = total_steps
        self.made: list[Look] = []
        self.due = next_look(0, total_steps)

    def at(self, step: int, forecaster: Forecaster | None, guard: Guard) -> None:
        """Keep the curve as it stands at `step`, for the forecast of then."""
        tenth = math.floor(TENTHS * step / (self._total or 1))
        self.due = next_look(step, self._total)
        if forecaster is not None and tenth < TENTHS:
            make = partial(guard.call, "forecast", forecaster.frozen().forecast)
            self.made.append(Look(tenth / TENTHS, make))

    def rewind(self, step: int) -> None:
        """Forget what was kept from `step` on: the run went back to it."""
        self.made = [look for look in self.made if look.progress * (self._total or 1) < max(step, 1)]
        self.due = next_look(step - 1, self._total)

    def state_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        due = self.due if math.isfinite(self.due) else NEVER
        return {"milestones": [look.to_plain() for look in self.made], "next_milestone": due}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.made = [Look.from_plain(values) for values in state["milestones"]]
        self.due = math.inf if (due := float(state["next_milestone"])) == NEVER else due


def _milestone(progress: float, forecast: Forecast) -> Milestone:
    return Milestone(progress, forecast.step, forecast.final_loss, *forecast.interval(0.8))

"""A forecast as it is kept: the end of the run, and what the loss should be soon, to be held against it then."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from scalewatch.forecast import Forecast

__all__ = ["LEVELS", "SavedForecast", "saved_forecast"]

#: Levels of the intervals that are kept.
LEVELS = (0.5, 0.8, 0.95)
#: How far ahead the loss is forecast to be held against what comes, as a part of the planned run: two looks on.
AHEAD_SHARE = 0.05


class SavedForecast(NamedTuple):
    """A forecast as it was made on the way.

    Attributes:
        step: steps completed then. final_loss: what was forecast [nats/token].
        low_50 to high_95: its intervals [nats/token].
        ahead_step: a later step of which the loss was forecast too, None beyond the plan. ahead: its intervals, low and
            high at 50, 80 and 95 % [nats/token].
    """

    step: int
    final_loss: float
    low_50: float
    high_50: float
    low_80: float
    high_80: float
    low_95: float
    high_95: float
    ahead_step: int | None = None
    ahead: tuple[float, ...] = ()


def saved_forecast(forecast: Forecast) -> SavedForecast:
    """Return what is kept of a forecast; takes some milliseconds."""
    levels = [0.5 + sign * level / 2 for level in LEVELS for sign in (-1, 1)]
    ends = forecast.quantiles(levels).tolist()
    soon = round(forecast.step + AHEAD_SHARE * forecast.total_steps)
    if soon > forecast.total_steps:
        return SavedForecast._make((forecast.step, forecast.final_loss, *ends, None, ()))
    bounds = tuple(forecast.quantiles_at(soon, levels).tolist())
    return SavedForecast._make((forecast.step, forecast.final_loss, *ends, soon, bounds))

"""What a chart or an answer was asked for: the parameters of a request, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from scalewatch.charts.x_axis import XUnit
    from scalewatch_tensorboard.runs.run_state import RunState

__all__ = ["ChartRequest"]

#: Width of a chart that nobody gave one [px].
WIDTH_PX = 900


@final
@dataclass(frozen=True, slots=True)
class ChartRequest:
    """A request, checked and with its runs looked up.

    Attributes:
        x: unit of the x axis: steps, tokens, flops or hours.
        xscale, yscale: linear or log.
        from_, to: the window in units of `x`; None for all.
        compare: runs to be drawn beside. reference: the run that others are held against, None for none.
        dark: colours for a dark page. width: of the chart [px].
        total_steps, schedule: a user's guess at the plan; already part of the run that a figure is given.
        at: step at which a what-if begins. extend: a longer run [steps]. decay: hold, then decay over so many steps
            to the planned end [steps]. rate: a factor on the learning rate.
        alternative: name of the alternative to show; None for the usual ones.
    """

    x: XUnit = "steps"
    xscale: str = "linear"
    yscale: str = "linear"
    from_: float | None = None
    to: float | None = None
    compare: tuple[RunState, ...] = ()
    reference: RunState | None = None
    dark: bool = False
    width: int = WIDTH_PX
    total_steps: int | None = None
    schedule: str | None = None
    at: float | None = None
    extend: int | None = None
    decay: int | None = None
    rate: float | None = None
    alternative: str | None = None

    @property
    def window(self) -> tuple[float, float] | None:
        """The window in units of `x`, None for the whole run; an open end is infinite."""
        if self.from_ is None and self.to is None:
            return None
        infinite = float("inf")
        return (-infinite if self.from_ is None else self.from_, infinite if self.to is None else self.to)

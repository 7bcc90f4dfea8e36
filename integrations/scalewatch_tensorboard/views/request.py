"""What a chart or an answer was asked for: the parameters of a request, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from scalewatch.charts.x_axis import XUnit
    from scalewatch_tensorboard.runs.run_state import RunState

__all__ = ["SMOOTH", "AxesRequest", "ChartRequest", "WhatIfRequest"]

#: Smoothing that nobody chose: a mean of each hundredth of what is shown.
SMOOTH = 2
#: Width of a chart that nobody gave one [px].
WIDTH_PX = 900


@final
@dataclass(frozen=True, slots=True)
class AxesRequest:
    """Over what a run is drawn.

    Attributes:
        x: unit of the x axis: steps, tokens, flops or hours. log_x, log_y: logarithmic axes; of the loss
            None for what fits it.
        smooth: how much lines are smoothed, 0 to 4.
        window: from and to in that unit, infinite for an open end; None for all.
    """

    x: XUnit = "steps"
    log_x: bool = False
    log_y: bool | None = None
    window: tuple[float, float] | None = None
    smooth: int = SMOOTH


@final
@dataclass(frozen=True, slots=True)
class WhatIfRequest:
    """Which other schedules are asked about.

    Attributes:
        at: step at which they begin, None for the newest. extend: a longer run [steps].
        decay: hold, then decay over so many steps to the planned end [steps]. rate: a factor on the learning rate.
        alternative: name of the one to draw; None for the usual ones.
    """

    at: float | None = None
    extend: int | None = None
    decay: int | None = None
    rate: float | None = None
    alternative: str | None = None


@final
@dataclass(frozen=True, slots=True)
class ChartRequest:
    """A request, checked and with its runs looked up.

    Attributes:
        axes: over what. compare: runs to be drawn beside. reference: the run that others are held against, or None.
        dark: colours for a dark page. width: of the chart [px].
        total_steps, schedule: a user's guess at the plan; already part of the run that a figure is given.
        whatif: other schedules.
    """

    axes: AxesRequest = AxesRequest()
    compare: tuple[RunState, ...] = ()
    reference: RunState | None = None
    dark: bool = False
    width: int = WIDTH_PX
    total_steps: int | None = None
    schedule: str | None = None
    whatif: WhatIfRequest = WhatIfRequest()

"""Loss against compute, twice: on logarithmic axes, where a law is nearly straight, and on linear ones.

Logarithmic axes shrink the error where it costs most, at the largest runs. The linear twin beside them has the
same runs, the same law and the same interval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats
from scalewatch.charts.axes import LOSS_TITLE, axis, span
from scalewatch.charts.frame import Frame, finished
from scalewatch.charts.marks import Placed, Ribbon, colours, panel_title, placed_layers, ribbon_layers
from scalewatch.charts.records import columns, rows
from scalewatch.charts.theme import Theme
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    import altair as alt

__all__ = ["loss_against_compute"]

PANEL, HEIGHT = 355, 330
#: Losses above this quantile do not stretch the logarithmic axis, if they lie a tenth beyond it.
SHOWN, FAR = 0.995, 1.1
#: Compute over the largest from which runs set the linear loss axis: on it, all smaller runs are one line.
LARGEST = 30.0
#: Compute beyond the largest run that the linear axis goes on.
BEYOND = 1.5


def loss_against_compute(
    flops: ArrayLike,
    loss: ArrayLike,
    frame: Frame,
    *,
    law: Ribbon | None = None,
    here: Placed | None = None,
) -> alt.TopLevelMixin:
    """Draw finished runs against what they cost, on logarithmic and on linear axes.

    Args:
        flops: of each run [FLOP], shape (n,). loss: final [nats/token], shape (n,).
        frame: around it.
        law: least loss over compute, with the interval of a run on it. here: a run to point out.

    Raises:
        ConfigError: if no run can be drawn.
    """
    import altair as alt

    theme = frame.theme
    (cost, losses), _ = columns("runs", flops=flops, loss=loss) if np.size(flops) else ([np.zeros(0)] * 2, np.zeros(0))
    known = [("run", theme.ink)] * bool(len(cost)) + ([] if law is None else [(law.label, theme.law)])
    colour = colours("series", known, orient="top", direction="horizontal", labelLimit=420, symbolOpacity=1)
    shown = np.append(cost, [] if here is None else here.flops)
    if not len(shown):
        raise ConfigError("There is nothing to draw: give a run.")
    far = losses > FAR * np.quantile(losses, SHOWN) if len(losses) else np.zeros(0, dtype=bool)
    large = (cost >= shown.max() / LARGEST) & ~far
    if far.any():
        frame = frame.noting(f"{int(far.sum())} of {len(losses)} runs lie above the upper edge.")
    panels = [
        _panel(cost, losses, ~far, law, here, colour, theme, log=True),
        _panel(cost, losses, large if large.any() or here is not None else ~far, law, here, colour, theme, log=False),
    ]
    return finished(alt.hconcat(*panels, spacing=22), frame)


def _panel(
    cost: Floats,
    loss: Floats,
    shown: NDArray[np.bool_],
    law: Ribbon | None,
    here: Placed | None,
    colour: Any,
    theme: Theme,
    *,
    log: bool,
) -> Any:
    """One panel; the runs that are `shown` set its loss axis."""
    import altair as alt

    at = [] if here is None else [here.flops]
    ends = [] if here is None else [here.loss, here.low or here.loss, here.high or here.loss]
    end = np.inf if log else BEYOND * max([*cost.tolist(), *at])
    part = np.zeros(0, dtype=bool) if law is None else (law.x >= min([*cost[shown].tolist(), *at])) & (law.x <= end)
    bands = [np.zeros(0)] if law is None else [law.low[part], law.mid[part]]
    low, high = span(cost, at, *([] if law is None else [law.x[law.x <= end]]), log=log)
    x = alt.X("x:Q", **axis(low if log else 0.0, high, "compute  [FLOP]", unit="flops", log=log, most=6))
    limits = span(loss[shown], ends, *bands, log=log, room=0.07)
    y = axis(*limits, LOSS_TITLE, unit="loss", log=log, grid=True)
    dots = alt.Chart(rows(x=cost, loss=loss, series=["run"] * len(cost)))
    band, line = ([], []) if law is None else ([part] for part in ribbon_layers(law, theme.law, x, y, colour))
    mark = dots.mark_circle(size=36, opacity=1, fillOpacity=0.6, clip=True)
    runs = [mark.encode(x=x, y=alt.Y("loss:Q", **y), color=colour)] if len(cost) else []
    layers = [*band, *runs, *line]
    if here is not None:
        x_axis = {"scale": x["scale"], "axis": x["axis"]}
        layers += placed_layers(here, (here.flops, x_axis), (here.loss, y), theme, name=log)
    what = "logarithmic axes" if log else "linear axes: what the largest runs differ by"
    return alt.layer(*layers).properties(width=PANEL, height=HEIGHT, title=panel_title(what, theme))

"""Where a run will end: the loss that is expected at each step, its interval, and the end in numbers.

Left of the line is what the forecast takes the curve so far for, right of it what is to come: a forecast that does
not lie on the curve behind it is none to believe ahead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scalewatch.charts.axes import axis, loss_text, on_axes, span
from scalewatch.charts.captions import WIDTH
from scalewatch.charts.frame import Frame, finished
from scalewatch.charts.loss_against_law_chart import Band
from scalewatch.charts.marks import halo_text, interval_bars
from scalewatch.charts.records import rows
from scalewatch.charts.y_domain import log_losses
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    import altair as alt

__all__ = ["way_ahead"]

HEIGHT = 260
#: Points the curve is drawn with.
MOST_POINTS = 240
#: Part of the plan before which the loss falls so fast that the rest would be pressed flat.
EARLY = 0.02
#: Room between the planned end and the numbers at it, part of the plan, and of the numbers themselves.
END_ROOM, WORDS_ROOM = 0.012, 0.13


def way_ahead(ahead: Band, frame: Frame, *, step: int = 0) -> alt.TopLevelMixin:
    """Draw a forecast.

    Args:
        ahead: the expected loss over steps, rising, to the planned end. frame: around it.
        step: newest step that it knows of; 0 for what was predicted before the run.

    Raises:
        ConfigError: if there is nothing finite to draw.
    """
    import altair as alt

    theme = frame.theme
    at, mid, low, high = (
        np.asarray(part, dtype=np.float64) for part in (ahead.steps, ahead.mid, ahead.low, ahead.high)
    )
    fine = np.isfinite(at) & np.isfinite(mid) & np.isfinite(low) & np.isfinite(high)
    if not fine.any():
        raise ConfigError("There is nothing to draw: the forecast holds no finite loss.")
    fine &= at >= min(EARLY * at[fine].max(), at[fine][-2:][0])
    few = np.flatnonzero(fine)[np.unique(np.linspace(0, fine.sum() - 1, MOST_POINTS).astype(int))]
    at, mid, low, high = at[few], mid[few], low[few], high[few]
    log = log_losses(low)
    last = float(at[-1])
    x = axis(float(at[0]), last, "optimizer steps", unit="count", log=False, most=8)
    x["scale"] = alt.Scale(domain=[float(at[0]), last * (1 + WORDS_ROOM)], nice=False, zero=False)
    y = axis(*span(low, high, log=log), frame.titled(), unit="loss", log=log, grid=True)
    label = [ahead.label] * len(at)
    base = alt.Chart(rows(step=at, mid=mid, low=low, high=high, series=label))
    edge = alt.Y("low:Q", **y)
    layers: list[Any] = [
        base.mark_area(color=theme.forecast, opacity=0.22, clip=True).encode(
            x=alt.X("step:Q", **x), y=edge, y2="high:Q"
        ),
        base.mark_line(color=theme.forecast, strokeWidth=2.2, clip=True).encode(**on_axes("step", x, "mid", y)),
    ]
    if step > at[0]:
        now = alt.Chart(rows(step=[float(step)], label=[f"step {step:,}"]))
        rule = now.mark_rule(color=theme.grey, strokeDash=[3, 3], strokeWidth=1.5)
        layers.append(rule.encode(x=alt.X("step:Q", **x)))
        left = step > 0.5 * last
        beside: dict[str, Any] = {"align": "right", "dx": -6} if left else {"align": "left", "dx": 6}
        layers += halo_text(now, theme, {"x": alt.X("step:Q", **x), "y": alt.value(10)}, fontSize=12, **beside)
    layers += _end(last, (float(mid[-1]), float(low[-1]), float(high[-1])), x, y, frame)
    return finished(alt.layer(*layers).properties(width=WIDTH, height=HEIGHT), frame)


def _end(last: float, end: tuple[float, float, float], x: dict[str, Any], y: dict[str, Any], frame: Frame) -> list[Any]:
    """The interval of the final loss as a bar, with its three numbers beside it where they fit over each other."""
    import altair as alt

    theme, (mid, low, high) = frame.theme, end
    place = last * (1 + END_ROOM)
    bar = alt.Chart(rows(step=[place], low=[low], high=[high]))
    at = {"x": alt.X("step:Q", **x), "y": alt.Y("at:Q", **y)}
    words = alt.Chart(rows(step=[place], at=[mid], label=[loss_text(mid)]))
    layers = [interval_bars(bar, at["x"], alt.Y("low:Q", **y), across=False, color=theme.forecast, strokeWidth=4)]
    layers += halo_text(words, theme, at, align="left", dx=8, fontSize=13, fontWeight="bold")
    bounds = alt.Chart(rows(step=[place], at=[mid], label=[f"{loss_text(low)} to {loss_text(high)}"]))
    return layers + halo_text(bounds, theme, at, align="left", dx=8, dy=-16, fontSize=11)

"""The health of a run: how far each row stands from the level of the run, its noise, and what moved before the loss.

Everything over the axis of the run, with its incidents as bars at the foot: what is open ends at the newest row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats
from scalewatch.charts.captions import named
from scalewatch.charts.decimate import Envelope, cut
from scalewatch.charts.frame import Frame
from scalewatch.charts.incidents import Incident, rows_of, severity_channels, shown, spans_of, tips
from scalewatch.charts.marks import evenly
from scalewatch.charts.spec import Axis, Drawing, Spec, beside, channel, ending, layer, panel, table, tip
from scalewatch.charts.theme import readable
from scalewatch.charts.x_axis import (
    SMOOTH,
    STEPS,
    RunAxis,
    SharedAxis,
    hover,
    label_last,
    line_layer,
    params_of,
    row_layers,
    shared_axis,
)
from scalewatch.charts.y_domain import clipped, reach_of
from scalewatch.errors import ConfigError

__all__ = ["Gauge", "Threshold", "health"]

#: Heights of the panels, and of a row of incidents [pixels].
SIGMA_HEIGHT, GAUGE_HEIGHT, ROW_HEIGHT = 200, 64, 20
#: Gauges that are drawn, and kinds of incidents [count].
MOST_GAUGES, MOST_KINDS = 8, 10
#: Least reach of the axis of residuals [sigmas]: a quiet run looks quiet.
LEAST_SIGMAS = 5.0
#: Reach of the axis below the level at most [sigmas]: that far down a run is only learning.
MOST_BELOW = 10.0
#: Room above the highest line, relative to it.
WORDS_ROOM = 0.35
#: Greatest over least value of a gauge from which its axis is logarithmic.
LOG_FROM = 30.0
TIPS = (tip("mean", "sigmas, mean", "+.2f"), tip("low", "least", "+.2f"), tip("high", "greatest", "+.2f"))


@final
@dataclass(frozen=True, slots=True)
class Threshold:
    """A line across the residuals: at how many sigmas something is said, and what."""

    sigmas: float
    label: str


@final
@dataclass(frozen=True, slots=True, eq=False)
class Gauge:
    """One quantity that is watched beside the loss.

    Attributes:
        label: what it is, with its unit. x: places on the axis, shape (n,), never falling. values: shape (n,).
        limit: what it should stay below, None for nothing.
    """

    label: str
    x: Floats
    values: Floats
    limit: float | None = None


def health(
    x: ArrayLike,
    sigmas: ArrayLike,
    frame: Frame,
    *,
    axis: RunAxis = STEPS,
    thresholds: Sequence[Threshold] = (),
    gauges: Sequence[Gauge] = (),
    incidents: Sequence[Incident] = (),
) -> Drawing:
    """Draw how a run fares.

    Args:
        x: place of each row on the axis, shape (n,), never falling.
        sigmas: how far each row's loss is above the run's level, in standard deviations of one row, shape (n,).
        frame: around it. axis: of x. thresholds: lines across the residuals. gauges: a slim panel each, at most 8.
        incidents: on the same axis.

    Raises:
        ConfigError: if no row has a residual, or the columns differ in length.
    """
    at, off = np.asarray(x, dtype=np.float64), np.asarray(sigmas)
    if off.shape != at.shape:
        raise ConfigError(f"`sigmas` must have the shape of `x` (got {off.shape} for {at.shape}).")
    if not np.isfinite(off).any():
        raise ConfigError("There is nothing to draw: the level of this run is not known yet, it takes some rows.")
    shared = shared_axis(at, axis, frame)
    seen = shown(incidents, shared.across.low, shared.across.high)
    rows = shared.taken.of(off)
    panels = [_residuals(shared, off, rows, thresholds, seen)]
    panels += [made for gauge in gauges[:MOST_GAUGES] if (made := _gauge(shared, gauge, seen)) is not None]
    if seen:
        panels.append(_spans(shared, seen))
    label_last(panels, shared)
    values = table(x=shared.taken.x, mean=rows.mean, low=rows.low, high=rows.high, rows=shared.taken.rows)["values"]
    meta = {
        "domain": [shared.across.low, shared.across.high],
        "zoomed": not shared.whole,
        "sentence": _sentence(frame.title, rows, incidents),
    }
    more: Spec = {"datasets": {"rows": values}, "params": params_of(panels, shared.theme)}
    return ending(panels, frame, meta=meta, **more)


def _residuals(
    shared: SharedAxis,
    off: NDArray[np.floating],
    rows: Envelope,
    thresholds: Sequence[Threshold],
    incidents: list[Incident],
) -> Spec:
    theme = shared.theme
    lines = np.array([0.0, *(each.sigmas for each in thresholds), LEAST_SIGMAS, -LEAST_SIGMAS])
    up = reach_of(rows, log=False, whole=not shared.whole, bands=[lines], unit="number")
    if up is None:
        up = Axis(-LEAST_SIGMAS, LEAST_SIGMAS)
    # all of the lines and room for their words, however calm the rows are
    high = max(up.high, (1.0 + WORDS_ROOM) * float(lines.max()))
    up = up._replace(low=max(min(up.low, -LEAST_SIGMAS), -MOST_BELOW), high=high)
    up = up._replace(title="loss above its level  [sigma]")
    y = beside(channel("mean", up, grid=True, most=6))
    layers = [*spans_of(incidents, shared.x, theme), *row_layers(shared, rows, y, "low", "high")]
    layers.append(line_layer(shared.few.of(off), y, shared.x, theme, 1.8, gaps=True))
    for each in thresholds:
        rule = table(mean=[each.sigmas], label=[each.label])
        layers.append(layer("rule", rule, {"color": theme.alarm, "strokeDash": [6, 4], "strokeWidth": 1.3}, y=y))
        above = each.sigmas == lines.max()
        place: Spec = {"align": "right", "baseline": "bottom" if above else "top", "dx": -4, "dy": -2 if above else 3}
        place |= {"fontSize": 11}
        halo: Spec = {"color": theme.background, "stroke": theme.background, "strokeWidth": 4, "strokeJoin": "round"}
        at: Spec = {"x": {"value": shared.width}, "y": y, "text": {"field": "label", "type": "nominal"}}
        layers += [layer("text", rule, place | how, **at) for how in (halo, {"color": readable(theme.alarm, theme)})]
    layers += [hover(shared, "sigmas", TIPS), *clipped(rows, up, shared.x, theme, "sigmas")]
    return panel(layers, shared.width, SIGMA_HEIGHT)


def _gauge(shared: SharedAxis, gauge: Gauge, incidents: list[Incident]) -> Spec | None:
    """The panel of one gauge; None if the window holds nothing of it."""
    theme, across = shared.theme, shared.across
    if gauge.x.shape != gauge.values.shape or gauge.x.ndim != 1:
        raise ConfigError(f"The arrays of the gauge '{gauge.label:.40}' must have one shape (n,).")
    rows = cut(gauge.x, across.low, across.high, log=across.log, stretches=2 * SMOOTH).of(gauge.values)
    fine = rows.mean[np.isfinite(rows.mean)]
    log = bool(len(fine)) and float(fine.min()) > 0 and float(fine.max()) > LOG_FROM * float(fine.min())
    near = [] if gauge.limit is None or not len(fine) or fine.max() < 0.1 * gauge.limit else [np.array([gauge.limit])]
    up = reach_of(rows, log=log, whole=True, zero=not log, bands=near, unit="number")
    if up is None:
        return None
    y = beside(channel("value", up, grid=True, most=3))
    layers = [*spans_of(incidents, shared.x, theme), line_layer(rows, y, shared.x, theme)]
    if near:
        rule: Spec = {"color": theme.alarm, "strokeDash": [6, 4], "strokeWidth": 1.3}
        layers.append(layer("rule", table(value=[gauge.limit]), rule, y=y))
    return panel(layers, shared.width, GAUGE_HEIGHT, title=named(gauge.label), theme=theme)


def _spans(shared: SharedAxis, incidents: list[Incident]) -> Spec:
    """A bar for each incident, a row for each kind."""
    theme = shared.theme
    kinds = evenly(list(dict.fromkeys(each.name for each in incidents)), MOST_KINDS)
    kept = [each for each in incidents if each.name in kinds]
    rows, by = rows_of(kept, theme), severity_channels()
    shown_axis = {"domain": False, "ticks": False, "grid": True, "labelLimit": 110, "minExtent": 48}
    y: Spec = {"field": "what", "type": "nominal", "scale": {"domain": kinds}, "axis": shown_axis, "title": None}
    click: Spec = {"cursor": "pointer", "clip": False}
    layers = [
        layer(
            "rule",
            rows,
            click | {"strokeWidth": 6, "strokeOpacity": 0.5, "strokeCap": "round"},
            x=shared.x,
            x2={"field": "end"},
            y=y,
            color=by["color"],
            tooltip=tips(),
        ),
        layer("point", rows, click | {"filled": True, "opacity": 1}, x=shared.x, y=y, tooltip=tips(), **by),
    ]
    still = [each for each in kept if each.is_open]
    if still:
        ends = table(x=[each.end for each in still], what=[each.name for each in still], label=["open"] * len(still))
        mark: Spec = {
            "align": "left",
            "dx": 6,
            "fontSize": 11,
            "fontWeight": "bold",
            "color": readable(theme.alarm, theme),
        }
        layers.append(
            layer("text", ends, mark | {"clip": False}, x=shared.x, y=y, text={"field": "label", "type": "nominal"})
        )
    return panel(layers, shared.width, ROW_HEIGHT * max(len(kinds), 2), title="incidents", theme=theme)


def _sentence(title: str, rows: Envelope, incidents: Sequence[Incident]) -> str:
    """The picture in words, for those who do not see it."""
    parts = [f"{title}: no row in this window"]
    if np.isfinite(rows.high).any():
        place = int(np.nanargmax(rows.high))
        parts = [
            f"{title}: the highest row stands {rows.high[place]:.1f} sigma above the level of the run, "
            f"at {rows.steps[place]:,.6g}"
        ]
    is_open = [each.name for each in incidents if each.is_open]
    parts.append(f"{len(incidents)} incidents" + (f", open: {', '.join(is_open)}" if is_open else ", none open"))
    return "; ".join(parts) + "."

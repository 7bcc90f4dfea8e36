"""How the forecast of a run moved while it ran, what was promised before, and how often what came lay in its band.

A forecast that is worth believing narrows without leaving its own early bands. Whether it did, the lower panel counts:
each time one was made, the loss soon after was forecast too, and that loss is known by now.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.charts.decimate import Envelope
from scalewatch.charts.frame import Frame
from scalewatch.charts.predictions import FAN_OPACITY, Ending
from scalewatch.charts.spec import (
    Axis,
    Drawing,
    Key,
    Spec,
    beside,
    channel,
    ending,
    inner_width,
    layer,
    legend,
    panel,
    table,
    tip,
)
from scalewatch.charts.theme import Theme
from scalewatch.charts.y_domain import reach_of
from scalewatch.errors import ConfigError

__all__ = ["Kept", "forecast_history"]

#: Between two lines of a hatched stretch [pixels].
HATCH_APART = 9.0
#: Heights of the panels, and of a row of the count [pixels].
HEIGHT, ROW_HEIGHT = 300, 30
#: Looks at the forecast that are drawn.
MOST_LOOKS = 400
#: Room to the right of the planned end [%].
RIGHT = 2.0
#: Standard normal quantile of a 90 % interval, for the uncertainty of a count (Wilson 1927).
Z_90 = 1.645


@final
@dataclass(frozen=True, slots=True)
class Kept:
    """How often what came lay in the band that had been forecast.

    Attributes:
        level: of the band, in (0, 1). inside, of: how often it did, of how many times that are known by now [count].
    """

    level: float
    inside: int
    of: int

    def range(self) -> tuple[float, float]:
        """Return the 90 % interval of the share, after Wilson (1927): few counts say little."""
        if not self.of:
            return 0.0, 1.0
        share, z2 = self.inside / self.of, Z_90**2 / self.of
        middle, half = share + z2 / 2, math.sqrt(z2 * (share * (1 - share) + z2 / 4))
        return max((middle - half) / (1 + z2), 0.0), min((middle + half) / (1 + z2), 1.0)


def forecast_history(
    progress: ArrayLike,
    final_loss: ArrayLike,
    bands: Sequence[tuple[ArrayLike, ArrayLike]],
    frame: Frame,
    *,
    registered: Ending | None = None,
    truth: float | None = None,
    kept: Sequence[Kept] = (),
    suspended: tuple[float, float] | None = None,
) -> Drawing:
    """Draw how a forecast moved.

    Args:
        progress: part of the plan that was done when each was made [%], shape (n,), rising.
        final_loss: median that was forecast then [nats/token], shape (n,). bands: (low, high) of 95, 80 and 50 %,
            or of 80 % alone. frame: around it.
        registered: what was predicted before the start; its `x` is not used. truth: the final loss, once it is known.
        kept: the count for each level. suspended: from where to where nothing is forecast, for the run is lost [%].

    Raises:
        ConfigError: if there is nothing to draw, or the arrays differ in length.
    """
    theme, wide = frame.theme, inner_width(frame.width)
    at, mid = np.asarray(progress, dtype=np.float64), np.asarray(final_loss, dtype=np.float64)
    ends = [(np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)) for low, high in bands]
    if at.ndim != 1 or any(each.shape != at.shape for each in (mid, *(side for pair in ends for side in pair))):
        raise ConfigError(f"`final_loss` and `bands` must have the shape of `progress`, (n,) (got {at.shape}).")
    fine = np.logical_and.reduce([np.isfinite(at), np.isfinite(mid), *(np.isfinite(s) for pair in ends for s in pair)])
    some = np.flatnonzero(fine)
    if not len(some) and registered is None:
        raise ConfigError("There is nothing to draw: no forecast has been made of this run yet.")
    some = some[np.unique(np.linspace(0, len(some) - 1, MOST_LOOKS).astype(int))] if len(some) else some
    at, mid = at[some], mid[some]
    ends = [(low[some], high[some]) for low, high in ends]
    panels = [_moved(at, mid, ends, registered, truth, theme, wide, frame.titled("forecast of the final loss"))]
    if suspended is not None:
        panels[0]["layer"] += _hatched(*suspended, panels[0], theme)
    counted = [each for each in kept if each.of]
    if counted:
        panels.append(_count(counted, theme, wide))
    meta = {"domain": None, "zoomed": False, "sentence": _sentence(frame.title, at, mid, registered, truth, counted)}
    return ending(panels, frame, meta=meta, spacing=22)


def _moved(
    at: Floats,
    mid: Floats,
    ends: list[tuple[Floats, Floats]],
    registered: Ending | None,
    truth: float | None,
    theme: Theme,
    width: int,
    title: str,
) -> Spec:
    """Median and bands against progress."""
    x = channel("x", Axis(0.0, 100.0 + RIGHT, False, "number", "part of the plan that was done  [%]"))
    lines = [] if registered is None else [np.array([registered.low, registered.high, registered.loss])]
    lines += [] if truth is None else [np.array([truth])]
    # the widest band of the first look may be all there is to see; the second widest must fit
    inner = ends[1 if len(ends) > 1 else 0 :] or [(mid, mid)]
    values = np.concatenate([mid, *(side for pair in inner for side in pair), *lines])
    up = reach_of(
        Envelope(values, values, values, values),
        log=False,
        bands=[side for pair in ends for side in pair],
        whole=True,
        title=title,
    )
    if up is None:
        raise ConfigError("There is nothing to draw: no forecast of this run is finite.")
    y = beside(channel("mean", up, grid=True, most=6))
    levels = "80 %" if len(ends) == 1 else "50, 80, 95 %"
    keys = [Key(f"forecast, {levels}", theme.forecast)]
    keys += [] if registered is None else [Key(_of(registered), theme.law, (6, 3))]
    keys += [] if truth is None else [Key(f"what it became: {truth:.3f}", theme.ink, (2, 2))]
    unseen, entries = legend(keys, width)
    layers: list[Spec] = [unseen]
    place = 1
    if registered is not None:
        rows = table(low=[registered.low], high=[registered.high], mean=[registered.loss])
        band: Spec = {"color": theme.law, "opacity": 0.14}
        layers.append(layer("rect", rows, band, y={**y, "field": "low"}, y2={"field": "high"}))
        layers.append(layer("rule", rows, {"strokeWidth": 2}, y=y, **entries[place]))
        place += 1
    for low, high in ends:
        rows = table(x=at, low=low, high=high)
        mark: Spec = {"color": theme.forecast, "opacity": FAN_OPACITY + 0.03, "line": False}
        kind = "area" if len(at) > 1 else "rule"
        layers.append(layer(kind, rows, mark, x=x, y={**y, "field": "low"}, y2={"field": "high"}))
    rows = table(x=at, mean=mid, low=inner[0][0], high=inner[0][1])
    tips = [tip("x", "done, %", ".1f"), tip("mean", "forecast", ".4f"), tip("low", "80 % from", ".4f")]
    tips.append(tip("high", "to", ".4f"))
    layers.append(layer("line", rows, {"strokeWidth": 2.2}, x=x, y=y, **entries[0]))
    point: Spec = {"filled": True, "size": 34, "color": theme.forecast, "opacity": 1}
    layers.append(layer("point", rows, point, x=x, y=y, tooltip=tips))
    if truth is not None:
        layers.append(layer("rule", table(mean=[truth]), {"strokeWidth": 1.8}, y=y, **entries[place]))
        end: Spec = {"filled": True, "shape": "diamond", "size": 90, "color": theme.ink, "opacity": 1}
        layers.append(layer("point", table(x=[100.0], mean=[truth]), end, x=x, y=y))
    return panel(layers, width, HEIGHT)


def _hatched(low: float, high: float, drawn: Spec, theme: Theme) -> list[Spec]:
    """A stretch without a forecast, hatched: what is empty would be taken for what was not read."""
    # the axis as it is labelled: layers that differ in that share none
    x = next(part["encoding"]["x"] for part in drawn["layer"] if "axis" in part["encoding"].get("x", ()))
    rise = drawn["width"] / (100.0 + RIGHT)
    high = max(high, low + HATCH_APART / rise)
    begins = np.arange(low - HEIGHT / rise, high, HATCH_APART / rise)
    # each line rises by one pixel a pixel, and is cut where the stretch begins and ends
    first, last = np.maximum(begins, low), np.minimum(begins + HEIGHT / rise, high)
    rows = table(x=first, end=last, y=HEIGHT - rise * (first - begins), up=HEIGHT - rise * (last - begins))
    pixels: Spec = {"type": "quantitative", "scale": None, "axis": None}
    lines = {"y": {"field": "y", **pixels}, "y2": {"field": "up"}}
    mark: Spec = {"color": theme.grey, "strokeWidth": 1, "opacity": 0.55}
    at = table(x=[low], label=["suspended"])
    place: Spec = {"align": "left", "dx": 6, "fontSize": 12, "fontWeight": "bold"}
    halo: Spec = {"color": theme.background, "stroke": theme.background, "strokeWidth": 5, "strokeJoin": "round"}
    text = {"field": "label", "type": "nominal"}
    words = [layer("text", at, place | how, x=x, y={"value": 14}, text=text) for how in (halo, {"color": theme.text})]
    return [layer("rule", rows, mark, x=x, x2={"field": "end"}, **lines), *words]


def _of(registered: Ending) -> str:
    return f"{registered.label}: {registered.loss:.3f} (80 %: {registered.low:.3f} to {registered.high:.3f})"


def _count(kept: Sequence[Kept], theme: Theme, width: int) -> Spec:
    """The share inside each band, with what its count leaves open, against the share that there should be."""
    x = channel("share", Axis(0.0, 102.0, False, "number", "part inside its band  [%]"), grid=True)
    names = [f"{100 * each.level:.0f} % band" for each in kept]
    y: Spec = {
        "field": "band",
        "type": "nominal",
        "scale": {"domain": names},
        "axis": {"domain": False, "ticks": False, "minExtent": 48},
        "title": None,
    }
    ranges = [each.range() for each in kept]
    rows = table(
        band=names,
        share=[100 * each.inside / each.of for each in kept],
        low=[100 * low for low, _ in ranges],
        high=[100 * high for _, high in ranges],
        due=[100 * each.level for each in kept],
        label=[f"{each.inside} of {each.of}" for each in kept],
    )
    tips = [tip("label", "inside", kind="nominal"), tip("share", "%", ".0f"), tip("due", "should be, %", ".0f")]
    bar: Spec = {"color": theme.forecast, "strokeWidth": 7, "opacity": 0.35}
    tick: Spec = {"color": theme.ink, "thickness": 3, "size": ROW_HEIGHT - 10, "orient": "vertical"}
    point: Spec = {"filled": True, "size": 80, "color": theme.forecast, "opacity": 1}
    text: Spec = {"dy": -11, "fontSize": 11, "color": theme.text, "clip": False}
    layers = [
        layer("rule", rows, bar, x={**x, "field": "low"}, x2={"field": "high"}, y=y, tooltip=tips),
        layer("tick", rows, tick, x={**x, "field": "due"}, y=y, tooltip=tips),
        layer("point", rows, point, x=x, y=y, tooltip=tips),
        layer("text", rows, text, x=x, y=y, text={"field": "label", "type": "nominal"}),
    ]
    title = "Calibration so far: how often the loss that came next lay in its band; a tick where it should be"
    return panel(layers, width, ROW_HEIGHT * max(len(kept), 2), title=title, theme=theme)


def _sentence(
    title: str, at: Floats, mid: Floats, registered: Ending | None, truth: float | None, kept: Sequence[Kept]
) -> str:
    """The picture in words, for those who do not see it."""
    parts = [f"{title}: "]
    if len(at):
        parts[0] += f"the forecast of the final loss moved from {mid[0]:.3f} at {at[0]:.0f} % to {mid[-1]:.3f} at "
        parts[0] += f"{at[-1]:.0f} % of the plan"
    else:
        parts[0] += "no forecast yet"
    parts += [] if registered is None else [f"registered before the start: {registered.loss:.3f}"]
    parts += [] if truth is None else [f"it became {truth:.3f}"]
    parts += [f"{each.inside} of {each.of} losses lay in their {100 * each.level:.0f} % band" for each in kept]
    return "; ".join(parts) + "."

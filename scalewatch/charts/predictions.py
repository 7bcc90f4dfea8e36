"""What is drawn beside a run: its law, the fan of its forecast, what was said of its end, and other runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.charts.decimate import Envelope
from scalewatch.charts.marks import Ribbon
from scalewatch.charts.spec import Axis, Spec, layer, table, tip
from scalewatch.charts.theme import Theme
from scalewatch.charts.y_domain import drawable

__all__ = [
    "FAN_OPACITY",
    "Ending",
    "Fan",
    "OtherRun",
    "ending_layers",
    "fan_layers",
    "inside",
    "ribbon_of",
    "trace_layer",
]

#: Points a band is drawn with.
BAND_POINTS = 160
#: Opacity of a band, and of each of those of a fan, which lie over each other.
OPACITY, FAN_OPACITY = 0.2, 0.15
#: How far the marks at the planned end stand apart, so that both can be seen [pixels].
APART = 4


@final
@dataclass(frozen=True, slots=True, eq=False)
class OtherRun:
    """The loss of another run.

    Attributes:
        label: what the legend calls it. x: place of each row on the axis, shape (n,), never falling.
        losses: [nats/token], shape (n,).
    """

    label: str
    x: Floats
    losses: NDArray[np.floating]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Fan:
    """A forecast of the rows to come.

    Attributes:
        label: what the legend calls it. x, mid: place and median, shape (n,).
        bands: (low, high) of each level, the widest first, each of shape (n,).
    """

    label: str
    x: Floats
    mid: Floats
    bands: tuple[tuple[Floats, Floats], ...]


@final
@dataclass(frozen=True, slots=True)
class Ending:
    """What was said of the loss at the planned end: median and 80 % interval [nats/token], at `x` on the axis."""

    label: str
    x: float
    loss: float
    low: float
    high: float


def inside(part: Ribbon | Fan, across: Axis) -> list[Floats]:
    """Return the ends of the intervals that lie on an x axis; of a fan the second widest, the widest may be cut."""
    shown = (part.x >= across.low) & (part.x <= across.high)
    bands = ((part.low, part.high),) if isinstance(part, Ribbon) else part.bands[-2:]
    return [column[shown] for band in bands for column in band]


def ribbon_of(part: Ribbon, across: Axis, shade: str, x: Spec, y: Spec, key: Spec) -> list[Spec]:
    """Return the band of a law and its line."""
    keep = _kept(part.x, across, y, part.low, part.mid, part.high)
    rows = table(x=part.x[keep], mean=part.mid[keep], low=part.low[keep], high=part.high[keep])
    up = {**y, "field": "low"}
    return [
        layer("area", rows, {"color": shade, "opacity": OPACITY}, x=x, y=up, y2={"field": "high"}),
        layer("line", rows, {"strokeWidth": 2}, x=x, y=y, **key),
    ]


def fan_layers(part: Fan, across: Axis, shade: str, x: Spec, y: Spec, key: Spec) -> list[Spec]:
    """Return the bands of a fan, the widest first, and its median."""
    made = []
    for low, high in part.bands:
        keep = _kept(part.x, across, y, low, high)
        rows = table(x=part.x[keep], low=low[keep], high=high[keep])
        mark = {"color": shade, "opacity": FAN_OPACITY}
        made.append(layer("area", rows, mark, x=x, y={**y, "field": "low"}, y2={"field": "high"}))
    keep = _kept(part.x, across, y, part.mid)
    rows = table(x=part.x[keep], mean=part.mid[keep])
    return [*made, layer("line", rows, {"strokeWidth": 2}, x=x, y=y, **key)]


def _kept(x: Floats, across: Axis, y: Spec, *columns: Floats) -> NDArray[np.intp]:
    """At most so many points evenly over the window, and one on each side of it."""
    log = y["scale"]["type"] == "log"
    fine = np.logical_and.reduce([np.isfinite(x), *(drawable(column, log) for column in columns)])
    kept = np.flatnonzero(fine & (x > 0) if across.log else fine)
    first, stop = np.searchsorted(x[kept], across.low), np.searchsorted(x[kept], across.high, side="right")
    kept = kept[max(int(first) - 1, 0) : int(stop) + 1]
    if len(kept) > BAND_POINTS:
        kept = kept[np.linspace(0, len(kept) - 1, BAND_POINTS).astype(int)]
    return kept


def ending_layers(part: Ending, across: Axis, shade: str, theme: Theme, x: Spec, y: Spec, *, now: bool) -> list[Spec]:
    """Return the interval of what is said of the end and its median: a circle as of now, a diamond as of the start."""
    can = drawable(np.array([part.loss, part.low, part.high]), y["scale"]["type"] == "log").all()
    if not (can and across.low <= part.x <= across.high):
        return []
    aside = APART if now else -APART
    rows = table(x=[part.x], mean=[part.loss], low=[part.low], high=[part.high], what=[part.label])
    tips = [tip("what", "at the end", kind="nominal"), tip("mean", "loss", ".4f"), tip("low", "80 % from", ".4f")]
    tips.append(tip("high", "to", ".4f"))
    bar: Spec = {"color": shade, "strokeWidth": 2.5, "xOffset": aside, "x2Offset": aside}
    point: Spec = {"shape": "circle" if now else "diamond", "size": 75, "filled": True, "color": shade, "opacity": 1}
    point |= {"xOffset": aside, "stroke": theme.background, "strokeWidth": 1, "clip": False}
    return [
        layer("rule", rows, bar, x=x, y={**y, "field": "low"}, y2={"field": "high"}, tooltip=tips),
        layer("point", rows, point, x=x, y=y, tooltip=tips),
    ]


def trace_layer(label: str, rows: Envelope, is_reference: bool, x: Spec, y: Spec, key: Spec) -> Spec:
    """Return the line of another run, the reference a little stronger."""
    shown = table(x=rows.steps, mean=rows.mean, what=[label] * len(rows.steps))
    mark = {"strokeWidth": 2.4 if is_reference else 1.5}
    tips = [tip("what", "run", kind="nominal"), tip("mean", "loss, mean", ".4f")]
    return layer("line", shown, mark, x=x, y=y, tooltip=tips, **key)

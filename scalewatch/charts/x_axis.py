"""What the panels over the axis of a run share: its stretches, the hair line under the pointer, and the zoom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.charts.axes import Unit
from scalewatch.charts.decimate import STRETCHES, Cut, Envelope, cut
from scalewatch.charts.frame import Frame
from scalewatch.charts.spec import Axis, Spec, channel, inner_width, layer, table, tip
from scalewatch.charts.theme import Theme
from scalewatch.errors import ConfigError

__all__ = [
    "SMOOTH",
    "STEPS",
    "TITLES",
    "RunAxis",
    "SharedAxis",
    "XUnit",
    "hover",
    "label_last",
    "line_layer",
    "params_of",
    "row_layers",
    "shared_axis",
]

XUnit = Literal["steps", "tokens", "flops", "hours"]

#: Last row over the first place of a logarithmic axis, unless a window says otherwise: three decades.
LOG_SPAN = 1e3
#: Room to the right of the last place, as a part of the axis.
RIGHT = 0.012
#: To each side of a window of one row [steps, or what the axis counts].
LEAST_STEPS = 2.5
#: Stretches whose means are the line through the rows; fewer rows than that are the line themselves.
SMOOTH = 110
#: Rows that are drawn as points as well.
FEW = 40
#: Title, labels and format in a tooltip of each x axis.
TITLES: dict[str, tuple[str, Unit, str]] = {
    "steps": ("optimizer steps", "count", ",.8~g"),
    "tokens": ("tokens", "count", ".4~s"),
    "flops": ("compute C  [FLOP]", "flops", ".3~e"),
    "hours": ("time since the first row  [h]", "number", ".4~g"),
}


@final
@dataclass(frozen=True, slots=True)
class RunAxis:
    """The x axis of a run, as somebody wants it.

    Attributes:
        unit: steps, tokens, flops or hours. window: from, to; infinite for an open end; None for all.
        end: planned end, in that unit. log: logarithmic. stretches: whose means the lines go through; least and
            greatest rows are drawn whatever they are.
    """

    unit: XUnit = "steps"
    window: tuple[float, float] | None = None
    end: float | None = None
    log: bool = False
    stretches: int = SMOOTH


#: Optimizer steps, all of them.
STEPS = RunAxis()


@final
class SharedAxis(NamedTuple):
    """What panels over one axis share.

    Attributes:
        theme: colours. unit: of the axis. across: the axis; x: its channel, without labels. width: of a panel [pixels].
        whole: whether all is shown, and no window of it. taken: the rows in stretches; few: in fewer, for lines.
    """

    theme: Theme
    unit: XUnit
    across: Axis
    x: Spec
    width: int
    whole: bool
    taken: Cut
    few: Cut


def shared_axis(at: Floats, axis: RunAxis, frame: Frame) -> SharedAxis:
    """Return the axis of some rows, and the rows cut into what can be drawn.

    Args:
        at: place of each row, shape (n,), never falling. axis: what was asked of it. frame: around the panels.

    Raises:
        ConfigError: if the places are none.
    """
    if at.ndim != 1 or not np.isfinite(at[[0, -1]] if len(at) else at).all() or (len(at) > 1 and at[-1] < at[0]):
        raise ConfigError(f"`x` must be places that never fall, of shape (n,) (got {at.shape}).")
    title, labels, _ = TITLES[axis.unit]
    low, high = _across(at, axis)
    across = Axis(low, high, axis.log, labels, title)
    taken, few = cut(at, low, high, log=axis.log), cut(at, low, high, log=axis.log, stretches=axis.stretches)
    x = channel("x", across, labels=False)
    return SharedAxis(frame.theme, axis.unit, across, x, inner_width(frame.width), axis.window is None, taken, few)


def _across(at: Floats, axis: RunAxis) -> tuple[float, float]:
    """Ends of the x axis."""
    window, log = axis.window, axis.log
    fine = at[at > 0] if log else at
    first, last = (float(fine[0]), float(fine[-1])) if len(fine) else (1.0, 2.0)
    far = max(last, axis.end or last)
    if window is None:
        low = max(first, last / LOG_SPAN) if log else min(first, 0.0)
        high = far * (far / low) ** RIGHT if log else far + RIGHT * (far - low)
    else:
        low, high = max(window[0], first if log else min(first, 0.0)), min(window[1], far * (1 + RIGHT))
    if not high > low:
        # a window beyond the run, or one row: something to draw, around it
        low, high = (low / 1.05, low * 1.05) if log else (low - LEAST_STEPS, low + LEAST_STEPS)
    return low, high


def row_layers(shared: SharedAxis, rows: Envelope, y: Spec, low: str, high: str) -> list[Spec]:
    """Return what single rows did: from the least to the greatest of each stretch, or each row where they are few.

    Args:
        rows: the column in stretches. y: its channel. low, high: what the data of the chart, `rows`, calls its ends.
    """
    shade = shared.theme.grey
    if len(shared.taken.first) > SMOOTH and int(shared.taken.rows.max()) == 1:
        mark: Spec = {"color": shade, "strokeWidth": 1, "opacity": 0.75}
        return [layer("line", {"name": "rows"}, mark, x=shared.x, y={**y, "field": high})]
    if np.array_equal(rows.low, rows.high, equal_nan=True):
        return []
    mark = {"color": shade, "strokeOpacity": 0.6, "strokeWidth": max(1.0, shared.width / STRETCHES)}
    return [layer("rule", {"name": "rows"}, mark, x=shared.x, y={**y, "field": low}, y2={"field": high})]


def line_layer(
    rows: Envelope, y: Spec, x: Spec, theme: Theme, thick: float = 1.8, *, gaps: bool = False, **more: Spec
) -> Spec:
    """Return the line through the means of stretches.

    Args:
        y: its channel. gaps: the line has a gap where there is no value; else it goes on to the next one, as it should
            for what is logged at some steps only. more: further channels.
    """
    kept = slice(None) if gaps else np.isfinite(rows.mean)
    points: Spec = {"filled": True, "size": 26, "color": theme.ink}
    mark: Spec = {"strokeWidth": thick, "point": points if np.isfinite(rows.mean).sum() <= FEW else False}
    mark |= {} if more else {"color": theme.ink}
    return layer("line", table(x=rows.steps[kept], **{y["field"]: rows.mean[kept]}), mark, x=x, y=y, **more)


def hover(shared: SharedAxis, name: str, tips: Sequence[Spec]) -> Spec:
    """Return a hair line at the stretch nearest to the pointer, in all panels, with what is known of it."""
    by = {"condition": {"param": "hover", "empty": False, "value": 0.7}, "value": 0}
    mark: Spec = {"color": shared.theme.grey, "strokeWidth": 1}
    first = tip("x", (shared.across.title or "").split("  ")[0], TITLES[shared.unit][2])
    lines = [first, *tips, tip("rows", "rows", ",")]
    return {"name": name, **layer("rule", {"name": "rows"}, mark, x=shared.x, opacity=by, tooltip=lines)}


def label_last(panels: Sequence[Spec], shared: SharedAxis) -> None:
    """Give the lowest panel, and it alone, the labels of the x axis."""
    labelled = channel("x", shared.across)
    for each in panels[-1]["layer"]:
        if each["encoding"].get("x", {}).get("field") == "x":
            each["encoding"]["x"] = labelled


def params_of(panels: Sequence[Spec], theme: Theme) -> list[Spec]:
    """Return `zoom`, a part of the x axis drawn with the pointer in the first panel, and `hover`, what is under it."""
    names = [
        each["name"] for part in panels for each in part["layer"] if "name" in each and "tooltip" in each["encoding"]
    ]
    zoom = {
        "type": "interval",
        "encodings": ["x"],
        "translate": False,
        "zoom": False,
        "mark": {"fill": theme.forecast, "fillOpacity": 0.15, "stroke": theme.forecast, "strokeOpacity": 0.6},
    }
    nearest = {"type": "point", "fields": ["x"], "nearest": True, "on": "pointermove", "clear": "pointerout"}
    return [
        {"name": "zoom", "select": zoom, "views": names[:1]},
        {"name": "hover", "select": nearest, "views": names},
    ]

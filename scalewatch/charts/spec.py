"""Vega-Lite specifications as plain dicts, for the charts that a server makes anew every few seconds.

altair copies a chart at each level that it is put into: twenty layers in three panels take it a quarter of a second.
As dicts they take milliseconds, and whoever makes them need not load altair. `Drawing` gives the altair chart to a
notebook that wants one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from scalewatch.charts.axes import AXIS_LETTERS, LABELS, Unit, ticks
from scalewatch.charts.captions import headline, plain, sentences
from scalewatch.charts.frame import Frame
from scalewatch.charts.theme import Theme, readable

if TYPE_CHECKING:
    import altair as alt

__all__ = [
    "Axis",
    "Drawing",
    "Key",
    "Spec",
    "beside",
    "channel",
    "columns_of",
    "ending",
    "inner_width",
    "layer",
    "legend",
    "panel",
    "place_on",
    "table",
    "tip",
    "words",
]

Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.4.1.json"
#: Digits of a number that is drawn: a panel is a thousand pixels wide.
DIGITS = 6
#: Room around a chart, for the labels of its y axis, and to the right of its last tick [pixels].
PADDING, LABEL_ROOM, RIGHT_ROOM = 14, 62, 18
#: Width of the labels of a y axis at least [pixels]: panels stay where they are when numbers change.
LEAST_EXTENT = 48
#: Length of an axis of counts, relative to its end, below which they are written out.
NARROW = 0.002
#: Room of an entry of a legend, and of each of its letters [pixels].
KEY_ROOM, KEY_LETTER = 34, 6.3
#: From a legend to its panel: the marks of incidents stand between [pixels].
KEY_OFFSET = 30
#: Narrowest panel [pixels].
LEAST_WIDTH = 240


@final
class Drawing:
    """A finished chart as its Vega-Lite specification.

    >>> Drawing({"mark": "point"}).to_dict()
    {'mark': 'point'}
    """

    def __init__(self, spec: Spec) -> None:
        self._spec = spec

    def to_dict(self, *, validate: bool = False) -> Spec:
        """Return the specification, after a check against the schema of Vega-Lite if `validate`."""
        if validate:
            import altair as alt

            alt.Root.validate(self._spec)
        return self._spec

    def altair(self) -> alt.TopLevelMixin:
        """Return it as an altair chart."""
        import altair as alt

        chart: alt.TopLevelMixin = alt.Chart.from_dict(self._spec)
        return chart

    def _repr_mimebundle_(self, *include: Any, **exclude: Any) -> Any:
        return self.altair()._repr_mimebundle_(*include, **exclude)


@final
class Axis(NamedTuple):
    """A positional axis from `low` to `high`, both positive if `log`."""

    low: float
    high: float
    log: bool = False
    unit: Unit = "number"
    title: str | None = None


@final
class Key(NamedTuple):
    """An entry of a legend: what it is called, its colour, and the dashes of its line."""

    label: str
    shade: str
    dash: tuple[int, ...] = ()


def inner_width(width: int) -> int:
    """Return how wide the panels of a chart of `width` pixels are."""
    return max(width - 2 * PADDING - LABEL_ROOM - RIGHT_ROOM, LEAST_WIDTH)


def table(**columns: Any) -> Spec:
    """Return columns of equal length as the data of a layer; what is not finite becomes null.

    >>> table(x=[1.0, math.nan], label=["a", "b"])
    {'values': [{'x': 1.0, 'label': 'a'}, {'x': None, 'label': 'b'}]}
    """
    lists = [_drawn(column) for column in columns.values()]
    return {"values": [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]}


def _drawn(column: Any) -> list[Any]:
    if isinstance(column, np.ndarray) and column.dtype.kind == "f":
        return _short(column)
    return [_one(value) for value in (column.tolist() if isinstance(column, np.ndarray) else column)]


def _one(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if not isinstance(value, float):
        return value
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def _short(column: NDArray[np.floating]) -> list[float | None]:
    """Digits enough for the column as it is drawn: a step of 1,000,003 among its neighbours needs seven."""
    fine = np.isfinite(column)
    if not fine.any():
        return [None] * len(column)
    values = column[fine]
    apart, far = float(np.ptp(values)), float(np.abs(values).max())
    digits = DIGITS + (max(math.ceil(math.log10(far / apart)), 0) if apart > 0 and far > 0 else 0)
    form = f"{{:.{min(digits, 16)}g}}".format
    return [float(form(value)) if ok else None for value, ok in zip(column.tolist(), fine.tolist(), strict=True)]


def channel(field: str, axis: Axis, *, labels: bool = True, grid: bool = False, most: int = 7) -> Spec:
    """Return a positional channel: its field, its scale and its ticks."""
    scale: Spec = {"type": "log" if axis.log else "linear", "domain": [axis.low, axis.high], "nice": False}
    if not axis.log:
        scale["zero"] = False  # Vega warns of it on logarithmic axes
    values = ticks(axis.low, axis.high, most, log=axis.log)
    label = LABELS[axis.unit]
    if axis.unit == "count" and (axis.high - axis.low < NARROW * abs(axis.high) or axis.high < 10 * most):
        # a window of few steps late in a long run: 500.001k tells nobody which
        label, values = "format(datum.value, ',')", sorted({float(round(value)) for value in values})
    shown = {
        "values": values,
        "labelExpr": label,
        "labelOverlap": True,
        "labelFlush": False,
        "grid": grid,
        "labels": labels,
        "ticks": labels,
    }
    title = axis.title if labels else None
    return {"field": field, "type": "quantitative", "scale": scale, "axis": shown, "title": title}


def beside(upright: Spec) -> Spec:
    """Return a y channel whose labels take the same room in each panel."""
    return upright | {"axis": upright["axis"] | {"minExtent": LEAST_EXTENT}}


def place_on(axis: Axis, value: float, width: int) -> float:
    """Return the pixel of a value on an axis of `width` pixels."""
    if axis.log:
        return width * math.log(value / axis.low) / math.log(axis.high / axis.low)
    return width * (value - axis.low) / (axis.high - axis.low)


def layer(kind: str, rows: Spec | None, mark: Spec, **channels: Any) -> Spec:
    """Return one layer: a mark, clipped to its panel unless `mark` says otherwise, its rows and its channels."""
    made: Spec = {"mark": {"type": kind, "clip": True, **mark}, "encoding": channels}
    return made if rows is None else {"data": rows, **made}


def columns_of(labels: Sequence[str], width: int) -> int:
    """Return in how many columns the entries of a legend fit beside each other.

    >>> columns_of(["loss", "law"], 700), columns_of(["loss", "a law of the smaller runs " * 4], 700)
    (2, 1)
    """
    room = [KEY_ROOM + KEY_LETTER * len(label) for label in labels]
    fitting = (n for n in range(len(labels), 0, -1) if sum(max(room[i::n]) for i in range(n)) <= width)
    return next(fitting, 1)


def legend(keys: Sequence[Key], width: int) -> tuple[Spec, list[Spec]]:
    """Return the layer that says what colours and dashes mean, and the channels of each entry.

    Args:
        keys: the entries. width: of the panel [pixels]; the entries stand in as many columns as it holds.
    """
    shown = {
        "orient": "top",
        "direction": "horizontal",
        "symbolType": "stroke",
        "symbolSize": 300,
        "symbolStrokeWidth": 3,
        "symbolOpacity": 1,
        "labelLimit": width,
        "columns": columns_of([key.label for key in keys], width),
        "offset": KEY_OFFSET,
    }
    labels = [plain(key.label) for key in keys]
    by = {"field": "series", "type": "nominal", "legend": shown, "title": None}
    colours = {"domain": labels, "range": [key.shade for key in keys]}
    dashes = {"domain": labels, "range": [list(key.dash) or [1, 0] for key in keys]}
    channels: Spec = {"color": by | {"scale": colours}, "strokeDash": by | {"scale": dashes}}
    unseen = layer("rule", table(series=labels), {"opacity": 0}, x={"value": 0}, **channels)
    return unseen, [{"color": {"datum": label}, "strokeDash": {"datum": label}} for label in labels]


def tip(field: str, title: str, form: str | None = None, kind: str = "quantitative") -> Spec:
    """Return a line of a tooltip."""
    return {"field": field, "type": kind, "title": title} | ({"format": form} if form else {})


def words(
    text: str, theme: Theme, x: Spec, y: Spec, shade: str | None = None, align: Literal["left", "right"] = "left"
) -> list[Spec]:
    """Return a text of one place, over a halo that keeps lines from crossing it."""
    rows = table(label=[text])
    mark = {"align": align, "fontSize": 12, "clip": False}
    halo = {"stroke": theme.background, "strokeWidth": 4, "strokeJoin": "round", "color": theme.background}
    label = {"field": "label", "type": "nominal"}
    return [
        layer("text", rows, mark | halo, x=x, y=y, text=label),
        layer(
            "text",
            rows,
            mark | {"color": theme.text if shade is None else readable(shade, theme)},
            x=x,
            y=y,
            text=label,
        ),
    ]


def panel(layers: Sequence[Spec], width: int, height: int, *, title: str = "", theme: Theme | None = None) -> Spec:
    """Return layers as one panel, with words over it."""
    made: Spec = {"layer": list(layers), "width": width, "height": height}
    if title and theme is not None:
        made["title"] = {
            "text": plain(title),
            "anchor": "start",
            "frame": "group",
            "fontSize": 12,
            "fontWeight": "normal",
            "color": theme.text,
            "offset": 5,
        }
    return made


def ending(panels: Sequence[Spec], frame: Frame, *, meta: Spec, spacing: int = 10, **more: Any) -> Drawing:
    """Return panels under each other in their frame.

    Args:
        meta: what the page that shows it should know: `domain`, `zoomed`, `sentence`. more: parts of the
            specification as they are, such as `params`.
    """
    theme, width = frame.theme, frame.width
    head = headline(plain(frame.title), width)
    below = sentences([plain(sentence) for sentence in frame.subtitle], width)
    letters: Spec = {"labelColor": theme.text, "titleColor": theme.text, "titleFontWeight": "normal"}
    letters |= {"labelFontSize": AXIS_LETTERS, "titleFontSize": AXIS_LETTERS}
    spec: Spec = {
        "$schema": SCHEMA,
        "background": theme.background,
        "padding": PADDING,
        "title": {
            "text": head,
            "subtitle": below,
            "anchor": "start",
            "fontSize": 17,
            "subtitleFontSize": 12,
            "offset": 10,
            "limit": width,
        },
        "vconcat": list(panels),
        "spacing": spacing,
        "config": {
            "background": theme.background,
            "font": "Inter, Helvetica, Arial, sans-serif",
            "view": {"stroke": None},
            "axis": {**letters, "domainColor": theme.grey, "tickColor": theme.grey, "gridColor": theme.grid},
            "title": {"color": theme.ink, "subtitleColor": theme.text},
            "legend": letters,
        },
        "usermeta": {"scalewatch": meta},
        **more,
    }
    return Drawing(spec)

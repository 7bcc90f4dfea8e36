"""Marks that several charts draw alike: intervals, words that stay readable on lines, few of many items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.charts.captions import named
from scalewatch.charts.records import rows
from scalewatch.charts.theme import Theme, readable

__all__ = [
    "Placed",
    "Ribbon",
    "colours",
    "evenly",
    "fraction",
    "halo_text",
    "interval_bars",
    "note",
    "panel_title",
    "placed_layers",
    "ribbon_layers",
]

Item = TypeVar("Item")

#: Width of the halo around words [pixels].
HALO = 4
#: Part of an axis from which on a name stands to the left of its mark.
MIDDLE = 0.6


@final
@dataclass(frozen=True, slots=True)
class Placed:
    """One run that is shown among others, at the end that it has or will have.

    Attributes:
        name: of the run. flops: compute [FLOP]. parameters: count. loss: [nats/token].
        low, high: interval of the loss [nats/token], None for an end that is known.
    """

    name: str
    flops: float
    parameters: float
    loss: float
    low: float | None = None
    high: float | None = None


def placed_layers(placed: Placed, x: tuple[float, Any], y: tuple[float, Any], theme: Theme, *, name: bool) -> list[Any]:
    """Return the marks of one run among others: a diamond in a ring, its interval if y is the loss, and its name.

    Args:
        placed: the run. x, y: where, and the channel that reads `x`, or `y` and `low`. theme: of the page.
        name: whether its name stands beside it.
    """
    import altair as alt

    ends = (placed.loss, placed.loss) if placed.low is None or placed.high is None else (placed.low, placed.high)
    base = alt.Chart(rows(x=[x[0]], y=[y[0]], low=[ends[0]], high=[ends[1]], label=[named(placed.name)]))
    at = {"x": alt.X("x:Q", **x[1]), "y": alt.Y("y:Q", **y[1])}
    layers: list[Any] = []
    if placed.low is not None and y[0] == placed.loss:
        up = (at["x"], alt.Y("low:Q", **y[1]))
        layers.append(interval_bars(base, *up, across=False, color=theme.forecast, strokeWidth=3.5, opacity=0.6))
    for size, shade in ((260, theme.background), (150, theme.forecast)):
        mark = base.mark_point(shape="diamond", size=size, filled=True, opacity=1, color=shade, clip=True)
        layers.append(mark.encode(**at))
    if name:
        left = _share(x[0], x[1]["scale"]) > MIDDLE
        beside: dict[str, Any] = {"align": "right", "dx": -12} if left else {"align": "left", "dx": 12}
        layers += halo_text(base, theme, at, fontSize=12, fontWeight="bold", **beside)
    return layers


def _share(value: float, scale: Any) -> float:
    """Where a value lies on an axis, from 0 to 1."""
    low, high = scale["domain"]
    return float(fraction(value, (low, high))) if scale["type"] == "log" else (value - low) / (high - low)


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most `most` of some items, evenly over their order, the first and the last among them.

    >>> evenly([1, 2, 3, 4, 5], 3)
    [1, 3, 5]
    """
    if len(items) <= most:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, most).astype(int).tolist()]


def fraction(value: Any, span: tuple[float, float]) -> Any:
    """Return where values lie on a logarithmic axis from `span[0]` (0) to `span[1]` (1).

    >>> float(fraction(10.0, (1.0, 100.0)))
    0.5
    """
    return np.log(np.asarray(value) / span[0]) / np.log(span[1] / span[0])


def interval_bars(base: Any, x: Any, y: Any, *, across: bool, **mark: Any) -> Any:
    """Return a bar from `low` to `high` for each row of `base`, across the page or up it.

    Args:
        base: chart whose rows hold `low` and `high`. x, y: channels, that of the interval reading `low`.
        across: the interval lies along x. mark: options of the bar, such as its colour.
    """
    rule = base.mark_rule(clip=True, **mark)
    return rule.encode(x=x, x2="high:Q", y=y) if across else rule.encode(x=x, y=y, y2="high:Q")


def halo_text(base: Any, theme: Theme, encoded: dict[str, Any], *, color: Any = None, **mark: Any) -> list[Any]:
    """Return the words `label` of each row of `base`, above a halo that keeps lines from crossing them.

    Args:
        base: chart whose rows hold `label`. theme: of the halo. encoded: the positions.
        color: of the words, a channel; None: the theme's. mark: options of both, such as `align`.
    """
    back = {"color": theme.background, "stroke": theme.background, "strokeWidth": HALO, "strokeJoin": "round"}
    halo = base.mark_text(**mark, **back).encode(**encoded, text="label:N")
    if color is None:
        return [halo, base.mark_text(**mark, color=theme.text).encode(**encoded, text="label:N")]
    return [halo, base.mark_text(**mark).encode(**encoded, text="label:N", color=color)]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Ribbon:
    """A predicted curve with its interval over any axis.

    Attributes:
        label: what the legend calls it.
        x: where, shape (n,), positive. mid, low, high: shape (n,).
    """

    label: str
    x: Floats
    mid: Floats
    low: Floats
    high: Floats


def ribbon_layers(
    ribbon: Ribbon, shade: str, x: Any, y: dict[str, Any], colour: Any, *, dash: Sequence[int] = (6, 3)
) -> list[Any]:
    """Return the band of a ribbon, and above it its line; `colour` is the channel of the legend, or None."""
    import altair as alt

    band = alt.Chart(rows(x=ribbon.x, low=ribbon.low, high=ribbon.high))
    line = alt.Chart(rows(x=ribbon.x, mid=ribbon.mid, series=[ribbon.label] * len(ribbon.x)))
    drawn = line.mark_line(strokeWidth=2, strokeDash=list(dash), color=shade, clip=True)
    shaded = {} if colour is None else {"color": colour}
    return [
        band.mark_area(color=shade, opacity=0.2, clip=True).encode(x=x, y=alt.Y("low:Q", **y), y2="high:Q"),
        drawn.encode(x=x, y=alt.Y("mid:Q", **y), **shaded),
    ]


def note(text: str, shade: str, theme: Theme, *, right: float | None = None, row: int = 0, bold: bool = True) -> Any:
    """Return words in the upper left corner of a panel, or in the upper right one of a panel `right` pixels wide."""
    import altair as alt

    base = alt.Chart(rows(label=[text])).encode(
        x=alt.value(10 if right is None else right - 6), y=alt.value(12 + 17 * row), text="label:N"
    )
    align: Literal["left", "right"] = "left" if right is None else "right"
    weight: Literal["bold", "normal"] = "bold" if bold else "normal"
    # a halo, so that no line of the grid crosses the words
    halo = base.mark_text(
        align=align, fontSize=12, fontWeight=weight, color=theme.background, stroke=theme.background, strokeWidth=5
    )
    return alt.layer(halo, base.mark_text(align=align, fontSize=12, fontWeight=weight, color=readable(shade, theme)))


def colours(field: str, shades: Sequence[tuple[str, str]], **legend: Any) -> Any:
    """Return the channel that gives each value of a field its colour, and says so in a legend.

    Args:
        field: of the rows. shades: (value, colour) in the order of the legend. legend: its options, such as `title`.
    """
    import altair as alt

    scale = alt.Scale(domain=[name for name, _ in shades], range=[shade for _, shade in shades])
    shown = alt.Legend(**({"title": None} | legend))
    return alt.Color(f"{field}:N", sort=None, scale=scale, legend=shown)


def panel_title(text: str, theme: Theme) -> Any:
    """Return words over one of several panels, where they cover nothing."""
    import altair as alt

    return alt.TitleParams(text, anchor="start", fontSize=12, fontWeight="normal", color=theme.text, offset=6)

"""What all charts share: colours of the light and the dark theme, axes that can be read, data that stays data.

An axis gets its ticks from here and not from the drawing library: on a logarithmic axis of less than a decade that
one labels nothing, on one of many decades it labels 1, 2, 3 ... 9 over each other.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats
from scalewatch.charts.captions import WIDTH
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    pass

__all__ = [
    "DARK",
    "LIGHT",
    "WIDTH",
    "Ribbon",
    "Theme",
    "axis",
    "colours",
    "columns",
    "data",
    "named",
    "note",
    "on_axes",
    "panel_title",
    "plain",
    "power",
    "quantity",
    "ramp",
    "ribbon_layers",
    "round_numbers",
    "rows",
    "span",
    "ticks",
]

Unit = Literal["count", "flops", "loss", "number", "rate"]

LOSS_TITLE = "loss  [nats/token]"
#: Marks of one series at most: what a panel of this width can tell apart.
MOST_POINTS = 2_000
#: A number beyond these is drawn at them: no axis goes further, and sums stay finite.
LEAST_DRAWN, MOST_DRAWN = 1e-30, 1e60
#: Digits of a number that is drawn.
DIGITS = 8
#: Control characters, and those that turn the direction of a text: a number would be read backwards.
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
#: Size of what stands at an axis [pixels]: 7 points where the chart fills a page of 6.5 inches.
AXIS_LETTERS = 12
#: Letters of a name that is drawn.
NAME_LETTERS = 40


@final
@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a chart, each a hex string: `ink` is the data, `law` a law, `forecast` what follows from it."""

    background: str
    ink: str
    text: str
    grey: str
    grid: str
    law: str
    forecast: str
    alarm: str
    #: What is lost, and not only in trouble.
    lost: str
    #: The run that others are held against.
    reference: str
    #: From low to high, for what is ordered.
    stops: tuple[str, ...]


#: Colours that tell apart for colour-blind eyes and on a projector (Okabe and Ito 2008); the ramps are viridis.
LIGHT = Theme(
    background="#ffffff",
    ink="#1b2a41",
    text="#44546a",
    grey="#9aa5b1",
    grid="#dde3ea",
    law="#e69f00",
    forecast="#0072b2",
    alarm="#d55e00",
    lost="#a3003c",
    reference="#aa4499",
    stops=("#440154", "#414487", "#2a788e", "#22a884", "#72c04e"),
)
DARK = Theme(
    background="#11161d",
    ink="#e6edf3",
    text="#aab6c3",
    grey="#7d8a97",
    grid="#29323d",
    law="#f0b23a",
    forecast="#56b4e9",
    alarm="#ff8a5c",
    lost="#ff5c8a",
    reference="#e08ac8",
    stops=("#8a7be0", "#5b93e0", "#2fb3b8", "#4fd08a", "#e8e337"),
)


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


def plain(text: str) -> str:
    """Return a text that can be drawn: what XML 1.0 cannot hold is replaced.

    Over such a letter vl_convert ends the whole process, and with it somebody's training.
    """
    return _NO_TEXT.sub("\ufffd", text)


def data(values: Sequence[dict[str, Any]]) -> Any:
    """Return records as inline data of a chart.

    They are written at once: altair copies and checks lists of records many times over while it builds a chart.
    """
    import altair as alt

    written = json.dumps([{name: _drawn(value) for name, value in row.items()} for row in values], allow_nan=False)
    return alt.Data(values=written, format={"type": "json"})  # type: ignore[no-untyped-call]


def _drawn(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    if not isinstance(value, float):
        return value
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def rows(**series: Any) -> Any:
    """Return columns of equal length as inline data of a chart; what is not finite becomes null."""
    names = list(series)
    lists = [column.tolist() if isinstance(column, np.ndarray) else list(column) for column in series.values()]
    return data([dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)])


def columns(what: str, *, positive: bool = True, **series: ArrayLike) -> tuple[list[Floats], NDArray[np.int64]]:
    """Return columns of equal length without the rows that cannot be drawn, and which rows were kept.

    Of more than 2,000 rows as many are kept, evenly over the order given, with the least and the greatest of each.

    Raises:
        ConfigError: if the shapes differ or no row is left; `what` names the rows.
    """
    made = {name: np.asarray(values, dtype=np.float64) for name, values in series.items()}
    shapes = {column.shape for column in made.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        got = ", ".join(f"{name} {column.shape}" for name, column in made.items())
        raise ConfigError(f"The columns of the {what} must have one shape (n,) (got {got}).")
    fine = np.logical_and.reduce([np.isfinite(c) & ((c > 0) | (not positive)) for c in made.values()])
    kept = np.flatnonzero(fine)
    if not len(kept):
        word = "positive " if positive else ""
        raise ConfigError(f"There is nothing to draw: no row of the {what} holds finite {word}numbers throughout.")
    if len(kept) > MOST_POINTS:
        ends = [[int(kept[np.argmin(c[kept])]), int(kept[np.argmax(c[kept])])] for c in made.values()]
        few = kept[np.linspace(0, len(kept) - 1, MOST_POINTS - 2 * len(ends)).astype(int)]
        kept = np.unique(np.concatenate([few, np.ravel(ends)]))
    least = LEAST_DRAWN if positive else -MOST_DRAWN
    return [np.clip(column[kept], least, MOST_DRAWN) for column in made.values()], kept


def round_numbers(low: float, high: float, leading: Sequence[float]) -> list[float]:
    """Numbers that people read easily, from `low` to `high`."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [digit * 10.0**decade for decade in decades for digit in leading if low <= digit * 10.0**decade <= high]


def ticks(low: float, high: float, most: int = 7, *, log: bool = True) -> list[float]:
    """Return at most `most` round numbers from `low` to `high`, as evenly as a round number allows.

    >>> ticks(3e18, 4e21)
    [3e+18, 1e+19, 3e+19, 1e+20, 3e+20, 1e+21, 3e+21]
    >>> ticks(2.1, 3.4)
    [2.2, 2.4, 2.6, 2.8, 3.0, 3.2, 3.4]
    """
    if log and high / low > 4.0:
        for leading in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
            found = round_numbers(low, high, leading)
            if len(found) <= most and (len(leading) > 1 or len(found) > 1):
                return found
        apart = math.ceil(len(found) / most)
        return found[::apart]
    rough = max(high - low, 1e-9 * max(abs(high), 1e-30)) / most
    decade = 10.0 ** math.floor(math.log10(rough))
    step = next(s * decade for s in (1, 2, 2.5, 5, 10) if s * decade >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    count = math.floor(high / step + 1e-9) - first + 1
    return [round((first + i) * step, 12) if abs(step) > 1e-9 else (first + i) * step for i in range(count)]


def span(*parts: ArrayLike, log: bool = True, room: float = 0.04) -> tuple[float, float]:
    """Return least and most of all finite numbers in `parts`, with a little room on both sides."""
    joined = np.concatenate([np.ravel(np.asarray(p, dtype=np.float64)) for p in parts])
    joined = joined[np.isfinite(joined) & ((joined > 0) | (not log))]
    low, high = float(joined.min()), float(joined.max())
    if log:
        add = max(room * math.log(high / low), 0.02)
        return low * math.exp(-add), high * math.exp(add)
    add = max(room * (high - low), 1e-3 * max(abs(high), 1e-3))
    return low - add, high + add


#: Vega expressions of a tick's label: 1e18 for FLOPs, 70M and 1.5B for counts.
LABELS: dict[str, str] = {
    "count": "replace(format(datum.value, '~s'), 'G', 'B')",
    "flops": "datum.value ? replace(format(datum.value, '~e'), '+', '') : '0'",
    "loss": "format(datum.value, '.3~f')",
    "number": "format(datum.value, '~g')",
    "rate": "datum.value ? replace(format(datum.value, '~e'), '−', '-') : '0'",
}


def axis(
    low: float,
    high: float,
    title: str | None,
    *,
    unit: Unit = "number",
    log: bool = True,
    most: int = 7,
    grid: bool = False,
    labels: bool = True,
) -> dict[str, Any]:
    """Return scale, axis and title of a positional channel from `low` to `high`."""
    import altair as alt

    # Vega warns in the browser's console of a `zero` on logarithmic axes
    zero = alt.Undefined if log else False
    scale = alt.Scale(type="log" if log else "linear", domain=[low, high], nice=False, zero=zero)
    shown = alt.Axis(
        values=ticks(low, high, most, log=log),
        labelExpr=LABELS[unit],
        labelOverlap=True,
        grid=grid,
        title=title,
        labels=labels,
        ticks=labels,
    )
    return {"scale": scale, "axis": shown}


def quantity(value: float) -> str:
    """Return a count as people say it.

    >>> quantity(124_400_000), quantity(7e9), quantity(950)
    ('124M', '7B', '950')
    """
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 0.9995 * size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def power(value: float) -> str:
    """Return a number of FLOPs without zeros.

    >>> power(6e18), power(1.234e21)
    ('6e18', '1.23e21')
    """
    digits, _, exponent = f"{value:.2e}".partition("e")
    return f"{float(digits):g}e{int(exponent)}"


def ramp(count: int, theme: Theme) -> list[str]:
    """Return `count` colours from low to high."""
    stops = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in theme.stops], dtype=np.float64)
    at = np.linspace(0, len(stops) - 1, count) if count > 1 else np.array([0.5 * (len(stops) - 1)])
    mixed = np.stack([np.interp(at, np.arange(len(stops)), stops[:, i]) for i in range(3)], axis=1)
    return ["#" + "".join(f"{round(v):02x}" for v in colour) for colour in mixed.tolist()]


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
    return alt.layer(halo, base.mark_text(align=align, fontSize=12, fontWeight=weight, color=shade))


def named(name: object) -> str:
    """Return a name short enough for a legend or a label."""
    text = " ".join(str(name).split())
    return text if len(text) <= NAME_LETTERS else text[: NAME_LETTERS - 1] + "…"


def on_axes(x_field: str, x: dict[str, Any], y_field: str, y: dict[str, Any]) -> dict[str, Any]:
    """Return where a mark stands: the channels that read two fields on the axes `x` and `y`."""
    import altair as alt

    return {"x": alt.X(f"{x_field}:Q", **x), "y": alt.Y(f"{y_field}:Q", **y)}


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

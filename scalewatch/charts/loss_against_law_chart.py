"""The picture of a run: its loss, what its law predicted, what was forecast on the way, and what went wrong.

Above, the loss, on a logarithmic axis where it can be. Below, what a logarithmic axis flatters: the distance to its
law, on a linear axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.charts.axes import round_numbers, ticks
from scalewatch.charts.captions import WIDTH
from scalewatch.charts.decimate import Envelope, envelope
from scalewatch.charts.frame import Frame, finished
from scalewatch.charts.marks import colours
from scalewatch.charts.records import data, rows
from scalewatch.charts.spec import columns_of
from scalewatch.charts.theme import Theme, readable
from scalewatch.charts.y_domain import log_losses
from scalewatch.errors import ConfigError
from scalewatch.finding import Finding, Phase
from scalewatch.kinds import kind_name

if TYPE_CHECKING:
    import altair as alt

__all__ = ["Band", "loss_against_law"]

HEIGHT, GAP_HEIGHT = 330, 130
#: Last step over first step of a logarithmic axis: the first steps of a run are half of it and say little.
SPAN = 150.0
#: The same for the loss on linear axes: a first hundredth that falls by half would press all else flat.
LINEAR_SPAN = 50.0
#: The same for the distance to the law, which a warm-up makes large, and the least that is shown [nats/token].
GAP_SPAN, LEAST_REACH = 20.0, 1e-3
#: Stretches whose means are the line through the rows.
SMOOTH_STRETCHES = 75
#: Points a band is drawn with.
BAND_POINTS = 240
#: Pages that get a label; more would cover the curve.
MOST_LABELS = 6
#: A loss beyond this is drawn at it [nats/token]: no axis goes further, and sums stay finite.
MOST_DRAWN = 1e30


@final
@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """A predicted curve with its interval.

    Attributes:
        label: what the legend calls it.
        steps, mid, low, high: shape (n,); losses in nats/token.
    """

    label: str
    steps: Floats
    mid: Floats
    low: Floats
    high: Floats


def loss_against_law(
    steps: ArrayLike,
    losses: ArrayLike,
    frame: Frame,
    *,
    baseline: Band | None = None,
    forecast: Band | None = None,
    findings: Sequence[Finding] = (),
    log_x: bool = False,
    log_y: bool | None = None,
) -> alt.TopLevelMixin:
    """Draw a run against its law.

    Args:
        steps: optimizer steps of the rows, shape (n,).
        losses: training loss of the rows [nats/token], shape (n,).
        frame: around it.
        baseline: what the law predicted before the start; the lower panel shows the distance to it.
        forecast: what was forecast on the way.
        findings: opened and escalated ones worth a page are marked.
        log_x: a logarithmic axis of the steps. log_y: one of the losses; None: where all of them are above zero.

    Raises:
        ConfigError: if no row can be drawn.
    """
    import altair as alt

    theme = frame.theme
    log_y = log_losses(losses) if log_y is None else log_y
    steps, losses = _drawable(steps, losses, log_y)
    baseline, forecast = _drawable_band(baseline, log_y), _drawable_band(forecast, log_y)
    log = envelope(steps, losses, log_steps=log_x)
    if not len(log.steps):
        raise ConfigError(f"There is no finite {'positive ' if log_y else ''}loss to draw.")
    shades = _shades(baseline, forecast, findings, theme)
    fit = columns_of([name for name, _ in shades], WIDTH)
    colour = colours("series", shades, orient="top", columns=fit, symbolStrokeWidth=3, labelLimit=WIDTH)
    # a run that is on its way is drawn with the way that is ahead of it
    shown = log.steps if forecast is None else np.append(log.steps, forecast.steps.max())
    x = _x_axis(shown, log_x)
    y = _y_axis(log, [b for b in (baseline, forecast) if b is not None], log_x, log_y, frame.titled())
    layers: list[Any] = []
    for band, shade in ((baseline, theme.law), (forecast, theme.forecast)):
        if band is not None:
            layers += _band_layers(band, shade, x, y, colour)
    raw = alt.Chart(rows(step=log.steps, low=log.low, high=log.high))
    layers.append(
        raw.mark_rule(color=theme.grey, strokeOpacity=0.4, clip=True, strokeWidth=1).encode(
            x=x, y=alt.Y("low:Q", **y), y2="high:Q"
        )
    )
    smooth = _smooth(steps, losses, log_x)
    layers.append(
        alt.Chart(rows(step=smooth[0], loss=smooth[1], series=["training loss"] * len(smooth[0])))
        .mark_line(strokeWidth=2.2, clip=True)
        .encode(x=x, y=alt.Y("loss:Q", **y), color=colour)
    )
    layers += _alarms(findings, x, colour, float(log.steps.max()), theme)
    upper = alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)
    if baseline is None:
        return finished(upper, frame)
    lower = _gap_panel(steps, losses, baseline, findings, log_x, shown, frame)
    return finished(alt.vconcat(upper, lower, spacing=14), frame)


def _drawable(steps: ArrayLike, losses: ArrayLike, log: bool) -> tuple[Floats, Floats]:
    at, loss = np.asarray(steps, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if at.ndim != 1 or at.shape != loss.shape:
        raise ConfigError(f"`steps` and `losses` must have one shape (n,) (got {at.shape} and {loss.shape}).")
    keep = np.isfinite(at) & np.isfinite(loss) & ((loss > 0) | (not log))
    return at[keep], np.clip(loss[keep], -MOST_DRAWN, MOST_DRAWN)


def _drawable_band(band: Band | None, log: bool) -> Band | None:
    """The rows of a band that an axis can hold; none of them is no band."""
    if band is None:
        return None
    parts = [np.asarray(part, dtype=np.float64) for part in (band.steps, band.mid, band.low, band.high)]
    if len({part.shape for part in parts}) != 1 or parts[0].ndim != 1:
        raise ConfigError(f"The arrays of the band '{band.label:.40}' must have one shape (n,).")
    fine = np.logical_and.reduce([np.isfinite(part) & ((part > 0) | (not log)) for part in parts])
    return Band(band.label, *(np.clip(part[fine], -MOST_DRAWN, MOST_DRAWN) for part in parts)) if fine.any() else None


def _shades(
    baseline: Band | None, forecast: Band | None, findings: Sequence[Finding], theme: Theme
) -> list[tuple[str, str]]:
    known = [("training loss", theme.ink)]
    known += [] if baseline is None else [(baseline.label, theme.law)]
    known += [] if forecast is None else [(forecast.label, theme.forecast)]
    paged = any(f.pages and f.phase is not Phase.CLOSED for f in findings)
    return known + ([("page", theme.alarm)] if paged else [])


def _x_axis(steps: Floats, log: bool) -> Any:
    import altair as alt

    last = float(steps.max())
    first = max(float(steps.min()), last / SPAN) if log else 0.0
    scale = alt.Scale(type="log" if log else "linear", domain=[first, last], nice=False)
    shown = round_numbers(first, last, (1, 2, 5)) if log else None
    known: dict[str, Any] = {"values": shown} if shown else {"tickCount": 8}
    label = "format(datum.value, ',.0f')" if last < 2e4 else "replace(format(datum.value, '~s'), 'G', 'B')"
    axis = alt.Axis(labelExpr=label, labelOverlap=True, grid=False, title="optimizer steps", **known)
    return alt.X("step:Q", scale=scale, axis=axis)


def _y_axis(log: Envelope, bands: Sequence[Band], log_x: bool, log_y: bool, title: str) -> dict[str, Any]:
    import altair as alt

    shown = log.steps >= log.steps.max() / (SPAN if log_x else LINEAR_SPAN)
    low = min([float(np.quantile(log.low[shown], 0.02)), *(float(b.low.min()) for b in bands)]) / 1.02
    high = float(np.quantile(log.mean[shown], 0.999)) * 1.04
    if not (log_y and low > 0):
        return {
            "scale": alt.Scale(domain=[low, high], nice=False),
            "axis": alt.Axis(format=".3~f", tickCount=6),
            "title": title,
        }
    return {
        "scale": alt.Scale(type="log", domain=[low, high], nice=False),
        "axis": alt.Axis(values=ticks(low, high), format=".3~f"),
        "title": title,
    }


def _band_layers(band: Band, shade: str, x: Any, y: dict[str, Any], colour: Any) -> list[Any]:
    import altair as alt

    keep = np.unique(np.linspace(0, len(band.steps) - 1, BAND_POINTS).astype(int))
    points = rows(
        step=band.steps[keep],
        mid=band.mid[keep],
        low=band.low[keep],
        high=band.high[keep],
        series=[band.label] * len(keep),
    )
    base = alt.Chart(points)
    return [
        base.mark_area(color=shade, opacity=0.22, clip=True).encode(x=x, y=alt.Y("low:Q", **y), y2="high:Q"),
        base.mark_line(strokeWidth=2, strokeDash=[6, 3], clip=True).encode(x=x, y=alt.Y("mid:Q", **y), color=colour),
    ]


def _smooth(steps: ArrayLike, losses: ArrayLike, log_x: bool) -> tuple[Floats, Floats]:
    """Means over stretches of equal length on the axis that is drawn."""
    few = envelope(steps, losses, SMOOTH_STRETCHES, log_steps=log_x)
    return few.steps, few.mean


def _alarms(findings: Sequence[Finding], x: Any, colour: Any, last: float, theme: Theme) -> list[Any]:
    import altair as alt

    pages = [f for f in findings if f.pages and f.phase is not Phase.CLOSED][:MOST_LABELS]
    layers: list[Any] = []
    for row, page in enumerate(pages):
        worse = f" is {page.severity.value}" if page.phase is Phase.ESCALATED else ""
        what = f"{kind_name(page.kind)}{worse}, step {page.step:,}"
        base = alt.Chart(data([{"step": page.step, "series": "page", "what": what}]))
        side: Literal["left", "right"] = "right" if page.step > 0.4 * last else "left"
        shift = -6 if side == "right" else 6
        # placed by pixel: a scale of its own would draw a second axis
        label = base.mark_text(align=side, dx=shift, color=readable(theme.alarm, theme), fontSize=12, fontWeight="bold")
        layers.append(base.mark_rule(strokeWidth=1.6, strokeDash=[2, 2], clip=True).encode(x=x, color=colour))
        layers.append(label.encode(x=x, y=alt.value(10 + 18 * row), text="what:N"))
    return layers


def _gap_panel(
    at: Floats,
    loss: Floats,
    baseline: Band,
    findings: Sequence[Finding],
    log_x: bool,
    shown: Floats,
    frame: Frame,
) -> Any:
    import altair as alt

    theme = frame.theme
    inside = (at >= baseline.steps[0]) & (at <= baseline.steps[-1])
    # row by row, and then the mean: a curve that bends within a stretch is not off by its bend
    at, gap = _smooth(at[inside], loss[inside] - np.interp(at[inside], baseline.steps, baseline.mid), log_x)
    keep = np.unique(np.linspace(0, len(baseline.steps) - 1, BAND_POINTS).astype(int))
    low, high = (baseline.low - baseline.mid)[keep], (baseline.high - baseline.mid)[keep]
    reach = 1.15 * max(_reach(baseline.steps[keep], np.maximum(-low, high), 1.0), _reach(at, gap, 0.98), LEAST_REACH)
    x = _x_axis(shown, log_x)
    y: dict[str, Any] = {
        "scale": alt.Scale(domain=[-reach, reach], nice=False),
        "axis": alt.Axis(labelExpr="datum.value ? format(datum.value, '+.3~f') : '0'", tickCount=5),
        "title": frame.titled("loss − law"),
    }
    band = alt.Chart(rows(step=baseline.steps[keep], low=low, high=high))
    line = alt.Chart(rows(step=at, gap=gap))
    zero = alt.Chart(data([{"gap": 0.0}]))
    layers = [
        band.mark_area(color=theme.law, opacity=0.22, clip=True).encode(x=x, y=alt.Y("low:Q", **y), y2="high:Q"),
        zero.mark_rule(color=theme.law, strokeDash=[6, 3]).encode(y=alt.Y("gap:Q", **y)),
        line.mark_line(color=theme.ink, strokeWidth=2, clip=True).encode(x=x, y=alt.Y("gap:Q", **y)),
    ]
    pages = [f for f in findings if f.pages and f.phase is not Phase.CLOSED]
    if pages:
        marks = alt.Chart(data([{"step": f.step} for f in pages]))
        layers.append(marks.mark_rule(color=theme.alarm, strokeWidth=1.6, strokeDash=[2, 2], clip=True).encode(x=x))
    return alt.layer(*layers).properties(width=WIDTH, height=GAP_HEIGHT)


def _reach(steps: Floats, gap: Floats, share: float) -> float:
    """How far the later part of a distance goes from zero."""
    late = np.abs(gap[steps >= steps[-1] / GAP_SPAN]) if len(steps) else gap
    late = late[np.isfinite(late)]
    return float(np.quantile(late, share)) if len(late) else 0.0

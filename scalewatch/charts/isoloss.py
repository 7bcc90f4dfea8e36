"""Lines of equal loss over compute and size, and the frontier that touches each where it costs least.

A contour's leftmost point is the cheapest model of its loss. How bluntly it turns there is how little a model of
the wrong size costs.

Source: Hoffmann et al. (2022), arXiv 2203.15556, figure 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.charts.style import (
    WIDTH,
    Ribbon,
    Theme,
    axis,
    columns,
    data,
    finished,
    note,
    ribbon_layers,
    rows,
    span,
    theme_of,
)
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    import altair as alt

__all__ = ["Contour", "isoloss"]

Floats = NDArray[np.float64]

HEIGHT = 430
INNER = WIDTH - 90
#: Contours that can be told apart.
MOST_CONTOURS = 16
#: Points a contour is drawn with.
CONTOUR_POINTS = 200
#: Compute beyond the runs that is shown, either way.
BEYOND = 2.0


@final
@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """Models of one loss.

    Attributes:
        loss: [nats/token]. flops: compute of each [FLOP], shape (n,). parameters: count, shape (n,), rising.
    """

    loss: float
    flops: Floats
    parameters: Floats


def isoloss(
    contours: Sequence[Contour],
    *,
    title: str,
    subtitle: Sequence[str] = (),
    frontier: Ribbon | None = None,
    flops: ArrayLike = (),
    parameters: ArrayLike = (),
    loss: ArrayLike = (),
    dark: bool = False,
) -> alt.TopLevelMixin:
    """Draw lines of equal loss.

    Args:
        contours: the lines, from a law.
        title: headline. subtitle: sentences under it.
        frontier: best size over compute [FLOP], with its interval.
        flops, parameters, loss: runs, shape (n,) each [FLOP, count, nats/token].
        dark: colours for a dark page.

    Raises:
        ConfigError: if there is no contour.
    """
    import altair as alt

    theme = theme_of(dark)
    few = list(contours)
    if len(few) > MOST_CONTOURS:
        few = [few[i] for i in np.linspace(0, len(few) - 1, MOST_CONTOURS).astype(int)]
    few = [c for c in few if len(c.flops) and np.all(np.isfinite(c.flops)) and np.all(np.isfinite(c.parameters))]
    if not few:
        raise ConfigError("There is no contour to draw: give losses above the irreducible one.")
    runs: list[Floats] = []
    if np.size(flops):
        runs, _ = columns("runs", flops=flops, parameters=parameters, loss=loss)
    x_span, y_span = _spans(few, frontier, runs)
    x = axis(*x_span, "compute  [FLOP]", unit="flops", most=9)
    y = axis(*y_span, "parameters", unit="count", grid=True)
    losses = [c.loss for c in few] + (runs[2].tolist() if runs else [])
    colour = alt.Color(
        "loss:Q",
        scale=alt.Scale(domain=[min(losses), max(losses)], range=list(theme.stops)[::-1], nice=False),
        legend=alt.Legend(
            type="gradient",
            title=["loss", "[nats/token]"],
            orient="right",
            gradientLength=220,
            values=_spread(losses),
            format=".2~f",
        ),
    )
    layers = [_lines(few, x, y, colour)]
    if frontier is not None:
        layers += ribbon_layers(frontier, theme.promise, alt.X("x:Q", **x), y, None, dash=(1, 0))
    if runs:
        dots = alt.Chart(rows(x=runs[0], size=runs[1], loss=runs[2]))
        mark = dots.mark_circle(
            size=40, opacity=1, fillOpacity=0.9, stroke=theme.background, strokeWidth=0.6, clip=True
        )
        layers.append(mark.encode(x=alt.X("x:Q", **x), y=alt.Y("size:Q", **y), color=colour))
    layers += _labels(few, frontier, x, y, x_span, y_span, theme)
    return finished(alt.layer(*layers).properties(width=INNER, height=HEIGHT), theme, title=title, subtitle=subtitle)


def _spans(
    contours: Sequence[Contour], frontier: Ribbon | None, runs: Sequence[Floats]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """What is shown: the runs and the frontier, or the contours where there are no runs."""
    if runs:
        x, y = span(runs[0]), span(runs[1], room=0.06)
        return (x[0] / BEYOND, x[1] * BEYOND), y
    if frontier is not None:
        y = span(frontier.low, frontier.high)
        return span(frontier.x), (y[0] / BEYOND, y[1] * BEYOND)
    return span(*[c.flops for c in contours]), span(*[c.parameters for c in contours])


def _spread(losses: Sequence[float]) -> list[float]:
    return sorted({round(float(v), 2) for v in np.linspace(min(losses), max(losses), 6)})


def _lines(contours: Sequence[Contour], x: dict[str, Any], y: dict[str, Any], colour: Any) -> Any:
    import altair as alt

    points = [
        {"x": flops, "size": size, "order": order, "loss": contour.loss}
        for contour in contours
        for order, (flops, size) in enumerate(_few(contour))
    ]
    mark = alt.Chart(data(points)).mark_line(strokeWidth=1.5, clip=True)
    return mark.encode(x=alt.X("x:Q", **x), y=alt.Y("size:Q", **y), order="order:Q", color=colour, detail="loss:Q")


def _few(contour: Contour) -> list[tuple[float, float]]:
    keep = np.unique(np.linspace(0, len(contour.flops) - 1, CONTOUR_POINTS).astype(int))
    return list(
        zip(np.asarray(contour.flops)[keep].tolist(), np.asarray(contour.parameters)[keep].tolist(), strict=True)
    )


def _labels(
    contours: Sequence[Contour],
    frontier: Ribbon | None,
    x: dict[str, Any],
    y: dict[str, Any],
    x_span: tuple[float, float],
    y_span: tuple[float, float],
    theme: Theme,
) -> list[Any]:
    """The loss of each contour where it leaves the panel below its cheapest model, and the frontier's name."""
    import altair as alt

    at = []
    for contour in contours:
        inside = (
            (contour.flops > x_span[0] * 1.05)
            & (contour.flops < x_span[1] / 1.15)
            & (contour.parameters > y_span[0] * 1.12)
            & (contour.parameters < y_span[1])
        )
        if inside.any():
            end = int(np.flatnonzero(inside)[0])
            at.append((contour.flops[end], contour.parameters[end], f"{contour.loss:.3g}"))
    layers: list[Any] = []
    if at:
        base = alt.Chart(rows(x=[p[0] for p in at], size=[p[1] for p in at], label=[p[2] for p in at]))
        encoded = {"x": alt.X("x:Q", **x), "y": alt.Y("size:Q", **y), "text": "label:N"}
        # above the line, with a halo where another one passes
        halo = base.mark_text(
            fontSize=11, dy=-8, color=theme.background, stroke=theme.background, strokeWidth=4, strokeJoin="round"
        )
        layers.append(halo.encode(**encoded))
        layers.append(base.mark_text(fontSize=11, dy=-8, color=theme.text).encode(**encoded))
    if frontier is not None:
        layers.append(note(frontier.label, theme.promise, theme))
    return layers

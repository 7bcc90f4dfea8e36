"""Lines of equal loss over compute and size, and the frontier that touches each where it costs least.

A contour's leftmost point is the cheapest model of its loss. How bluntly it turns there is how little a model of
the wrong size costs.

Source: Hoffmann et al. (2022), arXiv 2203.15556, figure 4.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.charts.axes import axis, on_axes, span
from scalewatch.charts.captions import WIDTH
from scalewatch.charts.frame import Frame, finished
from scalewatch.charts.marks import Placed, Ribbon, evenly, fraction, halo_text, note, placed_layers, ribbon_layers
from scalewatch.charts.records import columns, data, rows
from scalewatch.charts.theme import Theme
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    import altair as alt

__all__ = ["Contour", "isoloss"]

HEIGHT = 430
INNER = WIDTH - 90
#: Contours that can be told apart.
MOST_CONTOURS = 16
#: Points a contour is drawn with.
CONTOUR_POINTS = 200
#: Part of the runs that the colours are spread over: the loss of one that diverged would give all others one colour.
MOST_OF = 0.95
#: Parts of the panel that a label keeps from its left, right and lower edge.
EDGE_LEFT, EDGE_RIGHT, EDGE_BELOW = 0.03, 0.03, 0.03
#: Half the width and height of a label, in parts of the panel, that keep clear of runs and of the frontier.
LABEL = (0.035, 0.03)
#: Height of the corner with the frontier's name, in parts of the panel, and width of a letter there [pixels].
CORNER, LETTER = 0.09, 7.0
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
    frame: Frame,
    *,
    frontier: Ribbon | None = None,
    flops: ArrayLike = (),
    parameters: ArrayLike = (),
    loss: ArrayLike = (),
    here: Placed | None = None,
) -> alt.TopLevelMixin:
    """Draw lines of equal loss.

    Args:
        contours: the lines, from a law.
        frame: around it.
        frontier: best size over compute [FLOP], with its interval.
        flops, parameters, loss: runs, shape (n,) each [FLOP, count, nats/token]; without losses they have no colour.
        here: a run to point out.

    Raises:
        ConfigError: if there is no contour.
    """
    import altair as alt

    theme = frame.theme
    few = [
        c
        for c in evenly(contours, MOST_CONTOURS)
        if len(c.flops) and np.all(np.isfinite(c.flops)) and np.all(np.isfinite(c.parameters))
    ]
    if not few:
        raise ConfigError("There is no contour to draw: give losses above the irreducible one.")
    runs: list[Floats] = []
    if np.size(flops):
        known = {"flops": flops, "parameters": parameters} | ({"loss": loss} if np.size(loss) else {})
        runs, _ = columns("runs", positive=True, **known)
    x_span, y_span = _spans(few, frontier, runs, here)
    x = axis(*x_span, "compute  [FLOP]", unit="flops", most=9)
    y = axis(*y_span, "parameters", unit="count", grid=True)
    losses = [c.loss for c in few]
    if len(runs) > 2:
        losses += runs[2][runs[2] <= np.quantile(runs[2], MOST_OF)].tolist()
    colour = alt.Color(
        "loss:Q",
        scale=alt.Scale(domain=[min(losses), max(losses)], range=list(theme.stops)[::-1], nice=False, clamp=True),
        legend=alt.Legend(
            type="gradient",
            title=["loss", "[nats/token]"],
            orient="right",
            gradientLength=220,
            values=sorted(c.loss for c in few),
            format=f".{_digits(few)}f",
        ),
    )
    layers = [_lines(few, x, y, colour)]
    if frontier is not None:
        layers += ribbon_layers(frontier, theme.law, alt.X("x:Q", **x), y, None, dash=(1, 0))
    if runs:
        layers.append(_dots(runs, x, y, colour, theme))
    layers += _labels(few, frontier, [*runs[:2]] or [[], []], here, (x, y), (x_span, y_span), theme)
    if here is not None:
        layers += placed_layers(here, (here.flops, x), (here.parameters, y), theme, name=True)
    return finished(alt.layer(*layers).properties(width=INNER, height=HEIGHT), frame)


def _spans(
    contours: Sequence[Contour], frontier: Ribbon | None, runs: Sequence[Floats], here: Placed | None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """What is shown: the runs and the frontier, or the contours where there are no runs."""
    if here is not None:
        mid = np.zeros(0) if frontier is None else frontier.mid
        x, y = span(runs[0] if runs else [], here.flops), span(runs[1] if runs else [], here.parameters, mid, room=0.06)
        if frontier is not None:
            x = span(x, frontier.x, room=0.0)
        return x, y
    if runs:
        x, y = span(runs[0]), span(runs[1], room=0.06)
        return (x[0] / BEYOND, x[1] * BEYOND), y
    if frontier is not None:
        y = span(frontier.low, frontier.high)
        return span(frontier.x), (y[0] / BEYOND, y[1] * BEYOND)
    return span(*[c.flops for c in contours]), span(*[c.parameters for c in contours])


def _digits(contours: Sequence[Contour]) -> int:
    """Digits that tell the losses of all lines apart, at the lines and in the legend."""
    return 2 if all(abs(one.loss - other.loss) > 0.009 for one, other in itertools.pairwise(contours)) else 3


def _lines(contours: Sequence[Contour], x: dict[str, Any], y: dict[str, Any], colour: Any) -> Any:
    import altair as alt

    points = [
        {"x": flops, "size": size, "order": order, "loss": contour.loss}
        for contour in contours
        for order, (flops, size) in enumerate(_few(contour))
    ]
    mark = alt.Chart(data(points)).mark_line(strokeWidth=1.5, clip=True)
    return mark.encode(**on_axes("x", x, "size", y), order="order:Q", color=colour, detail="loss:Q")


def _dots(runs: Sequence[Floats], x: dict[str, Any], y: dict[str, Any], colour: Any, theme: Theme) -> Any:
    """The runs, each in the colour of its loss where it is known."""
    import altair as alt

    look: dict[str, Any] = {"size": 40, "opacity": 1, "fillOpacity": 0.9, "strokeWidth": 0.6, "clip": True}
    at = on_axes("x", x, "size", y)
    if len(runs) < 3:
        dots = alt.Chart(rows(x=runs[0], size=runs[1]))
        return dots.mark_circle(**look, stroke=theme.background, color=theme.ink).encode(**at)
    dots = alt.Chart(rows(x=runs[0], size=runs[1], loss=runs[2]))
    return dots.mark_circle(**look, stroke=theme.background).encode(**at, color=colour)


def _few(contour: Contour) -> list[tuple[float, float]]:
    keep = np.unique(np.linspace(0, len(contour.flops) - 1, CONTOUR_POINTS).astype(int))
    return list(
        zip(np.asarray(contour.flops)[keep].tolist(), np.asarray(contour.parameters)[keep].tolist(), strict=True)
    )


def _labels(
    contours: Sequence[Contour],
    frontier: Ribbon | None,
    runs: Sequence[Any],
    here: Placed | None,
    axes: tuple[dict[str, Any], dict[str, Any]],
    spans: tuple[tuple[float, float], tuple[float, float]],
    theme: Theme,
) -> list[Any]:
    """The loss of each contour where it leaves the panel below its cheapest model, and the frontier's name."""
    import altair as alt

    (x, y), (x_span, y_span) = axes, spans
    marks: list[Any] = [runs] if frontier is None else [(frontier.x, frontier.mid), runs]
    marks += [] if here is None else [([here.flops], [here.parameters])]
    busy = [np.concatenate([[], *(fraction(mark[i], spans[i]) for mark in marks)]) for i in (0, 1)]
    corner = 0.0 if frontier is None else (10 + LETTER * len(frontier.label)) / INNER
    at = []
    digits = _digits(contours)
    for contour in contours:
        across, up = fraction(contour.flops, x_span), fraction(contour.parameters, y_span)
        inside = (across > EDGE_LEFT) & (across < 1 - EDGE_RIGHT) & (up > EDGE_BELOW) & (up < 1 - 2 * LABEL[1])
        inside &= (across > corner + LABEL[0]) | (up < 1 - CORNER - LABEL[1])
        if inside.any():
            # the label stands above the line
            from_x = np.abs(np.subtract.outer(across, busy[0]))
            from_y = np.abs(np.subtract.outer(up + LABEL[1], busy[1]))
            free = inside & ~np.any((from_x < LABEL[0]) & (from_y < LABEL[1]), axis=1)
            end = int(np.flatnonzero(free if free.any() else inside)[0])
            at.append((contour.flops[end], contour.parameters[end], f"{contour.loss:.{digits}f}"))
    layers: list[Any] = []
    if at:
        base = alt.Chart(rows(x=[p[0] for p in at], size=[p[1] for p in at], label=[p[2] for p in at]))
        encoded = on_axes("x", x, "size", y)
        layers += halo_text(base, theme, encoded, fontSize=11, dy=-8)
    if frontier is not None:
        layers.append(note(frontier.label, theme.law, theme))
    return layers

"""What a law says of equal compute: loss over size at each budget, the best sizes, and one run among them.

Where a run stands on its own valley is how far its size is from the best one for its compute, and how little or how
much that costs: a valley is flat about its bottom.

Source: Hoffmann et al. (2022), arXiv 2203.15556, figure 3, with the law in place of parabolas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.charts.axes import LOSS_TITLE, axis, on_axes, power, span
from scalewatch.charts.captions import WIDTH
from scalewatch.charts.frame import Frame, finished
from scalewatch.charts.marks import Placed, colours, evenly, note, placed_layers
from scalewatch.charts.records import columns, data, rows
from scalewatch.charts.theme import Theme, ramp
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    import altair as alt

__all__ = ["Valley", "valleys"]

HEIGHT = 400
#: Width beside the legend [pixels].
INNER = WIDTH - 90
#: Valleys that are drawn, and points of each.
MOST_VALLEYS, VALLEY_POINTS = 14, 160
#: Runs whose log compute is this near a valley's are of its colour.
BUDGET_WIDTH = 0.1
#: Room above what is shown, in parts of the distance between the highest and the lowest bottom or run.
ABOVE = 0.35
BOTTOMS = "best size at each compute"


@final
@dataclass(frozen=True, slots=True, eq=False)
class Valley:
    """A budget by a law.

    Attributes:
        flops: the budget [FLOP]. parameters: count, rising, shape (n,). loss: [nats/token], shape (n,).
        bottom: best size and its loss, None if the law has none there.
    """

    flops: float
    parameters: Floats
    loss: Floats
    bottom: tuple[float, float] | None = None


def valleys(
    lines: Sequence[Valley],
    frame: Frame,
    *,
    parameters: ArrayLike = (),
    loss: ArrayLike = (),
    flops: ArrayLike = (),
    here: Placed | None = None,
) -> alt.TopLevelMixin:
    """Draw the valleys of a law.

    Args:
        lines: the valleys.
        frame: around it.
        parameters, loss, flops: of finished runs that may be held against the law, shape (n,) each.
        here: a run to point out, at its end or at what the law says of it.

    Raises:
        ConfigError: if there is no valley.
    """
    import altair as alt

    theme = frame.theme
    few = [v for v in evenly(sorted(lines, key=lambda v: v.flops), MOST_VALLEYS) if np.isfinite(v.loss).any()]
    if not few:
        raise ConfigError("There is no valley to draw: give budgets for which the law has a loss.")
    runs = columns("runs", parameters=parameters, loss=loss, flops=flops)[0] if np.size(loss) else [np.zeros(0)] * 3
    labels = [power(valley.flops) for valley in few]
    shades = list(zip(labels, ramp(len(labels), theme), strict=True))
    legend = {"title": "compute  [FLOP]", "symbolType": "stroke", "symbolStrokeWidth": 3}
    colour = colours("budget", shades, orient="right", **legend)
    limits = _limits(few, runs, here)
    x = axis(*span(*[v.parameters for v in few], room=0.0), "parameters", unit="count", most=9)
    y = axis(*limits, LOSS_TITLE, unit="loss", grid=True)
    own = None if here is None else int(np.argmin([abs(np.log(v.flops / here.flops)) for v in few]))
    layers = [_lines(few, labels, own, x, y, colour), *_bottoms(few, x, y, theme)]
    layers += _runs(runs, few, labels, (x, y), colour, theme)
    if here is not None:
        layers += placed_layers(here, (here.parameters, x), (here.loss, y), theme, name=True)
    chart = alt.layer(*layers).properties(width=INNER, height=HEIGHT)
    return finished(chart, frame)


def _limits(lines: Sequence[Valley], runs: Sequence[Floats], here: Placed | None) -> tuple[float, float]:
    """Least and most loss that is drawn: the bottoms, the runs, and some of the valleys' sides."""
    low_ends = [np.nanmin(valley.loss) for valley in lines]
    own = [] if here is None else [here.loss, here.low or here.loss, here.high or here.loss]
    low, high = span(low_ends, runs[1], own, room=0.08)
    return low, high * (high / low) ** ABOVE


def _lines(
    lines: Sequence[Valley], labels: Sequence[str], own: int | None, x: dict[str, Any], y: dict[str, Any], colour: Any
) -> Any:
    """The valleys, that of the run to point out the thickest."""
    import altair as alt

    layers = []
    for thick in (False, True):
        points = [
            {"size": size, "loss": loss, "budget": label}
            for place, (valley, label) in enumerate(zip(lines, labels, strict=True))
            for size, loss in _thin(valley)
            if (place == own) is thick
        ]
        if points:
            mark = alt.Chart(data(points)).mark_line(strokeWidth=3.5 if thick else 1.7, clip=True)
            layers.append(mark.encode(**on_axes("size", x, "loss", y), color=colour))
    return alt.layer(*layers)


def _thin(valley: Valley) -> list[tuple[float, float]]:
    fine = np.flatnonzero(np.isfinite(valley.loss) & (valley.loss > 0) & (valley.parameters > 0))
    kept = evenly(fine.tolist(), VALLEY_POINTS)
    return list(zip(valley.parameters[kept].tolist(), valley.loss[kept].tolist(), strict=True))


def _bottoms(lines: Sequence[Valley], x: dict[str, Any], y: dict[str, Any], theme: Theme) -> list[Any]:
    import altair as alt

    ends = [valley.bottom for valley in lines if valley.bottom is not None]
    if not ends:
        return []
    base = alt.Chart(rows(size=[end[0] for end in ends], loss=[end[1] for end in ends]))
    at = on_axes("size", x, "loss", y)
    dashed = base.mark_line(strokeWidth=2, strokeDash=[6, 3], color=theme.law, clip=True)
    dots = base.mark_circle(size=46, opacity=1, color=theme.law, clip=True)
    return [dashed.encode(**at), dots.encode(**at), note(BOTTOMS, theme.law, theme, right=INNER)]


def _runs(
    runs: Sequence[Floats],
    lines: Sequence[Valley],
    labels: Sequence[str],
    axes: tuple[dict[str, Any], dict[str, Any]],
    colour: Any,
    theme: Theme,
) -> list[Any]:
    """The finished runs, each in the colour of its budget, or grey."""
    import altair as alt

    if not len(runs[0]):
        return []
    apart = np.abs(np.subtract.outer(np.log(runs[2]), np.log([valley.flops for valley in lines])))
    nearest, near = np.argmin(apart, axis=1), np.min(apart, axis=1) < BUDGET_WIDTH
    at = {"x": alt.X("size:Q", **axes[0]), "y": alt.Y("loss:Q", **axes[1])}
    layers: list[Any] = []
    if not near.all():
        grey = alt.Chart(rows(size=runs[0][~near], loss=runs[1][~near]))
        layers.append(grey.mark_circle(size=40, color=theme.grey, opacity=1, fillOpacity=0.7, clip=True).encode(**at))
    if near.any():
        own = [labels[i] for i in nearest[near].tolist()]
        dots = alt.Chart(rows(size=runs[0][near], loss=runs[1][near], budget=own))
        mark = dots.mark_circle(size=50, opacity=1, stroke=theme.background, strokeWidth=0.8, clip=True)
        layers.append(mark.encode(**at, color=colour))
    return layers

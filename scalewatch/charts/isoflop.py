"""The valleys of equal compute: final loss over size at each budget, and how the best size grows with the budget.

Above, the runs of each budget, the parabola through the five sizes about the lowest, and its bottom with the
interval of where it lies. Below, these bottoms over compute, with the power law N ~ C^a through them.

Source: Hoffmann et al. (2022), arXiv 2203.15556, figure 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.charts.style import (
    LOSS_TITLE,
    WIDTH,
    Ribbon,
    Theme,
    axis,
    columns,
    data,
    finished,
    note,
    power,
    ramp,
    ribbon_layers,
    rows,
    span,
    theme_of,
)
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    import altair as alt

__all__ = ["Minima", "isoflop"]

Floats = NDArray[np.float64]

HEIGHT, LOWER_HEIGHT = 360, 190
#: Width beside the legend [pixels].
INNER = WIDTH - 90
#: Runs whose compute differs by less from that of their budget belong to it.
BUDGET_WIDTH = 0.1
#: Sizes about the lowest one that a parabola is drawn through, as in the fit.
PARABOLA_POINTS = 5
CURVE_POINTS = 60
#: Budgets that are drawn; more are thinned out evenly.
MOST_BUDGETS = 14


@final
@dataclass(frozen=True, slots=True, eq=False)
class Minima:
    """The best size of each budget, arrays of shape (b,).

    Attributes:
        flops: budget [FLOP]. parameters: best size, count. low, high: its interval, count.
        loss: there [nats/token].
    """

    flops: Floats
    parameters: Floats
    low: Floats
    high: Floats
    loss: Floats


def isoflop(
    parameters: ArrayLike,
    loss: ArrayLike,
    flops: ArrayLike,
    *,
    title: str,
    subtitle: Sequence[str] = (),
    minima: Minima | None = None,
    allocation: Ribbon | None = None,
    dark: bool = False,
) -> alt.TopLevelMixin:
    """Draw finished runs of equal compute.

    Args:
        parameters: of each run, shape (n,), count. loss: final [nats/token], shape (n,).
        flops: its budget [FLOP], shape (n,); within 10 % they are one budget.
        title: headline. subtitle: sentences under it.
        minima: the bottoms, and how well they are known; with them the lower panel is drawn.
        allocation: best size over compute [FLOP], a line with its interval.
        dark: colours for a dark page.

    Raises:
        ConfigError: if no run can be drawn.
    """
    import altair as alt

    theme = theme_of(dark)
    (size, losses, compute), _ = columns("runs", parameters=parameters, loss=loss, flops=flops)
    budgets, others, notes = _few(_budgets(compute), size, list(subtitle))
    labels = [power(float(np.median(compute[budget]))) for budget in budgets]
    colour = alt.Color(
        "budget:N",
        sort=None,
        scale=alt.Scale(domain=list(dict.fromkeys(labels)), range=ramp(len(dict.fromkeys(labels)), theme)),
        legend=alt.Legend(title="budget  [FLOP]", orient="right", symbolType="circle", symbolOpacity=1, symbolLimit=0),
    )
    minima = None if minima is None else _drawn(minima, [compute[budget] for budget in budgets])
    sizes = span(size, *([] if minima is None else [minima.parameters]))
    upper = _valleys(size, losses, budgets, others, labels, colour, sizes, minima, theme)
    if minima is None or not len(minima.flops):
        return finished(upper, theme, title=title, subtitle=notes)
    lower = _allocation(minima, allocation, colour, labels, [compute[b] for b in budgets], theme)
    return finished(alt.vconcat(upper, lower, spacing=18), theme, title=title, subtitle=notes)


def _budgets(flops: Floats) -> list[NDArray[np.int64]]:
    """Rows of equal compute: each within the width of the first of its budget, so that no chain of runs is one."""
    order = np.argsort(flops, kind="stable")
    log_flops, cuts, first = np.log(flops[order]), [], 0
    for i in range(1, len(order)):
        if log_flops[i] - log_flops[first] > 2 * np.log1p(BUDGET_WIDTH):
            first = i
            cuts.append(i)
    return [np.asarray(part) for part in np.split(order, cuts)]


def _few(
    budgets: list[NDArray[np.int64]], size: Floats, notes: list[str]
) -> tuple[list[NDArray[np.int64]], NDArray[np.int64], list[str]]:
    """The budgets that are drawn in colour, the rows of the others, and a sentence on these."""
    valleys = [rows for rows in budgets if len(np.unique(size[rows])) >= 3] or budgets
    few = valleys
    if len(valleys) > MOST_BUDGETS:
        few = [valleys[i] for i in np.linspace(0, len(valleys) - 1, MOST_BUDGETS).astype(int)]
    drawn = np.concatenate(few)
    others = np.setdiff1d(np.concatenate(budgets), drawn)
    if len(others):
        notes.append(f"Grey: {len(others)} runs of {len(budgets) - len(few)} other budgets.")
    return few, others, notes


def _drawn(minima: Minima, budgets: Sequence[Floats]) -> Minima:
    """The minima of the budgets that are drawn."""
    names = ("flops", "parameters", "low", "high", "loss")
    arrays = [np.asarray(getattr(minima, name), dtype=np.float64) for name in names]
    if len({array.shape for array in arrays}) != 1 or arrays[0].ndim != 1:
        raise ConfigError("The arrays of `minima` must have one shape (b,).")
    at = np.log([float(np.median(budget)) for budget in budgets])
    near = [bool(np.min(np.abs(at - np.log(flops))) < 2 * BUDGET_WIDTH) for flops in arrays[0].tolist()]
    return Minima(*(array[np.array(near, dtype=bool)] for array in arrays))


def _valleys(
    size: Floats,
    loss: Floats,
    budgets: Sequence[NDArray[np.int64]],
    others: NDArray[np.int64],
    labels: Sequence[str],
    colour: Any,
    sizes: tuple[float, float],
    minima: Minima | None,
    theme: Theme,
) -> Any:
    import altair as alt

    shown = np.concatenate(budgets)
    x = alt.X("size:Q", **axis(*sizes, "parameters", unit="count", most=9))
    limits = span(loss)
    y = axis(*limits, LOSS_TITLE, unit="loss", grid=True)
    own = [label for budget, label in zip(budgets, labels, strict=True) for _ in budget]
    dots = alt.Chart(rows(size=size[shown], loss=loss[shown], budget=own))
    grey = alt.Chart(rows(size=size[others], loss=loss[others])).mark_circle(
        size=30, color=theme.grey, opacity=1, fillOpacity=0.45
    )
    layers = [
        grey.encode(x=x, y=alt.Y("loss:Q", **y)),
        dots.mark_circle(size=34, opacity=1, fillOpacity=0.6, clip=True).encode(
            x=x, y=alt.Y("loss:Q", **y), color=colour
        ),
    ]
    curves = [
        {"size": at, "loss": value, "budget": label}
        for budget, label in zip(budgets, labels, strict=True)
        for at, value in zip(*(part.tolist() for part in _parabola(size[budget], loss[budget])), strict=True)
    ]
    line = alt.Chart(data(curves)).mark_line(strokeWidth=2)
    layers.append(line.encode(x=x, y=alt.Y("loss:Q", **y), color=colour))
    if minima is not None and len(minima.flops):
        base = alt.Chart(rows(size=minima.parameters, low=minima.low, high=minima.high, loss=minima.loss))
        rule = base.mark_rule(color=theme.ink, strokeWidth=1.6, clip=True)
        layers.append(rule.encode(x=alt.X("low:Q", scale=x["scale"]), x2="high:Q", y=alt.Y("loss:Q", **y)))
        mark = base.mark_point(shape="diamond", size=60, filled=True, color=theme.ink, opacity=1)
        layers.append(mark.encode(x=x, y=alt.Y("loss:Q", **y)))
    return alt.layer(*layers).properties(width=INNER, height=HEIGHT)


def _parabola(size: Floats, loss: Floats) -> tuple[Floats, Floats]:
    """The parabola in logarithms through the sizes about the lowest; nothing if they are too few or it opens down."""
    sizes, label = np.unique(np.round(np.log(size), 9), return_inverse=True)
    lowest = np.full(len(sizes), np.inf)
    np.minimum.at(lowest, label, np.log(loss))
    if len(sizes) < 3:
        return np.zeros(0), np.zeros(0)
    middle = int(np.argmin(lowest))
    first = min(max(middle - PARABOLA_POINTS // 2, 0), max(len(sizes) - PARABOLA_POINTS, 0))
    few = slice(first, first + PARABOLA_POINTS)
    bent, tilt, level = np.polyfit(sizes[few] - sizes[middle], lowest[few], 2)
    if not bent > 0:
        return np.zeros(0), np.zeros(0)
    at = np.linspace(sizes[few][0], sizes[few][-1], CURVE_POINTS)
    moved = at - sizes[middle]
    return np.exp(at), np.exp(bent * moved**2 + tilt * moved + level)


def _allocation(
    minima: Minima,
    allocation: Ribbon | None,
    colour: Any,
    labels: Sequence[str],
    budgets: Sequence[Floats],
    theme: Theme,
) -> Any:
    import altair as alt

    more = [] if allocation is None else [allocation.mid]
    x = axis(*span(minima.flops, *([] if allocation is None else [allocation.x])), "compute  [FLOP]", unit="flops")
    y = axis(*span(minima.low, minima.high, *more), "best parameters", unit="count", most=5, grid=True)
    nearest = [
        labels[int(np.argmin([abs(np.log(np.median(b) / flops)) for b in budgets]))] for flops in minima.flops.tolist()
    ]
    layers: list[Any] = []
    if allocation is not None:
        layers += ribbon_layers(allocation, theme.promise, alt.X("x:Q", **x), y, None)
        layers.append(note(allocation.label, theme.promise, theme))
    base = alt.Chart(rows(x=minima.flops, size=minima.parameters, low=minima.low, high=minima.high, budget=nearest))
    bars = base.mark_rule(strokeWidth=1.6, color=theme.ink).encode(
        x=alt.X("x:Q", **x), y=alt.Y("low:Q", **y), y2="high:Q"
    )
    dots = base.mark_circle(size=42, opacity=1)
    layers += [bars, dots.encode(x=alt.X("x:Q", **x), y=alt.Y("size:Q", **y), color=colour)]
    return alt.layer(*layers).properties(width=INNER, height=LOWER_HEIGHT)

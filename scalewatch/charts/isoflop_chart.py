"""The valleys of equal compute: final loss over size at each budget, and how the best size grows with the budget.

Above, the runs of each budget, the parabola through the sizes about the lowest, and its bottom with the interval of
where it lies. Below, these bottoms over compute, with the power law N ~ C^a through them.

Runs far above every valley are counted and not drawn: one that diverged would press all valleys flat.

Source: Hoffmann et al. (2022), arXiv 2203.15556, figure 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats
from scalewatch.charts.axes import LOSS_TITLE, axis, on_axes, power, span
from scalewatch.charts.captions import WIDTH
from scalewatch.charts.frame import Frame, finished
from scalewatch.charts.marks import Ribbon, colours, evenly, interval_bars, note, ribbon_layers
from scalewatch.charts.records import columns, data, rows
from scalewatch.charts.theme import Theme, ramp
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    import altair as alt

__all__ = ["Minima", "isoflop"]

HEIGHT, LOWER_HEIGHT = 360, 190
#: Width beside the legend [pixels].
INNER = WIDTH - 90
#: Runs whose compute differs by less from that of their budget belong to it.
BUDGET_WIDTH = 0.1
#: Sizes about the lowest one that a parabola is drawn through, as in the fit: five, and all within this log size.
PARABOLA_POINTS, PARABOLA_REACH = 5, float(np.log(2.0))
CURVE_POINTS = 60
#: Budgets that are drawn; more are thinned out evenly.
MOST_BUDGETS = 14
#: Room above the highest parabola, in parts of the height below it.
ABOVE = 0.15


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
    frame: Frame,
    *,
    budgets: ArrayLike | None = None,
    minima: Minima | None = None,
    allocation: Ribbon | None = None,
) -> alt.TopLevelMixin:
    """Draw finished runs of equal compute.

    Args:
        parameters: of each run, shape (n,), count. loss: final [nats/token], shape (n,).
        flops: its compute [FLOP], shape (n,).
        frame: around it.
        budgets: that each run belongs to [FLOP], shape (n,), NaN for none; None: runs within 10 % are of one.
        minima: the bottoms, and how well they are known; with them the lower panel is drawn.
        allocation: best size over compute [FLOP], a line with its interval.

    Raises:
        ConfigError: if no run can be drawn.
    """
    import altair as alt

    theme = frame.theme
    (size, losses, compute), kept = columns("runs", parameters=parameters, loss=loss, flops=flops)
    groups = _budgets(compute) if budgets is None else _given(budgets, kept, np.shape(flops))
    few = evenly([rows for rows in groups if len(np.unique(size[rows])) >= 3] or groups, MOST_BUDGETS)
    others = np.setdiff1d(np.arange(len(size)), np.concatenate(few))
    limits, notes = _limits(size, losses, few, minima), list[str]()
    if len(others):
        notes.append(f"Grey: {len(others)} runs of no budget that is drawn.")
    if above := int(np.sum(losses > limits[1])):
        notes.append(f"{above} runs with a loss above {limits[1]:.3g} lie beyond the upper edge.")
    labels = [power(float(np.median(compute[budget]))) for budget in few]
    known = list(dict.fromkeys(labels))
    shades = list(zip(known, ramp(len(known), theme), strict=True))
    legend = {"title": "budget  [FLOP]", "symbolType": "circle", "symbolOpacity": 1, "symbolLimit": 0}
    colour = colours("budget", shades, orient="right", **legend)
    minima = None if minima is None else _drawn(minima, [compute[budget] for budget in few])
    sizes = span(size, *([] if minima is None else [minima.parameters]))
    axes = axis(*sizes, "parameters", unit="count", most=9), axis(*limits, LOSS_TITLE, unit="loss", grid=True)
    upper = _valleys(_Runs(size, losses, few, labels, others), axes, colour, minima, theme)
    if minima is None or not len(minima.flops):
        return finished(upper, frame.noting(*notes))
    lower = _allocation(minima, allocation, colour, labels, [compute[b] for b in few], theme)
    return finished(alt.vconcat(upper, lower, spacing=18), frame.noting(*notes))


def _budgets(flops: Floats) -> list[NDArray[np.int64]]:
    """Rows of equal compute: each within the width of the first of its budget, so that no chain of runs is one."""
    order = np.argsort(flops, kind="stable")
    log_flops, cuts, first = np.log(flops[order]), [], 0
    for i in range(1, len(order)):
        if log_flops[i] - log_flops[first] > 2 * np.log1p(BUDGET_WIDTH):
            first = i
            cuts.append(i)
    return [np.asarray(part) for part in np.split(order, cuts)]


def _given(budgets: ArrayLike, kept: NDArray[np.int64], shape: tuple[int, ...]) -> list[NDArray[np.int64]]:
    """Rows of each budget that is given, rising; last, one by one, those of none."""
    of = np.asarray(budgets, dtype=np.float64)
    if of.shape != shape:
        raise ConfigError(f"`budgets` must have the shape of `flops`, {shape} (got {of.shape}).")
    of = of[kept]
    known = [np.flatnonzero(of == budget) for budget in np.unique(of[np.isfinite(of)])]
    return known + [np.array([row]) for row in np.flatnonzero(~np.isfinite(of)).tolist()]


def _limits(
    size: Floats, loss: Floats, budgets: Sequence[NDArray[np.int64]], minima: Minima | None
) -> tuple[float, float]:
    """Least and most loss that is drawn: all valleys, with what little lies above them."""
    curves = [_parabola(size[rows], loss[rows])[1] for rows in budgets]
    bottoms = [] if minima is None else [minima.loss]
    low, high = span(np.min(loss), *curves, *bottoms)
    if not any(len(curve) for curve in curves):
        return span(loss)
    return low, min(high * (high / low) ** ABOVE, span(loss)[1])


def _drawn(minima: Minima, budgets: Sequence[Floats]) -> Minima:
    """The minima of the budgets that are drawn."""
    names = ("flops", "parameters", "low", "high", "loss")
    arrays = [np.asarray(getattr(minima, name), dtype=np.float64) for name in names]
    if len({array.shape for array in arrays}) != 1 or arrays[0].ndim != 1:
        raise ConfigError("The arrays of `minima` must have one shape (b,).")
    at = np.log([float(np.median(budget)) for budget in budgets])
    near = [bool(np.min(np.abs(at - np.log(flops))) < 2 * BUDGET_WIDTH) for flops in arrays[0].tolist()]
    return Minima(*(array[np.array(near, dtype=bool)] for array in arrays))


@final
class _Runs(NamedTuple):
    """The runs that are drawn: rows of each budget with its label, and the rows of none."""

    size: Floats
    loss: Floats
    budgets: Sequence[NDArray[np.int64]]
    labels: Sequence[str]
    others: NDArray[np.int64]

    @property
    def groups(self) -> list[tuple[NDArray[np.int64], str]]:
        return list(zip(self.budgets, self.labels, strict=True))


def _valleys(
    runs: _Runs, axes: tuple[dict[str, Any], dict[str, Any]], colour: Any, minima: Minima | None, theme: Theme
) -> Any:
    import altair as alt

    size, loss, (x, y) = runs.size, runs.loss, axes
    shown, others = np.concatenate(runs.budgets), runs.others
    own = [label for budget, label in runs.groups for _ in budget]
    dots = alt.Chart(rows(size=size[shown], loss=loss[shown], budget=own))
    grey = alt.Chart(rows(size=size[others], loss=loss[others])).mark_circle(
        size=30, color=theme.grey, opacity=1, fillOpacity=0.45, clip=True
    )
    at = on_axes("size", x, "loss", y)
    layers = [grey.encode(**at)]
    layers.append(dots.mark_circle(size=34, opacity=1, fillOpacity=0.6, clip=True).encode(**at, color=colour))
    curves = [
        {"size": place, "loss": value, "budget": label}
        for budget, label in runs.groups
        for place, value in zip(*(part.tolist() for part in _parabola(size[budget], loss[budget])), strict=True)
    ]
    line = alt.Chart(data(curves)).mark_line(strokeWidth=2, clip=True)
    layers.append(line.encode(**at, color=colour))
    if minima is not None and len(minima.flops):
        base = alt.Chart(rows(size=minima.parameters, low=minima.low, high=minima.high, loss=minima.loss))
        ends = (alt.X("low:Q", scale=x["scale"]), alt.Y("loss:Q", **y))
        layers.append(interval_bars(base, *ends, across=True, color=theme.ink, strokeWidth=1.6))
        mark = base.mark_point(shape="diamond", size=60, filled=True, color=theme.ink, opacity=1)
        layers.append(mark.encode(**at))
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
    near = np.flatnonzero(np.abs(sizes - sizes[middle]) <= PARABOLA_REACH)
    few = slice(min(first, int(near[0])), max(first + PARABOLA_POINTS, int(near[-1]) + 1))
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
        layers += ribbon_layers(allocation, theme.law, alt.X("x:Q", **x), y, None)
        layers.append(note(allocation.label, theme.law, theme))
    base = alt.Chart(rows(x=minima.flops, size=minima.parameters, low=minima.low, high=minima.high, budget=nearest))
    ends = (alt.X("x:Q", **x), alt.Y("low:Q", **y))
    bars = interval_bars(base, *ends, across=False, color=theme.ink, strokeWidth=1.6)
    dots = base.mark_circle(size=42, opacity=1)
    layers += [bars, dots.encode(**on_axes("x", x, "size", y), color=colour)]
    return alt.layer(*layers).properties(width=INNER, height=LOWER_HEIGHT)

"""Marks that several charts draw alike: intervals, words that stay readable on lines, few of many items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, final

import numpy as np

from scalewatch.charts.style import Theme, named, rows

__all__ = ["Placed", "evenly", "fraction", "halo_text", "interval_bars", "placed_layers"]

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

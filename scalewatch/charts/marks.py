"""Marks that several charts draw alike: intervals, words that stay readable on lines, few of many items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from scalewatch.charts.style import Theme

__all__ = ["evenly", "fraction", "halo_text", "interval_bars"]

Item = TypeVar("Item")

#: Width of the halo around words [pixels].
HALO = 4


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

"""Predictions beside each other: each with its interval, and what came where it is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.charts.axes import axis, loss_text, span
from scalewatch.charts.captions import WIDTH, named
from scalewatch.charts.frame import Frame, finished
from scalewatch.charts.marks import interval_bars
from scalewatch.charts.records import columns, rows

if TYPE_CHECKING:
    import altair as alt

__all__ = ["intervals"]

#: Height of a row [pixels], and predictions that are drawn.
ROW_HEIGHT, MOST_ROWS = 26, 40
#: Room that the names take to the left of the panel [pixels].
NAMES_ROOM = 190


def intervals(
    loss: ArrayLike, low: ArrayLike, high: ArrayLike, names: Sequence[str], frame: Frame
) -> alt.TopLevelMixin:
    """Draw predictions, the first on top.

    Args:
        loss, low, high: what is predicted, and the ends of its interval, shape (n,). names: of what, shape (n,).
        frame: around it.

    Raises:
        ConfigError: if none is finite, or the shapes differ.
    """
    import altair as alt

    theme = frame.theme
    (mid, least, most), kept = columns("predictions", positive=False, loss=loss, low=low, high=high)
    mid, least, most = mid[:MOST_ROWS], least[:MOST_ROWS], most[:MOST_ROWS]
    labels = [named(names[row]) for row in kept[:MOST_ROWS].tolist()]
    if len(set(labels)) < len(labels):  # each has a row of its own
        labels = [f"{place}. {label}" for place, label in enumerate(labels, 1)]
    log = bool(least.min() > 0 and np.ptp(np.log(np.append(most, least))) > 1)
    x = axis(*span(least, most, log=log), frame.titled(), unit="loss", log=log, grid=True, most=8)
    up: dict[str, Any] = {
        "sort": labels,
        "title": None,
        "axis": alt.Axis(labelLimit=NAMES_ROOM, ticks=False, domain=False),
    }
    base = alt.Chart(
        rows(label=labels, mid=mid, low=least, high=most, text=[loss_text(value) for value in mid.tolist()])
    )
    y = alt.Y("label:N", **up)
    layers = [
        interval_bars(base, alt.X("low:Q", **x), y, across=True, color=theme.forecast, strokeWidth=5, opacity=0.35),
        base.mark_point(color=theme.forecast, filled=True, size=60, opacity=1).encode(x=alt.X("mid:Q", **x), y=y),
        base.mark_text(color=theme.text, dy=-11, fontSize=11).encode(x=alt.X("mid:Q", **x), y=y, text="text:N"),
    ]
    panel = alt.layer(*layers).properties(width=WIDTH - NAMES_ROOM, height=ROW_HEIGHT * len(labels) + 14)
    return finished(panel, frame)

"""A law over one of its inputs: a line for each of a few values of another, from low to high.

What lies beyond the runs that the law was fitted to is dashed: there it is a claim that nobody has checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.charts.axes import Unit, axis, on_axes, span
from scalewatch.charts.captions import WIDTH
from scalewatch.charts.frame import Frame, finished
from scalewatch.charts.marks import colours, evenly
from scalewatch.charts.records import columns, rows
from scalewatch.charts.theme import ramp
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    import altair as alt

__all__ = ["LawLine", "law_curve"]

HEIGHT = 280
#: Lines that can be told apart, and points of each. By hand.
MOST_LINES, MOST_POINTS = 6, 300


@final
@dataclass(frozen=True, slots=True, eq=False)
class LawLine:
    """A law over one input, the others being fixed.

    Attributes:
        label: what is fixed, as the legend says it. x, y: input and output, shape (n,), positive.
        known: range of the input in which the law was fitted or checked, (least, most); None if it is not known.
    """

    label: str
    x: Floats
    y: Floats
    known: tuple[float, float] | None = None


def law_curve(
    lines: Sequence[LawLine],
    frame: Frame,
    *,
    x_title: str,
    y_title: str,
    x_unit: Unit = "count",
    y_unit: Unit = "loss",
    log: bool = True,
) -> alt.TopLevelMixin:
    """Draw a law.

    Args:
        lines: in the order of what tells them apart. frame: around it.
        x_title, y_title: of the axes, with units. x_unit, y_unit: of the numbers at them.
        log: logarithmic axes; linear ones otherwise.

    Raises:
        ConfigError: if there is nothing positive and finite to draw.
    """
    import altair as alt

    if not lines:
        raise ConfigError("There is nothing to draw: no line of a law was given.")
    theme, shown = frame.theme, evenly(lines, MOST_LINES)
    drawn = [columns("law", x=line.x, y=line.y)[0] for line in shown]
    across = np.concatenate([at for at, _ in drawn])
    x = axis(float(across.min()), float(across.max()), x_title, unit=x_unit, log=log)
    y = axis(*span(*(value for _, value in drawn), log=log), y_title, unit=y_unit, log=log, grid=True)
    shades = list(zip((line.label for line in shown), ramp(len(shown), theme), strict=True))
    legend: dict[str, Any] = {"orient": "right", "symbolStrokeWidth": 3, "labelLimit": 220}
    colour = colours("series", shades, **legend)
    layers: list[Any] = []
    for line, (at, value) in zip(shown, drawn, strict=True):
        for first, last, inside in _stretches(at, line.known):
            part = np.unique(np.linspace(first, last, MOST_POINTS).astype(int))
            base = alt.Chart(rows(x=at[part], y=value[part], series=[line.label] * len(part)))
            dash = [1, 0] if inside else [3, 4]
            mark = base.mark_line(strokeWidth=2.4 if inside else 1.8, strokeDash=dash, clip=True)
            layers.append(mark.encode(**on_axes("x", x, "y", y), color=colour))
    return finished(alt.layer(*layers).properties(width=WIDTH - 200, height=HEIGHT), frame)


def _stretches(at: Floats, known: tuple[float, float] | None) -> list[tuple[int, int, bool]]:
    """The stretches of a line, first and last row: before the known range, within it, beyond it; whether within."""
    least, most = known or (-np.inf, np.inf)
    first, last = max(int(np.sum(at <= least)) - 1, 0), min(int(np.sum(at < most)), len(at) - 1)
    parts = [(0, first, False), (first, last, True), (last, len(at) - 1, False)]
    return [part for part in parts if part[1] > part[0]]

"""What a run would end at with other schedules: each as its distance to the plan, and the rates that it would take.

Distances rather than losses, because the error that all forecasts of one run share is not in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.charts.axes import span
from scalewatch.charts.captions import named
from scalewatch.charts.frame import Frame
from scalewatch.charts.spec import (
    Axis,
    Drawing,
    Spec,
    beside,
    channel,
    ending,
    inner_width,
    layer,
    panel,
    table,
    tip,
)
from scalewatch.charts.theme import Theme, ramp
from scalewatch.errors import ConfigError

__all__ = ["Choice", "schedule_comparison"]

#: Height of a row, and of the panel of rates [pixels].
ROW_HEIGHT, RATE_HEIGHT = 44, 120
#: Schedules that are drawn, and points of the rates of each.
MOST_CHOICES, RATE_POINTS = 12, 160
#: Least reach of the axis of distances to each side [nats/token].
LEAST_REACH = 5e-4
#: From the middle of a row up to its words and down to its interval [pixels].
WORDS_UP, BAR_DOWN = -8, 9
DASHES: tuple[tuple[int, ...], ...] = ((1, 0), (8, 3), (2, 2), (9, 3, 2, 3))


@final
@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """One schedule for the rest of a run.

    Attributes:
        name: what people call it. final_loss: median at its end [nats/token].
        difference, low, high: that less the plan's, and its 80 % interval [nats/token]; negative is better.
        grade: how good the evidence is, A to C. steps, rates: what it would do from now on, shape (n,); may be empty.
        is_plan: it is the plan, which the others are held against.
    """

    name: str
    final_loss: float
    difference: float
    low: float
    high: float
    grade: str
    steps: Floats
    rates: Floats
    is_plan: bool = False


def schedule_comparison(
    choices: Sequence[Choice],
    frame: Frame,
) -> Drawing:
    """Draw schedules against the plan, the best first, and their rates below.

    Args:
        choices: at most 12 are drawn, in the order given. frame: around it.
        dark: colours. width: of the whole chart [pixels].

    Raises:
        ConfigError: if there is none whose numbers are finite, or rates and steps differ in length.
    """
    for each in choices:
        if each.steps.shape != each.rates.shape or each.steps.ndim != 1:
            raise ConfigError(f"The arrays of the schedule '{each.name:.40}' must have one shape (n,).")
    fine = [e for e in choices if all(map(math.isfinite, (e.final_loss, e.difference, e.low, e.high)))]
    kept = sorted(fine[:MOST_CHOICES], key=lambda each: each.difference)
    if not kept:
        raise ConfigError("There is nothing to draw: no schedule has a finite outcome.")
    theme, wide = frame.theme, inner_width(frame.width)
    shades = _shades(kept, theme)
    panels = [_against(kept, shades, theme, wide, frame.titled("final loss − plan's", ", 80 %"))]
    if any(len(each.steps) for each in kept):
        panels.append(_rates(kept, shades, theme, wide))
    best = kept[0]
    sentence = f"{frame.title}: {len(kept)} schedules; the lowest is {best.name}, ending at {best.final_loss:.3f}"
    if not best.is_plan:
        sentence += f", {best.difference:+.4f} to the plan (80 %: {best.low:+.4f} to {best.high:+.4f})"
    meta = {"domain": None, "zoomed": False, "sentence": sentence + "."}
    return ending(panels, frame, meta=meta, spacing=24)


def _shades(kept: Sequence[Choice], theme: Theme) -> list[tuple[str, list[int]]]:
    """Colour and dashes of each, the plan in the ink."""
    others = iter(ramp(max(sum(not each.is_plan for each in kept), 1), theme))
    return [
        (theme.ink if each.is_plan else next(others), list(DASHES[0 if each.is_plan else place % len(DASHES)]))
        for place, each in enumerate(kept)
    ]


def _against(
    kept: Sequence[Choice], shades: Sequence[tuple[str, list[int]]], theme: Theme, width: int, title: str
) -> Spec:
    """A row for each schedule: its name, its interval about the plan's zero, and what it ends at."""
    low, high = span([each.low for each in kept], [each.high for each in kept], [0.0], log=False, room=0.06)
    low, high = min(low, -LEAST_REACH), max(high, LEAST_REACH)
    x = channel("difference", Axis(low, high, False, "number", title), grid=True)
    x["axis"]["labelExpr"] = "datum.value ? format(datum.value, '+.4~f') : 'plan'"
    y: Spec = {
        "field": "row",
        "type": "quantitative",
        "scale": {"domain": [-0.5, len(kept) - 0.5], "nice": False, "zero": False, "reverse": True},
        "axis": None,
    }
    rows = table(
        row=list(range(len(kept))),
        name=[named(each.name) for each in kept],
        difference=[each.difference for each in kept],
        low=[each.low for each in kept],
        high=[each.high for each in kept],
        ends=[f"ends at {each.final_loss:.3f}" + ("" if each.is_plan else f", evidence {each.grade}") for each in kept],
        shade=[shade for shade, _ in shades],
    )
    by = {"color": {"field": "shade", "type": "nominal", "scale": None}}
    tips = [tip("name", "from now on", kind="nominal"), tip("difference", "to the plan", "+.4f")]
    tips += [tip("low", "80 % from", "+.4f"), tip("high", "to", "+.4f"), tip("ends", "it", kind="nominal")]
    zero: Spec = {"color": theme.text, "strokeDash": [4, 3], "strokeWidth": 1.4}
    bar: Spec = {"strokeWidth": 6, "strokeOpacity": 0.55, "strokeCap": "round", "yOffset": BAR_DOWN}
    point: Spec = {"filled": True, "size": 100, "opacity": 1, "yOffset": BAR_DOWN}
    words: Spec = {"fontSize": 12, "yOffset": WORDS_UP, "clip": False}
    halo: Spec = {"color": theme.background, "stroke": theme.background, "strokeWidth": 4, "strokeJoin": "round"}
    layers = [
        layer("rule", table(difference=[0.0]), zero, x=x),
        layer("rule", rows, bar, x={**x, "field": "low"}, x2={"field": "high"}, y=y, tooltip=tips, **by),
        layer("point", rows, point, x=x, y=y, tooltip=tips, **by),
    ]
    for field, place, align in (("name", 0, "left"), ("ends", width, "right")):
        at: Spec = {"x": {"value": place}, "y": y, "text": {"field": field, "type": "nominal"}}
        weight: Spec = {"align": align, "fontWeight": "bold" if field == "name" else "normal"}
        layers.append(layer("text", rows, words | weight | halo, **at))
        layers.append(layer("text", rows, words | weight | {"color": theme.text}, **at))
    return panel(layers, width, ROW_HEIGHT * len(kept))


def _rates(kept: Sequence[Choice], shades: Sequence[tuple[str, list[int]]], theme: Theme, width: int) -> Spec:
    """The learning rates from now on, in the colours of the rows above."""
    drawn = [(each, *shade) for each, shade in zip(kept, shades, strict=True) if len(each.steps)]
    first, last = span(*(each.steps for each, *_ in drawn), log=False, room=0.01)
    most = max(float(np.nanmax(each.rates)) for each, *_ in drawn)
    x = channel("x", Axis(first, last, False, "count", "optimizer steps"))
    y = beside(channel("rate", Axis(0.0, 1.08 * most if most > 0 else 1.0, False, "rate", None), grid=True, most=4))
    layers = []
    for each, shade, dash in sorted(drawn, key=lambda item: item[0].is_plan):
        few = np.unique(np.linspace(0, len(each.steps) - 1, RATE_POINTS).astype(int))
        rows = table(x=each.steps[few].astype(np.float64), rate=each.rates[few], name=[named(each.name)] * len(few))
        mark: Spec = {"color": shade, "strokeDash": dash, "strokeWidth": 2.6 if each.is_plan else 1.9}
        tips = [tip("name", "schedule", kind="nominal"), tip("rate", "learning rate", ".3~e")]
        layers.append(layer("line", rows, mark, x=x, y=y, tooltip=tips))
    return panel(layers, width, RATE_HEIGHT, title="learning rate from now on", theme=theme)

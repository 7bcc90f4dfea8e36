"""The three ways to an allocation side by side: what each says, and at which budget they part.

Left, the exponent a of N ~ C^a with its interval. Right, the best size over compute: thick where an approach has
runs, thin and dashed where it goes on without, in a band that opens as the exponent's interval does. The sentences
say how far apart the sizes are that the approaches ask for.

Source: Hoffmann et al. (2022), arXiv 2203.15556, table 2 and figure 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from scalewatch.charts.axes import axis, on_axes, power, quantity, span
from scalewatch.charts.captions import named
from scalewatch.charts.frame import Frame, finished
from scalewatch.charts.marks import halo_text, interval_bars
from scalewatch.charts.records import rows
from scalewatch.charts.theme import Theme
from scalewatch.errors import ConfigError
from scalewatch.text import percent

if TYPE_CHECKING:
    import altair as alt

__all__ = ["Answer", "three_approaches"]

LEFT, RIGHT, ROW, HEIGHT = 250, 400, 58, 300
#: Compute beyond the runs up to which the answers are drawn.
BEYOND = 100.0
LINE_POINTS = 40
#: Answers that can be told apart.
MOST_ANSWERS = 6
#: Times the largest size that a line reaches, and parts of the least, up to which bands are shown.
BAND_BEYOND = 3.0
#: ln of the largest size that is drawn, beyond all there will be.
MOST_LOG = 130.0


@final
@dataclass(frozen=True, slots=True)
class Answer:
    """What one approach says.

    Attributes:
        label: its name. exponent: a of N ~ C^a, None if it has no answer. low, high: its interval.
        log_scale: ln of the best size at 1 FLOP. flops: least and most compute it rests on [FLOP].
        why_none: why it has no answer, a sentence. level: of the interval.
    """

    label: str
    exponent: float | None
    low: float
    high: float
    log_scale: float
    flops: tuple[float, float]
    why_none: str = ""
    level: float = 0.8

    @property
    def interval_known(self) -> bool:
        """Whether both ends of the interval are."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def size_at(self, flops: float, exponent: float | None = None) -> float:
        """Return the best size for a budget [FLOP], count, NaN without an answer.

        Args:
            flops: budget. exponent: to follow from the middle of the runs on, instead of its own.
        """
        if self.exponent is None:
            return math.nan
        turned = 0.0
        if exponent is not None:
            turned = (exponent - self.exponent) * (math.log(flops) - sum(map(math.log, self.flops)) / 2)
        return math.exp(min(self.log_scale + self.exponent * math.log(flops) + turned, MOST_LOG))


def three_approaches(
    answers: Sequence[Answer],
    frame: Frame,
    *,
    target_flops: float | None = None,
) -> alt.TopLevelMixin:
    """Draw the approaches side by side.

    Args:
        answers: one for each approach, at most six.
        title: headline. subtitle: sentences under it, such as where they disagree.
        target_flops: budget [FLOP] that the runs are to be planned for; None: 100 times the largest.

    Raises:
        ConfigError: if no approach has an answer.
    """
    import altair as alt

    theme = frame.theme
    few = list(answers)[:MOST_ANSWERS]
    known = [answer for answer in few if answer.exponent is not None]
    if not known:
        raise ConfigError("No approach has an answer, so there is nothing to draw: train runs of equal compute.")
    reach = [bound for answer in known for bound in answer.flops if math.isfinite(bound) and bound > 0]
    if not reach:
        raise ConfigError("`flops` of an answer must be the least and the most compute it rests on.")
    goal = target_flops if target_flops is not None else max(reach) * BEYOND
    # an approach has its colour, whether or not the others have an answer
    shades = [theme.alarm, theme.ink, theme.forecast, theme.law, *theme.stops]
    shades = [shade for shade, answer in zip(shades, few, strict=False) if answer.exponent is not None]
    colour = alt.Color(
        "approach:N",
        title=None,
        sort=None,
        scale=alt.Scale(domain=[named(a.label) for a in known], range=shades),
        legend=None,
    )
    none = [f"{named(a.label)} has no answer. {a.why_none}".strip() for a in answers if a.exponent is None]
    where = "" if target_flops is not None else f" ({BEYOND:g} times the largest run)"
    left = _exponents(known, colour, theme)
    right = _sizes(known, (min(reach), max(goal, max(reach))), goal, colour, theme)
    return finished(alt.hconcat(left, right, spacing=24), frame.noting(_apart(known, goal, where), *none))


def _apart(known: Sequence[Answer], goal: float, where: str) -> str:
    sizes = [answer.size_at(goal) for answer in known]
    least, most = known[int(np.argmin(sizes))], known[int(np.argmax(sizes))]
    if least is most:
        return f"At {power(goal)} FLOP{where}: {quantity(sizes[0])} parameters."
    return (
        f"At {power(goal)} FLOP{where} they ask for {quantity(min(sizes))} ('{named(least.label)}') to "
        f"{quantity(max(sizes))} parameters ('{named(most.label)}'), a factor of {max(sizes) / min(sizes):.2g}."
    )


def _exponents(known: Sequence[Answer], colour: Any, theme: Theme) -> Any:
    import altair as alt

    bounds = [b for a in known for b in (a.low, a.high) if a.interval_known]
    exponents = [float(a.exponent or 0.0) for a in known]
    low, high = span(bounds, exponents, [0.5], log=False, room=0.08)
    low, high = max(low, -0.5), min(high, 1.5)
    levels = {f"{percent(a.level)}" for a in known if a.interval_known}
    interval = f", {levels.pop()} interval" if len(levels) == 1 else ""
    x = axis(low, high, f"exponent a of N ~ C^a{interval}", log=False, most=6)
    y = alt.Y("row:Q", scale=alt.Scale(domain=[-0.6, len(known) - 0.4], reverse=True, nice=False), axis=None)
    base = alt.Chart(
        rows(
            row=np.arange(len(known)),
            a=exponents,
            low=[max(a.low, low) if a.interval_known else a.exponent for a in known],
            high=[min(a.high, high) if a.interval_known else a.exponent for a in known],
            approach=[named(a.label) for a in known],
            label=[f"{named(a.label)}:  {a.exponent:.3f}  ({_interval(a)})" for a in known],
        )
    )
    half = alt.Chart(rows(a=[0.5])).mark_rule(color=theme.grey, strokeDash=[4, 3])
    bars = interval_bars(base, alt.X("low:Q", **x), y, across=True, strokeWidth=4, opacity=0.45)
    layers = [
        half.encode(x=alt.X("a:Q", **x)),
        bars.encode(color=colour),
        base.mark_circle(size=90, opacity=1).encode(x=alt.X("a:Q", **x), y=y, color=colour),
        *halo_text(base, theme, {"x": alt.value(0), "y": y}, color=colour, align="left", dy=-17, fontSize=12),
    ]
    return alt.layer(*layers).properties(width=LEFT, height=HEIGHT)


def _interval(answer: Answer) -> str:
    return f"{answer.low:.3f} to {answer.high:.3f}" if answer.interval_known else "interval not known"


def _band(answer: Answer, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least and most of the best size, shape (2, n); the line itself where the interval is not known."""
    exponents = (answer.low, answer.high) if answer.interval_known else (answer.exponent, answer.exponent)
    return np.sort([[answer.size_at(flops, a) for flops in grid.tolist()] for a in exponents], axis=0)


def _sizes(known: Sequence[Answer], reach: tuple[float, float], goal: float, colour: Any, theme: Theme) -> Any:
    import altair as alt

    grid = np.geomspace(reach[0], reach[1], LINE_POINTS)
    lines = [np.array([answer.size_at(f) for f in grid.tolist()]) for answer in known]
    x = axis(*span(grid, [goal]), "compute  [FLOP]", unit="flops", most=7)
    bands = [_band(answer, grid) for answer in known]
    least, most = (float(part) for part in span(*lines))
    ends = [np.clip(end, least / BAND_BEYOND, most * BAND_BEYOND) for band in bands for end in band]
    y = axis(*span(*lines, *ends), "best size  [parameters]", unit="count", grid=True)
    layers: list[Any] = []
    for answer, (low, high) in zip(known, bands, strict=True):
        band = alt.Chart(rows(x=grid, low=low, high=high, approach=[named(answer.label)] * len(grid)))
        area = band.mark_area(opacity=0.16, clip=True)
        layers.append(area.encode(**on_axes("x", x, "low", y), y2="high:Q", color=colour))
    # each thinner than the one below it, so that answers that agree are all seen
    thick = np.linspace(4.0, 1.8, len(known)).tolist()
    for answer, line, width in zip(known, lines, thick, strict=True):
        name = named(answer.label)
        for inside in (False, True):
            if inside:
                at = np.geomspace(*answer.flops, LINE_POINTS)
                sizes = np.array([answer.size_at(f) for f in at.tolist()])
            else:
                at, sizes = grid, line
            one = alt.Chart(rows(x=at, size=sizes, approach=[name] * len(at)))
            mark = one.mark_line(
                strokeWidth=width * (1 if inside else 0.45), clip=True, strokeDash=[1, 0] if inside else [5, 3]
            )
            layers.append(mark.encode(**on_axes("x", x, "size", y), color=colour))
    rule = alt.Chart(rows(x=[goal])).mark_rule(color=theme.grey, strokeDash=[2, 2])
    layers.insert(0, rule.encode(x=alt.X("x:Q", **x)))
    return alt.layer(*layers).properties(width=RIGHT, height=HEIGHT)

"""Curves of all sizes, normalised: where a recipe is scaled right they lie on one another.

Above, each run's loss over its own final loss, both above the irreducible one, against its progress. Below, on a
linear axis, how far sizes differ (collapse deviation) beside how far two seeds of one size do (noise floor).

Source: Qiu et al. (2025), arXiv 2507.02119, figures 1 and 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.charts.axes import axis, on_axes, quantity, span
from scalewatch.charts.captions import WIDTH, named
from scalewatch.charts.frame import Frame, finished
from scalewatch.charts.marks import colours, note
from scalewatch.charts.records import columns, data, rows
from scalewatch.charts.theme import Theme, ramp
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    import altair as alt

__all__ = ["NormalisedCurve", "collapse"]

HEIGHT, LOWER_HEIGHT = 340, 150
INNER = WIDTH - 90
#: Curves and points of each that are drawn.
MOST_CURVES, CURVE_POINTS = 48, 100
#: Sizes in the legend.
MOST_SIZES = 16
LEGEND = {"orient": "right", "symbolType": "stroke", "symbolStrokeWidth": 3}
#: Progress below which nothing is drawn: the first steps are of another law.
FIRST = 0.02


@final
@dataclass(frozen=True, slots=True, eq=False)
class NormalisedCurve:
    """One run of a ladder.

    Attributes:
        parameters: its size, count. progress: part of the run done, in (0, 1], shape (n,).
        value: (L - L0) / (L_end - L0), shape (n,), dimensionless.
    """

    parameters: float
    progress: Floats
    value: Floats


def collapse(
    curves: Sequence[NormalisedCurve],
    frame: Frame,
    *,
    progress: ArrayLike = (),
    deviation: ArrayLike = (),
    noise_floor: ArrayLike = (),
    here: NormalisedCurve | None = None,
    here_label: str = "this run",
) -> alt.TopLevelMixin:
    """Draw normalised loss curves.

    Args:
        curves: one for each run; of more than 48 the chart takes as many, evenly over the sizes.
        frame: around it.
        progress: shape (m,), of the two that follow. deviation: sd over mean of all curves, shape (m,).
        noise_floor: the same of the seeds of one size, shape (m,); empty or NaN if unknown.
        here: a run to point out, finished or not. here_label: what it is called.

    Raises:
        ConfigError: if there is nothing to draw.
    """
    import altair as alt

    theme = frame.theme
    few = sorted(curves, key=lambda c: c.parameters)
    if len(few) > MOST_CURVES:
        few = [few[i] for i in np.linspace(0, len(few) - 1, MOST_CURVES).astype(int)]
    drawn = [(c.parameters, *_thin(c)) for c in few]
    drawn = [curve for curve in drawn if len(curve[1]) > 1]
    if not drawn:
        raise ConfigError("There is nothing to draw: no curve has two finite positive values.")
    sizes = sorted({float(size) for size, _, _ in drawn})
    labels = {size: quantity(size) for size in sizes}
    known = list(dict.fromkeys(labels.values()))
    shades = list(zip(known, ramp(len(known), theme), strict=True))
    colour = colours("size", shades, title="parameters", symbolOpacity=1, symbolLimit=MOST_SIZES, **LEGEND)
    x = axis(FIRST, 1.0, "part of the run done", log=True, most=7)
    own = (np.zeros(0), np.zeros(0)) if here is None else _thin(here)
    y = axis(*span(*[value for _, _, value in drawn], own[1], [1.0]), "loss above L0, final = 1", grid=True)
    lines = [
        {"x": x_value, "value": value, "size": labels[size], "run": number}
        for number, (size, at, values) in enumerate(drawn)
        for x_value, value in zip(at.tolist(), values.tolist(), strict=True)
    ]
    mark = alt.Chart(data(lines)).mark_line(strokeWidth=1.5, strokeOpacity=0.75)
    upper = mark.encode(**on_axes("x", x, "value", y), color=colour, detail="run:N")
    if here is not None:
        line = alt.Chart(rows(x=own[0], value=own[1])).mark_line(strokeWidth=3, color=theme.forecast, clip=True)
        upper = alt.layer(upper, line.encode(**on_axes("x", x, "value", y)))
        upper = alt.layer(upper, note(named(here_label), theme.forecast, theme, right=INNER))
    upper = upper.properties(width=INNER, height=HEIGHT)
    if not np.size(deviation):
        return finished(upper, frame)
    lower = _deviations(progress, deviation, noise_floor, x, theme)
    return finished(alt.vconcat(upper, lower, spacing=16).resolve_scale(color="independent"), frame)


def _thin(curve: NormalisedCurve) -> tuple[Floats, Floats]:
    at, value = np.asarray(curve.progress, dtype=np.float64), np.asarray(curve.value, dtype=np.float64)
    if at.shape != value.shape or at.ndim != 1:
        raise ConfigError(f"`progress` and `value` of a curve must have one shape (got {at.shape}, {value.shape}).")
    keep = np.isfinite(at) & np.isfinite(value) & (at >= FIRST) & (value > 0)
    at, value = at[keep], value[keep]
    if len(at) <= CURVE_POINTS:
        return at, value
    # equal stretches of the logarithmic axis, each by its mean
    cell = ((np.log(at) - np.log(at[0])) / np.log(at[-1] / at[0]) * (CURVE_POINTS - 1)).astype(int)
    starts = np.flatnonzero(np.concatenate([[True], np.diff(cell) > 0]))
    counts = np.diff(np.concatenate([starts, [len(at)]]))
    return np.add.reduceat(at, starts) / counts, np.add.reduceat(value, starts) / counts


def _deviations(
    progress: ArrayLike, deviation: ArrayLike, noise_floor: ArrayLike, x: dict[str, Any], theme: Theme
) -> Any:
    import altair as alt

    (at, apart), kept = columns("deviation", positive=False, progress=progress, deviation=deviation)
    order = np.argsort(at, kind="stable")
    at, apart, kept = at[order], apart[order], kept[order]
    wanted = np.geomspace(max(float(at[0]), FIRST), max(float(at[-1]), 2 * FIRST), 2 * CURVE_POINTS)
    keep = np.unique(np.minimum(np.searchsorted(at, wanted), len(at) - 1))
    known: list[tuple[str, Floats, str]] = [("between sizes", 100 * apart[keep], theme.ink)]
    noise = np.asarray(noise_floor, dtype=np.float64)
    if noise.size and noise.shape != np.shape(progress):
        raise ConfigError(f"`noise_floor` must be as long as `progress` (got {noise.size}, {np.size(progress)}).")
    if noise.size and np.isfinite(noise[kept][keep]).any():
        known.append(("between seeds", 100 * noise[kept][keep], theme.law))
    top = span(*[values for _, values, _ in known], [0.0], log=False)[1]
    y = axis(0.0, top, "deviation  [%]", log=False, most=5, grid=True)
    colour = colours("series", [(name, shade) for name, _, shade in known], **LEGEND)
    layers = []
    for name, values, _ in known:
        line = alt.Chart(rows(x=at[keep], value=values, series=[name] * len(keep)))
        mark = line.mark_line(strokeWidth=2, clip=True)
        layers.append(mark.encode(**on_axes("x", x, "value", y), color=colour))
    return alt.layer(*layers).properties(width=INNER, height=LOWER_HEIGHT)

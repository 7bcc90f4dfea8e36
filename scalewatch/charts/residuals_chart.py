"""What a fit leaves over: observed over predicted loss against size, tokens and compute.

A law that fits scatters about zero everywhere. A slope or a bow over one of the axes is what the law lacks, and it
goes on beyond the runs; a single point far off is a run to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats
from scalewatch.charts.axes import axis, on_axes, span
from scalewatch.charts.captions import named
from scalewatch.charts.frame import Frame, finished
from scalewatch.charts.records import columns, rows
from scalewatch.charts.theme import Theme, readable
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    import altair as alt

__all__ = ["residuals"]

PANEL, HEIGHT = 232, 300
#: A residual beyond it is drawn at it [%]: a factor of a thousand.
MOST_PERCENT = 700.0
#: Runs that get their name drawn.
MOST_LABELS = 3
#: Stretches of a running median, each with at least this many runs.
STRETCHES, LEAST_RUNS = 9, 4


def residuals(
    parameters: ArrayLike,
    tokens: ArrayLike,
    flops: ArrayLike,
    percent: ArrayLike,
    frame: Frame,
    *,
    scale_percent: float | None = None,
    outliers: ArrayLike = (),
    names: Sequence[object] = (),
) -> alt.TopLevelMixin:
    """Draw what a law does not explain.

    Args:
        parameters, tokens: of each run, shape (n,), count. flops: shape (n,) [FLOP].
        percent: 100 ln(observed / predicted loss), shape (n,): above zero is worse than the law.
        frame: around it.
        scale_percent: standard deviation of a run about the law; one and two are shaded.
        outliers: indices of runs that lie far off. names: of the runs, shape (n,).

    Raises:
        ConfigError: if no run can be drawn, or `percent` or `names` are not of the runs.
    """
    import altair as alt

    theme = frame.theme
    given = np.asarray(percent, dtype=np.float64)
    left = np.where(np.isfinite(given), np.clip(given, -MOST_PERCENT, MOST_PERCENT), np.nan)
    if left.shape != np.shape(parameters) or len(names) not in (0, np.size(parameters)):
        raise ConfigError(
            "`percent` and `names` must have one entry for each run "
            f"(got {left.size} and {len(names)} for {np.size(parameters)} runs)."
        )
    # the exponential, since a residual may be negative and a column may not
    (size, seen, cost, _), kept = columns(
        "runs", parameters=parameters, tokens=tokens, flops=flops, ratio=np.exp(left / 100)
    )
    off = left[kept]
    far = np.isin(kept, np.asarray(outliers, dtype=np.int64))
    labels = [named(names[i]) if len(names) else f"row {i}" for i in kept.tolist()]
    reach = max(2.4 * (scale_percent or 0.0), 0.1)
    low, high = min(1.1 * float(off.min()), -reach), max(1.1 * float(off.max()), reach)
    y = axis(low, high, "observed over predicted loss  [%]", log=False, grid=True, most=8)
    axes: tuple[tuple[Floats, str, Any], ...] = (
        (size, "parameters", "count"),
        (seen, "tokens", "count"),
        (cost, "compute  [FLOP]", "flops"),
    )
    panels = []
    for number, (values, name, unit) in enumerate(axes):
        x = axis(*span(values), name, unit=unit, most=5)
        own = y if number == 0 else axis(low, high, None, log=False, grid=True, most=8, labels=False)
        panels.append(_panel(values, off, far, labels, x, own, scale_percent, theme))
    return finished(alt.hconcat(*panels, spacing=12), frame)


def _panel(
    values: Floats,
    off: Floats,
    far: NDArray[np.bool_],
    labels: Sequence[str],
    x: dict[str, Any],
    y: dict[str, Any],
    scale: float | None,
    theme: Theme,
) -> Any:
    import altair as alt

    layers: list[Any] = []
    for times in (2.0, 1.0) if scale else ():
        band = alt.Chart(rows(low=[-times * (scale or 0.0)], high=[times * (scale or 0.0)]))
        shade = band.mark_rect(color=theme.law, opacity=0.11, clip=True)
        layers.append(shade.encode(y=alt.Y("low:Q", **y), y2="high:Q"))
    zero = alt.Chart(rows(off=[0.0])).mark_rule(color=theme.law, strokeDash=[6, 3], strokeWidth=1.5)
    layers.append(zero.encode(y=alt.Y("off:Q", **y)))
    dots = alt.Chart(rows(x=values[~far], off=off[~far]))
    layers.append(
        dots.mark_circle(size=34, color=theme.ink, opacity=1, fillOpacity=0.5).encode(**on_axes("x", x, "off", y))
    )
    at, middle = _running_median(values[~far], off[~far])
    if len(at) > 1:
        line = alt.Chart(rows(x=at, off=middle)).mark_line(color=theme.forecast, strokeWidth=2.2)
        layers.append(line.encode(**on_axes("x", x, "off", y)))
    if far.any():
        layers += _far_off(values[far], off[far], [labels[i] for i in np.flatnonzero(far).tolist()], x, y, theme)
    return alt.layer(*layers).properties(width=PANEL, height=HEIGHT)


def _running_median(values: Floats, off: Floats) -> tuple[Floats, Floats]:
    """Medians of as many runs each over the order of `values`: a bow shows in them before it does in the dots."""
    count = min(STRETCHES, len(values) // LEAST_RUNS)
    if count < 3:
        return np.zeros(0), np.zeros(0)
    order = np.argsort(values, kind="stable")
    parts = np.array_split(order, count)
    at = np.array([float(np.exp(np.mean(np.log(values[part])))) for part in parts])
    middle = np.array([float(np.median(off[part])) for part in parts])
    fresh = np.concatenate([[True], np.diff(at) > 1e-9 * at[1:]])
    return at[fresh], middle[fresh]


def _far_off(
    values: Floats, off: Floats, labels: Sequence[str], x: dict[str, Any], y: dict[str, Any], theme: Theme
) -> list[Any]:
    import altair as alt

    centre = float(np.sqrt(x["scale"].domain[0] * x["scale"].domain[1]))
    base = alt.Chart(rows(x=values, off=off))
    mark = base.mark_point(size=60, color=theme.alarm, strokeWidth=1.8, filled=False)
    layers: list[Any] = [mark.encode(**on_axes("x", x, "off", y))]
    worst = np.argsort(-np.abs(off), kind="stable")[:MOST_LABELS]
    for i in worst.tolist():
        right = values[i] < centre
        one = alt.Chart(rows(x=[values[i]], off=[off[i]], label=[labels[i]]))
        text = one.mark_text(
            align="left" if right else "right",
            dx=8 if right else -8,
            dy=-6,
            fontSize=11,
            color=readable(theme.alarm, theme),
            limit=150,
        )
        layers.append(text.encode(**on_axes("x", x, "off", y), text="label:N"))
    return layers

"""From the ladder to its target: final losses of smaller runs, the law over size, and what it says of the big one.

Left, logarithmic size, as laws are drawn; right, a closer look at the target on a linear axis: the interval and,
when it is known, what came out. How far the target lies beyond the largest run is in the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.charts.axes import LOSS_TITLE, axis, on_axes, quantity, span
from scalewatch.charts.captions import WIDTH
from scalewatch.charts.frame import Frame, finished
from scalewatch.charts.marks import Ribbon, colours, panel_title, ribbon_layers
from scalewatch.charts.records import columns, rows
from scalewatch.charts.theme import Theme
from scalewatch.errors import ConfigError
from scalewatch.text import percent

if TYPE_CHECKING:
    import altair as alt

__all__ = ["Target", "ladder"]

HEIGHT, SIDE = 340, 150
RUN, OTHER, PROMISE, OUTCOME, NOW = "rung", "other fitted run", "predicted", "outcome", "forecast now"


@final
@dataclass(frozen=True, slots=True)
class Target:
    """The run that a ladder is for.

    Attributes:
        parameters: its size, count. loss: predicted [nats/token]. low, high: its interval [nats/token].
        level: of the interval, such as 0.8. outcome: what came out [nats/token], None while unknown.
        running: the run is not over, and the outcome is what is forecast of it now.
    """

    parameters: float
    loss: float
    low: float
    high: float
    level: float = 0.8
    outcome: float | None = None
    running: bool = False

    @property
    def series(self) -> str:
        """What the legend calls the outcome."""
        return NOW if self.running else OUTCOME


def ladder(
    parameters: ArrayLike,
    loss: ArrayLike,
    frame: Frame,
    *,
    law: Ribbon | None = None,
    target: Target | None = None,
    other_parameters: ArrayLike = (),
    other_loss: ArrayLike = (),
    log_axes: bool = True,
) -> alt.TopLevelMixin:
    """Draw a ladder of runs, the law over size and the target it predicts.

    Args:
        parameters: of each fitted run, shape (n,), count. loss: final [nats/token], shape (n,).
        frame: around it.
        law: predicted final loss over size, with its interval.
        target: the run to predict.
        other_parameters, other_loss: runs that the law rests on and that are no rung, shape (m,).
        log_axes: logarithmic axes on the left; linear ones otherwise.

    Raises:
        ConfigError: if no run can be drawn, or the target is not finite.
    """
    import altair as alt

    theme = frame.theme
    (size, losses), _ = columns("runs", parameters=parameters, loss=loss)
    known = [(RUN, theme.ink)]
    others: list[Floats] = []
    if np.size(other_loss):
        others, _ = columns("other runs", parameters=other_parameters, loss=other_loss)
        known.append((OTHER, theme.grey))
    if law is not None:
        known.append((law.label, theme.law))
    if target is not None:
        _check(target)
        known.append((f"{PROMISE}, {percent(target.level)} interval", theme.forecast))
        if target.outcome is not None:
            known.append((target.series, theme.alarm))
    look = {"labelLimit": 320, "symbolStrokeWidth": 3, "symbolOpacity": 1}
    colour = colours("series", known, orient="top", direction="horizontal", **look)
    main = _main(size, losses, others, law, target, colour, theme, log_axes=log_axes)
    if target is None:
        return finished(main.properties(width=WIDTH - 60, height=HEIGHT), frame)
    distance = _distance(target.parameters, float(np.concatenate([size, *others[:1]]).max()))
    main = main.properties(width=WIDTH - 150 - SIDE, height=HEIGHT, title=panel_title("the ladder", theme))
    side = _side(target, colour, theme).properties(
        width=SIDE, height=HEIGHT, title=panel_title("the target, linear axis", theme)
    )
    return finished(alt.hconcat(main, side, spacing=26), frame.noting(distance))


def _distance(target: float, largest: float) -> str:
    times = target / largest
    if times <= 1.0:
        return f"The target of {quantity(target)} lies within the ladder, which goes up to {quantity(largest)}."
    return f"The target of {quantity(target)} is {times:.3g} times the largest fitted run."


def _check(target: Target) -> None:
    outcome = target.loss if target.outcome is None else target.outcome
    numbers = (target.parameters, target.loss, target.low, target.high, outcome)
    if not all(np.isfinite(n) and n > 0 for n in numbers) or not target.low <= target.loss <= target.high:
        raise ConfigError(
            f"`target` must hold positive finite numbers, low <= loss <= high (got {target.low:g}, "
            f"{target.loss:g}, {target.high:g}, and as the outcome {outcome:g})."
        )


def _main(
    size: Floats,
    loss: Floats,
    others: Sequence[Floats],
    law: Ribbon | None,
    target: Target | None,
    colour: Any,
    theme: Theme,
    *,
    log_axes: bool,
) -> Any:
    import altair as alt

    goal = [] if target is None else [target.parameters]
    ends = [] if target is None else [target.low, target.high, target.outcome or target.loss]
    lines = [] if law is None else [law.x]
    inside = [] if law is None else [law.mid]
    low, high = span(size, goal, *others[:1], *lines, log=log_axes, room=0.05)
    x = axis(low if log_axes else 0.0, high, "parameters", unit="count", log=log_axes, most=8)
    y = axis(*span(loss, ends, *others[1:], *inside, log=log_axes), LOSS_TITLE, unit="loss", log=log_axes, grid=True)
    layers: list[Any] = []
    if law is not None:
        layers += ribbon_layers(law, theme.law, alt.X("x:Q", **x), y, colour)
    if others:
        grey = alt.Chart(rows(x=others[0], loss=others[1], series=[OTHER] * len(others[0])))
        mark = grey.mark_circle(size=40, opacity=1, fillOpacity=0.6)
        layers.append(mark.encode(**on_axes("x", x, "loss", y), color=colour))
    dots = alt.Chart(rows(x=size, loss=loss, series=[RUN] * len(size))).mark_circle(
        size=64, opacity=1, fillOpacity=0.85
    )
    layers.append(dots.encode(**on_axes("x", x, "loss", y), color=colour))
    if target is not None:
        layers += _target(target, alt.X("x:Q", **x), y, colour)
    return alt.layer(*layers)


def _target(target: Target, x: Any, y: dict[str, Any], colour: Any) -> list[Any]:
    import altair as alt

    label = f"{PROMISE}, {percent(target.level)} interval"
    base = alt.Chart(
        rows(x=[target.parameters], loss=[target.loss], low=[target.low], high=[target.high], series=[label])
    )
    layers: list[Any] = [
        base.mark_rule(strokeWidth=3.5, opacity=0.9).encode(x=x, y=alt.Y("low:Q", **y), y2="high:Q", color=colour),
        base.mark_point(shape="diamond", size=80, filled=True, opacity=1).encode(
            x=x, y=alt.Y("loss:Q", **y), color=colour
        ),
    ]
    if target.outcome is not None:
        one = alt.Chart(rows(x=[target.parameters], loss=[target.outcome], series=[target.series]))
        cross = one.mark_point(shape="cross", size=90, filled=True, opacity=1)
        layers.append(cross.encode(x=x, y=alt.Y("loss:Q", **y), color=colour))
    return layers


def _side(target: Target, colour: Any, theme: Theme) -> Any:
    """The target alone on a linear axis, with its numbers."""
    import altair as alt

    ends = [target.low, target.high, target.outcome or target.loss]
    low, high = span(ends, log=False, room=0.35)
    x = alt.X("x:Q", scale=alt.Scale(domain=[0, 1]), axis=None)
    y = axis(low, high, LOSS_TITLE, unit="loss", log=False)
    moved = replace(target, parameters=0.25)
    labels = [
        (target.high, f"{target.high:.3f}", theme.text),
        (target.loss, f"{target.loss:.3f}", theme.forecast),
        (target.low, f"{target.low:.3f}", theme.text),
    ]
    if target.outcome is not None:
        word = "now" if target.running else "came out"
        labels.append((target.outcome, f"{target.outcome:.3f} {word}", theme.alarm))
    layers: list[Any] = []
    for at, (_, text, shade) in zip(_apart([t[0] for t in labels], low, high), labels, strict=True):
        one = alt.Chart(rows(x=[0.36], loss=[at], label=[text]))
        mark = one.mark_text(align="left", fontSize=12, color=shade, fontWeight="bold")
        layers.append(mark.encode(x=x, y=alt.Y("loss:Q", **y), text="label:N"))
    return alt.layer(*_target(moved, x, y, colour), *layers)


def _apart(values: Sequence[float], low: float, high: float) -> list[float]:
    """Places for labels near `values`, none on another."""
    least = 0.05 * (high - low)
    order = np.argsort(values, kind="stable")
    at = np.asarray(values, dtype=np.float64)
    for _ in range(100):
        gaps = np.diff(at[order])
        close = gaps < least * (1 - 1e-6)
        if not close.any():
            break
        for i in np.flatnonzero(close).tolist():
            push = 0.5 * (least - (at[order[i + 1]] - at[order[i]]))
            if push > 0:
                at[order[i]] -= push
                at[order[i + 1]] += push
    return [float(v) for v in at]

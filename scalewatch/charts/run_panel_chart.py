"""The picture of a run that is on its way: its loss, its law, where it will end, and what went wrong.

Loss on top, with the least and the greatest row of each stretch, so that one step in a million that went wrong is
drawn. Learning rate and gradient norm below, on the same axis: what the loss does, they often explain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.charts.decimate import Envelope, cut
from scalewatch.charts.incidents import Incident, marks_of, shown, spans_of
from scalewatch.charts.predictions import (
    Ending,
    Fan,
    OtherRun,
    ending_layers,
    fan_layers,
    inside,
    ribbon_of,
    trace_layer,
)
from scalewatch.charts.spec import (
    Axis,
    Drawing,
    Key,
    Spec,
    beside,
    channel,
    ending,
    layer,
    legend,
    panel,
    place_on,
    table,
    tip,
)
from scalewatch.charts.style import LOSS_TITLE, Ribbon, Theme, named, ramp, theme_of
from scalewatch.charts.x_axis import (
    SMOOTH,
    Frame,
    XUnit,
    frame_of,
    hover,
    label_last,
    line_layer,
    params_of,
    row_layers,
)
from scalewatch.charts.y_domain import clipped, drawable, reach_of
from scalewatch.errors import ConfigError

__all__ = ["run_panel"]

Floats = NDArray[np.float64]

#: Heights of the panels [pixels].
LOSS_HEIGHT, RATE_HEIGHT, NORM_HEIGHT = 330, 50, 78
#: Last row over the place from which on the loss must fit its axis: before, a run falls from ten nats to five.
LINEAR_SPAN, LOG_EARLY_SPAN = 25.0, 150.0
#: Compared runs at most.
MOST_OTHERS = 8
#: Dashes of compared runs, in turn: they are not told apart by colour alone.
DASHES: tuple[tuple[int, ...], ...] = ((8, 3), (2, 2), (9, 3, 2, 3), (4, 4))

TIPS = (
    tip("mean", "loss, mean", ".4f"),
    tip("low", "least", ".4f"),
    tip("high", "greatest", ".4f"),
    tip("rate", "learning rate", ".3~g"),
    tip("norm", "gradient norm", ".4~g"),
)


def run_panel(
    x: ArrayLike,
    losses: ArrayLike,
    *,
    title: str,
    subtitle: Sequence[str] = (),
    unit: XUnit = "steps",
    learning_rates: ArrayLike | None = None,
    grad_norms: ArrayLike | None = None,
    promise: Ribbon | None = None,
    fan: Fan | None = None,
    registered: Ending | None = None,
    today: Ending | None = None,
    incidents: Sequence[Incident] = (),
    others: Sequence[OtherRun] = (),
    reference: OtherRun | None = None,
    window: tuple[float, float] | None = None,
    end: float | None = None,
    log_x: bool = False,
    log_y: bool = False,
    dark: bool = False,
    width: int = 900,
) -> Drawing:
    """Draw a run as it stands.

    Args:
        x: place of each row on the axis, in `unit`, shape (n,), never falling.
        losses: of the rows [nats/token], shape (n,); learning_rates, grad_norms: likewise, None if unknown.
        title: headline. subtitle: sentences under it. unit: steps, tokens, flops or hours.
        promise: what its law promised. fan: what is forecast from now on. registered: what was predicted of the end
            before the start, or first. today: the same as of now. incidents: on the same axis.
        others: runs to compare with, at most 8. reference: the one that they are held against.
        window: from, to; infinite for an open end; None for the whole run. end: planned end of the axis.
        log_x, log_y: logarithmic axes. dark: colours for a dark page. width: of the whole chart [pixels].

    Raises:
        ConfigError: if no row holds a loss that the axes can show, or the columns differ in length.
    """
    at, loss = np.asarray(x, dtype=np.float64), np.asarray(losses)
    rates, norms = (None if each is None else np.asarray(each) for each in (learning_rates, grad_norms))
    if any(each is not None and each.shape != at.shape for each in (loss, rates, norms)):
        raise ConfigError(f"`losses`, `learning_rates` and `grad_norms` must have the shape of `x` (got {at.shape}).")
    frame = frame_of(at, unit, window, end, log=log_x, theme=theme_of(dark), width=width)
    taken = {
        name: frame.taken.of(column)
        for name, column in (("loss", loss), ("rate", rates), ("norm", norms))
        if column is not None
    }
    seen = shown(incidents, frame.across.low, frame.across.high)
    drawn = _Beside(promise, fan, registered, today, seen, others, reference)
    panels = [_loss_panel(frame, loss, taken["loss"], drawn, log_y)]
    for name, values, height in (("rate", rates, RATE_HEIGHT), ("norm", norms, NORM_HEIGHT)):
        if values is not None:
            panels += _slim_panel(frame, name, taken[name], frame.few.of(values), height, seen, log_y)
    label_last(panels, frame)
    meta = {
        "domain": [frame.across.low, frame.across.high],
        "zoomed": not frame.whole,
        "sentence": _sentence(title, frame, loss, drawn.endings, incidents),
    }
    more: Spec = {"datasets": {"rows": _rows(frame, taken)}, "params": params_of(panels, frame.theme)}
    return ending(panels, frame.theme, title=title, subtitle=subtitle, width=width, meta=meta, **more)


class _Beside(NamedTuple):
    """What is drawn beside the loss."""

    promise: Ribbon | None
    fan: Fan | None
    registered: Ending | None
    today: Ending | None
    incidents: Sequence[Incident]
    others: Sequence[OtherRun]
    reference: OtherRun | None

    @property
    def traces(self) -> list[OtherRun]:
        return [*self.others[:MOST_OTHERS], *([] if self.reference is None else [self.reference])]

    @property
    def endings(self) -> list[Ending]:
        return [each for each in (self.registered, self.today) if each is not None]

    def bands(self, across: Axis) -> list[Floats]:
        """Ends of the intervals on an x axis."""
        bands = [each for part in (self.promise, self.fan) if part is not None for each in inside(part, across)]
        return bands + [np.array([e.low, e.high]) for e in self.endings if across.low <= e.x <= across.high]


def _loss_panel(frame: Frame, loss: NDArray[np.floating], rows: Envelope, drawn: _Beside, log_y: bool) -> Spec:
    theme, across, x = frame.theme, frame.across, frame.x
    smooth = frame.few.of(loss)
    lines = [
        cut(trace.x, across.low, across.high, log=across.log, stretches=SMOOTH).of(trace.losses)
        for trace in drawn.traces
    ]
    up = _loss_axis(frame, loss, rows, drawn.bands(across), lines, log_y)
    y = beside(channel("mean", up, grid=True, most=6))
    keys = _keys(drawn, theme)
    told, entries = legend(keys, frame.width)
    layers = [told, *spans_of(drawn.incidents, x, theme), *row_layers(frame, rows, y, "low", "high")]
    if drawn.promise is not None:
        layers += ribbon_of(drawn.promise, across, theme.promise, x, y, entries[1])
    if drawn.fan is not None:
        layers += fan_layers(drawn.fan, across, theme.forecast, x, y, entries[len(keys) - len(lines) - 1])
    first = len(keys) - len(lines)
    for key, entry, trace, line in zip(keys[first:], entries[first:], drawn.traces, lines, strict=True):
        layers.append(trace_layer(key.label, line, trace is drawn.reference, x, y, entry))
    layers.append(line_layer(smooth, y, x, theme, 2.2, gaps=True, **entries[0]))
    for part, shade in ((drawn.registered, theme.promise), (drawn.today, theme.forecast)):
        layers += [] if part is None else ending_layers(part, across, shade, theme, x, y, now=part is drawn.today)
    layers += [*_missing(frame, loss), hover(frame, "loss", TIPS), *clipped(rows, up, x, theme, "loss")]
    layers += marks_of(drawn.incidents, x, theme, lambda place: place_on(across, place, frame.width))
    return panel(layers, frame.width, LOSS_HEIGHT)


def _loss_axis(
    frame: Frame,
    loss: NDArray[np.floating],
    rows: Envelope,
    bands: list[Floats],
    lines: Sequence[Envelope],
    log: bool,
) -> Axis:
    """The axis of the loss; in a window without a row that of what is predicted there."""
    last = float(rows.steps[-1]) if len(rows.steps) else frame.across.high
    early = last / (LOG_EARLY_SPAN if frame.across.log else LINEAR_SPAN) if frame.whole else -math.inf
    others = [line.mean[line.steps >= early] for line in lines]
    up = reach_of(rows, log=log, early=early, whole=not frame.whole, bands=[*bands, *others], title=LOSS_TITLE)
    if up is None and not frame.whole and drawable(loss, log).any():
        told = np.concatenate([*bands, *others, loss[drawable(loss, log)][-1:]])
        up = reach_of(Envelope(told, told, told, told), log=log, whole=True, title=LOSS_TITLE)
    if up is None:
        raise ConfigError(f"There is no finite {'positive ' if log else ''}loss to draw.")
    return up


def _keys(drawn: _Beside, theme: Theme) -> list[Key]:
    promise, fan, traces, reference = drawn.promise, drawn.fan, drawn.traces, drawn.reference
    keys = [Key("loss", theme.ink)]
    if promise is not None:
        keys.append(Key(promise.label, theme.promise, (6, 3)))
    elif (first := drawn.registered) is not None:
        said = f"{first.label}: {first.loss:.3f} (80 %: {first.low:.3f} to {first.high:.3f})"
        keys.append(Key(said, theme.promise))
    keys += [] if fan is None else [Key(fan.label, theme.forecast, (6, 3))]
    shades = iter(ramp(max(len(traces) - (reference is not None), 1), theme))
    for place, trace in enumerate(traces):
        label = named(trace.label)
        if trace is reference:
            keys.append(Key(f"reference: {label}", theme.reference))
            continue
        keys.append(Key(label, next(shades), DASHES[place % len(DASHES)]))
    told: set[str] = set()
    for place, key in enumerate(keys):
        if key.label in told:
            keys[place] = key._replace(label=f"{key.label} ({place + 1})")
        told.add(keys[place].label)
    return keys


def _slim_panel(
    frame: Frame, name: str, rows: Envelope, smooth: Envelope, height: int, incidents: Sequence[Incident], log_y: bool
) -> list[Spec]:
    """Learning rate or gradient norm; nothing if the window holds none."""
    theme, is_rate = frame.theme, name == "rate"
    whole = is_rate or not frame.whole
    up = reach_of(rows, log=log_y and not is_rate, whole=whole, zero=True, unit="rate" if is_rate else "number")
    if up is None:
        return []
    y = beside(channel(name, up, grid=True, most=3))
    layers = spans_of(incidents, frame.x, theme)
    if not is_rate:
        layers += row_layers(frame, rows, y, "norm_low", "norm_high")
    layers += [line_layer(smooth, y, frame.x, theme), hover(frame, name, TIPS)]
    layers += [] if is_rate else clipped(rows, up, frame.x, theme, "gradient norm")
    title = "learning rate" if is_rate else "gradient norm"
    return [panel(layers, frame.width, height, title=title, theme=theme)]


def _missing(frame: Frame, loss: NDArray[np.floating]) -> list[Spec]:
    """A cross at the foot of the panel where rows hold no finite loss."""
    counts = frame.taken.missing(loss)
    if not counts.any():
        return []
    some = np.flatnonzero(counts)
    rows = table(x=frame.taken.x[some], rows=counts[some])
    mark = {"shape": "M-1,-1L1,1M-1,1L1,-1", "size": 22, "color": frame.theme.lost, "strokeWidth": 1.6, "opacity": 1}
    told = [tip("rows", "rows without a finite loss", ",")]
    return [layer("point", rows, mark, x=frame.x, y={"value": LOSS_HEIGHT - 6}, tooltip=told)]


def _rows(frame: Frame, taken: dict[str, Envelope]) -> list[Spec]:
    """The stretches as all panels read them."""
    loss = taken["loss"]
    columns: Spec = {"x": frame.taken.x, "mean": loss.mean, "low": loss.low, "high": loss.high}
    if "rate" in taken:
        columns["rate"] = taken["rate"].mean
    if "norm" in taken:
        norm = taken["norm"]
        columns |= {"norm": norm.mean, "norm_low": norm.low, "norm_high": norm.high}
    made: list[Spec] = table(**columns, rows=frame.taken.rows)["values"]
    return made


def _sentence(
    title: str,
    frame: Frame,
    loss: NDArray[np.floating],
    endings: Sequence[Ending],
    incidents: Sequence[Incident],
) -> str:
    """The picture in words, for those who do not see it."""
    rows, across = frame.few.of(loss), frame.across
    fine = np.flatnonzero(np.isfinite(rows.mean))
    said = [f"{title}: loss over {(across.title or '').split('  ')[0]} from {across.low:,.4g} to {across.high:,.4g}"]
    if len(fine):
        first, last = fine[0], fine[-1]
        said.append(f"from {rows.mean[first]:.3f} to {rows.mean[last]:.3f}")
    said += [f"{each.label}: {each.loss:.3f} (80 %: {each.low:.3f} to {each.high:.3f})" for each in endings]
    is_open = [each.name for each in incidents if each.is_open]
    said.append(f"{len(incidents)} incidents" + (f", open: {', '.join(is_open)}" if is_open else ", none open"))
    return "; ".join(said) + "."

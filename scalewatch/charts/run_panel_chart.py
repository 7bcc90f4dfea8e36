"""The picture of a run that is on its way: its loss, its law, where it will end, and what went wrong.

Loss on top, with the least and the greatest row of each stretch, so that one step in a million that went wrong is
drawn. Learning rate and gradient norm below, on the same axis: what the loss does, they often explain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats
from scalewatch.charts.captions import named
from scalewatch.charts.decimate import Envelope, cut
from scalewatch.charts.frame import Frame
from scalewatch.charts.incidents import Incident, marks_of, shown, spans_of
from scalewatch.charts.marks import Ribbon
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
from scalewatch.charts.theme import Theme, ramp
from scalewatch.charts.x_axis import (
    STEPS,
    RunAxis,
    SharedAxis,
    hover,
    label_last,
    line_layer,
    params_of,
    row_layers,
    shared_axis,
)
from scalewatch.charts.y_domain import clipped, drawable, log_losses, reach_of
from scalewatch.errors import ConfigError

__all__ = ["Beside", "RunRows", "run_panel"]

#: Heights of the panels [pixels].
LOSS_HEIGHT, RATE_HEIGHT, NORM_HEIGHT = 330, 50, 78
#: Last row over the place from which on the loss must fit its axis: before, a run falls from ten nats to five.
LINEAR_SPAN, LOG_EARLY_SPAN = 25.0, 150.0
#: Compared runs at most.
MOST_OTHERS = 8
#: Dashes of compared runs, in turn: they are not told apart by colour alone.
DASHES: tuple[tuple[int, ...], ...] = ((8, 3), (2, 2), (9, 3, 2, 3), (4, 4))

#: What the layer of the legend is called, and the parameters by which an entry of it is clicked and hidden: `hidden`
#: holds places in the legend.
KEYS = "keys"
HIDDEN: Spec = {"name": "hidden", "value": []}
LEGEND_CLICK: Spec = {"name": "clicked", "select": {"type": "point", "fields": ["series"]}, "bind": "legend"}
LEGEND_CLICK |= {"views": [KEYS]}

TIPS = (
    tip("mean", "loss, mean", ".4f"),
    tip("low", "least", ".4f"),
    tip("high", "greatest", ".4f"),
    tip("rate", "learning rate", ".3~g"),
    tip("norm", "gradient norm", ".4~g"),
)


@final
@dataclass(frozen=True, slots=True, eq=False)
class RunRows:
    """The rows of a run, columns of shape (n,).

    Attributes:
        x: place on the axis, never falling. losses: [nats/token]. learning_rates, grad_norms: None if unknown.
    """

    x: ArrayLike
    losses: ArrayLike
    learning_rates: ArrayLike | None = None
    grad_norms: ArrayLike | None = None


@final
@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """What is drawn beside the loss, on its axis.

    Attributes:
        baseline: what its law said before the start. fan: what is forecast from now on. registered: what was predicted
            of the end before the start, or first. today: the same as of now. incidents: of the run.
        others: runs to compare with, at most 8. reference: the one that they are held against. name: what the legend
            calls the run itself.
    """

    baseline: Ribbon | None = None
    fan: Fan | None = None
    registered: Ending | None = None
    today: Ending | None = None
    incidents: Sequence[Incident] = ()
    others: Sequence[OtherRun] = ()
    reference: OtherRun | None = None
    name: str = "loss"

    @property
    def lines(self) -> list[OtherRun]:
        """Return the runs that are drawn, the reference last."""
        return [*self.others[:MOST_OTHERS], *([] if self.reference is None else [self.reference])]

    @property
    def endings(self) -> list[Ending]:
        """Return what is said of the end, first and now."""
        return [each for each in (self.registered, self.today) if each is not None]

    def bands(self, across: Axis) -> list[Floats]:
        """Return the ends of the intervals on an x axis."""
        bands = [each for part in (self.baseline, self.fan) if part is not None for each in inside(part, across)]
        return bands + [np.array([e.low, e.high]) for e in self.endings if across.low <= e.x <= across.high]


#: Nothing but the run.
ALONE = Beside()


def run_panel(
    run: RunRows, frame: Frame, *, axis: RunAxis = STEPS, log_y: bool | None = None, beside: Beside = ALONE
) -> Drawing:
    """Draw a run as it stands.

    Args:
        run: its rows. frame: around it. axis: of x. log_y: a logarithmic one of y; None: where all losses are
            above zero. beside: what else is drawn.

    Raises:
        ConfigError: if no row holds a loss that the axes can show, or the columns differ in length.
    """
    at, loss = np.asarray(run.x, dtype=np.float64), np.asarray(run.losses)
    rates, norms = (None if each is None else np.asarray(each) for each in (run.learning_rates, run.grad_norms))
    if any(each is not None and each.shape != at.shape for each in (loss, rates, norms)):
        raise ConfigError(f"`losses`, `learning_rates` and `grad_norms` must have the shape of `x` (got {at.shape}).")
    log_y = log_losses(loss) if log_y is None else log_y
    shared = shared_axis(at, axis, frame)
    taken = {
        name: shared.taken.of(column)
        for name, column in (("loss", loss), ("rate", rates), ("norm", norms))
        if column is not None
    }
    seen = shown(beside.incidents, shared.across.low, shared.across.high)
    drawn = replace(beside, incidents=seen)
    lines = [
        cut(each.x, shared.across.low, shared.across.high, log=axis.log, stretches=axis.stretches).of(each.losses)
        for each in drawn.lines
    ]
    panels = [_loss_panel(shared, loss, taken["loss"], drawn, lines, log_y, frame.titled())]
    for name, values, height in (("rate", rates, RATE_HEIGHT), ("norm", norms, NORM_HEIGHT)):
        if values is not None:
            panels += _slim_panel(shared, name, taken[name], shared.few.of(values), height, seen, log_y)
    label_last(panels, shared)
    shades = [key.label for key in _keys(drawn, shared.theme)]
    meta = {
        "domain": [shared.across.low, shared.across.high],
        "zoomed": not shared.whole,
        "log_y": log_y,
        "keys": shades,
        "sentence": _sentence(frame.title, shared, loss, beside),
    }
    params = [*params_of(panels, shared.theme), HIDDEN, LEGEND_CLICK]
    more: Spec = {"datasets": {"rows": _rows(shared, taken, lines)}, "params": params}
    return ending(panels, frame, meta=meta, **more)


def _loss_panel(
    shared: SharedAxis,
    loss: NDArray[np.floating],
    rows: Envelope,
    drawn: Beside,
    lines: Sequence[Envelope],
    log_y: bool,
    title: str,
) -> Spec:
    theme, across, x = shared.theme, shared.across, shared.x
    smooth = shared.few.of(loss)
    up = _loss_axis(shared, loss, rows, drawn.bands(across), lines, log_y, title)
    y = beside(channel("mean", up, grid=True, most=6))
    keys = _keys(drawn, theme)
    unseen, entries = legend(keys, shared.width)
    unseen["name"] = KEYS
    layers = [unseen, *spans_of(drawn.incidents, x, theme)]
    layers += _switched(row_layers(shared, rows, y, "low", "high"), 0)
    if drawn.baseline is not None:
        layers += _switched(ribbon_of(drawn.baseline, across, theme.law, x, y, entries[1]), 1)
    if drawn.fan is not None:
        place = len(keys) - len(lines) - 1
        layers += _switched(fan_layers(drawn.fan, across, theme.forecast, x, y, entries[place]), place)
    first = len(keys) - len(lines)
    for place, (trace, line) in enumerate(zip(drawn.lines, lines, strict=True), first):
        layer = trace_layer(keys[place].label, line, trace is drawn.reference, x, y, entries[place])
        layers += _switched([layer], place)
    layers += _switched([line_layer(smooth, y, x, theme, 2.2, gaps=True, **entries[0])], 0)
    for part, shade in ((drawn.registered, theme.law), (drawn.today, theme.forecast)):
        layers += [] if part is None else ending_layers(part, across, shade, theme, x, y, now=part is drawn.today)
    layers += [
        *_missing(shared, loss),
        hover(shared, "loss", [*TIPS, *_other_tips(keys[first:])]),
        *clipped(rows, up, x, theme, "loss"),
    ]
    layers += marks_of(drawn.incidents, x, theme, lambda place: place_on(across, place, shared.width))
    return panel(layers, shared.width, LOSS_HEIGHT)


def _switched(layers: list[Spec], place: int) -> list[Spec]:
    """Layers that are not seen while `hidden` holds their place in the legend."""
    for each in layers:
        mark = each["mark"]
        name = "strokeOpacity" if "strokeOpacity" in mark else "opacity"
        mark[name] = {"expr": f"indexof(hidden, {place}) < 0 ? {mark.get(name, 1)} : 0"}
    return layers


def _other_tips(keys: Sequence[Key]) -> list[Spec]:
    return [tip(f"run_{place}", key.label, ".4f") for place, key in enumerate(keys)]


def _loss_axis(
    shared: SharedAxis,
    loss: NDArray[np.floating],
    rows: Envelope,
    bands: list[Floats],
    lines: Sequence[Envelope],
    log: bool,
    title: str,
) -> Axis:
    """The axis of the loss; in a window without a row that of what is predicted there."""
    last = float(rows.steps[-1]) if len(rows.steps) else shared.across.high
    early = last / (LOG_EARLY_SPAN if shared.across.log else LINEAR_SPAN) if shared.whole else -math.inf
    others = [line.mean[line.steps >= early] for line in lines]
    up = reach_of(rows, log=log, early=early, whole=not shared.whole, bands=[*bands, *others], title=title)
    if up is None and not shared.whole and drawable(loss, log).any():
        values = np.concatenate([*bands, *others, loss[drawable(loss, log)][-1:]])
        up = reach_of(Envelope(values, values, values, values), log=log, whole=True, title=title)
    if up is None:
        raise ConfigError(f"There is no finite {'positive ' if log else ''}loss to draw.")
    return up


def _keys(drawn: Beside, theme: Theme) -> list[Key]:
    baseline, fan, lines, reference = drawn.baseline, drawn.fan, drawn.lines, drawn.reference
    keys = [Key(named(drawn.name), theme.ink)]
    if baseline is not None:
        keys.append(Key(baseline.label, theme.law, (6, 3)))
    elif (first := drawn.registered) is not None:
        label = f"{first.label}: {first.loss:.3f} (80 %: {first.low:.3f} to {first.high:.3f})"
        keys.append(Key(label, theme.law))
    keys += [] if fan is None else [Key(fan.label, theme.forecast, (6, 3))]
    shades = iter(ramp(max(len(lines) - (reference is not None), 1), theme))
    for place, trace in enumerate(lines):
        label = named(trace.label)
        if trace is reference:
            keys.append(Key(f"reference: {label}", theme.reference))
            continue
        keys.append(Key(label, next(shades), DASHES[place % len(DASHES)]))
    labels: set[str] = set()
    for place, key in enumerate(keys):
        if key.label in labels:
            keys[place] = key._replace(label=f"{key.label} ({place + 1})")
        labels.add(keys[place].label)
    return keys


def _slim_panel(
    shared: SharedAxis,
    name: str,
    rows: Envelope,
    smooth: Envelope,
    height: int,
    incidents: Sequence[Incident],
    log_y: bool,
) -> list[Spec]:
    """Learning rate or gradient norm; nothing if the window holds none."""
    theme, is_rate = shared.theme, name == "rate"
    whole = is_rate or not shared.whole
    up = reach_of(rows, log=log_y and not is_rate, whole=whole, zero=True, unit="rate" if is_rate else "number")
    if up is None:
        return []
    y = beside(channel(name, up, grid=True, most=3))
    layers = spans_of(incidents, shared.x, theme)
    if not is_rate:
        layers += row_layers(shared, rows, y, "norm_low", "norm_high")
    layers += [line_layer(smooth, y, shared.x, theme), hover(shared, name, TIPS)]
    layers += [] if is_rate else clipped(rows, up, shared.x, theme, "gradient norm")
    title = "learning rate" if is_rate else "gradient norm"
    return [panel(layers, shared.width, height, title=title, theme=theme)]


def _missing(shared: SharedAxis, loss: NDArray[np.floating]) -> list[Spec]:
    """A cross at the foot of the panel where rows hold no finite loss."""
    counts = shared.taken.missing(loss)
    if not counts.any():
        return []
    some = np.flatnonzero(counts)
    rows = table(x=shared.taken.x[some], rows=counts[some])
    mark = {"shape": "M-1,-1L1,1M-1,1L1,-1", "size": 22, "color": shared.theme.lost, "strokeWidth": 1.6, "opacity": 1}
    tips = [tip("rows", "rows without a finite loss", ",")]
    return [layer("point", rows, mark, x=shared.x, y={"value": LOSS_HEIGHT - 6}, tooltip=tips)]


def _rows(shared: SharedAxis, taken: dict[str, Envelope], lines: Sequence[Envelope]) -> list[Spec]:
    """The stretches as all panels read them, each with what other runs were there."""
    loss = taken["loss"]
    columns: Spec = {"x": shared.taken.x, "mean": loss.mean, "low": loss.low, "high": loss.high}
    if "rate" in taken:
        columns["rate"] = taken["rate"].mean
    if "norm" in taken:
        norm = taken["norm"]
        columns |= {"norm": norm.mean, "norm_low": norm.low, "norm_high": norm.high}
    for place, line in enumerate(lines):
        fine = np.isfinite(line.mean)
        at = np.interp(shared.taken.x, line.steps[fine], line.mean[fine], np.nan, np.nan) if fine.any() else np.nan
        columns[f"run_{place}"] = np.broadcast_to(at, len(shared.taken.x))
    made: list[Spec] = table(**columns, rows=shared.taken.rows)["values"]
    return made


def _sentence(title: str, shared: SharedAxis, loss: NDArray[np.floating], beside: Beside) -> str:
    """The picture in words, for those who do not see it."""
    rows, across = shared.few.of(loss), shared.across
    fine = np.flatnonzero(np.isfinite(rows.mean))
    parts = [f"{title}: loss over {(across.title or '').split('  ')[0]} from {across.low:,.4g} to {across.high:,.4g}"]
    if len(fine):
        first, last = fine[0], fine[-1]
        parts.append(f"from {rows.mean[first]:.3f} to {rows.mean[last]:.3f}")
    parts += [f"{each.label}: {each.loss:.3f} (80 %: {each.low:.3f} to {each.high:.3f})" for each in beside.endings]
    is_open = [each.name for each in beside.incidents if each.is_open]
    parts.append(f"{len(beside.incidents)} incidents" + (f", open: {', '.join(is_open)}" if is_open else ", none open"))
    return "; ".join(parts) + "."

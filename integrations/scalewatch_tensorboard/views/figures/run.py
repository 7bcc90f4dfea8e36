"""The chart of the Run panel: a run as it stands, with its law, its forecast and what went wrong."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError
from scalewatch_tensorboard.views.figures.across import Across
from scalewatch_tensorboard.views.figures.spec import nothing

if TYPE_CHECKING:
    from scalewatch.charts import Ending, Fan, Frame, Incident, OtherRun, Ribbon, RunAxis
    from scalewatch.forecast import Forecast
    from scalewatch.forecast.preregistered import BaselineForecast
    from scalewatch.run import Run
    from scalewatch_tensorboard.runs.columns import Columns
    from scalewatch_tensorboard.runs.registry import RunRegistry
    from scalewatch_tensorboard.runs.run_state import RunState
    from scalewatch_tensorboard.views.request import ChartRequest

__all__ = ["axis_for", "baseline_ending", "frame_for", "incidents_on", "run_figure"]

#: Stretches whose means are the lines, from none smoothed to most.
SMOOTHED = (600, 260, 110, 50, 20)
#: Levels of the fan, the widest first, and points of each: some 0.1 ms a point.
FAN_LEVELS, FAN_POINTS = (0.95, 0.8, 0.5), 40
#: An 80 % interval over the standard deviation of a Gaussian: the law's error is kept as the latter.
SD_80 = 1.2816

#: Rows of another run, as they are drawn whole, at most: of more, means of as many neighbours as it takes.
MOST_ROWS = 20_000

#: Other runs, thinned, with the axis and the count of rows.
_thinned: weakref.WeakKeyDictionary[RunState, tuple[str, int, OtherRun]] = weakref.WeakKeyDictionary()
#: The fan that was made last of each run, with the step of its forecast: a look at the page is not a new forecast.
_fans: weakref.WeakKeyDictionary[RunState, tuple[int, int, list[Floats]]] = weakref.WeakKeyDictionary()


def run_figure(state: RunState, request: ChartRequest, registry: RunRegistry) -> dict[str, Any]:
    """Return the specification of the chart, or under `empty` the sentence that says why there is none."""
    from scalewatch.charts import Beside, RunRows, run_panel

    columns = state.columns()
    names = _names(state, request)
    try:
        across = Across(request.axes.x, columns, state.run)
        forecast, total = state.tracker.forecast, state.run.total_steps
        end = None if total is None else float(across.of(total)[0])
        drawn = run_panel(
            RunRows(
                across.rows,
                columns.losses,
                learning_rates=_some(columns.learning_rates),
                grad_norms=_some(columns.grad_norms),
            ),
            frame_for(state, request),
            axis=axis_for(request, across, state.run),
            log_y=request.axes.log_y,
            beside=Beside(
                baseline=_baseline(state.registered, across),
                fan=None if forecast is None else _fan(state, forecast, across),
                registered=_registered(state, end),
                today=None if forecast is None or end is None else _ending(forecast, end),
                incidents=incidents_on(state, across, columns),
                others=[_other(other, request, names) for other in request.compare],
                name=names[state.name] if len(names) > 1 else "loss",
                reference=None if request.reference is None else _other(request.reference, request, names),
            ),
        )
    except ConfigError as reason:
        return nothing(state, reason)
    return drawn.to_dict()


def frame_for(state: RunState, request: ChartRequest) -> Frame:
    """Return what is around a chart of a run: its name and where it stands."""
    from scalewatch.charts import Frame

    return Frame(state.name, _standing(state), request.dark, request.width, state.tracker.monitor.run.unit)


def axis_for(request: ChartRequest, across: Across, run: Run) -> RunAxis:
    """Return the x axis that was asked for, up to the planned end."""
    from scalewatch.charts import RunAxis

    end = None if run.total_steps is None else float(across.of(run.total_steps)[0])
    stretches = SMOOTHED[request.axes.smooth]
    return RunAxis(request.axes.x, request.axes.window, end, request.axes.log_x, stretches)


def _standing(state: RunState) -> list[str]:
    """Return where a run stands, a sentence."""
    step, total = state.rows.last_step or 0, state.run.total_steps
    of = "" if total is None else f" of {total:,} ({100 * min(step / total, 1):.0f} %)"
    headline = str(state.upkeep.summary.get("headline", ""))
    return [f"Step {step:,}{of}." + (f" {headline[:1].upper()}{headline[1:]}." if headline else "")]


def incidents_on(state: RunState, across: Across, columns: Columns) -> list[Incident]:
    """Return the incidents of a run, placed on its axis."""
    from scalewatch.charts.incidents import incidents_of, placed

    with state.lock:
        findings, open_kinds = list(state.findings), {f.kind for f in state.tracker.monitor.open_incidents}
    last = int(columns.steps[-1]) if len(columns.steps) else 0
    return placed(incidents_of(findings, open_kinds, last), across.of)


def _some(column: NDArray[np.float32]) -> NDArray[np.float32] | None:
    return column if len(column) and bool(np.isfinite(column).any()) else None


def _baseline(registered: BaselineForecast | None, across: Across) -> Ribbon | None:
    from scalewatch.charts import Ribbon

    if registered is None:
        return None
    wide = SD_80 * np.sqrt((registered.factors**2).sum(axis=1))
    end = _end_text(registered.final_loss, registered.low, registered.high)
    mid = registered.losses
    return Ribbon(f"its law, before the start: {end}", across.of(registered.steps), mid, mid - wide, mid + wide)


def _end_text(loss: float, low: float, high: float) -> str:
    return f"ends at {loss:.3f} (80 %: {low:.3f} to {high:.3f})"


def _fan(state: RunState, forecast: Forecast, across: Across) -> Fan | None:
    from scalewatch.charts import Fan

    if forecast.step >= forecast.total_steps:
        return None
    key = forecast.step, forecast.total_steps
    known = _fans.get(state)
    if known is None or known[:2] != key:
        steps = np.linspace(max(forecast.step, float(forecast.grid()[0])), forecast.total_steps, FAN_POINTS)
        curves = [forecast.curve(steps, level) for level in FAN_LEVELS]
        known = (*key, [steps, curves[0][0], *(bound for curve in curves for bound in curve[1:])])
        _fans[state] = known
    steps, mid, *bounds = known[2]
    bands = tuple(zip(bounds[::2], bounds[1::2], strict=True))
    end = _end_text(forecast.final_loss, *forecast.interval(0.8))
    return Fan(f"forecast now: {end}", across.of(steps), mid, bands)


def _ending(forecast: Forecast, end: float) -> Ending:
    from scalewatch.charts import Ending

    return Ending("forecast now", end, forecast.final_loss, *forecast.interval(0.8))


def _registered(state: RunState, end: float | None) -> Ending | None:
    """What was said of the end before the start, by the law, or else at first."""
    from scalewatch.charts import Ending

    total, baseline = state.run.total_steps, state.registered
    if total is None or end is None:
        return None
    if baseline is not None:
        return baseline_ending(baseline, end)
    if not state.charts.looks:
        return None
    first = state.charts.looks[0]
    share = 100 * first.step / total
    return Ending(f"first forecast, at {share:.0f} %", end, first.final_loss, first.low_80, first.high_80)


def baseline_ending(baseline: BaselineForecast, end: float) -> Ending:
    """Return what the law said of the end of a run before it started, at `end` on the axis."""
    from scalewatch.charts import Ending

    return Ending("its law, before the start", end, baseline.final_loss, baseline.low, baseline.high)


def _names(state: RunState, request: ChartRequest) -> dict[str, str]:
    """What the runs of a chart are called in it: without the folders that all of them share."""
    from scalewatch.charts.captions import apart

    runs = [state, *request.compare, *([] if request.reference is None else [request.reference])]
    return dict(zip((each.name for each in runs), apart([each.name for each in runs]), strict=True))


def _other(state: RunState, request: ChartRequest, names: dict[str, str]) -> OtherRun:
    """Another run; all of it from what was thinned once, a window of it from its rows."""
    from scalewatch.charts import OtherRun
    from scalewatch.charts.decimate import Cut

    columns = state.columns()
    count = -(-len(columns.steps) // MOST_ROWS)
    if request.axes.window is not None or count < 2:
        return OtherRun(names[state.name], Across(request.axes.x, columns, state.run).rows, columns.losses)
    key = request.axes.x, len(columns.steps)
    known = _thinned.get(state)
    if known is None or known[:2] != key:
        first = np.arange(0, len(columns.steps), count)
        losses = Cut(first.astype(np.float64), first, len(columns.steps)).of(columns.losses).mean
        known = (*key, OtherRun(names[state.name], Across(request.axes.x, columns, state.run).rows[first], losses))
        _thinned[state] = known
    return replace(known[2], label=names[state.name])

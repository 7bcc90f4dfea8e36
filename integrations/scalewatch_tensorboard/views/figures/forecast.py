"""The chart of the Forecast panel: how the forecast of a run moved, and how often what came lay in its band."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scalewatch.errors import ConfigError
from scalewatch.finding import Severity
from scalewatch_tensorboard.views.figures.run import baseline_ending, frame_for
from scalewatch_tensorboard.views.figures.spec import nothing

if TYPE_CHECKING:
    from scalewatch.charts.forecast_history_chart import Kept
    from scalewatch_tensorboard.runs.columns import Columns
    from scalewatch_tensorboard.runs.registry import RunRegistry
    from scalewatch_tensorboard.runs.run_state import RunState
    from scalewatch_tensorboard.runs.saved_forecasts import SavedForecast
    from scalewatch_tensorboard.views.request import ChartRequest

__all__ = ["forecast_figure"]

#: Levels of what a look keeps, in its order.
LEVELS = (0.5, 0.8, 0.95)
#: Standard normal quantiles of these levels.
QUANTILES = np.array([0.6745, 1.2816, 1.96])
#: Half of the stretch whose mean loss is held against what was forecast of its middle, as a part of the plan: it begins
#: after the forecast was made, and two of them do not share rows.
HALF_SHARE = 0.0249
#: Rows that such a mean is of at least.
LEAST_ROWS = 3


def forecast_figure(state: RunState, request: ChartRequest, registry: RunRegistry) -> dict[str, Any]:
    """Return the specification of the chart, or under `empty` the sentence that says why there is none."""
    from scalewatch.charts import forecast_history

    total, looks = state.run.total_steps, list(state.charts.looks)
    if total is None:
        return nothing(
            state,
            "The planned length of this run is not known, so there is no end to forecast: type the number of "
            "planned steps above.",
        )
    if not looks and state.registered is None:
        return nothing(state, "No forecast has been made yet: it takes some rows of the curve after the warm-up.")
    baseline, columns = state.registered, np.array([look[:8] for look in looks], dtype=np.float64).reshape(-1, 8)
    steps, mid, low_50, high_50, low_80, high_80, low_95, high_95 = columns.T
    try:
        drawn = forecast_history(
            np.minimum(100.0 * steps / total, 100.0),
            mid,
            [(low_95, high_95), (low_80, high_80), (low_50, high_50)],
            frame_for(state, request),
            registered=None if baseline is None else baseline_ending(baseline, total),
            truth=state.upkeep.summary.get("final_loss"),
            kept=_kept(looks, state.columns(), total),
            suspended=_suspended(state, total),
        )
    except ConfigError as reason:
        return nothing(state, reason)
    return drawn.to_dict()


def _suspended(state: RunState, total: int) -> tuple[float, float] | None:
    """From where to where of the plan nothing is forecast, for the run is lost [%]; None if it is not."""
    with state.lock:
        lost = [f.start_step for f in state.tracker.monitor.open_incidents if f.severity is Severity.CRITICAL]
        step = state.tracker.monitor.step or 0
        why = state.tracker.no_forecast
    if not lost or not why:
        return None
    # what was still forecast while nobody knew yet that the run is lost stands beside it
    begin = max([min(lost), *(look.step for look in state.charts.looks)])
    return 100 * begin / total, 100 * step / total


def _kept(looks: list[SavedForecast], columns: Columns, total: int) -> list[Kept]:
    """How often the loss soon after a look lay in each of its bands, where that loss is known by now.

    A band is one of the level of the loss; what came is a mean of rows, so their noise is added to it.
    """
    from scalewatch.charts.forecast_history_chart import Kept

    half, last = max(HALF_SHARE * total, 0.5), float(columns.steps[-1]) if len(columns.steps) else 0.0
    inside, of, after = np.zeros(len(LEVELS), dtype=int), 0, -np.inf
    for look in looks:
        if not look.ahead_step or len(look.ahead) != 2 * len(LEVELS) or look.ahead_step + half > last:
            continue
        begin, stop = np.searchsorted(columns.steps, [look.ahead_step - half, look.ahead_step + half])
        came = columns.losses[begin:stop]
        came = came[np.isfinite(came)].astype(np.float64)
        if look.ahead_step - half < after or len(came) < LEAST_ROWS:
            continue
        after = look.ahead_step + half
        noise = float(np.diff(came).std()) / np.sqrt(2.0 * len(came))
        low, high = np.array(look.ahead).reshape(-1, 2).T
        middle, wide = 0.5 * (low + high), np.hypot(0.5 * (high - low), QUANTILES * noise)
        inside += np.abs(came.mean() - middle) <= wide
        of += 1
    return [Kept(level, int(count), of) for level, count in zip(LEVELS, inside, strict=True)]

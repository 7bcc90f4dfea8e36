"""The chart of the Health panel: residuals, noise, precursors and incidents of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scalewatch.errors import ConfigError
from scalewatch_tensorboard.views.figures.across import Across
from scalewatch_tensorboard.views.figures.run import axis_for, frame_for, incidents_on
from scalewatch_tensorboard.views.figures.spec import nothing

if TYPE_CHECKING:
    from scalewatch.charts.health_chart import Gauge
    from scalewatch_tensorboard.runs.registry import RunRegistry
    from scalewatch_tensorboard.runs.run_state import RunState
    from scalewatch_tensorboard.views.request import ChartRequest

__all__ = ["health_figure"]

#: What precursors are called, by the first part of their name; others are shown by their own.
NAMES = {
    "attention_logit": "largest attention logit",
    "update_rms": "RMS of Adam's update (g / sqrt v)",
    "log_z": "mean log Z of the output",
    "noise_scale": "gradient noise scale [batches]",
    "grad_norm": "gradient norm",
}
#: The order in which they are shown; what moves first comes first.
ORDER = ("attention_logit", "update_rms", "log_z", "noise_scale")


def health_figure(state: RunState, request: ChartRequest, registry: RunRegistry) -> dict[str, Any]:
    """Return the specification of the chart, or under `empty` the sentence that says why there is none."""
    from scalewatch.charts import health
    from scalewatch.charts.health_chart import Threshold
    from scalewatch.detect.spike import NOTE_SIGMAS, STAY_SIGMAS

    columns = state.columns()
    try:
        across = Across(request.axes.x, columns, state.run)
        drawn = health(
            across.rows,
            columns.sigmas,
            frame_for(state, request),
            axis=axis_for(request, across, state.run),
            thresholds=(
                Threshold(STAY_SIGMAS, f"{STAY_SIGMAS:g}: two rows running are a spike"),
                Threshold(NOTE_SIGMAS, f"{NOTE_SIGMAS:g}: one row is a bad batch"),
            ),
            gauges=_gauges(state, across),
            incidents=incidents_on(state, across, columns),
        )
    except ConfigError as reason:
        return nothing(state, reason)
    return drawn.to_dict()


def _gauges(state: RunState, across: Across) -> list[Gauge]:
    from scalewatch.charts.health_chart import Gauge
    from scalewatch.detect.precursor import LOGIT_LIMITS

    made = []
    noise = state.noise
    if noise:
        steps, scales = np.array(noise, dtype=np.float64).T
        made.append(Gauge("noise of one row of the loss [%]", across.of(steps), 100.0 * scales))

    def place(name: str) -> tuple[int, str]:
        family = name.partition("/")[0]
        return (ORDER.index(family) if family in ORDER else len(ORDER)) + 10 * ("/" in name), name

    precursors = state.precursors
    for name in sorted(precursors, key=place):
        steps, values = precursors[name]
        family, _, part = name.partition("/")
        label = NAMES.get(family, family) + (f", {part}" if part else "")
        limit = LOGIT_LIMITS[0][0] if family == "attention_logit" else None
        made.append(Gauge(label, across.of(steps), values, limit))
    return made

"""Where a run of a sweep stands, from the rows that there are of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scalewatch.advising.race import Standing
from scalewatch.finding import Severity
from scalewatch.forecast.siblings import FINAL_SHARE, SiblingCurve
from scalewatch.monitor import Monitor
from scalewatch.observation import Observation
from scalewatch.run import Run

__all__ = ["standing_of"]


def standing_of(run: Run, steps: Sequence[int], losses: Sequence[float], *, ended: bool = False) -> Standing:
    """Return where a run stands after these rows.

    Args:
        run: as planned, with its length and its learning rates. steps: of the rows, shape (n,), from 1.
        losses: shape (n,) [nats/token]. ended: whether it is over: its end is the mean over its last fiftieth.
    """
    total, plan = run.total_steps or steps[-1], run.learning_rates
    curve = SiblingCurve.of(steps, losses, total, plan)
    if ended:
        last = np.asarray(losses, dtype=np.float64)[np.asarray(steps) > (1.0 - FINAL_SHARE) * steps[-1]]
        return Standing.finished(run.name, float(last.mean()), curve)
    monitor = Monitor(run)
    for step, loss in zip(steps, losses, strict=True):
        rate = None if plan is None or not 1 <= step <= len(plan) else float(plan[step - 1])
        monitor.observe(Observation(step, loss, rate))
    open_ = monitor.open_incidents
    now = losses[-1] if len(losses) else math.nan
    return replace(
        Standing.of(run.name, min(steps[-1] / total, 1.0) if len(steps) else 0.0, monitor.forecast()),
        curve=curve,
        now=now,
        lost=any(f.severity is Severity.CRITICAL for f in open_) or not math.isfinite(now),
        spike=any(f.pages for f in open_),
    )

"""The picture of a log that was read to its end, as the report, a notebook and the pages of the project show it."""

from __future__ import annotations

from typing import Any

from scalewatch.charts import Band, Frame, loss_against_law
from scalewatch.finding import Phase, Severity
from scalewatch.forecast import Forecast
from scalewatch.offline.replayed import ReplayedRun

__all__ = ["band_of", "draw_run"]

#: Losses of which a picture can be made at least, count. By definition.
FEWEST_ROWS = 2


def draw_run(run: ReplayedRun, *, dark: bool = False, log_x: bool = False, title: str = "") -> Any:
    """Return the chart of a run that was read with its curve: loss, law, forecast, and what was worth a page.

    The forecast is that of now, of a run that has ended that of 30 %.

    Raises:
        ConfigError: if it holds no loss that can be drawn.
    """
    curve, ahead = run.curve, run.tracker.forecast
    label = f"forecast at step {ahead.step:,}" if ahead is not None else "forecast at 30 % of the run"
    shown = ahead if ahead is not None else run.tracker.pictured
    label += "" if shown is None or shown.schedule_known else ", if the rate is held"
    pages = [f for f in run.tracker.findings if f.pages and f.phase is not Phase.CLOSED]
    pages.sort(key=lambda f: f.severity is not Severity.CRITICAL)
    return loss_against_law(
        [] if curve is None else curve.steps,
        [] if curve is None else curve.drawn(),
        Frame(title, dark=dark, unit=run.tracker.monitor.run.unit),
        baseline=band_of("law of the smaller runs, before the start", run.before),
        forecast=band_of(label, shown),
        findings=pages,
        log_x=log_x,
    )


def band_of(label: str, forecast: Forecast | None) -> Band | None:
    """Return what a forecast says of the steps that were to come; None if there are none."""
    if forecast is None:
        return None
    steps = forecast.grid()
    steps = steps[steps >= forecast.step]
    return Band(label, steps, *forecast.curve(steps)) if len(steps) > 1 else None

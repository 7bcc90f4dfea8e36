"""The cards of what people look at in a notebook: a monitor, a forecast, a verdict, a fit, a prediction.

Each class names `card_of` as its `_repr_html_`; what its card holds stands here, one function a class.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import numpy as np

from scalewatch.charts import Band, Frame, card, forecast_history, intervals, loss_against_law, residuals, way_ahead
from scalewatch.charts.axes import loss_text
from scalewatch.charts.card import Tone, tone_of
from scalewatch.charts.predictions import Ending
from scalewatch.errors import ScalewatchError
from scalewatch.figures.law_parts import LEVEL, NORMAL_80
from scalewatch.finding import Phase
from scalewatch.fitting.points import PointFit
from scalewatch.fitting.prediction import Prediction
from scalewatch.fitting.result import Fit
from scalewatch.forecast import Forecast
from scalewatch.forecast.prediction_file import Prediction as RegisteredPrediction
from scalewatch.forecast.preregistered import BaselineForecast
from scalewatch.forecast.verdict import Verdict
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.monitor import Monitor
from scalewatch.text import percent

if TYPE_CHECKING:
    from scalewatch.arrays import Floats

__all__ = ["html_of"]

#: Predictions that are named in a table. By hand.
MOST_TOLD = 12


@singledispatch
def html_of(thing: object) -> str:
    """Return the card of anything that has one.

    Raises:
        TypeError: if there is no card for such a thing.
    """
    raise TypeError(f"There is no card of a {type(thing).__name__}.")


def _verdict_rows(verdict: Verdict) -> list[tuple[str, str]]:
    """The rows of a verdict that its head does not say."""
    return [(label, text) for label, text in verdict.rows() if label not in ("run", "health")]


# --- a run ----------------------------------------------------------------------------------------


@html_of.register
def _(monitor: Monitor) -> str:
    status, verdict = monitor.status, monitor.verdict()
    said = [f"{each.headline}: {each.reason}" for each in monitor.advice()[:1]]
    if not verdict.healthy:
        said.append("The curve is the mean of stretches, and leaves the rows of an incident out.")
    head = f"{monitor.run.name}: {status.sentence}"
    return card(head, said, draw=_followed(monitor), rows=_verdict_rows(verdict), tone=tone_of(status))


def _followed(monitor: Monitor) -> Callable[[bool], Any] | None:
    """The curve that the forecast follows, and what it expects; None before there is a curve."""
    if monitor.forecaster is None or len(monitor.forecaster.blocks) < 2:
        return None
    _, at, losses, _ = monitor.forecaster.blocks.arrays()
    made, registered = monitor.forecast(), monitor.registered
    coming = None if made is None or made.step >= made.total_steps else _ahead(made)
    before = None if registered is None else _registered_band(registered)
    pages = [f for f in monitor.verdict().incidents if f.pages and f.phase is not Phase.CLOSED]

    def draw(dark: bool) -> Any:
        frame = Frame("", dark=dark, unit=monitor.run.unit)
        return loss_against_law(at, losses, frame, baseline=before, forecast=coming, findings=pages)

    return draw


def _ahead(forecast: Forecast) -> Band:
    steps = forecast.grid()
    steps = steps[steps >= forecast.step]
    label = f"forecast at step {forecast.step:,}, {percent(LEVEL)} interval"
    return Band(label + ("" if forecast.schedule_known else ", if the rate is held"), steps, *forecast.curve(steps))


def _registered_band(registered: BaselineForecast) -> Band:
    wide: Floats = NORMAL_80 * np.sqrt((registered.factors**2).sum(axis=1))
    mid = registered.losses
    return Band("its law, before the start", registered.steps, mid, mid - wide, mid + wide)


@html_of.register
def _(verdict: Verdict) -> str:
    made = verdict.milestones
    head = f"{verdict.run.name}: {verdict.headline}"

    def draw(dark: bool) -> Any:
        first = next((each for each in made if each.step == 0), None)
        later = [each for each in made if each.step]
        registered = None if first is None else Ending("before the start", 0.0, first.final_loss, first.low, first.high)
        return forecast_history(
            [100 * each.progress for each in later],
            [each.final_loss for each in later],
            [([each.low for each in later], [each.high for each in later])],
            Frame("How the forecast moved, and where the run ended", dark=dark, width=820, unit=verdict.run.unit),
            registered=registered,
            truth=verdict.final_loss,
        )

    return card(head, draw=draw if made else None, rows=_verdict_rows(verdict), tone=tone_of(verdict.status))


# --- a forecast, a prediction ---------------------------------------------------------------------


@html_of.register
def _(forecast: Forecast) -> str:
    low, high = forecast.interval(LEVEL)
    when = f"as of step {forecast.step:,} of {forecast.total_steps:,}" if forecast.step else "before the first step"
    head = f"Ends at {loss_text(forecast.final_loss)} ({percent(LEVEL)} interval {_ends(low, high)}), {when}"
    return card(head, forecast.notes, draw=lambda dark: _drawn(forecast, dark), rows=[("rests on", forecast.laws_text)])


def _ends(low: float, high: float) -> str:
    return f"{loss_text(low)} to {loss_text(high)}"


def _drawn(forecast: Forecast, dark: bool) -> Any:
    steps = forecast.grid()
    band = Band(f"forecast, {percent(LEVEL)} interval", steps, *forecast.curve(steps))
    return way_ahead(band, Frame("", dark=dark), step=forecast.step)


@html_of.register
def _(prediction: RegisteredPrediction) -> str:
    base = prediction.baseline
    ends = f"{percent(LEVEL)} interval {_ends(base.low, base.high)}"
    head = f"{prediction.name}: predicted to end at {loss_text(base.final_loss)} ({ends})"
    rows = [
        (each.name, f"{each.value}; {each.instead} moves it by {each.moves:+.3g}") for each in prediction.assumptions
    ]
    rows.append(("fingerprint", prediction.fingerprint))
    band = _registered_band(base)
    return card(head, prediction.notes, draw=lambda dark: way_ahead(band, Frame("", dark=dark)), rows=rows)


@html_of.register
def _(prediction: Prediction) -> str:
    loss, low, high = (np.atleast_1d(part).ravel() for part in (prediction.loss, prediction.low, prediction.high))
    which = [f"run {place}" for place in range(1, len(loss) + 1)]
    level = percent(prediction.level)
    ends = zip(loss.tolist(), low.tolist(), high.tolist(), strict=True)
    told = [f"{loss_text(mid)} ({level} interval {_ends(a, b)})" for mid, a, b in ends]
    head = f"Predicted loss {told[0]}" if len(told) == 1 else f"Predicted losses of {len(told)} runs"
    said = [*([] if prediction.status.name == "OK" else [prediction.status.value]), *prediction.notes]
    rows = [] if len(told) == 1 else list(zip(which, told, strict=True))[:MOST_TOLD]
    known = bool(np.isfinite(np.concatenate([low, high])).any())

    def draw(dark: bool) -> Any:
        return intervals(loss, low, high, which, Frame("", dark=dark))

    return card(head, said, draw=draw if known else None, rows=rows)


# --- a fit ----------------------------------------------------------------------------------------


@html_of.register
def _(fit: Fit) -> str:  # type: ignore[type-arg]
    law, usable = fit.law, fit.status.usable
    name = fit.family.name if isinstance(fit, PointFit) else law.KIND.replace("_", " ")
    what = "points" if isinstance(fit, PointFit) else "curves or points"
    said = [fit.status.value, *fit.notes]
    rows = [(constant, _with_error(value, fit.standard_errors.get(constant))) for constant, value in _constants(fit)]
    rows += [("left out", sentence) for sentence in fit.left_out]
    rows.append(("source", str(law.publication)))
    tone: Tone = "good" if fit.status.name == "OK" else "bad" if not usable else "plain"
    return card(f"{name}, fitted to {fit.runs} {what}", said, draw=_left_over(fit), rows=rows, tone=tone)


def _constants(fit: Fit[Any]) -> list[tuple[str, float]]:
    return list((fit.values if isinstance(fit, PointFit) else fit.law.numbers).items())


def _with_error(value: float, error: float | None) -> str:
    if error is None:
        return f"{value:.4g}"
    return f"{value:.4g} ± {error:.2g}" if math.isfinite(error) else f"{value:.4g}, not determined"


def _left_over(fit: Fit[Any]) -> Callable[[bool], Any] | None:
    """The picture of a fit that keeps its runs: valleys if the runs lie in such, else what it leaves over."""
    if not isinstance(fit, PointFit):
        return None
    if isinstance(fit.law, Chinchilla):
        return lambda dark: _of_chinchilla(fit, dark)
    return lambda dark: _residuals(fit, dark)


def _of_chinchilla(fit: PointFit[Chinchilla], dark: bool) -> Any:
    from scalewatch.figures.laws import point_chart

    try:
        return point_chart("auto", fit, [], goal=None, dark=dark)
    except ScalewatchError:
        return _residuals(fit, dark)


def _residuals(fit: PointFit[Any], dark: bool) -> Any:
    points = fit.points
    size, tokens, flops = (np.exp(part) for part in (points.log_size, points.log_tokens, points.log_flops))
    title = f"Runs lie {100 * fit.scale:.2g} % off the law (one standard deviation)"
    frame = Frame(title, dark=dark)
    return residuals(
        size, tokens, flops, 100 * fit.residuals, frame, scale_percent=100 * fit.scale, outliers=fit.outliers
    )

"""What is told of a run without a chart: its row in the overview, and its page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from scalewatch.advice import Advice
from scalewatch.finding import Severity
from scalewatch.forecast import Forecast, LawResidual
from scalewatch.plain import to_plain
from scalewatch.status import State
from scalewatch_tensorboard.views.answer import answer_of

if TYPE_CHECKING:
    from scalewatch_tensorboard.runs.run_state import RunState

__all__ = ["page_of", "row_of"]

#: Points of the small picture of a loss.
SPARK_POINTS = 60
#: Findings that a page shows, the newest, and those that page before others.
MOST_FINDINGS = 400
#: Pieces of advice of the past that a page shows.
MOST_ADVICE = 100
#: Knots of the planned learning rates that a page holds.
RATE_POINTS = 200
#: Rows at each end of a run among which its first and its last time are looked for.
ENDS = 200
#: Letters of one note, and notes.
NOTE_LETTERS, MOST_NOTES = 400, 40
#: Share of a run that its loss now is a mean of, and rows at least.
LAST_SHARE, LAST_ROWS = 0.01, 5
#: Part of its plan that a finished run has done.
WHOLE = 0.98

#: What the badge of each state is called in the page.
_LEVELS = {
    State.HEALTHY: "healthy",
    State.IN_TROUBLE: "trouble",
    State.LOST: "lost",
    State.RECOVERED: "past",
    State.CANNOT_TELL: "unknown",
    State.OVER: "over",
}


#: States of a run that a law may be fitted to.
_SOUND = (State.HEALTHY, State.OVER, State.RECOVERED)


def row_of(state: RunState) -> dict[str, Any]:
    """Return the run's row in the overview; made by the thread that follows it, so that a request only picks it up."""
    with state.lock:
        verdict = state.tracker.verdict
        forecast = None if verdict.finished else state.tracker.monitor.forecast()
        open_now = list(state.tracker.monitor.open_incidents)
        total = state.run.total_steps
        # of a run that needs nobody the page asks, when somebody looks at it
        advice = state.tracker.advice if any(f.pages for f in open_now) else []
    columns = state.columns()
    step = int(columns.steps[-1]) if len(columns.steps) else None
    pages_now = [f for f in open_now if f.pages]
    last_loss = _last_loss(columns.losses) if verdict.last_loss is None else verdict.last_loss
    incidents, notes = _counted(state)
    low, high = (None, None) if forecast is None else forecast.interval(0.8)
    return {
        "name": state.name,
        "source": state.source,
        "stage": state.stage,
        "read": round(state.read, 4),
        "rows": len(columns.steps),
        "step": step or 0,
        "total_steps": total,
        "progress": None if total is None else round(min((step or 0) / total, 1.0), 4),
        "level": _LEVELS[verdict.status.state],
        "answer": answer_of(verdict, open_now, advice, forecast, last_loss),
        "headline": _headline(state, verdict.headline),
        "not_measured": list(verdict.not_measured),
        "last_loss": last_loss,
        "final_loss": verdict.final_loss,
        "forecast": None if forecast is None else {"final_loss": forecast.final_loss, "low": low, "high": high},
        "gap": _gap(verdict.law_gap, verdict.gap_ends_at),
        "open_incidents": len(pages_now),
        "incidents": incidents,
        "noted": notes,
        "seconds_last": _unix(state),
        "duration": _duration(columns.seconds),
        "spark": _spark(columns.steps, columns.losses),
        "notes": len(state.notes),
        "ended": _ended(state, verdict.status.state, verdict.final_loss, step or 0),
    }


def _ended(state: RunState, health: State, final_loss: float | None, step: int) -> list[Any] | None:
    """What laws are fitted to, of a run that is whole and healthy and says its size; see `Ended`."""
    run = state.run
    total = run.total_steps
    tokens = run.tokens_at(total or 0)
    if final_loss is None or not total or not tokens or run.parameters is None:
        return None
    if health not in _SOUND or not (step >= WHOLE * total and math.isfinite(final_loss) and final_loss > 0):
        return None
    return [run.parameters, run.non_embedding_parameters, tokens, final_loss, run.learning_rates is not None]


def _counted(state: RunState) -> tuple[int, int]:
    """How many incidents were worth a page, and how many only a note: as the list beside a chart counts them."""
    from scalewatch.charts.incidents import incidents_of

    pages = [each.severity is not Severity.INFO for each in incidents_of(state.findings, (), 0)]
    return sum(pages), len(pages) - sum(pages)


def _headline(state: RunState, headline: str) -> str:
    if state.stage == "failed":
        return next(iter(state.guard.failed.values()), "could not be read")[:NOTE_LETTERS]
    if not state.tracker.rows:
        return "being read" if state.stage == "reading" else "no rows yet"
    return headline


def _last_loss(losses: np.ndarray) -> float | None:
    count = max(round(LAST_SHARE * len(losses)), LAST_ROWS)
    newest = losses[-count:]
    newest = newest[np.isfinite(newest)]
    return float(newest.mean(dtype=np.float64)) if len(newest) else None


def _gap(gap: LawResidual | None, ends_at: int | None) -> dict[str, Any] | None:
    """The distance to the law; rows of an incident do not count for it, so with one open it is from before."""
    if gap is None:
        return None
    low, high = gap.token_range or (None, None)
    return {
        "nats": gap.nats,
        "percent": gap.percent,
        "tokens_ratio": gap.token_ratio,
        "tokens_ratio_low": low,
        "tokens_ratio_high": high,
        "before_step": ends_at,
        "short": gap.short(),
        "sentence": gap.text() if ends_at is None else f"Before the incident at step {ends_at:,}: {gap.text()}",
    }


def _unix(state: RunState) -> float | None:
    """When the log was last written to, since 1970 [s]."""
    newest = max((changed for _, _, changed in state.reading.identity), default=None)
    return None if newest is None else round(newest / 1e9, 1)


def _duration(seconds: np.ndarray) -> float | None:
    """How long the rows took [s]; of a long run only its ends are looked at."""
    ends = [part[np.isfinite(part)] for part in (seconds[:ENDS], seconds[-ENDS:])]
    return round(float(ends[1][-1]) - float(ends[0][0]), 1) if all(map(len, ends)) else None


def _spark(steps: np.ndarray, losses: np.ndarray) -> list[list[float]]:
    """Few points of the loss: the middle of each stretch, and its greatest where that stands out."""
    some = np.isfinite(losses)
    if not some.all():
        steps, losses = steps[some], losses[some]
    if not len(losses):
        return []
    stretches = min(SPARK_POINTS, len(losses))
    edges = np.linspace(0, len(losses), stretches + 1).astype(int)
    means = np.add.reduceat(losses.astype(np.float64), edges[:-1]) / np.diff(edges)
    middles = steps[(edges[:-1] + edges[1:] - 1) // 2]
    return [[int(step), float(f"{mean:.5g}")] for step, mean in zip(middles, means, strict=True)]


def page_of(state: RunState) -> dict[str, Any]:
    """Return everything of a run that is not a chart."""
    with state.lock:
        forecast = state.tracker.forecast
        advice = state.tracker.advice
        open_incidents = list(state.tracker.monitor.open_incidents)
        suspended = state.tracker.no_forecast
        row = row_of(state)
        answer = answer_of(state.tracker.verdict, open_incidents, advice, forecast, row["last_loss"])
    registered = state.registered
    findings = state.findings
    if len(findings) > MOST_FINDINGS:
        pages = [n for n, f in enumerate(findings) if f.pages][-MOST_FINDINGS // 2 :]
        kept = sorted({*pages, *range(len(findings) - MOST_FINDINGS // 2, len(findings))})
    else:
        kept = list(range(len(findings)))
    return row | {
        "answer": answer,
        "no_forecast": suspended,
        "planned": _planned(state),
        "columns": state.origin.columns,
        "notes": [note[:NOTE_LETTERS] for note in state.notes[:MOST_NOTES]],
        "findings": [to_plain(findings[n]) | {"index": n} for n in kept],
        "findings_left_out": len(findings) - len(kept),
        "open": to_plain(open_incidents),
        "advice": _advice(advice, state.tracker.advised),
        "forecast": _forecast(forecast),
        "registered": None
        if registered is None
        else {
            "final_loss": registered.final_loss,
            "low": registered.low,
            "high": registered.high,
            "total_steps": registered.total_steps,
        },
        "detectors": state.detectors(),
        "axes": state.axes,
    }


def _planned(state: RunState) -> dict[str, Any]:
    run = state.run
    rates = run.learning_rates
    knots: list[list[float]] | None = None
    if rates is not None:
        at = np.unique(np.linspace(1, len(rates), min(RATE_POINTS, len(rates))).round().astype(int))
        knots = [[int(step), float(f"{rates[step - 1]:.6g}")] for step in at]
    return {
        "total_steps": run.total_steps,
        "parameters": run.parameters,
        "non_embedding_parameters": run.non_embedding_parameters,
        "tokens_per_step": run.tokens_per_step,
        "learning_rates": knots,
    }


def _advice(now: list[Advice], before: list[Advice]) -> list[dict[str, Any]]:
    current = [to_plain(advice) | {"current": True} for advice in now]
    known = {(a.action, a.reason) for a in now}
    past = [a for a in reversed(before) if (a.action, a.reason) not in known]
    return current + [to_plain(advice) | {"current": False} for advice in past[:MOST_ADVICE]]


def _forecast(forecast: Forecast | None) -> dict[str, Any] | None:
    if forecast is None:
        return None
    low, high = forecast.interval(0.8)
    return {
        "step": forecast.step,
        "total_steps": forecast.total_steps,
        "final_loss": forecast.final_loss,
        "low": low,
        "high": high,
        "intervals": {str(round(100 * level)): forecast.interval(level) for level in (0.5, 0.8, 0.95)},
        "notes": list(forecast.notes),
        "schedule_known": forecast.schedule_known,
        "laws": forecast.weights,
    }

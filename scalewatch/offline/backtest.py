"""What would have been said of a run's end at any part of its log, and how it ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, final

from scalewatch.forecast import Forecast, Forecaster
from scalewatch.forecast.validity import disagreement, validity_warnings
from scalewatch.forecast.verdict import Verdict
from scalewatch.monitor import Monitor
from scalewatch.offline.replayed import baseline_of, law_used
from scalewatch.tracker import Tracker

if TYPE_CHECKING:
    from scalewatch.advice import Advice
    from scalewatch.columns import Columns
    from scalewatch.finding import Finding
    from scalewatch.offline.history import AssumedSchedule, RunHistory
    from scalewatch.offline.replayed import Settings

__all__ = ["Backtest", "BacktestRow", "backtest"]


@final
@dataclass(frozen=True, slots=True)
class BacktestRow:
    """What was said at one part of a run.

    Attributes:
        part: of the plan. step: newest step. loss: mean of its newest stretch, NaN before the first.
        forecast: None if nothing could be said. forecaster: as it stood there.
        validity_warnings: what spoke against the forecast; void: whether no law holds at all. open: incidents.
        advice: what would have been advised; only about what was wrong where no law holds or the length is a guess.
    """

    part: float
    step: int
    loss: float
    forecast: Forecast | None
    forecaster: Forecaster | None
    validity_warnings: tuple[str, ...]
    void: bool
    open: tuple[Finding, ...]
    advice: tuple[Advice, ...]


@final
@dataclass(frozen=True, slots=True)
class Backtest:
    """What was said at each part that was asked for and that the log reaches, and the verdict at its end."""

    rows: Sequence[BacktestRow]
    verdict: Verdict

    @property
    def final_loss(self) -> float | None:
        """The loss that the run ended at [nats/token], as each screen has it; None if the log ends before 98 %."""
        return self.verdict.end_loss


def backtest(past: RunHistory, plan: AssumedSchedule, settings: Settings, parts: Sequence[float]) -> Backtest:
    """Return what would have been said at each of `parts`, rising, from the rows up to there and the planned rates."""
    run, total = plan.run, plan.run.total_steps or 1
    law = law_used(settings, past.law)
    tracker = Tracker(
        Monitor(run, law=law, registered=baseline_of(settings, past.registered, run), **asdict(settings.goals))
    )
    alone = None if law is None else Forecaster(run)
    guessed = settings.total_steps is None and past.known.total_steps is None
    looked: list[BacktestRow] = []
    row, rows = 0, len(past.steps)
    for part in parts:
        if past.last_step < part * total - 0.5:
            break
        first = row
        while row < rows and past.steps[row] <= part * total:
            row += 1
        _follow(past.columns(first, row), tracker, alone)
        step = past.steps[row - 1] if row else 0
        looked.append(_row(tracker, alone, part, step, guessed=guessed))
    tracker.observe_many(past.columns(row, rows))
    return Backtest(tuple(looked), tracker.verdict)


def _follow(rows: Columns, tracker: Tracker, alone: Forecaster | None) -> None:
    """Show rows to the monitor and, where a law is held against the run's own curve, to what forecasts without it."""
    if alone is None:
        tracker.observe_many(rows)
        return
    for row in rows.rows():
        found = tracker.observe(row)
        if row.loss > 0 and math.isfinite(row.loss):
            alone.observe(row.step, row.loss, row.learning_rate, clean=not found)


def _row(tracker: Tracker, alone: Forecaster | None, part: float, step: int, *, guessed: bool) -> BacktestRow:
    monitor = tracker.monitor
    made, incidents = monitor.forecast(), tuple(monitor.open_incidents)
    forecaster = None if monitor.forecaster is None else monitor.forecaster.frozen()
    warnings = []
    if forecaster is not None:
        warnings = validity_warnings(forecaster.blocks, forecaster.run.total_steps, monitor.why_no_forecast())
    against = [warning.text for warning in warnings]
    against += [f"An incident is open: {finding.message}." for finding in incidents if finding.pages]
    own = None if alone is None else alone.forecast()
    if made is not None and own is not None:
        against += [text for text in (disagreement(made, own),) if text]
    last = tracker.verdict.stretch_loss
    if last is None:
        last = math.nan if tracker.newest is None else tracker.newest.loss
    void = any(warning.void for warning in warnings)
    wrong = any(finding.pages for finding in incidents)
    advice = tuple(tracker.advice) if wrong or not (void or guessed) else ()
    return BacktestRow(part, step, last, made, forecaster, tuple(against), void, incidents, advice)

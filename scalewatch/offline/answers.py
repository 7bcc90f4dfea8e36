"""What is answered about logs, as plain values for JSON: the form of each answer, and how it is made.

`scalewatch.json_schema` makes a schema of these types, and `docs/json.md` a table; what a field means stands behind its
type, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NotRequired, TypedDict

from scalewatch.advice import Advice, EvidenceGrade
from scalewatch.finding import Finding
from scalewatch.plain import to_plain
from scalewatch.status import State

if TYPE_CHECKING:
    from scalewatch.advising.context import Goals
    from scalewatch.forecast.counterfactual import Outcome, Position
    from scalewatch.logs import Opened
    from scalewatch.offline.backtest import BacktestRow
    from scalewatch.offline.history import AssumedSchedule, RunHistory
    from scalewatch.offline.replayed import ReplayedRun

__all__ = [
    "LEVELS",
    "ForecastAnswer",
    "ReplayAnswer",
    "RunAnswer",
    "WhatifAnswer",
    "chances",
    "forecast_answer",
    "replay_answer",
    "whatif_answer",
]

#: Levels of the intervals of a forecast.
LEVELS = (0.5, 0.8, 0.95)


class ForecastEnd(TypedDict):
    """Where a run is forecast to end."""

    final_loss: Annotated[float | None, "Middle of the final loss, in the unit of the loss."]
    low: Annotated[float | None, "Lower end of its 80 % interval."]
    high: Annotated[float | None, "Upper end of its 80 % interval."]


class RunAnswer(TypedDict):
    """One run, as the monitor saw it to the end of its log."""

    run: Annotated[str, "What it is called."]
    path: Annotated[str, "Its log."]
    healthy: Annotated[bool, "Whether nothing was found that is worth waking someone."]
    verdict: Annotated[str, "Its state as a sentence, the one that every screen shows."]
    state: Annotated[State, "Its state, one of six words."]
    since: Annotated[int | None, "Step since which it is in that state; null where there is none."]
    not_measured: Annotated[list[str], "What was never logged, so that nothing is said of it."]
    loss_unit: Annotated[str | None, "Unit of the loss, such as nats; null where nobody knows it."]
    rows: Annotated[int, "Rows that were read."]
    step: Annotated[int, "Newest step."]
    total_steps: Annotated[int | None, "Planned steps; null where the log does not say."]
    finished: Annotated[bool, "Whether the planned end was reached."]
    pages: Annotated[int, "Findings worth waking someone, warning or critical."]
    first_page_step: Annotated[int | None, "Step of the first of them."]
    incidents: Annotated[dict[str, int], "How many incidents there were, by kind."]
    final_loss: Annotated[float | None, "Loss at the end; null before it."]
    loss: Annotated[float | None, "Loss now: the final one of a run that has ended, else the mean of its newest rows."]
    forecast: Annotated[ForecastEnd | None, "Where it will end; null where nothing is said."]
    no_forecast: Annotated[str | None, "Why nothing is said."]
    findings: Annotated[list[Finding], "What was found, oldest first."]
    findings_dropped: Annotated[int, "Findings beyond those that are kept."]
    advice: Annotated[list[Advice], "What to do now, the most urgent first."]
    columns: Annotated[dict[str, str], "Field of an observation -> column of the log that was taken for it."]
    notes: Annotated[list[str], "What is to be said of how the log was read."]


class UnreadableFile(TypedDict):
    """A file that could not be read."""

    path: Annotated[str, "The file."]
    reason: Annotated[str, "Why, a sentence."]


class ReplayAnswer(TypedDict):
    """Runs under the monitor, the one in the worst state first."""

    exit_code: Annotated[int, "0 healthy, 1 findings, 2 unreadable."]
    runs: Annotated[list[RunAnswer], "The runs."]
    unreadable: Annotated[list[UnreadableFile], "Files that could not be read."]
    passed_over: Annotated[list[str], "Files that are no logs, with the reason of each."]


class ForecastRow(TypedDict):
    """What would have been said at one part of a run."""

    at: Annotated[float, "Part of the plan, in (0, 1]."]
    step: Annotated[int, "Newest step there."]
    validity_warnings: Annotated[list[str], "What spoke against the forecast."]
    final_loss: NotRequired[Annotated[float, "Middle of the final loss."]]
    notes: NotRequired[Annotated[list[str], "What it rests on."]]
    void: NotRequired[Annotated[bool, "Whether no law of loss curves held, so that it is worth nothing."]]
    intervals: NotRequired[Annotated[dict[str, tuple[float, float]], "Level, such as 0.8 -> low and high."]]
    laws: NotRequired[Annotated[dict[str, float], "Law -> its weight in the forecast."]]
    surprise: NotRequired[Annotated[float, "How many times wider the interval is made by earlier misses."]]
    chances: NotRequired[Annotated[dict[str, float], "target, incumbent -> probability of ending below it."]]
    advice: Annotated[list[Advice], "What would have been advised."]


class ForecastAnswer(TypedDict):
    """Where a run would have been said to end, at each tenth of it, and how it ended."""

    run: Annotated[str, "What it is called."]
    total_steps: Annotated[int | None, "Planned steps."]
    final_loss: Annotated[float | None, "Loss that it ended at; null if the log ends before."]
    forecasts: Annotated[list[ForecastRow], "One for each part, rising."]
    notes: Annotated[list[str], "What was assumed of the plan and of the log."]


class ScheduleOutcome(TypedDict):
    """Where one schedule for the rest of a run would end."""

    schedule: Annotated[str, "Its name."]
    total_steps: Annotated[int, "Steps of the run with it."]
    tokens: Annotated[float | None, "Tokens of the run with it; null where nobody knows."]
    final_loss: Annotated[float, "Middle of the final loss."]
    interval: Annotated[tuple[float, float], "Its interval, low and high."]
    difference: Annotated[float, "Final loss less that of the plan."]
    difference_interval: Annotated[tuple[float, float], "Interval of that; errors that both share cancel."]
    evidence_grade: Annotated[EvidenceGrade, "How good the evidence is."]


class WhatifAnswer(TypedDict):
    """The plan of a run, first, and other schedules for its rest."""

    run: Annotated[str, "What it is called."]
    step: Annotated[int, "Step from which on they differ."]
    total_steps: Annotated[int, "Planned steps."]
    level: Annotated[float, "Of the intervals."]
    schedules: Annotated[list[ScheduleOutcome], "The plan and the others."]
    notes: Annotated[list[str], "What speaks against them, and what was assumed."]


def replay_answer(watched: Iterable[ReplayedRun], opened: Opened, code: int) -> dict[str, Any]:
    """Return what `scalewatch replay --json` prints: runs under the monitor, as a `ReplayAnswer`."""
    from scalewatch.offline.replayed import summary

    return {
        "exit_code": code,
        "runs": [summary(run) for run in watched],
        "unreadable": [{"path": str(no.path), "reason": no.reason} for no in opened.unreadable],
        "passed_over": opened.passed_over,
    }


def forecast_answer(
    past: RunHistory, plan: AssumedSchedule, looked: Sequence[BacktestRow], truth: float | None, goals: Goals
) -> dict[str, Any]:
    """Return what would have been said of a run's end at each part of it, as a `ForecastAnswer`."""
    rows = []
    for each in looked:
        made = each.forecast
        row: dict[str, Any] = {"at": each.part, "step": each.step, "validity_warnings": list(each.validity_warnings)}
        if made is not None:
            row |= {"final_loss": made.final_loss, "notes": list(made.notes), "void": each.void}
            row |= {"intervals": {f"{level:g}": list(made.interval(level)) for level in LEVELS}}
            row |= {"laws": dict(made.weights), "surprise": made.surprise}
            row |= {"chances": chances(each, goals)} if goals.bar else {}
        rows.append({**row, "advice": to_plain(each.advice)})
    return {
        "run": past.name,
        "total_steps": plan.run.total_steps,
        "final_loss": truth,
        "forecasts": rows,
        "notes": [*plan.told, *past.told],
    }


def chances(chosen: BacktestRow, goals: Goals) -> Mapping[str, float]:
    """Return the probabilities of ending below what is wanted of the run: "target", "incumbent" -> probability."""
    if chosen.forecast is None or chosen.void:
        return {}
    bars = {"target": goals.target_loss, "incumbent": goals.incumbent_loss}
    return {name: chosen.forecast.probability_below(bar) for name, bar in bars.items() if bar is not None}


def whatif_answer(name: str, now: Position, outcomes: Iterable[Outcome], notes: Iterable[str]) -> dict[str, Any]:
    """Return the plan of a run and other schedules for its rest, as a `WhatifAnswer`."""
    rows = [
        {
            "schedule": each.name,
            "total_steps": each.total_steps,
            "tokens": each.tokens,
            "final_loss": each.final_loss,
            "interval": list(each.interval(0.8)),
            "difference": each.difference,
            "difference_interval": list(each.difference_interval(0.8)),
            "evidence_grade": str(each.evidence_grade),
        }
        for each in outcomes
    ]
    answer = {"run": name, "step": now.step, "total_steps": now.total_steps, "level": 0.8, "schedules": rows}
    return answer | {"notes": list(dict.fromkeys(notes))}

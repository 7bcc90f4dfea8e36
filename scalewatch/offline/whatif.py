"""What a run would end at with other schedules for its rest, from its log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, final

from scalewatch.errors import ConfigError, LogError
from scalewatch.forecast import Forecaster
from scalewatch.forecast.candidate_schedules import CandidateSchedule
from scalewatch.forecast.counterfactual import Outcome, Position, position, what_if
from scalewatch.logs import AbstractLog
from scalewatch.offline.backtest import backtest
from scalewatch.offline.history import planned, read
from scalewatch.offline.replayed import Settings
from scalewatch.text import percent

__all__ = ["ComparedSchedules", "compare_schedules"]


@final
class ComparedSchedules(NamedTuple):
    """Schedules for the rest of a run.

    Attributes:
        run: what it is called. now: where it stands. outcomes: of the plan, first, and of the others.
        notes: what speaks against them, and what was assumed.
    """

    run: str
    now: Position
    outcomes: Sequence[Outcome]
    notes: Sequence[str]


def compare_schedules(
    log: AbstractLog,
    settings: Settings,
    candidates: Callable[[Position], list[CandidateSchedule]],
    *,
    at: float | None = None,
    unit: str | None = None,
    schedule: str | None = None,
) -> ComparedSchedules:
    """Return where the plan of a run and other schedules for its rest would end.

    Args:
        log: of the run, unread. candidates: the other schedules, from where it stands. at: part of the run to look
            back to, in (0, 1); None for the log's end. unit, schedule: of the loss and the rates, where the log does
            not say.

    Raises:
        ConfigError: if the log ends before `at`, the run is over, or its planned length is unknown.
        LogError: if nothing can be said of its end, or there is nothing left to schedule.
    """
    past = read(log, unit)
    plan = planned(past, settings, schedule)
    total = plan.run.total_steps or past.last_step
    part = at if at is not None else past.last_step / total
    rows = backtest(past, plan, settings, [part]).rows
    if not rows:
        raise ConfigError(
            f"The log ends at {percent(past.last_step / total)} of the plan: choose an `--at` up to that."
        )
    forecaster = rows[0].forecaster
    now = None if forecaster is None else position(forecaster)
    if not isinstance(forecaster, Forecaster) or now is None:
        raise ConfigError("The run is over or has no planned length: say --total-steps N, or look back with --at 0.5.")
    if rows[0].void:
        why = rows[0].validity_warnings[0]
        raise LogError(f"{log.path}: nothing can be said of other schedules at step {now.step:,}. {why}")
    if rows[0].forecast is None:
        raise LogError(f"{log.path}: nothing can be said at step {now.step:,}: too few rows past the warm-up.")
    if not now.rate > 0:
        raise LogError(f"{log.path}: the rate at step {now.step:,} is zero: there is nothing left to schedule.")
    outcomes = what_if(forecaster, candidates(now))
    notes = [*rows[0].validity_warnings, *(note for each in outcomes for note in each.notes)]
    notes += [*now.caveats("--schedule NAME"), *rows[0].forecast.notes, *plan.told, *past.told]
    return ComparedSchedules(past.name, now, outcomes, notes)

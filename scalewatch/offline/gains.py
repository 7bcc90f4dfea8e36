"""Two recipes, each a ladder or a log: how much of A's compute B needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from scalewatch.advising.gain import ComputeGain, gain_of_curves, gain_of_ladders
from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError, FitError, LogError
from scalewatch.fitting.outcomes.axes import Outcomes
from scalewatch.fitting.outcomes.contest import compete
from scalewatch.forecast import Forecast, Forecaster
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN
from scalewatch.logs import AbstractLog
from scalewatch.offline.assumed_schedule import WHOLE
from scalewatch.offline.curve_tables import has_curves
from scalewatch.offline.finished_runs import SIZE_ROLES
from scalewatch.offline.history import planned, read
from scalewatch.offline.ladder_runs import SAME, SIZE, TOKENS, check_on_ladder, ladder_runs
from scalewatch.offline.replayed import Settings
from scalewatch.offline.run_folders import read_runs
from scalewatch.offline.tables import Table, is_table, named_columns, read_table
from scalewatch.run import Run

__all__ = ["Gains", "gains_of_ladders", "gains_of_logs", "ladder_at"]

#: Parts of A's ladder, by compute, whose nearest run B is held against.
PARTS = (0.0, 0.5, 1.0)


@final
@dataclass(frozen=True, slots=True)
class Gains:
    """What B needs of A's compute.

    Attributes:
        a, b: where they are from. unit: what compute counts, "FLOP", "tokens" or "steps".
        points: at which losses of A, the least compute first; the last is what counts. notes: a sentence each.
    """

    a: str
    b: str
    unit: str
    points: tuple[ComputeGain, ...]
    notes: tuple[str, ...]


def ladder_at(path: Path, overrides: Mapping[str, str]) -> Table | None:
    """Return the table of finished runs that a file is, or that a folder of several runs makes; None of one log."""
    if path.is_dir():
        try:
            ends = read_runs(path, overrides).ends
        except FitError:
            return None
        return ends if len(ends) > 1 and any(role in ends.columns for role in SIZE_ROLES) else None
    if not path.is_file() or not is_table(path):
        return None
    table = read_table(path, overrides.values())
    roles = named_columns(table, dict(overrides))
    of_steps = "step" in roles and not any(role in roles for role in (*SIZE_ROLES, "flops"))
    return None if of_steps or has_curves(table, dict(overrides)) else table


def gains_of_ladders(
    a: Table, b: Table, overrides: Mapping[str, str], at: tuple[float, float] | None = None, level: float = 0.8
) -> Gains:
    """Return what B needs of A's compute at the cheapest, the middle and the dearest run of A, or at one point.

    Args:
        a, b: finished runs with parameters, tokens and loss. overrides: role -> column, as `--column` says.
        at: parameters and tokens, count, of the run to ask about; None for runs of A. level: of the intervals.

    Raises:
        FitError: if a table varies in more than size and tokens, or carries no law. ConfigError: of a wrong option.
    """
    (of_a, told_a), (of_b, told_b) = (_ladder(table, overrides) for table in (a, b))
    points = [at] if at is not None else _points(of_a.columns[SIZE], of_a.columns[TOKENS])
    for runs in (of_a, of_b):
        for point in points:
            check_on_ladder(runs, *point)
    asked = dict(zip((SIZE, TOKENS), np.array(points).T, strict=True))
    contests = compete(of_a, asked), compete(of_b, asked)
    found = tuple(gain_of_ladders(*contests, (SIZE, TOKENS), point, level) for point in points)
    return Gains(a.source, b.source, "FLOP", found, (*told_a, *told_b))


def gains_of_logs(a: AbstractLog, b: AbstractLog, settings: Settings, schedule: str | None, unit: str | None) -> Gains:
    """Return what B needs of A's compute to end where A ends, or is forecast to end.

    Args:
        a, b: logs of a run each. settings: how they are read. schedule, unit: as `scalewatch forecast` takes them.

    Raises:
        LogError: if one cannot be read, or nothing can be forecast of it. ConfigError: if their losses have two units.
    """
    (run_a, made_a, told_a), (run_b, made_b, told_b) = (_ended(log, settings, schedule, unit) for log in (a, b))
    if run_a.loss_unit and run_b.loss_unit and run_a.loss_unit != run_b.loss_unit:
        raise ConfigError(f"The losses have two units, {run_a.loss_unit} and {run_b.loss_unit}: no gain can be told.")
    counted, of_a, of_b = _compute(run_a, run_b)
    notes = [*told_a, *told_b]
    if counted != "FLOP":
        what = "sizes" if counted == "tokens" else "sizes and tokens of a step"
        notes.append(f"The logs do not both say the {what} of their runs: compute is counted in {counted}.")
    point = gain_of_curves(made_a, made_b, of_b / of_a, of_a)
    return Gains(run_a.name, run_b.name, counted, (point,), tuple(dict.fromkeys(notes)))


def _ladder(table: Table, overrides: Mapping[str, str]) -> tuple[Outcomes, list[str]]:
    runs, _, notes = ladder_runs(table, overrides)
    for name, what in ((SIZE, "parameters"), (TOKENS, "tokens")):
        if np.ptp(np.log(runs.columns[name])) < SAME:
            raise FitError(
                f"{table.source}: all runs have equally many {what}, and B is asked about more and less compute with "
                "as many tokens a parameter as A: add runs of others."
            )
    return runs, notes


def _points(sizes: Floats, tokens: Floats) -> list[tuple[float, float]]:
    """Size and tokens of the runs nearest to some parts of the way from the least compute to the most."""
    flops = np.log(sizes * tokens)
    near = [int(np.argmin(np.abs(flops - (flops.min() + part * np.ptp(flops))))) for part in PARTS]
    return [(float(sizes[row]), float(tokens[row])) for row in dict.fromkeys(near)]


def _ended(
    log: AbstractLog, settings: Settings, schedule: str | None, unit: str | None
) -> tuple[Run, Forecast, list[str]]:
    past = read(log, unit)
    plan = planned(past, settings, schedule)
    forecaster = Forecaster(plan.run)
    for row in range(len(past.steps)):
        seen = past.observation(row)
        if math.isfinite(seen.loss):
            forecaster.observe(seen.step, seen.loss, seen.learning_rate)
    made = forecaster.forecast()
    if made is None:
        why = forecaster.why_none or "its log is too short, or its curve is none that a law describes"
        raise LogError(f"{past.name}: no gain can be told of it: {why}.")
    notes = [f"{past.name}: {text}" for text in (*past.told, *plan.told)]
    if past.last_step < WHOLE * (plan.run.total_steps or 1):
        notes.append(f"{past.name} is at step {past.last_step:,} of {plan.run.total_steps:,}: its end is a forecast.")
    return plan.run, made, notes


def _compute(a: Run, b: Run) -> tuple[str, float, float]:
    """What is counted of two runs, and how much of it each has."""
    tokens = [None if run.tokens_per_step is None else run.tokens_per_step * (run.total_steps or 1) for run in (a, b)]
    sizes = [run.parameters or run.non_embedding_parameters for run in (a, b)]
    if tokens[0] is None or tokens[1] is None:
        return "steps", float(a.total_steps or 1), float(b.total_steps or 1)
    if not sizes[0] or not sizes[1]:
        return "tokens", tokens[0], tokens[1]
    return "FLOP", FLOPS_PER_PARAMETER_TOKEN * sizes[0] * tokens[0], FLOPS_PER_PARAMETER_TOKEN * sizes[1] * tokens[1]

"""A ladder and the run it is for: what it says of that run now, and which run to train next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from scalewatch.errors import ConfigError, FitError
from scalewatch.fitting.outcomes.axes import Axes
from scalewatch.fitting.outcomes.contest import compete
from scalewatch.fitting.outcomes.next_run import NextRun, next_runs
from scalewatch.offline.foretelling import LEVEL
from scalewatch.offline.outcome_tables import inputs_of, loss_columns, numbers_of
from scalewatch.offline.tables import Table

__all__ = ["Ladder", "ladder_of"]

#: Part of what the budget can reach that the run which is named reaches at least. By hand.
ENOUGH = 0.5


@final
@dataclass(frozen=True, slots=True)
class Ladder:
    """What a ladder says of its target, and what to train next.

    Attributes:
        loss: name of its column. runs: so far. prediction: of the target. low, high: its interval.
        level: of that, in (0, 1).
        laws: name -> weight. choices: runs of which none is cheaper and makes the target surer, cheapest first.
        best: of these, surest for its compute among those that reach half of what the budget can; None without one.
    """

    loss: str
    runs: int
    prediction: float
    low: float
    high: float
    level: float
    laws: dict[str, float]
    choices: tuple[NextRun, ...]
    best: NextRun | None


def ladder_of(
    table: Table, parameters: float, tokens: float, budget: float, overrides: Mapping[str, str] | None = None
) -> Ladder:
    """Return what the runs of a table say of a target, and which run to train next.

    Args:
        table: finished runs. parameters, tokens: of the target, count. budget: most compute of the next run [FLOP].
        overrides: `{"loss": name}` where the name of the column does not say so.

    Raises:
        FitError: if the table has no column of size, tokens or loss, more than these, or carries no law.
        ConfigError: if an override is wrong.
    """
    losses = loss_columns(table, overrides or {})
    if len(losses) > 1:
        raise ConfigError(f"{table.source} has several losses ({', '.join(losses)}): say which, --column loss=NAME.")
    inputs = inputs_of(table, losses)
    runs = inputs.outcomes(numbers_of(table, losses[0]))
    if not len(runs):
        raise FitError(f"{table.source}: no row has a number in each column and in '{losses[0]}'.")
    axes = Axes.of(runs)
    column = {axis.key: axis.column for axis in axes.axes}
    if set(column) != {"size", "tokens"}:
        raise FitError(
            f"{table.source}: a ladder varies in size and tokens alone, this one in {', '.join(column.values())}: "
            "take rows that share the rest with --where, and drop the other columns."
        )
    target = {column["size"]: parameters, column["tokens"]: tokens}
    asked = {name: np.array([value]) for name, value in target.items()}
    contest = compete(runs, asked)
    told = contest.predict(asked, level=LEVEL)
    choices = next_runs(contest, runs, target, budget)
    low, high = float(told.low[0]), float(told.high[0])
    return Ladder(losses[0], len(runs), float(told.loss[0]), low, high, LEVEL, contest.weights, choices, _best(choices))


def _best(choices: tuple[NextRun, ...]) -> NextRun | None:
    surest = min((run.sd for run in choices), default=math.inf)
    enough = [run for run in choices if run.sd < 1 and 1 - run.sd >= ENOUGH * (1 - surest)]
    return max(enough, key=lambda run: (1 - run.sd) / run.flops, default=None)

"""A ladder and the run it is for: what it says of that run now, and which run to train next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from scalewatch.fitting.outcomes.contest import compete
from scalewatch.fitting.outcomes.next_run import NextRun, next_runs
from scalewatch.offline.foretelling import LEVEL
from scalewatch.offline.ladder_runs import SIZE, TOKENS, check_on_ladder, ladder_runs
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
        notes: how the table was read, a sentence each.
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
    notes: tuple[str, ...]


def ladder_of(
    table: Table, parameters: float, tokens: float, budget: float, overrides: Mapping[str, str] | None = None
) -> Ladder:
    """Return what the runs of a table say of a target, and which run to train next.

    Args:
        table: finished runs. parameters, tokens: of the target, count. budget: most compute of the next run [FLOP].
        overrides: role -> column, as `--column` says.

    Raises:
        FitError: if the table has no column of size, tokens or loss, varies in more, says nothing of the target, or
            carries no law.
        ConfigError: if an override is wrong.
    """
    runs, loss, notes = ladder_runs(table, overrides or {})
    check_on_ladder(runs, parameters, tokens)
    target = {SIZE: parameters, TOKENS: tokens}
    asked = {name: np.array([value]) for name, value in target.items()}
    contest = compete(runs, asked)
    told = contest.predict(asked, level=LEVEL)
    choices = next_runs(contest, runs, (SIZE, TOKENS), target, budget)
    low, high = float(told.low[0]), float(told.high[0])
    return Ladder(
        *(loss, len(runs), float(told.loss[0]), low, high, LEVEL),
        *(contest.weights, choices, _best(choices), tuple(notes)),
    )


def _best(choices: tuple[NextRun, ...]) -> NextRun | None:
    surest = min((run.sd for run in choices), default=math.inf)
    enough = [run for run in choices if run.sd < 1 and 1 - run.sd >= ENOUGH * (1 - surest)]
    return max(enough, key=lambda run: (1 - run.sd) / run.flops, default=None)

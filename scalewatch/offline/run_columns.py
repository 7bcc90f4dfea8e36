"""What columns of a table of runs say beside each run's size, tokens and loss: its budget, and what is one run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN
from scalewatch.offline.tables import Table

__all__ = ["named_budgets", "saved_at_intervals", "tokens_of_epochs"]

#: Factor between a named budget and 6 N D from which it is no budget of these runs. By hand.
BUDGET_DIFFERS = 3.0
#: Rows of one size from which they can be checkpoints of one run; how far [part] the tokens between two of them may
#: differ, and for what part of them that must hold. By hand.
CHECKPOINTS, INTERVAL, MOSTLY = 8, 0.05, 0.8


def named_budgets(
    table: Table, roles: dict[str, str], size: Floats, tokens: Floats, keep: NDArray[np.int64], notes: list[str]
) -> Floats | None:
    """Return the budgets that a column names, None if it names none, or what it holds is no compute of these runs."""
    if "budget" not in roles:
        return None
    budgets = table.numbers(roles["budget"])[keep]
    with np.errstate(all="ignore"):
        factors = budgets / (FLOPS_PER_PARAMETER_TOKEN * size[keep] * tokens[keep])
    factor = float(np.median(factors)) if len(factors) else np.nan
    if not np.all(budgets > 0) or not 1 / BUDGET_DIFFERS < factor < BUDGET_DIFFERS:
        notes.append(
            f"{table.source}: column '{roles['budget']}' is no compute of these runs (6 x parameters x tokens), and is "
            "left out."
        )
        return None
    return budgets


def saved_at_intervals(size: Floats, tokens: Floats) -> list[str]:
    """Return a label of each row by its size, if rows of each size are saved at equal distances; else nothing."""
    labels = [f"{each:.6g}" for each in size.tolist()]
    groups = [np.flatnonzero(np.array(labels) == label) for label in dict.fromkeys(labels)]
    for rows in groups:
        steps = np.diff(np.sort(tokens[rows]))
        if len(rows) < CHECKPOINTS or not np.all(np.isfinite(steps)):
            return []
        middle = float(np.median(steps))
        if np.mean(np.abs(steps - middle) <= INTERVAL * middle) < MOSTLY:
            return []
    return labels


def tokens_of_epochs(table: Table, roles: dict[str, str]) -> Floats | None:
    """Return the tokens that runs saw, different ones times epochs, shape (n,); None without columns of both."""
    if "epochs" not in roles or "unique_tokens" not in roles:
        return None
    return np.asarray(table.numbers(roles["unique_tokens"]) * table.numbers(roles["epochs"]))

"""Runs that differ in what the points to foretell do not say: a rate that was tuned, a half of the data, a recipe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.outcomes.axes import role_of
from scalewatch.objective import words_of
from scalewatch.offline.listed import few, how_many
from scalewatch.offline.outcome_tables import Inputs, numbers_of
from scalewatch.offline.tables import Table
from scalewatch.text import percent

__all__ = ["best_tuned", "check_one_outcome"]

#: Words of the name of what is tuned for a run, beside its learning rate and its batch.
_TUNED = frozenset(
    {"wd", "decay", "warmup", "dropout", "beta1", "beta2", "betas", "momentum", "eps", "epsilon", "clip", "init"}
)
#: Difference of ln(loss) by what points do not say that is too much to foretell one of both. By hand.
LEAST_APART = 0.01
#: Pairs of runs alike in all else that it takes to see that. By hand.
LEAST_PAIRS = 3


def best_tuned(
    table: Table, inputs: Inputs, missing: Sequence[str], losses: Sequence[str]
) -> tuple[Table, Inputs, list[str]]:
    """Return the best of the runs that differ in nothing but what was tuned, where the points do not say that.

    A run to come is tuned too, and the mean over a sweep of rates is the loss of none.

    Args:
        table: of finished runs. inputs: of them. missing: inputs that points lack. losses: columns; the first decides.
    """
    tuned = [name for name in missing if role_of(name) in ("rate", "batch") or _TUNED & set(words_of(name))]
    if not tuned:
        return table, inputs, []
    loss = numbers_of(table, losses[0])
    groups = _alike(inputs, [name for name in inputs.columns if name not in tuned])
    several = [rows for rows in groups if _differ(inputs, rows, tuned)]
    if not several:
        return table, inputs, []
    worse: set[int] = set()
    for rows in several:
        known = [row for row in rows if np.isfinite(loss[row])]
        worse |= set(rows) - {min(known, key=lambda row: loss[row])} if known else set()
    kept = np.array([row for row in range(len(loss)) if row not in worse])
    columns, group = inputs.rows(kept)
    note = f"Of runs that differ in {few(tuned)} alone the best counts: {how_many(len(kept), 'run')} remain."
    return table.take(kept), Inputs(columns, inputs.labels, group, inputs.notes), [note]


def check_one_outcome(table: Table, inputs: Inputs, loss: str) -> None:
    """Refuse labels that points do not say, and by which runs that are alike in all else end apart.

    Raises:
        FitError: names a label to take.
    """
    if inputs.group is None or inputs.labels is None:
        return
    losses = numbers_of(table, loss)
    best: list[dict[str, float]] = []
    for rows in _alike(Inputs(inputs.columns, None, None, ()), list(inputs.columns)):
        found: dict[str, float] = {}
        for row in rows:
            if losses[row] > 0:
                found[inputs.group[row]] = min(float(losses[row]), found.get(inputs.group[row], np.inf))
        best.append(found)
    labels = list(dict.fromkeys(inputs.group))
    first = labels[0]
    for other in labels[1:]:
        apart = [np.log(each[first] / each[other]) for each in best if first in each and other in each]
        if len(apart) >= LEAST_PAIRS and abs(float(np.median(apart))) >= LEAST_APART:
            raise FitError(
                f"{table.source}: runs alike in all else end {percent(abs(float(np.median(apart))))} apart by column "
                f"'{inputs.labels}' ({few(labels)}), which the points do not have: take one, "
                f"--where {inputs.labels}={first:.30}, or give the points that column."
            )


def _alike(inputs: Inputs, names: Sequence[str]) -> list[list[int]]:
    """Rows that have the same numbers in these columns, and one label."""
    found: defaultdict[tuple[object, ...], list[int]] = defaultdict(list)
    columns: list[Floats] = [inputs.columns[name] for name in names]
    count = len(next(iter(inputs.columns.values())))
    for row in range(count):
        key = (*(float(f"{column[row]:.4g}") for column in columns), inputs.group[row] if inputs.group else "")
        found[key].append(row)
    return list(found.values())


def _differ(inputs: Inputs, rows: Sequence[int], names: Sequence[str]) -> bool:
    return any(len({float(inputs.columns[name][row]) for row in rows}) > 1 for name in names)

"""Which rows of a table of whatever columns are ends of runs."""

from __future__ import annotations

import numpy as np

from scalewatch.offline.finished_runs import SIZE_ROLES, are_checkpoints
from scalewatch.offline.listed import how_many
from scalewatch.offline.recipe_columns import unfinished
from scalewatch.offline.tables import Table, named_columns

__all__ = ["finished_rows"]


def finished_rows(table: Table) -> tuple[Table, list[str]]:
    """Return the rows of a table that are ends of runs, and what was left out: what crashed, and checkpoints."""
    notes = []
    state, broken = unfinished(table)
    if broken.any() and not broken.all():
        notes.append(f"Left out: {how_many(int(broken.sum()), 'row')} that did not finish by column '{state}'.")
        table = table.take(np.flatnonzero(~broken))
    roles = named_columns(table, {})
    size = next((roles[role] for role in SIZE_ROLES if role in roles), None)
    if size is None or "tokens" not in roles or "run" not in roles:
        return table, notes
    names, tokens = table.words(roles["run"]), table.numbers(roles["tokens"])
    if not are_checkpoints(roles, names, table.numbers(size), tokens):
        return table, notes
    last: dict[str, int] = {}
    for row in np.argsort(tokens, kind="stable").tolist():
        last[names[row]] = row
    kept = sorted(last.values())
    notes.append(f"Left out: {how_many(len(table) - len(kept), 'row')} before the end of their run.")
    return table.take(np.array(kept)), notes

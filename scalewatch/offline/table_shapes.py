"""Tables that are not a row a run as they are kept, turned into such: grids, runs in columns, a metric a row.

params  200M  900M      size down, tokens across, losses in the cells
run     r1    r2        a run a column: its rows are parameters, tokens, loss
run  metric  value      a row a metric of a run
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from scalewatch.logs.columns import placed, ranked
from scalewatch.logs.values import is_blank
from scalewatch.offline.cells import number_in
from scalewatch.offline.column_units import without_unit
from scalewatch.offline.role_names import IN_LOGS, ROLE_NAMES

__all__ = ["a_row_a_run"]

#: Least count of parameters or tokens at the head of a grid. By hand.
LEAST_COUNT = 1e4
#: What a run can say of itself at most, where it is a column. By hand.
MOST_QUANTITIES = 1_000
#: Names of the column of a metric's name, and of the column of its value.
_METRICS = ("metric", "metric_name", "metric_key", "key", "variable", "measure", "quantity", "tag")
_VALUES = ("value", "metric_value", "val", "values")
#: What may stand before a count at the head of a grid: `D=4B`, `tokens: 4B`, `loss @ 4B`.
_BEFORE = re.compile(r"^(?:loss|val_loss|tokens|params|parameters|[LDN])\s*(?:[@=:]|at)\s*", re.IGNORECASE)


def a_row_a_run(columns: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return a table with a row for each run, and how it was turned into it in a sentence, "" if it is one already.

    Args:
        columns: name -> cells, each of as many rows.

    >>> a_row_a_run({"params": ["20M", "45M"], "200M": ["3.5", "3.3"], "900M": ["3.2", ""]})[0]
    {'params': ['20M', '20M', '45M'], 'tokens': ['200M', '900M', '200M'], 'loss': ['3.5', '3.2', '3.3']}
    """
    made = dict(columns)
    if len(made) < 3 or ranked(made, "final_loss") or any(_is(name, "loss") for name in made):
        return made, ""
    return _melted(made) or _grid(made) or _upright(made) or (made, "")


def _melted(columns: Mapping[str, Any]) -> tuple[dict[str, Any], str] | None:
    """A table whose rows are a metric each."""
    metric = next((name for name in columns if placed(name, _METRICS) is not None), None)
    value = next((name for name in columns if placed(name, _VALUES) is not None), None)
    if metric is None or value is None or metric == value:
        return None
    metrics = list(dict.fromkeys(str(cell) for cell in columns[metric] if not is_blank(cell)))
    others = [name for name in columns if name not in (metric, value)]
    if not ranked(metrics, "final_loss") or set(metrics) & set(others):
        return None
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    keys = zip(*(columns[name] for name in others), strict=True)
    for own, what, cell in zip(keys, columns[metric], columns[value], strict=True):
        row = rows.setdefault(tuple(map(str, own)), dict(zip(others, own, strict=True)))
        row[str(what)] = cell
    made = {name: [row.get(name, "") for row in rows.values()] for name in (*others, *metrics)}
    return made, f"A row is a metric, by its column '{metric}': the metrics of a run are put beside each other."


def _grid(columns: Mapping[str, Any]) -> tuple[dict[str, Any], str] | None:
    """A table with counts down its first column and along its heading, and losses in its cells."""
    first, *others = columns
    heads = [number_in(_BEFORE.sub("", name)) for name in others]
    if any(head is None or not head >= LEAST_COUNT for head in heads):
        return None
    if any(number_in(cell) is None for cell in columns[first]):
        return None
    down, _, across = (part.strip() for part in re.sub(r"[\\|/]|\bvs\b|\bby\b", "\0", first, count=1).partition("\0"))
    role = next((role for role in ("parameters", "tokens") if _is(down, role)), None)
    if role is None:
        return None
    other = "tokens" if role == "parameters" else "parameters"
    if across and not _is(across, other):
        return None
    made: dict[str, list[Any]] = {down: [], other: [], "loss": []}
    for i, count in enumerate(columns[first]):
        for name in others:
            if not is_blank(columns[name][i]):
                for column, cell in zip(made.values(), (count, _BEFORE.sub("", name), columns[name][i]), strict=True):
                    column.append(cell)
    return made, f"Its heading is taken as {other}, what stands below as losses."


def _upright(columns: Mapping[str, Any]) -> tuple[dict[str, Any], str] | None:
    """A table whose columns are runs."""
    first, *runs = columns
    if len(columns[first]) > MOST_QUANTITIES:
        return None
    names = [str(cell).strip() for cell in columns[first]]
    if len(set(names)) < len(names) or not (ranked(names, "final_loss") or any(_is(name, "loss") for name in names)):
        return None
    if not any(_is(name, role) for name in names for role in ("parameters", "tokens", "flops")):
        return None
    rows: dict[str, Sequence[Any]] = {name: [columns[run][i] for run in runs] for i, name in enumerate(names)}
    return {"run": runs, **rows}, "A column is a run: the table is read with its rows as columns."


def _is(name: str, role: str) -> bool:
    """Whether a name is one of a role; a `model` is a name."""
    bare = without_unit(name)[0]
    known = tuple(each for each in ROLE_NAMES[role] if each not in ("model", "model_name"))
    return placed(bare, known) is not None or bool(role in IN_LOGS and ranked([bare], IN_LOGS[role]))

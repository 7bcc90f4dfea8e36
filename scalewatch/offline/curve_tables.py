"""Whole loss curves out of tables: a row a step, with the learning rate that was used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import FitError, RunError
from scalewatch.laws import Curve
from scalewatch.offline.finished_runs import nats_per_token
from scalewatch.offline.listed import how_many
from scalewatch.offline.run_columns import sizes_in_names
from scalewatch.offline.tables import Table, named_columns
from scalewatch.run import MAX_PLANNED_STEPS, Run

__all__ = ["curves_from_tables", "has_curves", "missing_of_curves"]

#: Part of a run's rows that may share a step with another: more are two series in one.
MOST_DOUBLE = 0.1
#: Part of its plan that a run may lack and still count as finished.
UNFINISHED = 0.02
#: Roles of a curve's columns, in the order in which they are told.
_ROLES = (
    *("run", "step", "loss", "learning_rate", "parameters", "non_embedding_parameters", "tokens", "tokens_per_step"),
    "total_steps",
)


def has_curves(table: Table, overrides: dict[str, str]) -> bool:
    """Return whether a table has a row a step, with a learning rate; of one row a run the step is its last."""
    if missing_of_curves(table, overrides):
        return False
    roles = named_columns(table, overrides)
    return "run" not in roles or len(set(table.words(roles["run"]))) < len(table)


def missing_of_curves(table: Table, overrides: dict[str, str], *, rates: bool = True) -> list[str]:
    """Return which of the columns that a whole curve needs a table has not; `rates`: whether it needs those."""
    roles = named_columns(table, overrides)
    return [role for role in ("step", "loss", *(["learning_rate"] if rates else [])) if role not in roles]


def curves_from_tables(
    tables: Sequence[Table], overrides: dict[str, str], *, bytes_per_token: float | None = None
) -> tuple[list[Curve], list[str], list[str]]:
    """Return the curves of some tables, how they were read, and what was left out, a sentence each.

    Raises:
        FitError: if a run has several rows for one step, a loss is zero or negative, or a cell is no number.
    """
    curves: list[Curve] = []
    notes: list[str] = []
    left_out: list[str] = []
    for table in tables:
        roles = named_columns(table, overrides)
        shown = ", ".join(f"{r} = column '{roles[r]}'" for r in _ROLES if r in roles)
        notes += [*table.notes, f"{table.source}: {how_many(len(table), 'row')}; {shown}."]
        columns = {role: table.numbers(roles[role]) for role in _ROLES[1:] if role in roles and role != "loss"}
        columns["loss"] = nats_per_token(table, roles["loss"], bytes_per_token, notes)
        names = np.array(table.words(roles["run"]) if "run" in roles else [table.stem] * len(table))
        for name in dict.fromkeys(names.tolist()):
            rows = np.flatnonzero(names == name)
            own = {role: column[rows] for role, column in columns.items()}
            try:
                own, copies = _without_copies(own)
                if copies:
                    left_out.append(f"Left out: {how_many(copies, 'row')} of '{name:.60}' that are copies of others.")
                curves.append(_curve(str(name), own, table.source))
            except _LeftOut as why:
                left_out.append(f"'{name:.60}' is left out: {why}")
    return _sized_by_name(curves, notes), notes, left_out


def _sized_by_name(curves: list[Curve], notes: list[str]) -> list[Curve]:
    """Curves of which none has a size, with those that the names of their runs say."""
    if not curves or any(curve.run.parameters or curve.run.non_embedding_parameters for curve in curves):
        return curves
    names = [curve.run.name.replace("_", " ").replace("/", " ") for curve in curves]
    sizes = sizes_in_names(names, None)
    if sizes is None:
        return curves
    notes.append("Sizes are those that the names of the runs say.")
    return [curve.of(replace(curve.run, parameters=size)) for curve, size in zip(curves, sizes.tolist(), strict=True)]


class _LeftOut(Exception):
    """One run cannot be used, the others can."""


def _without_copies(own: dict[str, Floats]) -> tuple[dict[str, Floats], int]:
    """Return the rows in the order of their steps, each once, and how many were copies."""
    order = np.lexsort((own["loss"], own["step"]))
    step, loss = own["step"][order], own["loss"][order]
    again = (np.diff(step) == 0) & (np.diff(loss) == 0)
    order = order[np.concatenate([[True], ~again])]
    return {role: column[order] for role, column in own.items()}, int(again.sum())


def _curve(name: str, own: dict[str, Floats], source: str) -> Curve:
    step, loss = own["step"], own["loss"]
    fine = np.isfinite(step) & (step >= 1)
    if np.sum(np.diff(step[fine]) == 0) > MOST_DOUBLE * max(len(step), 1):
        raise FitError(
            f"{source}: '{name:.60}' has several rows for one step: two series in one (training and validation?). "
            "Take one: --where split=train, or name the column of runs: --column run=NAME."
        )
    if np.any(loss[fine] <= 0):
        raise FitError(
            f"{source}: '{name:.60}' has losses of zero or below. A cross entropy is above zero: name the right column "
            "(--column loss=NAME), or take these rows out."
        )
    if not fine.any():
        raise _LeftOut("it has no step above 0.")
    last = int(step[fine][-1])
    try:
        return Curve(_run(name, own, last), step[fine], loss[fine])
    except (FitError, RunError) as fault:
        raise _LeftOut(str(fault)) from None


def _run(name: str, own: dict[str, Floats], last: int) -> Run:
    rate = own.get("learning_rate", np.full(len(own["step"]), np.nan))
    known = np.isfinite(rate) & np.isfinite(own["step"])
    plan = None
    total = _first(own.get("total_steps"))
    if total is None or last >= (1 - UNFINISHED) * total:
        total = None
    else:  # it goes on, and its rates from here on are not known
        known = np.zeros_like(known)
    if known.any() and last <= MAX_PLANNED_STEPS:
        plan = np.interp(np.arange(1, last + 1), own["step"][known], rate[known])
    per_step = _first(own.get("tokens_per_step"))
    if per_step is None and "tokens" in own:
        with np.errstate(all="ignore"):
            each = own["tokens"] / own["step"]
        fine = each[np.isfinite(each) & (each > 0)]
        per_step = float(np.median(fine)) if len(fine) else None
    numbers: dict[str, Any] = {role: _first(own.get(role)) for role in ("parameters", "non_embedding_parameters")}
    return Run(name, max(last, int(total or last)), plan, tokens_per_step=per_step, **numbers)


def _first(column: Floats | None) -> float | None:
    fine = np.zeros(0) if column is None else column[np.isfinite(column) & (column > 0)]
    return float(fine[0]) if len(fine) else None

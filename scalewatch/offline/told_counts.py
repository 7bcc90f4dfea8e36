"""Sizes and tokens of a table's runs where its columns say them in other words: names, compute, steps and batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.outcomes.axes import plain, role_of
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN
from scalewatch.offline.column_units import without_unit
from scalewatch.offline.listed import few
from scalewatch.offline.run_columns import sizes_in_names, tokens_from, tokens_in_names
from scalewatch.offline.shape_sizes import has_shapes, shapes_studied, sizes_of_shapes
from scalewatch.offline.tables import Table, named_columns

__all__ = ["check_counts", "named_alike", "with_counts"]

_SIZES = ("parameters", "non_embedding_parameters", "active_parameters")
#: Roles of columns that tokens are told from.
_PARTS = ("tokens_per_parameter", "tokens_per_step", "total_steps", "step", "sequence_length")
#: No model and no run has so few parameters or tokens: these are millions or billions.
LEAST_COUNT = 1e3


def with_counts(table: Table, runs: Table | None = None) -> tuple[Table, list[str]]:
    """Return a table with columns `parameters` and `tokens` where others say them, in the place of these, and how.

    Args:
        table: of runs. runs: finished ones, with counts, of which the table holds points; names of points may all say
            one size, and their shapes are sizes where those of the runs are.
    """
    roles, notes = named_columns(table, {}), list[str]()
    columns = dict(table.columns)
    size_column = next((roles[role] for role in _SIZES if role in roles), None)
    size = None if size_column is None else table.numbers(size_column)
    tokens = table.numbers(roles["tokens"]) if "tokens" in roles else None
    if tokens is None and (tokens := tokens_in_names(table, roles, notes, several=runs is None)) is not None:
        columns["tokens"] = tokens
    for role, column in (("parameters", size_column), ("tokens", roles.get("tokens"))):
        if column is not None and role_of(column) is None and role not in columns:
            columns[role] = table.numbers(column)  # under a name that laws know
            del columns[column]
    if size is None and "run" in roles and "flops" not in roles:
        size = sizes_in_names(table.words(roles["run"]), tokens, several=runs is None)
        if size is not None:
            columns["parameters"] = size
            notes.append(f"{table.source}: parameters are those that the names in '{roles['run']}' say.")
    studied = shapes_studied(table) if runs is None else has_shapes(runs)
    said_by_shape = size is None and "flops" not in roles and not studied
    shapes = sizes_of_shapes(table, alike=runs is not None) if said_by_shape else None
    if shapes is not None:
        size, _, said = shapes
        columns = {"parameters": size, **{name: cells for name, cells in columns.items() if name not in said}}
        notes.append(f"{table.source}: parameters are those of the shapes ({few(said)}).")
    if tokens is None:
        tokens = _tokens(table, roles, size, notes)
        if tokens is not None:
            columns = {name: cells for name, cells in columns.items() if name not in _said(roles)}
            columns["tokens"] = tokens
    elif size is None and "flops" in roles:
        columns["parameters"] = table.numbers(roles["flops"]) / (FLOPS_PER_PARAMETER_TOKEN * tokens)
        notes.append(f"{table.source}: parameters are taken as '{roles['flops']}' / (6 tokens).")
        del columns[roles["flops"]]
    return replace(table, columns=columns), notes


def _tokens(table: Table, roles: dict[str, str], size: Floats | None, notes: list[str]) -> Floats | None:
    if size is not None and "flops" in roles:
        notes.append(f"{table.source}: tokens are taken as '{roles['flops']}' / (6 parameters).")
        return np.asarray(table.numbers(roles["flops"]) / (FLOPS_PER_PARAMETER_TOKEN * size))
    if "unique_tokens" in roles:  # laws of repeated data read both
        return None
    return tokens_from(table, roles, size, notes)


def _said(roles: dict[str, str]) -> set[str]:
    """Columns that say nothing more once tokens are known; a batch may be a cause of its own."""
    return {roles[role] for role in (*_PARTS, "flops") if role in roles}


def named_alike(points: Table, names: Sequence[str]) -> Table:
    """Return points under the names that the columns of a table have: of another unit, or another word for the same."""
    columns = dict(points.columns)
    for name in names:
        if name in columns:
            continue
        free = [other for other in columns if other not in names]
        bare = plain(without_unit(name)[0])
        alike = [other for other in free if plain(without_unit(other)[0]) == bare]
        role = role_of(name)
        alike = alike or [other for other in free if role not in (None, "part") and role_of(other) == role]
        if len(alike) == 1:
            columns[name] = _cells(points, alike[0], without_unit(name)[1])
            del columns[alike[0]]
    return replace(points, columns=columns)


def _cells(points: Table, name: str, unit: float) -> Floats | Sequence[str]:
    """Cells of a column in a unit, as they stand where they are words."""
    values = _values(points, name)
    return points.words(name) if values is None else np.asarray(values / unit)


def _values(table: Table, name: str) -> Floats | None:
    try:
        return table.numbers(name)
    except FitError:  # words
        return None


def check_counts(table: Table, points: Table, name: str) -> None:
    """Refuse points that count in ones what a table counts in millions, or the other way round.

    Raises:
        FitError: says both ranges.
    """
    if role_of(name) not in ("size", "tokens"):
        return
    given, wanted = _values(table, name), _values(points, name)
    if given is None or wanted is None or not (given > 0).any() or not (wanted > 0).any():
        return
    runs, asked = given[given > 0], wanted[wanted > 0]
    most, least = float(np.max(runs)), float(np.min(runs))
    if (most < LEAST_COUNT) != (float(np.max(asked)) < LEAST_COUNT):
        raise FitError(
            f"'{name}' goes from {least:.4g} to {most:.4g} in {table.source} and to {float(np.max(asked)):.4g} in "
            f"{points.source}: one counts in millions or billions. Name the unit in the heading, '{name} (M)', or "
            "write 410M."
        )

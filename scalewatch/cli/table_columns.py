"""Columns of a table by name, for commands whose columns are their own and are not guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError, FitError
from scalewatch.objective import words_of
from scalewatch.offline.column_units import without_unit
from scalewatch.offline.table_files import KINDS
from scalewatch.offline.tables import named_columns

if TYPE_CHECKING:
    from scalewatch.offline.reading import Reading
    from scalewatch.offline.tables import Table

__all__ = ["columns_of"]

#: Words of the name of an accuracy, and of a logarithm of a probability.
_RIGHT = frozenset({"acc", "accuracy", "em", "match", "pass", "correct", "score"})
_LOG = frozenset({"loss", "logprob", "logprobs", "logp", "loglik", "loglikelihood", "nll"})
#: Columns of a table that an error lists.
MOST_LISTED = 12


def columns_of(
    reading: Reading, wanted: Mapping[str, str], also: Mapping[str, Sequence[str]] | None = None
) -> tuple[dict[str, Floats], list[str]]:
    """Return the columns that a command reads, rows with a number in each, and how they were read, a sentence each.

    Args:
        reading: the tables, and which column is what where somebody said. wanted: name -> what it holds.
        also: other names that a column may have, the first found counts.

    Raises:
        FitError: if a column is missing; the message lists those that are needed and those that there are.
        ConfigError: if an option names a column that there is not, or a folder was given.
    """
    if reading.folders or not reading.tables:
        named = str(reading.folders[0]) if reading.folders else "nothing"
        raise ConfigError(f"{named} is no table: {KINDS}.")
    for name in reading.overrides:
        if name not in wanted:
            raise ConfigError(f"`--column`: {name!r:.40} is none of {', '.join(wanted)}.")
    parts, notes = [], []
    for table in reading.tables:
        chosen = _chosen(table, reading.overrides, wanted, also or {})
        columns = {name: table.numbers(column) for name, column in chosen.items()}
        fine = np.all([np.isfinite(values) for values in columns.values()], axis=0)
        parts.append({name: values[fine] for name, values in columns.items()})
        shown = ", ".join(f"{name} = column '{column}'" for name, column in chosen.items())
        notes.append(f"{table.source}: {len(table):,} rows; {shown}.")
        if not fine.all():
            notes.append(f"{table.source}: {int(np.sum(~fine)):,} rows without a number in each of them are left out.")
    return {name: np.concatenate([part[name] for part in parts]) for name in wanted}, notes


def _chosen(
    table: Table, overrides: Mapping[str, str], wanted: Mapping[str, str], also: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    own = list(reversed(list(table.columns)))
    bare = {name: without_unit(name)[0] for name in own}
    by_name = {_plain(bare[name].rpartition(".")[2].rpartition("/")[2]): name for name in own}
    by_name |= {_plain(bare[name]): name for name in own} | {_plain(name): name for name in own}
    chosen, missing = {}, []
    for name in wanted:
        names = [overrides[name]] if name in overrides else [name, *also.get(name, ())]
        column = next((by_name[_plain(other)] for other in names if _plain(other) in by_name), None)
        if column is None and name not in overrides:
            column = _by_role(table, names)
        if column is None:
            missing.append(name)
        else:
            chosen[name] = column
    if missing:
        there = list(table.columns)
        more = f" and {len(there) - MOST_LISTED} more" if len(there) > MOST_LISTED else ""
        needed = ", ".join(f"{name} ({what})" for name, what in wanted.items())
        raise FitError(
            f"{table.source}: no column {' and none '.join(missing)}. Needed are {needed}; it has "
            f"{', '.join(there[:MOST_LISTED])}{more}. Say which is which: --column {missing[0]}=NAME."
        )
    return chosen


def _by_role(table: Table, names: Sequence[str]) -> str | None:
    """The column that plays the first of these roles that any plays, such as `parameters`, or a loss by its words."""
    roles = named_columns(table, {})
    found = next((roles[name] for name in names if name in roles), None)
    numbers = [name for name in table.columns if _holds_numbers(table, name)]
    if found is None and "accuracy" in names:
        found = next((name for name in numbers if set(words_of(name)) & _RIGHT), None)
    if found is None and "loss" in names:
        found = next((name for name in numbers if set(words_of(name)) & _LOG), None)
    return found


def _holds_numbers(table: Table, name: str) -> bool:
    try:
        return bool(np.isfinite(table.numbers(name)).any())
    except FitError:
        return False


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())

"""Tables of finished runs with whatever columns they have, for laws that compete: inputs, labels and losses.

A column with `loss` among the words of its name is a loss; every other column of numbers is an input, words that are
numbers (70M) too, and words of which each stands in several rows are labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError, FitError
from scalewatch.fitting.outcomes.axes import Outcomes, is_compute, plain, role_of
from scalewatch.logs.columns import ranked, scale_of
from scalewatch.objective import words_of
from scalewatch.offline.column_units import without_unit
from scalewatch.offline.listed import few, how_many
from scalewatch.offline.tables import Table

__all__ = ["Inputs", "inputs_of", "loss_columns", "numbers_of", "told_as"]

#: Names of columns that say which run a row is of, or what drew it: no cause of a loss.
NO_CAUSE = frozenset({"", "seed", "index", "id", "row", "runid", "run", "runname", "name", "trial", "unnamed0", "date"})
#: Part of a column's cells that may be empty. By hand.
MOST_EMPTY = 0.1
#: Rows that a label needs to be one, and labels that there may be. By hand.
ROWS_A_LABEL, MOST_LABELS = 3, 12
#: Correlation of the logarithms of two counts of parameters from which they are one size. By hand.
SAME_SIZE = 0.995
#: Words of a column that says how far losses are apart, and of none that is one.
_SPREAD = frozenset({"std", "sd", "se", "sem", "stderr", "stdev", "var", "variance", "ci", "error", "err"})
#: Words of columns that say how a run came out, as a loss does: no cause of one.
_OUTCOMES = frozenset({"ppl", "perplexity", "bpb", "bpt", "bpc", "nll", "acc", "accuracy"})


@final
@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What a table says of its runs.

    Attributes:
        columns: name -> values, shape (n,), NaN where a cell is empty. labels: name of the column of labels, or None.
        group: label of each run, shape (n,), None without labels. notes: what was left out, a sentence each.
    """

    columns: dict[str, Floats]
    labels: str | None
    group: tuple[str, ...] | None
    notes: tuple[str, ...]

    def complete(self) -> NDArray[np.bool_]:
        """Return which runs have a number in every column, shape (n,)."""
        return np.asarray(np.all([np.isfinite(values) for values in self.columns.values()], axis=0))

    def rows(self, index: NDArray[np.int64]) -> tuple[dict[str, Floats], tuple[str, ...] | None]:
        """Return columns and labels of some of the runs."""
        labels = None if self.group is None else tuple(self.group[i] for i in index.tolist())
        return {name: values[index] for name, values in self.columns.items()}, labels

    def outcomes(self, loss: Floats) -> Outcomes:
        """Return the runs that have every number and a loss."""
        kept = np.flatnonzero(self.complete() & np.isfinite(loss))
        columns, labels = self.rows(kept)
        return Outcomes(columns, loss[kept], labels)


def loss_columns(table: Table, overrides: Mapping[str, str]) -> list[str]:
    """Return the names of the columns that are losses.

    Args:
        table: of finished runs. overrides: `{"loss": name}` says which.

    Raises:
        ConfigError: if an override names a column that there is not, or anything but the loss.
        FitError: if no column is a loss; it says how to name one.
    """
    for role, name in overrides.items():
        if role != "loss":
            raise ConfigError(f"`--column`: with `--predict` only the loss is named, loss=NAME (got {role!r:.40}).")
        if name not in table.columns:
            raise ConfigError(f"`--column`: {table.source} has no column {name!r:.80}.")
        return [name]
    found = [name for name in table.columns if _is_loss(name) and _numbers(table, name) is not None]
    # where no column is called a loss, what is one by another name: perplexity, bits per byte
    found = found or [name for name in ranked(table.columns, "final_loss") if _numbers(table, name) is not None][:1]
    if not found:
        there = few(list(table.columns))
        raise FitError(f"{table.source}: no column is a loss by its name ({there}). Say which: --column loss=NAME.")
    return found


def told_as(table: Table, name: str) -> tuple[str, Floats]:
    """Return what is foretold of a column and its values: of a perplexity the logarithm, which laws are of.

    Raises:
        FitError: if it holds words.
    """
    values = numbers_of(table, name)
    if scale_of(name, "loss")[0] != "log":
        return name, values
    with np.errstate(all="ignore"):
        logs = np.log(values)
    return f"ln({name})", np.where(np.isfinite(logs), logs, np.nan)


def inputs_of(table: Table, losses: Sequence[str], names: Sequence[str] | None = None) -> Inputs:
    """Return what a table says of its runs beside their losses.

    Args:
        table: of runs. losses: columns that are none of it. names: columns to take, every one that may be if None.

    Raises:
        FitError: if a column of `names` is missing, or without `names` no column is an input.
    """
    columns: dict[str, Floats] = {}
    labels: dict[str, list[str]] = {}
    notes: list[str] = []
    wordy: list[str] = []
    for name in table.columns if names is None else names:
        if name not in table.columns:
            raise FitError(f"{table.source}: no column {name!r:.80}, which the runs are told apart by.")
        if name in losses or (names is None and (plain(name) in NO_CAUSE or _is_outcome(name))):
            continue
        values = _numbers(table, name)
        if values is None:
            words = table.words(name)
            if names is not None or _are_labels(words):
                labels[name] = words
            else:
                wordy.append(name)
        elif names is None and np.mean(~np.isfinite(values)) > MOST_EMPTY:
            notes.append(f"Column '{name}' is empty in {how_many(int(np.sum(~np.isfinite(values))), 'row')}: left out.")
        elif names is not None or np.nanmin(values) < np.nanmax(values):
            columns[name] = values
    if wordy:
        notes.insert(0, f"Left out, for they hold words: {few(wordy)}.")
    if names is None and {"size", "tokens"} <= {role_of(name) for name in columns}:
        told = [name for name in columns if is_compute(name)]
        notes += [f"Column '{name}' is compute, which size and tokens say: left out." for name in told]
        columns = {name: values for name, values in columns.items() if name not in told}
    if names is None:
        again = _sizes_again(columns)
        notes += [f"Column '{name}' counts the size again: left out." for name in again]
        columns = {name: values for name, values in columns.items() if name not in again}
    if not columns and names is None:
        raise FitError(f"{table.source}: no column of numbers tells the runs apart ({few(list(table.columns))}).")
    if names is None:
        labels = {name: words for name, words in labels.items() if not _are_of_columns(words, columns)}
    label = next(iter(labels), None)
    notes += [f"Column '{name}' is a second label and is left out." for name in list(labels)[1:]]
    return Inputs(columns, label, None if label is None else tuple(labels[label]), tuple(notes))


def numbers_of(table: Table, name: str) -> Floats:
    """Return a column as numbers, NaN where a cell is empty.

    Raises:
        FitError: if it holds words.
    """
    values = _numbers(table, name)
    if values is None:
        raise FitError(f"{table.source}: column '{name}' holds words, no losses.")
    return values


def _is_loss(name: str) -> bool:
    words = set(words_of(name))
    return ("loss" in words and not words & _SPREAD) or without_unit(name)[0] in ("L", "l")


def _is_outcome(name: str) -> bool:
    return bool((_OUTCOMES | {"loss"}) & set(words_of(name))) or _is_loss(name)


def _sizes_again(columns: Mapping[str, Floats]) -> list[str]:
    """The columns that count a size again, with or without embeddings: a power of the first one gives them.

    Where runs are alike in one and not in the other, as experts of two numbers are, both say something.
    """
    sizes = [name for name in columns if role_of(name) == "size" and np.nanmin(columns[name]) > 0]
    again = []
    for name in sizes[1:]:
        both = np.log([columns[sizes[0]], columns[name]])
        both = both[:, np.isfinite(both).all(axis=0)]
        pairs = set(map(tuple, both.T.tolist()))
        if any(len({pair[i] for pair in pairs}) < len(pairs) for i in (0, 1)):
            continue
        if both.shape[1] > 1 and np.ptp(both, axis=1).all() and np.corrcoef(both)[0, 1] >= SAME_SIZE:
            again.append(name)
    return again


def _are_labels(words: Sequence[str]) -> bool:
    counts = Counter(words)
    return 1 < len(counts) <= MOST_LABELS and min(counts.values()) >= ROWS_A_LABEL


def _are_of_columns(words: Sequence[str], columns: Mapping[str, Floats]) -> bool:
    """Whether words name what a column counts already, as models of a size do, and tell no recipes apart."""
    pairs = [len(set(zip(words, values.tolist(), strict=True))) for values in columns.values()]
    own = [len(set(values.tolist())) for values in columns.values()]
    return any(pair == alone == len(set(words)) for pair, alone in zip(pairs, own, strict=True))


def _numbers(table: Table, name: str) -> Floats | None:
    """Return a column as numbers, NaN where a cell is empty, None where it holds words."""
    try:
        values = table.numbers(name)
    except FitError:
        return None
    values = np.where(np.isfinite(values), values, np.nan)
    return values if np.isfinite(values).any() or isinstance(table.columns[name], np.ndarray) else None

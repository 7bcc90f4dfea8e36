"""Columns of words beside size, tokens and loss: how a run came out, and of which recipe it is.

A run that crashed has no final loss, whatever stands in its cell. And one law is of one recipe: where two tokenizers or
optimizers stand in one table and end apart at equal size and tokens, no law of size and tokens is true of both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.objective import words_of
from scalewatch.offline.tables import Table
from scalewatch.text import percent

__all__ = ["check_one_recipe", "unfinished"]

#: Names of a column that says how a run came out, letters only.
_STATES = frozenset({"state", "status", "runstate", "runstatus", "outcome"})
#: Words of it for a run that has no final loss.
_UNFINISHED = frozenset(
    {"crashed", "crash", "failed", "fail", "failure", "killed", "running", "pending", "preempted", "preempting"}
    | {"diverged", "error", "oom", "pruned", "cancelled", "canceled", "aborted", "unfinished", "queued", "timeout"}
)
#: Labels that a column of recipes may have. By hand.
MOST_LABELS = 12
#: Difference of ln(loss) at equal size and tokens that seeds do not make, and standard errors of it. By hand.
LEAST_APART, LEAST_ERRORS = 0.01, 3.0


def unfinished(table: Table) -> tuple[str, NDArray[np.bool_]]:
    """Return the name of the column that says how runs came out, "" without one, and which have no final loss."""
    for name in table.columns:
        words = [word.strip().lower() for word in table.words(name)]
        if "".join(words_of(name)) in _STATES and len(set(words)) <= MOST_LABELS:
            return name, np.array([word in _UNFINISHED for word in words])
    return "", np.zeros(len(table), dtype=bool)


def check_one_recipe(
    table: Table, others: Sequence[str], rows: NDArray[np.int64], size: Floats, tokens: Floats, loss: Floats
) -> list[str]:
    """Return a sentence on each column of words that tells the runs apart.

    Args:
        table: of finished runs. others: names of columns that say something else. rows: that are used, shape (n,).
        size, tokens, loss: of these, shape (n,), above 0.

    Raises:
        FitError: if runs of equal size and tokens end apart by what such a column says.
    """
    notes = []
    for name in table.columns:
        cells = [] if name in others else table.words(name)
        words = [cells[row].strip() for row in rows.tolist()] if cells else []
        if not _are_recipes(name, words):
            continue
        labels = list(dict.fromkeys(words))
        listed = ", ".join(f"{label:.30}" for label in labels[:4]) + (" and more" if len(labels) > 4 else "")
        apart = _apart(words, size, tokens, loss)
        if apart >= LEAST_APART:
            raise FitError(
                f"{table.source}: runs of equal size and tokens end {percent(apart)} apart by column '{name}' "
                f"({listed}), and one law is of one recipe: take one, --where {name}={labels[0]:.30}."
            )
        notes.append(
            f"{table.source}: column '{name}' tells {len(labels)} recipes apart ({listed}), fitted together here; "
            f"--where {name}={labels[0]:.30} takes one."
        )
    return notes


def _are_recipes(name: str, words: Sequence[str]) -> bool:
    counts = Counter(words)
    if "".join(words_of(name)) in _STATES or not 1 < len(counts) <= MOST_LABELS or min(counts.values()) < 2:
        return False
    return not any(word[:1].isdigit() or word[:1] in "-+." or word.lower() in ("", "nan", "none") for word in counts)


def _apart(words: Sequence[str], size: Floats, tokens: Floats, loss: Floats) -> float:
    """Return how far the farthest two labels end apart at equal size and tokens [e-folds]; 0 if that may be chance."""
    best: dict[tuple[float, float], dict[str, float]] = {}
    for word, *place, value in zip(words, size.tolist(), tokens.tolist(), loss.tolist(), strict=True):
        at = best.setdefault((round(np.log(place[0]), 3), round(np.log(place[1]), 3)), {})
        at[word] = min(value, at.get(word, np.inf))
    most = 0.0
    labels = list(dict.fromkeys(words))
    for i, one in enumerate(labels):
        for other in labels[:i]:
            pairs = np.array([np.log(at[one] / at[other]) for at in best.values() if one in at and other in at])
            if len(pairs) < 3:
                continue
            error = float(pairs.std(ddof=1)) / np.sqrt(len(pairs))
            middle = abs(float(pairs.mean()))
            if middle > LEAST_ERRORS * error:
                most = max(most, middle)
    return most

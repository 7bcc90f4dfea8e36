"""Counts and names of runs in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_NAMED", "few", "how_many", "left_out_sentence", "named"]

#: Runs that are named in one sentence.
MOST_NAMED = 8


def left_out_sentence(what: str, runs: Sequence[str], which: NDArray[np.bool_]) -> str:
    """Return a sentence that counts and names the runs that are left out."""
    names = [runs[i] for i in np.flatnonzero(which).tolist()]
    return f"Left out: {how_many(len(names), 'row')} {what}: {named(names)}."


def named(names: Sequence[str]) -> str:
    """Return the first names of a list, quoted, and how many more there are."""
    return few([f"'{name:.60}'" for name in names])


def few(names: Sequence[str]) -> str:
    """Return the first of a list, and how many more there are."""
    return ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else "")


def how_many(count: int, what: str) -> str:
    """Return "1 row" or "2 rows"."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"

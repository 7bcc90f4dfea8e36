"""Whether runs differ in more than size and tokens: what no law of the two can follow, whatever its form."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.fitting.families import Points
from scalewatch.fitting.status import robust_sd
from scalewatch.text import percent

__all__ = ["recipe_mismatches"]

Labels = NDArray[np.int64]

#: Difference of ln(size) or ln(tokens) below which two runs have the same. By hand.
SAME = 1e-3
#: Token counts of one size from which a fall and a rise are no chance. By hand.
LEAST_BUDGETS = 4
#: Sizes that a sentence lists. By hand.
MOST_LISTED = 4


def recipe_mismatches(points: Points, least: float) -> list[str]:
    """Return in sentences which runs a law of size and tokens cannot follow, none if it could.

    Args:
        points: finished runs. least: difference of ln(loss) that seeds do not make.
    """
    found = []
    off, count = _same_point_scatter(points)
    if off > least:
        found.append(
            f"{count} runs of equal size and tokens differ by {percent(off, 1)} (sd), so something else was "
            "varied, as in "
            "a sweep of learning rates: keep the best of each size and tokens."
        )
    sizes, most = _rises(points, least)
    if sizes:
        named = ", ".join(f"{size:.3g}" for size in sizes[:MOST_LISTED])
        found.append(
            f"More tokens ended at a higher loss at {len(sizes)} of the sizes ({named}), by up to "
            f"{percent(most, 1)}: no "
            "law of size and tokens does that; look whether data repeat, the longest runs are badly tuned, "
            "or the loss is "
            "of other text than the training data."
        )
    return found


def _same_point_scatter(points: Points) -> tuple[float, int]:
    """Return the robust sd of ln(loss) among runs of equal size and tokens, and how many such runs there are."""
    label = _labels(np.stack([points.log_size, points.log_tokens], axis=1))
    several = np.flatnonzero(np.bincount(label) > 1)
    if not len(several):
        return 0.0, 0
    apart = [points.log_loss[label == one] - np.median(points.log_loss[label == one]) for one in several]
    off = np.concatenate(apart)
    # a pair lies half its difference from its median
    return robust_sd(off) * math.sqrt(len(off) / (len(off) - len(several))), len(off)


def _rises(points: Points, least: float) -> tuple[list[float], float]:
    """Return the sizes [parameters] whose loss falls with tokens and rises at the end, and the most it rises."""
    found, most = [], 0.0
    label = _labels(points.log_size[:, None])
    for number in np.flatnonzero(np.bincount(label) >= LEAST_BUDGETS):
        rows = np.flatnonzero(label == number)
        budget = _labels(points.log_tokens[rows, None])
        # of several runs as long the best counts
        loss = np.array([points.log_loss[rows[budget == one]].min() for one in range(int(budget.max()) + 1)])
        step, lowest = np.diff(loss), int(np.argmin(loss))
        # noise goes up and down at any tokens
        turns_once = bool(np.all(step[:lowest] < 0) and np.all(step[lowest:] > 0))
        if len(loss) >= LEAST_BUDGETS and turns_once and loss[-1] - loss[lowest] > least:
            found.append(float(np.exp(points.log_size[rows[0]])))
            most = max(most, float(loss[-1] - loss[lowest]))
    return found, most


def _labels(columns: Floats) -> Labels:
    _, label = np.unique(np.round(columns / SAME), axis=0, return_inverse=True)
    return np.asarray(label, dtype=np.int64).ravel()

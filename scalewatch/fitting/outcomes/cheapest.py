"""Ladders whose cheapest runs follow no law of the others: warm-ups that are too long for them, rates tuned elsewhere.

Such runs end too high, so the ladder seems to bend, laws see a floor that is not there and foretell dearer runs too
high, all of them alike: no interval says so. It shows among the runs themselves. At each origin a law is fitted with
and without the cheapest fifth and asked about the same dearer runs; where the best law is off by less than half as much
without them, they are left out of the contest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.outcomes.axes import Axes, Outcomes
from scalewatch.fitting.outcomes.contest import CALIBRATION, Calibration, Contest, compete, mean_square
from scalewatch.fitting.outcomes.origins import origins

__all__ = ["compete_past_cheapest"]

#: Part of the runs that are the cheapest. By hand.
CHEAPEST = 0.2
#: Error without them over that with them below which they are left out. By hand, on the ladders of porian alone
#: (docs/measured.md says what it does on others).
LEAST_GAIN = 0.5
#: Error that is none [e-folds]: what seeds alone make of a final loss. By hand.
LEAST_ERROR = 0.003
#: Fewest runs, of which four remain and one is asked about, and most: among many, cheap ones bend no law. By hand.
FEWEST, MOST = 6, 40
#: Weight from which a law is asked. By hand.
HEAVY = 0.05

Rows = NDArray[np.int64]


def compete_past_cheapest(
    runs: Outcomes,
    asked: Mapping[str, Floats],
    group: Sequence[str] | None = None,
    calibration: Calibration = CALIBRATION,
) -> tuple[Contest, int]:
    """Return the contest of laws, and how many of the cheapest runs were left out of it, mostly none.

    Args:
        runs: finished runs. asked: columns of the runs that are to be foretold. group: their labels.
        calibration: what is expected beyond the runs.

    Raises:
        FitError: as `compete`.
    """
    contest = compete(runs, asked, group, calibration)
    others = _others(contest, runs, asked)
    if others is None or not _better_without(contest, runs, others, asked):
        return contest, 0
    try:
        return compete(runs.take(others), asked, group, calibration), len(runs) - len(others)
    except FitError:
        return contest, 0


def _others(contest: Contest, runs: Outcomes, asked: Mapping[str, Floats]) -> Rows | None:
    """Return the rows of all but the cheapest runs, None where dearer runs are not all larger or no point is dearer."""
    axes = contest.axes
    if runs.group is not None or not {"size", "tokens"} <= set(axes.keys) or not FEWEST <= len(runs) <= MOST:
        return None
    here, there = axes.points(runs.columns, None), axes.points(asked, None)
    place = here["size"] + here["tokens"]
    if not np.any(there["size"] + there["tokens"] > place.max()):
        return None
    order = np.argsort(place, kind="stable")
    if not np.all(np.diff(here["size"][order]) > 0):
        return None
    return np.sort(order[math.ceil(CHEAPEST * (len(runs) - 1)) :])


def _better_without(contest: Contest, runs: Outcomes, others: Rows, asked: Mapping[str, Floats]) -> bool:
    few, cheap = runs.take(others), np.setdiff1d(np.arange(len(runs)), others)
    try:
        axes = Axes.of(few)
        cuts = origins(axes, axes.points(few.columns, None), axes.points(asked, None))
    except FitError:
        return False
    heavy = [s.candidate for s in contest.scores if s.candidate and s.weight > HEAVY and not s.candidate.carries]
    both = []
    for law in heavy:
        squares = []
        for small, large in cuts:
            rest, fitted = runs.take(others[large]), (np.sort(np.concatenate([cheap, others[small]])), others[small])
            try:
                each = [law.fit(runs.take(rows), law) for rows in fitted]
            except FitError:
                continue
            squares.append([mean_square(one.off(one.told(rest.columns, None), rest.loss)) for one in each])
        if squares:
            both.append(np.sqrt(np.mean(squares, axis=0)))
    if not both:
        return False
    with_all, without = np.min(both, axis=0)
    return bool(with_all > LEAST_ERROR and without < LEAST_GAIN * with_all)

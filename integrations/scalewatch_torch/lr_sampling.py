"""The learning rate of some step far ahead, without taking the steps before it; and a plan through a few such steps.

Most schedulers know their rate at any step: by a formula beside the one from step to step (torch's
`_get_closed_form_lr`), or because they use only the number of the step (`LambdaLR` with all schedules of transformers,
`OneCycleLR`). One that does not is found out: what it says is held against the steps that were taken one by one.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from scalewatch.arrays import Floats, KnottedRates

__all__ = ["rate_at", "through_samples"]

#: How far a rate may be from the one that was found step by step, a straight piece from its scheduler, and a plan that
#: ran out of knots or time [ratio to the peak]. By hand.
SAME, TOLERANCE, NEAR = 1e-6, 5e-5, 1e-2
#: Knots that a plan begins with, and has at most.
FIRST_KNOTS, MOST_KNOTS = 65, 2_000


def rate_at(scheduler: Any, group: int) -> Callable[[int], float]:
    """Return what says the rate of a group after any number of calls of the scheduler's `step`, counted from its start.

    The scheduler is a copy that nobody else uses.

    Raises:
        TypeError: if it is of a kind that has no such rate.
    """
    milestones = getattr(scheduler, "_milestones", None)
    if milestones is not None and hasattr(scheduler, "_schedulers"):  # one after another
        parts = [rate_at(each, group) for each in scheduler._schedulers]

        def in_sequence(calls: int) -> float:
            place = bisect.bisect_right(milestones, calls)
            return parts[place](calls - (milestones[place - 1] if place else 0))

        return in_sequence
    if hasattr(scheduler, "_schedulers"):
        raise TypeError("several schedulers at once")
    closed = getattr(scheduler, "_get_closed_form_lr", None)
    restarts = type(scheduler).__name__ == "CosineAnnealingWarmRestarts"

    def alone(calls: int) -> float:
        scheduler.last_epoch = calls
        if restarts:
            _place_in_cycle(scheduler, calls)
        return float((closed or scheduler.get_lr)()[group])

    return alone


def _place_in_cycle(scheduler: Any, calls: int) -> None:
    """Tell `CosineAnnealingWarmRestarts` where in which cycle it is; of its `step`, as torch 2.13 has it."""
    first, times = scheduler.T_0, scheduler.T_mult
    cycle = 0 if times == 1 else int(math.log(calls / first * (times - 1) + 1, times))
    scheduler.T_i = first * times**cycle
    scheduler.T_cur = calls % first if times == 1 else calls - first * (times**cycle - 1) / (times - 1)


def through_samples(
    rate: Callable[[int], float], first: Floats, steps: int, is_late: Callable[[], bool]
) -> KnottedRates | None:
    """Return the plan of `steps` steps as knots; None if `rate` does not say what `first` was, or turns too often.

    A piece is halved where the rate is off the straight line, so that a jump is found to the step.

    Args:
        rate: of step i from 0. first: rates of the first steps, found one by one. is_late: whether to leave it at that.
    """
    for place in np.unique(np.linspace(0, len(first) - 1, FIRST_KNOTS).astype(int)).tolist():
        if not math.isclose(rate(place), first[place], rel_tol=SAME, abs_tol=SAME * float(first.max())):
            return None
    spread = np.unique(np.linspace(0, steps - 1, FIRST_KNOTS).astype(int)).tolist()
    known = {place: rate(place) for place in spread}
    allowed = TOLERANCE * max(known.values())
    pieces = deque(pairwise(spread))
    while pieces and len(known) < MOST_KNOTS and not is_late():
        begin, end = pieces.popleft()
        if end - begin > 1 and _is_off(rate, known, begin, end, allowed):
            middle = (begin + end) // 2
            known[middle] = rate(middle)
            pieces += [(begin, middle), (middle, end)]
    at = sorted(known)
    plan = KnottedRates(np.array(at) + 1, [known[place] for place in at])
    # what is not straight by now has to be near enough all the same
    looked = np.modf(np.arange(FIRST_KNOTS) * ((1 + 5**0.5) / 2))[0] * (steps - 1)
    wrong = [place for place in looked.astype(int).tolist() if abs(plan[place] - rate(place)) > NEAR * plan.max()]
    return None if wrong else plan


def _is_off(rate: Callable[[int], float], known: dict[int, float], begin: int, end: int, allowed: float) -> bool:
    """Whether the rate leaves the straight line between two knots, at four places between them."""
    slope = (known[end] - known[begin]) / (end - begin)
    places = {begin + 1, begin + (end - begin) * 5 // 13, (begin + end) // 2, end - 1}
    return any(abs(rate(place) - known[begin] - slope * (place - begin)) > allowed for place in sorted(places))

"""A planned learning rate a step, as a few knots to draw straight lines between.

A schedule holds one number for each of up to 1e8 steps; the header of a journal holds at most 2,000.
Knots are set where the straight line misses the schedule most, until it misses it nowhere by more than
1e-6 of the peak: a constant or a linear decay takes two, a jump two, a cosine some nine hundred.
A schedule that two thousand cannot follow (noise, thousands of jumps) is kept as well as they can, and
the record says how far off it is.

Why knots and not the name and the arguments of a schedule: every framework has its own, people
write their own, and what the forecast needs is the number at a step.

Source: the splitting rule is that of Ramer (1972) and of Douglas and Peucker (1973).
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import KnottedRates

__all__ = ["MAX_KNOTS", "TOLERANCE", "Knots", "restored", "simplified"]

#: Most knots of one schedule: 2,000 pairs are about 60 KB of JSON.
MAX_KNOTS = 2_000

#: How far a restored rate may be off, as a share of the peak. The last digits are left to rounding.
TOLERANCE = 0.999_999e-6

#: Steps looked at to find out that a line is bad, before all of them are looked at to be sure.
SAMPLES = 1_024

#: Where in a piece they are, as shares of it. Multiples of the golden ratio: even strides would
#: look at every second or third tooth of a saw and see a straight line.
SAMPLED = np.sort(np.modf(np.arange(SAMPLES) * ((1 + 5**0.5) / 2))[0])

#: How much may be looked at in sum: the whole schedule so often, and a short one so many steps. Schedules
#: that people make take two passes; without this bound an evil one could take two thousand.
PASSES, STEPS = 16, 10_000_000

#: Steps handled at once: the schedule may be 800 MB, what is computed from it must not be.
CHUNK_STEPS = 1_000_000

Array = NDArray[np.float64]


class Knots(NamedTuple):
    """Straight pieces that stand for a schedule.

    Attributes:
        steps: where the pieces meet, from 1 to the last step, increasing.
        rates: the learning rate there.
        max_error: how far the pieces are from the schedule at worst, in units of the learning rate.
    """

    steps: NDArray[np.int64]
    rates: Array
    max_error: float


def simplified(schedule: Array | KnottedRates) -> Knots:
    """At most 2,000 knots that follow `schedule`, the rates of steps 1, 2, ...

    >>> knots = simplified(np.concatenate([np.linspace(0.1, 1, 10), np.ones(90)]))
    >>> knots.steps.tolist()
    [1, 10, 100]
    """
    if isinstance(schedule, KnottedRates):
        if len(schedule.steps) <= MAX_KNOTS:
            return Knots(schedule.steps.astype(np.int64), schedule.rates, 0.0)
        schedule = np.asarray(schedule)
    allowed = TOLERANCE * float(np.max(schedule))
    last = len(schedule) - 1
    knots = {0, last}
    # A heap: the piece that is most wrong is split first, so that when the knots or the patience
    # run out the rest is as good as it can be.
    pieces = [_piece(schedule, 0, last, allowed)]
    looked_at = pieces[0].looked_at
    while -pieces[0].minus_error > allowed and len(knots) < MAX_KNOTS and looked_at < PASSES * len(schedule):
        worst = heapq.heappop(pieces)
        knots.add(worst.where)
        for begin, end in ((worst.begin, worst.where), (worst.where, worst.end)):
            piece = _piece(schedule, begin, end, allowed)
            looked_at += piece.looked_at
            heapq.heappush(pieces, piece)
    where = np.array(sorted(knots), dtype=np.int64)
    return Knots(where + 1, schedule[where], _max_error(schedule, where))


class _Piece(NamedTuple):
    """A straight line from `begin` to `end`, and where it misses the schedule most."""

    minus_error: float  # first, and negative: a heap gives the smallest
    where: int
    begin: int
    end: int
    looked_at: int  # steps


def _piece(schedule: Array, begin: int, end: int, allowed: float) -> _Piece:
    steps: NDArray[np.int64]
    if end - begin > 2 * SAMPLES:
        steps = (begin + SAMPLED * (end - begin)).astype(np.int64)
        error, where = _widest(schedule, begin, end, steps)
        if error > allowed:
            # The sample stands near the corner of a jump; the knot has to stand on it.
            near = 2 * (end - begin) // SAMPLES
            steps = np.arange(max(begin, where - near), min(end, where + near) + 1)
            error, where = _widest(schedule, begin, end, steps)
            return _Piece(-error, where, begin, end, SAMPLES + len(steps))
    error, where = 0.0, begin
    for first in range(begin, end + 1, CHUNK_STEPS):
        steps = np.arange(first, min(end + 1, first + CHUNK_STEPS))
        found = _widest(schedule, begin, end, steps)
        error, where = max((error, where), found, key=lambda pair: pair[0])
    return _Piece(-error, where, begin, end, end + 1 - begin)


def _widest(schedule: Array, begin: int, end: int, steps: NDArray[np.int64]) -> tuple[float, int]:
    line = np.interp(steps, (begin, end), (schedule[begin], schedule[end]))
    errors = np.abs(schedule[steps] - line)
    worst = int(np.argmax(errors))
    return float(errors[worst]), int(steps[worst])


def _max_error(schedule: Array, where: NDArray[np.int64]) -> float:
    error = 0.0
    for first in range(0, len(schedule), CHUNK_STEPS):
        chunk = schedule[first : first + CHUNK_STEPS]
        line = np.interp(np.arange(first, first + len(chunk)), where, schedule[where])
        error = max(error, float(np.max(np.abs(chunk - line))))
    return error


def restored(steps: NDArray[np.int64], rates: Array) -> Array:
    """The rate of every step from 1 to the last knot."""
    schedule = np.empty(int(steps[-1]))
    for first in range(0, len(schedule), CHUNK_STEPS):
        piece = schedule[first : first + CHUNK_STEPS]
        piece[:] = np.interp(np.arange(first + 1, first + 1 + len(piece)), steps, rates)
    return schedule

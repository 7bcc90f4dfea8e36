"""Which runs a law is asked about that it has not seen: those that lie where the points to come lie, and dearer ones.

A law that foretells well along one axis may fail along another. So runs are held out in the directions in which the
points go beyond the runs: the dearest where they are dearer, those of most experts where they have more. Where no point
goes beyond, parts of the runs are held out by turns.

Source: rolling origin after Tashman (2000), International Journal of Forecasting 16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.fitting.outcomes.axes import Axes, Points

__all__ = ["Direction", "directions", "origins"]

Rows = NDArray[np.int64]

#: Parts of the runs that are fitted before the rest is asked about. By hand.
PARTS = (0.5, 0.65, 0.8, 0.9)
#: Turns in which every run is held out once, where no point goes beyond the runs. By hand.
TURNS = 4
#: How far beyond the runs, in parts of their spread along a direction, a point counts as going beyond. By hand.
BEYOND = 0.02
#: Part of the points that must go beyond along a direction for it to be one. By hand.
LEAST_PART = 0.1
#: Fewest runs that are fitted, and held out. By hand.
FEWEST, FEWEST_HELD = 4, 1
#: Runs farther from the fitted than so many times the points are not asked about, but for the nearest so many, or so
#: large a part of all. By hand.
FARTHER, FEWEST_ASKED, LEAST_HELD = 1.5, 3, 0.05


@final
@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """A way along which points may go beyond the runs.

    Attributes:
        name: in words. weights: key -> weight; the place of a run is the sum of weight times axis.
        sign: 1 where points go beyond the largest place, -1 below the least.
    """

    name: str
    weights: Mapping[str, float]
    sign: float

    def place(self, points: Points) -> Floats:
        """Return how far along each point lies, shape (m,)."""
        return np.asarray(self.sign * np.sum([w * points[key] for key, w in self.weights.items()], axis=0))


def ways(axes: Axes) -> list[Direction]:
    """Return each way along which a point can go beyond: up and down each axis, and up compute."""
    found = [Direction(axis.column, {axis.key: 1.0}, sign) for axis in axes.axes for sign in (1.0, -1.0)]
    if {"size", "tokens"} <= set(axes.keys):
        found.append(Direction("compute", {"size": 1.0, "tokens": 1.0}, 1.0))
    return found


def directions(axes: Axes, runs: Points, asked: Points | None) -> list[Direction]:
    """Return the ways along which the points go beyond the runs; without points, up compute or size."""
    if asked is None:
        dear = [way for way in ways(axes) if way.name == "compute"]
        size = [way for way in ways(axes) if way.sign > 0 and set(way.weights) & {"size"}]
        return dear or size or ways(axes)[:1]
    found = []
    for way in ways(axes):
        here, there = way.place(runs), way.place(asked)
        beyond = there > here.max() + BEYOND * max(float(np.ptp(here)), 1e-9)
        if beyond.mean() >= LEAST_PART:
            found.append(way)
    return found


def origins(axes: Axes, runs: Points, asked: Points | None) -> list[tuple[Rows, Rows]]:
    """Return the rows fitted and the rows held out of each origin, the farthest-reaching first in each direction."""
    count = len(next(iter(runs.values())))
    found: list[tuple[Rows, Rows]] = []
    for way in directions(axes, runs, asked):
        place = way.place(runs)
        ahead = np.inf if asked is None else float(np.max(way.place(asked)) - place.max())
        found += _along(place, ahead)
    return found or _by_turns(count)


def _along(place: Floats, ahead: float) -> list[tuple[Rows, Rows]]:
    """Return origins along a direction: who comes within `ahead` of the fitted; runs of one place stay together."""
    count = len(place)
    values = np.unique(np.round(place, 9))
    cuts: list[float] = []
    for part in PARTS:
        # never all but one value: a law must have seen the direction to be asked about it
        above = values[2:]
        if not len(above):
            return []
        share = np.array([np.mean(place < cut - 1e-9) for cut in above])
        cut = float(above[int(np.argmin(np.abs(share - part)))])
        if cut not in cuts:
            cuts.append(cut)
    found = []
    for cut in cuts:
        fitted, held = np.flatnonzero(place < cut - 1e-9), np.flatnonzero(place >= cut - 1e-9)
        if not len(fitted):
            continue
        # as far as the points lie, and at least so far that some runs do
        past = place[held] - place[fitted].max()
        least = np.sort(past)[min(max(FEWEST_ASKED, round(LEAST_HELD * count)), len(held)) - 1]
        held = held[past <= max(FARTHER * ahead, least) + 1e-9]
        if len(fitted) >= min(FEWEST, count - 1) and len(held) >= FEWEST_HELD:
            found.append((fitted, held))
    return found


def _by_turns(count: int) -> list[tuple[Rows, Rows]]:
    turn = np.random.default_rng(0).permutation(count) % min(TURNS, max(count // 2, 1))
    turns: Sequence[int] = np.unique(turn).tolist()
    return [(np.flatnonzero(turn != one), np.flatnonzero(turn == one)) for one in turns] if len(turns) > 1 else []

"""How far a value axis goes: far enough for what a run does, and not for the one row that left it.

What lies beyond is drawn as an arrow at the edge with its value, so that a spike of a thousand neither presses all else
flat nor is lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats
from scalewatch.charts.axes import Unit
from scalewatch.charts.decimate import Envelope
from scalewatch.charts.records import LEAST_DRAWN, MOST_DRAWN
from scalewatch.charts.spec import Axis, Spec, layer, table, tip
from scalewatch.charts.theme import Theme

__all__ = ["clipped", "drawable", "least_room", "log_losses", "reach_of"]

#: Parts of the stretches whose means, and whose single rows, are always on the axis.
MEANS, ROWS = 0.995, 0.98
#: A row this many times the reach of those beyond it is still shown whole; more of it where a window was chosen.
ROW_ROOM, WINDOW_ROOM = 0.7, 30.0
#: There a row may also be this many times as large as the others.
WINDOW_TIMES = 10.0
#: A band may make the axis longer by this part of it.
BAND_ROOM = 0.8
#: Shortest axis, relative to what it shows.
LEAST_SHARE = 0.004
#: Room above and below.
ROOM = 0.04
#: Arrows at the edge at most [count].
MOST_ARROWS = 60


def drawable(values: NDArray[np.floating], log: bool) -> NDArray[np.bool_]:
    """Return which values an axis can hold, shape (n,)."""
    fine: NDArray[np.bool_] = np.abs(values.astype(np.float64, copy=False)) < MOST_DRAWN
    return fine & (values > LEAST_DRAWN) if log else fine


def log_losses(losses: ArrayLike) -> bool:
    """Return whether losses go on a logarithmic axis unless somebody wants a linear one: where each is above zero.

    >>> log_losses([2.5, float("nan")]), log_losses([0.5, -0.1]), log_losses([float("nan")])
    (True, False, False)
    """
    values = np.asarray(losses)
    fine = drawable(values, log=False)
    return bool(fine.any() and (values[fine] > LEAST_DRAWN).all())


def reach_of(
    rows: Envelope,
    *,
    log: bool,
    early: float = -math.inf,
    whole: bool = False,
    bands: Sequence[Floats] = (),
    zero: bool = False,
    unit: Unit = "loss",
    title: str | None = None,
) -> Axis | None:
    """Return the axis of values that shows a run; None if there is nothing that it could show.

    Args:
        rows: of the window, in stretches. log: a logarithmic axis. early: place before which a row may leave the axis.
        whole: somebody chose the window, so rows that stand far out are what they want to see.
        bands: ends of predicted intervals within the window. zero: the axis begins at zero.
    """
    late = rows.steps >= early
    if not drawable(rows.mean[late], log).any():
        late = np.ones(len(rows.steps), dtype=bool)
    mean, low, high = (column[late][drawable(column[late], log)] for column in (rows.mean, rows.low, rows.high))
    if not mean.size:
        return None
    if log:
        mean, low, high = np.log(mean), np.log(low), np.log(high)
    least = min(float(np.quantile(mean, 1 - MEANS)), float(np.quantile(low, 1 - ROWS)))
    most = max(float(np.quantile(mean, MEANS)), float(np.quantile(high, ROWS)))
    far = max(most - least, least_room(least, most, log))
    room = ROW_ROOM * far
    if whole:
        room = max(WINDOW_ROOM * far, math.log(WINDOW_TIMES) if log else WINDOW_TIMES * abs(most))
    least, most = max(float(low.min()), least - room), min(float(high.max()), most + room)
    fine = [band[drawable(band, log)] for band in bands]
    ends = [np.log(band) if log else band for band in fine if band.size]
    if ends:
        room = BAND_ROOM * max(most - least, least_room(least, most, log))
        lowest, highest = min(float(b.min()) for b in ends), max(float(b.max()) for b in ends)
        least, most = min(least, max(lowest, least - room)), max(most, min(highest, most + room))
    add = max(ROOM * (most - least), 0.5 * (least_room(least, most, log) - (most - least)))
    least, most = least - add, most + add
    if log:
        return Axis(math.exp(least), math.exp(most), True, unit, title)
    from_zero = zero and float(low.min()) >= 0 and least < 0.5 * most
    return Axis(0.0 if from_zero else least, most, False, unit, title)


def least_room(least: float, most: float, log: bool) -> float:
    """Return the length of the shortest axis about some values, or their logarithms: a level run is in its middle."""
    return LEAST_SHARE if log else LEAST_SHARE * max(abs(most), abs(least), LEAST_DRAWN)


def clipped(rows: Envelope, axis: Axis, x: Spec, theme: Theme, name: str) -> list[Spec]:
    """Return an arrow at the upper edge for each group of stretches with rows beyond it, told with its value.

    A group that a run begins with has none: there it falls onto the axis.
    """
    over = rows.high > axis.high
    inside = np.flatnonzero(~over & np.isfinite(rows.high))
    if not over.any() or not len(inside):
        return []
    over[: inside[0]] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[False], over, [False]]).astype(int)))
    peaks = [begin + int(np.argmax(rows.high[begin:stop])) for begin, stop in edges.reshape(-1, 2).tolist()]
    peaks = sorted(sorted(peaks, key=lambda place: -float(rows.high[place]))[:MOST_ARROWS])
    if not peaks:
        return []
    shown = table(x=rows.steps[peaks], high=np.minimum(rows.high[peaks], MOST_DRAWN))
    mark = {"shape": "triangle-up", "filled": True, "size": 46, "color": theme.ink, "opacity": 0.9, "clip": False}
    return [layer("point", shown, mark, x=x, y={"value": 4}, tooltip=[tip("high", f"{name}, off the axis", ".5~g")])]

"""Whether some losses are in another unit than the others: bits per byte among nats per token.

A unit shifts ln(loss) of its runs by one constant and leaves the surface over size and tokens alone. So the test
fits a smooth surface and a shift of some runs, whichever they are, and asks whether two tight groups come out. It
does not look at the residuals of the law, which bends between two groups of equal weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats

__all__ = ["UnitMismatch", "unit_mismatch"]

Rows = NDArray[np.int64]

#: Least shift of ln(loss): bits per token are 0.37 above nats per token, bits per byte 0.9 to 1.3 below. By hand.
LEAST_SHIFT = 0.35
#: Fewest runs of a group. By hand.
FEWEST = 3
#: Runs from which the surface may be curved; with fewer a plane has to do. By hand.
CURVED_FROM = 24
#: Nine runs in ten lie within this part of the shift about their group, and the gap between the groups is at least
#: so large a part of it. By hand.
MOST_WITHIN, LEAST_GAP = 0.15, 0.4
#: A group's scatter over the other's, and scatter that any group may have: diverged runs end anywhere. By hand.
MOST_RATIO, FREE_SCATTER = 2.0, 0.03
#: Runs that are looked at: a few thousand show two units as well as a million do; and rounds in which groups are looked
#: for. By hand.
MOST_RUNS = 4_000
ROUNDS = 30
#: Part of a group's label that size and tokens must leave open: a group that is a size is no unit. By hand.
LEAST_OWN = 0.25


@final
@dataclass(frozen=True, slots=True, eq=False)
class UnitMismatch:
    """Runs that lie a constant factor away from the others.

    Attributes:
        rows: the smaller group. factor: its losses over those of the others at equal size and tokens.
    """

    rows: Rows
    factor: float


def unit_mismatch(log_size: Floats, log_tokens: Floats, log_loss: Floats) -> UnitMismatch | None:
    """Return the runs that lie a constant factor away from the others, None if there is one group.

    Args:
        log_size, log_tokens, log_loss: of the runs, shape (n,).
    """
    if len(log_loss) < 2 * FEWEST:
        return None
    every = _surface(log_size, log_tokens)
    few = np.unique(np.linspace(0, len(log_loss) - 1, min(len(log_loss), MOST_RUNS)).astype(int))
    surface, y = every[few], log_loss[few]
    flat = y - surface @ np.linalg.lstsq(surface, y, rcond=None)[0]
    best = None
    for values in (y, flat, y - surface[:, :3] @ np.linalg.lstsq(surface[:, :3], y, rcond=None)[0]):
        found = _settle(surface, y, values > _cut(values))
        if found is not None and (best is None or found[0] < best[0]):
            best = found
    if best is None:
        return None
    _, weights, shift = best
    high = log_loss - every @ weights > shift / 2
    rows, factor = (np.flatnonzero(high), shift) if 2 * high.sum() <= len(high) else (np.flatnonzero(~high), -shift)
    return UnitMismatch(rows, float(np.exp(factor)))


def _surface(log_size: Floats, log_tokens: Floats) -> Floats:
    x, y = (v - v.mean() for v in (log_size, log_tokens))
    plane = [np.ones_like(x), x, y]
    return np.stack(plane if len(x) < CURVED_FROM else [*plane, x * x, x * y, y * y], axis=1)


def _cut(values: Floats) -> float:
    """Where to cut values in two groups of least squares."""
    ordered = np.sort(values)
    count = np.arange(1, len(ordered))
    left = np.cumsum(ordered)[:-1]
    between = left**2 / count + (ordered.sum() - left) ** 2 / (len(ordered) - count)
    cut = int(np.argmax(between))
    return float(ordered[cut : cut + 2].mean())


def _settle(surface: Floats, y: Floats, high: NDArray[np.bool_]) -> tuple[float, Floats, float] | None:
    """Alternate between the surface with its shift and the groups; return scatter, surface and shift if they part."""
    weights: Floats = np.zeros(surface.shape[1])
    shift = 0.0
    for _ in range(ROUNDS):
        solved: Floats = np.asarray(np.linalg.lstsq(np.column_stack([surface, high]), y, rcond=None)[0])
        weights, shift = solved[:-1].copy(), float(solved[-1])
        if shift < 0:
            weights[0] += shift
            high, shift = ~high, -shift
        again = y - surface @ weights > shift / 2
        if np.array_equal(again, high):
            break
        high = np.asarray(again)
    if min(high.sum(), (~high).sum()) < FEWEST or shift < LEAST_SHIFT:
        return None
    label = high - surface @ np.linalg.lstsq(surface, high.astype(float), rcond=None)[0]
    if label.std() < LEAST_OWN * high.std():
        return None
    off = y - surface @ weights
    within = off - shift * high
    one, other = sorted((float(within[high].std()), float(within[~high].std())))
    tight = float(np.quantile(np.abs(within), 0.9)) < MOST_WITHIN * shift and other < MOST_RATIO * one + FREE_SCATTER
    apart = float(np.quantile(off[high], 0.02) - np.quantile(off[~high], 0.98)) > LEAST_GAP * shift
    return (float(within.std()), weights, shift) if tight and apart else None

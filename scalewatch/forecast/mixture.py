"""A weighted set of Gaussians for one quantity, and its quantiles: sorted only where one is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scalewatch.arrays import Floats

__all__ = ["LEAST_WEIGHT", "Mixture", "WeightedPoints"]

#: Shapes that weigh less than this over the heaviest are left out of a quantile: hundreds of them are a percent.
#: By hand.
LEAST_WEIGHT = 1e-5
#: Points that stand for each Gaussian of the mixture when quantiles are taken: its quantiles at 1/30, 3/30 ... 29/30,
#: written down because `statistics` takes a tenth of the time of `import scalewatch`. By definition.
_UPPER = (
    *(0.1678940047881054, 0.34069482708779536, 0.5244005127080407, 0.7279132908816445),
    *(0.9674215661017014, 1.2815515655446008, 1.8339146358159142),
)
_NODES = np.array([-node for node in reversed(_UPPER)] + [0.0, *_UPPER])
#: Drawers that points are laid into before one of them is sorted, and points or levels from which on nothing is gained
#: by it: fewer points are sorted as fast, and more levels want all of them. By hand, measured.
_BINS, _FEW_POINTS, _MANY_LEVELS = 256, 256, 12


@final
class WeightedPoints:
    """A quantity that takes some values, each with a probability.

    Args:
        points: shape (p,). masses: positive, shape (p,), summing to 1.
    """

    def __init__(self, points: Floats, masses: Floats) -> None:
        self._points, self._masses = points, masses
        self._sorted: tuple[Floats, Floats] | None = None
        self._stretches: dict[int, tuple[Floats, Floats]] = {}
        low, high = float(points.min()), float(points.max())
        # what is not finite, or one and the same, has no drawers
        self._in_bins = len(points) > _FEW_POINTS and 0.0 < high - low < np.inf
        if self._in_bins:
            self._bins = ((points - low) * (_BINS / (high - low))).astype(np.intp)
            mass = np.bincount(self._bins, masses)
            self._filled = np.flatnonzero(mass)
            self._mass_to = np.cumsum(mass[self._filled])

    def quantiles(self, levels: Floats) -> Floats:
        """Return the quantiles at `levels`, shape (q,), each in (0, 1): straight between the middles of masses."""
        if not self._in_bins or len(levels) > _MANY_LEVELS:
            values: Floats = np.interp(levels, *self.cumulated())
            return values
        places = np.searchsorted(self._mass_to, levels).tolist()
        found = [
            float(np.interp(level, *self._around(min(place, len(self._filled) - 1))))
            for level, place in zip(levels.tolist(), places, strict=True)
        ]
        return np.array(found)

    def cumulated(self) -> tuple[Floats, Floats]:
        """Return levels, shape (p,), rising, and the quantile at each: between them it is taken straight."""
        if self._sorted is None:
            self._sorted = _cumulated(self._points, self._masses, 0.0)
        return self._sorted

    def _around(self, place: int) -> tuple[Floats, Floats]:
        """The sorted points of a drawer and of those on either side, which hold the neighbours of what lies in it."""
        if place not in self._stretches:
            first, last = self._filled[max(place - 1, 0)], self._filled[min(place + 1, len(self._filled) - 1)]
            inside = np.flatnonzero((self._bins >= first) & (self._bins <= last))
            below = float(self._mass_to[place - 2]) if place > 1 else 0.0
            self._stretches[place] = _cumulated(self._points[inside], self._masses[inside], below)
        return self._stretches[place]


def _cumulated(points: Floats, masses: Floats, below: float) -> tuple[Floats, Floats]:
    """Levels, rising, and the quantile at each, of points that have so much mass below them."""
    order = np.argsort(points, kind="stable")
    ordered = masses[order]
    return below + np.cumsum(ordered) - 0.5 * ordered, points[order]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """A weighted set of Gaussians for one quantity.

    Attributes:
        means: shape (h,). sds: shape (h,). weights: shape (h,), summing to 1.
    """

    means: Floats
    sds: Floats
    weights: Floats

    def quantiles(self, levels: Floats) -> Floats:
        """Return the quantiles at `levels`, shape (q,), each in (0, 1)."""
        return self.points().quantiles(levels)

    def points(self) -> WeightedPoints:
        """Return the points that stand for it, for several quantiles of the same."""
        heavy = self.weights > LEAST_WEIGHT * self.weights.max()
        means, sds, weights = self.means[heavy], self.sds[heavy], self.weights[heavy]
        points = means[:, None] + sds[:, None] * _NODES[None, :]
        masses = np.repeat(weights / (weights.sum() * len(_NODES)), len(_NODES))
        return WeightedPoints(points.ravel(), masses)

    def drawn_in(self, share: float) -> Mixture:
        """Return it drawn in about its median to `share` of its width."""
        middle = float(self.quantiles(np.array([0.5]))[0])
        return Mixture(middle + share * (self.means - middle), share * self.sds, self.weights)

    @property
    def mean(self) -> float:
        """Mean of the mixture."""
        return float(self.weights @ self.means)

    @property
    def sd(self) -> float:
        """Standard deviation of the mixture."""
        mean = self.mean
        return float(np.sqrt(self.weights @ (self.sds**2 + (self.means - mean) ** 2)))

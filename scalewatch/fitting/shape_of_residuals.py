"""Whether a law's residuals have a shape: then its form is wrong, however small they are, and they grow beyond it.

With r = ln(observed / predicted), the sign that is seen on public ladders is one in the smallest sizes and the other in
the largest: r correlates with ln(tokens / parameters) at +0.93 in the smallest quarter of the runs of Li et al. (2025),
at -0.91 in the largest, where an exponent of data that moves with size leaves 0.2 % and Chinchilla's form 0.9 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.fitting.families import Points
from scalewatch.fitting.status import outliers

__all__ = ["ResidualShape", "residual_shape"]

#: Runs from which a surface of six numbers and a quarter of the sizes say something. By hand.
FEWEST = 16
#: Part of the residuals' variance, for the numbers it takes, that a surface must describe. Of 18 public sets 3 lie
#: above with both correlations, and the points of Hoffmann et al. (2022) at 0.32. By hand.
LEAST_DESCRIBED = 0.5
#: Correlation of residuals with ln(tokens / parameters) that both quarters must have, of opposite signs. By hand.
LEAST_CORRELATION = 0.3
#: Part of the runs that counts as the smallest, and the largest. By hand.
QUARTER = 0.25
#: Least that the surface may move ln(loss) (sd): below that seeds and rounding are what is seen. By hand.
LEAST_MOVED = 0.001


@final
@dataclass(frozen=True, slots=True)
class ResidualShape:
    """What the residuals of a law look like.

    Attributes:
        smallest, largest: correlation with ln(tokens / parameters) in the smallest and the largest quarter of the runs.
        moved: sd of the smooth part of ln(observed / predicted).
    """

    smallest: float
    largest: float
    moved: float


def residual_shape(residuals: Floats, points: Points) -> ResidualShape | None:
    """Return the shape of a law's residuals, None where they have none.

    Args:
        residuals: ln(observed / predicted), shape (n,). points: the runs.
    """
    keep = np.setdiff1d(np.arange(len(residuals)), outliers(residuals))
    if len(keep) < FEWEST:
        return None
    r = residuals[keep]
    x, y = (v[keep] - v[keep].mean() for v in (points.log_size, points.log_tokens))
    surface = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    smooth = surface @ np.linalg.lstsq(surface, r, rcond=None)[0]
    whole = float(np.sum((r - r.mean()) ** 2))
    left = float(np.sum((r - smooth) ** 2)) * (len(r) - 1) / (len(r) - surface.shape[1])
    moved = float(np.std(smooth))
    if not whole > 0 or 1 - left / whole < LEAST_DESCRIBED or moved < LEAST_MOVED:
        return None
    smallest, largest = (
        _correlation(r[part], (y - x)[part])
        for part in (x <= np.quantile(x, QUARTER), x >= np.quantile(x, 1 - QUARTER))
    )
    opposite = smallest * largest < 0 and min(abs(smallest), abs(largest)) > LEAST_CORRELATION
    return ResidualShape(smallest, largest, moved) if opposite else None


def _correlation(left: Floats, right: Floats) -> float:
    if len(left) < 3 or not (np.ptp(left) > 0 and np.ptp(right) > 0):
        return 0.0
    return float(np.corrcoef(left, right)[0, 1])

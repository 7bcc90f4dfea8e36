"""How much wider a forecast has to be, for what came was not what had been forecast.

At each completed stretch the law is asked, from what was known a quarter of the walk before, where that stretch would
lie. The score is how far it lay off, in standard deviations of the forecast. A quantile of the scores is tracked: it
rises by rate (1 - a) after a miss and falls by rate a after a hit, so that in the long run the interval misses a part
a of what comes, whatever comes. Where it is above what the law itself says, the interval is that much wider; it is
never narrower, for a curve that goes on as it did says nothing of a decay that is still ahead.

Source: adaptive conformal inference (Gibbs and Candès 2021, arXiv 2106.00170), in the form that tracks the quantile
(Angelopoulos, Candès and Tibshirani 2023, arXiv 2307.16895, section 2.1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scalewatch.forecast.posterior import predict_ahead
from scalewatch.forecast.shape_prior import Asked

__all__ = ["surprise"]

Floats = NDArray[np.float64]

#: How far ahead each stretch is forecast: S there over S of the newest stretch known. By hand.
AHEAD = 1.25
#: Stretches that must be known for a forecast to count. By hand.
FEWEST = 4
#: Part of the stretches that the interval may miss, and the two-sided quantile of a Gaussian for it. By hand.
MISS, NOMINAL = 0.2, 1.2816
#: Step of the tracker over the largest score so far (Angelopoulos et al. 2023, section 2.1).
RATE = 0.1
#: Wider than this many times, the interval tells that nothing is known. By hand.
MOST = 20.0


def surprise(asked: Asked, spread: float, walked: Floats, annealed: Floats, losses: Floats, noise: Floats) -> float:
    """Return how many times wider the intervals of a law must be, 1 to 20, by how it foretold the curve so far.

    Args:
        asked: the law as it entered the competition, before the run. spread: of its intervals over its posterior.
        walked: S of each stretch, shape (n,), rising. annealed: D, shape (n, k). losses: shape (n,) [nats/token].
        noise: relative sd of each.
    """
    parts = walked / asked.end_lr_sum
    known = np.searchsorted(parts, parts / AHEAD, side="right")
    blocks = np.flatnonzero(known >= FEWEST)
    if not len(blocks):
        return 1.0
    mean, sd_law = predict_ahead(asked, walked, annealed, losses, noise, known[blocks], blocks)
    sd = np.hypot(spread * sd_law, noise[blocks] * losses[blocks])
    scores = np.abs(losses[blocks] - mean) / sd
    if not np.any(scores > NOMINAL):
        return 1.0  # only a miss moves the quantile away from what the law says
    tracked, largest = NOMINAL, 0.0
    for score in scores.tolist():
        largest = max(largest, score)
        miss = score > tracked
        tracked = max(tracked + RATE * largest * (miss - MISS), NOMINAL)
    return min(tracked / NOMINAL, MOST)

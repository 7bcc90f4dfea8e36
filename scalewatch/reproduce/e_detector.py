"""The sequential test of rows 16 to 18: e-values of block means against a level that may drift.

    x      = (block mean - level) / scale, the level a local-level Kalman filter, the scale that of its innovations
    M(l)   <- (M(l) + 1) exp(l (x - 1/2) - l^2 / 2),    alarm when the mean of M over l reaches 157, on either side

If the innovations are sub-Gaussian with that scale and no mean beyond half of it, an alarm comes no sooner than every
157 blocks on average: 10,000 steps, for each side.

Why it is here and not a detector: it sees a rise that is a tenth of what a law may be wrong by, and could not say which
of the two it saw. A run is held against its law with that law's error (`scalewatch.forecast.law_residual_detector`).

Source: Shin, Ramdas, Rinaldo (2023), arXiv 2203.03532, the e-SR detector.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats

__all__ = ["BLOCK", "alarms", "block_means"]

#: Steps of a block; blocks of 64 are nearly white where steps are correlated at 0.9.
BLOCK = 64
#: Blocks between false alarms, for each side: 10,000 steps.
THRESHOLD = 157.0
#: Bets that are averaged, and the mean that is tolerated [scales].
BETS, TOLERATED = np.array([0.25, 0.5, 1.0, 1.5, 2.0]), 0.5
#: Largest innovation that counts, and that the scale learns from [scales].
MOST, WINSOR = 6.0, 4.0
#: How far the level may drift [log loss] in so many steps; part of the scale that a block renews.
DRIFT, DRIFT_STEPS, RENEWED = 0.005, 5_000.0, 0.02
#: Blocks that the level and scale are first taken from; there is no alarm among them.
FIRST = 16


def block_means(series: Floats) -> Floats:
    """Return the means of whole blocks of `BLOCK` steps, shape (..., n // BLOCK) from (..., n)."""
    whole = series.shape[-1] // BLOCK * BLOCK
    return np.asarray(series[..., :whole].reshape(*series.shape[:-1], -1, BLOCK).mean(axis=-1))


def alarms(blocks: Floats) -> NDArray[np.bool_]:
    """Return in which blocks an alarm is raised, shape (r, n), for r series of block means of log residuals.

    After an alarm the test begins anew, at the level at hand.
    """
    raised = np.zeros(blocks.shape, dtype=bool)
    level = blocks[:, :FIRST].mean(axis=1)
    variance = np.maximum(blocks[:, :FIRST].var(axis=1, ddof=1), 1e-30)
    doubt = variance / FIRST
    drift = DRIFT**2 * BLOCK / DRIFT_STEPS
    wealth = np.zeros((2, len(blocks), len(BETS)))
    for k in range(FIRST, blocks.shape[1]):
        doubt = doubt + drift
        scale = np.sqrt(variance + doubt)
        innovation = blocks[:, k] - level
        x = innovation / scale
        for side, ahead in enumerate((x, -x)):
            bet = np.minimum(ahead, MOST)[:, None] - TOLERATED
            wealth[side] = (wealth[side] + 1.0) * np.exp(BETS * bet - 0.5 * BETS**2)
        over = (wealth.mean(axis=2) >= THRESHOLD).any(axis=0)
        raised[:, k] = over
        wealth[:, over] = 0.0
        gain = doubt / (doubt + variance)
        level = level + gain * innovation
        doubt = (1.0 - gain) * doubt
        held = np.clip(x, -WINSOR, WINSOR) * scale
        # an innovation has the level's doubt in it too
        seen = np.maximum(held**2 - doubt, 1e-2 * variance)
        variance = variance + RENEWED * (seen - variance)
    return raised


def per_ten_thousand(raised: NDArray[np.bool_]) -> float:
    """Return alarms for every 10,000 steps."""
    return float(raised.sum()) / (raised.size * BLOCK) * 1e4 if raised.size else math.nan

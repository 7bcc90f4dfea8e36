"""What is known of a law before its run: shapes of the curve with a weight each, its end, and what it still gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np

from scalewatch.arrays import Floats

__all__ = ["LEAST_WALK", "MISFIT", "Asked", "ShapePrior"]

#: Relative misfit of the law on the newest block, from whole-curve fits of public runs (0.02 to 0.6 %). Chosen with the
#: prior of candidates.py on the runs of tests/benchmarks/forecast.py.
MISFIT = 0.003
#: S / S(end) before which a curve is drawn level: no law holds there, and a steep one leaves the floats. By hand.
LEAST_WALK = 1e-4


@final
@dataclass(frozen=True, slots=True, eq=False)
class ShapePrior:
    """A grid of shapes with the prior of each, and the Gaussian prior of (P, A).

    Attributes:
        alphas: exponents, shape (a,).
        ratios: rho, gain of a full decay over A, shape (r,).
        gains: G, gain of a full decay that A does not tell [nats/token], shape (r,).
        memories: memories of the decay [steps], shape (k,).
        log_weights: log prior of each shape, shape (a, r, k), up to a constant.
        end_loss: mean and sd of P [nats/token]; None where nothing is known before the run.
        remaining: mean and sd of A [nats/token].
    """

    alphas: Floats
    ratios: Floats
    gains: Floats
    memories: Floats
    log_weights: Floats
    end_loss: tuple[float, float] | None
    remaining: tuple[float, float]

    def regressors(self, walked: Floats, annealed: Floats) -> Floats:
        """Return x_h, shape (n, h) for h shapes, at S / S(end) = `walked` (n,) with D = `annealed` (n, k)."""
        power: Floats = np.maximum(walked, LEAST_WALK)[:, None] ** -self.alphas[None, :]
        gained: Floats = self.ratios[None, None, :, None] * annealed[:, None, None, :]
        x: Floats = power[:, :, None, None] - gained
        return x.reshape(len(walked), self.log_weights.size)

    def gained(self, annealed: Floats) -> Floats:
        """Return G D, shape (n, h) for h shapes [nats/token], at D = `annealed` (n, k)."""
        each = self.gains[None, None, :, None] * annealed[:, None, None, :]
        spread: Floats = np.broadcast_to(each, (len(annealed), *self.log_weights.shape))
        return spread.reshape(len(annealed), self.log_weights.size)


@final
class Asked(NamedTuple):
    """What a curve is asked: about one law in one future.

    Attributes:
        prior: shapes and the prior of (P, A). end_lr_sum, end_annealing_sum: S and D, shape (k,), at the planned end.
        misfit: relative sd of the law's own error on the newest block.
        gain_error: sd of the gain of a full decay that is still to come, as a part of the loss.
        fall_error: sd of what is still to fall from the newest block on, as a part of it.
    """

    prior: ShapePrior
    end_lr_sum: float
    end_annealing_sum: Floats
    misfit: float = MISFIT
    gain_error: float = 0.0
    fall_error: float = 0.0

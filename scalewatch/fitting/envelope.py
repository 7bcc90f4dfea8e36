"""The envelope of training curves: at each compute the lowest loss that any run has, and the size that has it.

Below the budget where the smallest size is overtaken, and above the one where the largest overtakes, the size that
would be best was not trained: the envelope leaves its ends out. A size that is best no longer because its runs end
has not been overtaken either; runs of one length each, tokens in proportion to size, have an envelope of such ends
only, and it says how they were planned and nothing of what is best.

Source: Hoffmann et al. (2022), arXiv 2203.15556, section 3.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.families import Points
from scalewatch.fitting.isoflop import check_noise

__all__ = ["EnvelopeLine", "fit_envelope"]

#: Budgets at which the envelope is read (Hoffmann et al. 2022, section 3.1).
ENVELOPE_BUDGETS = 1_500
#: Resamples behind an interval, and part of them that must have a line. By hand.
RESAMPLES, MOSTLY = 200, 0.8
#: Sizes an envelope needs: two budgets where one overtakes another take three, and a third shows whether they scatter.
#: By hand.
LEAST_SIZES = 4


@final
@dataclass(frozen=True, slots=True, eq=False)
class EnvelopeLine:
    """A power law of the best size in compute, N = exp(log_scale) C^exponent.

    Attributes:
        exponent: a. log_scale: ln of the best size at 1 FLOP.
        flops: least and most compute at which one size overtakes another [FLOP].
        draws: a in each resample, shape (r,), None if noise leaves too few of them a line.
    """

    exponent: float
    log_scale: float
    flops: tuple[float, float]
    draws: Floats | None


def fit_envelope(points: Points, labels: NDArray[np.int64], *, noise_nats: float, seed: int = 0) -> EnvelopeLine:
    """Fit the power law of the size that is best at each compute.

    Args:
        points: rows of training curves. labels: run of each, shape (n,), numbered from 0.
        noise_nats: standard deviation of a final loss over seeds [nats/token]. seed: of the resamples.

    Raises:
        FitError: if there are too few sizes, or they do not overtake each other.
    """
    check_noise(noise_nats)
    curves = _curves(points, labels, noise_nats)
    if len(np.unique(curves.size)) < LEAST_SIZES:
        raise FitError(f"An envelope takes {LEAST_SIZES} sizes with curves.")
    line = _envelope_line(curves.size, curves.log_loss, curves.log_flops)
    if line is None:
        raise FitError(
            "At fewer than two budgets does a size overtake another while both are trained: train small sizes longer."
        )
    draws = _envelope_draws(curves, line, np.random.default_rng(seed))
    return EnvelopeLine(line.slope, line.level, line.reach, draws if len(draws) > MOSTLY * RESAMPLES else None)


@final
@dataclass(frozen=True, slots=True, eq=False)
class _Curves:
    """ln(size) of each run (r,), its ln(loss) on common budgets (r, c), NaN outside, ln of these (c,), its noise (r,).

    The noise is the standard deviation of ln(loss) over seeds.
    """

    size: Floats
    log_loss: Floats
    log_flops: Floats
    noise: Floats


@final
@dataclass(frozen=True, slots=True)
class _Line:
    """ln(best size) over ln(compute); `slope_sd` from the scatter of the budgets where one size overtakes another."""

    level: float
    slope: float
    slope_sd: float
    reach: tuple[float, float]


def _curves(points: Points, labels: NDArray[np.int64], noise_nats: float) -> _Curves:
    log_flops = points.log_flops
    grid = np.linspace(log_flops.min(), log_flops.max(), ENVELOPE_BUDGETS)
    sizes, curves, noise = [], [], []
    by_run = np.argsort(labels, kind="stable")
    for rows in np.split(by_run, np.flatnonzero(np.diff(labels[by_run])) + 1):
        own = rows[np.argsort(log_flops[rows], kind="stable")]
        if len(own) < 2:
            continue
        sizes.append(points.log_size[own[0]])
        curves.append(np.interp(grid, log_flops[own], points.log_loss[own], left=np.nan, right=np.nan))
        noise.append(noise_nats / math.exp(points.log_loss[own[-1]]))
    return _Curves(np.array(sizes), np.array(curves).reshape(-1, len(grid)), grid, np.array(noise))


def _envelope_line(sizes: Floats, curves: Floats, log_flops: Floats) -> _Line | None:
    """Return the line through the envelope of some runs; None if sizes overtake each other at fewer than two budgets.

    Where one size overtakes the next the best is halfway between them, and from there to the next such budget it grows
    evenly. A line through the steps themselves is too flat, by 1 / m^2 for m of them.
    """
    finite = np.isfinite(curves)
    covered = np.sum(finite, axis=0) >= 2
    if not covered.any():
        return None
    losses, at = np.where(finite, curves, np.inf)[:, covered], log_flops[covered]
    run = np.argmin(losses, axis=0)
    best = sizes[run]
    step = np.flatnonzero(np.abs(np.diff(best)) > 1e-9)
    # a size that is best no longer because its runs end, or only because its runs begin, has not been overtaken
    trained = {size: np.any(np.isfinite(losses[sizes == size]), axis=0) for size in np.unique(best).tolist()}
    both = [
        trained[before][i + 1] and trained[after][i]
        for i, before, after in zip(step, best[step], best[step + 1], strict=True)
    ]
    step = step[np.array(both, dtype=bool)]
    here, middle = 0.5 * (at[step] + at[step + 1]), 0.5 * (best[step] + best[step + 1])
    distinct = len(np.unique(np.round(middle, 9)))
    if distinct < 2:
        return None
    grid = np.linspace(here[0], here[-1], len(log_flops))
    slope, level = np.polyfit(grid, np.interp(grid, here, middle), 1)
    left = middle - level - slope * here
    slope_sd = math.sqrt(float(np.mean(left**2)) / max(distinct - 2, 1)) / float(np.std(here))
    return _Line(float(level), float(slope), slope_sd, (float(np.exp(here[0])), float(np.exp(here[-1]))))


def _envelope_draws(curves: _Curves, line: _Line, stream: np.random.Generator) -> Floats:
    """Return the slope for other runs of each size and other seeds, and scatter about the line that these leave over.

    Why sizes are not drawn: a line through some of eight sizes has ten times the error of one through all.
    """
    sizes, of = np.unique(curves.size, return_inverse=True)
    own = [np.flatnonzero(of == k) for k in range(len(sizes))]
    slopes = []
    for _ in range(RESAMPLES):
        runs = np.concatenate([stream.choice(rows, len(rows)) for rows in own])
        seeds = curves.noise[runs] * stream.standard_normal(len(runs))
        other = _envelope_line(curves.size[runs], curves.log_loss[runs] + seeds[:, None], curves.log_flops)
        if other is not None:
            slopes.append(other.slope)
    missing = max(line.slope_sd**2 - float(np.var(slopes)), 0.0) ** 0.5 if slopes else 0.0
    return np.array(slopes) + missing * stream.standard_normal(len(slopes))

"""The best size at one budget, from finished runs of that budget.

Runs of equal compute and different size make a valley in ln(loss) over ln(size). Its bottom is found either as
the minimum of a parabola (Hoffmann et al. 2022, approach 2) or of an Akima interpolant (Porian et al. 2024); how
well it is known comes from adding the noise of training to the losses, again and again. A bottom at the edge of
the sizes is none.

Why both: the parabola is steady on few points and wrong on a valley that is not one, and that alone moves an
allocation exponent by up to 0.03.

Sources: Hoffmann et al. (2022), arXiv 2203.15556, section 3.2; Porian et al. (2024), arXiv 2406.19146, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.errors import FitError
from scalewatch.laws.families import read_points
from scalewatch.laws.size import Parameters

__all__ = ["AllocationFit", "Bottom", "Method", "allocation_fit", "bottoms"]

Floats = NDArray[np.float64]
Method = Literal["parabola", "akima"]

#: Standard deviation of a final loss over seeds [nats/token] on RefinedWeb (Porian et al. 2024).
SEED_NOISE_NATS = 0.002
#: Noisy repeats of each valley (Porian et al. 2024).
REPEATS = 1_000
#: Points of the interpolant for each gap between sizes, and the least error in such gaps (Porian et al. 2024).
POINTS_PER_GAP, LEAST_GAP_SHARE = 25, 0.33
#: Relative width of a budget: runs within it count as one budget.
BUDGET_WIDTH = 0.1
#: Sizes about the lowest one that the parabola is fitted to.
PARABOLA_POINTS = 5


@final
@dataclass(frozen=True, slots=True, eq=False)
class Bottom:
    """The best size at one budget.

    Attributes:
        flops: budget [FLOP]. log_size: ln of the best size, median over repeats. log_size_sd: its error.
        loss: there [nats/token]. repeats: ln of the best size in each repeat, shape (r,), those with a bottom.
    """

    flops: float
    log_size: float
    log_size_sd: float
    loss: float
    repeats: Floats


@final
@dataclass(frozen=True, slots=True, eq=False)
class AllocationFit:
    """A power law of the best size in the budget, N = exp(log_scale) C^exponent.

    Attributes:
        exponent: a. log_scale: ln of the best size at 1 FLOP. exponent_sd: standard error of a.
        draws: a in each repeat, shape (r,). left_out: budgets without a bottom, a sentence each.
    """

    exponent: float
    log_scale: float
    exponent_sd: float
    draws: Floats
    bottoms: tuple[Bottom, ...]
    left_out: tuple[str, ...]

    def size_at(self, flops: float) -> float:
        """Return the best size for a budget [FLOP], count."""
        return float(np.exp(self.log_scale + self.exponent * np.log(flops)))


def bottoms(
    parameters: Parameters | ArrayLike,
    flops: ArrayLike,
    loss: ArrayLike,
    *,
    method: Method = "akima",
    noise_nats: float = SEED_NOISE_NATS,
    repeats: int = REPEATS,
    seed: int = 0,
) -> tuple[tuple[Bottom, ...], tuple[str, ...]]:
    """Return the best size of each budget, and why a budget has none.

    Args:
        parameters: shape (n,). flops: budget of each run, shape (n,) [FLOP]; within 10 % they are one budget.
        loss: final loss, shape (n,) [nats/token]. Of several runs of one size and budget the best counts.
        method: "akima" or "parabola". noise_nats: standard deviation of a loss over seeds [nats/token].
        repeats: noisy repeats. seed: of the noise.

    Raises:
        FitError: if the input is no table of positive numbers, or the method is unknown.
    """
    if method not in ("akima", "parabola"):
        raise FitError(f"`method` must be 'akima' or 'parabola' (got {method!r:.80}).")
    if not 0 < noise_nats < 10:
        raise FitError(f"`noise_nats` must be above 0 and below 10 nats/token (got {noise_nats!r:.80}).")
    points = read_points(parameters, flops, loss)
    stream = np.random.default_rng(seed)
    found, left_out = [], []
    for rows in _budgets(points.log_tokens):
        budget = float(np.exp(np.median(points.log_tokens[rows])))
        size, lowest = _best_of_each(points.log_size[rows], np.exp(points.log_loss[rows]))
        least = 4 if method == "akima" else 3
        if len(size) < least:
            left_out.append(f"{budget:.3g} FLOP: {len(size)} sizes, and a valley takes {least}.")
            continue
        bottom = _bottom(budget, size, lowest, method, noise_nats, stream.standard_normal((len(size), repeats)))
        if bottom is None:
            left_out.append(f"{budget:.3g} FLOP: the best size is at the edge of those trained; train beyond it.")
        else:
            found.append(bottom)
    return tuple(found), tuple(left_out)


def allocation_fit(found: Sequence[Bottom], left_out: Sequence[str] = (), *, seed: int = 0) -> AllocationFit:
    """Fit the power law of the best size, weighted by 1 / sd^2 (Porian et al. 2024).

    Args:
        found: best sizes from `bottoms`, at least two budgets. left_out: passed on. seed: of the draws.

    Raises:
        FitError: if there are fewer than two budgets with a best size.
    """
    if len(found) < 2:
        why = "; ".join(left_out) or "no budget was given"
        raise FitError(f"An allocation takes the best size of at least 2 budgets, and {len(found)} has one: {why}")
    log_flops = np.log([bottom.flops for bottom in found])
    sd = np.array([bottom.log_size_sd for bottom in found])
    line = _weighted_line(log_flops, np.array([[bottom.log_size for bottom in found]]), sd)[0]
    stream = np.random.default_rng(seed)
    noisy = np.stack([stream.choice(bottom.repeats, REPEATS) for bottom in found], axis=1)
    draws = _weighted_line(log_flops, noisy, sd)[:, 1]
    # noise on the losses does not know how wrong the valley's shape is: the scatter about the line does
    scatter = _slope_error(log_flops, np.array([b.log_size for b in found]) - line[0] - line[1] * log_flops, sd)
    missing = max(scatter**2 - float(np.var(draws)), 0.0) ** 0.5
    draws = draws + missing * stream.standard_normal(REPEATS)
    return AllocationFit(
        exponent=float(line[1]),
        log_scale=float(line[0]),
        exponent_sd=float(np.std(draws)),
        draws=draws,
        bottoms=tuple(found),
        left_out=tuple(left_out),
    )


def _budgets(log_flops: Floats) -> list[NDArray[np.int64]]:
    order = np.argsort(log_flops, kind="stable")
    cuts = np.flatnonzero(np.diff(log_flops[order]) > np.log1p(BUDGET_WIDTH)) + 1
    return [np.asarray(rows) for rows in np.split(order, cuts)]


def _best_of_each(log_size: Floats, loss: Floats) -> tuple[Floats, Floats]:
    sizes, label = np.unique(np.round(log_size, 9), return_inverse=True)
    lowest = np.full(len(sizes), np.inf)
    np.minimum.at(lowest, label, loss)
    return sizes, lowest


def _bottom(budget: float, size: Floats, loss: Floats, method: Method, noise: float, normal: Floats) -> Bottom | None:
    noisy = np.log(np.maximum(loss[:, None] + noise * normal, 1e-3 * loss[:, None]))
    both = np.concatenate([np.log(loss)[:, None], noisy], axis=1)
    if method == "akima":
        at, value = _akima(size, both)
    else:
        at, value = _parabola(size, both)
    least = LEAST_GAP_SHARE * float(size[-1] - size[0]) / (len(size) - 1)
    fine = np.isfinite(at)
    own, repeats = at[0], at[1:][fine[1:]]
    if not np.isfinite(own) or len(repeats) < 0.5 * normal.shape[1]:
        return None
    sd = max(float(np.std(repeats)), least) * normal.shape[1] / len(repeats)
    loss_there = float(np.exp(np.median(value[1:][fine[1:]])))
    return Bottom(budget, float(np.median(repeats)), max(sd, 1e-6), loss_there, repeats)


def _akima(size: Floats, log_loss: Floats) -> tuple[Floats, Floats]:
    from scipy.interpolate import Akima1DInterpolator

    grid = np.linspace(size[0], size[-1], POINTS_PER_GAP * (len(size) - 1))
    values = np.asarray(Akima1DInterpolator(size, log_loss, axis=0)(grid))
    lowest = np.argmin(values, axis=0)
    inside = (lowest > 0) & (lowest < len(grid) - 1)
    return np.where(inside, grid[lowest], np.nan), np.min(values, axis=0)


def _parabola(size: Floats, log_loss: Floats) -> tuple[Floats, Floats]:
    # the same few sizes for every repeat, those about the lowest loss
    middle = int(np.argmin(log_loss[:, 0]))
    first = min(max(middle - PARABOLA_POINTS // 2, 0), max(len(size) - PARABOLA_POINTS, 0))
    few = slice(first, first + PARABOLA_POINTS)
    centre = size[middle]
    bent, tilt, level = np.polyfit(size[few] - centre, log_loss[few], 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = centre - tilt / (2 * bent)
        value = level - tilt**2 / (4 * bent)
    inside = (bent > 0) & (at > size[0]) & (at < size[-1])
    return np.where(inside, at, np.nan), value


def _slope_error(x: Floats, residuals: Floats, sd: Floats) -> float:
    if len(x) < 3:
        # two budgets leave no residual: what each bottom is known to is all there is
        return float(np.hypot(*sd) / abs(x[-1] - x[0]))
    weight = 1.0 / sd**2
    across = float(weight @ (x - np.average(x, weights=weight)) ** 2)
    return float(np.sqrt(weight @ residuals**2 / (len(x) - 2) / across))


def _weighted_line(x: Floats, y: Floats, sd: Floats) -> Floats:
    """Return intercept and slope of each row of y, (r, n) -> (r, 2)."""
    weight, centre = 1.0 / sd**2, np.average(x, weights=1.0 / sd**2)
    slope = ((y * weight) @ (x - centre)) / float(weight @ (x - centre) ** 2)
    level = (y @ weight) / weight.sum()
    return np.stack([level - slope * centre, slope], axis=1)

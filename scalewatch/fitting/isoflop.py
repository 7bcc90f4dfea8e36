"""The best size at one budget, from finished runs of that budget.

Runs of equal compute and different size make a valley in ln(loss) over ln(size). Its bottom is found either as
the minimum of a parabola (Hoffmann et al. 2022, approach 2) or of an Akima interpolant (Porian et al. 2024); how
well it is known comes from adding the noise of training to the losses, again and again. A bottom at the edge of
the sizes is none.

A budget is a crowd: its runs lie within 10 % of compute, and few lie just beside them. Where compute creeps from
run to run there is none, and no run is taken for one of another budget.

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

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.fitting.families import read_points
from scalewatch.laws.size import Parameters
from scalewatch.text import percent

__all__ = ["AllocationLine", "Bottom", "Method", "allocation_fit", "bottoms", "budget_of_each", "check_noise"]

Method = Literal["parabola", "akima"]

#: Standard deviation of a final loss over seeds [nats/token] on RefinedWeb (Porian et al. 2024).
SEED_NOISE_NATS = 0.002
#: Noisy repeats of each valley (Porian et al. 2024).
REPEATS = 1_000
#: Points of the interpolant for each gap between sizes, and the least error in such gaps (Porian et al. 2024).
POINTS_PER_GAP, LEAST_GAP_SHARE = 25, 0.33
#: Relative width of a budget: all its runs lie within it. By hand.
BUDGET_WIDTH = 0.1
#: A budget holds so many times the runs that lie within its width below and above it; evenly spread ones, half.
#: By hand.
CROWD = 2.0
#: Log size within which two runs are of one size. By hand.
SAME_SIZE = 0.03
#: Sizes about the lowest one that the parabola is fitted to: five, and all within a factor of two of it. By hand.
PARABOLA_POINTS, PARABOLA_REACH = 5, float(np.log(2.0))
#: Neighbours either side that noise is measured against, and measurements that it takes. By hand.
NEIGHBOURS, LEAST_MEASURED = 2, 5
#: Log size within which these neighbours lie: of further ones the shape of the valley is left over, not the noise.
#: By hand.
NEAR = float(np.log(2.0))


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
class AllocationLine:
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
    """Return the best size of each budget, and a sentence for each reason why runs or budgets have none.

    Losses are moved to the middle of their budget along the frontier, which by the envelope theorem is how the loss
    at a bottom falls with compute.

    Args:
        parameters: shape (n,). flops: compute of each run, shape (n,) [FLOP]; budgets as in `budget_of_each`.
        loss: final loss, shape (n,) [nats/token]. Of several runs of one size and budget the best counts.
        method: "akima" or "parabola". noise_nats: standard deviation of a loss over seeds [nats/token]; where the
            losses themselves scatter more, that is taken. repeats: noisy repeats. seed: of the noise.

    Raises:
        FitError: if the input is no table of positive numbers, or the method is unknown.
    """
    if method not in ("akima", "parabola"):
        raise FitError(f"`method` must be 'akima' or 'parabola' (got {method!r:.80}).")
    check_noise(noise_nats)
    points = read_points(parameters, flops, loss)
    # in the place of the tokens stands the compute
    valleys, left_out = _valleys(points.log_size, points.log_tokens, points.log_loss, 4 if method == "akima" else 3)
    measured = _measured_noise(valleys)
    stream = np.random.default_rng(seed)
    found, none = [], _None([], [], [])
    for log_flops, size, log_loss in valleys:
        noise = np.maximum(noise_nats * np.exp(-log_loss), measured)
        normal = stream.standard_normal((len(size), repeats))
        bottom = _bottom(float(np.exp(log_flops)), size, log_loss, method, noise, normal)
        if bottom is None:
            none.add(log_flops, int(np.argmin(log_loss)), len(size))
        else:
            found.append(bottom)
    return tuple(found), (*none.sentences(), *left_out)


def check_noise(noise_nats: float) -> None:
    """Refuse a noise that is none.

    Raises:
        FitError: unless `noise_nats` is above 0 and below 10 nats/token.
    """
    if not 0 < noise_nats < 10:
        raise FitError(f"`noise_nats` must be above 0 and below 10 nats/token (got {noise_nats!r:.80}).")


def budget_of_each(parameters: Parameters | ArrayLike, flops: ArrayLike, *, sizes: int = 3) -> Floats:
    """Return the budget [FLOP] of each run, shape (n,), NaN for a run of none.

    Args:
        parameters: shape (n,). flops: compute of each run, shape (n,) [FLOP]. sizes: those a budget takes.

    Raises:
        FitError: if the input is no table of positive numbers.
    """
    points = read_points(parameters, flops, np.ones(np.shape(flops)))
    budget = np.full(len(points), np.nan)
    for rows in _budgets(points.log_size, points.log_tokens, sizes)[0]:
        budget[rows] = np.exp(np.median(points.log_tokens[rows]))
    return budget


def allocation_fit(found: Sequence[Bottom], left_out: Sequence[str] = (), *, seed: int = 0) -> AllocationLine:
    """Fit the power law of the best size, weighted by 1 / sd^2 (Porian et al. 2024).

    Args:
        found: best sizes from `bottoms`, at least two budgets. left_out: passed on. seed: of the draws.

    Raises:
        FitError: if there are fewer than two budgets with a best size.
    """
    if len(found) < 2:
        why = " ".join(left_out) or "No budget was given."
        known = "one is" if found else "none is"
        raise FitError(f"An allocation takes the best size of at least 2 budgets, and {known} known. {why}")
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
    return AllocationLine(
        exponent=float(line[1]),
        log_scale=float(line[0]),
        exponent_sd=float(np.std(draws)),
        draws=draws,
        bottoms=tuple(found),
        left_out=tuple(left_out),
    )


@final
@dataclass(frozen=True, slots=True)
class _None:
    """Budgets [FLOP] without a bottom: those best at the smallest size, at the largest, and those without either."""

    low: list[str]
    high: list[str]
    flat: list[str]

    def add(self, log_flops: float, lowest: int, sizes: int) -> None:
        """Note a budget whose least loss is at one of its sizes."""
        where = self.low if lowest == 0 else self.high if lowest == sizes - 1 else self.flat
        where.append(f"{np.exp(log_flops):.3g}")

    def sentences(self) -> list[str]:
        """Return a sentence for each kind."""
        kinds = (
            (self.low, "the best size is at the lower edge of those trained; train smaller ones"),
            (self.high, "the best size is at the upper edge of those trained; train larger ones"),
            (self.flat, "noise moves the bottom to the edge of the sizes; train more of them, further apart"),
        )
        return [f"{', '.join(budgets)} FLOP: {what}." for budgets, what in kinds if budgets]


def _budgets(log_size: Floats, log_flops: Floats, least: int) -> tuple[list[NDArray[np.int64]], list[str]]:
    """Return the rows of each budget of `least` sizes or more, rising in compute, and why rows are of none."""
    width = float(np.log1p(BUDGET_WIDTH))
    order = np.argsort(log_flops, kind="stable")
    at, size = log_flops[order], np.round(log_size[order] / SAME_SIZE)
    ends = np.searchsorted(at, at + width * (1 + 1e-9), side="right")
    sizes = [len(set(size[i:end].tolist())) for i, end in enumerate(ends.tolist())]
    extent = at[ends - 1] - at
    budgets, most, crowded, taken = [], 0, 0, np.zeros(len(at), dtype=bool)
    for first in np.lexsort((extent, -np.array(sizes))).tolist():
        end = int(ends[first])
        if taken[first:end].any():
            continue
        taken[first:end] = True
        beside = np.searchsorted(at, [at[first] - width, at[end - 1] + width])
        if sizes[first] < least:
            most = max(most, sizes[first])
        elif end - first < CROWD * (beside[1] - beside[0] - (end - first)):
            crowded += 1
        else:
            budgets.append(order[first:end])
    budgets.sort(key=lambda rows: float(log_flops[rows[0]]))
    lone, why = len(at) - sum(len(rows) for rows in budgets), []
    if most:
        held = "one size lies" if most == 1 else f"{most} sizes lie"
        why.append(f"at most {held} within {percent(BUDGET_WIDTH)} of compute, and a valley takes {least}")
    if crowded:
        why.append(f"where compute creeps from run to run no budget can be told ({crowded} such places)")
    return budgets, [f"{lone} of {len(at)} runs are of no budget: {'; '.join(why)}."] if lone and why else []


def _valleys(
    log_size: Floats, log_flops: Floats, log_loss: Floats, least: int
) -> tuple[list[tuple[float, Floats, Floats]], list[str]]:
    """Return ln(budget), ln(sizes) and the least ln(loss) of each, moved to the budget; and why rows are of none."""
    budgets, left_out = _budgets(log_size, log_flops, least)
    middles = [float(np.median(log_flops[rows])) for rows in budgets]
    lowest = [float(np.min(log_loss[rows])) for rows in budgets]
    fall = float(np.polyfit(middles, lowest, 1)[0]) if len(budgets) > 1 else 0.0
    valleys = []
    for rows, middle in zip(budgets, middles, strict=True):
        moved = log_loss[rows] + fall * (middle - log_flops[rows])
        valleys.append((middle, *_best_of_each(log_size[rows], moved)))
    return [valley for valley in valleys if len(valley[1]) >= least], left_out


def _best_of_each(log_size: Floats, log_loss: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(log_size, kind="stable")
    best: list[int] = []
    first = -np.inf
    for row in order.tolist():
        if log_size[row] - first > SAME_SIZE:
            first = float(log_size[row])
            best.append(row)
        elif log_loss[row] < log_loss[best[-1]]:
            best[-1] = row
    return log_size[best], log_loss[best]


def _measured_noise(valleys: Sequence[tuple[float, Floats, Floats]]) -> float:
    """Return the standard deviation of ln(loss) about the cubic through the neighbours of each size near a bottom.

    Source: Gasser, Sroka and Jennen-Steinmetz (1986), Biometrika 73, pseudo-residuals, here of a higher order.
    """
    found = []
    for _, size, log_loss in valleys:
        lowest = int(np.argmin(log_loss))
        for i in range(max(lowest - NEIGHBOURS, NEIGHBOURS), min(lowest + NEIGHBOURS + 1, len(size) - NEIGHBOURS)):
            near = [j for j in range(i - NEIGHBOURS, i + NEIGHBOURS + 1) if j != i]
            if max(size[near[-1]] - size[i], size[i] - size[near[0]]) > NEAR:
                continue
            weight = np.array(
                [np.prod([(size[i] - size[k]) / (size[j] - size[k]) for k in near if k != j]) for j in near]
            )
            found.append(
                abs(float(log_loss[i] - weight @ log_loss[near])) / float(np.hypot(1.0, np.linalg.norm(weight)))
            )
    return 1.4826 * float(np.median(found)) if len(found) >= LEAST_MEASURED else 0.0


def _bottom(
    budget: float, size: Floats, log_loss: Floats, method: Method, noise: Floats, normal: Floats
) -> Bottom | None:
    noisy = log_loss[:, None] + np.log(np.maximum(1.0 + noise[:, None] * normal, 1e-3))
    both = np.concatenate([log_loss[:, None], noisy], axis=1)
    at, value = _akima(size, both) if method == "akima" else _parabola(size, both)
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
    centre = size[middle]
    first = min(max(middle - PARABOLA_POINTS // 2, 0), max(len(size) - PARABOLA_POINTS, 0))
    near = np.flatnonzero(np.abs(size - centre) <= PARABOLA_REACH)
    few = slice(min(first, near[0]), max(first + PARABOLA_POINTS, near[-1] + 1))
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

"""What a law says, as the plain arrays that charts take: best size and least loss over compute, contours, valleys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN
from scalewatch.plan import frontier
from scalewatch.plan.loss_model import AbstractLossModel, estimate, with_scatter

if TYPE_CHECKING:
    from scalewatch.charts import Contour, Ribbon, Valley

__all__ = ["best_sizes", "contours_of", "least_losses", "log_pair", "valleys_of"]


def log_pair(flops: float) -> float:
    """Return p = ln(C / 6) of a budget [FLOP], the sum of ln(size) and ln(tokens)."""
    return math.log(flops / FLOPS_PER_PARAMETER_TOKEN)


def best_sizes(surface: AbstractLossModel, log_pairs: Floats, level: float, label: str) -> Ribbon:
    """Return the best size over compute [FLOP] with its interval; budgets without a best size are left out."""
    from scalewatch.charts import Ribbon

    sizes = np.exp(frontier.best_log_size(surface, log_pairs[None, :]))
    there = np.isfinite(sizes[0])
    mid, low, high = _ends(sizes[:, there], level)
    return Ribbon(label, FLOPS_PER_PARAMETER_TOKEN * np.exp(log_pairs[there]), mid, low, high)


def least_losses(surface: AbstractLossModel, log_pairs: Floats, level: float, label: str) -> Ribbon:
    """Return the loss of the best size over compute [FLOP], with the interval of one run where it is known."""
    from scalewatch.charts import Ribbon

    losses = frontier.frontier_loss(surface, log_pairs[None, :])
    sizes = frontier.best_log_size(surface, log_pairs[None, :])[0]
    there = np.isfinite(losses[0])
    ends = []
    for loss, size, pair in zip(losses.T[there], sizes[there].tolist(), log_pairs[there].tolist(), strict=True):
        one, scatter = estimate(loss, level), surface.scatter(size, pair - size)
        one = one if scatter is None or not len(loss) > 1 else with_scatter(one, scatter, level)
        ends.append([one.value, math.nan if one.low is None else one.low, math.nan if one.high is None else one.high])
    mid, low, high = np.array(ends, dtype=np.float64).reshape(-1, 3).T
    return Ribbon(label, FLOPS_PER_PARAMETER_TOKEN * np.exp(log_pairs[there]), mid, low, high)


def contours_of(
    surface: AbstractLossModel, losses: Sequence[float], log_sizes: Floats, most_log_pair: float
) -> list[Contour]:
    """Return a line of equal loss for each of `losses` [nats/token] that some size reaches, up to a budget."""
    from scalewatch.charts import Contour

    contours = []
    for loss in losses:
        tokens = frontier.log_tokens_for_loss(surface, log_sizes[None, :], np.array([[loss]]))[0]
        there = np.isfinite(tokens) & (tokens + log_sizes < most_log_pair)
        if np.any(there):
            cost = FLOPS_PER_PARAMETER_TOKEN * np.exp(log_sizes + tokens)[there]
            contours.append(Contour(loss, cost, np.exp(log_sizes[there])))
    return contours


def valleys_of(surface: AbstractLossModel, flops: Sequence[float], log_sizes: Floats) -> list[Valley]:
    """Return the loss over size at each budget [FLOP], with its bottom where there is one."""
    from scalewatch.charts import Valley

    made = []
    for budget in flops:
        pair = log_pair(budget)
        losses = surface.loss(log_sizes[None, :], pair - log_sizes[None, :])[0]
        best = float(frontier.best_log_size(surface, np.array([[pair]]))[0, 0])
        bottom = None
        if math.isfinite(best):
            lowest = surface.loss(np.array([[best]]), np.array([[pair - best]]))[0, 0]
            bottom = (math.exp(best), float(lowest))
        made.append(Valley(budget, np.exp(log_sizes), losses, bottom))
    return made


def _ends(values: Floats, level: float) -> tuple[Floats, Floats, Floats]:
    """Value, low and high of each column; the value itself where no interval is known."""
    estimates = [estimate(column, level) for column in values.T]
    ends = [(t.value, t.value if t.low is None else t.low, t.value if t.high is None else t.high) for t in estimates]
    mid, low, high = np.array(ends, dtype=np.float64).reshape(-1, 3).T
    return mid, low, high

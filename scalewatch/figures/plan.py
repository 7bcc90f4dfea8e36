"""A plan as a chart: lines of equal loss, the best size of each budget, and the sizes that the page compares."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scalewatch.plan.quantities import count, interval, number, percent

if TYPE_CHECKING:
    from scalewatch.plan import Plan
    from scalewatch.plan.loss_model import AbstractLossModel

__all__ = ["plan_chart"]

#: Budget either way of the plan's, and size either way of its best, that is shown, in e-folds.
BUDGET_LOG, SIZE_LOG = math.log(12.0), math.log(8.0)
#: Points of the frontier, lines of equal loss on either side of the plan's and with it, sizes of each.
POINTS, CONTOURS, SIZES = 40, 5, 240


def plan_chart(surface: AbstractLossModel, plan: Plan, *, dark: bool) -> Any:
    """Return the chart of a plan: isoLoss lines with the frontier, its interval, and the plan's sizes on them."""
    from scalewatch.charts import Frame, isoloss
    from scalewatch.figures.loss_lines import best_sizes, contours_of, log_pair
    from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN
    from scalewatch.plan import frontier

    best, middle = plan.best, log_pair(plan.best.flops.value)
    pairs = np.linspace(middle - BUDGET_LOG, middle + BUDGET_LOG, POINTS)
    label = "best size at this compute" + ("" if best.parameters.low is None else f", {percent(plan.level)} interval")
    line = best_sizes(surface, pairs, plan.level, label)
    ends = np.log(line.x[[0, -1]] / FLOPS_PER_PARAMETER_TOKEN)
    most, least = frontier.frontier_loss(surface, ends[None, :])[0].tolist()
    # one of the lines is the plan's own, for its dots to lie on
    losses = np.concatenate(
        [np.geomspace(most, best.loss.value, CONTOURS)[1:], np.geomspace(best.loss.value, least, CONTOURS)[1:]]
    )
    size = np.linspace(math.log(line.mid[0]) - SIZE_LOG, math.log(line.mid[-1]) + SIZE_LOG, SIZES)
    contours = contours_of(surface, losses.tolist(), size, middle + 2 * BUDGET_LOG)
    shown = [(6 * r.parameters * r.tokens, r.parameters, r.loss) for r in plan.trade_offs.same_compute]
    # past the frontier that is drawn, a dot would only squeeze the rest
    cheap = (row for row in plan.trade_offs.same_loss if row.flops < 0.5 * float(line.x[-1]))
    shown += [(row.flops, row.parameters, best.loss.value) for row in cheap]
    if plan.own is not None:
        own = plan.own.point
        shown.append((own.flops.value, own.parameters.value, own.loss.value))
    x, y, z = np.array(shown).T
    return isoloss(
        contours,
        Frame(_title(plan), (plan.law.label + ".", *_fault(plan), _flatness(plan)), dark=dark),
        frontier=replace(line, high=np.minimum(line.high, math.exp(size[-1]))),
        flops=x,
        parameters=y,
        loss=z,
    )


def _title(plan: Plan) -> str:
    best = plan.best
    within = interval(best.parameters, count)
    best_size = f"{number(best.flops.value)} FLOP: best with {count(best.parameters.value)} parameters"
    return best_size + (f" ({within})" if within else "") + f" on {count(best.tokens.value)} tokens"


def _fault(plan: Plan) -> list[str]:
    return [f"Not to be relied on: {plan.law.faults[0]}"] if plan.law.faults else []


def _flatness(plan: Plan) -> str:
    half, twice = (next(row for row in plan.trade_offs.same_compute if row.factor == factor) for factor in (0.5, 2.0))
    yours = "" if plan.own is None else f" Yours is the dot at {count(plan.own.point.parameters.value)}."
    smaller, larger = percent(half.wasted_share.value), percent(twice.wasted_share.value)
    return (
        f"Half that size wastes {smaller} of the compute, twice that size {larger}. "
        f"Dots: a quarter to four times the best, at its compute and at its loss.{yours}"
    )

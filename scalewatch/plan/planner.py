"""From a request and a law to a plan."""

from __future__ import annotations

import math
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN
from scalewatch.plan import frontier
from scalewatch.plan.baselines import baseline_plans
from scalewatch.plan.deployment import plan_deployment, plan_repeats
from scalewatch.plan.hardware import Cluster
from scalewatch.plan.lengths import plan_schedule
from scalewatch.plan.loss_model import AbstractLossModel, Estimate, estimate, with_scatter
from scalewatch.plan.request import PlanRequest, Resolved, resolve
from scalewatch.plan.result import OtherSize, OwnRun, Plan, Point, Price, SameLoss, TradeOffs

__all__ = ["make_plan"]

#: Sizes over the best one that the trade-offs are shown at.
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
#: The gain that has a price, and the loss that counts as none [nats/token].
GAIN_NATS, NEAR_NATS = 0.01, 0.01
#: e-folds of size to either side in which the edge of "as good as the best" is looked for.
NEAR_LOG = 12.0


def make_plan(surface: AbstractLossModel, request: PlanRequest) -> Plan:
    """Return the plan for a request under a law.

    Args:
        surface: the law, from `surface_for` or made of a fit. request: what is fixed.

    Raises:
        ConfigError: if what is fixed contradicts itself, or the law cannot say.

    >>> from scalewatch.plan import loss_model_for
    >>> plan = make_plan(loss_model_for("chinchilla"), PlanRequest(flops=1e21))
    >>> f"{plan.best.parameters.value:.3g} parameters, {plan.best.tokens.value:.3g} tokens"
    '2.78e+09 parameters, 6e+10 tokens'
    """
    with np.errstate(all="ignore"):
        return _Maker(surface, request, resolve(surface, request)).plan()


@final
class _Maker:
    """What the parts of one plan share: the law, the points of each row, the level."""

    def __init__(self, surface: AbstractLossModel, request: PlanRequest, points: Resolved) -> None:
        self.surface, self.request, self.points = surface, request, points
        self.level, self.cluster = request.level, request.cluster
        self.size, self.tokens = points.best
        self.pairs = self.size + self.tokens
        self.loss = self._loss(self.size, self.tokens)

    def plan(self) -> Plan:
        request, points, facts = self.request, self.points, self.surface.facts
        best = self._point(points.best)
        own = None if points.own is None else self._own(points.own)
        run = points.own if points.own is not None else points.best
        chosen = best if own is None else own.point
        deployment = repeats = None
        if request.serve_tokens is not None:
            deployment = plan_deployment(self.surface, self._loss(*run), request.serve_tokens, self.level)
        if request.unique_tokens is not None:
            repeats = plan_repeats(self.surface, run[0] + run[1], request.unique_tokens, points.own, self.level)
        return Plan(
            request=request,
            law=facts,
            best=best,
            own=own,
            trade_offs=TradeOffs(
                same_compute=tuple(self._other_size(factor) for factor in FACTORS),
                same_loss=tuple(self._same_loss(factor) for factor in FACTORS),
                near_best=self._near_best(),
                regret_nats=self._regret(),
            ),
            baselines=baseline_plans(self.surface, float(self.pairs[0]), self._frontier_at_own_budget(), self.level),
            price=self._price(),
            schedule=plan_schedule(request, chosen, facts.kind),
            deployment=deployment,
            repeats=repeats,
            notes=(*points.notes, *facts.notes),
        )

    def _loss(self, size: Floats, tokens: Floats) -> Floats:
        return self.surface.loss(size[:, None], tokens[:, None])[:, 0]

    def _estimate(self, rows: Floats) -> Estimate:
        return estimate(rows, self.level)

    def _hours(self, flops: Estimate) -> Estimate | None:
        cluster: Cluster | None = self.cluster
        return None if cluster is None else flops.scaled(cluster.hours(1.0))

    def _point(self, at: tuple[Floats, Floats]) -> Point:
        size, tokens = at
        flops = self._estimate(FLOPS_PER_PARAMETER_TOKEN * np.exp(size + tokens))
        # the loss of what is trained, so of one size and tokens, whatever the draws would rather train
        first, second = float(size[0]), float(tokens[0])
        loss = self._estimate(self.surface.loss(np.array([[first]]), np.array([[second]]))[:, 0])
        scatter = self.surface.scatter(first, second)
        return Point(
            parameters=self._estimate(np.exp(size)),
            tokens=self._estimate(np.exp(tokens)),
            tokens_per_parameter=self._estimate(np.exp(tokens - size)),
            flops=flops,
            loss=loss,
            run_loss=None if scatter is None else with_scatter(loss, scatter, self.level),
            hours=self._hours(flops),
            notes=self.surface.facts.range_notes(math.exp(first), math.exp(second), loss.value),
        )

    def _own(self, at: tuple[Floats, Floats]) -> OwnRun:
        size, tokens = at
        loss = self._loss(size, tokens)
        least = frontier.frontier_loss(self.surface, (size + tokens)[:, None])[:, 0]
        needed = frontier.log_pairs_for_loss(self.surface, loss[:, None], size[0] + tokens[0])[:, 0]
        extra, wasted = np.maximum(loss - least, 0.0), _wasted(needed, size + tokens)
        return OwnRun(self._point(at), self.points.same, self._estimate(extra), self._estimate(wasted))

    def _other_size(self, factor: float) -> OtherSize:
        size = self.size + math.log(factor)
        tokens = self.pairs - size
        loss = self._loss(size, tokens)
        needed = frontier.log_pairs_for_loss(self.surface, loss[:, None], float(self.pairs[0]))[:, 0]
        return OtherSize(
            factor=factor,
            parameters=math.exp(size[0]),
            tokens=math.exp(tokens[0]),
            tokens_per_parameter=math.exp(tokens[0] - size[0]),
            loss=float(loss[0]),
            extra_nats=self._estimate(np.maximum(loss - self.loss, 0.0)),
            wasted_share=self._estimate(_wasted(needed, self.pairs)),
        )

    def _near_best(self) -> tuple[float, float]:
        """Least and most size that this law, as it stands, puts within `NEAR_NATS` of the best."""
        middle, pairs = float(self.size[0]), float(self.pairs[0])
        limit = float(self.loss[0]) + NEAR_NATS

        def edge(toward: float) -> float:
            inside, outside = middle, middle + toward
            for _ in range(frontier.HALVINGS):
                tried = 0.5 * (inside + outside)
                loss = self.surface.loss(np.array([[tried]]), np.array([[pairs - tried]]))[0, 0]
                inside, outside = (tried, outside) if loss <= limit else (inside, tried)
            return math.exp(inside)

        return edge(-NEAR_LOG), edge(NEAR_LOG)

    def _frontier_at_own_budget(self) -> Floats:
        return frontier.frontier_loss(self.surface, np.full((1, 1), self.pairs[0]))[:, 0]

    def _regret(self) -> Estimate:
        # the plan of the law as it stands, judged by each draw against the best of that draw at the same budget
        trained = self._loss(np.full(1, self.size[0]), np.full(1, self.tokens[0]))
        return self._estimate(np.maximum(trained - self._frontier_at_own_budget(), 0.0))

    def _same_loss(self, factor: float) -> SameLoss:
        size = self.size + math.log(factor)
        tokens = self.tokens if factor == 1.0 else self._tokens_for_loss(size)
        flops = size + tokens
        return SameLoss(
            factor=factor,
            parameters=math.exp(size[0]),
            tokens=float(np.exp(tokens[0])),
            tokens_per_parameter=float(np.exp(tokens[0] - size[0])),
            flops=float(FLOPS_PER_PARAMETER_TOKEN * np.exp(flops[0])),
            extra_share=self._estimate(np.maximum(np.expm1(flops - self.pairs), 0.0)),
        )

    def _tokens_for_loss(self, size: Floats) -> Floats:
        return frontier.log_tokens_for_loss(self.surface, size[:, None], self.loss[:, None])[:, 0]

    def _price(self) -> Price:
        flat = frontier.log_pairs_for_loss(self.surface, self.loss[:, None] - GAIN_NATS, float(self.pairs[0]))[:, 0]
        share = np.expm1(flat - self.pairs)
        flops = self._estimate(share * FLOPS_PER_PARAMETER_TOKEN * np.exp(self.pairs))
        return Price(GAIN_NATS, flops, self._estimate(share), self._hours(flops))


def _wasted(needed: Floats, spent: Floats) -> Floats:
    """Part of a budget, of logarithm `spent`, that is not needed when a smaller one does."""
    return np.asarray(np.clip(-np.expm1(needed - spent), 0.0, 1.0))

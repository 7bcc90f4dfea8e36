"""What a planner answers: every number with its interval where one is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from scalewatch.plan.loss_model import Estimate, LossModelFacts
from scalewatch.plan.request import PlanRequest

__all__ = [
    "BaselinePlan",
    "Deployment",
    "OtherSize",
    "OwnRun",
    "Plan",
    "Point",
    "Price",
    "Repeats",
    "SameLoss",
    "Schedule",
    "TradeOffs",
]


@final
@dataclass(frozen=True, slots=True)
class Point:
    """A run: what it is, what it costs, where it ends.

    Attributes:
        parameters: count, as the law counts them. tokens: count. tokens_per_parameter: dimensionless.
        flops: 6 N D [FLOP]. loss: that the law expects of this size and tokens, with the law's error [nats/token].
        run_loss: the same with the scatter of single runs [nats/token], None where that is not known.
        hours: on the hardware that was named, None without.
        notes: how it lies outside the runs behind the law, a sentence each.
    """

    parameters: Estimate
    tokens: Estimate
    tokens_per_parameter: Estimate
    flops: Estimate
    loss: Estimate
    run_loss: Estimate | None
    hours: Estimate | None
    notes: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class OtherSize:
    """Another size at the compute of the best one: the isoFLOP trade-off.

    Attributes:
        factor: size over the best one. parameters, tokens: count. tokens_per_parameter: dimensionless.
        loss: [nats/token]. extra_nats: above the best [nats/token].
        wasted_share: part of the compute that the best size would not have needed for this loss, in [0, 1).
    """

    factor: float
    parameters: float
    tokens: float
    tokens_per_parameter: float
    loss: float
    extra_nats: Estimate
    wasted_share: Estimate


@final
@dataclass(frozen=True, slots=True)
class SameLoss:
    """Another size with the loss of the best one: the isoLoss trade-off.

    Attributes:
        factor: size over the best one. parameters: count. tokens: count, infinite if endless data do not do.
        tokens_per_parameter: dimensionless. flops: 6 N D [FLOP]. extra_share: compute above the best one's, in parts.
    """

    factor: float
    parameters: float
    tokens: float
    tokens_per_parameter: float
    flops: float
    extra_share: Estimate


@final
@dataclass(frozen=True, slots=True)
class BaselinePlan:
    """What another rule would train with the same compute, judged by this law.

    Attributes:
        name: of the rule. parameters, tokens: count. tokens_per_parameter: dimensionless.
        loss: by this law [nats/token]. extra_nats: above this law's best [nats/token].
    """

    name: str
    parameters: float
    tokens: float
    tokens_per_parameter: float
    loss: float
    extra_nats: Estimate


@final
@dataclass(frozen=True, slots=True)
class Price:
    """What the next gain costs, on the frontier.

    Attributes:
        nats: the gain [nats/token]. flops: on top of the plan's [FLOP]; infinite if no budget brings it.
        share: the same in parts of the plan's. hours: on the hardware that was named, None without.
    """

    nats: float
    flops: Estimate
    share: Estimate
    hours: Estimate | None


@final
@dataclass(frozen=True, slots=True)
class Schedule:
    """How long the learning-rate schedule is to be.

    Attributes:
        tokens: that it should end with, count. batch_tokens: tokens a step, None if not given.
        steps: that they take [optimizer steps], None without a batch.
        batch_band: advice for the batch [tokens], least and most, None where the law cannot be asked.
        asked_steps: length of the cosine that was to be checked, None without.
        done_share: part of that cosine that the tokens reach. rate_left: learning rate there, in parts of the peak, of
            a cosine to a tenth of it.
        warning: what is wrong with it, None if nothing.
    """

    tokens: Estimate
    batch_tokens: float | None
    steps: float | None
    batch_band: tuple[float, float] | None
    asked_steps: float | None
    done_share: float | None
    rate_left: float | None
    warning: str | None


@final
@dataclass(frozen=True, slots=True)
class Deployment:
    """The cheapest model of the same loss, training and serving together (Sardana et al. 2024).

    Attributes:
        served_tokens: count. loss: the quality that is kept [nats/token].
        parameters, tokens: of the model, count. tokens_per_parameter: dimensionless.
        training_flops, serving_flops: [FLOP]. saved_share: of the cost of the size that training alone would choose.
        notes: reasons not to trust it, a sentence each.
    """

    served_tokens: float
    loss: float
    parameters: Estimate
    tokens: Estimate
    tokens_per_parameter: Estimate
    training_flops: Estimate
    serving_flops: Estimate
    saved_share: Estimate
    notes: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class Repeats:
    """The best of the same compute when different tokens are few (Muennighoff et al. 2023).

    Attributes:
        unique_tokens: count. parameters, tokens: of the best run, count, repeats included. epochs: tokens over unique.
        loss: of it [nats/token]. extra_nats: above what fresh data would reach [nats/token].
        own_loss: of the run that was asked for, its repeats counted as such [nats/token]; None if none was.
        notes: reasons not to trust it, a sentence each.
    """

    unique_tokens: float
    parameters: Estimate
    tokens: Estimate
    epochs: Estimate
    loss: Estimate
    extra_nats: Estimate
    own_loss: Estimate | None
    notes: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class OwnRun:
    """The run that two numbers fix, against the best one.

    Attributes:
        point: the run. same: what it has in common with the best, "compute" or "loss".
        extra_nats: its loss above the best at the same compute [nats/token].
        wasted_share: part of its compute that the best size would not need for its loss, in [0, 1).
    """

    point: Point
    same: str
    extra_nats: Estimate
    wasted_share: Estimate


@final
@dataclass(frozen=True, slots=True)
class TradeOffs:
    """What other sizes than the best lose or cost.

    Attributes:
        same_compute: other sizes at the compute of the best. same_loss: at its loss.
        near_best: least and most size within 0.01 nats of the best at its compute, count.
        regret_nats: what not knowing the law better costs if the best is trained [nats/token].
    """

    same_compute: tuple[OtherSize, ...]
    same_loss: tuple[SameLoss, ...]
    near_best: tuple[float, float]
    regret_nats: Estimate


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """The answer to a request.

    Attributes:
        request: as asked. law: what is to be said of the law.
        best: the best run for what was fixed. own: the run that two numbers fix, None if only one was given.
        trade_offs: what other sizes lose or cost. baselines: what other rules would train.
        price: of the next 0.01 nats. schedule, deployment, repeats: as above, None where not asked.
        notes: what to know before trusting it, a sentence each.
    """

    request: PlanRequest
    law: LossModelFacts
    best: Point
    own: OwnRun | None
    trade_offs: TradeOffs
    baselines: tuple[BaselinePlan, ...]
    price: Price
    schedule: Schedule
    deployment: Deployment | None
    repeats: Repeats | None
    notes: tuple[str, ...]

    @property
    def level(self) -> float:
        """Of every interval, in (0, 1)."""
        return self.request.level

    @property
    def chosen(self) -> Point:
        """The run that was asked for if there is one, else the best one."""
        return self.best if self.own is None else self.own.point

"""What a planner is asked, and the point of size and tokens that it fixes.

Size, tokens, budget and loss are four sides of one point: two of them fix it, one of them leaves the best point of
that kind to be found, three contradict each other sooner or later and are refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN
from scalewatch.plan import frontier
from scalewatch.plan.hardware import Cluster
from scalewatch.plan.loss_model import AbstractLossModel, short

__all__ = ["PlanRequest", "Resolved", "resolve"]

#: Widest interval that some hundred sets of constants can tell: two of 400 lie outside at either end.
MOST_LEVEL = 0.99
#: Relative difference of 6 N D and the budget up to which the three are taken to agree.
AGREEMENT = 0.01


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What is fixed, and what else is known. Everything may be left out but one of the first five.

    Attributes:
        flops: budget, 6 N D [FLOP]. parameters: count, as the law counts them. tokens: to train on, count.
        target_loss: [nats/token]. hours: on `cluster`, instead of `flops` [hours].
        cluster: the accelerators that it will run on, None if nobody says.
        serve_tokens: that the model will read and write over its life, count.
        unique_tokens: different ones that there are, count.
        schedule_steps: length of a cosine that is to be checked [optimizer steps]. batch_tokens: tokens a step.
        level: of the intervals, in (0, 0.99].

    Raises:
        ConfigError: if a number is out of its range, nothing is fixed, two budgets are given, or hardware is missing.
    """

    flops: float | None = None
    parameters: float | None = None
    tokens: float | None = None
    target_loss: float | None = None
    hours: float | None = None
    cluster: Cluster | None = None
    serve_tokens: float | None = None
    unique_tokens: float | None = None
    schedule_steps: float | None = None
    batch_tokens: float | None = None
    level: float = 0.8

    def __post_init__(self) -> None:
        for name in _LIMITS:
            if getattr(self, name) is not None:
                _check(name, getattr(self, name))
        if not 0 < self.level <= MOST_LEVEL:
            raise ConfigError(f"`level` must be above 0 and at most {MOST_LEVEL}, such as 0.8 (got {self.level!r}).")
        if self.flops is not None and self.hours is not None:
            raise ConfigError("`flops` and `hours` are both a budget: give one of them.")
        if self.hours is not None and self.cluster is None:
            raise ConfigError("`hours` need a `cluster`: which accelerators, and how many.")
        if self.schedule_steps is not None and self.batch_tokens is None:
            raise ConfigError("`schedule_steps` need `batch_tokens`, tokens a step, to be compared with the tokens.")
        if all(getattr(self, name) is None for name in ("flops", "hours", "parameters", "tokens", "target_loss")):
            raise ConfigError(
                "Nothing to plan for: give `flops`, `hours` with `cluster`, `parameters`, `tokens` or `target_loss`."
            )
        _, least, most = _LIMITS["flops"]
        if self.hours is not None and self.budget is not None and not least <= self.budget <= most:
            raise ConfigError(
                f"`hours` on {self.cluster} come to {self.budget:.2g} FLOP: that must lie between {short(least)} and "
                f"{short(most)}."
            )

    @property
    def budget(self) -> float | None:
        """`flops`, or what `hours` come to [FLOP]; None without either."""
        return self.flops if self.hours is None or self.cluster is None else self.cluster.flops(self.hours)


#: Unit, least and most of what may be asked. Beyond, a number is a slip of the keyboard: 1e32 FLOP are 3,000
#: years of a million H100, 20 nats is twice a random guess among 50,000 tokens, and nobody has 1e18 tokens of text.
_LIMITS = {
    "flops": ("FLOP", 1e9, 1e32),
    "parameters": ("count", 1e3, 1e18),
    "tokens": ("count", 1e3, 1e18),
    "target_loss": ("nats/token", 1e-3, 20.0),
    "hours": ("hours", 1e-3, 1e7),
    "serve_tokens": ("count", 1.0, 1e21),
    "unique_tokens": ("count", 1e3, 1e18),
    "schedule_steps": ("optimizer steps", 1.0, 1e12),
    "batch_tokens": ("tokens a step", 1.0, 1e12),
}


def _check(name: str, value: float) -> None:
    unit, least, most = _LIMITS[name]
    if not (isinstance(value, int | float | np.number) and least <= value <= most):
        raise ConfigError(f"`{name}` [{unit}] must lie between {short(least)} and {short(most)} (got {value!r:.80}).")


@final
@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """The points that a request fixes, each as ln(N) and ln(D) of every row of the law, shape (r,).

    Attributes:
        best: of the budget, of the loss, or of the one side that was given.
        own: the point that two sides fix, None if only one was given.
        same: what `best` has in common with `own`: "compute" or "loss".
        notes: a sentence each.
    """

    best: tuple[Floats, Floats]
    own: tuple[Floats, Floats] | None
    same: str
    notes: tuple[str, ...] = ()


def resolve(surface: AbstractLossModel, request: PlanRequest) -> Resolved:
    """Return the points that `request` fixes under a law.

    Raises:
        ConfigError: if its sides contradict each other, or the law has no such point.
    """
    size, tokens, loss, budget = request.parameters, request.tokens, request.target_loss, request.budget
    if size is not None and tokens is not None:
        _check_three(size, tokens, loss, budget)
        own = _rows(surface, math.log(size)), _rows(surface, math.log(tokens))
        return Resolved(_best(surface, own[0] + own[1]), own, "compute")
    if loss is not None:
        return _for_loss(surface, size, tokens, loss, budget)
    if budget is not None:
        pairs = _rows(surface, math.log(budget / FLOPS_PER_PARAMETER_TOKEN))
        best = _best(surface, pairs)
        if size is None and tokens is None:
            return Resolved(best, None, "compute")
        given = math.log(size if size is not None else tokens or 1.0)
        if given >= float(pairs[0]):
            word = "tokens for that many parameters" if size is not None else "parameters for that many tokens"
            raise ConfigError(
                f"A budget of {short(budget)} FLOP leaves less than one of the {word}: 6 N D is the cost."
            )
        given_rows = _rows(surface, given)
        own = (given_rows, pairs - given_rows) if size is not None else (pairs - given_rows, given_rows)
        return Resolved(best, own, "compute")
    if size is not None:
        log_size = _rows(surface, math.log(size))
        best = log_size, frontier.log_tokens_for_size(surface, log_size[:, None])[:, 0]
    else:
        log_tokens = _rows(surface, math.log(tokens or 1.0))
        best = frontier.log_size_for_tokens(surface, log_tokens[:, None])[:, 0], log_tokens
    return Resolved(_confirmed(surface, best), None, "compute")


def _check_three(size: float, tokens: float, loss: float | None, budget: float | None) -> None:
    flops = FLOPS_PER_PARAMETER_TOKEN * size * tokens
    if loss is not None:
        raise ConfigError("`parameters`, `tokens` and `target_loss` are one too many: two of them fix the third.")
    if budget is not None and abs(flops / budget - 1.0) > AGREEMENT:
        raise ConfigError(
            f"{short(size)} parameters on {short(tokens)} tokens take {short(flops)} FLOP, and the budget is "
            f"{short(budget)}: leave one of the three out."
        )


def _for_loss(
    surface: AbstractLossModel, size: float | None, tokens: float | None, loss: float, budget: float | None
) -> Resolved:
    floor = float(surface.floor[0, 0])
    if loss <= floor:
        raise ConfigError(
            f"`target_loss` must be above {floor:.4g} nats/token, the irreducible loss of this law (got {loss:g}): no "
            "size and no data get below it."
        )
    start = 40.0 if budget is None else math.log(budget / FLOPS_PER_PARAMETER_TOKEN)
    pairs = frontier.log_pairs_for_loss(surface, np.array([loss]), start)[:, 0]
    if not np.isfinite(pairs[0]):
        raise ConfigError(
            f"No budget up to 1e35 FLOP reaches {loss:g} nats/token under this law: ask for a higher loss."
        )
    best = _best(surface, pairs)
    if budget is not None:
        if size is not None or tokens is not None:
            raise ConfigError("A budget, a target loss and a size or tokens are one too many: leave one out.")
        return _loss_within_budget(surface, best, pairs, loss, budget)
    if size is None and tokens is None:
        return Resolved(best, None, "loss")
    wanted = np.array([loss])
    if size is not None:
        given = _rows(surface, math.log(size))
        own = given, frontier.log_tokens_for_loss(surface, given[:, None], wanted)[:, 0]
        least = frontier.log_size_for_loss(surface, np.array([[frontier.MOST_LOG]]), wanted)[0, 0]
        missing = (
            f"{short(size)} parameters do not reach {loss:g} nats/token on any amount of data: it takes more than "
            f"{short(math.exp(least))}."
        )
    else:
        given = _rows(surface, math.log(tokens or 1.0))
        own = frontier.log_size_for_loss(surface, given[:, None], wanted)[:, 0], given
        least = frontier.log_tokens_for_loss(surface, np.array([[frontier.MOST_LOG]]), wanted)[0, 0]
        missing = (
            f"No size reaches {loss:g} nats/token on {short(math.exp(given[0]))} tokens: it takes more than "
            f"{short(math.exp(least))}."
        )
    if not (np.isfinite(own[0][0]) and np.isfinite(own[1][0])):
        raise ConfigError(missing)
    return Resolved(best, own, "loss")


def _loss_within_budget(
    surface: AbstractLossModel, best: tuple[Floats, Floats], pairs: Floats, loss: float, budget: float
) -> Resolved:
    needed = FLOPS_PER_PARAMETER_TOKEN * math.exp(float(pairs[0]))
    most = math.log(budget / FLOPS_PER_PARAMETER_TOKEN)
    if needed > budget:
        reached = float(frontier.frontier_loss(surface, np.array([[most]]))[0, 0])
        raise ConfigError(
            f"{short(budget)} FLOP reach {reached:.4g} nats/token at best, and the target is {loss:g}: it takes "
            f"{short(needed)} FLOP. Raise one or the other, or leave one out."
        )
    low, high = 0.0, float(best[0][0])
    for _ in range(frontier.HALVINGS):
        middle = 0.5 * (low + high)
        over = surface.loss(np.array([[middle]]), np.array([[most - middle]]))[0, 0] > loss
        low, high = (middle, high) if over else (low, middle)
    return Resolved(
        best,
        None,
        "loss",
        (
            f"The cheapest run to {loss:g} takes {100 * needed / budget:.3g} % of the budget; with all of it, a model "
            f"down to {short(math.exp(high))} parameters gets there.",
        ),
    )


def _rows(surface: AbstractLossModel, value: float) -> Floats:
    return np.full(len(surface.floor), value)


def _best(surface: AbstractLossModel, pairs: Floats) -> tuple[Floats, Floats]:
    finite = np.isfinite(pairs)
    size = frontier.best_log_size(surface, np.where(finite, pairs, 40.0)[:, None])[:, 0]
    size = np.where(finite, size, np.inf)
    return _confirmed(surface, (size, np.where(finite, pairs - size, np.inf)))


def _confirmed(surface: AbstractLossModel, point: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    if not (np.isfinite(point[0][0]) and np.isfinite(point[1][0])):
        search = surface.facts.search
        within = "" if search is None else f" between {short(search[0])} and {short(search[1])} parameters"
        raise ConfigError(f"This law has no best size for that{within}: ask for a budget nearer to those of its runs.")
    return point

"""What a planner is asked, and the point of size and tokens that it fixes.

Size, tokens, budget and loss are four sides of one point: two of them fix it, one of them leaves the best point of
that kind to be found, three contradict each other sooner or later and are refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from scalewatch.errors import ConfigError
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN, positive
from scalewatch.plan import frontier
from scalewatch.plan.hardware import USUAL_MFU, Cluster, accelerator
from scalewatch.plan.surface import AbstractSurface

__all__ = ["Question", "Resolved", "resolve"]

Floats = NDArray[np.float64]

#: Relative difference of 6 N D and the budget up to which the three are taken to agree.
AGREEMENT = 0.01


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is fixed, and what else is known. Everything may be left out but one of the first five.

    Attributes:
        flops: budget, 6 N D [FLOP]. parameters: count, as the law counts them. tokens: to train on, count.
        target_loss: [nats/token]. hours: on `devices` accelerators of `hardware`, instead of `flops` [hours].
        hardware: name, see `scalewatch.plan.ACCELERATORS`. mfu: part of its peak that 6 N D reaches, in (0, 1].
        serve_tokens: that the model will read and write over its life, count.
        unique_tokens: different ones that there are, count.
        schedule_steps: length of a cosine that is to be checked [optimizer steps]. batch_tokens: tokens a step.
        level: of the intervals, in (0, 1).

    Raises:
        ConfigError: if a number is out of its range, nothing is fixed, or two budgets are given.
    """

    flops: float | None = None
    parameters: float | None = None
    tokens: float | None = None
    target_loss: float | None = None
    hours: float | None = None
    hardware: str | None = None
    devices: int = 1
    mfu: float = USUAL_MFU
    serve_tokens: float | None = None
    unique_tokens: float | None = None
    schedule_steps: float | None = None
    batch_tokens: float | None = None
    level: float = 0.8

    def __post_init__(self) -> None:
        for name, unit in _UNITS.items():
            value, least = getattr(self, name), 1.0 if unit.endswith("count") else 0.0
            if value is not None:
                _check(name, value, unit, least)
        if not 0 < self.level < 1:
            raise ConfigError(f"`level` must be above 0 and below 1, such as 0.8 (got {self.level!r}).")
        if self.flops is not None and self.hours is not None:
            raise ConfigError("`flops` and `hours` are both a budget: give one of them.")
        if self.hours is not None and self.hardware is None:
            raise ConfigError("`hours` need `hardware`, the name of an accelerator, and `devices`, how many.")
        if self.hardware is None and self.devices != 1:
            raise ConfigError("`devices` need `hardware`, the name of an accelerator.")
        if self.schedule_steps is not None and self.batch_tokens is None:
            raise ConfigError("`schedule_steps` need `batch_tokens`, the tokens of a step, to be compared with tokens.")
        if all(getattr(self, name) is None for name in ("flops", "hours", "parameters", "tokens", "target_loss")):
            raise ConfigError(
                "Nothing to plan for: give `flops`, `hours` with `hardware`, `parameters`, `tokens` or `target_loss`."
            )
        self.cluster  # noqa: B018  an unknown name is refused here, not when it is used

    @property
    def cluster(self) -> Cluster | None:
        """The hardware, None if none is named."""
        return None if self.hardware is None else Cluster(accelerator(self.hardware), self.devices, self.mfu)

    @property
    def budget(self) -> float | None:
        """`flops`, or what `hours` come to [FLOP]; None without either."""
        cluster = self.cluster
        return self.flops if self.hours is None or cluster is None else cluster.flops(self.hours)


_UNITS = {
    "flops": "FLOP",
    "parameters": "parameters, count",
    "tokens": "tokens, count",
    "target_loss": "nats/token",
    "hours": "hours",
    "serve_tokens": "tokens, count",
    "unique_tokens": "tokens, count",
    "schedule_steps": "optimizer steps, count",
    "batch_tokens": "tokens a step, count",
}


def _check(name: str, value: float, unit: str, least: float) -> None:
    try:
        positive(name, value, unit, least=least)
    except ConfigError:
        above = "of at least 1" if least else "above 0"
        raise ConfigError(f"`{name}` [{unit}] must be a finite number {above} (got {value!r:.80}).") from None


@final
@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """The points that a question fixes, each as ln(N) and ln(D) of every row of the law, shape (r,).

    Attributes:
        best: of the budget, of the loss, or of the one side that was given.
        own: the point that two sides fix, None if only one was given.
        same: what `best` has in common with `own`: "compute" or "loss".
        loss: the target [nats/token] if there is one.
        notes: a sentence each.
    """

    best: tuple[Floats, Floats]
    own: tuple[Floats, Floats] | None
    same: str
    loss: float | None
    notes: tuple[str, ...] = ()


def resolve(surface: AbstractSurface, question: Question) -> Resolved:
    """Return the points that `question` fixes under a law.

    Raises:
        ConfigError: if its sides contradict each other, or the law has no such point.
    """
    size, tokens, loss, budget = question.parameters, question.tokens, question.target_loss, question.budget
    if size is not None and tokens is not None:
        _check_three(size, tokens, loss, budget)
        own = _rows(surface, math.log(size)), _rows(surface, math.log(tokens))
        return Resolved(_best(surface, own[0] + own[1]), own, "compute", None)
    if loss is not None:
        return _for_loss(surface, size, tokens, loss, budget)
    if budget is not None:
        pairs = _rows(surface, math.log(budget / FLOPS_PER_PARAMETER_TOKEN))
        best = _best(surface, pairs)
        if size is None and tokens is None:
            return Resolved(best, None, "compute", None)
        given = math.log(size if size is not None else tokens or 1.0)
        if given >= float(pairs[0]):
            raise ConfigError(f"A budget of {budget:g} FLOP does not buy one token and one parameter of that.")
        given_rows = _rows(surface, given)
        own = (given_rows, pairs - given_rows) if size is not None else (pairs - given_rows, given_rows)
        return Resolved(best, own, "compute", None)
    if size is not None:
        log_size = _rows(surface, math.log(size))
        best = log_size, frontier.log_tokens_for_size(surface, log_size[:, None])[:, 0]
    else:
        log_tokens = _rows(surface, math.log(tokens or 1.0))
        best = frontier.log_size_for_tokens(surface, log_tokens[:, None])[:, 0], log_tokens
    return Resolved(_confirmed(surface, best), None, "compute", None)


def _check_three(size: float, tokens: float, loss: float | None, budget: float | None) -> None:
    flops = FLOPS_PER_PARAMETER_TOKEN * size * tokens
    if loss is not None:
        raise ConfigError("`parameters`, `tokens` and `target_loss` are one too many: two of them fix the third.")
    if budget is not None and abs(flops / budget - 1.0) > AGREEMENT:
        raise ConfigError(
            f"{size:g} parameters on {tokens:g} tokens take {flops:.3g} FLOP, and the budget is {budget:.3g}: leave "
            "one of the three out."
        )


def _for_loss(
    surface: AbstractSurface, size: float | None, tokens: float | None, loss: float, budget: float | None
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
        return Resolved(best, None, "loss", loss)
    wanted = np.array([loss])
    if size is not None:
        given = _rows(surface, math.log(size))
        own = given, frontier.log_tokens_for_loss(surface, given[:, None], wanted)[:, 0]
        missing = f"{size:g} parameters do not reach {loss:g} nats/token on endless data: take a larger model."
    else:
        given = _rows(surface, math.log(tokens or 1.0))
        own = frontier.log_size_for_loss(surface, given[:, None], wanted)[:, 0], given
        missing = f"No size reaches {loss:g} nats/token on {tokens:g} tokens: it takes more data."
    if not (np.isfinite(own[0][0]) and np.isfinite(own[1][0])):
        raise ConfigError(missing)
    return Resolved(best, own, "loss", loss)


def _loss_within_budget(
    surface: AbstractSurface, best: tuple[Floats, Floats], pairs: Floats, loss: float, budget: float
) -> Resolved:
    needed = FLOPS_PER_PARAMETER_TOKEN * math.exp(float(pairs[0]))
    most = math.log(budget / FLOPS_PER_PARAMETER_TOKEN)
    if needed > budget:
        reached = float(frontier.frontier_loss(surface, np.array([[most]]))[0, 0])
        raise ConfigError(
            f"{budget:.3g} FLOP reach {reached:.4g} nats/token at best, and the target is {loss:g}: it takes "
            f"{needed:.3g} FLOP. Raise one or the other, or leave one out."
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
        loss,
        (
            f"The cheapest run to {loss:g} takes {100 * needed / budget:.3g} % of the budget; with all of it, a model "
            f"down to {math.exp(high):.3g} parameters gets there.",
        ),
    )


def _rows(surface: AbstractSurface, value: float) -> Floats:
    return np.full(len(surface.floor), value)


def _best(surface: AbstractSurface, pairs: Floats) -> tuple[Floats, Floats]:
    finite = np.isfinite(pairs)
    size = frontier.best_log_size(surface, np.where(finite, pairs, 40.0)[:, None])[:, 0]
    size = np.where(finite, size, np.inf)
    return _confirmed(surface, (size, np.where(finite, pairs - size, np.inf)))


def _confirmed(surface: AbstractSurface, point: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    if not (np.isfinite(point[0][0]) and np.isfinite(point[1][0])):
        search = surface.facts.search
        within = "" if search is None else f" between {search[0]:.3g} and {search[1]:.3g} parameters"
        raise ConfigError(f"This law has no best size for that{within}: ask nearer to its runs.")
    return point

"""The charts of the Scaling panel: a run among the runs and the law it belongs to."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np

from scalewatch.charts.axes import power, quantity
from scalewatch.errors import ConfigError, FitError
from scalewatch.text import percent
from scalewatch_tensorboard.views.figures.spec import answered, nothing
from scalewatch_tensorboard.views.scaling import (
    LEVEL,
    CannotDrawError,
    LawSource,
    Placement,
    finished_beside,
    law_beside,
    law_for,
    placement_of,
)

if TYPE_CHECKING:
    from scalewatch.charts import Ribbon
    from scalewatch_tensorboard.runs.registry import RunRegistry
    from scalewatch_tensorboard.runs.run_state import RunState
    from scalewatch_tensorboard.views.request import ChartRequest

__all__ = ["collapse", "frontier", "isoflop", "isoloss", "ladder"]

#: Compute either way of the runs, and sizes either way of theirs, that is drawn, in e-folds.
BUDGET_LOG, SIZE_LOG = math.log(12.0), math.log(6.0)
#: Points of a frontier, lines of equal loss, sizes of each, and valleys.
POINTS, CONTOURS, SIZES, VALLEYS = 40, 9, 240, 5
#: Log compute by which two valleys are one, and by which one that is no run's keeps from others.
NEAR, FAR = 0.1, 0.6
#: Excess below which a size is as good as the best [nats/token].
AS_GOOD = 0.0005
#: Part of the compute of a run that the best size would need, from which on its own is well spent.
WELL_SPENT = 0.97
#: Factor outside the fitted runs from which a law says nothing in numbers.
FAR_OUTSIDE = 10.0
#: Rows of a run that are drawn among curves.
CURVE_ROWS = 4_000

_NO_BEST = (
    "The law has no best size anywhere near this compute: it is of other sizes. Finish runs of sizes about this one "
    "below this folder."
)

Drawn = tuple[Any, str]
_Figure = Callable[["RunState", "ChartRequest", "RunRegistry"], dict[str, Any]]


def _answering(draw: Callable[[RunState, ChartRequest, RunRegistry], Drawn]) -> _Figure:
    """Return a figure: the chart, or a sentence that says what is missing and how to get it.

    What was drawn is kept: of a run that is over, and of the runs beside it, nothing changes.
    """

    @wraps(draw)
    def figure(state: RunState, request: ChartRequest, registry: RunRegistry) -> dict[str, Any]:
        beside = tuple((each.name, each.version) for each in finished_beside(registry, state))
        plan = (state.run.total_steps, request.schedule)
        key = (draw.__name__, state.name, id(state), state.upkeep.version, plan, request.dark, request.width, beside)
        kept = registry.work.drawn(key)
        if kept is not None:
            return kept
        try:
            chart, sentence = draw(state, request, registry)
        except (CannotDrawError, ConfigError, FitError) as reason:
            return nothing(state, reason)
        return registry.work.keep(key, answered(chart, sentence, request))

    return figure


@_answering
def isoflop(state: RunState, request: ChartRequest, registry: RunRegistry) -> Drawn:
    """Draw the loss over size at the run's compute and others, by the law, and the run on its valley."""
    from scalewatch.charts import Frame, valleys
    from scalewatch.figures.loss_lines import valleys_of

    law, placement = _law_and_placement(state, registry)
    flops, size, loss = _beside(state, law, registry)
    pairs = _budgets(placement, flops, math.log(4.0))
    budgets = _valley_budgets(placement, flops, pairs)
    sizes = _sizes(law, placement, size, pairs)
    title = _standing(law, placement)
    chart = valleys(
        valleys_of(law.bare, budgets, sizes),
        Frame(title, _notes(law, placement), dark=request.dark),
        parameters=size,
        loss=loss,
        flops=flops,
        here=placement.placed,
    )
    return chart, title


@_answering
def isoloss(state: RunState, request: ChartRequest, registry: RunRegistry) -> Drawn:
    """Draw lines of equal loss over compute and size, the best sizes, and the run."""
    from scalewatch.charts import Frame
    from scalewatch.charts import isoloss as draw
    from scalewatch.figures.loss_lines import best_sizes, contours_of

    law, placement = _law_and_placement(state, registry)
    flops, size, loss = _beside(state, law, registry)
    pairs = _budgets(placement, flops, BUDGET_LOG)
    line = best_sizes(law.surface, np.linspace(*pairs, POINTS), LEVEL, f"best size, {percent(LEVEL)} interval")
    if len(line.x) < 2:
        raise CannotDrawError(_NO_BEST)
    most, least = (float(v) for v in _least(law, np.log(line.x[[0, -1]] / 6)).mid)
    floor = float(law.bare.floor[0, 0])
    losses = floor + np.geomspace(0.97 * (least - floor), 1.15 * (most - floor), CONTOURS)
    log_sizes = _sizes(law, placement, np.append(size, line.mid), pairs)
    contours = contours_of(law.bare, losses.tolist(), log_sizes, pairs[1] + BUDGET_LOG)
    title = _standing(law, placement)
    chart = draw(
        contours,
        Frame(title, _notes(law, placement), dark=request.dark),
        frontier=line,
        flops=flops,
        parameters=size,
        loss=loss,
        here=placement.placed,
    )
    return chart, title


@_answering
def frontier(state: RunState, request: ChartRequest, registry: RunRegistry) -> Drawn:
    """Draw the least loss over compute by the law, and the run."""
    from scalewatch.charts import Frame, loss_against_compute

    law, placement = _law_and_placement(state, registry)
    flops, _, loss = _beside(state, law, registry)
    pairs = np.linspace(*_budgets(placement, flops, math.log(2.0)), POINTS)
    line = _least(law, pairs)
    if len(line.x) < 2:
        raise CannotDrawError(_NO_BEST)
    title = _cost(law, placement)
    chart = loss_against_compute(
        flops, loss, Frame(title, _notes(law, placement), dark=request.dark), law=line, here=placement.placed
    )
    return chart, title


@_answering
def ladder(state: RunState, request: ChartRequest, registry: RunRegistry) -> Drawn:
    """Draw the final losses of the other finished runs over size, and what they predict of this run."""
    from scalewatch.figures.ladder import Goal, ladder_of_curves, ladder_of_points

    law = _law_of_runs(state, registry, "A ladder")
    placement = placement_of(state, law)
    own = None if placement.placed.low is None and not placement.ended else placement.placed.loss
    goal = Goal(placement.parameters, placement.tokens, own, running=not placement.ended)
    if law.curve_law is not None and law.curve_law.usable:
        chart = ladder_of_curves(law.curve_law, law.curves, goal, request.dark)
    elif law.fit is not None:
        chart = ladder_of_points(law.fit, goal, request.dark)
    else:
        raise CannotDrawError("The finished runs here make no law of one ladder.")
    return chart, ""


@_answering
def collapse(state: RunState, request: ChartRequest, registry: RunRegistry) -> Drawn:
    """Draw the normalised curves of the other finished runs, and that of this run among them."""
    from scalewatch.figures.law_parts import RunToPlace, collapse_of_curves

    law = _law_of_runs(state, registry, "Collapse")
    if law.curve_law is None:
        raise CannotDrawError("The finished runs here do not say their learning rates, and curves need them.")
    placement = placement_of(state, law)
    here, total = None, state.run.total_steps
    if total is not None and (placement.ended or placement.placed.low is not None):
        steps, losses = _means(state)
        label = "this run" if placement.ended else "this run, its end as forecast"
        here = RunToPlace(label, placement.parameters, steps / total, losses, placement.placed.loss)
    # an irreducible loss that a short ladder cannot tell would bend all curves: over their own end they align best
    chart = collapse_of_curves(law.curve_law, law.curves, floor=0.0, here=here, dark=request.dark)
    return chart, ""


def _means(state: RunState) -> tuple[Any, Any]:
    """Step and mean loss of each of some thousand stretches of a run."""
    columns = state.columns()
    fine = np.flatnonzero(np.isfinite(columns.losses) & (columns.losses > 0))
    steps, losses = columns.steps[fine].astype(np.float64), columns.losses[fine].astype(np.float64)
    starts = np.unique(np.linspace(0, len(fine), min(len(fine), CURVE_ROWS), endpoint=False).astype(int))
    counts = np.diff(np.append(starts, len(fine)))
    return np.add.reduceat(steps, starts) / counts, np.add.reduceat(losses, starts) / counts


def _law_of_runs(state: RunState, registry: RunRegistry, what: str) -> LawSource:
    """The law of the runs beside, or a sentence on how to get one."""
    law = law_beside(registry, state)
    if isinstance(law, str):
        sizes = len({each.parameters for each in finished_beside(registry, state)})
        raise CannotDrawError(
            f"{what} needs three finished, healthy runs or more beside this one, of three sizes and one recipe; here "
            f"are {sizes} sizes. Train some smaller models with the ScaleWatch callback below this folder."
        )
    return law


def _law_and_placement(state: RunState, registry: RunRegistry) -> tuple[LawSource, Placement]:
    law = law_for(registry, state)
    placement = placement_of(state, law)
    if not law.comparable and _far(law, placement):
        sizes = law.surface.facts.sizes or (0.0, 0.0)
        raise CannotDrawError(
            f"The law at hand is a published one, Chinchilla's, of {quantity(sizes[0])} to {quantity(sizes[1])} "
            f"parameters, and says nothing of a run of {quantity(placement.parameters)} on "
            f"{quantity(placement.tokens)} tokens. {law.notes[-1]}"
        )
    return law, placement


def _beside(state: RunState, law: LawSource, registry: RunRegistry) -> tuple[Any, Any, Any]:
    """Compute, size and final loss of the other finished runs; nothing where their losses cannot be compared."""
    if not law.comparable:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    inner = str(law.surface.facts.kind) == "non_embedding"
    found = []
    for each in finished_beside(registry, state):
        size = each.ended.non_embedding_parameters if inner else each.parameters
        if size is not None:
            found.append((6.0 * size * each.tokens, float(size), each.final_loss))
    table = np.array(found, dtype=np.float64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def _budgets(placement: Placement, flops: Any, room: float) -> tuple[float, float]:
    """Least and most ln(C / 6) that is drawn."""
    every = np.log(np.append(flops, placement.placed.flops) / 6.0)
    return float(every.min()) - room, float(every.max()) + room


def _valley_budgets(placement: Placement, flops: Any, pairs: tuple[float, float]) -> list[float]:
    """Compute of the valleys [FLOP]: that of the run, those of the others, and some between if these are few."""
    kept = [placement.placed.flops]
    even = 6 * np.exp(np.linspace(*pairs, VALLEYS))
    for budget in [*np.sort(flops).tolist(), *([] if len(flops) >= VALLEYS else even.tolist())]:
        apart = NEAR if budget in flops else FAR
        if all(abs(math.log(budget / other)) > apart for other in kept):
            kept.append(budget)
    return sorted(kept)


def _sizes(law: LawSource, placement: Placement, others: Any, pairs: tuple[float, float]) -> Any:
    """ln(size) that is drawn: the runs, and the best sizes of the least and the most compute."""
    from scalewatch.plan.frontier import best_log_size

    best = best_log_size(law.bare, np.array([pairs]))[0]
    every = np.concatenate([np.log(np.append(others, placement.parameters)), best[np.isfinite(best)]])
    return np.linspace(every.min() - SIZE_LOG, every.max() + SIZE_LOG, SIZES)


def _least(law: LawSource, pairs: Any) -> Ribbon:
    from scalewatch.figures.loss_lines import least_losses

    return least_losses(law.surface, pairs, LEVEL, f"best at this compute, {percent(LEVEL)} interval of a run")


def _best(law: LawSource, placement: Placement) -> tuple[float, float] | None:
    """Best size at the compute of a run, and the loss there [nats/token]."""
    from scalewatch.figures.loss_lines import log_pair
    from scalewatch.plan import frontier as of

    pair = np.array([[log_pair(placement.placed.flops)]])
    size = float(of.best_log_size(law.bare, pair)[0, 0])
    return (math.exp(size), float(of.frontier_loss(law.bare, pair)[0, 0])) if math.isfinite(size) else None


def _far(law: LawSource, placement: Placement) -> bool:
    """Whether a run is so far from those of the law that its numbers mean nothing."""
    facts = law.surface.facts
    pairs = ((facts.sizes, placement.parameters), (facts.tokens, placement.tokens))
    return any(
        limits is not None and (value > FAR_OUTSIDE * limits[1] or value < limits[0] / FAR_OUTSIDE)
        for limits, value in pairs
    )


def _standing(law: LawSource, placement: Placement) -> str:
    """How the size of a run compares with the best one for its compute, in one line."""
    best = _best(law, placement)
    run = f"{quantity(placement.parameters)} parameters on {quantity(placement.tokens)} tokens"
    if best is None:
        return f"{run}: the law has no best size at {power(placement.placed.flops)} FLOP"
    if _far(law, placement):
        return f"{run}: more than {FAR_OUTSIDE:.0f} times outside the runs that this law was fitted on"
    factor, excess = placement.parameters / best[0], placement.loss - best[1]
    if excess < AS_GOOD:
        return f"{run}: as good as the best size at {power(placement.placed.flops)} FLOP, {quantity(best[0])}"
    word = f"{factor:.2g} times" if factor >= 1 else f"1/{1 / factor:.2g} of"
    return f"{run}: {word} the best size at this compute, which costs {excess:.3f} nats by the law"


def _cost(law: LawSource, placement: Placement) -> str:
    """What the law says of the loss of a run, or of its compute where losses cannot be compared."""
    from scalewatch.plan.frontier import log_pairs_for_loss

    at = placement.placed
    if law.comparable and (placement.ended or at.low is not None):
        word, off = ("ended" if placement.ended else "is forecast to end"), at.loss - placement.loss
        end = f"The run {word} at {at.loss:.3f} nats/token"
        if placement.distance:
            return f"{end}; {'it was' if placement.ended else 'so far it is'} {placement.distance}"
        side = "above" if off > 0 else "below"
        return end if law.is_of_run else f"{end}, {abs(off):.3f} {side} that law at its size and tokens"
    if _far(law, placement):
        return f"{power(at.flops)} FLOP: more than {FAR_OUTSIDE:.0f} times outside the runs that this law was fitted on"
    pair = math.log(at.flops / 6.0)
    least = float(log_pairs_for_loss(law.bare, np.array([[placement.loss]]), pair)[0, 0])
    share = math.exp(least - pair) if math.isfinite(least) else 1.0
    if share > WELL_SPENT:
        return f"By the law, {power(at.flops)} FLOP are well spent at this size"
    return f"By the law, a model of the best size reaches as much with {percent(share)} of {power(at.flops)} FLOP"


def _notes(law: LawSource, placement: Placement) -> list[str]:
    facts = law.surface.facts
    outside = facts.range_notes(placement.parameters, placement.tokens, placement.loss)
    return [*law.notes, *outside]

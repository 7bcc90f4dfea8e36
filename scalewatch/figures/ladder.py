"""The ladder of a fit: its best run of each size, the law through them, and the run that they are for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.figures.law_parts import GRID, LEVEL, NORMAL_80, law_ribbon, law_sentences, used_curves
from scalewatch.text import percent

if TYPE_CHECKING:
    from scalewatch.charts import Frame, Ribbon, Target
    from scalewatch.fitting.points import PointFit
    from scalewatch.laws import Curve, CurveLaw
    from scalewatch.laws.chinchilla import Chinchilla

__all__ = ["Goal", "ladder_of_curves", "ladder_of_points"]

#: Log size within which runs are of one size.
SAME_SIZE = 0.03
#: Exponents of tokens in size below this are none.
NO_GROWTH = 0.005


@final
@dataclass(frozen=True, slots=True)
class Goal:
    """The run a ladder is for: parameters, tokens if they are said, and the loss it came out at [nats/token].

    While it is `running`, the outcome is what is forecast of it now.
    """

    parameters: float
    tokens: float | None = None
    outcome: float | None = None
    running: bool = False


def _rungs(log_size: Floats, loss: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of the best run of each size, sizes within 3 % being one, and the other rows."""
    order = np.argsort(log_size, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(log_size[order]) > SAME_SIZE) + 1)
    best = np.array([group[np.argmin(loss[group])] for group in groups])
    return best, np.setdiff1d(order, best)


def _grid(sizes: Floats, goal: Goal | None, extra: Floats) -> Floats:
    most = max(float(sizes.max()), 0.0 if goal is None else goal.parameters)
    return np.unique(np.append(np.geomspace(sizes.min(), most, GRID), extra))


def _title(law: Ribbon, sizes: Floats, loss: Floats, target: Target | None) -> str:
    """What the ladder says, in one line."""
    from scalewatch.charts.axes import quantity

    if target is None:
        if not np.isfinite(law.low).any():
            return f"The law through {len(sizes)} rungs gives no interval"
        inside = (loss >= np.interp(sizes, law.x, law.low)) & (loss <= np.interp(sizes, law.x, law.high))
        return f"{int(inside.sum())} of {len(sizes)} rungs lie within the law's {percent(LEVEL)} interval"
    size, bounds = quantity(target.parameters), f"{target.low:.3f} to {target.high:.3f}"
    if target.outcome is None:
        what = f"{target.loss:.3f} nats/token ({percent(LEVEL)} interval {bounds})"
        return f"{size} parameters are predicted to reach {what}"
    where = "below" if target.outcome < target.low else "above" if target.outcome > target.high else "within"
    word = "is forecast to end" if target.running else "came out"
    return f"{size} {word} at {target.outcome:.3f} nats/token, {where} the predicted {bounds} ({percent(LEVEL)})"


def ladder_of_points(fit: PointFit[Chinchilla], goal: Goal | None, dark: bool) -> Any:
    """Return the ladder of finished runs: for each size its best run; tokens grow with size as in these.

    Raises:
        FitError: if there is one size only, or no interval for the target.
    """
    from scalewatch.charts import Frame, Target
    from scalewatch.charts.axes import quantity
    from scalewatch.laws.size import Parameters

    points = fit.points
    size, loss = np.exp(points.log_size), np.exp(points.log_loss)
    best, others = _rungs(points.log_size, loss)
    if len(best) < 2:
        raise FitError("A ladder needs runs of two sizes or more: choose another chart (--chart).")
    slope, level = np.polyfit(points.log_size[best], points.log_tokens[best], 1)
    last, goal_tokens = float(points.log_size[best[-1]]), None
    if goal is not None:
        grown = float(level + slope * np.log(goal.parameters))
        goal_tokens = grown if goal.tokens is None else math.log(goal.tokens)

    def tokens_at(log_size: Floats) -> Floats:
        grown = level + slope * log_size
        if goal is None or goal_tokens is None or np.log(goal.parameters) <= last:
            return np.asarray(np.exp(grown))
        beyond = np.interp(log_size, [last, np.log(goal.parameters)], [level + slope * last, goal_tokens])
        return np.asarray(np.exp(np.where(log_size <= last, grown, beyond)))

    grid = _grid(size, goal, size[best])
    prediction = fit.predict(Parameters(grid, points.kind), tokens_at(np.log(grid)), LEVEL)
    law = law_ribbon("law", grid, prediction.loss, prediction.low, prediction.high)
    target = None
    notes = [
        *law_sentences(fit),
        f"Rungs: the best run of each size. The law is drawn at their tokens, D ~ N^{slope:.2f}.",
    ]
    if goal is not None and goal_tokens is not None:
        one = fit.predict(Parameters(goal.parameters, points.kind), math.exp(goal_tokens), LEVEL)
        if not np.isfinite(float(one.high)):
            raise FitError(f"The fit gives no interval for the target: {one.status.value}")
        ends = (float(one.loss), float(one.low), float(one.high))
        target = Target(goal.parameters, *ends, LEVEL, goal.outcome, goal.running)
        source = "as --target says" if goal.tokens is not None else "as many as the rungs would have"
        unsure = "" if one.status.name == "OK" else f" {one.status.value}"
        notes.append(f"The target has {quantity(math.exp(goal_tokens))} tokens, {source}.{unsure}")
    return _chart(
        (size, loss), (best, others), law, target, Frame(_title(law, size[best], loss[best], target), notes, dark=dark)
    )


def _chart(
    runs: tuple[Floats, Floats],
    rows: tuple[NDArray[np.int64], NDArray[np.int64]],
    law: Ribbon,
    target: Target | None,
    frame: Frame,
) -> Any:
    """The ladder of runs, their sizes and losses, by the rows of the best of each size and the other rows."""
    from scalewatch.charts import ladder

    (size, loss), (best, others) = runs, rows
    return ladder(
        size[best],
        loss[best],
        frame,
        law=law,
        target=target,
        other_parameters=size[others],
        other_loss=loss[others],
    )


def ladder_of_curves(law: CurveLaw, curves: Sequence[Curve], goal: Goal | None, dark: bool) -> Any:
    """Return the ladder of whole curves, the law drawn for the schedules of its rungs.

    Raises:
        FitError: if there is one size only, or sizes or the tokens of the target are not known.
    """
    from scalewatch.charts import Frame, Target

    sizes, loss, walk, annealed, tokens = _ends_of_curves(law, curves)
    best, others = _rungs(np.log(sizes), loss)
    if law.units.size_kind == "none" or len(best) < 2:
        raise FitError(
            "A ladder needs runs of two sizes or more, and these have one or do not say: add a column `parameters`, "
            "or choose another chart (--chart)."
        )
    walks = _Walks.of(sizes[best], walk[best], annealed[best], float(tokens[best[-1]]), goal)
    grid = _grid(sizes, goal, sizes[best])
    mid, low, high = np.array([_end(law, n, *walks.at(n)) for n in grid.tolist()]).T
    ribbon = law_ribbon("law", grid, mid, low, high)
    notes = ["Rungs: the best run of each size. The law is drawn for their schedules, and bends where these do."]
    target = None
    if goal is not None:
        end = _end(law, goal.parameters, *walks.at_goal(goal))
        if not np.isfinite(end).all():
            raise FitError(f"The fit gives no interval for the target: {' '.join(law.cautions)}")
        target = Target(goal.parameters, *end, LEVEL, goal.outcome, goal.running)
        notes.append(walks.sentence(law.units.lr_sum_unit, goal))
    return _chart(
        (sizes, loss),
        (best, others),
        ribbon,
        target,
        Frame(_title(ribbon, sizes[best], loss[best], target), notes, dark=dark),
    )


@final
@dataclass(frozen=True, slots=True)
class _Walks:
    """Walk and annealed part of a run of any size: those of the rungs about it; beyond, longer as the ladder grows."""

    log_size: Floats
    log_walk: Floats
    annealed: Floats
    slope: float
    goal_walk: float | None

    @staticmethod
    def of(size: Floats, walk: Floats, annealed: Floats, last_tokens: float, goal: Goal | None) -> _Walks:
        log_size, log_walk = np.log(size), np.log(walk)
        slope, goal_walk = float(np.polyfit(log_size, log_walk, 1)[0]), None
        if goal is not None and goal.tokens is not None:
            if not math.isfinite(last_tokens):
                raise FitError("The tokens of the target mean nothing to runs that do not say theirs: add `tokens`.")
            goal_walk = float(walk[-1]) * goal.tokens / last_tokens
            beyond = math.log(goal.parameters) - float(log_size[-1])
            if beyond > 0:
                slope = (math.log(goal_walk) - float(log_walk[-1])) / beyond
        return _Walks(log_size, log_walk, annealed, slope, goal_walk)

    def at(self, count: float) -> tuple[float, float]:
        """Walk and annealed part of a run of `count` parameters."""
        at = math.log(count)
        beyond = max(at - float(self.log_size[-1]), 0.0)
        walked = math.exp(float(np.interp(at, self.log_size, self.log_walk)) + self.slope * beyond)
        return walked, float(np.interp(at, self.log_size, self.annealed))

    def at_goal(self, goal: Goal) -> tuple[float, float]:
        """The same of the target, with the tokens it says."""
        walked, annealed = self.at(goal.parameters)
        return (walked if self.goal_walk is None else self.goal_walk), annealed

    def sentence(self, unit: str, goal: Goal) -> str:
        """How long the target is taken to run."""
        from scalewatch.charts.axes import quantity

        if goal.tokens is not None:
            return f"The target has {quantity(goal.tokens)} tokens and the schedule of the largest rung, stretched."
        if abs(self.slope) < NO_GROWTH:
            return f"Beyond them, {unit} stay those of the largest rung."
        return f"Beyond them, {unit} grow as N^{self.slope:.2f}, as they do from rung to rung."


_ROLE = {"total": "parameters", "non_embedding": "non_embedding_parameters"}


def _end(law: CurveLaw, count: float, walked: float, annealed: float) -> tuple[float, float, float]:
    """Final loss of a run and its interval [nats/token]."""
    from scalewatch.run import Run

    sizes: dict[str, Any] = {_ROLE[law.units.size_kind]: round(count)}
    run = Run("target", tokens_per_step=1.0, **sizes)
    prediction = law.predict_run(run, walked, annealed)
    end, half = prediction.end_loss or float("nan"), NORMAL_80 * prediction.end_loss_sd
    return end, max(end - half, 1e-3), end + half


def _ends_of_curves(law: CurveLaw, curves: Sequence[Curve]) -> Floats:
    """Size, final loss, walk [walk_unit], annealed part and tokens at the end of each curve used, shape (5, n)."""
    from scalewatch.laws import schedule_features

    ends = []
    for curve in used_curves(law, curves):
        size, plan = law.size_of(curve.run), curve.run.learning_rates
        if size is None or plan is None:
            continue
        walked, annealed = schedule_features(plan, [law.shape.memory_steps]).at([float(curve.steps[-1])])
        batch = curve.run.tokens_per_step
        per_step = (batch or 1.0) if law.units.lr_sum_unit == "tokens" else 1.0
        last = max(len(curve.loss) // 50, 1)
        tokens = float("nan") if batch is None else batch * float(curve.steps[-1])
        end = float(np.mean(curve.loss[-last:]))
        ends.append((size, end, float(walked[0]) * per_step, float(annealed[0, 0]), tokens))
    if not ends:
        raise FitError("No run says its size, and the chart is over size: add a column `parameters`.")
    return np.array(ends, dtype=np.float64).T

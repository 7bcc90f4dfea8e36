"""The charts of a fit: what laws say, as the plain arrays that charts take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scalewatch.errors import ConfigError, FitError

if TYPE_CHECKING:
    from scalewatch.charts import Ribbon
    from scalewatch.laws import Curve, CurveLaw
    from scalewatch.laws.approaches import ApproachResult, Comparison
    from scalewatch.laws.chinchilla import Chinchilla
    from scalewatch.laws.fit import Fit

__all__ = ["CURVE_CHARTS", "POINT_CHARTS", "approaches_chart", "curve_chart", "few_notes", "point_chart"]

Floats = NDArray[np.float64]

POINT_CHARTS = ("isoflop", "isoloss", "compute", "residuals", "ladder")
CURVE_CHARTS = ("ladder", "collapse")

#: Level of the intervals that are drawn.
LEVEL = 0.8
NORMAL_80 = 1.2816
GRID = 60
CONTOURS = 10
#: Log compute about a bottom that is of its budget, and part of the runs that must be of one.
BUDGET_WIDTH, MOSTLY = 0.1, 0.7
#: Log size within which runs are of one size.
SAME_SIZE = 0.03


def point_chart(name: str, fit: Fit[Chinchilla], names: Sequence[str], *, target: float | None, dark: bool) -> Any:
    """Return a chart of a law of final losses.

    Args:
        name: one of `POINT_CHARTS`, or "auto": isoFLOP if most runs lie in valleys with a bottom, else residuals.
        fit: the fit. names: of its runs. target: size for the ladder, count. dark: colours.

    Raises:
        ConfigError: if there is no such chart of this law. FitError: if the runs do not make the chart.
    """
    if name == "auto":
        name = "isoflop" if _in_valleys(fit) else "residuals"
    if name == "isoflop":
        return _isoflop(fit, dark)
    if name == "isoloss":
        return _isoloss(fit, dark)
    if name == "compute":
        return _compute(fit, dark)
    if name == "residuals":
        return _residuals(fit, names, dark)
    if name == "ladder":
        return _ladder_of_points(fit, target, dark)
    raise ConfigError(
        f"`--chart` of a law of final losses is one of auto, {', '.join(POINT_CHARTS)} (got {name!r:.40})."
    )


def curve_chart(name: str, law: CurveLaw, curves: Sequence[Curve], *, target: float | None, dark: bool) -> Any:
    """Return a chart of a law of whole curves, one of `CURVE_CHARTS`, or "auto": the ladder.

    Raises:
        ConfigError: if there is no such chart of this law. FitError: if the runs do not make the chart.
    """
    if name in ("auto", "ladder"):
        return _ladder_of_curves(law, curves, target, dark)
    if name == "collapse":
        return _collapse(law, curves, dark)
    raise ConfigError(f"`--chart` of a law of curves is one of auto, {', '.join(CURVE_CHARTS)} (got {name!r:.40}).")


def _sentences(fit: Fit[Chinchilla]) -> list[str]:
    law = fit.law
    low, high = fit.interval_of(lambda draws: np.asarray(draws[:, 4] / (draws[:, 3] + draws[:, 4])), LEVEL)
    return [
        f"L = {law.E:.3f} + {law.A:.4g} N^-{law.alpha:.3f} + {law.B:.4g} D^-{law.beta:.3f}, {law.source}; N ~ C^a with "
        f"a = {law.exponents[0]:.3f} ({low:.3f} to {high:.3f}).",
        *([] if fit.status.name == "OK" else [fit.status.value]),
    ]


def _in_valleys(fit: Fit[Chinchilla]) -> bool:
    from scalewatch.laws.isoflop import bottoms
    from scalewatch.laws.size import Parameters

    points = fit.points
    size, flops = np.exp(points.log_size), np.exp(points.log_flops)
    found, _ = bottoms(Parameters(size, points.kind), flops, np.exp(points.log_loss), method="parabola", repeats=50)
    inside = [np.abs(points.log_flops - np.log(bottom.flops)) < BUDGET_WIDTH for bottom in found]
    return len(found) > 1 and float(np.mean(np.any(inside, axis=0))) > MOSTLY


def _isoflop(fit: Fit[Chinchilla], dark: bool) -> Any:
    from scalewatch.charts import Minima, Ribbon, isoflop
    from scalewatch.laws.isoflop import allocation_fit, bottoms
    from scalewatch.laws.size import Parameters

    points = fit.points
    size, loss, flops = np.exp(points.log_size), np.exp(points.log_loss), np.exp(points.log_flops)
    found, left_out = bottoms(Parameters(size, points.kind), flops, loss, method="parabola")
    made = allocation_fit(found, left_out)
    log_size, sd = np.array([b.log_size for b in found]), np.array([b.log_size_sd for b in found])
    budgets = np.array([b.flops for b in found])
    minima = Minima(
        budgets,
        np.exp(log_size),
        np.exp(log_size - NORMAL_80 * sd),
        np.exp(log_size + NORMAL_80 * sd),
        np.array([b.loss for b in found]),
    )
    grid = np.geomspace(budgets.min(), budgets.max(), GRID)
    weight = 1.0 / sd**2
    centre = float(np.average(np.log(budgets), weights=weight))
    middle = made.log_scale + made.exponent * np.log(grid)
    # the slope's error about the weighted middle of the budgets, and the level's there
    half = NORMAL_80 * np.hypot(made.exponent_sd * (np.log(grid) - centre), weight.sum() ** -0.5)
    low, high = np.quantile(made.draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    label = f"N ~ C^a, a = {made.exponent:.3f} ({low:.3f} to {high:.3f})"
    line = Ribbon(label, grid, np.exp(middle), np.exp(middle - half), np.exp(middle + half))
    notes = [f"{len(points)} runs; bottoms with {LEVEL:.0%} intervals."]
    if left_out:
        notes.append(f"{len(left_out)} budgets have no bottom, such as {left_out[-1]}")
    return isoflop(
        size,
        loss,
        flops,
        title="The best size at each budget",
        subtitle=notes,
        minima=minima,
        allocation=line,
        dark=dark,
    )


def _frontier(fit: Fit[Chinchilla], flops: Floats) -> Ribbon:
    from scalewatch.charts import Ribbon
    from scalewatch.laws.fit_chinchilla import optimum_interval

    best = fit.law.optimum(flops)
    bounds = np.array([optimum_interval(fit, f, LEVEL).parameters for f in flops.tolist()])
    return Ribbon(f"best size, {LEVEL:.0%} interval", flops, np.asarray(best.size.count), bounds[:, 0], bounds[:, 1])


def _isoloss(fit: Fit[Chinchilla], dark: bool) -> Any:
    from scalewatch.charts import Contour, isoloss
    from scalewatch.laws.size import Parameters

    law, points = fit.law, fit.points
    size, loss, flops = np.exp(points.log_size), np.exp(points.log_loss), np.exp(points.log_flops)
    grid = np.geomspace(size.min() / 10, size.max() * 10, 6 * GRID)
    least = float(law.frontier_loss(4 * flops.max()))
    most = max(float(np.quantile(loss, 0.95)), least + 0.1 * (least - law.E))
    levels = np.unique(np.round(law.E + np.geomspace(least - law.E, most - law.E, CONTOURS), 2))
    levels = levels[levels > law.E]
    contours = []
    for level in levels.tolist():
        reaches = grid[grid > 1.001 * (law.A / (level - law.E)) ** (1.0 / law.alpha)]
        if len(reaches):
            tokens = law.tokens_for_loss(Parameters(reaches, law.kind), level)
            contours.append(Contour(level, 6.0 * reaches * tokens, reaches))
    frontier = _frontier(fit, np.geomspace(flops.min() / 2, 2 * flops.max(), GRID))
    return isoloss(
        contours,
        title="What equal loss costs",
        subtitle=_sentences(fit),
        frontier=frontier,
        flops=flops,
        parameters=size,
        loss=loss,
        dark=dark,
    )


def _compute(fit: Fit[Chinchilla], dark: bool) -> Any:
    from scalewatch.charts import Ribbon, loss_against_compute

    points = fit.points
    flops = np.exp(points.log_flops)
    grid = np.geomspace(flops.min(), 3 * flops.max(), 3 * GRID)
    best = fit.law.optimum(grid)
    told = fit.predict(best.size, best.tokens, LEVEL)
    label = f"best at this compute, {LEVEL:.0%} interval of a run"
    law = Ribbon(label, grid, *(np.asarray(part) for part in (told.loss, told.low, told.high)))
    return loss_against_compute(
        flops, np.exp(points.log_loss), title="Loss against compute", subtitle=_sentences(fit), law=law, dark=dark
    )


def _residuals(fit: Fit[Chinchilla], names: Sequence[str], dark: bool) -> Any:
    from scalewatch.charts import residuals

    points = fit.points
    notes = [*_sentences(fit), "Shaded: one and two standard deviations of a run. Blue: running median."]
    return residuals(
        np.exp(points.log_size),
        np.exp(points.log_tokens),
        np.exp(points.log_flops),
        100 * fit.residuals,
        title="What the law leaves over",
        subtitle=notes,
        scale_percent=100 * fit.scale,
        outliers=fit.outliers,
        names=names,
        dark=dark,
    )


def _rungs(log_size: Floats, loss: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of the best run of each size, sizes within 3 % being one, and the other rows."""
    order = np.argsort(log_size, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(log_size[order]) > SAME_SIZE) + 1)
    best = np.array([group[np.argmin(loss[group])] for group in groups])
    return best, np.setdiff1d(order, best)


def _ladder_of_points(fit: Fit[Chinchilla], target: float | None, dark: bool) -> Any:
    """For each size its best run; tokens grow with size as in these."""
    from scalewatch.charts import Ribbon, Target, ladder
    from scalewatch.charts.style import quantity
    from scalewatch.laws.size import Parameters

    points = fit.points
    size, loss = np.exp(points.log_size), np.exp(points.log_loss)
    best, others = _rungs(points.log_size, loss)
    if len(best) < 2:
        raise FitError("A ladder needs runs of two sizes or more: choose another chart (--chart).")
    slope, level = np.polyfit(points.log_size[best], points.log_tokens[best], 1)
    grid = np.geomspace(size.min(), max(float(size.max()), target or 0.0), GRID)
    told = fit.predict(Parameters(grid, points.kind), np.exp(level + slope * np.log(grid)), LEVEL)
    law = Ribbon(f"law, {LEVEL:.0%} interval", grid, *(np.asarray(p) for p in (told.loss, told.low, told.high)))
    goal = None
    notes = [
        *_sentences(fit),
        f"Rungs: the best run of each size. The law is drawn at their tokens, D ~ N^{slope:.2f}.",
    ]
    if target is not None:
        tokens = float(np.exp(level + slope * np.log(target)))
        one = fit.predict(Parameters(target, points.kind), tokens, LEVEL)
        if not np.isfinite(float(one.high)):
            raise FitError(f"The fit gives no interval for the target: {one.status.value}")
        goal = Target(target, float(one.loss), float(one.low), float(one.high), LEVEL)
        notes.append(f"On {quantity(tokens)} tokens." + ("" if one.status.name == "OK" else f" {one.status.value}"))
    return ladder(
        size[best],
        loss[best],
        title="From the ladder to its target",
        subtitle=notes,
        law=law,
        target=goal,
        other_parameters=size[others],
        other_loss=loss[others],
        dark=dark,
    )


def _ladder_of_curves(law: CurveLaw, curves: Sequence[Curve], target: float | None, dark: bool) -> Any:
    from scalewatch.charts import Ribbon, Target, ladder
    from scalewatch.run import Run

    sizes, loss, walk, annealed = _ends_of_curves(law, curves)
    best, others = _rungs(np.log(sizes), loss)
    if law.size_kind == "none" or len(best) < 2:
        raise FitError(
            "A ladder needs runs of two sizes or more, and these have one or do not say: add a column `parameters`, "
            "or choose another chart (--chart)."
        )
    at, log_walk = np.log(sizes[best]), np.log(walk[best])
    slope = float(np.polyfit(at, log_walk, 1)[0])

    def predicted(count: float) -> tuple[float, float, float]:
        # the schedules of the rungs about this size; beyond the last, that of the last, longer as the ladder grows
        beyond = max(float(np.log(count)) - float(at[-1]), 0.0)
        walked = float(np.exp(np.interp(np.log(count), at, log_walk) + slope * beyond))
        run = Run("target", tokens_per_step=1.0, **{_ROLE[law.size_kind]: round(count)})
        told = law.predict(run, walked, float(np.interp(np.log(count), at, annealed[best])))
        end, half = told.end_loss or float("nan"), NORMAL_80 * told.end_loss_sd
        return end, max(end - half, 1e-3), end + half

    grid = np.unique(np.append(np.geomspace(sizes.min(), max(float(sizes.max()), target or 0.0), GRID), sizes[best]))
    mid, low, high = np.array([predicted(float(count)) for count in grid]).T
    notes = ["Rungs: the best run of each size. The law is drawn for their schedules."]
    if target is not None:
        notes.append(f"Beyond them, {law.walk_unit} grow as N^{slope:.2f}, as they do from rung to rung.")
    return ladder(
        sizes[best],
        loss[best],
        title="From the ladder to its target",
        subtitle=notes,
        law=Ribbon(f"law, {LEVEL:.0%} interval", grid, mid, low, high),
        target=None if target is None else Target(target, *predicted(target), LEVEL),
        other_parameters=sizes[others],
        other_loss=loss[others],
        dark=dark,
    )


def _ends_of_curves(law: CurveLaw, curves: Sequence[Curve]) -> Floats:
    """Size, final loss, walk [walk_unit] and annealed part at the end of each curve used, shape (4, n)."""
    from scalewatch.laws import schedule_features

    ends = []
    for curve in _used(law, curves):
        size, plan = law.size_of(curve.run), curve.run.learning_rates
        if size is None or plan is None:
            continue
        walked, annealed = schedule_features(plan, [law.memory_steps]).at([float(curve.steps[-1])])
        per_step = (curve.run.tokens_per_step or 1.0) if law.walk_unit == "tokens" else 1.0
        last = max(len(curve.loss) // 50, 1)
        ends.append((size, float(np.mean(curve.loss[-last:])), float(walked[0]) * per_step, float(annealed[0, 0])))
    if not ends:
        raise FitError("No run says its size, and the chart is over size: add a column `parameters`.")
    return np.array(ends, dtype=np.float64).T


def _used(law: CurveLaw, curves: Sequence[Curve]) -> list[Curve]:
    return [c for c in curves if not any(reason.startswith(f"'{c.run.name}'") for reason in law.left_out)]


def few_notes(notes: Sequence[str]) -> str:
    """Return the first of many notes, and how many more there are."""
    return " ".join(notes) if len(notes) < 3 else f"{notes[0]} ({len(notes) - 1} more such notes)"


def _why(result: ApproachResult) -> str:
    return few_notes(result.notes) if result.exponent is None else ""


_ROLE = {"total": "parameters", "non_embedding": "non_embedding_parameters"}


def _collapse(law: CurveLaw, curves: Sequence[Curve], dark: bool) -> Any:
    from scalewatch.charts import NormalisedCurve, collapse
    from scalewatch.laws.collapse import CollapseRun, measure_collapse

    runs, compute = [], []
    for curve in _used(law, curves):
        size = law.size_of(curve.run)
        if size is None:
            continue
        _, steps, loss, _ = curve.blocks().arrays()
        progress = np.append(steps / curve.steps[-1], 1.0) if steps[-1] < curve.steps[-1] else steps / steps[-1]
        runs.append(CollapseRun(size, curve.run.name, progress, np.append(loss, loss[-1])[: len(progress)]))
        compute.append(size * (curve.run.tokens_per_step or 1.0) * float(curve.steps[-1]))
    measured = measure_collapse(runs, None if len(set(compute)) > 2 else 0.0, compute)
    drawn = [
        NormalisedCurve(run.size, run.progress, (run.loss - measured.floor) / (run.final_loss - measured.floor))
        for run in runs
    ]
    notes = [f"{measured.runs} runs of {measured.sizes} sizes; L0 = {measured.floor:.3f} nats/token.", *measured.notes]
    return collapse(
        drawn,
        title="Loss curves of all sizes, normalised",
        subtitle=notes,
        progress=measured.progress,
        deviation=measured.deviation,
        noise_floor=measured.noise_floor,
        dark=dark,
    )


def approaches_chart(found: Comparison, *, target_flops: float | None, dark: bool) -> Any:
    """Return the page that puts the approaches side by side."""
    from scalewatch.charts import Answer, three_approaches

    answers = [Answer(str(r.approach), r.exponent, r.low, r.high, r.log_scale, r.flops, _why(r)) for r in found.results]
    notes = [found.status, *found.disagreements]
    notes += [f"{r.approach}: {few_notes(r.notes)}" for r in found.results if r.notes and r.exponent is not None]
    return three_approaches(
        answers, title="Three approaches to one allocation", subtitle=notes, target_flops=target_flops, dark=dark
    )

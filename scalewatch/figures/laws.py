"""The charts of a fit: what laws say, as the plain arrays that charts take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError
from scalewatch.figures.law_parts import (
    GRID,
    LEVEL,
    NORMAL_80,
    UNKNOWN,
    collapse_of_curves,
    law_ribbon,
    law_sentences,
    within,
)
from scalewatch.text import percent

if TYPE_CHECKING:
    from scalewatch.charts import Ribbon
    from scalewatch.figures.ladder import Goal
    from scalewatch.fitting.approaches import ApproachResult, Comparison
    from scalewatch.fitting.points import PointFit
    from scalewatch.laws import Curve, CurveLaw
    from scalewatch.laws.chinchilla import Chinchilla

__all__ = [
    "CURVE_CHARTS",
    "POINT_CHARTS",
    "approaches_chart",
    "check_chart",
    "curve_chart",
    "few_notes",
    "point_chart",
]

POINT_CHARTS = ("isoflop", "isoloss", "compute", "residuals", "ladder")
CURVE_CHARTS = ("ladder", "collapse")

CONTOURS = 10
#: Log compute about a bottom that is of its budget, and part of the runs that must be of one.
BUDGET_WIDTH, MOSTLY = 0.1, 0.7


def point_chart(name: str, fit: PointFit[Chinchilla], names: Sequence[str], *, goal: Goal | None, dark: bool) -> Any:
    """Return a chart of a law of final losses.

    Args:
        name: one of `POINT_CHARTS`, or "auto": isoFLOP if most runs lie in valleys with a bottom, else residuals.
        fit: the fit. names: of its runs. goal: what the ladder is for. dark: colours.

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
        from scalewatch.figures.ladder import ladder_of_points

        return ladder_of_points(fit, goal, dark)
    raise _no_such_chart(name, curves=False)


def curve_chart(name: str, law: CurveLaw, curves: Sequence[Curve], *, goal: Goal | None, dark: bool) -> Any:
    """Return a chart of a law of whole curves, one of `CURVE_CHARTS`, or "auto": the ladder.

    Raises:
        ConfigError: if there is no such chart of this law. FitError: if the runs do not make the chart.
    """
    if name in ("auto", "ladder"):
        from scalewatch.figures.ladder import ladder_of_curves

        return ladder_of_curves(law, curves, goal, dark)
    if name == "collapse":
        return collapse_of_curves(law, curves, dark=dark)
    raise _no_such_chart(name, curves=True)


def check_chart(name: str, *, curves: bool) -> None:
    """Refuse a chart that a law of final losses, or of whole curves, does not have: before it is fitted.

    Raises:
        ConfigError: if there is no such chart.
    """
    if name not in ("auto", *(CURVE_CHARTS if curves else POINT_CHARTS)):
        raise _no_such_chart(name, curves=curves)


def _no_such_chart(name: str, *, curves: bool) -> ConfigError:
    what, known = ("curves", CURVE_CHARTS) if curves else ("final losses", POINT_CHARTS)
    return ConfigError(f"`--chart` of a law of {what} is one of auto, {', '.join(known)} (got {name!r:.40}).")


def _in_valleys(fit: PointFit[Chinchilla]) -> bool:
    from scalewatch.fitting.isoflop import bottoms
    from scalewatch.laws.size import Parameters

    points = fit.points
    size, flops = np.exp(points.log_size), np.exp(points.log_flops)
    found, _ = bottoms(Parameters(size, points.kind), flops, np.exp(points.log_loss), method="parabola", repeats=50)
    inside = [np.abs(points.log_flops - np.log(bottom.flops)) < BUDGET_WIDTH for bottom in found]
    return len(found) > 1 and float(np.mean(np.any(inside, axis=0))) > MOSTLY


def _isoflop(fit: PointFit[Chinchilla], dark: bool) -> Any:
    from scalewatch.charts import Frame, Minima, Ribbon, isoflop
    from scalewatch.fitting.isoflop import allocation_fit, bottoms, budget_of_each
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
    label = f"N ~ C^a, a = {made.exponent:.3f} ({within(low, high, '{:.3f}'.format)})"
    line = Ribbon(label, grid, np.exp(middle), np.exp(middle - half), np.exp(middle + half))
    notes = [f"{len(points)} runs; bottoms with {percent(LEVEL)} intervals."]
    if left_out:
        notes += left_out
    return isoflop(
        size,
        loss,
        flops,
        Frame(f"The best size grows as C^{made.exponent:.3f} ({within(low, high, '{:.3f}'.format)})", notes, dark=dark),
        budgets=budget_of_each(Parameters(size, points.kind), flops),
        minima=minima,
        allocation=line,
    )


def _frontier(fit: PointFit[Chinchilla], flops: Floats) -> Ribbon:
    from scalewatch.charts import Ribbon
    from scalewatch.fitting.chinchilla import optimum_interval

    best = fit.law.optimum(flops)
    bounds = np.array([optimum_interval(fit, f, LEVEL).parameters for f in flops.tolist()])
    what = f"{percent(LEVEL)} interval" if np.isfinite(bounds).all() else UNKNOWN
    return Ribbon(f"best size, {what}", flops, np.asarray(best.size.count), bounds[:, 0], bounds[:, 1])


def _best_size(fit: PointFit[Chinchilla], flops: float) -> str:
    from scalewatch.charts.axes import power, quantity

    best = _frontier(fit, np.array([flops]))
    ends = within(float(best.low[0]), float(best.high[0]), quantity)
    return f"With {power(flops)} FLOP, the best model has {quantity(float(best.mid[0]))} parameters ({ends})"


def _isoloss(fit: PointFit[Chinchilla], dark: bool) -> Any:
    from scalewatch.charts import Contour, Frame, isoloss
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
        least_size = (law.A / (level - law.E)) ** (1.0 / law.alpha)
        # closer and closer to the size below which no data suffices, or the line ends inside the panel
        reaches = np.sort(np.append(grid[grid > 1.1 * least_size], least_size * (1 + np.geomspace(1e-4, 0.1, GRID))))
        tokens = law.tokens_for_loss(Parameters(reaches, law.kind), level)
        contours.append(Contour(level, 6.0 * reaches * tokens, reaches))
    frontier = _frontier(fit, np.geomspace(flops.min() / 2, 2 * flops.max(), GRID))
    return isoloss(
        contours,
        Frame(_best_size(fit, float(flops.max())), law_sentences(fit), dark=dark),
        frontier=frontier,
        flops=flops,
        parameters=size,
        loss=loss,
    )


def _compute(fit: PointFit[Chinchilla], dark: bool) -> Any:
    from scalewatch.charts import Frame, loss_against_compute
    from scalewatch.charts.axes import power

    points = fit.points
    flops = np.exp(points.log_flops)
    grid = np.geomspace(flops.min(), 3 * flops.max(), 3 * GRID)
    best = fit.law.optimum(grid)
    prediction = fit.predict(best.size, best.tokens, LEVEL)
    law = law_ribbon("best at this compute", grid, prediction.loss, prediction.low, prediction.high)
    ends = within(float(law.low[-1]), float(law.high[-1]), "{:.3f}".format)
    title = f"With {power(float(grid[-1]))} FLOP, the law reaches {float(law.mid[-1]):.3f} nats/token ({ends})"
    return loss_against_compute(flops, np.exp(points.log_loss), Frame(title, law_sentences(fit), dark=dark), law=law)


def _residuals(fit: PointFit[Chinchilla], names: Sequence[str], dark: bool) -> Any:
    from scalewatch.charts import Frame, residuals

    points = fit.points
    farthest = 100 * float(fit.residuals[np.argmax(np.abs(fit.residuals))])
    notes = [
        *law_sentences(fit),
        "Shaded: one and two standard deviations of a run. Blue: running median; a law that fits keeps it at zero.",
    ]
    return residuals(
        np.exp(points.log_size),
        np.exp(points.log_tokens),
        np.exp(points.log_flops),
        100 * fit.residuals,
        Frame(
            f"Runs lie {100 * fit.scale:.2g} % off the law (one standard deviation), the farthest {farthest:+.2g} %",
            notes,
            dark=dark,
        ),
        scale_percent=100 * fit.scale,
        outliers=fit.outliers,
        names=names,
    )


def few_notes(notes: Sequence[str]) -> str:
    """Return the first of many notes, and how many more there are."""
    return " ".join(notes) if len(notes) < 3 else f"{notes[0]} ({len(notes) - 1} more such notes)"


def _why(result: ApproachResult) -> str:
    return few_notes(result.notes) if result.exponent is None else ""


def approaches_chart(found: Comparison, *, target_flops: float | None, dark: bool) -> Any:
    """Return the page that puts the approaches side by side."""
    from scalewatch.charts import Answer, Frame, three_approaches

    answers = [Answer(str(r.approach), r.exponent, r.low, r.high, r.log_scale, r.flops, _why(r)) for r in found.results]
    # the headline holds the status; what is said of single approaches stands in the terminal
    notes = [*found.disagreements, *found.cautions]
    if not notes:
        notes = [found.status]
    return three_approaches(answers, Frame(_verdict(found), notes, dark=dark), target_flops=target_flops)


def _verdict(found: Comparison) -> str:
    """What the approaches say together."""
    answered = [result for result in found.results if result.exponent is not None]
    numbers = sorted({result.approach.number for result in answered})
    known = sorted(float(result.exponent or 0.0) for result in answered)
    if not numbers:
        return "No approach has an answer"
    grows = f"the best size grows as C^{known[0]:.3f}" + (f" to C^{known[-1]:.3f}" if len(known) > 1 else "")
    if len(numbers) < 2:
        return f"Approach {numbers[0]} alone has an answer: {grows}"
    word = next((word for word in ("disagree", "agree") if f"The approaches {word}" in found.status), "leave it open")
    return f"Approaches {', '.join(numbers[:-1])} and {numbers[-1]} {word}: {grows}"

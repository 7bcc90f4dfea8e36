"""The half of `scalewatch fit` that turns finished runs into Chinchilla's law, and says how far to trust it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from scalewatch.cli.fit_tables import LEVEL, Constant, FittedLaw, Unprinted, constants_table
from scalewatch.cli.outputs import print_hanging
from scalewatch.errors import ConfigError
from scalewatch.offline.finished_runs import Rows, ends
from scalewatch.offline.listed import few, how_many
from scalewatch.plan.quantities import count

if TYPE_CHECKING:
    from rich.console import Console

    from scalewatch.cli.fit_options import EstimatorOptions
    from scalewatch.figures.ladder import Goal
    from scalewatch.fitting.points import PointFit
    from scalewatch.laws.chinchilla import Chinchilla

__all__ = ["Drawing", "fit_runs", "say"]

#: Rounds in which runs far above the law are left out: each moves the law, and another may show.
ROUNDS = 3
#: Part of the runs that may be left out as diverged; more is no accident, and all are kept.
MOST_LEFT_OUT = 0.15
#: The law, as it is printed.
FORMULA = "L = E + A N^-alpha + B D^-beta"
#: Runs farther off than this many standard deviations are named as the worst.
MOST_WORST = 3


@final
@dataclass(frozen=True, slots=True)
class Drawing:
    """Where the chart goes, which one it is, and the run that its ladder is for."""

    out: Path | None
    chart: str
    goal: Goal | None
    dark: bool

    def check(self, *, curves: bool) -> None:
        """Refuse before the fit what could not be drawn after it.

        Raises:
            ConfigError: if the file cannot be written, or there is no such chart of this law.
        """
        from scalewatch.cli.outputs import check_chart_file
        from scalewatch.figures.laws import check_chart

        check_chart(self.chart, curves=curves)
        if self.out is not None:
            check_chart_file("--out", self.out)
        elif self.chart != "auto":
            raise ConfigError("`--chart` needs `--out FILE`, the picture to draw.")
        elif self.goal is not None and curves:
            raise ConfigError("`--target` of a law of curves needs `--out FILE`: it is drawn on the ladder.")

    def refuse(self) -> None:
        """Refuse a chart of a law that has none.

        Raises:
            ConfigError: if one was asked for.
        """
        if self.out is not None or self.goal is not None or self.chart != "auto":
            raise ConfigError("Charts and `--target` are of the families chinchilla and curves.")

    def save(self, console: Console, chart: Any) -> None:
        """Write the chart, and say where."""
        from scalewatch.charts import save_chart

        if self.out is not None:
            say(console, [f"Drawn: {save_chart(chart, self.out)}"], "")


def say(console: Console, sentences: Sequence[str], style: str) -> None:
    """Print sentences, a line each, as they are: names of runs may look like markup."""
    if isinstance(console, Unprinted):
        console.said += [str(sentence).strip() for sentence in sentences]
    for sentence in sentences:
        text = str(sentence)
        print_hanging(console, text, style, indent=2 + len(text) - len(text.lstrip()))


def fit_runs(console: Console, rows: Rows, output: Path, drawing: Drawing, options: EstimatorOptions) -> FittedLaw:
    """Fit Chinchilla's law to finished runs, print it, write it, draw it; return what was made.

    Raises:
        FitError: if there are too few runs, with what to do.
        ConfigError: if an option is out of its range.
    """
    from scalewatch.fitting.chinchilla_file import SavedChinchilla, save_chinchilla

    say(console, rows.notes, "dim")
    finished = ends(rows)
    say(console, finished.left_out, "yellow")
    fitted, used = _without_diverged(finished, options)
    say(console, used.left_out[len(finished.left_out) :], "yellow")
    say(console, _used(used, len(rows.loss)), "")
    save_chinchilla(SavedChinchilla.of(fitted, used.left_out), output)
    constants = _constants(fitted)
    console.print(constants_table(FORMULA, constants))
    say(console, _summary(fitted, used.runs), "")
    if drawing.goal is not None:
        say(console, [_at_goal(fitted, drawing.goal)], "")
    console.print()
    style = "green" if fitted.status.name == "OK" else "yellow" if fitted.status.usable else "bold red"
    notes = fitted.notes if len(fitted.notes) == len(fitted.statuses) else [" ".join(fitted.notes)]
    for status, note in zip_longest(fitted.statuses, notes, fillvalue=""):
        say(console, [status] if status else [], style)
        say(console, [f"  {note}"] if note else [], "dim")
    say(console, [f"Written to {output}."], "")
    if not fitted.status.usable:
        say(console, ["Do not plan with this law: its constants are where the search ended, no more."], "bold red")
    if drawing.out is not None:
        from scalewatch.figures.laws import point_chart

        picture = point_chart(drawing.chart, fitted, used.runs, goal=drawing.goal, dark=drawing.dark)
        drawing.save(console, picture)
    return FittedLaw("chinchilla", FORMULA, len(used.loss), constants, fitted.status.usable)


def _without_diverged(rows: Rows, options: EstimatorOptions) -> tuple[PointFit[Chinchilla], Rows]:
    """The fit, and the runs it rests on: those far above the law diverged, and are left out."""
    from scalewatch.fitting.chinchilla import fit_chinchilla

    def fitted(some: Rows, bootstrap: int) -> PointFit[Chinchilla]:
        return fit_chinchilla(
            some.size, some.tokens, some.loss, estimator=options.kind, bootstrap=bootstrap, names=some.runs
        )

    used, far = rows, dict[str, float]()
    for _ in range(0 if options.keep_outliers else ROUNDS):
        first = fitted(used, 0)
        above = first.outliers[first.residuals[first.outliers] > 0]
        left = len(used.loss) - len(above)
        if not len(above) or not first.status.usable or left < max((1 - MOST_LEFT_OUT) * len(rows.loss), 5):
            break
        far.update({used.runs[i]: float(first.residuals[i]) for i in above.tolist()})
        used = used.take(np.setdiff1d(np.arange(len(used.loss)), above))
    if far:
        diverged = few([_off(name, far[name]) for name in sorted(far, key=lambda name: -far[name])])
        note = (
            f"Left out: {how_many(len(far), 'run')} far above the law of the others (diverged or unfinished?): "
            f"{diverged}. --keep-outliers keeps such runs."
        )
        used = used.take(np.arange(len(used.loss)), [note])
    return fitted(used, options.bootstrap), used


def _used(used: Rows, rows: int) -> list[str]:
    spans = (
        f"{_span(np.asarray(used.size.count))} {used.size.kind} parameters",
        f"{_span(used.tokens)} tokens",
        f"losses {used.loss.min():.3f} to {used.loss.max():.3f} nats/token",
    )
    of = f" of {rows:,} rows" if used.checkpoints or rows != len(used.loss) else ""
    return [f"Used: {how_many(len(used.loss), 'run')}{of}: {', '.join(spans)}."]


def _span(values: Any) -> str:
    low, high = count(float(values.min())), count(float(values.max()))
    return low if low == high else f"{low} to {high}"


def _off(name: str, residual: float) -> str:
    percent = f"{100 * np.expm1(residual):+.2g}%" if abs(residual) < np.log(2) else f"{np.exp(residual):.2g}x"
    return f"'{name:.60}' ({percent})"


def _constants(fitted: PointFit[Chinchilla]) -> tuple[Constant, ...]:
    meaning = {
        "E": "nats/token that no model gets below",
        "A": f"what size gains, N = {fitted.law.kind} parameters",
        "B": "what data gain, D = tokens",
        "alpha": "exponent of size",
        "beta": "exponent of data",
    }
    return tuple(
        Constant(name, fitted.values[name], fitted.interval(name, LEVEL), what) for name, what in meaning.items()
    )


def _summary(fitted: PointFit[Chinchilla], names: Sequence[str]) -> list[str]:
    from scalewatch.fitting.chinchilla import allocation_exponent

    lines = []
    if fitted.status.usable:
        a = fitted.law.exponents[0]
        low, high = fitted.interval_of(allocation_exponent, LEVEL)
        lines.append(f"With compute C, the best N grows as C^{a:.3f} ({low:.3f} to {high:.3f}), D as C^{1 - a:.3f}.")
    worst = np.argsort(-np.abs(fitted.residuals), kind="stable")[:MOST_WORST].tolist()
    farthest = few([_off(names[i], float(fitted.residuals[i])) for i in worst])
    lines += [
        f"A run lies {100 * fitted.scale:.2g} % off the law (one sd); farthest: {farthest}.",
        f"Objective {fitted.objective:.5g} ({fitted.search.estimator}); "
        f"{fitted.search.agreeing} of {fitted.search.starts} starts agree.",
    ]
    return lines


def _at_goal(fitted: PointFit[Chinchilla], goal: Goal) -> str:
    from scalewatch.laws.size import Parameters

    size = Parameters(goal.parameters, fitted.law.kind)
    tokens = goal.tokens or float(fitted.law.tokens_for_size(size))
    prediction = fitted.predict(size, tokens, LEVEL)
    at = f"At {count(goal.parameters)} parameters"
    if not np.isfinite(prediction.high):
        return f"{at} nothing is promised: the law cannot be used."
    on = f"on {count(tokens)} tokens" if goal.tokens else f"on the {count(tokens)} tokens that suit them"
    beyond = "".join(f" {note}" for note in prediction.notes if note.startswith("Extrapolates"))
    came = "" if goal.outcome is None else f" It came out at {goal.outcome:.3f}."
    return f"{at} {on}: {prediction.loss:.3f} nats/token ({prediction.low:.3f} to {prediction.high:.3f}).{beyond}{came}"

"""The half of `scalewatch fit` that turns finished runs into Chinchilla's law, and says how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from scalewatch.cli.finished_runs import Rows, ends
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from scalewatch.laws.chinchilla import Chinchilla
    from scalewatch.laws.fit import Estimator, Fit

__all__ = ["Drawing", "Options", "fit_runs"]

#: Rounds in which runs far above the law are left out: each moves the law, and another may show.
ROUNDS = 3
#: Part of the runs that may be left out as diverged; more is no accident, and all are kept.
MOST_LEFT_OUT = 0.15
LEVEL = 0.8


@final
@dataclass(frozen=True, slots=True)
class Drawing:
    """Where the chart goes, which one it is, and the size of the target, count."""

    out: Path | None
    chart: str
    target: float | None
    dark: bool

    def save(self, console: Console, chart: Any) -> None:
        """Write the chart, and say where."""
        from scalewatch.charts import save_chart

        if self.out is not None:
            console.print(f"Drawn: {save_chart(chart, self.out)}", markup=False)


@final
@dataclass(frozen=True, slots=True)
class Options:
    """How finished runs are fitted."""

    estimator: str
    bootstrap: int
    keep_outliers: bool


def fit_runs(console: Console, rows: Rows, output: Path, drawing: Drawing, options: Options) -> None:
    """Fit Chinchilla's law to finished runs, print it, write it, draw it.

    Raises:
        FitError: if there are too few runs, with what to do.
        ConfigError: if an option is out of its range.
    """
    from scalewatch.laws.chinchilla_file import FittedChinchilla, save_chinchilla

    if options.estimator not in ("huber", "lad"):
        raise ConfigError(f"`--estimator` must be huber or lad (got {options.estimator!r:.40}).")
    finished = ends(rows)
    for sentence in finished.told:
        console.print(sentence, style="dim", markup=False, highlight=False)
    fitted, used = _without_diverged(finished, options)
    for reason in used.left_out:
        console.print(reason, style="yellow", markup=False)
    save_chinchilla(FittedChinchilla.of(fitted, used.left_out), output)
    console.print(_constants(fitted))
    for line in _summary(fitted):
        console.print(line, markup=False, highlight=False)
    style = "green" if fitted.status.name == "OK" else "yellow" if fitted.status.usable else "bold red"
    for status in fitted.statuses:
        console.print(status.value, style=style, markup=False)
    for note in fitted.notes:
        console.print(f"  {note}", style="dim", markup=False, highlight=False)
    if drawing.out is not None:
        from scalewatch.cli.law_charts import point_chart

        picture = point_chart(drawing.chart, fitted, used.runs, target=drawing.target, dark=drawing.dark)
        drawing.save(console, picture)
    console.print(f"Written to {output}.", markup=False)


def _without_diverged(rows: Rows, options: Options) -> tuple[Fit[Chinchilla], Rows]:
    """The fit, and the runs it rests on: those far above the law diverged, and are left out."""
    from scalewatch.laws.fit_chinchilla import fit_chinchilla

    def fitted(some: Rows, bootstrap: int) -> Fit[Chinchilla]:
        estimator = cast("Estimator", options.estimator)
        return fit_chinchilla(some.size, some.tokens, some.loss, estimator=estimator, bootstrap=bootstrap)

    used = rows
    for _ in range(0 if options.keep_outliers else ROUNDS):
        first = fitted(used, 0)
        far = first.outliers[first.residuals[first.outliers] > 0]
        left = len(used.loss) - len(far)
        if not len(far) or not first.status.usable or left < max((1 - MOST_LEFT_OUT) * len(rows.loss), 5):
            break
        said = [
            f"'{used.runs[i]:.60}' is left out: its loss {used.loss[i]:.4g} lies {np.expm1(first.residuals[i]):.0%} "
            "above the law of the others (diverged or unfinished?); --keep-outliers keeps it."
            for i in far.tolist()
        ]
        used = used.take(np.setdiff1d(np.arange(len(used.loss)), far), said)
    return fitted(used, options.bootstrap), used


def _constants(fitted: Fit[Chinchilla]) -> object:
    from rich.table import Table

    table = Table(title="L = E + A N^-alpha + B D^-beta", title_justify="left")
    for name in ("", "value", "standard error", f"{LEVEL:.0%} interval", "what it is"):
        table.add_column(name, justify="left" if name in ("", "what it is") else "right")
    meaning = {
        "E": "nats/token that no model of this recipe gets below",
        "A": f"what size can gain, N = {fitted.law.kind} parameters",
        "B": "what data can gain, D = tokens",
        "alpha": "exponent of size",
        "beta": "exponent of data",
    }
    for name, what in meaning.items():
        low, high = fitted.interval(name, LEVEL)
        known = f"{low:.4g} to {high:.4g}" if np.isfinite(low) and np.isfinite(high) else "not known"
        table.add_row(name, f"{fitted.values[name]:.4g}", f"{fitted.standard_errors[name]:.2g}", known, what)
    return table


def _summary(fitted: Fit[Chinchilla]) -> list[str]:
    from scalewatch.laws.fit_chinchilla import allocation_exponent

    a = fitted.law.exponents[0]
    low, high = fitted.interval_of(allocation_exponent, LEVEL)
    return [
        f"With compute C, the best N grows as C^{a:.3f} ({low:.3f} to {high:.3f}), the best D as C^{1 - a:.3f}.",
        f"A run lies {100 * fitted.scale:.2g} % off the law (one sd); objective {fitted.objective:.5g} over "
        f"{len(fitted.points)} runs; {fitted.starts_agreeing} of {fitted.starts} starts agree.",
    ]

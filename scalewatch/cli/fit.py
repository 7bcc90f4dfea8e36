"""`scalewatch fit`: a law file from finished, smaller runs: folders of journals, CSV or parquet."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalewatch.cli.journals import find_journals
from scalewatch.errors import FitError, JournalError

if TYPE_CHECKING:
    from rich.console import Console

    from scalewatch.cli.fit_runs import Drawing
    from scalewatch.cli.tables import Reading
    from scalewatch.laws import Curve, CurveLaw

__all__ = ["fit"]


def fit(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders that hold journals, or tables: .csv, .parquet.", show_default=False)
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the law file goes.")] = Path("ladder.law.json"),
    out: Annotated[Path | None, typer.Option(help="Draw the fit: .png, .svg, .html or .json.")] = None,
    chart: Annotated[
        str, typer.Option(help="auto, isoflop, isoloss, compute, residuals, ladder or collapse.")
    ] = "auto",
    target: Annotated[str | None, typer.Option(help="Parameters of the run the ladder is for, such as 7B.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="What a column is: loss=val_loss. Repeat.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="Take these rows only: split=train. Repeat.")] = None,
    bytes_per_token: Annotated[float | None, typer.Option(help="Turns bits per byte into nats per token.")] = None,
    estimator: Annotated[str, typer.Option(help="huber, or lad: least absolute deviations.")] = "huber",
    bootstrap: Annotated[int, typer.Option(help="Resamples for intervals; 0: the normal approximation.")] = 1_000,
    keep_outliers: Annotated[bool, typer.Option(help="Fit also runs that lie far above the law.")] = False,
    dark: Annotated[bool, typer.Option(help="Draw for a dark page.")] = False,
) -> None:
    """Fit a law to finished runs, show it, and write it to a file.

    Whole loss curves (journals, or a table with step, loss and learning rate) give a law of curves that a monitor
    holds a run against. A table of finished runs (parameters, tokens, loss) gives Chinchilla's law. The runs must
    share their recipe (data, tokenizer, optimizer, batch size) and differ in size.
    """
    from rich.console import Console

    from scalewatch.cli.curve_tables import has_curves
    from scalewatch.cli.finished_runs import from_tables
    from scalewatch.cli.fit_runs import Drawing, Options, fit_runs
    from scalewatch.cli.tables import Reading, count_of

    console, reading = Console(), Reading.of(runs, column or [], where or [], bytes_per_token)
    drawing = Drawing(out, chart, None if target is None else count_of("--target", target), dark)
    curved = [has_curves(table, reading.overrides) for table in reading.tables]
    if (curved and any(curved) != all(curved)) or (reading.folders and not all(curved)):
        raise FitError("Some of these are whole curves and others finished runs: fit one kind at a time.")
    if reading.tables and not any(curved):
        rows = from_tables(reading.tables, reading.overrides, bytes_per_token=bytes_per_token)
        fit_runs(console, rows, output, drawing, Options(estimator, bootstrap, keep_outliers))
    else:
        _fit_whole_curves(console, reading, output, drawing)


def _fit_whole_curves(console: Console, reading: Reading, output: Path, drawing: Drawing) -> None:
    from scalewatch.cli.curve_tables import curves_from_tables
    from scalewatch.laws import fit_curves, save_law

    curves, told, skipped = curves_from_tables(
        reading.tables, reading.overrides, bytes_per_token=reading.bytes_per_token
    )
    if reading.folders:
        more, unread = _curves(find_journals(reading.folders))
        curves, skipped = [*curves, *more], [*skipped, *unread]
    for sentence in told:
        console.print(sentence, style="dim", markup=False, highlight=False)
    for reason in skipped:
        console.print(reason, style="yellow", markup=False)
    if not curves:
        raise FitError("There is no run to fit a law to. " + " ".join(skipped))
    law = fit_curves(curves)
    save_law(law, output)
    console.print(_runs_table(curves, law))
    console.print(_law_table(law))
    for sentence in (*law.left_out, *_cautions(law)):
        console.print(sentence, style="yellow", markup=False)
    if drawing.out is not None:
        from scalewatch.cli.law_charts import curve_chart

        picture = curve_chart(drawing.chart, law, curves, target=drawing.target, dark=drawing.dark)
        drawing.save(console, picture)
    console.print(f"Written to {output}. Watch a run with it: ScaleWatch(law={str(output)!r})", markup=False)


def _cautions(law: CurveLaw) -> list[str]:
    from scalewatch.laws.fit_curves import LEFT_OUT_SHARE

    said = [f"Of each run, the warm-up and the first {LEFT_OUT_SHARE:.0%} are left out: they are of another law."]
    if law.size_kind == "none":
        said.append(
            "No run says its size, so this law knows one size only: add a column `parameters` to predict others."
        )
    elif law.sizes[0] == law.sizes[1]:
        said.append("All sizes are equal, so the effect of size rests on priors: add runs of other sizes.")
    return said


def _curves(journals: list[Path]) -> tuple[list[Curve], list[str]]:
    from scalewatch.journal import read_journal
    from scalewatch.laws import Curve

    curves, skipped = [], []
    for folder in journals:
        try:
            journal = read_journal(folder)
            if journal.run is None:
                raise FitError(f"{folder}: its header cannot be read, so nothing is known of the run.")
            rows = journal.observations
            curves.append(Curve(journal.run, [r.step for r in rows], [r.loss for r in rows]))
        except (FitError, JournalError) as fault:
            skipped.append(f"Left out: {fault}")
    return curves, skipped


def _runs_table(curves: list[Curve], law: CurveLaw) -> object:
    import numpy as np
    from rich.table import Table

    from scalewatch.laws import schedule_features

    table = Table(title="runs", title_justify="left")
    for name in ("run", "parameters", "steps", "final loss", "law", "error"):
        table.add_column(name, justify="left" if name == "run" else "right")
    for curve in sorted(curves, key=lambda c: law.size_of(c.run) or 0.0):
        plan = curve.run.learning_rates
        last = max(len(curve.loss) // 50, 1)
        final = float(np.mean(curve.loss[-last:]))
        expected = None
        if plan is not None:
            walked, annealed = schedule_features(plan, [law.memory_steps]).at([float(curve.steps[-1])])
            expected = law.predict(curve.run, float(walked[0]), float(annealed[0, 0])).end_loss
        size = law.size_of(curve.run)
        table.add_row(
            curve.run.name,
            "?" if size is None else f"{size:,.0f}",
            f"{int(curve.steps[-1]):,}",
            f"{final:.4f}",
            "" if expected is None else f"{expected:.4f}",
            "" if expected is None else f"{100 * (expected / final - 1):+.2f} %",
        )
    return table


def _law_table(law: CurveLaw) -> object:
    from rich.table import Table

    log_e, log_k, a, log_a, b = law.parameters.tolist()
    sd = [math.sqrt(v) for v in law.covariance.diagonal()]
    table = Table(title="L = E + K n^-a + A n^b (w^-alpha - rho D)", title_justify="left")
    for name in ("", "value", "standard error", "what it is"):
        table.add_column(name, justify="right" if name in ("value", "standard error") else "left")
    rows = (
        ("E", math.exp(log_e), math.exp(log_e) * sd[0], "nats/token that no model of this recipe gets below"),
        ("K", math.exp(log_k), math.exp(log_k) * sd[1], f"nats/token that size can gain, at {law.reference_size:,.0f}"),
        ("a", a, sd[2], "exponent of the size"),
        ("A", math.exp(log_a), math.exp(log_a) * sd[3], "nats/token that training longer can gain"),
        ("b", b, sd[4], "its exponent in the size"),
        ("alpha", law.alpha, law.alpha * law.alpha_log_sd, f"exponent of the {law.walk_unit} walked"),
        ("rho", law.ratio, law.ratio * law.ratio_log_sd, "gain of a full decay, in parts of A"),
        ("noise", law.run_log_sd, float("nan"), "run-to-run sd of ln(final loss)"),
    )
    for name, value, error, meaning in rows:
        table.add_row(name, f"{value:.4g}", "" if math.isnan(error) else f"{error:.2g}", meaning)
    return table

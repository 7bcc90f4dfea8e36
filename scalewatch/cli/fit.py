"""`scalewatch fit`: a law file from finished, smaller runs: folders of journals, CSV or parquet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalewatch.cli.fit_options import DrawingOptions, EstimatorOptions
from scalewatch.cli.options import AsJson, TableOptions
from scalewatch.errors import ConfigError, FitError

if TYPE_CHECKING:
    from rich.console import Console

    from scalewatch.cli.fit_runs import Drawing
    from scalewatch.cli.fit_tables import FittedLaw
    from scalewatch.offline.reading import Reading

__all__ = ["fit"]


def fit(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders that hold journals, or tables: .csv, .parquet, .md and their kin.", show_default=False
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the law file goes.")] = Path("ladder.law.json"),
    *,
    family: Annotated[str, typer.Option(metavar="NAME", help="What is fitted: auto, or one of the list.")] = "auto",
    table: TableOptions,
    options: EstimatorOptions,
    drawn: DrawingOptions,
    predict: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|RUN", help="Other runs, a table, or one as 7B:140B: prints their losses, writes no law."
        ),
    ] = None,
    json_: AsJson = False,
) -> None:
    """Fit a law to finished runs, show it, and write it to a file.

    Whole loss curves (journals, or a table with step, loss and learning rate) give a law of curves that a monitor
    holds a run against. A table of finished runs (parameters, tokens, loss) gives Chinchilla's law. The runs must
    share their recipe (data, tokenizer, optimizer, batch size) and differ in size.

    Other families, with the columns of their table:

    parameters, tokens, loss: `chinchilla`, `equal-exponents`, `kaplan`, `kaplan-with-floor`, `compute`,
    `compute-no-floor`, and `averaged`, all of these by how well each predicts the larger runs from the smaller.

    parameters, tokens, unique_tokens, loss: `repeated-data`, what repeated tokens are worth.

    characters, parameters, effective_characters: `transfer`, what pre-training is worth in fine-tuning text.

    `--predict` foretells the losses of other runs (a table of them, or one as SIZE:TOKENS) from a table with whatever
    columns it has: every law that they allow competes, weighed by how well it foretold its own farthest runs from the
    others.

    x, y: `broken`, a metric with breaks over any scale. count: `zipf`, the exponent that rare features promise.

    run, step, loss, learning_rate, or journals: `curves`, and of one model `annealing` and `multi-power`.

    Exit code 0: the law can be used; 1: it was written, but its runs do not carry it, and what is printed says why;
    2: nothing was fitted.
    """
    from rich.console import Console

    from scalewatch.cli.fit_families import check_family, fit_one_family
    from scalewatch.cli.fit_predict import fit_predict
    from scalewatch.cli.fit_runs import Drawing
    from scalewatch.cli.fit_tables import Unprinted
    from scalewatch.cli.goal import goal_of
    from scalewatch.cli.outputs import check_output, print_json
    from scalewatch.plain import to_plain

    if predict is not None:
        fit_predict(Console(), replace(table, bytes_per_token=None).reading(runs, ends=True), predict, json_=json_)
        return
    check_output("--output", output)
    options.check()
    drawing = Drawing(drawn.out, drawn.chart, goal_of(drawn.target, drawn.outcome), drawn.dark)
    check_family(family)
    console, reading = Unprinted() if json_ else Console(), table.reading(runs)
    if family not in ("auto", "chinchilla", "curves"):
        drawing.refuse()
        made = fit_one_family(console, reading, family, output, options)
    else:
        made = _fit_default(console, reading, family, output, drawing, options)
    code = 0 if made.usable else 1
    if isinstance(console, Unprinted):
        print_json({"exit_code": code, "path": output, **to_plain(made), "notes": console.said})
    raise typer.Exit(code)


def _fit_default(
    console: Console, reading: Reading, family: str, output: Path, drawing: Drawing, options: EstimatorOptions
) -> FittedLaw:
    """Fit whole curves or finished runs, whichever these are; return what was made."""
    from scalewatch.cli.fit_runs import fit_runs
    from scalewatch.cli.fit_whole_curves import fit_whole_curves
    from scalewatch.offline.curve_tables import has_curves
    from scalewatch.offline.finished_runs import from_tables

    curved = [has_curves(table, reading.overrides) for table in reading.tables]
    if family == "auto" and ((curved and any(curved) != all(curved)) or (reading.folders and not all(curved))):
        raise FitError("Some of these are whole curves and others finished runs: fit one kind at a time.")
    curves = family == "curves" or (family == "auto" and (not reading.tables or any(curved)))
    if family == "chinchilla" and reading.folders:
        raise ConfigError(f"{reading.folders[0]} is no table: the family chinchilla is fitted to finished runs.")
    drawing.check(curves=curves)
    if curves:
        return fit_whole_curves(console, reading, output, drawing)
    rows = from_tables(reading.tables, reading.overrides, bytes_per_token=reading.bytes_per_token)
    return fit_runs(console, rows, output, drawing, options)

"""`scalewatch approaches`: Chinchilla's three approaches on the same runs, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalewatch.cli.options import AsJson, Dark, Draw, TableOptions
from scalewatch.plain import to_plain

if TYPE_CHECKING:
    from rich.console import Console

    from scalewatch.fitting.approaches import Comparison

__all__ = ["approaches"]


def approaches(
    tables: Annotated[
        list[Path], typer.Argument(help="Tables of runs: .csv, .parquet, .md and their kin.", show_default=False)
    ],
    flops: Annotated[str | None, typer.Option(metavar="FLOP", help="Budget to plan for.")] = None,
    out: Draw = None,
    *,
    table: TableOptions,
    noise_nats: Annotated[
        float, typer.Option(metavar="NATS", help="Standard deviation of a final loss over seeds.")
    ] = 0.002,
    dark: Dark = False,
    json_: AsJson = False,
) -> None:
    """Put the allocation exponents of Chinchilla's three approaches side by side, and say where they disagree.

    A row is a finished run, or a checkpoint of one: with a column `run`, whole training curves are seen and the
    first approach, their envelope, has something to say too.

    Exit code 0: at least one approach has an answer; 1: none has, and what is printed says why; 2: nothing was read.
    """
    from rich.console import Console

    from scalewatch.cli.outputs import check_chart_file, print_json
    from scalewatch.errors import ConfigError
    from scalewatch.figures.laws import approaches_chart
    from scalewatch.fitting.approaches import compare_approaches
    from scalewatch.fitting.isoflop import check_noise
    from scalewatch.offline.finished_runs import from_tables, late
    from scalewatch.offline.table_files import KINDS
    from scalewatch.offline.tables import count_of

    if out is not None:
        check_chart_file("--out", out)
    check_noise(noise_nats)
    goal = None if flops is None else count_of("--flops", flops)
    console, reading = Console(), table.reading(tables)
    if reading.folders:
        raise ConfigError(f"{reading.folders[0]} is no table, and holds none: {KINDS}.")
    rows = late(from_tables(reading.tables, reading.overrides, bytes_per_token=reading.bytes_per_token))
    runs = rows.runs if rows.checkpoints else None
    found = compare_approaches(rows.size, rows.tokens, rows.loss, runs, budgets=rows.budgets, noise_nats=noise_nats)
    answered = any(result.exponent is not None for result in found.results)
    if json_:
        print_json(_answer(found, goal, [*rows.notes, *rows.left_out], 0 if answered else 1))
        console.quiet = True
    for sentence in rows.notes:
        console.print(sentence, style="dim", markup=False, highlight=False)
    for sentence in rows.left_out:
        console.print(sentence, style="yellow", markup=False, highlight=False)
    _print(console, found, goal)
    if out is not None and answered:
        from scalewatch.charts import save_chart

        chart = approaches_chart(found, target_flops=goal, dark=dark)
        console.print(f"Drawn: {save_chart(chart, out)}", markup=False, highlight=False)
    elif out is not None:
        console.print("Nothing is drawn: no approach has an answer.", style="yellow")
    if not answered:
        raise typer.Exit(1)


def _answer(found: Comparison, goal: float | None, notes: list[str], code: int) -> dict[str, Any]:
    sizes = {
        str(each.approach): float(each.size_at(goal).count)
        for each in found.results
        if goal is not None and each.exponent is not None
    }
    best = None if goal is None else sizes
    return {"exit_code": code, **to_plain(found), "best_parameters": best, "notes": notes}


def _print(console: Console, found: Comparison, goal: float | None) -> None:
    for sentence in found.cautions:
        console.print(sentence, style="yellow", markup=False, highlight=False)
    console.print(found.table(goal), markup=False, highlight=False, soft_wrap=True)
    console.print(found.status, style="bold", markup=False, highlight=False)
    for sentence in found.disagreements:
        console.print(sentence, style="yellow", markup=False, highlight=False)
    notes = {result.approach: result.notes for result in found.results}
    reason = found.results[0].notes
    if reason and all(each == reason for each in notes.values()):
        console.print(" ".join(reason), style="yellow", markup=False, highlight=False)
        return
    for approach, each in notes.items():
        if each:
            console.print(f"{approach}: {' '.join(each)}", style="dim", markup=False, highlight=False)

"""`scalewatch reproduce`: published numbers, recomputed from the data behind them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from scalewatch.reproduce import Check, RowResult

__all__ = ["reproduce"]

#: Exit code when a row fails; rows without data are not failures.
FAILED = 1


def reproduce(
    data: Annotated[
        Path | None,
        typer.Option(envvar="SCALEWATCH_DATA", help="Folder with the public runs.", show_default=False),
    ] = None,
    row: Annotated[list[int] | None, typer.Option(help="Only this row; repeat for more.", show_default=False)] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Recompute the published numbers: exit code 0 if what can be computed agrees, 1 if a row does not."""
    from rich.console import Console

    from scalewatch.reproduce import DataFolder, Outcome
    from scalewatch.reproduce import reproduce as recompute

    if data is not None and not data.is_dir():
        raise ConfigError(f"--data must be a folder (got {str(data)!r:.200}).")
    results = []
    with Console(stderr=True).status("Recomputing") as status:
        for result in recompute(DataFolder(data), row or ()):
            results.append(result)
            status.update(f"Row {result.row.number} took {result.seconds:.1f} s")
    if json_:
        import json

        typer.echo(json.dumps([_record(result) for result in results], indent=1))
    else:
        console = Console()
        console.print(_table(results))
        for line in _last_words(results):
            console.print(line, markup=False, highlight=False)
    if any(result.outcome is Outcome.FAIL for result in results):
        raise typer.Exit(FAILED)


def _table(results: list[RowResult]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("row", justify="right")
    table.add_column("what")
    for name in ("published", "ours", "tolerance", "result"):
        table.add_column(name, justify="right", no_wrap=True)
    styles = {"pass": "green", "fail": "bold red", "missing": "yellow"}
    for result in results:
        row, outcome = result.row, result.outcome
        verdict = f"[{styles[outcome]}]{outcome}[/] {result.seconds:.2f} s"
        table.add_row(str(row.number), row.title, "", "", "", verdict, style="bold")
        table.add_row("", f"  {row.source}", style="dim")
        for check in result.checks:
            table.add_row("", f"  {check.quantity}", *_cells(check), "" if check.passed else "[bold red]fail[/]")
        if result.missing is not None:
            table.add_row("", f"  {result.missing}", style="yellow")
    return table


def _cells(check: Check) -> tuple[str, str, str]:
    if check.how in ("at least", "at most"):
        return f"{check.published:.5g}", f"{check.ours:.5g}", check.how
    unit = f"{100 * check.tolerance:g} %" if check.how == "rel" else f"{check.tolerance:g}"
    return f"{check.published:.7g}", f"{check.ours:.7g}", unit


def _last_words(results: list[RowResult]) -> list[str]:
    from scalewatch.reproduce import Outcome

    counts = {outcome: sum(result.outcome is outcome for result in results) for outcome in Outcome}
    seconds = sum(result.seconds for result in results)
    left_out: dict[str, list[str]] = {}
    for result in results:
        if result.row.left_out:
            left_out.setdefault(result.row.left_out, []).append(str(result.row.number))
    said = [f"row{'s' if len(rows) > 1 else ''} {', '.join(rows)}: {why}" for why, rows in left_out.items()]
    words = [
        f"{counts[Outcome.PASS]} of {len(results)} rows agree, {counts[Outcome.FAIL]} do not, "
        f"{counts[Outcome.MISSING]} lack their data; {seconds:.1f} s."
    ]
    return [*words, *(f"Not covered: {line}" for line in said)]


def _record(result: RowResult) -> dict[str, object]:
    checks = [
        {"quantity": c.quantity, "published": c.published, "ours": c.ours, "tolerance": c.tolerance, "how": c.how}
        | {"passed": c.passed}
        for c in result.checks
    ]
    row = result.row
    return {
        "row": row.number,
        "title": row.title,
        "source": row.source,
        "outcome": str(result.outcome),
        "seconds": result.seconds,
        "missing": result.missing,
        "left_out": row.left_out,
        "checks": checks,
    }

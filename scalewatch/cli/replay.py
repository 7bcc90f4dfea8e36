"""`scalewatch replay`: the same monitor over the journal of any run, live or finished."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scalewatch.cli.journals import find_journals

__all__ = ["replay"]

#: Exit codes, for CI: nothing worth waking someone, something, nothing readable (errors exit with it too).
HEALTHY, FINDINGS = 0, 1


def replay(
    log: Annotated[Path, typer.Argument(help="A journal, or a folder that holds one.", show_default=False)],
    law: Annotated[Path | None, typer.Option(help="A law file of smaller runs to hold the run against.")] = None,
) -> None:
    """Run the monitor over a log: exit code 0 healthy, 1 findings, 2 unreadable."""
    from rich.console import Console
    from rich.table import Table

    from scalewatch.finding import Severity
    from scalewatch.journal import read_journal
    from scalewatch.laws import load_law
    from scalewatch.monitor import Monitor
    from scalewatch.run import Run

    console = Console()
    fitted = None if law is None else load_law(law)
    healthy = True
    for folder in find_journals([log]):
        journal = read_journal(folder)
        monitor = Monitor(journal.run or Run(folder.name), law=fitted)
        styles = {Severity.INFO: "dim", Severity.WARNING: "yellow", Severity.CRITICAL: "bold red"}
        for row in journal.observations:
            for finding in monitor.observe(row):
                line = f"step {finding.step:>8,}  {finding.severity:<8}  {finding.phase:<9}  {finding.message}"
                console.print(line, style=styles[finding.severity], markup=False, highlight=False)
        for damage in journal.damage:
            console.print(f"damaged: {damage}", style="yellow", markup=False)
        verdict = monitor.verdict()
        table = Table(show_header=False)
        for label, text in verdict.rows():
            table.add_row(label, text)
        console.print(table)
        for advice in monitor.advice():
            console.print(f"{advice.action} (evidence {advice.evidence_grade}): {advice.reason}", markup=False)
        healthy = healthy and verdict.healthy
    raise typer.Exit(HEALTHY if healthy else FINDINGS)

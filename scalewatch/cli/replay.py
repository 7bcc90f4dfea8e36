"""`scalewatch replay`: the same monitor over the log of any run or of a folder of runs, live or finished."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scalewatch.cli.options import AsJson, GoalOptions, Logs, NamedLogOptions
from scalewatch.errors import ConfigError, LogError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from scalewatch.finding import Finding
    from scalewatch.logs import Opened, Unreadable
    from scalewatch.offline.replayed import ReplayedRun

__all__ = ["finding_line", "replay"]

#: Exit codes, for CI: nothing worth waking someone, something, nothing readable (errors exit with it too).
HEALTHY, FINDINGS, UNREADABLE = 0, 1, 2
#: Logs that are passed over or cannot be read, listed at most.
MOST_LISTED = 10
#: Columns of a terminal from which on a table has room for intervals.
WIDE = 120
#: Columns below which a finding goes on below its first word, not below its sentence, and how far in.
NARROW, HANGING = 90, 4


@dataclass(frozen=True, slots=True)
class ReferenceOptions:
    """The run that the others are compared with, and the difference that is none [%]."""

    against: Annotated[Path | None, typer.Option(help="A reference run: is this curve the same?")] = None
    tolerance: Annotated[
        float | None, typer.Option(metavar="PERCENT", help="With --against: difference that is none.")
    ] = None


def replay(
    logs: Logs,
    *,
    reference: ReferenceOptions,
    reading: NamedLogOptions,
    goals: GoalOptions,
    json_: AsJson = False,
    sarif: Annotated[Path | None, typer.Option(help="Write it as SARIF too, for code scanning.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say how the logs are read, and judge nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="One line for each run in trouble, no more.")] = False,
) -> None:
    """Run the monitor over logs: exit code 0 healthy, 1 findings, 2 unreadable.

    Reads journals, TensorBoard event files, Lightning's metrics.csv, CSV, JSON lines, trainer_state.json, W&B histories
    and what programs print; `-` is standard input. With several runs, a table with the worst first.
    """
    from scalewatch.cli.outputs import check_output, print_json
    from scalewatch.offline.answers import replay_answer
    from scalewatch.offline.replayed import watch_all

    against, tolerance = reference.against, reference.tolerance
    if sarif is not None:
        if against is not None or explain:
            raise ConfigError("`--sarif` goes neither with `--against` nor with `--explain`: nothing is judged there.")
        check_output("--sarif", sarif)
    settings = reading.settings(goals)
    if against is not None:
        from scalewatch.cli.compare import compare_with_reference

        raise typer.Exit(compare_with_reference(logs, against, settings, tolerance, json_=json_, quiet=quiet))
    if tolerance is not None:
        raise ConfigError("`--tolerance` goes with `--against REFERENCE`.")
    opened = settings.open(logs)
    if explain:
        code = HEALTHY if opened.logs else UNREADABLE
        if json_:
            print_json(_explained(opened, code))
        else:
            _print_explained(opened)
        raise typer.Exit(code)
    live = len(opened.logs) == 1 and not (json_ or quiet)
    try:
        watched = watch_all(opened, settings, *((print_finding, print_verdict) if live else ()))
    except LogError:
        _write_sarif(sarif, [], opened, UNREADABLE)  # which says what was not checked, and why
        raise
    code = exit_code(watched, opened.unreadable)
    _write_sarif(sarif, watched, opened, code)
    if json_:
        print_json(replay_answer(watched, opened, code))
    elif quiet:
        for run in watched:
            if run.tracker.pages:
                typer.echo(f"{run.log.name}: {run.tracker.verdict.headline}")
    elif len(watched) > 1:
        _print_table(watched)
    if not json_:
        list_unreadable(opened, quiet=quiet)
    raise typer.Exit(code)


def _write_sarif(path: Path | None, watched: Sequence[ReplayedRun], opened: Opened, code: int) -> None:
    if path is None:
        return
    import json

    from scalewatch.offline.sarif import sarif_of

    told = sarif_of(watched, opened, code, Path.cwd())
    path.write_text(json.dumps(told, indent=1, allow_nan=False) + "\n", "utf-8")


def _explained(opened: Opened, code: int) -> dict[str, Any]:
    from scalewatch.cli.explained import explanation

    logs = []
    for log in opened.logs:
        *said, (_, command) = explanation(log)
        about = {"path": str(log.path), "format": log.form, "columns": dict(log.columns)}
        logs.append({**about, "said": [{"label": label, "text": text} for label, text in said], "command": command})
    unreadable = [{"path": str(no.path), "reason": no.reason} for no in opened.unreadable]
    return {"exit_code": code, "logs": logs, "unreadable": unreadable, "passed_over": opened.passed_over}


def _print_explained(opened: Opened) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from scalewatch.cli.explained import explanation
    from scalewatch.text import no_control

    console = Console()
    for log in opened.logs:
        table = Table(show_header=False, box=None, pad_edge=False)
        *rows, (_, command) = explanation(log)
        for label, text in rows:
            table.add_row(Text(label, style="bold"), Text(no_control(text), overflow="fold"))
        console.print(table)
        # in one piece, to be copied
        console.print(f"say it better: {no_control(command)}\n", markup=False, highlight=False, soft_wrap=True)
    list_unreadable(opened)


def exit_code(watched: Sequence[ReplayedRun], unreadable: Sequence[Unreadable]) -> int:
    """Return 1 if a run has a page, else 2 if a log that was named cannot be read, else 0."""
    if any(run.tracker.pages for run in watched):
        return FINDINGS
    return UNREADABLE if any(no.named for no in unreadable) else HEALTHY


def finding_line(finding: Finding) -> str:
    """Return a finding as one line."""
    return f"{_head(finding)}{finding.message}"


def _head(finding: Finding) -> str:
    return f"step {finding.step:>8,}  {finding.severity:<8}  {finding.phase:<9}  "


def finding_text(finding: Finding, width: int) -> str:
    """Return a finding for a terminal: what does not fit goes on below where its sentence began."""
    head = _head(finding)
    if width < NARROW:
        head = f"step {finding.step:,}  {finding.severity}, {finding.phase}: "
    indent = " " * (len(head) if width >= NARROW else HANGING)
    return textwrap.fill(head + finding.message, width, subsequent_indent=indent, break_on_hyphens=False)


def print_finding(console: Console, finding: Finding) -> None:
    """Print a finding in the colour of its severity; a file gets it on one line, to be searched."""
    from scalewatch.finding import Severity

    styles = {Severity.INFO: "dim", Severity.WARNING: "yellow", Severity.CRITICAL: "bold red"}
    wrapped = console.is_terminal or "COLUMNS" in os.environ
    text = finding_text(finding, console.width) if wrapped else finding_line(finding)
    console.print(text, style=styles[finding.severity], markup=False, highlight=False, soft_wrap=True)


def print_verdict(console: Console, watched: ReplayedRun) -> None:
    """Print how the log was read, the verdict and the advice."""
    from rich.table import Table
    from rich.text import Text

    from scalewatch.cli.advised import print_advice
    from scalewatch.cli.outputs import print_hanging
    from scalewatch.offline.replayed import notes

    guessed = ", ".join(f"{field} = {column}" for field, column in watched.log.columns.items() if field != column)
    if guessed:
        print_hanging(console, f"columns: {guessed}", "dim")
    for note in notes(watched.log):
        print_hanging(console, f"log: {note}", "yellow")
    table = Table(show_header=False)
    for label, text in watched.tracker.verdict.rows():
        table.add_row(label, Text(text))
    console.print(table)
    print_advice(console, watched.tracker.advice)


def _print_table(watched: Sequence[ReplayedRun]) -> None:
    from rich.console import Console

    console = Console()
    console.print(runs_table(watched, console.width))
    bad = sum(run.tracker.pages > 0 for run in watched)
    console.print(f"{len(watched)} runs, {bad} with findings.", highlight=False)


def runs_table(watched: Sequence[ReplayedRun], width: int = 100) -> RenderableType:
    """Return the runs as a table, in the order given; in a narrow terminal as records."""
    from scalewatch.cli.advised import advice_cell
    from scalewatch.cli.fitting_table import Column, fitting_table
    from scalewatch.status import State

    columns = (
        Column("run", "name"),
        Column("verdict", "text"),
        Column("pages", goes=2),
        Column("first page at", goes=1),
        Column("forecast", goes=3),
        Column("loss"),
        Column("advice", "words", goes=4),
    )
    rows, styles = [], []
    for run in watched:
        status, pages, page = run.tracker.status, run.tracker.pages, run.tracker.first_page
        first = "" if page is None else f"{page.step:,}"
        end = forecast_text(run, short=width < WIDE)
        said = advice_cell(run.tracker.advice)
        rows.append((run.log.name, status.sentence, str(pages or ""), first, end, loss_text(run), said))
        styles.append("bold red" if status.state is State.LOST else "yellow" if pages else "")
    return fitting_table(columns, rows, width, styles)


def forecast_text(run: ReplayedRun, *, short: bool = False) -> str:
    """Return where a run will end or, where it has ended, what was said at 30 % of it; "" if nothing can be said."""
    verdict = run.tracker.verdict
    if verdict.finished:
        third = verdict.at(0.3)
        return "" if third is None else f"{third.final_loss:.3f} at 30 %"
    end = run.tracker.forecast
    if end is None:
        return ""
    low, high = end.interval(0.8)
    if short:
        return f"{end.final_loss:.3f}"
    return f"{end.final_loss:.3f} ({low:.3f} to {high:.3f})"


def loss_text(run: ReplayedRun) -> str:
    """Return the final loss, or the newest one."""
    verdict = run.tracker.verdict
    loss = verdict.final_loss if verdict.final_loss is not None else verdict.last_loss
    if loss is None and run.tracker.newest is not None:
        loss = run.tracker.newest.loss
    return "" if loss is None else f"{loss:.3f}"


def list_unreadable(opened: Opened, *, quiet: bool = False) -> None:
    """Say on stderr which files could not be read or were passed over."""
    from scalewatch.text import no_control

    lines = [no.reason for no in opened.unreadable]
    reasons: dict[str, list[str]] = {}
    for line in () if quiet else opened.passed_over:
        path, _, why = line.partition(": ")
        reasons.setdefault(why, []).append(path)
    for why, paths in reasons.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        lines.append(f"passed over {Path(paths[0]).name}{more}: {why} (--json lists {'all' if more else 'it'}).")
    for line in lines[:MOST_LISTED]:
        typer.echo(f"scalewatch: {no_control(line)}", err=True)
    if len(lines) > MOST_LISTED:
        typer.echo(f"scalewatch: and {len(lines) - MOST_LISTED} more files", err=True)

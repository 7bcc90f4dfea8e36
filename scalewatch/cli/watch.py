"""`scalewatch watch`: runs as they go on, in the terminal, from a process of its own.

It reads logs and nothing else: the training does not know that somebody looks, and cannot be hurt by it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from scalewatch.cli.options import EVERY, AsJson, GoalOptions, LogOptions, Logs
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from scalewatch.cli.watch_folder import Folder, Followed
    from scalewatch.finding import Finding

__all__ = ["watch"]

#: Bounds of the time between two looks [s].
LEAST_SECONDS, MOST_SECONDS = 0.1, 3600.0

#: Runs of which the state is told at the end.
MOST_LAST_WORDS = 10
#: Least time between two frames while a long log is read [s].
DRAW_SECONDS = 0.5


def watch(
    logs: Logs,
    *,
    reading: LogOptions,
    goals: GoalOptions,
    every: Annotated[float, EVERY] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Print what there is now, and end.")] = False,
    json_: AsJson = False,
) -> None:
    """Watch logs while they are written, until ctrl-C. Without a terminal: one line for each finding.

    Exit code 0, whatever was found, 2 if an option is wrong or a path is no log.
    """
    from rich.console import Console

    from scalewatch.cli.watch_folder import Folder

    if not LEAST_SECONDS <= every <= MOST_SECONDS:
        raise ConfigError(f"`--every` must lie between {LEAST_SECONDS:g} and {MOST_SECONDS:g} seconds (got {every:g}).")
    folder = Folder(logs, reading.settings(goals))
    console = Console()
    try:
        if json_:
            _json_lines(folder, every, once=once)
        elif once:
            _once(console, folder)
        elif console.is_terminal:
            _live(console, folder, every)
        else:
            _lines(folder, every)
    except KeyboardInterrupt:
        _last_words(folder)


def _last_words(folder: Folder) -> None:
    from scalewatch.offline.replayed import trouble

    runs = sorted(folder.runs, key=lambda run: trouble(run.watched))
    for run in runs[:MOST_LAST_WORDS]:
        typer.echo(f"{run.name}: {run.headline}, step {run.step:,}", err=True)
    if len(runs) > MOST_LAST_WORDS:
        typer.echo(f"and {len(runs) - MOST_LAST_WORDS} more runs with less trouble", err=True)


def _once(console: Console, folder: Folder) -> None:
    from scalewatch.cli.watch_frame import frame

    folder.look(time.monotonic())
    console.print(frame(folder, console.width, max(console.height, 24)))


def _live(console: Console, folder: Folder, every: float) -> None:
    from rich.live import Live

    from scalewatch.cli.watch_frame import frame

    with Live(console=console, screen=True, auto_refresh=False) as live:
        drawn = 0.0

        def draw() -> None:
            nonlocal drawn
            drawn = time.monotonic()
            live.update(frame(folder, console.width, console.height), refresh=True)

        def show_progress() -> None:
            # a long log is read for a while before it is up to date
            if time.monotonic() - drawn > DRAW_SECONDS:
                draw()

        draw()
        while True:
            folder.look(time.monotonic(), tick=show_progress)
            draw()
            time.sleep(every)


def _json_lines(folder: Folder, every: float, *, once: bool) -> None:
    """One object a line, each a finding of a run, as they come."""
    from scalewatch.cli.outputs import print_json

    while True:
        for run, finding in folder.look(time.monotonic()):
            print_json({"run": run.name, "finding": finding}, line=True)
        if once:
            return
        time.sleep(every)


def _lines(folder: Folder, every: float) -> None:
    known = ""
    while True:
        found = folder.look(time.monotonic())
        text = _what_is_there(folder)
        if text != known:
            known = text
            typer.echo(text)
        for run, finding in found:
            typer.echo(_line(run, finding, folder.runs))
        time.sleep(every)


def _what_is_there(folder: Folder) -> str:
    names = ", ".join(run.name for run in folder.runs[:8])
    more = f" and {len(folder.runs) - 8} more" if len(folder.runs) > 8 else ""
    return f"watching {names}{more}" if names else f"waiting for a log: {folder.waiting_for}"


def _line(run: Followed, finding: Finding, runs: Sequence[Followed]) -> str:
    from scalewatch.cli.replay import finding_line

    return f"{run.name}  {finding_line(finding)}" if len(runs) > 1 else finding_line(finding)

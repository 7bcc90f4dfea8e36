"""`scalewatch alert watch`: tells what a killed run cannot tell, from a process of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalewatch.cli.options import EVERY, RulesFile
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    from scalewatch.alert import Rules
    from scalewatch.alert.liveness import LivenessWatcher

__all__ = ["watch_runs"]

#: Bounds of the time between two looks, and between two while a message is on its way [s].
LEAST_SECONDS, MOST_SECONDS, BUSY_SECONDS = 0.1, 600.0, 1.0
#: Seconds between two searches for new runs.
SEARCH_SECONDS = 30.0
#: With `--once`, longest time for messages to be taken [s].
ONCE_SECONDS = 60.0


def watch_runs(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs.")],
    receiver: Annotated[str, typer.Option("--to", help="Name of the receiver, where there are no rules.")] = "slack",
    rules: RulesFile = None,
    every: Annotated[float, EVERY] = 10.0,
    once: Annotated[bool, typer.Option("--once", help="Look once, tell what there is to tell, and end.")] = False,
) -> None:
    """Watch journals and tell, once, of each run that was killed or hangs; until ctrl-C. It costs the runs nothing.

    Exit code 0, 1 if with --once a message was not taken in time, 2 if a setting is wrong.
    """
    from scalewatch.alert import Rules, load_rules, make_receivers
    from scalewatch.alert.liveness import run_folders

    if not LEAST_SECONDS <= every <= MOST_SECONDS:
        raise ConfigError(f"`--every` must lie between {LEAST_SECONDS:g} and {MOST_SECONDS:g} seconds (got {every:g}).")
    run_folders(runs)
    wanted = Rules.to(receiver) if rules is None else load_rules(rules)
    make_receivers(wanted)  # here as there: what is wrong is told now, and not when a run has died
    watchers: dict[Path, LivenessWatcher] = {}
    searched = float("-inf")
    began = time.monotonic()
    try:
        while True:
            if time.monotonic() - searched >= SEARCH_SECONDS:
                searched = time.monotonic()
                _add_new(run_folders(runs), watchers, wanted)
            for watcher in watchers.values():
                news = watcher.check()
                if news:
                    typer.echo(news)
            busy = any(watcher.is_busy for watcher in watchers.values())
            if once and (not busy or time.monotonic() - began > ONCE_SECONDS):
                raise typer.Exit(1 if busy else 0)
            time.sleep(min(every, BUSY_SECONDS) if busy else every)
    except KeyboardInterrupt:
        pass
    finally:
        for watcher in watchers.values():
            watcher.release()


def _add_new(folders: list[Path], watchers: dict[Path, LivenessWatcher], rules: Rules) -> None:
    from scalewatch.alert import make_receivers
    from scalewatch.alert.liveness import LivenessWatcher

    new = [folder for folder in folders if folder not in watchers]
    for folder in new:
        watchers[folder] = LivenessWatcher(folder, rules, lambda: make_receivers(rules), clock=time.time)
    if new or not watchers:
        runs = f"{len(watchers)} run{'s' if len(watchers) != 1 else ''}"
        typer.echo(f"watching {runs}" if watchers else "no run there yet: waiting for a journal")

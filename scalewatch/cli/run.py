"""`scalewatch run -- CMD`: any program in any language, watched by what it prints."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalewatch.cli.options import GoalOptions, NamedLogOptions, with_groups
from scalewatch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scalewatch.alert import Rules
    from scalewatch.cli.watched_output import WatchedOutput
    from scalewatch.offline.replayed import Settings

__all__ = ["run"]

#: Bounds of the time between two looks [s].
LEAST_SECONDS, MOST_SECONDS = 0.1, 600.0
#: How long the last look, the journal and the alerts may take when the program has ended [s].
LAST_LOOK_SECONDS = 30.0
#: Where a run is kept of which nobody says where.
FOLDER = "scalewatch_runs"


@with_groups
def run(
    command: Annotated[list[str], typer.Argument(help="The program and its arguments, after `--`.")],
    *,
    folder: Annotated[Path | None, typer.Option(help="Where the journal and a copy of the output go.")] = None,
    to: Annotated[list[str] | None, typer.Option("--to", help="Receiver of alerts, such as slack. Repeat.")] = None,
    rules: Annotated[Path | None, typer.Option(help="A TOML file: who is told what.")] = None,
    every: Annotated[float, typer.Option(help="Seconds between two looks.")] = 2.0,
    reading: NamedLogOptions,
    goals: GoalOptions,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing beside what the program says.")] = False,
) -> None:
    """Run a program and watch its training by what it prints: `scalewatch run -- python train.py --lr 3e-4`.

    Its output passes through untouched, colours and bars too; findings stand on stderr, and in the journal below the
    folder, which TensorBoard and `scalewatch replay` read. Nothing in the program has to be changed.

    Exit code 0 or another: that of the program, or the signal that ended it; 2 if it cannot be started.
    """
    from scalewatch.alert import Rules, load_rules, make_receivers
    from scalewatch.cli.passed_through import Program, end_as
    from scalewatch.logs.open import CONSOLE_COPY

    if not LEAST_SECONDS <= every <= MOST_SECONDS:
        raise ConfigError(f"`--every` must lie between {LEAST_SECONDS:g} and {MOST_SECONDS:g} seconds (got {every:g}).")
    settings = reading.settings(goals)
    wanted = load_rules(rules) if rules is not None else Rules.to(*to) if to else None
    if wanted is not None:
        make_receivers(wanted)  # what is wrong is told now, and not when the run is lost
    at = _made(folder, command)
    program = Program(command, at / CONSOLE_COPY)
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(at, settings, wanted, every, ended, quiet), daemon=True)
    watcher.start()
    code = program.run()
    ended.set()
    watcher.join(timeout=LAST_LOOK_SECONDS)
    raise typer.Exit(end_as(code))


def _made(folder: Path | None, command: Sequence[str]) -> Path:
    at = folder
    if at is None:
        names = [Path(word).stem for word in command if word.endswith((".py", ".sh"))]
        name = (names or [Path(command[0]).stem])[0]
        at = Path(FOLDER, f"{time.strftime('%Y%m%d-%H%M%S')}-{name}")
    try:
        at.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise ConfigError(f"`--folder`: {at} cannot be made: {fault.strerror or fault}.") from None
    return at


def _watch(
    at: Path,
    settings: Settings,
    rules: Rules | None,
    every: float,
    ended: threading.Event,
    quiet: bool,
) -> None:
    from scalewatch.cli.watched_output import WatchedOutput
    from scalewatch.guard import Guard

    # a fault of ours is a line, and the program goes on
    guard = Guard()
    watched: WatchedOutput | None = guard.call("watching", WatchedOutput, at, settings, rules, quiet=quiet)
    while watched is not None:
        over = ended.wait(every)
        guard.call("watching", watched.look)
        if over:
            guard.call("watching", watched.end)
            return

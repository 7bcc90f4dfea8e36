"""`scalewatch run -- CMD`: any program in any language, watched by what it prints."""

from __future__ import annotations

import shlex
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scalewatch.cli.options import EVERY, GoalOptions, NamedLogOptions, RulesFile
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
#: Where a run leaves its request to go back, in that folder, and what stands for the checkpoint in its arguments.
REQUEST, CHECKPOINT = "rewind.json", "{checkpoint}"
#: What is left to try when going back has not helped (Wortsman et al. 2023, Chowdhery et al. 2022).
CURES = (
    "Try a structural fix: clipping of gradients, a longer warm-up, a peak rate that is 10 to 30 % lower, QK"
    " normalisation or z-loss for a transformer; and look at the batches that it was lost at."
)


@dataclass(frozen=True, slots=True)
class AlertOptions:
    """Who is told."""

    to: Annotated[list[str] | None, typer.Option("--to", help="Receiver of alerts, such as slack. Repeat.")] = None
    rules: RulesFile = None

    def wanted(self) -> Rules | None:
        """Return the rules, None for nobody; what is wrong with them is told now, and not when the run is lost."""
        from scalewatch.alert import Rules, load_rules, make_receivers

        found = load_rules(self.rules) if self.rules is not None else Rules.to(*self.to) if self.to else None
        if found is not None:
            make_receivers(found)
        return found


def run(
    command: Annotated[list[str], typer.Argument(help="The program and its arguments, after `--`.")],
    *,
    folder: Annotated[Path | None, typer.Option(help="Where the journal and a copy of the output go.")] = None,
    alerts: AlertOptions,
    every: Annotated[float, EVERY] = 2.0,
    reading: NamedLogOptions,
    goals: GoalOptions,
    resume_with: Annotated[
        str, typer.Option(help="Arguments that take it back to a checkpoint, as in '--ckpt_path {checkpoint}'.")
    ] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing beside what the program says.")] = False,
) -> None:
    """Run a program and watch its training by what it prints: `scalewatch run -- python train.py --lr 3e-4`.

    Its output passes through untouched, colours and bars too; findings stand on stderr, and in the journal below the
    folder, which TensorBoard and `scalewatch replay` read. Nothing in the program has to be changed.

    A program that asks for it, by ScaleWatch(act=["rewind"]), is started again from its last good checkpoint, twice at
    most: with `--resume-with`, or by `ckpt_path=scalewatch_lightning.resume_from()` in it.

    Exit code 0 or another: that of the program, or the signal that ended it; 2 if it cannot be started.
    """
    from scalewatch.acting.rewinding import MOST_REWINDS, RewindRequest, environment_of
    from scalewatch.cli.passed_through import Program, end_as
    from scalewatch.cli.watched_output import say
    from scalewatch.logs.open import CONSOLE_COPY

    if not LEAST_SECONDS <= every <= MOST_SECONDS:
        raise ConfigError(f"`--every` must lie between {LEAST_SECONDS:g} and {MOST_SECONDS:g} seconds (got {every:g}).")
    settings = reading.settings(goals)
    wanted = alerts.wanted()
    at = _made(folder, command)
    resumed_with(resume_with, "")
    place = at.absolute() / REQUEST
    place.unlink(missing_ok=True)
    program = Program(command, at / CONSOLE_COPY, words=environment_of(place, 0, None))
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(at, settings, wanted, every, ended, quiet), daemon=True)
    watcher.start()
    code, done = program.run(), 0
    while code != 0 and (request := RewindRequest.left_at(place)) is not None and done < MOST_REWINDS:
        done += 1
        say(
            f"rewind {done} of {MOST_REWINDS}: starts again from {request.checkpoint}: {request.decision.reason}", quiet
        )
        again = [*command, *resumed_with(resume_with, request.checkpoint)]
        words = environment_of(place, done, request)
        code = Program(again, at / CONSOLE_COPY, words=words, again=True).run()
    ended.set()
    watcher.join(timeout=LAST_LOOK_SECONDS)
    if done == MOST_REWINDS and code != 0:
        say(f"went back {done} times: once more restores the run and cures nothing. {CURES}", quiet)
    raise typer.Exit(end_as(code))


def resumed_with(template: str, checkpoint: str) -> list[str]:
    """Return the arguments that take a program back to a checkpoint.

    Raises:
        ConfigError: if the option cannot be read.
    """
    try:
        words = shlex.split(template)
    except ValueError as fault:
        raise ConfigError(f"`--resume-with` cannot be read: {fault}.") from None
    if words and not any(CHECKPOINT in word for word in words):
        raise ConfigError(
            f"`--resume-with` must hold {CHECKPOINT}, such as '--ckpt_path {CHECKPOINT}' (got {template!r})."
        )
    return [word.replace(CHECKPOINT, checkpoint) for word in words]


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

"""What watches the losses of one fit: a session, or one for each of several losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scalewatch.guard import Guard
from scalewatch_lightning.start import Start
from scalewatch_torch.loggers.base import AbstractLogger
from scalewatch_torch.loggers.shared import shared_among
from scalewatch_torch.loggers.table import loggers_of
from scalewatch_torch.watching.options import Options
from scalewatch_torch.watching.resumed import Resumed
from scalewatch_torch.watching.session import Session
from scalewatch_torch.watching.several import Sessions, folder_of
from scalewatch_torch.watching.terminal import Terminal

__all__ = ["new_session"]


def new_session(
    trainer: Any, started: Start, options: Options, guard: Guard, folder: Path | None
) -> Session | Sessions:
    """Return what watches a run that is about to take its next step.

    Args:
        started: what is known of it. options: as they were checked. guard: what every part runs through.
        folder: of the journal, None for none; each of several losses has a folder of its own in it.
    """
    loggers: list[AbstractLogger] = guard.call("loggers", loggers_of, trainer.loggers) or []
    asked = options._replace(alerts=None) if trainer.fast_dev_run else options

    def one(
        name: str, resumed: Resumed | None, label: str, here: Path | None, places: Sequence[AbstractLogger]
    ) -> Session:
        return Session(
            replace(started.run, name=name),
            asked,
            guard=guard,
            terminal=Terminal(trainer.progress_bar_callback, quiet=options.quiet, label=label),
            folder=here,
            loggers=places,
            resumed=resumed,
        )

    name = started.run.name
    if len(options.losses) < 2:
        return one(name, started.resumed, "", folder, loggers)
    folders, places = _folders(folder, options.losses), shared_among(options.losses, loggers)
    resumed = {options.losses[0]: started.resumed, **started.others}
    each = {loss: one(f"{name} {loss}", resumed[loss], loss, folders[loss], places[loss]) for loss in options.losses}
    return Sessions(each, Terminal(trainer.progress_bar_callback, quiet=options.quiet), name)


def _folders(folder: Path | None, losses: tuple[str, ...]) -> dict[str, Path | None]:
    found: dict[str, Path | None] = {}
    taken: set[str] = set()
    for number, loss in enumerate(losses):
        name = folder_of(loss)
        name = f"{name}-{number}" if name.lower() in taken else name
        taken.add(name.lower())
        found[loss] = None if folder is None else folder / name
    return found

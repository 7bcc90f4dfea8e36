"""The runs in the files of a unit, each by its name below the folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, final

from scalewatch.logs import AbstractLog, open_files
from scalewatch.offline.fleet.tree import JOURNAL_FOLDER, Unit
from scalewatch.offline.replayed import Settings

__all__ = ["OpenedUnit", "open_unit"]


@final
class OpenedUnit(NamedTuple):
    """What the files of a unit hold.

    Attributes:
        runs: (name, log) of each run. unreadable: (path below the folder, reason) of what looked like a log.
    """

    runs: list[tuple[str, AbstractLog]]
    unreadable: list[tuple[str, str]]


def open_unit(folder: Path, unit: Unit, settings: Settings) -> OpenedUnit:
    """Open the logs of a unit, whose files lie below `folder`; a run is called by its path, with "#name" of several.

    Raises:
        OSError: if a file is gone meanwhile.
    """
    opened = open_files([folder / file.path for file in unit.files], columns=settings.columns, form=settings.form)
    where = [log.path for log in opened.logs]
    runs = []
    for log in opened.logs:
        name = _below(folder, log.path) or folder.absolute().name
        runs.append((f"{name}#{log.name}" if where.count(log.path) > 1 else name, log))
    return OpenedUnit(runs, [(_below(folder, no.path), no.reason) for no in opened.unreadable])


def _below(folder: Path, path: Path) -> str:
    below = path.absolute().relative_to(folder.absolute())
    return (below.parent if below.name == JOURNAL_FOLDER else below).as_posix().removeprefix(".")

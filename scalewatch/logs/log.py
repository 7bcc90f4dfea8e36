"""One run in somebody's log, read row by row."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from scalewatch.columns import Columns
from scalewatch.errors import LogError
from scalewatch.laws import CurveLaw
from scalewatch.observation import Observation
from scalewatch.run import Run

__all__ = ["BLOCK_ROWS", "MAX_NOTES", "AbstractFormat", "AbstractLog", "NoLogError"]

#: Notes kept of one log, so that a file of nothing but damage does not fill the memory; the rest is counted.
MAX_NOTES = 20
#: Rows that are given out at once at most [rows]. By hand.
BLOCK_ROWS = 2_048


class NoLogError(LogError):
    """A file can be read and holds nothing that a run logs: it is of something else."""


class AbstractLog:
    """One run of a log; memory does not grow with the length of the log.

    Attributes:
        name: what to call the run.
        path: the file or folder that it came from. form: name of the format that it was read by.
        run: the run as far as the log says how it was planned.
        law: that the run was watched by, where the log holds it. registered: what was predicted by it before the first
            step, as the journal holds it. watched: whether what the monitor knew of the run is all in the log.
        columns: the log's name of each field of `Observation` that it has, so that a guess can be shown.
        notes: one line for each thing that was damaged, skipped or guessed, at most `MAX_NOTES` and a count.
        bytes_read, bytes_total: how far the reading is, for a progress bar [bytes].
    """

    def __init__(self, name: str, path: Path, run: Run | None = None) -> None:
        self.name = name
        self.path = path
        self.form = ""
        self.run = run if run is not None else Run(name)
        self.law: CurveLaw | None = None
        self.registered: Mapping[str, Any] | None = None
        self.watched = False
        self.columns: dict[str, str] = {}
        self.notes: list[str] = []
        self.notes_dropped = 0
        self.bytes_read = 0
        self.bytes_total = 0

    @abstractmethod
    def rows(self) -> Iterator[Observation]:
        """Rows in the order in which they were written, up to the present end of the log.

        Called again it goes on with what has been appended since: so a live log is followed. What is damaged is
        noted and skipped, and everything readable is read; nothing is raised for bad content.
        """

    def blocks(self) -> Iterator[tuple[Run, Columns]]:
        """Yield the same rows, some hundred at once, with what was known of the run when they were read."""
        return self.gathered(self.rows())

    def gathered(self, rows: Iterable[Observation]) -> Iterator[tuple[Run, Columns]]:
        """Yield rows in blocks: one ends where more becomes known of the run."""
        waiting: list[Observation] = []
        known = self.run
        for row in rows:
            if self.run is not known or len(waiting) >= BLOCK_ROWS:
                if waiting:
                    yield known, Columns.of(waiting)
                waiting, known = [], self.run
            waiting.append(row)
        if waiting:
            yield known, Columns.of(waiting)

    def note(self, line: str) -> None:
        """Keep one line about the reading."""
        if len(self.notes) < MAX_NOTES:
            self.notes.append(line)
        else:
            self.notes_dropped += 1


class AbstractFormat:
    """One way in which programs write logs.

    Attributes:
        name: what a user calls it, such as `tensorboard`.
    """

    name: ClassVar[str]

    @abstractmethod
    def claims(self, path: Path) -> bool:
        """Whether this file is of this format, from its name and its first bytes; never raises."""

    def holds(self, path: Path) -> bool:
        """Whether the first bytes of a file are of this format, whatever it is called; never raises.

        Asked of a file that the user named and that no format claims.
        """
        return False

    @abstractmethod
    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """The runs in files of one folder that this format claims.

        Args:
            paths: files of one folder, sorted.
            columns: names that the user gives to fields of `Observation` (`{"loss": "train/loss_step"}`); the
                others are guessed.

        Raises:
            LogError: if a named column is not there, or no loss can be told; it names the columns there are.
        """

"""Where a run's rows come from: its journal, or else its event files."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import final

from scalewatch.errors import ConfigError, JournalError, LawFileError, LogError
from scalewatch.forecast.preregistered import BaselineForecast
from scalewatch.journal import LAW, observation_from, registered_in, run_from
from scalewatch.journal import Record as JournalRecord
from scalewatch.journal.stream import JournalStream
from scalewatch.laws import CurveLaw
from scalewatch.logs.tensorboard.event_log import TensorBoardLog
from scalewatch.logs.tensorboard.events_folder import event_files, odd_files
from scalewatch.observation import Observation
from scalewatch.run import Run
from scalewatch_tensorboard.runs.logdirs import Found

__all__ = ["AbstractSource", "EventFiles", "Identity", "JournalRows", "UnreadableRunError", "open_source"]

#: Path, size [bytes] and time of change [ns] of each file of a run.
Identity = list[tuple[str, int, int]]
#: Entries of a journal that wait to be taken; more come with the next rows.
MOST_ENTRIES = 10_000
NOTHING = (
    "The run has no row with a loss yet: scalewatch looks again every few seconds, and shows it once the first one is "
    "logged."
)


#: Sentences on the odd files of one folder.
MOST_ODD = 3


class UnreadableRunError(LogError):
    """A folder with the names of a run's files, none of which can be read now."""


class AbstractSource(ABC):
    """A run's log, read once from its beginning and followed from then on.

    Attributes:
        kind: "journal" or "event files". run: the run as far as the log knows how it was planned.
        registered: what the run promised before its first step, None if it is not known. law: by which it did.
        entries: of a journal that are no rows, to be taken by whoever reads the rows.
    """

    kind: str

    def __init__(self, run: Run) -> None:
        self.run = run
        self.registered: BaselineForecast | None = None
        self.law: CurveLaw | None = None
        self.entries: deque[JournalRecord] = deque(maxlen=MOST_ENTRIES)

    @abstractmethod
    def rows(self) -> Iterator[Observation | int]:
        """Yield what has come since the last call; an integer says after which step the run was resumed."""

    @abstractmethod
    def files(self) -> list[Path]:
        """The files it is read from, in their order."""

    @property
    @abstractmethod
    def bytes_read(self) -> int:
        """How far the reading is [bytes]."""

    @property
    def bytes_total(self) -> int:
        """How long the files are now [bytes]."""
        return sum(size for _, size, _ in self.identity())

    @property
    @abstractmethod
    def notes(self) -> list[str]:
        """What was damaged, skipped or guessed, a line each."""

    @property
    def columns(self) -> dict[str, str]:
        """The log's name of each field of an observation."""
        return {}

    @property
    def stale(self) -> bool:
        """Whether what has been read no longer counts."""
        return False

    def identity(self) -> Identity:
        """Which files these are, and how long: the same again, the same rows again."""
        found: Identity = []
        for path in self.files():
            try:
                status = os.stat(path)
            except OSError:
                continue
            found.append((str(path), status.st_size, status.st_mtime_ns))
        return found


@final
class JournalRows(AbstractSource):
    """A journal.

    Raises:
        JournalError: if there is no header that describes a run.
    """

    kind = "journal"

    def __init__(self, name: str, folder: Path) -> None:
        self._stream = JournalStream(folder)
        header = self._stream.header
        if header is None or not isinstance(header.get("run"), dict):
            raise JournalError("The journal has no header that can be read.")
        super().__init__(named(run_from(header["run"]), name))
        run_id = header.get("run_id")
        record = registered_in(folder, run_id if isinstance(run_id, str) else None)
        if record is not None:
            try:
                self.registered = BaselineForecast.from_record(record)
            except ConfigError as fault:
                self._stream.notes.append(f"the registered prediction cannot be used: {fault}")
        self._read_law(folder, run_id if isinstance(run_id, str) else None)

    def _read_law(self, folder: Path, run_id: str | None) -> None:
        record = registered_in(folder, run_id, LAW)
        if record is None:
            return
        law = record.get("law")
        try:
            self.law = CurveLaw.from_json(law if isinstance(law, dict) else {}, folder)
        except LawFileError as fault:
            self._stream.notes.append(f"the law of the journal cannot be used: {fault}")

    def rows(self) -> Iterator[Observation | int]:
        """Yield rows; what else is said goes to `entries`."""
        for record in self._stream.records():
            kind = record.get("type")
            if kind == "o":
                try:
                    yield observation_from(record)
                except JournalError as fault:
                    if len(self._stream.notes) < 20:
                        self._stream.notes.append(str(fault))
            elif kind == "header":
                after = record.get("resumes_after_step")
                if isinstance(after, int):
                    yield after
            else:
                self.entries.append(record)

    def files(self) -> list[Path]:
        """The segments that count."""
        return self._stream.files()

    @property
    def bytes_read(self) -> int:
        """How far the reading is [bytes]."""
        return self._stream.bytes_read

    @property
    def notes(self) -> list[str]:
        """What was damaged."""
        return self._stream.notes


@final
class EventFiles(AbstractSource):
    """The event files of one folder.

    Raises:
        LogError: if there is no loss among them, or not yet.
        UnreadableRunError: if none of them can be read.
    """

    kind = "event files"

    def __init__(self, name: str, folder: Path) -> None:
        self._folder = folder
        files, odd = event_files(folder), odd_files(folder)
        told = list(odd.values())[:MOST_ODD]
        if all(path.name in odd for path in files):
            raise UnreadableRunError(f"{'; '.join(told) or 'its files are gone'}.")
        self._log = TensorBoardLog(files, {})
        for line in told:
            self._log.note(line)
        super().__init__(named(self._log.run, name))

    def rows(self) -> Iterator[Observation | int]:
        """Yield rows."""
        yield from self._log.rows()

    def files(self) -> list[Path]:
        """The event files that are there now."""
        return event_files(self._folder)

    @property
    def bytes_read(self) -> int:
        """How far the reading is [bytes]."""
        return self._log.bytes_read

    @property
    def bytes_total(self) -> int:
        """How long the files are [bytes]."""
        return self._log.bytes_total

    @property
    def notes(self) -> list[str]:
        """What was damaged, skipped or guessed."""
        more = [f"and {self._log.notes_dropped:,} more like these"] if self._log.notes_dropped else []
        return [*self._log.notes, *more]

    @property
    def columns(self) -> dict[str, str]:
        """Which tag is which field."""
        return dict(self._log.columns)


def named(run: Run, name: str) -> Run:
    """Return `run` under the name that TensorBoard gives it."""
    return replace(run, name=name)


def open_source(found: Found) -> AbstractSource:
    """Open a run: its journal wins; event files count where that cannot be read.

    Raises:
        ScalewatchError: with a sentence, if neither holds a run.
    """
    if found.journal is not None:
        try:
            return JournalRows(found.name, found.journal)
        except JournalError:
            if not found.events:
                raise
    return EventFiles(found.name, found.folder)

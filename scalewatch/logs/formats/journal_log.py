"""Our own journal as a log: the rows that count, in order, and those that are added while it is followed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, final

from scalewatch.errors import JournalError, LawFileError, LogError
from scalewatch.journal import LAW, JournalTail, logged_in, observation_from, read_journal
from scalewatch.laws import CurveLaw
from scalewatch.logs.lines import head
from scalewatch.logs.log import AbstractFormat, AbstractLog
from scalewatch.observation import Observation
from scalewatch.run import Run

__all__ = ["JournalFormat", "JournalLog"]

#: What the callback calls the folder of a run's journal.
_FOLDER = "scalewatch"


@final
class JournalLog(AbstractLog):
    """A folder of segments, or one segment, as one run.

    What stands there at first is read as one history, without the rows that were trained away; what is added later
    comes as it is written.

    Raises:
        LogError: if nothing in it can be read.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._journal = read_journal(path)
        except JournalError as fault:
            raise LogError(str(fault)) from None
        folder = path if path.is_dir() else path.parent
        name = folder.absolute().parent.name if folder.name == _FOLDER else folder.name
        super().__init__(name, path, self._journal.run or Run(name or str(path)))
        self.name = self.run.name or self.name
        segments = [segment.file for segment in self._journal.segments]
        self.bytes_total = sum(file.stat().st_size for file in segments if file.exists())
        self.columns = {"step": "step", "loss": "loss"}
        for damage in self._journal.damage:
            self.note(
                f"{damage.file.name}, byte {damage.offset_bytes:,}: {damage.length_bytes:,} bytes cannot be read: "
                f"{damage.reason}"
            )
        for rewind in self._journal.rewinds:
            self.note(f"{rewind.file.name}: goes on from step {rewind.step:,}; {rewind.dropped:,} rows were retrained")
        self.watched, self.registered = True, self._journal.registered
        names = [name for record in self._journal.others for name in logged_in(record)]
        if names:
            self.run = replace(self.run, logged=(*self.run.logged, *names))
        self._read_law()
        self._tail: JournalTail | None = None
        self._begun, self._newest = False, 0

    def _read_law(self) -> None:
        record = next((each for each in self._journal.others if each.get("type") == LAW), None)
        if record is None:
            return
        law = record.get("law")
        try:
            self.law = CurveLaw.from_json(law if isinstance(law, dict) else {}, self.path)
        except LawFileError as fault:
            self.note(f"the law that it was watched by cannot be used: {fault}")

    def rows(self) -> Iterator[Observation]:
        """Yield what is new."""
        self.bytes_read = self.bytes_total
        known = self._journal.observations
        if not self._begun:
            self._begun = True
            self._newest = known[-1].step if known else 0
            yield from known
            known.clear()
        elif self._tail is None:
            # it begins at the first byte: what was given is passed over
            self._tail = JournalTail(self.path)
            yield from (row for row in self._new() if row.step > self._newest)
        else:
            yield from self._new()

    def _new(self) -> Iterator[Observation]:
        assert self._tail is not None
        while records := self._tail.poll():
            for record in records:
                if record.get("type") != "o":
                    continue
                try:
                    yield observation_from(record)
                except JournalError as fault:
                    self.note(str(fault))


@final
class JournalFormat(AbstractFormat):
    """The journal that the callback ScaleWatch writes."""

    name: ClassVar[str] = "journal"

    def claims(self, path: Path) -> bool:
        """Return whether it is named like a segment, or begins like one."""
        if path.name.startswith("journal-") and path.suffix == ".jsonl":
            return True
        start = head(path, 64) if path.suffix == ".jsonl" else ""
        return len(start) > 9 and start[8:10] == " {" and all(c in "0123456789abcdef" for c in start[:8])

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """Return the run of each folder of which all segments are asked for, and else that of each segment."""
        found: dict[Path, None] = {}
        for path in paths:
            whole = set(path.parent.glob("journal-*.jsonl")) <= set(paths) and path.name.startswith("journal-")
            found[path.parent if whole else path] = None
        return [JournalLog(path) for path in found]

"""Reads a journal, whatever has happened to it.

What is damaged costs the records that it hit: the checksum of each line tells, and reading goes on
at the next newline. What could not be read is reported with its place in the file, never raised.
Files are not changed.

The rows of several segments become one history. Where a run goes back, because it was resumed from
an older checkpoint, the rows that were trained away are left out and a `Rewind` says so:

    segment 1   steps 1 to 1200, killed
    segment 2   resumes after step 1000: steps 1001 to 2000
    joined      1 to 1000 from segment 1, 1001 to 2000 from segment 2

Findings and advice are all kept: what was said was said. Only what a run that goes on finds again at the same step, in
the same words, is there once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, final

from scalewatch.advice import Advice
from scalewatch.errors import JournalError
from scalewatch.finding import Finding
from scalewatch.journal.history import History, Rewind
from scalewatch.journal.lines import Record, scan
from scalewatch.journal.records import advice_from, finding_from, observation_from, run_from
from scalewatch.journal.registered import REGISTERED
from scalewatch.journal.segment import SCHEMA, first_record, segments_in
from scalewatch.observation import Observation
from scalewatch.run import Run
from scalewatch.system import open_to_read

__all__ = ["Damage", "Journal", "SegmentInfo", "read_journal"]


class Damage(NamedTuple):
    """Something in a journal that cannot be read.

    Attributes:
        file: where.
        offset_bytes: where in the file it begins.
        length_bytes: how much of the file it is.
        reason: why it cannot be read.
    """

    file: Path
    offset_bytes: int
    length_bytes: int
    reason: str


@final
@dataclass(slots=True)
class SegmentInfo:
    """One file of a journal, as its first and its last record describe it.

    Attributes:
        file: where it is.
        number: its place among the segments of the folder, from 1; 0 if its header is damaged.
        run_id: what all segments of a run have in common; empty if its header is damaged.
        rank: which process of a distributed run wrote it.
        created_unix_s: when, in seconds since 1970; None if its header is damaged.
        reason: why it was opened: `began`, `resumed`, `continued` (the one before was full) or
            `reopened` (the one before was deleted or taken away).
        resumes_after_step: step of the checkpoint that it goes on from; None if it does not.
        closing: the counts that its writer closed it with; None if it did not.
    """

    file: Path
    number: int = 0
    run_id: str = ""
    rank: int = 0
    created_unix_s: float | None = None
    reason: str = ""
    resumes_after_step: int | None = None
    closing: Record | None = None


@final
@dataclass(slots=True)
class Journal:
    """What a journal holds.

    Attributes:
        run: what is being trained, by the newest header that can be read; None if none can.
        segments: the files, in the order in which they were joined.
        observations: the rows of the run by step, each step once, none that was trained away.
        findings: all findings, in the order in which they were made.
        advice: all advice, in the order in which it was given.
        others: the records of other types, as they were written.
        damage: what could not be read.
        rewinds: where rows were left out because the run went back.
    """

    run: Run | None = None
    segments: list[SegmentInfo] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    advice: list[Advice] = field(default_factory=list)
    others: list[Record] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    rewinds: list[Rewind] = field(default_factory=list)

    @property
    def registered(self) -> Record | None:
        """The prediction that was registered when the run began: the first one counts. None if there is none."""
        return next((record for record in self.others if record.get("type") == REGISTERED), None)


def read_journal(path: Path | str, *, rank: int | None = None) -> Journal:
    """Read one segment, or all segments in a folder.

    Args:
        path: a file or a folder.
        rank: whose segments to read in a folder; None for the lowest rank that is there.

    Raises:
        JournalError: if there is nothing that can be read.
    """
    path = Path(path)
    is_folder = os.path.isdir(path)
    files = _segments(path) if is_folder else [path]
    headers = {file: first_record(file) or {} for file in files}
    ranks = [_rank(header) for header in headers.values() if header]
    wanted = min(ranks, default=0) if rank is None else rank
    reading = _Reading()
    for file in _joined(headers):
        if not is_folder or not headers[file] or _rank(headers[file]) == wanted:
            reading.read(file, follow_links=not is_folder)
    journal = reading.journal
    if not reading.found:
        why = journal.damage[0].reason if journal.damage else "it is empty"
        raise JournalError(f"The journal {str(path)!a} holds nothing that can be read: {why}.")
    return journal


def _segments(folder: Path) -> list[Path]:
    try:
        files = [file for _, file in segments_in(folder)]
    except OSError as fault:
        raise JournalError(f"The folder {str(folder)!a} cannot be read: {fault}.") from None
    if not files:
        raise JournalError(f"The folder {str(folder)!a} holds no journal: expected `journal-000001.jsonl` in it.")
    return files


def _joined(headers: Mapping[Path, Record]) -> Iterable[Path]:
    """The segments of one writer one after the other, the writers as they came.

    A run that is requeued while its old process still lives has two writers, whose segments take
    turns. The later writer is the one that counts.
    """
    writers: dict[str, list[Path]] = {}
    for file, header in headers.items():
        writers.setdefault(str(header.get("writer", file)), []).append(file)
    return (file for files in writers.values() for file in files)


def _rank(header: Mapping[str, Any]) -> int:
    rank = header.get("rank")
    return rank if isinstance(rank, int) else 0


@final
class _Reading:
    """A journal while it is being read, one file after the other."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.found = False
        self._history = History()
        #: What was found after the step that the newest segment goes on from, and may be found again.
        self._found_before: set[tuple[str, int, str, str]] = set()
        self.journal.observations = self._history.rows
        self.journal.rewinds = self._history.rewinds

    def read(self, file: Path, *, follow_links: bool) -> None:
        segment = SegmentInfo(file)
        self.journal.segments.append(segment)
        self._history.begin(file)
        offset = size = 0
        try:
            with os.fdopen(open_to_read(file, follow_links=follow_links), "rb") as source:
                size = os.fstat(source.fileno()).st_size
                for offset, length, record, reason in scan(source):
                    if record is not None:
                        reason = self._take(record, segment)
                    if reason:
                        self._damaged(file, offset, length, reason)
        except _TooNew as fault:
            self._damaged(file, 0, size, str(fault))
        except OSError as fault:
            self._damaged(file, offset, 0, f"the system refuses to read it: {fault.strerror or fault}")

    def _damaged(self, file: Path, offset: int, length: int, reason: str) -> None:
        self.journal.damage.append(Damage(file, offset, length, reason))

    def _take(self, record: Record, segment: SegmentInfo) -> str:
        """Put a record where it belongs; why that is not possible, or nothing."""
        journal = self.journal
        try:
            match record.get("type"):
                case "o":
                    self._history.add(observation_from(record))
                case "finding":
                    self._keep(finding_from(record))
                case "advice":
                    journal.advice.append(advice_from(record))
                case "header":
                    self._open(record, segment)
                case "close":
                    segment.closing = record
                case _:
                    journal.others.append(record)
        except JournalError as fault:
            return str(fault)
        self.found = True
        return ""

    def _keep(self, finding: Finding) -> None:
        said = _said(finding)
        if said in self._found_before:
            self._found_before.discard(said)
        else:
            self.journal.findings.append(finding)

    def _open(self, header: Record, segment: SegmentInfo) -> None:
        schema, run = header.get("schema"), header.get("run")
        if schema != SCHEMA:
            raise _TooNew(f"it is of schema {str(schema)[:20]!a}, and only {SCHEMA} is known here")
        segment.number = _or(header.get("segment"), int, 0)
        segment.run_id = _or(header.get("run_id"), str, "")
        segment.rank = _rank(header)
        segment.created_unix_s = _or(header.get("created_unix_s"), float, None)
        segment.reason = _or(header.get("reason"), str, "")
        segment.resumes_after_step = _or(header.get("resumes_after_step"), int, None)
        if segment.resumes_after_step is not None:
            after = segment.resumes_after_step
            self._history.resume(after)
            self._found_before = {_said(each) for each in self.journal.findings if each.step > after}
        if not isinstance(run, dict):
            raise JournalError("the header describes no run")
        self.journal.run = run_from(run)


class _TooNew(Exception):
    """The rest of a file is not for this reader."""


def _said(finding: Finding) -> tuple[str, int, str, str]:
    return str(finding.kind), finding.step, str(finding.phase), finding.message


def _or(value: Any, kind: type, default: Any) -> Any:
    return value if isinstance(value, kind) else default

"""Reads a journal of any length in order and in little memory, and goes on with it while it is written.

`read_journal` holds all rows; `JournalTail` begins with a helping of every segment. This reads segment after segment,
each to its present end, and comes back to the newest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import final

from scalewatch.journal.lines import Record, scan
from scalewatch.journal.segment import SCHEMA, first_record, segments_in
from scalewatch.system import open_to_read

__all__ = ["JournalStream"]

#: Notes on damage that are kept.
MOST_NOTES = 20


@final
class JournalStream:
    """The records of a journal in the order in which they count, headers included.

    Of a folder with several ranks, those of the lowest. Where a run was requeued while its old process still wrote, the
    older writer's segments are left behind once the newer one is read, as `read_journal` puts them first.

    Args:
        folder: of the segments; it need not exist yet.

    Attributes:
        bytes_read: how far it is [bytes]. notes: what was damaged, a line each, bounded.

    >>> list(JournalStream(Path("nowhere")).records())
    []
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bytes_read = 0
        self.notes: list[str] = []
        self._headers: dict[Path, Record] = {}
        self._offsets: dict[Path, int] = {}
        self._writer: object = None

    @property
    def header(self) -> Record | None:
        """The newest header, with the run as it is planned; None before there is one."""
        self._find()
        known = [self._headers[file] for file in self._order() if self._headers[file]]
        return known[-1] if known else None

    def files(self) -> list[Path]:
        """The segments that count, in the order in which they are read."""
        self._find()
        return self._order()

    def records(self) -> Iterator[Record]:
        """Yield what has come since the last call, to the present end; what is damaged is noted and left out.

        A line that is not finished is left for the next call.
        """
        self._find()
        order = self._order()
        writers = [self._headers[file].get("writer", file) for file in order]
        known = writers.index(self._writer) if self._writer in writers else 0
        for file, writer in list(zip(order, writers, strict=True))[known:]:
            for record in self._new_in(file):
                self._writer = writer
                yield record

    def _find(self) -> None:
        try:
            files = [file for _, file in segments_in(self.folder)]
        except OSError:
            return
        for file in files:
            if not self._headers.get(file):
                self._headers[file] = first_record(file) or {}

    def _order(self) -> list[Path]:
        ranks = [_rank(header) for header in self._headers.values() if header]
        lowest = min(ranks, default=0)
        writers: dict[object, list[Path]] = {}
        for file, header in self._headers.items():
            if not header or _rank(header) == lowest:
                writers.setdefault(header.get("writer", file), []).append(file)
        return [file for files in writers.values() for file in files]

    def _new_in(self, file: Path) -> Iterator[Record]:
        offset = self._offsets.get(file, 0)
        if offset < 0:
            return
        try:
            if file.stat().st_size <= offset:
                return
            with os.fdopen(open_to_read(file), "rb") as source:
                source.seek(offset)
                for line in scan(source):
                    end = line.offset_bytes + line.length_bytes
                    if line.record is None and "ends within" in line.reason:
                        return  # it is still being written
                    self._offsets[file] = end
                    self.bytes_read += end - offset
                    offset = end
                    if line.record is None:
                        self._note(f"{file.name}, byte {line.offset_bytes:,}: {line.reason}")
                    elif line.record.get("type") == "header" and line.record.get("schema") != SCHEMA:
                        self._note(f"{file.name}: it is of a schema that is not known here")
                        self._offsets[file] = -1
                        return
                    else:
                        yield line.record
        except OSError as fault:
            self._note(f"{file.name}: {fault.strerror or fault}")

    def _note(self, line: str) -> None:
        if len(self.notes) < MOST_NOTES and line not in self.notes:
            self.notes.append(line)


def _rank(header: Record) -> int:
    rank = header.get("rank")
    return rank if isinstance(rank, int) else 0

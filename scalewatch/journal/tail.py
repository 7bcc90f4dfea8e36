"""Reads a journal while it is being written, for somebody who watches."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import final

from scalewatch.errors import JournalError
from scalewatch.journal.lines import MAX_LINE_BYTES, Record, decode
from scalewatch.journal.segment import segments_in
from scalewatch.system import open_to_read

__all__ = ["JournalTail", "last_records"]

#: Most that one poll reads of a file [bytes]: a long journal comes in several helpings.
MAX_POLL_BYTES = 4 * MAX_LINE_BYTES


@final
class JournalTail:
    """What has been added to a journal since the last look.

    The file, or the folder, need not exist yet. Segments that are added are followed too. A line
    that is not finished is left for the next poll.

    Args:
        path: a segment, or a folder of them.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        #: Lines that could not be read [count].
        self.damaged = 0
        self._offsets: dict[Path, int] = {}

    def poll(self) -> list[Record]:
        """The records that have come since the last call, by segment, headers included; often [].

        Never raises because of what is or is not on the disk.
        """
        try:
            folder = os.path.isdir(self.path)
            files = [file for _, file in segments_in(self.path)] if folder else [self.path]
        except OSError:
            return []
        return [record for file in files for record in self._new_in(file, follow=not folder)]

    def _new_in(self, file: Path, *, follow: bool) -> list[Record]:
        offset = self._offsets.get(file, 0)
        try:
            if file.stat().st_size <= offset:
                return []
            with os.fdopen(open_to_read(file, follow_links=follow), "rb") as source:
                source.seek(offset)
                data = source.read(MAX_POLL_BYTES)
        except OSError:
            return []
        end = data.rfind(b"\n") + 1
        if not end and len(data) >= MAX_LINE_BYTES:
            end = len(data)  # no line is that long: whatever it is, it is passed over
        self._offsets[file] = offset + end
        return [record for line in data[:end].split(b"\n") if (record := self._read(line))]

    def _read(self, line: bytes) -> Record | None:
        try:
            return decode(line) if line else None
        except JournalError:
            self.damaged += 1
            return None


def last_records(file: Path, reach_bytes: int) -> list[Record]:
    """Return the whole records in the last bytes of a segment, oldest first; [] if it cannot be read.

    Args:
        file: the segment. reach_bytes: how much of its end to read [bytes].
    """
    try:
        with os.fdopen(open_to_read(file), "rb") as source:
            begin = max(os.fstat(source.fileno()).st_size - reach_bytes, 0)
            source.seek(begin)
            data = source.read(reach_bytes)
    except OSError:
        return []
    lines = data[: data.rfind(b"\n") + 1].split(b"\n")
    records = []
    for line in lines[1:] if begin else lines:
        with contextlib.suppress(JournalError):
            if line:
                records.append(decode(line))
    return records

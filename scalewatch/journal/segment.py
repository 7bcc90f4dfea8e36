"""One file of a journal: how it is named, opened, checked and given up.

A journal is a folder of segments, `journal-000001.jsonl` and on. A segment has one writer for ever:
whoever comes later, a resumed run or the requeued copy of one that is still alive, opens the next
number. So two writers never meet in a file, and a torn line stays the last line of its file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from scalewatch.journal.lines import MAX_LINE_BYTES, Record, decode, encode
from scalewatch.system import open_new_to_append, open_to_read, sync_folder

__all__ = ["SCHEMA", "Segment", "first_record", "segments_in"]

#: Version of the records. A reader refuses what is newer than itself.
SCHEMA = 1

_NAME = re.compile(r"journal-([0-9]{6,9})\.jsonl")

#: Numbers that are tried: so many other writers cannot have come in between.
_TRIES = 1_000


def segments_in(folder: Path) -> list[tuple[int, Path]]:
    """Number and path of every segment in a folder, by number; none if the folder is not there.

    Raises:
        OSError: if the folder is there and cannot be listed.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    matches = (match for match in map(_NAME.fullmatch, names) if match)
    return sorted((int(match[1]), folder / match[0]) for match in matches)


def first_record(path: Path) -> Record | None:
    """The first record of a segment, None if it cannot be read."""
    try:
        with open(open_to_read(path), "rb") as file:
            return decode(file.readline(MAX_LINE_BYTES))
    except OSError:  # also a JournalError
        return None


@final
class Segment:
    """A segment that is being written.

    It keeps a descriptor, and knows which file that was: where something closes every descriptor of
    a process, the number may soon belong to somebody else's file.

    Args:
        folder: where it goes; made, for its owner only, if it is not there.
        header: what its first line says besides its number.

    Raises:
        OSError: if it cannot be made, or not even the header can be written.
        JournalError: if the header cannot be written as a line.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any]) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.number, self.path, self._descriptor = _created(folder)
        try:
            status = os.fstat(self._descriptor)
            self._identity = status.st_dev, status.st_ino
            line = encode({"type": "header", "schema": SCHEMA, "segment": self.number, **header})
            if os.write(self._descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, "no room for the header", os.fspath(self.path))
        except OSError:  # also a JournalError
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            with contextlib.suppress(OSError):
                self.path.unlink()
            raise
        self._header_bytes = len(line)
        #: What was written to it [bytes].
        self.size_bytes = len(line)
        sync_folder(folder)

    @property
    def has_records(self) -> bool:
        """Whether there is more in it than its header."""
        return self.size_bytes > self._header_bytes

    def is_ours(self) -> bool:
        """Whether the descriptor still leads to this file, and the file still has a name."""
        try:
            status = os.fstat(self._descriptor)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity and status.st_nlink > 0

    def write(self, data: bytes) -> int:
        """Write with one call; how many bytes of it are in the file.

        Raises:
            OSError: as `os.write` does.
        """
        written = os.write(self._descriptor, data)
        self.size_bytes += written
        return written

    def sync(self) -> None:
        """Wait until the disk has it.

        Raises:
            OSError: as `os.fsync` does.
        """
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the descriptor, if it still is this file's."""
        descriptor, self._descriptor = self._descriptor, -1
        with contextlib.suppress(OSError):
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) == self._identity:
                os.close(descriptor)


def _created(folder: Path) -> tuple[int, Path, int]:
    taken = segments_in(folder)
    first = taken[-1][0] + 1 if taken else 1
    for number in range(first, first + _TRIES):
        path = folder / f"journal-{number:06d}.jsonl"
        with contextlib.suppress(FileExistsError):
            return number, path, open_new_to_append(path)
    raise OSError(errno.EEXIST, "no number is free for the next segment", os.fspath(folder))

"""The TensorBoard event files of one run, one after the other, while they grow and new ones appear."""

from __future__ import annotations

import os
import re
import stat
import struct
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import final

from scalewatch.logs.tensorboard.events import EventDecoder, Scalars
from scalewatch.logs.tensorboard.events_wire import BadEventError, read_event
from scalewatch.logs.tensorboard.mark import MARK, is_marked, start_of
from scalewatch.logs.tensorboard.tfrecord import TFRecordFile, first_record, is_header
from scalewatch.system import open_to_read

__all__ = ["EventFolder", "event_files", "in_order", "is_event_file", "odd_files"]

_STAMP = re.compile(rf"{MARK}\.(\d{{9,11}})(?:\D|$)")


def is_event_file(path: Path) -> bool:
    """Whether this is an event file, by its name (`...tfevents...`) or by its first bytes; never raises."""
    try:
        if not path.is_file():
            return False
    except (OSError, ValueError):
        return False
    return MARK in path.name or (is_marked(path) and is_header(start_of(path)))


def event_files(folder: Path, known: Collection[Path] = ()) -> list[Path]:
    """Return the event files that lie in a folder itself, by the time at which they were begun; never raises.

    Args:
        folder: where to look; not below it.
        known: files that are left out, and not looked into.
    """
    try:
        found = [folder / name for name in os.listdir(folder) if MARK in name]
    except OSError:
        return []
    return in_order(path for path in found if path not in known and is_event_file(path))


#: What else than a file may lie in a folder, by the test that tells it.
_ODD_KINDS = (
    (stat.S_ISFIFO, "is a pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
    (stat.S_ISDIR, "is a folder"),
)


def odd_files(folder: Path) -> dict[str, str]:
    """Return what is named like an event file in a folder and is none, or cannot be read: name -> why, in words.

    The folder itself has the name "".
    """
    try:
        names = sorted(name for name in os.listdir(folder) if MARK in name)
    except OSError as fault:
        return {"": f"the folder cannot be looked into ({_words(fault)})"}
    return {name: f"{printable(name)} {why}" for name in names if (why := _why_odd(folder / name))}


def printable(name: str) -> str:
    """Return a file's name as it can be shown: bytes that are no UTF-8 as escapes, no control characters."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _why_odd(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            return next((words for is_kind, words in _ODD_KINDS if is_kind(mode)), "is no plain file")
        os.close(open_to_read(path, follow_links=True))
    except OSError as fault:
        if path.is_symlink() and isinstance(fault, FileNotFoundError):
            return "is a link that leads nowhere"
        return f"cannot be read ({_words(fault)})"
    return ""


def _words(fault: OSError) -> str:
    return (fault.strerror or str(fault)).lower()


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Sort event files by the time at which they were begun, then by name."""
    return sorted(paths, key=lambda path: (_begun(path), path.name))


def _begun(path: Path) -> float:
    """When a file was begun, since 1970 [s]: by its first event, its name, or the time of its last change."""
    record = first_record(start_of(path))
    if record:
        try:
            wall_time = read_event(record, 0, len(record)).wall_time
        except (BadEventError, struct.error):
            wall_time = 0.0
        if 0.0 < wall_time < float("inf"):
            return wall_time
    if stamp := _STAMP.search(path.name):
        return float(stamp[1])
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


@final
class EventFolder:
    """One run's event files.

    Args:
        paths: the files. If they are all that their folder has, files that appear there later are read too.
        note: is told, in a line, what was damaged and left out.

    Attributes:
        decoder: knows the tags seen so far.
        files: the files, in the order in which they are read.
    """

    def __init__(self, paths: Iterable[Path], note: Callable[[str], None]) -> None:
        self._note = note
        self.decoder = EventDecoder(note)
        self.files = [TFRecordFile(path, note) for path in in_order(paths)]
        folders = {file.path.parent for file in self.files}
        self._folder = folders.pop() if len(folders) == 1 else None
        if self._folder is not None and event_files(self._folder, {file.path for file in self.files}):
            self._folder = None

    @property
    def tails(self) -> list[str]:
        """What stands at the ends of files and is no whole record, in words."""
        return [file.tail for file in self.files if file.tail]

    @property
    def bytes_read(self) -> int:
        """How far the files have been read [bytes]."""
        return sum(file.offset for file in self.files)

    @property
    def bytes_total(self) -> int:
        """How long the files are now [bytes]; those that are gone count as far as they were read."""
        return sum(_size(file) for file in self.files)

    def batches(self) -> Iterator[tuple[int, Scalars]]:
        """Read what has come since the last call, as (place in `files`, scalars); never raises for their content."""
        self._find_new()
        for place, file in enumerate(self.files):
            for records in file.batches():
                scalars = self.decoder.decode(records, file.name)
                if len(scalars.steps):
                    yield place, scalars

    def _find_new(self) -> None:
        if self._folder is not None:
            new = event_files(self._folder, {file.path for file in self.files})
            self.files += [TFRecordFile(path, self._note) for path in new]


def _size(file: TFRecordFile) -> int:
    try:
        return max(file.path.stat().st_size, file.offset)
    except OSError:
        return file.offset

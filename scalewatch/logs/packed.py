"""Logs that were packed, unpacked into a folder that is removed at the end of the process."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from importlib import import_module
from pathlib import Path
from typing import IO

from scalewatch.errors import LogError

__all__ = ["folder_for", "is_packed", "unpacked"]

#: Ending of a packed file -> the module that unpacks it.
_OPENERS = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}
#: Unpacked bytes at most, so that a small file cannot fill the disk, and bytes copied at once.
MAX_BYTES, CHUNK_BYTES = 8 << 30, 1 << 20
#: Files in one archive at most.
MOST_FILES = 10_000


def is_packed(path: Path) -> bool:
    """Return whether a file is named like a packed one."""
    return path.suffix.lower() in (*_OPENERS, ".zip")


def unpacked(path: Path) -> Path:
    """Return the file that a packed one holds, or the folder of those in an archive.

    Raises:
        LogError: if it is damaged, or holds too much.
    """
    from lzma import LZMAError
    from zipfile import BadZipFile

    folder = folder_for(path)
    try:
        if path.suffix.lower() == ".zip":
            return _archive(path, folder / path.stem)
        target = folder / path.stem
        with import_module(_OPENERS[path.suffix.lower()]).open(path, "rb") as source, target.open("wb") as file:
            _copy(source, file, path, MAX_BYTES)
        return target
    except (OSError, EOFError, BadZipFile, LZMAError, RuntimeError) as fault:
        if isinstance(fault, LogError):
            raise
        raise LogError(f"{path}: cannot be unpacked: {str(fault)[:100]}.") from None


def folder_for(path: Path) -> Path:
    """Return a folder for what a file holds, which is removed at the end of the process: called as that of the file."""
    top = Path(tempfile.mkdtemp(prefix="scalewatch-"))
    atexit.register(shutil.rmtree, top, ignore_errors=True)
    folder = top / (path.absolute().parent.name or "log")
    folder.mkdir()
    return folder


def _archive(path: Path, folder: Path) -> Path:
    from zipfile import ZipFile

    left = MAX_BYTES
    with ZipFile(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) > MOST_FILES:
            raise LogError(f"{path}: holds more than {MOST_FILES:,} files.")
        for member in members:
            # a name that leads out of the folder would write elsewhere
            target = folder.joinpath(*(part for part in Path(member.filename).parts if part not in ("..", "/", "\\")))
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as file:
                left -= _copy(source, file, path, left)
    return folder


def _copy(source: IO[bytes], target: IO[bytes], path: Path, most: int) -> int:
    copied = 0
    while chunk := source.read(CHUNK_BYTES):
        copied += len(chunk)
        if copied > most:
            raise LogError(f"{path}: holds more than {MAX_BYTES >> 30} GiB.")
        target.write(chunk)
    return copied

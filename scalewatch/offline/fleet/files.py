"""Files at a path of this machine, or at an address that `fsspec` reaches (`s3://bucket/fleet`)."""

from __future__ import annotations

import os
import tempfile
from abc import abstractmethod
from pathlib import Path
from typing import final

from scalewatch.logs.remote import file_system, is_remote

__all__ = ["LOOKED", "AbstractFiles", "LocalFiles", "RemoteFiles", "files_of"]

#: Folder of the files that say when each collected folder was looked at.
LOOKED = "looked"


class AbstractFiles:
    """The little that a fleet asks of a place for files."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder, sorted; none if there is no such folder."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """All of a file, None if it is not there."""

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Make or replace a file: whoever reads it finds the old or the new one."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Take a file away if it is there."""


@final
class LocalFiles(AbstractFiles):
    """A folder of this machine; it need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self, folder: str) -> list[str]:
        """List it."""
        try:
            return sorted(entry.name for entry in (self.folder / folder).iterdir())
        except OSError:
            return []

    def read(self, name: str) -> bytes | None:
        """Read it at once."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Write beside it, then rename."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            os.chmod(made, 0o644)
            os.replace(made, path)
        except OSError:
            os.unlink(made)
            raise

    def delete(self, name: str) -> None:
        """Unlink it."""
        (self.folder / name).unlink(missing_ok=True)


@final
class RemoteFiles(AbstractFiles):
    """A folder that fsspec reaches; object stores replace a file as a whole.

    Raises:
        ConfigError: if fsspec, or what it needs for such a place, is not installed.
    """

    def __init__(self, url: str) -> None:
        self.system, top = file_system(url)
        self.top = top.rstrip("/")

    def names(self, folder: str) -> list[str]:
        """List it."""
        try:
            found = self.system.ls(f"{self.top}/{folder}", detail=False, refresh=True)
        except FileNotFoundError:
            return []
        return sorted(path.rpartition("/")[2] for path in found)

    def read(self, name: str) -> bytes | None:
        """Fetch it."""
        try:
            return bytes(self.system.cat_file(f"{self.top}/{name}"))
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Put it."""
        path = f"{self.top}/{name}"
        self.system.makedirs(path.rpartition("/")[0], exist_ok=True)
        self.system.pipe_file(path, data)

    def delete(self, name: str) -> None:
        """Take it away."""
        try:
            self.system.rm_file(f"{self.top}/{name}")
        except FileNotFoundError:
            return


def files_of(place: str) -> AbstractFiles:
    """Return the files at a path or an address.

    Raises:
        ConfigError: if what reaches it is not installed.
    """
    return RemoteFiles(place) if is_remote(place) else LocalFiles(Path(place))

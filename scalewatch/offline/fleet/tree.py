"""The logs of a folder as units: the files that are one reading, with a signature that changes when one of them does.

A run that several files tell (a journal, event files, checkpoints) is one unit, so that it is read whole; tables lie in
units of their own, so that ten thousand of them in one folder are read on all cores, and one that has grown alone.
The folder may lie wherever `fsspec` reaches (`s3://bucket/runs`); then the files of a unit are fetched to be read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, final

from scalewatch.errors import LogError
from scalewatch.logs.naming import META, METRICS
from scalewatch.logs.remote import copied, file_system, is_remote

__all__ = ["JOURNAL_FOLDER", "AbstractTree", "FoundFile", "Unit", "tree_of", "units_of"]

#: Where the callback puts a run's journal, below the folder of the run.
JOURNAL_FOLDER = "scalewatch"
#: Folders that hold a part of the run in the folder above: that one, and checkpoints of transformers.
_PART = re.compile(rf"{JOURNAL_FOLDER}|checkpoint-\d+")
#: Files by which a folder is one run.
_ONE_RUN = re.compile(r"journal-.*\.jsonl|.*tfevents.*|metrics\.csv|trainer_state\.json")
#: Files of one run although their names begin differently: what detectron2 prints, and its numbers.
_PAIR = {"log.txt", "metrics.json"}


class FoundFile(NamedTuple):
    """A file below the folder.

    Attributes:
        path: below the folder, with "/". size: [bytes]. stamp: what changes when it is written. written: [s], UTC.
    """

    path: str
    size: int
    stamp: str
    written: float


@final
@dataclass(frozen=True, slots=True)
class Unit:
    """Files that are read together.

    Attributes:
        name: the folder with "/" behind it, or folder and beginning of the names. files: of it. signature: of them.
    """

    name: str
    files: tuple[FoundFile, ...]
    signature: str

    @property
    def written(self) -> datetime:
        """When somebody last wrote to one of them, UTC without a zone."""
        newest = max(file.written for file in self.files)
        return datetime.fromtimestamp(newest, UTC).replace(tzinfo=None)


class AbstractTree:
    """A folder and all below it.

    Attributes:
        name: of the folder, for people.
    """

    name: str

    @abstractmethod
    def files(self) -> Iterator[FoundFile]:
        """Every file but hidden ones and those in hidden folders."""

    @abstractmethod
    def fetched(self, unit: Unit) -> Any:
        """A context in which the files of a unit lie below the local folder that it gives."""


@final
class LocalTree(AbstractTree):
    """A folder of this machine.

    Raises:
        LogError: if it is none.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise LogError(f"{str(folder)!a} does not exist, or is no folder.")
        self.folder = folder.absolute()
        self.name = str(self.folder)

    def files(self) -> Iterator[FoundFile]:
        """Walk the folder; what vanishes meanwhile is left out."""
        waiting = [""]
        while waiting:
            below = waiting.pop()
            try:
                entries = sorted(os.scandir(self.folder / below), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                if _hidden(entry.name):
                    continue
                path = f"{below}/{entry.name}" if below else entry.name
                try:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(path)
                    elif entry.is_file():
                        status = entry.stat()
                        yield FoundFile(path, status.st_size, str(status.st_mtime_ns), status.st_mtime)
                except OSError:
                    continue

    @contextmanager
    def fetched(self, unit: Unit) -> Iterator[Path]:
        """Give the folder itself."""
        yield self.folder


@final
class RemoteTree(AbstractTree):
    """A folder that `fsspec` reaches.

    Raises:
        ConfigError: if fsspec, or what it needs for such a place, is not installed.
    """

    def __init__(self, url: str) -> None:
        self.name = url
        self._files, self._top = file_system(url)

    def files(self) -> Iterator[FoundFile]:
        """Ask for all at once, with their sizes and times."""
        found: dict[str, dict[str, Any]] = self._files.find(self._top, detail=True)
        top = self._top.rstrip("/")
        for path, detail in sorted(found.items()):
            below = path[len(top) :].lstrip("/")
            if any(_hidden(part) for part in below.split("/")):
                continue
            when = next(
                (detail[key] for key in ("mtime", "LastModified", "last_modified", "created") if key in detail), 0
            )
            tag = next((detail[key] for key in ("ETag", "etag", "md5Hash") if key in detail), when)
            seconds = when.timestamp() if isinstance(when, datetime) else float(when) if _is_number(when) else 0.0
            yield FoundFile(below, int(detail.get("size") or 0), str(tag), seconds)

    @contextmanager
    def fetched(self, unit: Unit) -> Iterator[Path]:
        """Fetch them into a folder that is gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="scalewatch-") as made:
            copied(self._files, self._top, (file.path for file in unit.files), Path(made))
            yield Path(made)


def tree_of(place: str) -> AbstractTree:
    """Return the tree of a path or an address.

    Raises:
        LogError: if it is no folder. ConfigError: if what reaches it is not installed.
    """
    return RemoteTree(place) if is_remote(place) else LocalTree(Path(place))


def units_of(tree: AbstractTree, read_as: str) -> Iterator[Unit]:
    """Yield the units of a folder.

    Args:
        tree: the folder. read_as: how they will be read: another way has other signatures.
    """
    folders: dict[str, list[FoundFile]] = {}
    found = list(tree.files())
    whole = _runs_of_mlflow(found)
    for file in found:
        folder = file.path.rpartition("/")[0]
        while _PART.fullmatch(folder.rpartition("/")[2]):
            folder = folder.rpartition("/")[0]
        above = [folder] + [str(parent) for parent in PurePosixPath(folder).parents]
        folder = next((each for each in above if each in whole), folder) if whole else folder
        folders.setdefault(folder, []).append(file)
    for folder, files in folders.items():
        if folder in whole or any(_ONE_RUN.fullmatch(file.path.rpartition("/")[2]) for file in files):
            yield _unit(f"{folder}/", files, read_as)
            continue
        paired = {file.path.rpartition("/")[2] for file in files} >= _PAIR
        groups: dict[str, list[FoundFile]] = {}
        for file in files:
            name = file.path.rpartition("/")[2]
            groups.setdefault("log" if paired and name in _PAIR else name.split(".")[0], []).append(file)
        for stem, group in groups.items():
            yield _unit(f"{folder}/{stem}" if folder else stem, group, read_as)


def _runs_of_mlflow(files: Sequence[FoundFile]) -> set[str]:
    """The folders that are a run in MLflow's store: its metrics are files in folders below it."""
    metrics = {match[1] for file in files if (match := re.match(rf"(.+)/{METRICS}/", file.path))}
    return metrics & {file.path.rpartition("/")[0] for file in files if file.path.endswith(f"/{META}")}


def _unit(name: str, files: Sequence[FoundFile], read_as: str) -> Unit:
    said = json.dumps([read_as, *([file.path, file.size, file.stamp] for file in files)])
    return Unit(name, tuple(files), hashlib.blake2b(said.encode(), digest_size=12).hexdigest())


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__pycache__"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)

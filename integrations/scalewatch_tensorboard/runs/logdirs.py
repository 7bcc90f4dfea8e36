"""Where the runs are, as the flags of TensorBoard say it, and what they are called."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, final

__all__ = ["Files", "Found", "Logdirs", "cache_folder", "found_runs"]

#: Name, size [bytes] and time of change [ns] of each file of a run, by name.
Files: TypeAlias = tuple[tuple[str, int, int], ...]

#: Entries of folders that one search looks at.
MOST_ENTRIES = 200_000
#: Folders below the logdir that a search goes down.
MOST_DEPTH = 32
#: What the callback calls the folder of a run's journal, below the run's.
JOURNAL_FOLDER = "scalewatch"
#: Said where a cache is not wanted.
OFF = "off"


@final
@dataclass(frozen=True, slots=True)
class Logdirs:
    """What the user of TensorBoard asked for.

    Attributes:
        shown: the logdir as the user wrote it. roots: (name, folder) of each; the name is empty for the only one.
        remote: addresses that are no folder of this machine. law: path of a law file, None for none.
        cache: folder of the cache, None for none.
    """

    shown: str
    roots: tuple[tuple[str, Path], ...]
    remote: tuple[str, ...]
    law: Path | None
    cache: Path | None

    @classmethod
    def of(cls, logdir: str | None, flags: Any) -> Logdirs:
        """Read the flags; `--logdir_spec` as TensorBoard reads it: `name:path,name:path`."""
        spec = str(getattr(flags, "logdir_spec", "") or "")
        shown = str(logdir or getattr(flags, "logdir", "") or spec)
        parts = [_part(part) for part in spec.split(",") if part] if spec and shown == spec else [("", shown)]
        local = [(name, path) for name, path in parts if path and "://" not in path]
        law, cache = (str(getattr(flags, f"scalewatch_{flag}", "") or "") for flag in ("law", "cache"))
        return cls(
            shown,
            tuple((name, Path(os.path.expanduser(path)).absolute()) for name, path in local),
            tuple(path for _, path in parts if "://" in path),
            Path(os.path.expanduser(law)).absolute() if law else None,
            None if cache == OFF else Path(os.path.expanduser(cache)).absolute() if cache else cache_folder(),
        )


def _part(part: str) -> tuple[str, str]:
    name, colon, path = part.partition(":")
    named = colon and "://" not in part and not part.startswith("/") and not os.path.splitdrive(part)[0]
    return (name, path) if named else ("", part)


def cache_folder() -> Path:
    """Return the folder of our own below the user's cache folder, wherever this system has it."""
    from platformdirs import user_cache_path  # 50 ms, which a server that is told its folder does not pay

    return user_cache_path("scalewatch", appauthor=False)


class Found(NamedTuple):
    """A folder that may hold a run.

    Attributes:
        name: as TensorBoard calls it. folder: of the run. journal: folder of its segments, None if there are none.
        events: whether event files lie in the folder itself. files: those and the journal's.
    """

    name: str
    folder: Path
    journal: Path | None
    events: bool
    files: Files = ()

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Found:
        """Return what `plain` was made of."""
        journal = plain["journal"]
        files = tuple((str(name), int(size), int(changed)) for name, size, changed in plain["files"])
        return cls(
            plain["name"], Path(plain["folder"]), None if journal is None else Path(journal), plain["events"], files
        )

    def plain(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        journal = None if self.journal is None else str(self.journal)
        return self._asdict() | {"folder": str(self.folder), "journal": journal}

    @property
    def size(self) -> int:
        """Of all files [bytes]."""
        return sum(size for _, size, _ in self.files)

    @property
    def newest(self) -> float:
        """When one was written to last, since 1970 [s]; 0 if that is not known."""
        return max((changed for _, _, changed in self.files), default=0) / 1e9


def found_runs(roots: tuple[tuple[str, Path], ...]) -> Iterator[Found]:
    """Yield every folder below `roots` that may hold a run, as it is found; never raises.

    A run's name is its path below its root, with the root's name before it; links are followed, each folder once.
    """
    seen: set[tuple[int, int]] = set()
    left = MOST_ENTRIES
    for root_name, root in roots:
        waiting = [(root, "", 0)]
        while waiting and left > 0:
            folder, below, depth = waiting.pop()
            files, folders = _listed(folder, seen, left)
            left -= len(files) + len(folders) + 1
            if depth < MOST_DEPTH:
                down = [(folder / name, f"{below}/{name}" if below else name, depth + 1) for name in folders]
                waiting.extend(reversed(down))
            if below and folder.name == JOURNAL_FOLDER and any(map(_is_segment, files)):
                continue  # it is its parent's
            journal, segments = _journal_in(folder, files, folders)
            events = {name: status for name, status in files.items() if "tfevents" in name}
            if events or journal is not None:
                sizes = tuple((name, *status) for name, status in sorted((events | segments).items()))
                yield Found(_name(root_name, below), folder, journal, bool(events), sizes)


def _name(root_name: str, below: str) -> str:
    # a name that is no UTF-8 can be no part of an answer; a browser would send it back as another
    below = os.fsencode(below).decode("utf-8", "backslashreplace")
    return f"{root_name}/{below or '.'}" if root_name else below or "."


#: Name -> size [bytes] and time of change [ns]; zeros where that is not known or of no interest.
_Sizes: TypeAlias = dict[str, tuple[int, int]]


def _journal_in(folder: Path, files: _Sizes, folders: list[str]) -> tuple[Path | None, _Sizes]:
    """The folder of the journal of a run and its segments."""
    if JOURNAL_FOLDER in folders:
        inner = folder / JOURNAL_FOLDER
        segments = {name: status for name, status in _entries(inner, MOST_ENTRIES)[0].items() if _is_segment(name)}
        if segments:
            return inner, segments
    segments = {name: status for name, status in files.items() if _is_segment(name)}
    return (folder if segments else None), segments


def _is_segment(name: str) -> bool:
    return name.startswith("journal-") and name.endswith(".jsonl")


def _listed(folder: Path, seen: set[tuple[int, int]], most: int) -> tuple[_Sizes, list[str]]:
    """The files in a folder, and the names of its folders, sorted; nothing if it was seen before or cannot be read."""
    try:
        status = folder.stat()
    except (OSError, ValueError):
        return {}, []
    identity = status.st_dev, status.st_ino
    if identity in seen:
        return {}, []
    seen.add(identity)
    return _entries(folder, most)


def _entries(folder: Path, most: int) -> tuple[_Sizes, list[str]]:
    files: _Sizes = {}
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if _is_folder(entry):
                    folders.append(entry.name)
                else:
                    files[entry.name] = _size_of(entry)
                if len(files) + len(folders) >= most:
                    break
    except (OSError, ValueError):
        pass
    return files, sorted(folders)


def _size_of(entry: os.DirEntry[str]) -> tuple[int, int]:
    if "tfevents" not in entry.name and not _is_segment(entry.name):
        return 0, 0
    try:
        status = entry.stat()
        return status.st_size, status.st_mtime_ns
    except OSError:
        return 0, 0


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or through a folder that is closed to us
        return False

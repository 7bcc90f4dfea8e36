"""Where the runs are, as the flags of TensorBoard say it, and what they are called."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, final

__all__ = ["Found", "Logdirs", "cache_folder", "found_runs"]

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
        events: whether event files lie in the folder itself.
    """

    name: str
    folder: Path
    journal: Path | None
    events: bool


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
            journal = _journal_in(folder, files, folders)
            events = any("tfevents" in name for name in files)
            if events or journal is not None:
                yield Found(_name(root_name, below), folder, journal, events)


def _name(root_name: str, below: str) -> str:
    # a name that is no UTF-8 can be no part of an answer; a browser would send it back as another
    below = os.fsencode(below).decode("utf-8", "backslashreplace")
    return f"{root_name}/{below or '.'}" if root_name else below or "."


def _journal_in(folder: Path, files: list[str], folders: list[str]) -> Path | None:
    if JOURNAL_FOLDER in folders:
        inner = folder / JOURNAL_FOLDER
        try:
            if any(map(_is_segment, os.listdir(inner))):
                return inner
        except OSError:
            pass
    return folder if any(map(_is_segment, files)) else None


def _is_segment(name: str) -> bool:
    return name.startswith("journal-") and name.endswith(".jsonl")


def _listed(folder: Path, seen: set[tuple[int, int]], most: int) -> tuple[list[str], list[str]]:
    """Names of the files and folders in a folder, sorted; nothing if it was seen before or cannot be read."""
    files: list[str] = []
    folders: list[str] = []
    try:
        status = folder.stat()
        identity = status.st_dev, status.st_ino
        if identity in seen:
            return [], []
        seen.add(identity)
        with os.scandir(folder) as entries:
            for entry in entries:
                (folders if _is_folder(entry) else files).append(entry.name)
                if len(files) + len(folders) >= most:
                    break
    except (OSError, ValueError):
        pass
    return sorted(files), sorted(folders)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or through a folder that is closed to us
        return False

"""The runs of one folder by name, watched as they are asked for: nothing outside the folder is opened, nothing written.

A name is looked up among the files that were found, and is never made a path; what a link leads out of the folder is
not found. How many runs are watched, how large a log may be and how much is said are bounded, and what is left out is
counted.
"""

from __future__ import annotations

import difflib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from scalewatch.errors import LogError
from scalewatch.logs import AbstractLog
from scalewatch.offline.fleet.opened import open_unit
from scalewatch.offline.fleet.tree import FoundFile, Unit, tree_of, units_of
from scalewatch.offline.replayed import ReplayedRun, Settings

__all__ = ["LogFolder"]

#: Logs that are looked at in one answer, those written last before others.
MOST_LOGS = 500
#: Watched runs that are kept; one is some 100 KB.
MOST_KEPT = 200
#: A longer log is not read while somebody waits for an answer [bytes].
MOST_BYTES = 1 << 28
#: Names that are offered in place of one that there is not.
OFFERED = 8


@final
@dataclass(slots=True)
class _Watched:
    """The runs of a unit as they were when its files were so."""

    unit: Unit
    runs: dict[str, ReplayedRun]
    unreadable: list[tuple[str, str]]


@final
class LogFolder:
    """A folder of logs.

    Args:
        folder: of the logs. settings: of the monitors.

    Raises:
        LogError: if it is no folder.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.root, self._settings = folder.resolve(), settings
        self._tree = tree_of(str(self.root))
        self._kept: OrderedDict[str, _Watched] = OrderedDict()

    def every(self) -> tuple[list[tuple[str, ReplayedRun]], list[tuple[str, str]], int]:
        """Return (name, run) of each run, (log, reason) of what cannot be read, and how many were not looked at."""
        units = sorted(self._units(), key=lambda unit: unit.written, reverse=True)
        runs: list[tuple[str, ReplayedRun]] = []
        unreadable: list[tuple[str, str]] = []
        for unit in units[:MOST_LOGS]:
            found = self._watch(unit)
            runs += found.runs.items()
            unreadable += found.unreadable
        return runs, unreadable, max(len(units) - MOST_LOGS, 0)

    def run(self, name: str) -> ReplayedRun:
        """Return a run as it stands now.

        Raises:
            LogError: if there is none of that name, or its log cannot be read.
        """
        return self._of_unit(name).runs[name]

    def log(self, name: str) -> AbstractLog:
        """Return the log of a run, unread.

        Raises:
            LogError: if there is none of that name, or it cannot be read.
        """
        opened = open_unit(self.root, self._of_unit(name).unit, self._settings)
        return dict(opened.runs)[name]

    def told(self, value: Any) -> Any:
        """Return an answer without the path of the folder in it: whoever asks knows the names below it."""
        if isinstance(value, str):
            return value.replace(f"{self.root}/", "").replace(str(self.root), ".")
        if isinstance(value, list | tuple):
            return [self.told(each) for each in value]
        if isinstance(value, dict):
            return {name: self.told(each) for name, each in value.items()}
        return value

    def _units(self) -> Iterator[Unit]:
        for unit in units_of(self._tree, ""):
            if all(self._is_inside(file) for file in unit.files):
                yield unit

    def _is_inside(self, file: FoundFile) -> bool:
        try:
            return (self.root / file.path).resolve(strict=True).is_relative_to(self.root)
        except (OSError, RuntimeError, ValueError):
            return False

    def _of_unit(self, name: str) -> _Watched:
        units = list(self._units())
        why = ""
        for unit in units:
            if not name.startswith(unit.name.rstrip("/")):
                continue
            found = self._watch(unit)
            if name in found.runs:
                return found
            why = why or next((reason for log, reason in found.unreadable if log == name), "")
        if why:
            raise LogError(why)
        names = [unit.name.rstrip("/") for unit in units]
        near = difflib.get_close_matches(name[:200], names, OFFERED, cutoff=0.4) or names[:OFFERED]
        raise LogError(f"There is no run {name!a:.200} here; ask list_runs for the names. Near it: {', '.join(near)}.")

    def _watch(self, unit: Unit) -> _Watched:
        kept = self._kept.pop(unit.name, None)
        if kept is None or not _has_grown(kept.unit, unit):
            kept = self._read(unit)
        elif kept.unit.signature != unit.signature:
            for run in kept.runs.values():
                _read_on(run)
        kept.unit = unit
        self._kept[unit.name] = kept
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return kept

    def _read(self, unit: Unit) -> _Watched:
        size = sum(file.size for file in unit.files)
        if size > MOST_BYTES:
            why = f"{unit.name}: {size / 1e6:,.0f} MB are too many to be read while somebody waits: scalewatch replay."
            return _Watched(unit, {}, [(unit.name.rstrip("/"), why)])
        try:
            opened = open_unit(self.root, unit, self._settings)
        except (LogError, OSError) as fault:
            return _Watched(unit, {}, [(unit.name.rstrip("/"), str(fault))])
        runs = {name: ReplayedRun(log, self._settings) for name, log in opened.runs}
        for run in runs.values():
            _read_on(run)
        empty = [(name, f"{name}: holds no row with a loss.") for name, run in runs.items() if not run.tracker.rows]
        return _Watched(unit, {n: r for n, r in runs.items() if r.tracker.rows}, [*opened.unreadable, *empty])


def _read_on(run: ReplayedRun) -> None:
    for _ in run.advance():
        pass


def _has_grown(then: Unit, now: Unit) -> bool:
    """Whether the files are the same, or the same with more at their ends."""
    if [file.path for file in then.files] != [file.path for file in now.files]:
        return False
    return all(
        (old.size, old.stamp) == (new.size, new.stamp) or new.size > old.size
        for old, new in zip(then.files, now.files, strict=True)
    )

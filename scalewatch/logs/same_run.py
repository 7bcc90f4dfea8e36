"""Logs of a folder that tell of one run: programs write it down twice, and a line of results beside it.

Ray keeps `result.json` and `progress.csv`, mmengine a file by its time, `scalars.json` and what it printed, others a
log and a state: the same losses in the same order. Two runs never have them to three digits.
"""

from __future__ import annotations

import filecmp
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from scalewatch.errors import LogError
from scalewatch.logs.log import AbstractLog

__all__ = ["one_of_each"]

#: Losses that are compared, and fewest that say that two logs are of one run [rows]; digits of each. By hand: forks of
#: one run have its first rows in common.
COMPARED_ROWS, LEAST_ROWS, DIGITS = 2_000, 8, 3
#: How much longer a log may be than one that is read for it: of what is written now one is behind. By hand.
LONGER = 1.5
#: Folders that one run's files lie apart at most, and logs of so near folders at most: more are runs. By hand.
NEAR_LEVELS, MOST_NEAR = 3, 12
#: How a document is called that is written anew and not appended to: one of one row is a line of results.
DOCUMENT = ".json"
#: The form that says least of its numbers: digits are cut off.
TEXT = "text"


def one_of_each(
    logs: Sequence[AbstractLog], again: Callable[[AbstractLog], Iterator[AbstractLog]]
) -> tuple[list[AbstractLog], list[str]]:
    """Return each run once, told by the log that says most of it, and a line for each log that is passed over.

    Args:
        logs: of one search, in its order, none of which was read from. again: opens the file of a log anew.
    """
    passed: dict[int, str] = {}
    for near in _near(logs):
        told = {id(log): _told(log, again) for log in near}
        kept: list[AbstractLog] = []
        for log in sorted(near, key=lambda log: (log.form == TEXT, -len(log.columns), -len(told[id(log)]))):
            losses = told[id(log)]
            same = next((o for o in kept if _may_be_one(log, o) and _same(losses, told[id(o)])), None)
            if same is not None:
                passed[id(log)] = f"{log.path}: the same run is read from {same.path.name}"
            else:
                kept.append(log)
        if any(len(told[id(log)]) > 1 for log in kept):
            for log in kept:
                if len(told[id(log)]) == 1 and log.path.suffix == DOCUMENT:
                    passed[id(log)] = f"{log.path}: one line of results, and no log"
    return [log for log in logs if id(log) not in passed], [passed[id(log)] for log in logs if id(log) in passed]


def _near(logs: Sequence[AbstractLog]) -> Iterator[list[AbstractLog]]:
    """Logs of files that lie so near that they may be of one run, several each."""
    by_folder: dict[Path, list[AbstractLog]] = {}
    for log in logs:
        if log.path.is_file():
            by_folder.setdefault(log.path.absolute().parent, []).append(log)
    groups: dict[Path, list[AbstractLog]] = {}
    for folder, inside in by_folder.items():
        above = [above for above in folder.parents[:NEAR_LEVELS] if above in by_folder]
        groups.setdefault(above[-1] if above else folder, []).extend(inside)
    for group in groups.values():
        forms = len({log.form for log in group})
        if 1 < len(group) <= MOST_NEAR and (forms > 1 or any(log.path.suffix == DOCUMENT for log in group)):
            yield group


def _told(log: AbstractLog, again: Callable[[AbstractLog], Iterator[AbstractLog]]) -> tuple[str, ...]:
    try:
        fresh = next((each for each in again(log) if each.name == log.name), None)
        rows = [] if fresh is None else itertools.islice(fresh.rows(), COMPARED_ROWS)
        return tuple(f"{row.loss:.{DIGITS}g}" for row in rows)
    except (LogError, OSError):
        return ()


def _may_be_one(one: AbstractLog, other: AbstractLog) -> bool:
    """Whether two logs are in different forms, or copies: two tables are two runs, also where one forks off another."""
    if one.form != other.form:
        return True
    try:
        return one.path != other.path and filecmp.cmp(one.path, other.path, shallow=False)
    except OSError:
        return False


def _same(one: Sequence[str], kept: Sequence[str]) -> bool:
    """Whether a log says what another does that is kept, and no more: one that goes on is of a run that was resumed."""
    rows = min(len(one), len(kept))
    if len(one) > LONGER * rows:
        return False
    return rows >= LEAST_ROWS and one[:rows] == kept[:rows] and len(set(one[:rows])) > LEAST_ROWS // 2

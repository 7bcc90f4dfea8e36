"""Keeps the last good checkpoint of a run, whatever the loop deletes: by hard links, which take no room of their own.

A fault is known some hundred steps after it began, and by then a loop that keeps its newest checkpoint has deleted the
last good one. So each checkpoint gets a second name in a folder beside it, of which only a few are kept, some way
apart. Nothing of the user's is moved, renamed or deleted.

A second name is of no use where a loop writes over its file in place: what has the name is then the new checkpoint.
That is seen when it is done for the first time, and from then on each is copied.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, final

from scalewatch.checkpoints import SavedCheckpoint, last_good

__all__ = ["FOLDER", "KeptCheckpoints"]

#: Folder of the second names, in that of the checkpoints.
FOLDER = "kept_by_scalewatch"
#: Checkpoints that are known at most; a loop that keeps all of its own makes many.
MOST_KNOWN = 64
#: Part of the time that a fault may take to be known, by which kept checkpoints are apart: three or four cover it. By
#: hand.
APART = 0.5


class _Saved(NamedTuple):
    step: int
    path: str
    #: What tells this file from another one of the same name.
    mark: tuple[int, int, int] | None
    link: str
    #: The same of what is kept.
    kept: tuple[int, int, int] | None


@final
class KeptCheckpoints:
    """The checkpoints of one run.

    Args:
        settled: steps after which a checkpoint counts as one from before any fault that is not known yet [steps].
        keeps: whether second names are made. complain: told once why one cannot be made.
    """

    def __init__(self, settled: int, *, keeps: bool, complain: Callable[[str], None]) -> None:
        self._settled, self._keeps, self._complain = max(1, settled), keeps, complain
        self._saved: list[_Saved] = []
        self._copies = False

    def saved(self, step: int, path: str, since: int | None = None) -> None:
        """A checkpoint was written after `step`, at `path` ("" where nobody knows).

        `since` is the step at which the oldest thing that is critical now began, None for none.
        """
        mark = _mark(path)
        if path and mark is not None and any(each.mark == mark for each in self._saved):
            return  # it is a link to one that is known
        self._drop_overwritten()
        link = self._link(path) if self._keeps and mark is not None else ""
        self._saved = [*self._saved, _Saved(step, path, mark, link, _mark(link))][-MOST_KNOWN:]
        self._thin(step, since)

    def _drop_overwritten(self) -> None:
        lost = [each for each in self._saved if each.link and each.kept != _mark(each.link)]
        for each in lost:
            self._drop(each)
        if lost and not self._copies:
            self._copies = True
            self._complain(f"note: {lost[0].path} is written over in place: from now on a copy of it is kept.")

    def _link(self, path: str) -> str:
        source = Path(path)
        if source.parent.name == FOLDER:  # one of ours, which the run goes on from: it stays
            return ""
        link = source.parent / FOLDER / source.name
        number = 0
        while os.path.lexists(link):
            number += 1
            link = link.with_name(f"{source.stem}-{number}{source.suffix}")
        try:
            link.parent.mkdir(exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, link, copy_function=os.link)
            elif self._copies:
                shutil.copyfile(source, link)
            else:
                os.link(os.path.realpath(source), link)
        except OSError as fault:
            self._keeps = False
            self._complain(f"note: checkpoints cannot be kept by a second name: {fault.strerror or fault}.")
            return ""
        return str(link)

    def _thin(self, now: int, since: int | None) -> None:
        """Drop second names too near to an older one, but for the newest, and those before the last settled one."""
        good = None if since is None else last_good(self.known(), since)
        links = sorted(each for each in self._saved if each.link)
        settled = [each.step for each in links if now - each.step >= self._settled]
        first = max(settled, default=0)
        older = None
        for each in links:
            near = older is not None and each.step - older < APART * self._settled
            needed = each.step >= first and (not near or each.step == now)
            if not needed and (good is None or each.step != good.step):
                self._drop(each)
                continue
            older = each.step

    def _drop(self, saved: _Saved) -> None:
        _remove(saved.link)
        place = self._saved.index(saved)
        self._saved[place] = saved._replace(link="")

    def known(self) -> list[SavedCheckpoint]:
        """Return the checkpoints that are still there, by the name that the loop gave them while they have it."""
        found = []
        for each in self._saved:
            if not each.path:
                found.append(SavedCheckpoint(each.step, ""))
            elif each.mark == _mark(each.path):
                found.append(SavedCheckpoint(each.step, each.path))
            elif each.link and each.kept == _mark(each.link):
                found.append(SavedCheckpoint(each.step, each.link))
        return found

    def end(self, since: int | None) -> SavedCheckpoint | None:
        """Drop the second names that nobody needs; return the one that is left, of a run in trouble."""
        good = None if since is None else last_good(self.known(), since)
        folders = {Path(each.link).parent for each in self._saved if each.link}
        left = None
        for each in [each for each in self._saved if each.link]:
            if good is not None and good.path == each.link:
                left = good
            else:
                self._drop(each)
        for folder in folders:
            with contextlib.suppress(OSError):  # something is in it
                folder.rmdir()
        return left


def _mark(path: str) -> tuple[int, int, int] | None:
    if not path:
        return None
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _remove(link: str) -> None:
    with contextlib.suppress(OSError):
        if os.path.isdir(link):
            shutil.rmtree(link)
        else:
            os.unlink(link)

"""Runs that are being written, followed: new files are found, and each run's speed is known."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import final

from scalewatch.errors import LogError
from scalewatch.finding import Finding
from scalewatch.offline.all_cores import read_on_all_cores, worth_it
from scalewatch.offline.last_look import urgency
from scalewatch.offline.replayed import ReplayedRun, Settings
from scalewatch.text import no_control

__all__ = ["Folder", "Followed"]

#: Seconds between two searches for new files.
SEARCH_SECONDS = 5.0
#: Looks over which a speed is taken, where the log has no times.
LOOKS = 60
#: Findings of all runs together that are kept to be shown.
RECENT = 50
#: Files looked at in a search for new ones.
MOST_FILES = 200_000


@final
class Followed:
    """A run that is followed: the monitor over its log, and how fast it goes.

    Attributes:
        watched: both. begun: whether it was looked at before.
    """

    def __init__(self, watched: ReplayedRun) -> None:
        self.watched = watched
        self.begun = False
        self._seen: deque[tuple[float, int]] = deque(maxlen=LOOKS)

    @property
    def name(self) -> str:
        """What to call it."""
        return no_control(self.watched.log.name)

    @property
    def headline(self) -> str:
        """Its health in one line."""
        return self.watched.tracker.status.sentence

    @property
    def step(self) -> int:
        """Newest step."""
        return 0 if self.watched.tracker.newest is None else self.watched.tracker.newest.step

    def look(self, now: float, tick: Callable[[], None] | None = None) -> list[Finding]:
        """Read what is new; `now` is a monotonic time [s]."""
        found = list(self.watched.advance(tick))
        if not self._seen or self.step != self._seen[-1][1]:
            if self._seen and self.step < self._seen[-1][1]:
                self._seen.clear()
            self._seen.append((now, self.step))
        return found

    def steps_per_second(self) -> float | None:
        """Speed of the newest stretch: by the log's own times, else by when its rows came; None if unknown."""
        for times in (self.watched.clock, self._seen):
            if len(times) > 1:
                seconds, steps = times[-1][0] - times[0][0], times[-1][1] - times[0][1]
                if seconds > 0 and steps > 0:
                    return steps / seconds
        return None

    def seconds_left(self) -> float | None:
        """Time until the planned end [s]; None if the plan or the speed is unknown."""
        total, speed = self.watched.tracker.monitor.run.total_steps, self.steps_per_second()
        return None if total is None or speed is None else max(total - self.step, 0) / speed

    def silent_seconds(self) -> float | None:
        """Time since somebody wrote to its log [s]; None if that cannot be told."""
        path = self.watched.log.path
        try:
            files = list(path.iterdir()) if path.is_dir() else [path]
            return max(time.time() - max(file.stat().st_mtime for file in files), 0.0)
        except (OSError, ValueError):
            return None


@final
class Folder:
    """Every run at or below some paths, also those that begin later.

    Attributes:
        runs: the runs, by name. recent: newest findings of all of them. troubles: why other files are not watched.
    """

    def __init__(self, paths: Sequence[Path], settings: Settings) -> None:
        self.paths, self.settings = list(paths), settings
        self.runs: list[Followed] = []
        self.recent: deque[tuple[Followed, Finding]] = deque(maxlen=RECENT)
        self.troubles: list[str] = []
        self._next_search = float("-inf")
        self._files: frozenset[tuple[str, bool]] = frozenset()
        self._unread: dict[Path, int] = {}
        for path in self.paths:
            if not path.exists() and not path.parent.exists():
                raise LogError(f"{str(path)!a} does not exist, nor does the folder above it.")

    @property
    def waiting_for(self) -> str:
        """Paths, for a line that says that there is nothing yet."""
        return ", ".join(str(path) for path in self.paths)

    def look(self, now: float, tick: Callable[[], None] | None = None) -> list[tuple[Followed, Finding]]:
        """Read what is new in every run and return what was found; `now` is a monotonic time [s]."""
        if now >= self._next_search:
            self._next_search = now + SEARCH_SECONDS
            self._search()
        found = self._catch_up(now, tick)
        found += [(run, finding) for run in self.runs for finding in run.look(now, tick)]
        self.recent.extend(found)
        return found

    def _catch_up(self, now: float, tick: Callable[[], None] | None) -> list[tuple[Followed, Finding]]:
        """Read the runs that are new on all cores, those first whose last rows look worst."""
        new = [run for run in self.runs if not run.begun]
        for run in new:
            run.begun = True
        if not worth_it([run.watched for run in new]):
            return []
        new.sort(key=lambda run: urgency(run.watched.log))
        found = []
        for place, watched in read_on_all_cores([run.watched for run in new]):
            run = new[place]
            run.watched = watched
            found += [(run, finding) for finding in watched.tracker.findings]
            if tick is not None:
                tick()
        return found

    def _search(self) -> None:
        files = frozenset(self._listed())
        if files == self._files and all(_size(path) == size for path, size in self._unread.items()):
            return
        self._files = files
        known = {(run.watched.log.path, run.watched.log.run.name) for run in self.runs}
        opened = self.settings.open([path for path in self.paths if path.exists()])
        for log in opened.logs:
            if (log.path, log.run.name) not in known:
                self.runs.append(Followed(ReplayedRun(log, self.settings, curve=True)))
        self.troubles = [no.reason for no in opened.unreadable]
        # a file may begin before its first loss: it is looked at again when it has grown
        self._unread = {no.path: _size(no.path) for no in opened.unreadable}

    def _listed(self) -> list[tuple[str, bool]]:
        """Every file with whether it holds anything: a log may be there before its first row."""
        listed: list[tuple[str, bool]] = []
        for path in self.paths:
            if path.is_file():
                listed.append((str(path), path.stat().st_size > 0))
            for folder, folders, names in os.walk(path):
                folders[:] = [name for name in folders if not name.startswith(".")]
                for name in names:
                    try:
                        listed.append((os.path.join(folder, name), os.stat(os.path.join(folder, name)).st_size > 0))
                    except OSError:
                        continue
                if len(listed) > MOST_FILES:
                    raise LogError(f"{path} holds more than {MOST_FILES:,} files: name the folders of the runs.")
        return listed


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1

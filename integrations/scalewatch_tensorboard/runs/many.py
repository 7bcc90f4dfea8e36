"""More runs than this process can hold: first what their last rows tell, then each watched by a process beside it.

What is watched first: the runs that a page shows, then those whose last rows look worst, then the shortest.
"""

from __future__ import annotations

import time
from typing import Any, final

from scalewatch_tensorboard.runs.glance import glanced_or_none
from scalewatch_tensorboard.runs.helpers import Answer, Helpers, job_of, look_job
from scalewatch_tensorboard.runs.kept_rows import KeptRows
from scalewatch_tensorboard.runs.listed import ListedRun, Told, waiting_row
from scalewatch_tensorboard.runs.logdirs import Files
from scalewatch_tensorboard.runs.registry import RunRegistry
from scalewatch_tensorboard.runs.tries import Tries

__all__ = ["ManyRuns"]

#: Up to so many runs, of so many bytes of logs together, this process reads all by itself.
IN_HOUSE_RUNS, IN_HOUSE_BYTES = 32, 4_000_000
#: Longest stretch of looking at last rows before others have their turn [s].
SLICE_SECONDS = 0.02
#: What a page shows counts for so long after it said so [s].
SEEN_SECONDS = 30.0
#: A run that goes on is watched again when so many times as long as that takes has gone by, and so long at least [s].
AGAIN_TIMES, AGAIN_SECONDS = 20.0, 4.0

#: Runs whose last rows a process beside looks at for one line.
LOOKS_AT_ONCE = 50
#: No name of a run begins so.
_LOOK = "\0look "


@final
class ManyRuns:
    """Has the runs of a registry looked at and watched.

    Args:
        registry: whose list is filled. tries: what failed. helpers: the processes.
    """

    def __init__(self, registry: RunRegistry, tries: Tries, helpers: Helpers) -> None:
        self._registry, self._tries, self._helpers = registry, tries, helpers
        self.wanted = False
        self._kept = KeptRows(registry.logdirs)
        self._to_glance: list[str] = []
        self._to_watch: list[str] = []
        self._looks: dict[str, list[str]] = {}
        self._count = 0
        self._seen: tuple[str, ...] = ()

    def refresh(self) -> None:
        """Put the runs in their order anew, after a search."""
        runs = self._registry.listing.all()
        self.wanted = len(runs) > IN_HOUSE_RUNS or sum(run.found.size for run in runs) > IN_HOUSE_BYTES
        if self.wanted:
            for run in runs:
                if run.told is Told.NOTHING and (row := self._kept.row_of(run.found)) is not None:
                    self._registry.listing.tell(run.found.name, row, Told.ALL, run.found.files)
                elif not run.row:
                    self._registry.listing.tell(run.found.name, waiting_row(run.found), Told.NOTHING)
        waiting = [run for run in runs if self._waits(run)]
        when, seen = self._registry.requests.seen
        first = set(seen) if time.monotonic() - when < SEEN_SECONDS else set()
        # taken from the end
        waiting.sort(key=lambda run: _urgency(run, first), reverse=True)
        self._to_watch = [run.found.name for run in waiting]
        self._to_glance = [run.found.name for run in waiting if run.told is Told.NOTHING] if self.wanted else []
        self._seen = seen

    def turn(self) -> bool:
        """Do the next thing; whether there is more at once."""
        if not self.wanted:
            return False
        if self._to_glance:
            self._glance()
            for answer in self._helpers.answers():
                self._take(answer)
            return True
        if self._registry.requests.seen[1] != self._seen:
            self.refresh()
        answers = self._helpers.answers()
        for answer in answers:
            self._take(answer)
        given = False
        while self._helpers.room() and (run := self.next()) is not None:
            given = run.at_work = True
            self._helpers.give(job_of(run.found, self._registry.logdirs.law, self._registry.cache), run.found.size)
        self._kept.keep(self._registry.listing, idle=not self._to_watch and not self._helpers.busy)
        return given or bool(answers)

    def next(self) -> ListedRun | None:
        """Return the run that is to be watched now and take it from those that wait; None if there is none."""
        while self._to_watch:
            run = self._registry.listing.get(self._to_watch.pop())
            if run is not None and self._waits(run):
                return run
        return None

    def _waits(self, run: ListedRun) -> bool:
        if run.at_work or (run.told is Told.ALL and run.fresh) or self._tries.waits(run.found):
            return False
        return time.monotonic() >= run.due and self._registry.loaded(run.found.name) is None

    def _glance(self) -> None:
        """Look at last rows, here and, where there are many, in the processes beside."""
        while len(self._to_glance) > 2 * LOOKS_AT_ONCE and self._helpers.room():
            names, self._to_glance = self._to_glance[:LOOKS_AT_ONCE], self._to_glance[LOOKS_AT_ONCE:]
            self._count += 1
            job = f"{_LOOK}{self._count}"
            self._looks[job] = names
            runs = [run for name in names if (run := self._registry.listing.get(name)) is not None]
            self._helpers.give(look_job(job, [run.found for run in runs]), 0)
        end = time.perf_counter() + SLICE_SECONDS
        while self._to_glance and time.perf_counter() < end:
            run = self._registry.listing.get(self._to_glance.pop())
            if run is not None:
                self._tell(run.found.name, run.found.files, glanced_or_none(run.found))

    def _tell(self, name: str, files: Files, row: dict[str, Any] | None) -> None:
        if row is not None:
            self._registry.listing.tell(name, row, Told.LAST_ROWS, files)

    def _take_looks(self, answer: Answer) -> None:
        names = self._looks.pop(answer.name, [])
        if answer.said is None:
            self._to_glance += names
            return
        for name, files, row in answer.said["glanced"]:
            self._tell(name, _files(files), row)

    def _take(self, answer: Answer) -> None:
        if answer.name in self._looks:
            self._take_looks(answer)
            return
        run, said = self._registry.listing.get(answer.name), answer.said
        if run is None:
            return
        run.at_work = said is not None and not said.get("done", True)
        if said is not None:
            self._take_run(run, said, _files(said["files"]))
        elif answer.why:
            self._registry.fail(self._tries, run.found, answer.why)
        else:
            self._to_watch.append(answer.name)

    def _take_run(self, run: ListedRun, said: dict[str, Any], of: Files) -> None:
        name = run.found.name
        if "unreadable" in said:
            self._registry.fail(self._tries, run.found, str(said["unreadable"]))
        elif "no_run" in said:
            self._tries.no_run(run.found._replace(files=of), str(said["no_run"]))
            self._registry.drop(name)
        elif run.at_work:
            self._registry.listing.tell(name, said["row"], Told.LAST_ROWS, of)
        else:
            self._tries.forget(name)
            run.seconds = float(said["seconds"])
            run.due = time.monotonic() + max(AGAIN_TIMES * run.seconds, AGAIN_SECONDS)
            self._registry.listing.tell(name, said["row"], Told.ALL, of)


def _files(plain: Any) -> Files:
    return tuple((str(name), int(size), int(changed)) for name, size, changed in plain)


def _urgency(run: ListedRun, first: set[str]) -> tuple[bool, bool, int, int, str]:
    """Sort key: what a page shows, then what is not known in full, then the worst, then the shortest."""
    name = run.found.name
    return name not in first, run.told is Told.ALL, -run.rank, run.found.size, name

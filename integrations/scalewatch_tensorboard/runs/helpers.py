"""The processes beside TensorBoard's that watch many runs, or long ones: started for the work, and ended after it."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, final

from scalewatch.system import cores
from scalewatch_tensorboard.runs.logdirs import Found

__all__ = ["Answer", "Helpers", "cores", "job_of", "look_job"]

#: Processes at most: each takes some 90 MB.
MOST_HELPERS = 2
#: Runs that wait at a process, so that it is never idle, and bytes of their files.
MOST_WAITING, MOST_WAITING_BYTES = 4, 1_000_000
#: A process without work ends after so long [s].
IDLE_SECONDS = 20.0
#: A process that ended by itself is started anew after so long [s].
RESTART_SECONDS = 5.0
#: Names that a process is known to have had, so that it goes on with what it has in memory.
MOST_HAD = 64
#: Time that a process has to end by itself [s].
END_SECONDS = 2.0
_PROGRAM = "scalewatch_tensorboard.runs.helper"


def job_of(found: Found, law: Path | None, cache: Path | None) -> dict[str, Any]:
    """Return what a helper is told of a run to be watched, with the law for it and the folder of the cache."""
    return {
        "name": found.name,
        "run": found.plain(),
        "law": None if law is None else str(law),
        "cache": None if cache is None else str(cache),
    }


def look_job(name: str, founds: Sequence[Found]) -> dict[str, Any]:
    """Return what a helper is told of runs whose last rows it is to look at; `name` is that of the job."""
    return {"name": name, "glance": [found.plain() for found in founds]}


@final
class Answer(NamedTuple):
    """What a helper says.

    Attributes:
        name: of the run. said: its line; None where the process ended before it. why: if that was over this run.
    """

    name: str
    said: dict[str, Any] | None
    why: str = ""


@final
class Helpers:
    """A few processes, each with a few runs waiting.

    Args:
        wake: called from another thread when something was said. most: processes at most; None for as many as there
            are cores, and two.
    """

    def __init__(self, wake: Callable[[], None], most: int | None = None) -> None:
        count = min(cores(), MOST_HELPERS) if most is None else most
        self._all = [_Process(wake) for _ in range(count)]

    @property
    def busy(self) -> bool:
        """Whether a run is being watched."""
        return any(one.jobs for one in self._all)

    def room(self) -> bool:
        """Whether another run can be given."""
        return any(one.has_room() for one in self._all)

    def give(self, job: dict[str, Any], size: int) -> None:
        """Have a run watched, by the process that had it last if that has room; `size` of its files [bytes]."""
        free = [one for one in self._all if one.has_room()]
        had = [one for one in free if job["name"] in one.had]
        min(had or free, key=lambda one: len(one.jobs)).give(job, size)

    def answers(self) -> list[Answer]:
        """Return what was said since the last call, and end who has had nothing to do for long."""
        found = [answer for one in self._all for answer in one.answers()]
        for one in self._all:
            one.rest()
        return found

    def end(self) -> None:
        """End all of them."""
        for one in self._all:
            one.end()


@final
class _Process:
    def __init__(self, wake: Callable[[], None]) -> None:
        self.jobs: dict[str, int] = {}
        self.had: dict[str, None] = {}
        self._wake = wake
        self._not_before = self._since = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._said: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def has_room(self) -> bool:
        some = len(self.jobs) < MOST_WAITING and sum(self.jobs.values()) < MOST_WAITING_BYTES
        return (some or not self.jobs) and time.monotonic() >= self._not_before

    def give(self, job: dict[str, Any], size: int) -> None:
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        self.jobs[job["name"]] = size
        self.had[job["name"]] = None
        if len(self.had) > MOST_HAD:
            del self.had[next(iter(self.had))]
        with contextlib.suppress(OSError):  # it ended: the end of its output says so
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()

    def _start(self) -> None:
        # what TensorBoard can import, this can too
        paths = os.pathsep.join(path for path in sys.path if path)
        surroundings = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        self._said = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=surroundings
        )
        threading.Thread(target=_listen, args=(self._process.stdout, self._said, self._wake), daemon=True).start()

    def answers(self) -> list[Answer]:
        found: list[Answer] = []
        while True:
            try:
                line = self._said.get_nowait()
            except queue.Empty:
                return found
            if line is None:
                return found + self._ended()
            with contextlib.suppress(ValueError, KeyError):
                said = json.loads(line)
                found.append(Answer(said["name"], said))
                if said.get("done", True):
                    self.jobs.pop(said["name"], None)
                    self._since = time.monotonic()

    def _ended(self) -> list[Answer]:
        """The run that it was at is not given again at once; those that waited behind it are."""
        names, code = list(self.jobs), self.end()
        self._not_before = time.monotonic() + RESTART_SECONDS
        whys = [f"the process that read it ended, with code {code}", *[""] * len(names)]
        return [Answer(name, None, why) for name, why in zip(names, whys, strict=False)]

    def rest(self) -> None:
        if self._process is not None and not self.jobs and time.monotonic() - self._since > IDLE_SECONDS:
            self.end()

    def end(self) -> int | None:
        process, self._process = self._process, None
        self.jobs.clear()
        self.had.clear()
        if process is None:
            return None
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        try:
            return process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _listen(source: IO[bytes], said: queue.SimpleQueue[bytes | None], wake: Callable[[], None]) -> None:
    with contextlib.suppress(OSError, ValueError), source:
        for line in source:
            said.put(line)
            wake()
    said.put(None)
    wake()

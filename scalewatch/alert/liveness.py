"""Tells what a killed run cannot tell: that it is gone. Runs in a process of its own, beside the runs.

A run whose journal was not closed has ended without a word (kill -9, out of memory, a machine that went down) or hangs.
If the run sent alerts of its own, it held a lock, and the system gives that back when its holder dies: then it is
gone for certain, and half a minute is enough to know it. If it sent none, it is silent, and nothing tells a kill from
a long pause but time: `stall_after`, and ten times longer than any pause that was seen.

What is told goes through the state of the run's own alerts, under the same lock: it is told once, in the run's own
thread, also by a watcher that is started anew; what the run was sending when it died is sent first; and when it
resumes, it knows what was told.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, final

from scalewatch.alert.dispatcher import Dispatcher
from scalewatch.alert.lock import Lock
from scalewatch.alert.notification import Recommendation
from scalewatch.alert.notification_log import Event
from scalewatch.alert.receiver import Receiver
from scalewatch.alert.rules import Rules
from scalewatch.alert.run_files import LOCK_NAME, STATE_NAME
from scalewatch.alert.stall import StallDetector
from scalewatch.alert.state_file import StateFile
from scalewatch.errors import ConfigError, JournalError
from scalewatch.finding import Phase, Severity
from scalewatch.journal.lines import decode
from scalewatch.journal.records import run_from
from scalewatch.journal.segment import first_record, segments_in
from scalewatch.kinds import STANDS_STILL, EventKind, kind_row
from scalewatch.run import Run

__all__ = ["Heartbeat", "LivenessWatcher", "heartbeat", "run_folders"]

#: After the last word of a run whose lock is free, before it is called gone [s]: it may just be starting anew.
GRACE_SECONDS = 30.0
#: A run that hangs says so itself, if it can; so much later it is said for it [s].
LATER_SECONDS = 300.0
#: What was silent for longer than this when it is first seen is old news [s].
OLD_SECONDS = 24 * 3600.0
#: End of a segment that is read [bytes].
TAIL_BYTES = 64 * 1024
#: Files looked at in a search for runs.
MOST_FILES = 200_000
#: A dead run is told once, and not every four hours [s].
NEVER_SECONDS = 3650 * 86400.0
AGAIN = Recommendation(
    "start again", "from the last checkpoint; the log of the system says whether the memory ran out.", "C"
)


@final
class Heartbeat(NamedTuple):
    """What a journal looks like from outside.

    Attributes:
        run, run_id: which run. segment: its newest file. step: newest step in it, 0 if there is none.
        closed: whether its writer has closed it. written_at: when somebody last wrote to it [Unix seconds].
    """

    run: Run
    run_id: str
    segment: Path
    step: int
    closed: bool
    written_at: float


def heartbeat(folder: Path) -> Heartbeat | None:
    """Return what is seen of the newest run in a folder, from the ends of its newest file; None if nothing is."""
    try:
        for _, path in reversed(segments_in(folder)):
            header = first_record(path)
            if header is None or header.get("rank", 0) != 0:
                continue
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                file.seek(max(0, status.st_size - TAIL_BYTES))
                step, closed = _newest(file.read(TAIL_BYTES))
            run = run_from(header["run"])
            return Heartbeat(run, str(header["run_id"]), path, step, closed, status.st_mtime)
    except (OSError, LookupError, TypeError, JournalError):
        pass  # it is looked at again
    return None


def _newest(data: bytes) -> tuple[int, bool]:
    """Newest step, and whether the last record closes the journal."""
    closed: bool | None = None
    for line in reversed(data.split(b"\n")):
        try:
            record = decode(line) if line else {}
        except JournalError:
            continue  # torn by a kill, or cut by us
        if not record:
            continue
        closed = record.get("type") == "close" if closed is None else closed
        if record.get("type") == "o" and type(record.get("s")) is int:
            return record["s"], closed
    return 0, bool(closed)


@final
class LivenessWatcher:
    """Watches one run from outside.

    Args:
        folder: of its journal. rules: what goes where and when. receivers: makes those of the rules, once it has to.
        clock: Unix time [s].
    """

    def __init__(
        self, folder: Path, rules: Rules, receivers: Callable[[], Mapping[str, Receiver]], *, clock: Callable[[], float]
    ) -> None:
        self.folder = folder
        self._rules = dataclasses.replace(rules, repeat_interval=NEVER_SECONDS)
        self._make, self._clock = receivers, clock
        self._receivers: Mapping[str, Receiver] | None = None
        self._stall_detector: StallDetector | None = None
        self._dispatcher: Dispatcher | None = None
        self._reported: tuple[Path, int] | None = None
        self._stall: Event | None = None
        self._takes_back = False
        self._old: Path | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a message is on its way."""
        return self._dispatcher is not None

    def check(self) -> str:
        """Look at the run, make at most one attempt to tell what is wrong, and return what is new in a line, or ""."""
        now, seen = self._clock(), heartbeat(self.folder)
        if seen is None or seen.segment == self._old:
            return ""
        if self._stall_detector is None:
            if now - seen.written_at > OLD_SECONDS:
                self._old = seen.segment
                return ""
            self._stall_detector = StallDetector(self._rules.stall_after, seen.written_at)
            if self._home != self.folder and _stop_in(StateFile(self._home / STATE_NAME).read()):
                self._reported = (seen.segment, -1)  # by an earlier watcher; taken back if it goes on
        if seen.step != self._stall_detector.step:
            self._stall = None
        self._stall_detector.update(seen.step, max(seen.written_at, self._stall_detector.moved_at))
        wrong = None if seen.closed else self._wrong(seen, now)
        place = (seen.segment, seen.step)
        if wrong is not None:
            return "" if self._reported == place else self._report_stop(seen, wrong)
        if self._reported is not None and self._reported != place:
            return self._report_resumed(seen)
        self.release()
        return ""

    @property
    def _home(self) -> Path:
        """Where the state is: with the run's own alerts, or beside them where it has none."""
        return self.folder if (self.folder / LOCK_NAME).exists() else self.folder / "watch"

    def _wrong(self, seen: Heartbeat, now: float) -> Event | None:
        silent, patience = now - seen.written_at, self._rules.stall_after
        since = f"its last sign of life came at {datetime.fromtimestamp(seen.written_at, UTC):%H:%M} UTC"
        if self._home != self.folder:
            stall = None if self._stall_detector is None else self._stall_detector.overdue(now)
            if stall is not None:
                self._stall = stall._replace(message=f"{stall.message}: it was killed, or it hangs")
            return self._stall
        state = StateFile(self.folder / STATE_NAME).read()
        if silent <= GRACE_SECONDS or (isinstance(state, dict) and state.get("ended")):
            return None
        if self._dispatcher is not None or self._is_free():
            message = f"{since}, and it did not say that it ends: killed, or its machine is down"
            return Event(EventKind.GONE, Severity.CRITICAL, Phase.OPENED, seen.step, seen.step, message)
        if silent > patience + LATER_SECONDS and not _stop_in(state):
            message = f"{since}; its process is there, and says nothing"
            return Event(EventKind.STALLED, Severity.CRITICAL, Phase.OPENED, seen.step, seen.step, message)
        return None

    def _is_free(self) -> bool:
        lock = Lock(self.folder / LOCK_NAME)
        free = lock.acquire()
        lock.release()
        return free

    def _report_stop(self, seen: Heartbeat, wrong: Event) -> str:
        news = ""
        if self._takes_back:
            self.release()
        if self._dispatcher is None:
            hangs = self._home == self.folder and wrong.kind == EventKind.STALLED
            self._dispatcher = made = self._new(seen, None if hangs else self._home)
            if not made.sends:  # somebody else was quicker
                self.release()
                return ""
            if _stop_in(made.state()):
                self._reported = (seen.segment, seen.step) if _all_know(made) else None
            else:
                made.submit_event(wrong)
                news = f"{seen.run.name}: {kind_row(wrong.kind).firing} (step {seen.step:,}): {wrong.message}"
            if wrong.kind == EventKind.GONE:
                made.log.advice = (AGAIN,)
        self._dispatcher.tick()
        if _all_know(self._dispatcher):
            self._reported = (seen.segment, seen.step)
            self.release()
        return news

    def _report_resumed(self, seen: Heartbeat) -> str:
        """The run goes on: a run with alerts of its own says so itself."""
        news = ""
        if self._home == self.folder:
            self._reported = None
            return ""
        if self._dispatcher is None:
            self._dispatcher = self._new(seen, self._home)
            self._takes_back = True
            news = f"{seen.run.name}: goes on (step {seen.step:,})"
        self._dispatcher.observe(seen.step, math.nan)
        self._dispatcher.tick()
        if _all_know(self._dispatcher):
            self._reported = None
            self.release()
        return news

    def _new(self, seen: Heartbeat, home: Path | None) -> Dispatcher:
        self._receivers = self._make() if self._receivers is None else self._receivers
        return Dispatcher(seen.run, seen.run_id, self._receivers, self._rules, folder=home, clock=self._clock)

    def release(self) -> None:
        """Give back the lock, so that the run can take it."""
        if self._dispatcher is not None:
            self._dispatcher.abandon()
            self._dispatcher = None
        self._takes_back = False


def _stop_in(state: object) -> bool:
    """Whether a state says that the run stands still."""
    incidents = state.get("incidents", ()) if isinstance(state, dict) else ()
    return any(row[0] in STANDS_STILL and row[6] is None for row in incidents if isinstance(row, list))


def _all_know(dispatcher: Dispatcher) -> bool:
    """Whether every receiver that is to be told knows of the stop, or of its end."""
    stops = [i for i in dispatcher.log.incidents.values() if i.kind in STANDS_STILL]
    for queue in dispatcher.queues:
        if queue.off:
            continue
        if queue.unsent:
            return False
        routes = dispatcher.rules.for_receiver(queue.name, dispatcher.log.run)
        for stop in stops:
            entry = queue.outbox.sent.entries.get(stop.kind)
            known = (
                entry is not None and entry.opened_at == stop.opened_at and entry.over == (stop.closed_at is not None)
            )
            if not known and any(route.matches(dispatcher.log.run, stop.kind, stop.severity) for route in routes):
                return False
    return True


def run_folders(paths: list[Path]) -> list[Path]:
    """Return every folder at or below `paths` that holds a journal, by name.

    Raises:
        ConfigError: if a path is no folder, or there are too many files below it.
    """
    found, files = set(), 0
    for path in paths:
        if not path.is_dir():
            raise ConfigError(f"`{path}` must be a folder with runs in it.")
        for folder, inner, names in os.walk(path):
            inner[:] = [name for name in inner if not name.startswith(".")]
            files += len(names)
            if files > MOST_FILES:
                raise ConfigError(f"`{path}` must hold at most {MOST_FILES:,} files: name the folders of the runs.")
            if any(name.startswith("journal-") and name.endswith(".jsonl") for name in names):
                found.add(Path(folder))
    return sorted(found)

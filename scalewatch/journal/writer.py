"""Writes the journal of a run: the step path appends to a deque, a drain takes it to the disk.

What holds, whatever the disk does: an append never raises; memory is bounded; every record that is
not written is counted; a fault is told once through `logging`; and when the disk is well again,
writing goes on.

A crash of the process costs what was appended since the last drain, half a second at most while the
disk keeps up, and nothing of what was written through: the append behind it waits for the file, which
takes half a millisecond and therefore costs a training step nothing, and `PATIENCE_SECONDS` at most on
a disk that hangs. No other append waits, and none waits again for such a disk. A power cut costs at
most what came since the last `fsync`, which is done each 30 s and each time that something is written
through. What was written before stays readable either way (SQLite's name for this promise is NORMAL).

When the queue is full the newest record is dropped, not the oldest: what is queued continues what
is on the disk, so the journal has one gap at a known place, and an append stays one comparison.
Room that observations cannot take is kept for what is written through.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from scalewatch.errors import JournalError
from scalewatch.journal.limits import MIB, JournalLimits, Thinning
from scalewatch.journal.lines import encode
from scalewatch.journal.records import run_record
from scalewatch.journal.store import Store
from scalewatch.run import Run
from scalewatch.worker import Bell, Worker, abandon_in_forked_children

__all__ = ["JournalWriter"]

_log = logging.getLogger("scalewatch")

#: Room in the queue for what is written through, when observations have filled theirs.
RESERVED_RECORDS = 1_024

#: One write holds no more than this: it is held in memory besides the queue.
BATCH_RECORDS, BATCH_BYTES = 4_096, MIB

#: Longest time for which what was written is only in the memory of the system [s].
SYNC_SECONDS = 30.0

#: Longest time that an append waits for what was written through before it [s].
PATIENCE_SECONDS = 0.05

#: How often closing tries: a disk that has failed three times in a row will fail a fourth time.
CLOSE_TRIES = 3


@final
class _Queue:
    """What was appended and is not encoded yet. The step path touches it: it is one thread's."""

    def __init__(self, capacity: int) -> None:
        self.records: deque[Mapping[str, Any]] = deque()
        self.refused = 0
        self.sync_asked = False
        #: Times so far that what is queued was to be written through [count].
        self.through = 0
        self._capacity = capacity
        self._capacity_through = capacity + RESERVED_RECORDS

    def put(self, record: Mapping[str, Any], *, through: bool) -> bool:
        """Take a record if there is room, of which some is kept for what is written through."""
        if len(self.records) >= (self._capacity_through if through else self._capacity):
            self.refused += 1
            return False
        self.records.append(record)
        if through:
            self.ask()
        return True

    def ask(self) -> None:
        """Have all that is queued written through."""
        self.sync_asked = True
        self.through += 1

    def shut(self) -> None:
        """Refuse all that comes from now on."""
        self._capacity = self._capacity_through = 0


@final
class _WrittenThrough:
    """How far what is to be written through is in the file, and who waits for it.

    Attributes:
        written: times that it is [count]. is_patient: whether anybody waits: not for a disk that has hung before.
    """

    def __init__(self) -> None:
        self.written = 0
        self.is_patient = True
        self._in_file = Bell()

    def wait_for(self, wanted: int, is_over: Callable[[], bool]) -> None:
        """Wait until so much is, or all `is_over`, `PATIENCE_SECONDS` at most."""
        until = time.monotonic() + PATIENCE_SECONDS
        while self.written < wanted and not is_over():
            left = until - time.monotonic()
            if left <= 0:
                self.is_patient = False  # until it has been written: one step waits for a disk that hangs, not each
                return
            self._in_file.wait(left)

    def reach(self, written: int) -> None:
        """So much is in the file: let go of who waits."""
        self.written, self.is_patient = written, True
        self.ring()

    def ring(self) -> None:
        """Have who waits look again."""
        self._in_file.ring()


@dataclass(slots=True)
class _Gaps:
    """What the journal does not hold: refusals that it has told of, records that were no lines, a disk that refuses."""

    refusals_told: int = 0
    unwritable: int = 0
    is_failing: bool = False


@final
class JournalWriter:
    """Appends the records of one run to a new segment of the journal in a folder.

    Args:
        folder: where the journal is; made, for its owner only, if it is not there. The journal of a
            resumed run goes on in the same folder. Each rank needs one of its own.
        run: what is being trained.
        rank: which process of a distributed run this is, from 0.
        run_id: what stays the same over all segments of a run. With None, a run that resumes has
            that of the newest segment in the folder, and a run that begins has a new one.
        resumes_after_step: step of the checkpoint that training goes on from; None if it begins.
        worker: what drains the queue and, when it is closed, closes the journal. With None, call
            `drain` now and then, and `close` at the end.
        limits: how much it may hold, in memory and on the disk.
        clock: monotonic time [s].

    Raises:
        JournalError: if the folder cannot be made or written.
    """

    def __init__(
        self,
        folder: Path | str,
        run: Run,
        *,
        rank: int = 0,
        run_id: str | None = None,
        resumes_after_step: int | None = None,
        worker: Worker | None = None,
        limits: JournalLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        limits = JournalLimits() if limits is None else limits
        self._store = Store(
            folder,
            {"rank": rank, "run": run_record(run)},
            run_id=run_id,
            resumes_after_step=resumes_after_step,
            max_segment_bytes=limits.max_segment_bytes,
        )
        self._queue = _Queue(limits.capacity)
        self._worker = worker
        # The drain touches these, and holds the lock while it writes.
        self._io = threading.Lock()
        self._closed = False
        self._pending: list[bytes] = []
        self._through = _WrittenThrough()
        self._gaps = _Gaps()
        self._thinning = Thinning(limits.max_total_bytes)
        self._clock = clock
        self._synced_at = clock()
        #: Records that are in the file, with the journal's own, without its headers [count].
        self.written = 0
        abandon_in_forked_children(self)
        if worker is not None:
            worker.add("journal", self.drain, finish=self.close)

    @property
    def path(self) -> Path:
        """The segment that is written now, or was written last."""
        return self._store.path

    @property
    def run_id(self) -> str:
        """What all segments of this run have in common."""
        return self._store.run_id

    @property
    def dropped(self) -> int:
        """Records that were appended and will never be written [count]."""
        return self._queue.refused + self._gaps.unwritable

    @property
    def thinned(self) -> int:
        """Observations that were left out to save room [count]."""
        return self._thinning.left_out

    @property
    def waiting(self) -> int:
        """Records that were appended and are not in the file yet [count]."""
        return len(self._queue.records) + len(self._pending)

    # --- on the step path -------------------------------------------------------------------------

    def append(self, record: Mapping[str, Any]) -> None:
        """Queue a record, which must not be changed any more; what was written through before it is in the file.

        Never raises. Waits only behind a record that was written through, see above.
        """
        if self._queue.through != self._through.written and self._through.is_patient:
            self._wait_for_file()
        self._queue.put(record, through=False)

    def append_through(self, record: Mapping[str, Any]) -> None:
        """Queue a record and ask the worker to write and sync it now. Never waits, never raises."""
        if self._queue.put(record, through=True) and self._worker is not None:
            self._worker.wake()

    def settle(self) -> None:
        """Have all that was appended in the file, if its disk takes no longer than `PATIENCE_SECONDS`.

        For a checkpoint: a run that goes on from it would leave out what was lost with the process. Never raises.
        """
        if self._worker is not None:
            self._queue.ask()
            self._worker.wake()
            self._wait_for_file()

    def _wait_for_file(self) -> None:
        """Wait until what was written through is in the file, if the worker and its disk are there to do it."""
        if not self._closed and self._worker is not None and self._worker.is_running:
            self._through.wait_for(self._queue.through, lambda: self._closed)

    # --- in the background ------------------------------------------------------------------------

    def drain(self) -> None:
        """Write what is queued. Raises nothing that a disk can do: what is refused waits."""
        with self._io:
            self._drain()

    def close(self, timeout_seconds: float = 2.0) -> bool:
        """Write what is queued and a closing record, close the file; whether nothing was dropped.

        Waits `timeout_seconds` [s] at most for a drain that is on its way, and for the disk as long
        as it takes: on the step path, close the worker instead, which does this in its thread.
        What is appended later counts as dropped. A second call changes nothing.
        """
        if not self._io.acquire(timeout=max(0.0, timeout_seconds)):
            return False
        try:
            if not self._closed:
                self._finish()
            return self.dropped == 0
        finally:
            self._io.release()

    def abandon(self) -> None:
        """Let go of the file and of what is queued: for a forked child; its parent has both."""
        self._io = threading.Lock()  # in this copy, whoever held the old one will never let go
        self._through = _WrittenThrough()
        self._give_up()

    def _finish(self) -> None:
        self._queue.shut()
        self._drain_stubbornly()
        self._gaps.unwritable += self.waiting
        self._queue.records.clear()
        self._pending = []
        counts = {"written": self.written, "dropped": self.dropped, "thinned": self.thinned}
        self._queue.records.append({"type": "close", **counts})
        self._queue.sync_asked = True
        self._drain_stubbornly()
        self._give_up()

    def _drain_stubbornly(self) -> None:
        for _ in range(CLOSE_TRIES):
            if self._drain():
                break

    def _give_up(self) -> None:
        self._closed = True
        self._through.ring()
        self._queue.shut()
        self._queue.records.clear()
        self._pending = []
        self._worker = None
        self._store.close()

    def _drain(self) -> bool:
        """Write all that is queued now; False if the disk would not have it."""
        if self._closed:
            return True
        queue = self._queue
        asked, queue.sync_asked, through = queue.sync_asked, False, queue.through
        # A record is refused when the queue is full: the gap is behind all that is queued now.
        refused, left = queue.refused - self._gaps.refusals_told, len(queue.records)
        if refused:
            self._store.tell(f"{refused} records came faster than they could be written, and were dropped")
        explained = False
        while left or self._pending or not explained:
            if left and not self._pending:
                left -= self._encode(left)
            elif not self._pending:
                self._explain(refused)
                explained = True
            if self._pending and not self._flush():
                queue.sync_asked = asked or queue.sync_asked
                return False
        self._through.reach(through)
        if asked or self._clock() - self._synced_at >= SYNC_SECONDS:
            self._store.sync()
            self._synced_at = self._clock()
        return True

    def _flush(self) -> bool:
        done = self._store.write(self._pending)
        self.written += done
        del self._pending[:done]
        self._gaps.is_failing = self._gaps.is_failing or bool(self._pending)
        return not self._pending

    def _explain(self, refused: int) -> None:
        """Have the journal itself tell, once it can be written again, what happened to it."""
        if refused:
            self._gaps.refusals_told += refused
            self._pending.append(encode({"type": "gap", "dropped": refused}))
        if self._gaps.is_failing:
            self._gaps.is_failing = False
            now, reason = time.time(), self._store.trouble
            self._pending.append(encode({"type": "trouble", "reason": reason, "until_unix_s": now}))

    def _encode(self, count: int) -> int:
        """Make lines of at most `count` queued records; how many records that took."""
        size = taken = 0
        while taken < count and len(self._pending) < BATCH_RECORDS and size < BATCH_BYTES:
            record = self._queue.records.popleft()
            taken += 1
            if record.get("type") == "o" and not self._keeps(record, size):
                continue
            try:
                line = encode(record)
            except JournalError as fault:
                self._gaps.unwritable += 1
                line = encode({"type": "lost", "reason": str(fault)[:500]})
            self._pending.append(line)
            size += len(line)
        return taken

    def _keeps(self, record: Mapping[str, Any], size: int) -> bool:
        """Whether this observation is written, as the room that is left demands."""
        thinning = self._thinning
        before = thinning.every
        if thinning.adapt(self._store.total_bytes + size):
            if before == 1:
                _log.warning(
                    "scalewatch: three quarters of the %.3g MiB for the journal are used; from here on"
                    " it holds fewer of the observations. Findings are all written.",
                    thinning.max_total_bytes / MIB,
                )
            self._pending.append(encode({"type": "thinning", "keeps_every": thinning.every}))
        return thinning.keeps(has_validation="v" in record)

"""Writes the journal of a run: the step path appends to a deque, a drain takes it to the disk.

What holds, whatever the disk does: an append never waits and never raises; memory is bounded; every
record that is not written is counted; a fault is told once through `logging`; and when the disk is
well again, writing goes on.

A crash of the process costs what was appended since the last drain: half a second, while the disk
keeps up. A power cut costs at most what came since the last `fsync`, which is done each 30 s and
each time that something is written through. What was written before stays readable either way
(SQLite's name for this promise is NORMAL).

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
from pathlib import Path
from typing import Any, final

from scalewatch.errors import ConfigError, JournalError
from scalewatch.journal.lines import encode
from scalewatch.journal.records import run_record
from scalewatch.journal.store import Store
from scalewatch.run import Run
from scalewatch.worker import Worker, abandon_in_forked_children

__all__ = ["JournalWriter", "keep_every"]

_log = logging.getLogger("scalewatch")

MIB = 2**20

#: Room in the queue for what is written through, when observations have filled theirs.
RESERVED_RECORDS = 1_024

#: One write holds no more than this: it is held in memory besides the queue.
BATCH_RECORDS, BATCH_BYTES = 4_096, 1 * MIB

#: Longest time for which what was written is only in the memory of the system [s].
SYNC_SECONDS = 30.0

#: How often closing tries: a disk that has failed three times in a row will fail a fourth time.
CLOSE_TRIES = 3

#: Thinner than one in so many, observations say nothing any more.
THINNEST = 1_000_000


def keep_every(total_bytes: int, max_total_bytes: int) -> int:
    """One in how many observations is still written; 0 for none.

    All of them until a quarter of the room is left, then every 10th; and each time that half of
    what was left is used up, a tenth of that. So a run hardly ever reaches the end of its room.

    >>> [keep_every(used, 1000) for used in (0, 750, 751, 876, 938, 1000)]
    [1, 1, 10, 100, 1000, 0]
    """
    room = max_total_bytes - total_bytes
    if room <= 0:
        return 0
    every, threshold = 1, max_total_bytes / 4
    while room < threshold and every < THINNEST:
        every, threshold = every * 10, threshold / 2
    return every


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
        capacity: observations that may wait in memory, at least 1.
        max_segment_bytes: size at which the next segment is begun, at least 1.
        max_total_bytes: room for all segments of the run, at least 1. Observations keep within it
            by being thinned, which is announced; everything else is always written.
        clock: monotonic time [s].

    Raises:
        JournalError: if the folder cannot be made or written.
        ConfigError: if a size is below 1.
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
        capacity: int = 65_536,
        max_segment_bytes: int = 64 * MIB,
        max_total_bytes: int = 256 * MIB,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        _at_least_1("capacity", capacity)
        _at_least_1("max_segment_bytes", max_segment_bytes)
        _at_least_1("max_total_bytes", max_total_bytes)
        self._store = Store(
            folder,
            {"rank": rank, "run": run_record(run)},
            run_id=run_id,
            resumes_after_step=resumes_after_step,
            max_segment_bytes=max_segment_bytes,
        )
        # The step path touches these; it is one thread's.
        self._queue: deque[Mapping[str, Any]] = deque()
        self._capacity = capacity
        self._capacity_through = capacity + RESERVED_RECORDS
        self._refused = 0
        self._sync_asked = False
        self._worker = worker
        # The drain touches these, and holds the lock while it writes.
        self._io = threading.Lock()
        self._closed = False
        self._pending: list[bytes] = []
        self._failing = False
        self._refusals_told = 0
        self._unwritable = 0
        self._observations = 0
        self._every = 1
        self._max_total_bytes = max_total_bytes
        self._clock = clock
        self._synced_at = clock()
        #: Records that are in the file, with the journal's own, without its headers [count].
        self.written = 0
        #: Observations that were left out to save room [count].
        self.thinned = 0
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
        return self._refused + self._unwritable

    @property
    def waiting(self) -> int:
        """Records that were appended and are not in the file yet [count]."""
        return len(self._queue) + len(self._pending)

    # --- on the step path -------------------------------------------------------------------------

    def append(self, record: Mapping[str, Any]) -> None:
        """Queue a record, which must not be changed any more. Never waits, never raises."""
        if len(self._queue) >= self._capacity:
            self._refused += 1
        else:
            self._queue.append(record)

    def append_through(self, record: Mapping[str, Any]) -> None:
        """Queue a record and ask the worker to write and sync it now. Never waits, never raises."""
        if len(self._queue) >= self._capacity_through:
            self._refused += 1
            return
        self._queue.append(record)
        self._sync_asked = True
        if self._worker is not None:
            self._worker.wake()

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
        self._give_up()

    def _finish(self) -> None:
        self._capacity = self._capacity_through = 0
        self._drain_stubbornly()
        self._unwritable += self.waiting
        self._queue.clear()
        self._pending = []
        counts = {"written": self.written, "dropped": self.dropped, "thinned": self.thinned}
        self._queue.append({"type": "close", **counts})
        self._sync_asked = True
        self._drain_stubbornly()
        self._give_up()

    def _drain_stubbornly(self) -> None:
        for _ in range(CLOSE_TRIES):
            if self._drain():
                break

    def _give_up(self) -> None:
        self._closed = True
        self._capacity = self._capacity_through = 0
        self._queue.clear()
        self._pending = []
        self._worker = None
        self._store.close()

    def _drain(self) -> bool:
        """Write all that is queued now; False if the disk would not have it."""
        if self._closed:
            return True
        asked, self._sync_asked = self._sync_asked, False
        # A record is refused when the queue is full: the gap is behind all that is queued now.
        refused, left = self._refused - self._refusals_told, len(self._queue)
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
                self._sync_asked = asked or self._sync_asked
                return False
        if asked or self._clock() - self._synced_at >= SYNC_SECONDS:
            self._store.sync()
            self._synced_at = self._clock()
        return True

    def _flush(self) -> bool:
        done = self._store.write(self._pending)
        self.written += done
        del self._pending[:done]
        self._failing = self._failing or bool(self._pending)
        return not self._pending

    def _explain(self, refused: int) -> None:
        """Have the journal itself tell, once it can be written again, what happened to it."""
        if refused:
            self._refusals_told += refused
            self._pending.append(encode({"type": "gap", "dropped": refused}))
        if self._failing:
            self._failing = False
            now, reason = time.time(), self._store.trouble
            self._pending.append(encode({"type": "trouble", "reason": reason, "until_unix_s": now}))

    def _encode(self, count: int) -> int:
        """Make lines of at most `count` queued records; how many records that took."""
        size = taken = 0
        while taken < count and len(self._pending) < BATCH_RECORDS and size < BATCH_BYTES:
            record = self._queue.popleft()
            taken += 1
            if record.get("type") == "o" and not self._keeps(record, size):
                self.thinned += 1
                continue
            try:
                line = encode(record)
            except JournalError as fault:
                self._unwritable += 1
                line = encode({"type": "lost", "reason": str(fault)[:500]})
            self._pending.append(line)
            size += len(line)
        return taken

    def _keeps(self, record: Mapping[str, Any], size: int) -> bool:
        """Whether this observation is written, as the room that is left demands."""
        every = keep_every(self._store.total_bytes + size, self._max_total_bytes)
        if every != self._every:
            self._announce(every)
        self._observations += 1
        # A validation loss is rare, and worth more than a step.
        return every > 0 and (self._observations % every == 0 or "v" in record)

    def _announce(self, every: int) -> None:
        if self._every == 1:
            _log.warning(
                "scalewatch: three quarters of the %.3g MiB for the journal are used; from here on"
                " it holds fewer of the observations. Findings are all written.",
                self._max_total_bytes / MIB,
            )
        self._every = every
        self._pending.append(encode({"type": "thinning", "keeps_every": every}))


def _at_least_1(name: str, value: int) -> None:
    if not value >= 1:
        raise ConfigError(f"`{name}` must be at least 1 (got {value!r}, {type(value).__name__}).")

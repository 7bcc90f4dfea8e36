"""What a reader and a monitor know of a run that goes on, so that the next look reads its new rows alone.

It is kept where the whole lines of a log end, before anything is made of its end: what follows is what a reader of the
whole log would come to. A log of which that is not sure is read from its start: one that was written anew or became
shorter, of which too little was there to tell its columns for good, that several files tell, or of several runs.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any, NamedTuple, final

from scalewatch.errors import ConfigError, PlainError
from scalewatch.logs import AbstractLineLog
from scalewatch.logs.kept import from_kept, to_kept
from scalewatch.offline.fleet.tree import Unit
from scalewatch.offline.replayed import ReplayedRun, Settings

__all__ = ["KeptRun", "Resumed", "resumed", "worth_keeping"]

#: Of what is kept; that of another version is of no use.
STATE_VERSION = 1
#: Bytes of a log from which on it is kept what is known of it: nothing beyond them is looked at to tell its format, and
#: to read fewer takes less than .1 s.
LEAST_BYTES = 256 << 10
#: Bytes of a run's state at most, packed and as text: 20 KB of 45 are the rule, a long text without an end has more.
MOST_BYTES, MOST_TEXT = 128 << 10, 1 << 20
_DIGEST = 16


@final
class KeptRun:
    """What is known of one run where its whole lines end.

    Args:
        watched: the run, of which nothing was read by this process yet but what another one kept. log: its log.
        name: of the run in the fleet. read_as: how it is read. opened: the run as its log was opened.

    Attributes:
        data: what is known, None where it cannot be gone on with.
    """

    def __init__(self, watched: ReplayedRun, log: AbstractLineLog, name: str, read_as: str, opened: Any = None) -> None:
        self._watched, self._log, self._name, self._read_as = watched, log, name, read_as
        self._opened = to_kept(log.run, log.path) if opened is None else opened
        self.data: bytes | None = None
        log.before_end = self._keep

    def _keep(self) -> None:
        watched, log = self._watched, self._log
        log.before_end = None
        if not log.settled or log.differs or watched.tracker.monitor.guard.failed:
            return
        log.bytes_total, total = 0, log.bytes_total
        try:
            kept = to_kept(log, log.path)
        except PlainError:
            return
        finally:
            log.bytes_total = total
        said = {"version": STATE_VERSION, "read_as": self._read_as, "name": self._name, "opened": self._opened}
        text = json.dumps({**said, "log": kept, "watched": watched.state()}).encode()
        packed = zlib.compress(text, 1)
        if len(text) <= MOST_TEXT and len(packed) <= MOST_BYTES:
            self.data = hashlib.blake2b(packed, digest_size=_DIGEST).digest() + packed


@final
class Resumed(NamedTuple):
    """A run that can be gone on with, None if it has to be read from its start, and whether its state was damaged."""

    watched: ReplayedRun | None
    log: AbstractLineLog | None = None
    name: str = ""
    opened: Any = None
    damaged: bool = False


def worth_keeping(unit: Unit) -> bool:
    """Whether the log of a unit may be gone on with at the next look: one file, and not a short one."""
    return len(unit.files) == 1 and unit.files[0].size >= LEAST_BYTES


def resumed(data: bytes, folder: Path, unit: Unit, settings: Settings, read_as: str) -> Resumed:
    """Return the run of a unit as it stood at the last look, where its file goes on from there."""
    packed = data[_DIGEST:]
    if hashlib.blake2b(packed, digest_size=_DIGEST).digest() != data[:_DIGEST] or len(packed) > MOST_BYTES:
        return Resumed(None, damaged=True)
    try:
        said = json.loads(zlib.decompressobj().decompress(packed, MOST_TEXT))
        if said["version"] != STATE_VERSION or said["read_as"] != read_as or not worth_keeping(unit):
            return Resumed(None)
        path = folder / unit.files[0].path
        log = from_kept(said["log"], path)
        if not isinstance(log, AbstractLineLog) or not log.goes_on():
            return Resumed(None)
        now, log.run = log.run, from_kept(said["opened"], path)
        watched = ReplayedRun(log, settings)
        log.run = now
        watched.restore(said["watched"])
    except (ConfigError, PlainError, LookupError, TypeError, ValueError, AttributeError, zlib.error):
        return Resumed(None, damaged=True)
    return Resumed(watched, log, str(said["name"]), said["opened"])

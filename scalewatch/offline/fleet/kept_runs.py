"""What a reader and a monitor know of a run that goes on, so that the next look reads its new rows alone.

It is kept where the whole lines of a log end, or its whole records, before anything is made of its end: what follows is
what a reader of the whole log would come to. A log of which that is not sure is read from its start: one that was
written anew or became shorter, of which too little was there to tell its columns for good, that several files tell, or
of several runs.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any, NamedTuple, final

from scalewatch.errors import ConfigError, PlainError
from scalewatch.logs import AbstractKeptLog
from scalewatch.logs.kept import from_kept, to_kept
from scalewatch.offline.fleet.tree import Unit
from scalewatch.offline.replayed import ReplayedRun, Settings

__all__ = ["About", "KeptRun", "Resumed", "resumed", "worth_keeping"]

#: Of what is kept; that of another version is of no use.
STATE_VERSION = 1
#: Bytes of a log from which on it is kept what is known of it: nothing beyond them is looked at to tell its format, and
#: to read fewer takes less than .1 s.
LEAST_BYTES = 256 << 10
#: Bytes of a run's state at most, packed and as text: 20 KB of 45 are the rule, a long text without an end has more.
MOST_BYTES, MOST_TEXT = 128 << 10, 1 << 20
_DIGEST = 16


@final
class About(NamedTuple):
    """What there is to say of a run that is kept besides what is known of it.

    Attributes:
        name: of the run in the fleet. read_as: how it is read. file: below the folder, that it is read from.
        beside: the other files of its unit, with their sizes and times.
    """

    name: str
    read_as: str
    file: str
    beside: str

    @classmethod
    def of(cls, name: str, read_as: str, file: str, unit: Unit) -> About:
        """Return it of a unit."""
        beside = sorted([each.path, each.size, each.stamp] for each in unit.files if each.path != file)
        return cls(name, read_as, file, hashlib.blake2b(json.dumps(beside).encode(), digest_size=_DIGEST).hexdigest())


@final
class KeptRun:
    """What is known of one run where what is whole of its log ends.

    Args:
        watched: the run, of which nothing was read by this process yet but what another one kept. log: its log.
        about: which it is. opened: the run as its log was opened, where that was kept.

    Attributes:
        data: what is known, None where it cannot be gone on with.
    """

    def __init__(self, watched: ReplayedRun, log: AbstractKeptLog, about: About, opened: Any = None) -> None:
        self._watched, self._log, self._about = watched, log, about
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
        told = {"version": STATE_VERSION, "about": self._about, "is_file": log.path == log.file, "opened": self._opened}
        text = json.dumps({**told, "log": kept, "watched": watched.state()}).encode()
        packed = zlib.compress(text, 1)
        if len(text) <= MOST_TEXT and len(packed) <= MOST_BYTES:
            self.data = hashlib.blake2b(packed, digest_size=_DIGEST).digest() + packed


@final
class Resumed(NamedTuple):
    """A run that can be gone on with, None if it has to be read from its start, and whether its state was damaged."""

    watched: ReplayedRun | None
    kept: KeptRun | None = None
    log: AbstractKeptLog | None = None
    name: str = ""
    damaged: bool = False


def worth_keeping(unit: Unit) -> bool:
    """Whether the log of a unit may be gone on with at the next look: it is no short one."""
    return max(file.size for file in unit.files) >= LEAST_BYTES


def resumed(data: bytes, folder: Path, unit: Unit, settings: Settings, read_as: str) -> Resumed:
    """Return the run of a unit as it stood at the last look, where its file goes on from there."""
    packed = data[_DIGEST:]
    if hashlib.blake2b(packed, digest_size=_DIGEST).digest() != data[:_DIGEST] or len(packed) > MOST_BYTES:
        return Resumed(None, damaged=True)
    try:
        said = json.loads(zlib.decompressobj().decompress(packed, MOST_TEXT))
        about = About(*map(str, said["about"])) if said["version"] == STATE_VERSION else None
        if about is None or about != About.of(about.name, read_as, about.file, unit):
            return Resumed(None)
        path = next(folder / file.path for file in unit.files if file.path == about.file)
        path = path if said["is_file"] else path.parent
        log = from_kept(said["log"], path)
        if not isinstance(log, AbstractKeptLog) or not log.goes_on():
            return Resumed(None)
        now, log.run = log.run, from_kept(said["opened"], path)
        watched = ReplayedRun(log, settings)
        log.run = now
        watched.restore(said["watched"])
    except StopIteration:
        return Resumed(None)  # its file is gone
    except (ConfigError, PlainError, LookupError, TypeError, ValueError, AttributeError, zlib.error):
        return Resumed(None, damaged=True)
    return Resumed(watched, KeptRun(watched, log, about, said["opened"]), log, about.name)

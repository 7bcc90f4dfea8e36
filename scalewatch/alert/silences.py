"""Silences that people set while a run goes on: `scalewatch alert silence` writes them, the run reads them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import final

from scalewatch.alert.notification import clean
from scalewatch.alert.rules import Silence
from scalewatch.alert.state_file import StateFile

__all__ = ["SilenceFile"]

#: Silences kept at most.
MAX_SILENCES = 100


@final
class SilenceFile:
    """The silences of one run.

    Args:
        path: of the file; None where there is none.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._silences: tuple[Silence, ...] = ()

    def read(self) -> tuple[Silence, ...]:
        """Return what is set; read again only if the file has changed. What cannot be read silences nothing."""
        if self._path is None:
            return ()
        try:
            status = os.stat(self._path)
        except OSError:
            self._stamp, self._silences = None, ()
            return ()
        stamp = (status.st_mtime_ns, status.st_size)
        if stamp != self._stamp:
            self._stamp, self._silences = stamp, _silences(StateFile(self._path).read())
        return self._silences

    def add(self, silence: Silence, now: float) -> bool:
        """Put one more into the file, and drop those that are over; whether that could be done."""
        if self._path is None:
            return False
        kept = [s for s in self.read() if s.until_unix_s > now][-MAX_SILENCES + 1 :]
        return self._write([*kept, silence])

    def clear(self) -> bool:
        """Drop them all; whether that could be done."""
        return self._write([])

    def _write(self, silences: list[Silence]) -> bool:
        if self._path is None:
            return False
        rows = [
            {"until_unix_s": s.until_unix_s, "from_unix_s": s.from_unix_s, "kinds": list(s.kinds), "comment": s.comment}
            for s in silences
        ]
        return StateFile(self._path).write({"silences": rows})


def _silences(data: object) -> tuple[Silence, ...]:
    rows = data.get("silences") if isinstance(data, dict) else None
    found = []
    for row in rows[:MAX_SILENCES] if isinstance(rows, list) else ():
        try:
            kinds = tuple(str(kind) for kind in row["kinds"])
            found.append(
                Silence(float(row["until_unix_s"]), float(row["from_unix_s"]), kinds, clean(row["comment"], 200))
            )
        except (LookupError, TypeError, ValueError):
            continue
    return tuple(found)

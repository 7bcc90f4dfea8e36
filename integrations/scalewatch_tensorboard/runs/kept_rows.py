"""Rows of the overview that are kept: finished runs are watched once, and not at each start of TensorBoard.

One JSON file for each folder of logs, below the user's cache folder. A row counts as long as the files of its run are
as they were; a file that is not what this version wrote is as good as none.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any, final

import scalewatch
from scalewatch_tensorboard.runs.listed import Told
from scalewatch_tensorboard.runs.listing import Listing
from scalewatch_tensorboard.runs.logdirs import Files, Found, Logdirs

__all__ = ["KeptRows"]

_log = logging.getLogger("scalewatch")

#: Version of what is kept.
SCHEMA = 1
#: Largest file that is read or written [bytes]: rows of 30,000 runs.
MOST_BYTES = 1 << 26
#: Time between two writings, and where nothing else is to do [s].
KEEP_SECONDS, IDLE_SECONDS = 30.0, 2.0
#: How the row of a run that is over says so.
_FINISHED = b'"stage":"finished"'


@final
class KeptRows:
    """The kept rows of one folder of logs.

    Args:
        logdirs: the folder, the law and the cache; without a cache nothing is kept.
    """

    def __init__(self, logdirs: Logdirs) -> None:
        self._path = _path_of(logdirs)
        self._kept: dict[str, dict[str, Any]] | None = None
        self._version = 0
        self._last = time.monotonic()
        self._mark: list[tuple[str, Files]] = []

    def row_of(self, found: Found) -> dict[str, Any] | None:
        """Return the row of a run whose files are as they were, None if there is none."""
        if self._kept is None:
            self._kept = _read(self._path)
        kept = self._kept.get(found.name)
        if kept is None or _files(kept.get("files")) != found.files:
            return None
        row = kept.get("row")
        return row if isinstance(row, dict) and row.get("name") == found.name else None

    def keep(self, listing: Listing, *, idle: bool) -> None:
        """Write the rows of finished runs, if there are new ones and it is time; sooner where nothing else is to do.

        A folder that cannot be written is no reason to stop: it is told in the log, at level info.
        """
        wait = IDLE_SECONDS if idle else KEEP_SECONDS
        if self._path is None or listing.version == self._version or time.monotonic() < self._last + wait:
            return
        self._version, self._last = listing.version, time.monotonic()
        finished = [run for run in listing.all() if run.told is Told.ALL and _FINISHED in run.row]
        mark = [(run.found.name, run.of) for run in finished]
        if not finished or mark == self._mark:
            return
        self._mark = mark
        # rows are JSON already
        rows = (
            f'{json.dumps(run.found.name)}:{{"files":{json.dumps(run.of)},"row":{run.row.decode("ascii")}}}'
            for run in finished
        )
        text = f'{{"schema":{SCHEMA},"runs":{{{",".join(rows)}}}}}'
        try:
            if len(text) <= MOST_BYTES:
                _write(self._path, text)
        except OSError as fault:
            _log.info("scalewatch: %s cannot be kept: %s", self._path, fault)


def _path_of(logdirs: Logdirs) -> Path | None:
    if logdirs.cache is None:
        return None
    law = ""
    if logdirs.law is not None:
        try:
            law = f"{logdirs.law} {logdirs.law.stat().st_mtime_ns}"
        except OSError:
            law = str(logdirs.law)
    parts = [SCHEMA, scalewatch.__version__, [[name, str(path)] for name, path in logdirs.roots], law]
    return logdirs.cache / f"rows-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]}.json"


def _read(path: Path | None) -> dict[str, dict[str, Any]]:
    try:
        if path is None or path.stat().st_size > MOST_BYTES:
            return {}
        made = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    runs = made.get("runs") if isinstance(made, dict) and made.get("schema") == SCHEMA else None
    return {name: kept for name, kept in runs.items() if isinstance(kept, dict)} if isinstance(runs, dict) else {}


def _files(kept: Any) -> Files:
    try:
        return tuple((str(name), int(size), int(changed)) for name, size, changed in kept)
    except (TypeError, ValueError):
        return ()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".rows-")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
        os.replace(name, path)
    except OSError:
        os.unlink(name)
        raise

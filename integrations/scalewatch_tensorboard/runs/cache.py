"""Replays that are kept, so that a long log is watched once: below the user's cache folder, never beside the runs.

One file a run: its columns as numpy arrays and the rest as JSON. Nothing in it can be run, whatever else it is: no
pickle is read, and a file that is not what this version wrote is as good as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

import scalewatch
from scalewatch.errors import ScalewatchError
from scalewatch.journal import advice_from, advice_record, finding_from, finding_record
from scalewatch_tensorboard.runs.columns import COLUMN_TYPES, Rows
from scalewatch_tensorboard.runs.saved_forecasts import SavedForecast
from scalewatch_tensorboard.runs.thinned_series import ThinnedSeries

if TYPE_CHECKING:
    from scalewatch_tensorboard.runs.run_state import RunState

__all__ = ["MOST_BYTES", "Cache"]

_log = logging.getLogger("scalewatch")

#: Version of what is kept.
SCHEMA = 1
#: A run of fewer rows is watched anew in less than half a second [rows].
LEAST_ROWS = 20_000
#: Most that all files together take, and one of them [bytes].
MOST_BYTES, MOST_FILE_BYTES = 1 << 29, 1 << 28
#: The part that is JSON [bytes].
MOST_META_BYTES = 1 << 24
_NAME = re.compile(r"replay-[0-9a-f]{40}\.npz")


@final
class Cache:
    """The kept replays of one folder.

    Args:
        folder: need not exist; None to keep nothing. most_bytes: of all files [bytes].
    """

    def __init__(self, folder: Path | None, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self.most_bytes = most_bytes

    def path_of(self, state: RunState) -> Path | None:
        """Return where the replay of a run is kept: told by its files, its law and this version."""
        if self.folder is None:
            return None
        law = "" if state.tracker.monitor.law is None else repr(state.tracker.monitor.law)
        first = [path for path, _, _ in state.reading.identity[:1]]
        parts = [SCHEMA, scalewatch.__version__, state.name, state.source, first, law]
        return self.folder / f"replay-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]}.npz"

    def load(self, state: RunState) -> bool:
        """Bring a new run to where a kept replay of it was; return whether there was one that fits.

        A log that has grown since then goes on from there: what was read is passed over.
        """
        path = self.path_of(state)
        if path is None or not path.is_file():
            return False
        try:
            meta, arrays = _read(path)
            if not _same_log(meta["identity"], state.reading.identity):
                return False
            rows = Rows.of(arrays)
            _restore(state, meta, rows)
        # whatever else such a file may hold, it is none of ours
        except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, ScalewatchError) as fault:
            _log.info("scalewatch: %s is no replay that can be used (%s): it is made anew.", path, fault)
            return False
        with contextlib.suppress(OSError):
            os.utime(path)  # the oldest goes first
        return True

    def keep(self, state: RunState) -> bool:
        """Keep a run that was read to its end; return whether it is kept.

        A folder that cannot be written is no reason to stop: it is told once a run in the log, at level info.
        """
        path = self.path_of(state)
        if path is None or state.tracker.rows < LEAST_ROWS or state.guard.failed:
            return False
        with state.lock:
            meta, arrays = _meta_of(state), state.rows.arrays()
        text = json.dumps(meta).encode()
        if len(text) > MOST_META_BYTES or sum(a.nbytes for a in arrays.values()) > MOST_FILE_BYTES - len(text) - 4096:
            return False
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".replay-")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    np.savez(file, meta=np.frombuffer(text, np.uint8), allow_pickle=False, **arrays)
                os.replace(name, path)
            except OSError:
                os.unlink(name)
                raise
            self._make_room()
        except OSError as fault:
            _log.info("scalewatch: %s cannot be kept: %s", path, fault)
            return False
        return True

    def _make_room(self) -> None:
        """Take the oldest files away until the rest fits."""
        assert self.folder is not None
        found = [(path.stat(), path) for path in self.folder.iterdir() if _NAME.fullmatch(path.name)]
        total = sum(status.st_size for status, _ in found)
        for status, path in sorted(found, key=lambda one: one[0].st_mtime_ns):
            if total <= self.most_bytes:
                return
            path.unlink(missing_ok=True)
            total -= status.st_size


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    size = path.stat().st_size
    if size > MOST_FILE_BYTES:
        raise ValueError("it is too large")
    try:
        with zipfile.ZipFile(path) as parts:
            if len(parts.infolist()) > len(COLUMN_TYPES) + 1 or any(i.file_size > size for i in parts.infolist()):
                raise ValueError("it is packed")
        with np.load(path, allow_pickle=False) as loaded:
            meta = loaded["meta"]
            if meta.dtype != np.uint8 or meta.size > MOST_META_BYTES:
                raise ValueError("its JSON is none")
            made = json.loads(meta.tobytes())
            arrays = {name: loaded[name] for name in loaded.files if name != "meta"}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RecursionError) as fault:
        raise ValueError(str(fault)) from None
    if not isinstance(made, dict) or made.get("schema") != SCHEMA:
        raise ValueError("it is of another version")
    return made, arrays


def _same_log(then: Any, now: list[tuple[str, int, int]]) -> bool:
    """Whether the files are the same, or the same with more at the end of the last, and later ones."""
    if not isinstance(then, list) or not 0 < len(then) <= len(now):
        return False
    for place, ((path, size, changed), one) in enumerate(zip(then, now, strict=False)):
        if one[0] != path or one[1] < size:
            return False
        if place < len(then) - 1 and (one[1], one[2]) != (size, changed):
            return False
        if one[1] == size and one[2] != changed:
            return False  # written over
    return True


def _meta_of(state: RunState) -> dict[str, Any]:
    traces = {"": state.charts.noise, **state.charts.precursors}
    return {
        "schema": SCHEMA,
        "identity": state.reading.identity,
        "rows_read": state.tracker.rows,
        "taken": state.reading.taken,
        "seconds_last": state.charts.seconds_last,
        "told_by_journal": state.tracker.from_journal,
        "findings": [finding_record(f) for f in state.findings],
        "advice": [advice_record(a) for a in state.tracker.advised],
        "looks": [list(look) for look in state.charts.looks],
        "validations": state.charts.validations,
        "traces": {name: [trace.steps, trace.values, trace.every] for name, trace in traces.items()},
        "monitor": state.tracker.monitor.state_dict(),
    }


def _restore(state: RunState, meta: dict[str, Any], rows: Rows) -> None:
    findings = [finding_from(f) for f in meta["findings"]]
    advice = [advice_from(a) for a in meta["advice"]]
    looks = [SavedForecast._make([*look[:-1], tuple(look[-1])]) for look in meta["looks"]]
    traces = {str(name): ThinnedSeries.of(*parts) for name, parts in meta["traces"].items()}
    validations = [(int(step), float(loss)) for step, loss in meta["validations"]]
    identity = [(str(path), int(size), int(changed)) for path, size, changed in meta["identity"]]
    taken, rows_read, last = int(meta["taken"]), int(meta["rows_read"]), meta["seconds_last"]
    state.tracker.monitor.load_state_dict(meta["monitor"])
    # from here on nothing can fail: a run is restored as a whole or not at all
    state.tracker.restore(findings, advice, rows_read, from_journal=bool(meta["told_by_journal"]))
    state.charts.looks, state.charts.validations = looks, validations
    state.reading.identity = identity
    state.charts.noise = traces.pop("", ThinnedSeries())
    state.charts.precursors = traces
    state.charts.seconds_last = last if isinstance(last, float | int) else None
    state.resume_at(rows, taken)

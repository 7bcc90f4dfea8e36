"""trackio's database: a table `metrics` with a row of JSON for each call of `trackio.log`, in SQLite.

It lies at `~/.cache/huggingface/trackio/PROJECT.db`, or where `TRACKIO_DIR` says. It is not written to, and trackio is
not needed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, final

from scalewatch.errors import LogError
from scalewatch.logs.database import asked, has_columns, opened
from scalewatch.logs.formats.json_lines import flattened
from scalewatch.logs.log import AbstractFormat, AbstractLog
from scalewatch.logs.record_log import AbstractRecordLog
from scalewatch.logs.run_tables import named_runs
from scalewatch.logs.sample import Sample

__all__ = ["Trackio"]


@final
class TrackioLog(AbstractRecordLog):
    """One run of a project.

    Args:
        path: of the database. name: of the run. columns: field -> metric, as the user says.

    Raises:
        LogError: if no loss can be told.
    """

    def __init__(self, path: Path, name: str, columns: Mapping[str, str]) -> None:
        super().__init__(name, path, columns, unit="row")
        self._name, self._last = name, -1
        names: dict[str, None] = {}
        sample = Sample()
        for record in self.records():
            names.update(dict.fromkeys(record))
            if not sample.add(record):
                break
        self._last = -1
        self.set_columns(names, sample, {"step": "step", "seconds": "timestamp"})

    def records(self) -> Iterator[Mapping[str, Any]]:
        """Yield a record for each call of `trackio.log` that is new; one that cannot be read is noted."""
        query = "SELECT id, step, timestamp, metrics FROM metrics WHERE run_name = ? AND id > ? ORDER BY id"
        try:
            with closing(opened(self.path)) as connection:
                for place, step, time, metrics in connection.execute(query, [self._name, self._last]):
                    self._last = place
                    try:
                        told = json.loads(metrics)
                    except (ValueError, RecursionError):
                        self.note(f"row {place}: no JSON; left out")
                        continue
                    yield {**flattened(told if isinstance(told, dict) else {}), "step": step, "timestamp": time}
        except sqlite3.Error as fault:
            self.note(f"the database cannot be read on: {fault}")


@final
class Trackio(AbstractFormat):
    """The runs in a database of trackio."""

    name: ClassVar[str] = "trackio"

    def claims(self, path: Path) -> bool:
        """Return whether it is a SQLite database with trackio's metrics."""
        return has_columns(path, "metrics", ("id", "run_name", "step", "timestamp", "metrics"))

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """Return each run that has a loss."""
        logs: list[AbstractLog] = []
        faults: list[LogError] = []
        for path in paths:
            names = asked(path, "SELECT run_name FROM metrics GROUP BY run_name ORDER BY MIN(id)")
            for run in named_runs(name for (name,) in names):
                try:
                    logs.append(TrackioLog(path, run, columns))
                except LogError as fault:
                    faults.append(fault)
        if not logs:
            raise faults[0] if faults else LogError(f"{paths[0]}: holds no run.")
        if faults:
            logs[0].note(f"{len(faults)} other runs of the database have no loss and are left out")
        return logs

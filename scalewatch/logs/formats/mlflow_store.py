"""MLflow's own stores: a folder of text files, and a database of SQLite.

A run of the file store is a folder with `meta.yaml` and, below `metrics`, a file for each metric with a line
`milliseconds value step` for each value (https://mlflow.org/docs/latest/self-hosting/architecture/backend-store); the
database has a row for each value in its table `metrics`. Neither is written to, and MLflow is not needed.
"""

from __future__ import annotations

import math
import sqlite3
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, final

from scalewatch.errors import LogError
from scalewatch.logs.columns import placed, total_of
from scalewatch.logs.database import asked, has_columns, opened
from scalewatch.logs.lines import Lines, head
from scalewatch.logs.log import AbstractFormat, AbstractLog
from scalewatch.logs.naming import META, METRICS
from scalewatch.logs.record_log import AbstractRecordLog
from scalewatch.logs.sample import Sample
from scalewatch.logs.values import number

__all__ = ["MlflowDatabase", "MlflowFiles"]

#: The folder of what was set, beside that of the metrics.
PARAMS = "params"
#: What the step and the time of a value are called here.
_STEP, _TIME = "step", "timestamp"
#: One value: its step, when it was logged [ms], name and number.
_Point = tuple[int, float, str, float | None]
#: MLflow writes this for infinity into its database, which has none. By definition.
_MOST = 1.7976931348623157e308
#: Metrics of one run at most.
MOST_METRICS = 5_000


class _MlflowLog(AbstractRecordLog):
    """One run: its values in the order of their steps, those of one step as one record."""

    def __init__(self, name: str, path: Path, asked_for: Mapping[str, str]) -> None:
        super().__init__(name, path, asked_for, unit="step")
        self._newest: int | None = None

    def begin(self, names: Sequence[str], params: Mapping[str, str]) -> None:
        """Decide what is what.

        Raises:
            LogError: if no loss can be told.
        """
        if not names:
            raise LogError(f"{self.path}: is empty: the run '{self.name:.60}' has logged nothing.")
        names = names[:MOST_METRICS]
        sample = Sample()
        for record in self._grouped(self.points(names)):
            if not sample.add(record):
                break
        known = {"step": _STEP, "seconds": _TIME}
        self.set_columns(dict.fromkeys([_STEP, _TIME, *names]), sample, known)
        settings = Sample()
        settings.add(params)
        self._plan_to(total_of(params, settings), sample)

    @abstractmethod
    def points(self, names: Sequence[str], after: int | None = None) -> Iterator[_Point]:
        """Yield the values of some metrics, by step and time, those after a step if one is given."""

    def records(self) -> Iterator[Mapping[str, Any]]:
        """Yield a record for each step that is new."""
        epochs = [name for name in self._seen if placed(name, ("epoch",)) is not None]
        wanted = dict.fromkeys([*self.columns.values(), *epochs])
        for record in self._grouped(self.points([name for name in wanted if name not in (_STEP, _TIME)], self._newest)):
            self._newest = record[_STEP]
            yield record

    def _grouped(self, points: Iterator[_Point]) -> Iterator[dict[str, Any]]:
        record: dict[str, Any] = {}
        for step, time, name, value in points:
            if record and record[_STEP] != step:
                yield record
                record = {}
            record[_STEP], record[_TIME], record[name] = step, time / 1000.0, value
        if record:
            yield record


@final
class MlflowFilesLog(_MlflowLog):
    """One run of the file store.

    Args:
        meta: its `meta.yaml`. columns: field -> metric, as the user says.

    Raises:
        LogError: if no loss can be told.
    """

    def __init__(self, meta: Path, columns: Mapping[str, str]) -> None:
        folder = meta.parent
        told = dict(line.split(": ", 1) for line in head(meta).splitlines() if ": " in line)
        super().__init__(told.get("run_name", "").strip("'\" ") or folder.name, folder, columns)
        self._metrics = folder / METRICS
        files = sorted(path for path in self._metrics.rglob("*") if path.is_file())
        self.bytes_total = sum(path.stat().st_size for path in files)
        params = {path.name: head(path, 256) for path in (folder / PARAMS).glob("*") if path.is_file()}
        self.begin([path.relative_to(self._metrics).as_posix() for path in files], params)

    def points(self, names: Sequence[str], after: int | None = None) -> Iterator[_Point]:
        """Yield the values of some metrics; a line that holds none is noted."""
        every: list[_Point] = []
        for name in names:
            place = self._metrics / name
            bad = 0
            for line in Lines(place, self.note).new() if place.is_file() else ():
                time, value, step = (*line.split(" "), "", "", "0")[:3]
                try:
                    every.append((int(step), int(time), name, number(value)))
                except ValueError:
                    bad += bool(line.strip())
            if bad:
                self.note(f"{name:.60}: {bad} lines are no values and are left out")
        every.sort(key=lambda point: point[:2])
        return (point for point in every if after is None or point[0] > after)


@final
class MlflowDatabaseLog(_MlflowLog):
    """One run of a database.

    Args:
        path: of the database. run: its id. name: its name. columns: field -> metric, as the user says.

    Raises:
        LogError: if no loss can be told, or it cannot be read.
    """

    def __init__(self, path: Path, run: str, name: str, columns: Mapping[str, str]) -> None:
        super().__init__(name or run, path, columns)
        self._run = run
        names = asked(path, "SELECT DISTINCT key FROM metrics WHERE run_uuid = ? ORDER BY key", [run])
        params = asked(path, "SELECT key, value FROM params WHERE run_uuid = ?", [run])
        self.begin([key for (key,) in names], dict(params))

    def points(self, names: Sequence[str], after: int | None = None) -> Iterator[_Point]:
        """Yield the values of some metrics; what cannot be read is noted."""
        places = ", ".join("?" * len(names))
        query = (
            "SELECT step, timestamp, key, value, is_nan FROM metrics WHERE run_uuid = ? AND step > ? "
            f"AND key IN ({places}) ORDER BY step, timestamp"
        )
        given = [self._run, -(2**63) if after is None else after, *names]
        try:
            with closing(opened(self.path)) as connection:
                for step, time, name, told, is_nan in connection.execute(query, given):
                    value, ms = number(told), number(time)
                    if value is not None and abs(value) >= _MOST:
                        value = math.copysign(math.inf, value)
                    yield step, ms or 0.0, name, math.nan if is_nan else value
        except sqlite3.Error as fault:
            self.note(f"the database cannot be read on: {fault}")


@final
class MlflowFiles(AbstractFormat):
    """A run in MLflow's file store."""

    name: ClassVar[str] = "mlflow"

    def claims(self, path: Path) -> bool:
        """Return whether it is the `meta.yaml` of a run."""
        return path.name == META and (path.parent / METRICS).is_dir()

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """Return one run for each file that is not of a deleted run."""
        return [MlflowFilesLog(path, columns) for path in paths if "lifecycle_stage: deleted" not in head(path)]


@final
class MlflowDatabase(AbstractFormat):
    """The runs in a database of MLflow."""

    name: ClassVar[str] = "mlflow-db"

    def claims(self, path: Path) -> bool:
        """Return whether it is a SQLite database with MLflow's metrics."""
        return has_columns(path, "metrics", ("run_uuid", "key", "value", "step", "timestamp", "is_nan"))

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """Return each run that has a loss."""
        logs: list[AbstractLog] = []
        faults: list[LogError] = []
        for path in paths:
            query = "SELECT run_uuid, name FROM runs WHERE lifecycle_stage = 'active' ORDER BY start_time"
            for run, name in asked(path, query):
                try:
                    logs.append(MlflowDatabaseLog(path, run, name, columns))
                except LogError as fault:
                    faults.append(fault)
        if not logs:
            raise faults[0] if faults else LogError(f"{paths[0]}: holds no run.")
        named = [log.name for log in logs]
        for log in logs:
            if named.count(log.name) > 1 and isinstance(log, MlflowDatabaseLog):
                log.name = f"{log.name}/{log._run[:8]}"
        if faults:
            logs[0].note(f"{len(faults)} other runs of the database have no loss and are left out")
        return logs

"""Parquet and feather, if pyarrow is installed: read batch by batch."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from scalewatch.columns import Columns
from scalewatch.errors import LogError
from scalewatch.logs.columns import run_column
from scalewatch.logs.log import BLOCK_ROWS, AbstractFormat, AbstractLog
from scalewatch.logs.naming import run_name
from scalewatch.logs.run_tables import finished_runs, named_runs
from scalewatch.logs.sample import MOST_ROWS, Sample
from scalewatch.logs.tabular import AbstractBlockLog
from scalewatch.observation import Observation
from scalewatch.run import Run

__all__ = ["Parquet", "ParquetLog"]

_FEATHER = frozenset({".feather", ".arrow", ".ipc"})


@final
class ParquetLog(AbstractBlockLog):
    """One parquet file as one run.

    Args:
        path: the file. name: of the run. columns: field -> column, as the user says. only: of a file of several runs
            the column that names them, and the one to read.

    Raises:
        LogError: if pyarrow is not installed, the file is no parquet, or no loss can be told.
    """

    def __init__(self, path: Path, name: str, columns: Mapping[str, str], only: tuple[str, str] | None = None) -> None:
        super().__init__(name, path, columns, unit="row")
        self._only = only
        arrow, file = _opened(path)
        types = arrow.types
        plain = [f.name for f in file.schema_arrow if not (types.is_nested(f.type) or types.is_boolean(f.type))]
        sample = Sample()
        try:
            batches = (self._own(batch) for batch in file.iter_batches(columns=plain))
            first = next((batch.slice(0, MOST_ROWS) for batch in batches if len(batch)), None)
            any(not sample.add(record) for record in ([] if first is None else first.to_pylist()))
        except (arrow.ArrowException, OSError) as fault:
            self.note(f"damaged at its start: {str(fault)[:80]!r}")
        if "loss" not in self.asked and (why := finished_runs(plain, sample)) is not None:
            raise LogError(f"{path}: {why}")
        self.set_columns(plain, sample)
        self._given = self._seen_rows = 0

    @property
    def names(self) -> list[str]:
        """The columns, in their order."""
        return list(self._seen)

    def _own(self, batch: Any) -> Any:
        """The rows of the run to read."""
        if self._only is None:
            return batch
        column, run = self._only
        compute = importlib.import_module("pyarrow.compute")
        return batch.filter(compute.equal(batch.column(column).cast("string"), run))

    def blocks(self) -> Iterator[tuple[Run, Columns]]:
        """Yield every row, once, in blocks: a parquet file is written when the run is over."""
        if self._given:
            return
        arrow, file = _opened(self.path)
        wanted = [name for name in file.schema_arrow.names if self.covers([name])]
        try:
            for batch in file.iter_batches(columns=wanted):
                own = self._own(batch)
                for at in range(0, len(own), BLOCK_ROWS):
                    yield from self._block(own.slice(at, BLOCK_ROWS))
                self._seen_rows += len(batch)
                self.bytes_read = self.bytes_total * self._seen_rows // max(file.metadata.num_rows, 1)
        except (arrow.ArrowException, OSError) as fault:
            self.note(f"damaged after row {self._given}: {str(fault)[:80]!r}")
        yield from self.gathered(self.assembled.flush())

    def _block(self, batch: Any) -> Iterator[tuple[Run, Columns]]:
        cells = batch.to_pydict()
        rows = self.assembled.plain(cells.get, len(batch))
        if rows is None:
            yield from self.gathered(row for at in range(len(batch)) for row in self._one(cells, at))
        else:
            yield from self.stretches(rows, lambda at: self._one(cells, at), self._count)

    def _one(self, cells: Mapping[str, list[Any]], at: int) -> Iterable[Observation]:
        self._given += 1
        return self.assembled.add({name: column[at] for name, column in cells.items()}, self._given)

    def _count(self, rows: int) -> None:
        self._given += rows


def _opened(path: Path) -> tuple[Any, Any]:
    """Return pyarrow and the open file; a log holds neither, since it may go to another process."""
    try:
        # imported by name: pyarrow ships no types
        arrow, parquet = (importlib.import_module(name) for name in ("pyarrow", "pyarrow.parquet"))
    except ImportError:
        raise LogError(f"{path}: reading parquet needs pyarrow: pip install pyarrow, or export as CSV.") from None
    try:
        return arrow, _Feather(path) if path.suffix.lower() in _FEATHER else parquet.ParquetFile(path)
    except (arrow.ArrowException, OSError) as fault:
        kind = "feather" if path.suffix.lower() in _FEATHER else "parquet"
        raise LogError(f"{path}: is no {kind} file, or cut off: {str(fault)[:100]!r}.") from None


@final
class _Feather:
    """A feather file as pyarrow gives a parquet file: its schema, how many rows it has, and its batches."""

    def __init__(self, path: Path) -> None:
        self._table = importlib.import_module("pyarrow.feather").read_table(path, memory_map=True)
        self.schema_arrow, self.metadata = self._table.schema, self._table

    def iter_batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yield the rows of some columns, some at once."""
        yield from self._table.select(columns).to_batches()


@final
class Parquet(AbstractFormat):
    """A parquet or feather file with any column names."""

    name: ClassVar[str] = "parquet"

    def claims(self, path: Path) -> bool:
        """Return whether it is named so."""
        return path.suffix.lower() in (".parquet", ".pq", *_FEATHER)

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """Return one run for each file."""
        return [log for path in paths for log in _runs_in(path, columns)]


def _runs_in(path: Path, columns: Mapping[str, str]) -> list[AbstractLog]:
    """Return the run of a file, or each of those that a column names."""
    first = ParquetLog(path, run_name(path), columns)
    column = run_column(first.names)
    if column is None or column in first.asked.values():
        return [first]
    batches = _opened(path)[1].iter_batches(columns=[column])
    runs = named_runs(cell for batch in batches for cell in batch.column(0).unique().to_pylist())
    if len(runs) < 2:
        return [first]
    return [ParquetLog(path, f"{run_name(path)}/{run:.60}", columns, only=(column, run)) for run in runs]

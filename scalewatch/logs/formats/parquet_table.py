"""Parquet, if pyarrow is installed: read batch by batch."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from scalewatch.errors import LogError
from scalewatch.logs.log import AbstractFormat, AbstractLog
from scalewatch.logs.naming import run_name
from scalewatch.logs.run_tables import finished_runs
from scalewatch.logs.sample import MOST_ROWS, Sample
from scalewatch.logs.tabular import AbstractTabularLog
from scalewatch.observation import Observation

__all__ = ["Parquet", "ParquetLog"]

BATCH_ROWS = 8_192


@final
class ParquetLog(AbstractTabularLog):
    """One parquet file as one run.

    Raises:
        LogError: if pyarrow is not installed, the file is no parquet, or no loss can be told.
    """

    def __init__(self, path: Path, name: str, columns: Mapping[str, str]) -> None:
        super().__init__(name, path, columns, unit="row")
        try:
            # imported by name: pyarrow ships no types
            self._arrow, parquet = (importlib.import_module(n) for n in ("pyarrow", "pyarrow.parquet"))
        except ImportError:
            raise LogError(f"{path}: reading parquet needs pyarrow: pip install pyarrow, or export as CSV.") from None
        try:
            self._file: Any = parquet.ParquetFile(path)
        except (self._arrow.ArrowException, OSError) as fault:
            raise LogError(f"{path}: is no parquet file, or cut off: {str(fault)[:100]!r}.") from None
        arrow = self._arrow.types
        schema = self._file.schema_arrow
        plain = [f.name for f in schema if not (arrow.is_nested(f.type) or arrow.is_boolean(f.type))]
        sample = Sample()
        try:
            first = next(self._file.iter_batches(batch_size=MOST_ROWS, columns=plain), None)
            any(not sample.add(record) for record in ([] if first is None else first.to_pylist()))
        except (self._arrow.ArrowException, OSError) as fault:
            self.note(f"damaged at its start: {str(fault)[:80]!r}")
        if "loss" not in self.asked and (why := finished_runs(plain, sample)) is not None:
            raise LogError(f"{path}: {why}")
        self.set_columns(plain, sample)
        self._given = 0

    def rows(self) -> Iterator[Observation]:
        """Yield every row, once: a parquet file is written when the run is over."""
        if self._given:
            return
        wanted = [name for name in self._file.schema_arrow.names if self.covers([name])]
        try:
            for batch in self._file.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
                for record in batch.to_pylist():
                    self._given += 1
                    yield from self.assembled.add(record, self._given)
                self.bytes_read = self.bytes_total * self._given // max(self._file.metadata.num_rows, 1)
        except (self._arrow.ArrowException, OSError) as fault:
            self.note(f"damaged after row {self._given}: {str(fault)[:80]!r}")
        yield from self.assembled.flush()


@final
class Parquet(AbstractFormat):
    """A parquet file with any column names."""

    name: ClassVar[str] = "parquet"

    def claims(self, path: Path) -> bool:
        """Return whether it is named so."""
        return path.suffix.lower() in (".parquet", ".pq")

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """Return one run for each file."""
        return [ParquetLog(path, run_name(path), columns) for path in paths]

"""What logs have in common whose rows come as records, one for each step or so: databases and stores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from scalewatch.columns import Columns
from scalewatch.logs.log import BLOCK_ROWS
from scalewatch.logs.tabular import AbstractBlockLog
from scalewatch.observation import Observation
from scalewatch.run import Run

__all__ = ["AbstractRecordLog"]

#: Records that are taken one by one at the beginning: what a run's rows have is learnt from them. By hand.
FIRST_RECORDS = 16


class AbstractRecordLog(AbstractBlockLog):
    """One run whose rows are records of cells by name."""

    _given = 0

    @abstractmethod
    def records(self) -> Iterator[Mapping[str, Any]]:
        """Yield what is new, in the order of the steps."""

    def blocks(self) -> Iterator[tuple[Run, Columns]]:
        """Yield what is new, in blocks."""
        records = self.records()
        while part := list(islice(records, BLOCK_ROWS if self._given else FIRST_RECORDS)):
            new = dict.fromkeys(name for record in part for name in record)
            if not self.covers(new):
                self.add_columns(new)
            yield from self._block(part)
        self.bytes_read = self.bytes_total
        yield from self.gathered(self.assembled.flush())

    def _block(self, part: list[Mapping[str, Any]]) -> Iterator[tuple[Run, Columns]]:
        rows = self.assembled.plain(lambda name: [record.get(name) for record in part], len(part))
        if rows is None:
            yield from self.gathered(row for at in range(len(part)) for row in self._one(part[at]))
        else:
            yield from self.stretches(rows, lambda at: self._one(part[at]), self._count)

    def _one(self, record: Mapping[str, Any]) -> Iterable[Observation]:
        self._given += 1
        return self.assembled.add(record, self._given)

    def _count(self, rows: int) -> None:
        self._given += rows

"""Rows of a training log, column by column: what many rows at once are told as."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, final

from scalewatch.observation import Observation

__all__ = ["Columns"]

#: A column: a value for each row, None in a row that has none; None instead of one where no row has any.
Column = Sequence[Any] | None


@final
class Columns:
    """Rows of a log as columns; a row of it is the `Observation` with the same values.

    Args:
        fields: a column for each field of `Observation`, in their order, each of shape (rows,); None for one that no
            row has.

    >>> columns = Columns.of([Observation(1, 3.5), Observation(2, 3.25, grad_norm=0.5)])
    >>> columns.steps, columns.grad_norms, columns.tokens
    ((1, 2), (None, 0.5), None)
    >>> list(columns.rows())[1] == Observation(2, 3.25, grad_norm=0.5)
    True
    """

    __slots__ = ("fields",)

    def __init__(self, fields: Sequence[Column]) -> None:
        self.fields = tuple(fields)

    @classmethod
    def of(cls, rows: Iterable[Observation]) -> Columns:
        """Return rows as columns."""
        columns = list(zip(*rows, strict=True)) or [()] * len(Observation._fields)
        return cls([column if place < 2 or any_given(column) else None for place, column in enumerate(columns)])

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def steps(self) -> Sequence[int]:
        """Optimizer steps completed."""
        return self.fields[0] or ()

    @property
    def losses(self) -> Sequence[float]:
        """Training losses [nats/token]."""
        return self.fields[1] or ()

    @property
    def learning_rates(self) -> Column:
        """Learning rates."""
        return self.fields[2]

    @property
    def grad_norms(self) -> Column:
        """L2 norms of the gradient before clipping."""
        return self.fields[3]

    @property
    def tokens(self) -> Column:
        """Tokens consumed."""
        return self.fields[4]

    @property
    def validation_losses(self) -> Column:
        """Losses on held-out text [nats/token]."""
        return self.fields[5]

    @property
    def seconds(self) -> Column:
        """Wall-clock times [s]."""
        return self.fields[6]

    @property
    def others(self) -> tuple[Column, ...]:
        """What few logs have: losses of ranks, precursors, phases."""
        return self.fields[7:]

    def row(self, place: int) -> Observation:
        """Return one row."""
        return Observation._make(None if column is None else column[place] for column in self.fields)

    def rows(self) -> Iterator[Observation]:
        """Yield every row."""
        columns = (repeat(None) if column is None else column for column in self.fields)
        return map(Observation._make, zip(*columns, strict=False))

    def part(self, first: int, end: int) -> Columns:
        """Return the rows from `first` to before `end`."""
        if first <= 0 and end >= len(self):
            return self
        return Columns([None if column is None else column[first:end] for column in self.fields])


def any_given(column: Sequence[Any]) -> bool:
    """Return whether a row of a column has a value."""
    return column.count(None) < len(column)

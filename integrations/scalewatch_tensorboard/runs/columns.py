"""The rows of one run in compact arrays that grow: 36 bytes a row at most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from scalewatch.observation import Observation

__all__ = ["COLUMN_TYPES", "Columns", "Row", "Rows", "row_of"]

Singles = NDArray[np.float32]

#: Every column with what it is kept as; a loss in float32 is exact to 1e-7.
COLUMN_TYPES: Mapping[str, type] = {
    "steps": np.int64,
    "losses": np.float32,
    "learning_rates": np.float32,
    "grad_norms": np.float32,
    "seconds": np.float64,
    "tokens": np.float32,
    "sigmas": np.float32,
}
#: A column that is full grows by this factor, from this many rows.
GROWTH, FIRST_ROWS = 1.3, 1024
#: Rows for which room is made at once at most: their addresses are taken, not their memory.
MOST_EXPECTED = 20_000_000


class Row(NamedTuple):
    """One row to be kept, NaN where a number is missing."""

    step: int
    loss: float
    learning_rate: float
    grad_norm: float
    seconds: float
    tokens: float
    sigmas: float


class Columns(NamedTuple):
    """The rows of a run, oldest first, each step once; arrays of shape (n,), NaN where a number is missing.

    Attributes:
        steps: optimizer steps completed. losses: [nats/token]. learning_rates. grad_norms: L2 norm before clipping.
        seconds: wall-clock time from any origin [s]. tokens: consumed so far. sigmas: the loss against the run's own
            level, in standard deviations of its noise.
    """

    steps: NDArray[np.int64]
    losses: Singles
    learning_rates: Singles
    grad_norms: Singles
    seconds: NDArray[np.float64]
    tokens: Singles
    sigmas: Singles


def row_of(observation: Observation, step: int, sigmas: float) -> Row:
    """Return an observation as a row, under the step that it counts as."""
    nan = math.nan
    loss, rate, norm, seconds, tokens = (
        observation.loss,
        observation.learning_rate,
        observation.grad_norm,
        observation.seconds,
        observation.tokens,
    )
    return Row(
        step,
        nan if loss is None else float(loss),
        nan if rate is None else float(rate),
        nan if norm is None else float(norm),
        nan if seconds is None else float(seconds),
        nan if tokens is None else float(tokens),
        sigmas,
    )


@final
class Rows:
    """Takes rows in the order of the log; a step back drops what came after it.

    What `columns` returned stays as it was.

    >>> rows = Rows()
    >>> nan = float("nan")
    >>> for step in (1, 2, 3, 2):
    ...     rows.add(Row(step, 4.0 - step, nan, nan, nan, nan, 0.0))
    >>> rows.columns().steps.tolist()
    [1, 2]
    """

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}
        self._length = 0
        self._pending: list[Row] = []
        self.last_step: int | None = None
        self._expected = self._place = 0
        #: How often rows were dropped [count].
        self.rewinds = 0

    def __len__(self) -> int:
        return self._length + len(self._pending)

    def add(self, row: Row) -> None:
        """Take the next row; the same step again is passed over."""
        last = self.last_step
        if last is not None and row.step <= last:
            if row.step == last:
                return
            self.rewind(row.step)
        self._pending.append(row)
        self.last_step = row.step
        if len(self._pending) >= FIRST_ROWS:
            self.flush()

    def extend(self, chunk: Sequence[Observation | int]) -> None:
        """Take observations as they are, without what the monitor says of them; an integer is a step to go on after."""
        steps = np.array([one if isinstance(one, int) else one.step for one in chunk], dtype=np.int64)
        first = -math.inf if self.last_step is None else self.last_step
        plain = all(isinstance(one, Observation) for one in chunk)
        if not plain or not len(steps) or not steps[0] > first or bool((np.diff(steps) <= 0).any()):
            for one in chunk:
                if isinstance(one, Observation):
                    self.add(row_of(one, one.step, math.nan))
                elif self.last_step is not None and self.last_step > one:
                    self.rewind(one + 1)
            return
        self.flush()
        _, losses, rates, norms, tokens, _, seconds, *_ = zip(*chunk, strict=True)
        given = (steps, losses, rates, norms, seconds, tokens, None)
        self._append(len(steps), given)
        self.last_step = int(steps[-1])

    def rewind(self, step: int) -> None:
        """Drop the rows from `step` on: they were trained away."""
        self.flush()
        if not self._length:
            return
        kept = int(np.searchsorted(self._arrays["steps"][: self._length], step))
        if kept < self._length:
            self.rewinds += 1
            # what somebody was given of these arrays must not change below it
            self._arrays = {name: array[:kept].copy() for name, array in self._arrays.items()}
            self._length = kept
        self.last_step = int(self._arrays["steps"][kept - 1]) if kept else None

    def expect(self, count: int) -> None:
        """Make room for so many rows at once when there is need for more: an array that grows leaves holes behind."""
        self._expected = min(count, MOST_EXPECTED)

    def put(self, row: Row) -> None:
        """Take the next row that is watched; of one that is there already only how it stands in the noise."""
        if self._place >= self._length:
            self.add(row)
            self._place = len(self)
            return
        steps, place = self._arrays["steps"], self._place
        if steps[place] != row.step:
            self._place = place = int(np.searchsorted(steps[: self._length], row.step))
            if place >= self._length or steps[place] != row.step:
                return  # trained away later
        self._room("sigmas", np.float32, self._length)[place] = row.sigmas
        self._place = place + 1

    def flush(self) -> None:
        """Move what was added lately into the arrays."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        self._append(len(pending), tuple(zip(*pending, strict=True)))

    def _append(self, count: int, columns: Sequence[Any]) -> None:
        begin, end = self._length, self._length + count
        for (name, kind), values in zip(COLUMN_TYPES.items(), columns, strict=True):
            if values is None and name not in self._arrays:
                continue
            array = np.asarray(np.nan if values is None else values, dtype=np.int64 if kind is np.int64 else np.float64)
            if name not in self._arrays and kind is not np.int64 and bool(np.isnan(array).all()):
                continue  # a column that the log does not have takes no memory
            with np.errstate(over="ignore"):
                self._room(name, kind, end)[begin:end] = array
        self._length = end

    def _room(self, name: str, kind: type, end: int) -> NDArray[Any]:
        known = self._arrays.get(name)
        if known is None or len(known) < end:
            size = max(math.ceil(GROWTH * max(end, self._expected)), FIRST_ROWS)
            # what is not written to takes no memory yet
            grown: NDArray[Any] = np.empty(size, dtype=kind)
            if known is not None:
                grown[: self._length] = known[: self._length]
            elif self._length:
                grown[: self._length] = np.nan
            self._arrays[name] = known = grown
        return known

    def columns(self) -> Columns:
        """Return the rows so far, without a copy."""
        self.flush()
        return Columns(**{name: self._column(name, kind) for name, kind in COLUMN_TYPES.items()})

    def _column(self, name: str, kind: type) -> NDArray[Any]:
        array = self._arrays.get(name)
        if array is not None:
            made = array[: self._length]
            made.flags.writeable = False
            return made
        return np.broadcast_to(np.array(np.nan if kind is not np.int64 else 0, dtype=kind), (self._length,))

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> Rows:
        """Take back columns that were kept; those that are missing were never there.

        Raises:
            ValueError: if they are no columns of one run.
        """
        rows = cls()
        steps = arrays.get("steps")
        if steps is None or any(
            name not in COLUMN_TYPES or array.dtype != COLUMN_TYPES[name] or array.shape != steps.shape
            for name, array in arrays.items()
        ):
            raise ValueError("they are no columns of one run")
        if steps.ndim != 1 or bool((np.diff(steps) <= 0).any()):
            raise ValueError("their steps do not rise")
        rows._arrays = dict(arrays)
        rows._length = rows._place = len(steps)
        rows.last_step = int(steps[-1]) if len(steps) else None
        return rows

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the columns that the log has, by name, for keeping."""
        self.flush()
        return {name: array[: self._length] for name, array in self._arrays.items()}

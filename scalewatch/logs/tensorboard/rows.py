"""Scalars of several tags, put together into one row a step."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from scalewatch.observation import Observation

__all__ = ["FIELD_NUMBERS", "Measured", "RowMaker"]

#: What a scalar can be; its place in this tuple is its number.
_FIELDS = ("loss", "learning_rate", "grad_norm", "tokens", "validation_loss", "seconds", "step")
FIELD_NUMBERS = {field: number for number, field in enumerate(_FIELDS)}
_LOSS, _VALIDATION, _SECONDS, _STEP = (FIELD_NUMBERS[f] for f in ("loss", "validation_loss", "seconds", "step"))
#: Rows of earlier files that are remembered, to tell a repetition [rows]; 16 bytes each.
MAX_REMEMBERED = 1 << 19
#: Pieces in which they are kept, and rows of one step among them that are looked at.
MAX_PIECES = 256
MAX_SAME_STEP = 8
_MOST_STEP = 2.0**62


@final
class Measured(NamedTuple):
    """Scalars that are fields of rows, in the order in which they were written; arrays of shape (n,).

    Attributes:
        fields: their `FIELD_NUMBERS`.
        steps, wall_times, values: as in `Scalars`.
    """

    fields: NDArray[np.int64]
    steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]
    values: NDArray[np.float64]

    def at(self, which: NDArray[np.int64]) -> Measured:
        """Some of them."""
        return Measured(self.fields[which], self.steps[which], self.wall_times[which], self.values[which])

    def and_then(self, other: Measured) -> Measured:
        """These and then those."""
        steps = np.concatenate((self.steps, other.steps))
        times = np.concatenate((self.wall_times, other.wall_times))
        fields, values = np.concatenate((self.fields, other.fields)), np.concatenate((self.values, other.values))
        return Measured(fields, steps, times, values)


#: Steps and losses.
_Known = tuple[NDArray[np.int64], NDArray[np.float64]]
_NOTHING = Measured(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


@final
class RowMaker:
    """Merges what was written at one step into one row.

    A row is made where there is a training loss. A validation loss at a step without one goes to the next row, at
    the end of the log to the last. A second loss at the same step is a second row. The last row is held back until
    a later one comes or `flush` is called, because its step may not be complete.
    """

    def __init__(self) -> None:
        #: Rows left out because an earlier file has the same step and loss [count].
        self.repeated = 0
        self._held = _NOTHING
        self._held_rows = np.zeros(0, np.int64)
        self._recent: list[_Known] = []
        self._recent_rows = 0
        self._earlier: _Known | None = None

    def bare(self) -> RowMaker:
        """Return one that has no row of earlier files: a later file has the log read from its start."""
        maker = RowMaker()
        maker.repeated, maker._held, maker._held_rows = self.repeated, self._held, self._held_rows
        return maker

    def next_file(self) -> None:
        """What follows stands in another file, which may repeat rows of the earlier ones."""
        if not self._recent:
            return
        steps, losses = self._join()
        order = np.argsort(steps, kind="stable")
        self._earlier = steps[order], losses[order]

    def add(self, new: Measured) -> Iterator[Observation]:
        """Take some more scalars; return the rows that are complete with them."""
        if len(new.steps):
            yield from self._rows(self._held.and_then(new), at_end=False)

    def flush(self) -> Iterator[Observation]:
        """Return the row that was held back, if there is one."""
        if len(self._held.steps):
            yield from self._rows(self._held, at_end=True)

    def _rows(self, all_: Measured, at_end: bool) -> Iterator[Observation]:
        row_of = _rows_of(all_, self._held_rows)
        count = int(row_of[-1]) + 1
        values = np.full((len(_FIELDS), count), np.nan)
        given = np.zeros((len(_FIELDS), count), np.bool_)
        values[all_.fields, row_of] = all_.values
        given[all_.fields, row_of] = True
        is_loss = all_.fields == _LOSS
        times = np.zeros(count)
        times[row_of[is_loss]] = all_.wall_times[is_loss]
        values[_SECONDS] = np.where(given[_SECONDS], values[_SECONDS], times)
        given[_SECONDS] |= times != 0.0
        rows = np.flatnonzero(given[_LOSS])
        last = int(rows[-1]) if len(rows) else -1
        waiting = _hand_on(values, given, rows, at_end)
        # What later scalars may add to: the open row, the open step, validation losses on their way to a row.
        kept = row_of == count - 1
        if at_end:
            kept &= (row_of != last) & ((all_.fields != _VALIDATION) | np.isin(row_of, waiting))
        else:
            kept |= (row_of == last) | (np.isin(row_of, waiting) & (all_.fields == _VALIDATION))
            rows = rows[:-1]
        held = np.flatnonzero(kept)
        held = held[_newest_of_each(row_of[held], all_.fields[held])]
        self._held, self._held_rows = all_.at(held), row_of[held]
        steps = all_.steps[np.searchsorted(row_of, rows)]
        yield from self._observations(steps, values[:, rows], given[:, rows])

    def _observations(
        self, steps: NDArray[np.int64], values: NDArray[np.float64], given: NDArray[np.bool_]
    ) -> Iterator[Observation]:
        asked = given[_STEP] & np.isfinite(values[_STEP])
        if asked.any():
            wanted = np.clip(np.where(asked, values[_STEP], 0.0), -_MOST_STEP, _MOST_STEP)
            steps = np.where(asked, np.rint(wanted).astype(np.int64), steps)
        fresh = ~self._is_repeated(steps, values[_LOSS])
        if not fresh.all():
            self.repeated += int((~fresh).sum())
            steps, values, given = steps[fresh], values[:, fresh], given[:, fresh]
        self._remember(steps, values[_LOSS])
        columns = (_column(values[number], given[number]) for number in range(1, _STEP))
        return map(Observation, steps.tolist(), values[_LOSS].tolist(), *columns)

    def _is_repeated(self, steps: NDArray[np.int64], losses: NDArray[np.float64]) -> NDArray[np.bool_]:
        found = np.zeros(len(steps), np.bool_)
        if self._earlier is None or not len(steps) or steps.min() > self._earlier[0][-1]:
            return found
        known, values = self._earlier
        first = np.searchsorted(known, steps, "left")
        for place in range(MAX_SAME_STEP):
            at = np.minimum(first + place, len(known) - 1)
            same = (values[at] == losses) | (np.isnan(values[at]) & np.isnan(losses))
            found |= (known[at] == steps) & same
        return found

    def _remember(self, steps: NDArray[np.int64], losses: NDArray[np.float64]) -> None:
        self._recent.append((steps, losses.copy()))  # a view would keep all fields
        self._recent_rows += len(steps)
        if len(self._recent) > MAX_PIECES or self._recent_rows > 2 * MAX_REMEMBERED:
            self._join()

    def _join(self) -> _Known:
        steps = np.concatenate([steps for steps, _ in self._recent])[-MAX_REMEMBERED:]
        losses = np.concatenate([losses for _, losses in self._recent])[-MAX_REMEMBERED:]
        self._recent, self._recent_rows = [(steps, losses)], len(steps)
        return steps, losses


def _hand_on(values: NDArray[np.float64], given: NDArray[np.bool_], rows: NDArray[np.intp], at_end: bool) -> list[int]:
    """Give validation losses of steps without a row to rows; return the steps' places that are needed again."""
    orphans = np.flatnonzero(given[_VALIDATION] & ~given[_LOSS])
    own = given[_VALIDATION].copy()
    needed: dict[int, int] = {}
    for orphan, place in zip(orphans.tolist(), np.searchsorted(rows, orphans).tolist(), strict=True):
        if place >= len(rows) - 1 and not (at_end and len(rows)):
            needed[place] = orphan
        if place < len(rows) and not own[rows[place]]:
            values[_VALIDATION, rows[place]] = values[_VALIDATION, orphan]
            given[_VALIDATION, rows[place]] = True
    if at_end and len(orphans) and len(rows) and not given[_VALIDATION, rows[-1]]:
        values[_VALIDATION, rows[-1]] = values[_VALIDATION, orphans[-1]]
        given[_VALIDATION, rows[-1]] = True
    return list(needed.values())


def _newest_of_each(rows: NDArray[np.int64], fields: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places of the last scalar of each field in each row, in order."""
    newest = dict(zip(zip(rows.tolist(), fields.tolist(), strict=True), range(len(rows)), strict=True))
    return np.array(sorted(newest.values()), np.int64)


def _rows_of(all_: Measured, held_rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of the row to which each scalar belongs: a new one where the step changes, or a loss comes again.

    The first scalars are those that were held, which were of different rows where `held_rows` differ.
    """
    begins = np.ones(len(all_.steps), np.bool_)
    begins[1:] = all_.steps[1:] != all_.steps[:-1]
    begins[1 : len(held_rows)] = np.diff(held_rows) != 0
    losses = np.cumsum(all_.fields == _LOSS)
    run = np.cumsum(begins) - 1
    before = (losses - (all_.fields == _LOSS))[begins]
    begins |= (all_.fields == _LOSS) & (losses - before[run] > 1)
    return np.cumsum(begins) - 1


def _column(values: NDArray[np.float64], given: NDArray[np.bool_]) -> Iterator[float | None]:
    if not given.any():
        return repeat(None)
    if given.all():
        return iter(values.tolist())
    return (value if has else None for value, has in zip(values.tolist(), given.tolist(), strict=True))

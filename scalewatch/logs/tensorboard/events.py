"""The scalars in many TensorBoard events at once.

The events of one tag differ in wall time, step and value only, and stand there at the same places as long as the
step takes as many bytes. So one event of a kind is read byte by byte; where another of the same length has the same
bytes everywhere else, numpy takes its three numbers from the same places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from scalewatch.logs.tensorboard.events_wire import BadEventError, Event, read_event
from scalewatch.logs.tensorboard.tfrecord import Records

__all__ = ["EventDecoder", "Scalars"]

#: Longest event whose kind is remembered [bytes], and how many kinds of one length are.
MAX_LAYOUT_BYTES = 512
MAX_LAYOUTS = 256
#: Different tags that are kept, so that a file of nothing but names does not fill the memory.
MAX_TAGS = 100_000


@final
class Scalars(NamedTuple):
    """Scalars in the order in which they were written; arrays of shape (n,).

    Attributes:
        tags: place of the tag in `EventDecoder.tags`.
        steps: the writer's step.
        wall_times: when they were written, since 1970 [s].
        values: the numbers.
    """

    tags: NDArray[np.int64]
    steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]
    values: NDArray[np.float64]


@final
class _Layout(NamedTuple):
    """Where the numbers stand in the events of one tag and length; the other bytes are the same in all of them."""

    words: NDArray[np.uint64]
    same: NDArray[np.uint64]
    tag: int
    wall_time_at: int
    step_at: int
    step_bytes: int
    value_at: int
    form: str

    def fits(self, rows: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which rows are events of this layout."""
        differs = np.zeros(len(rows), np.uint64)
        for place, same in enumerate(self.same.tolist()):
            if same:
                differs |= (rows[:, place] ^ self.words[place]) & self.same[place]
        fitting: NDArray[np.bool_] = differs == 0
        return fitting

    def numbers(self, rows: NDArray[np.uint8]) -> Scalars:
        """Take the numbers out of rows that fit."""
        count = len(rows)
        steps = np.zeros(count, np.uint64)
        for place in range(self.step_bytes):
            low = rows[:, self.step_at + place].astype(np.uint64) & np.uint64(0x7F)
            steps |= low << np.uint64(7 * place)
        size = int(self.form[-1])
        values = np.ascontiguousarray(rows[:, self.value_at : self.value_at + size]).view(self.form)[:, 0]
        walls = np.zeros(count)
        if self.wall_time_at >= 0:
            walls = np.ascontiguousarray(rows[:, self.wall_time_at : self.wall_time_at + 8]).view("<f8")[:, 0]
        tags = np.full(count, self.tag, np.int64)
        with np.errstate(invalid="ignore"):  # a signalling NaN
            return Scalars(tags, steps.view(np.int64), walls, values.astype(np.float64))


@final
class EventDecoder:
    """Reads the events of a run's files.

    Args:
        note: is told, in a line, what could not be read.

    Attributes:
        tags: names of the scalars seen so far, in their order.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self.tags: list[str] = []
        self._note = note
        self._numbers: dict[str, int] = {}
        self._layouts: dict[int, list[_Layout]] = {}

    def bare(self) -> EventDecoder:
        """Return one that knows the tags, and not how events of them look."""
        decoder = EventDecoder(self._note)
        decoder.tags, decoder._numbers = self.tags, self._numbers
        return decoder

    def decode(self, records: Records, name: str) -> Scalars:
        """Return the scalars of some records; what is no event is noted and left out.

        Args:
            records: as they came from a file.
            name: the file's name, for the notes.
        """
        padded = np.frombuffer(records.block + bytes(8), np.uint8)
        order = np.argsort(records.lengths, kind="stable")
        lengths = records.lengths[order]
        cuts = np.flatnonzero(np.diff(lengths)) + 1
        found: list[tuple[NDArray[np.int64], Scalars]] = []
        for places in np.split(order, cuts) if len(order) else ():
            length = int(records.lengths[places[0]])
            rest = places
            if 0 < length <= MAX_LAYOUT_BYTES:
                rest = self._by_layout(padded, records, places, length, found)
            for place in rest.tolist():
                event = self._read(records, place, name)
                if event is not None and event.scalars:
                    found.append(self._slowly(event, place))
        if not found:
            nothing = np.zeros(0, np.int64)
            return Scalars(nothing, nothing, np.zeros(0), np.zeros(0))
        sorting = np.argsort(np.concatenate([places for places, _ in found]), kind="stable")
        return Scalars(
            np.concatenate([scalars.tags for _, scalars in found])[sorting],
            np.concatenate([scalars.steps for _, scalars in found])[sorting],
            np.concatenate([scalars.wall_times for _, scalars in found])[sorting],
            np.concatenate([scalars.values for _, scalars in found])[sorting],
        )

    def _by_layout(
        self,
        padded: NDArray[np.uint8],
        records: Records,
        places: NDArray[np.int64],
        length: int,
        found: list[tuple[NDArray[np.int64], Scalars]],
    ) -> NDArray[np.int64]:
        """Read what has a layout, known or new; return the places of the others."""
        rows = sliding_window_view(padded, -(-length // 8) * 8)[records.starts[places]]
        words = rows.view("<u8")
        layouts = self._layouts.setdefault(length, [])
        others: list[int] = []
        known = 0
        while len(places):
            if known == len(layouts):
                layout = self._layout(records, int(places[0]), rows[0], length) if known < MAX_LAYOUTS else None
                if layout is None:
                    if known >= MAX_LAYOUTS or len(others) >= MAX_LAYOUTS:
                        break
                    others.append(int(places[0]))
                    places, rows, words = places[1:], rows[1:], words[1:]
                    continue
                layouts.append(layout)
            fits = layouts[known].fits(words)
            if fits.all():
                found.append((places, layouts[known].numbers(rows)))
                places = places[:0]
            elif fits.any():
                found.append((places[fits], layouts[known].numbers(rows[fits])))
                places, rows = places[~fits], rows[~fits]
                words = rows.view("<u8")
            known += 1
        return np.concatenate((np.array(others, np.int64), places))

    def _layout(self, records: Records, place: int, row: NDArray[np.uint8], length: int) -> _Layout | None:
        start = int(records.starts[place])
        try:
            event = read_event(records.block, start, start + length)
        except BadEventError:
            return None
        if not event.is_plain or len(event.scalars) != 1 or not event.scalars[0].form:
            return None
        scalar = event.scalars[0]
        tag = self._number(scalar.tag)
        if tag is None:
            return None
        same = np.zeros(len(row), np.uint8)
        same[:length] = 0xFF
        size = int(scalar.form[-1])
        same[scalar.at - start : scalar.at - start + size] = 0
        if event.wall_time_at >= 0:
            same[event.wall_time_at - start : event.wall_time_at - start + 8] = 0
        if event.step_at >= 0:
            same[event.step_at - start : event.step_at - start + event.step_bytes] = 0x80
        return _Layout(
            words=row.view("<u8").copy(),
            same=same.view("<u8"),
            tag=tag,
            wall_time_at=event.wall_time_at - start if event.wall_time_at >= 0 else -1,
            step_at=event.step_at - start,
            step_bytes=event.step_bytes,
            value_at=scalar.at - start,
            form=scalar.form,
        )

    def _read(self, records: Records, place: int, name: str) -> Event | None:
        start = int(records.starts[place])
        try:
            return read_event(records.block, start, start + int(records.lengths[place]))
        except BadEventError as error:
            self._note(f"{name}: the record at byte {records.offset + start - 12:,} is no event ({error})")
            return None

    def _slowly(self, event: Event, place: int) -> tuple[NDArray[np.int64], Scalars]:
        numbered = [(tag, s.value) for s in event.scalars if (tag := self._number(s.tag)) is not None]
        count = len(numbered)
        tags = np.array([tag for tag, _ in numbered], np.int64)
        values = np.array([value for _, value in numbered], np.float64)
        scalars = Scalars(tags, np.full(count, event.step, np.int64), np.full(count, event.wall_time), values)
        return np.full(count, place, np.int64), scalars

    def _number(self, tag: str) -> int | None:
        number = self._numbers.get(tag)
        if number is None and len(self.tags) < MAX_TAGS:
            number = self._numbers[tag] = len(self.tags)
            self.tags.append(tag)
        return number

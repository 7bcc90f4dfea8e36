"""TensorBoard event files as logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from scalewatch.columns import Columns
from scalewatch.errors import LogError
from scalewatch.logs.columns import guess, listed, loss_notes, scale_of
from scalewatch.logs.kept import AbstractKeptLog
from scalewatch.logs.log import MAX_NOTES, AbstractFormat, AbstractLog
from scalewatch.logs.tensorboard.events import Scalars
from scalewatch.logs.tensorboard.events_folder import EventFolder, is_event_file
from scalewatch.logs.tensorboard.rows import FIELD_NUMBERS, Measured, RowMaker
from scalewatch.logs.tensorboard.tfrecord import BLOCK_BYTES
from scalewatch.observation import Observation
from scalewatch.run import Run

__all__ = ["Tags", "TensorBoardFormat", "TensorBoardLog"]

#: What every event has, as `columns` shows it where no tag was asked for.
_OWN = {"step": "step", "seconds": "wall_time"}
#: Files of which one was begun that much before the other's end were written at the same time [s].
CLOCK_SECONDS = 1.0


@final
class Tags:
    """Which tags are which fields, as far as they have been seen."""

    def __init__(self, asked: Mapping[str, str]) -> None:
        self.columns: dict[str, str] = {}
        self.rivals: list[str] = []
        self.asked = {field: tag for field, tag in asked.items() if tag != _OWN.get(field)}
        self._seen = 0
        self._fields = np.zeros(0, np.int64)

    def missing(self, tags: Sequence[str]) -> dict[str, str]:
        """The tags that the user names and that are not there, by field."""
        return {field: tag for field, tag in self.asked.items() if tag not in tags}

    def enough(self, tags: Sequence[str]) -> bool:
        """Whether there is a training loss, and all that the user names."""
        return not self.missing(tags) and "loss" in guess(tags, {"validation_loss": ""} | self.asked).columns

    def update(self, tags: Sequence[str]) -> bool:
        """Guess again if there are new tags, and return whether there are; what has been guessed stands."""
        if len(tags) == self._seen:
            return False
        self._seen = len(tags)
        own = {field: tag for field, tag in _OWN.items() if field not in self.asked}
        # A tag `step` or `time` is a copy of what the event says itself.
        guessed = guess([tag for tag in tags if tag not in _OWN.values()], self.asked, own | self.columns)
        self.columns, self.rivals = guessed.columns, guessed.rivals
        fields = {tag: FIELD_NUMBERS[field] for field, tag in self.columns.items() if field not in own}
        self._fields = np.array([fields.get(tag, -1) for tag in tags], np.int64)
        return True

    def measured(self, scalars: Scalars) -> Measured:
        """Take the fields' scalars out of all, in the fields' units."""
        fields = self._fields[scalars.tags]
        some = fields >= 0
        fields, values = fields[some], scalars.values[some]
        for field, tag in self.columns.items():
            kind, factor = scale_of(tag, field)
            if (kind, factor) != ("linear", 1.0):
                values = np.where(fields == FIELD_NUMBERS[field], _scaled(values, kind, factor), values)
        return Measured(fields, scalars.steps[some], scalars.wall_times[some], values)


def _scaled(values: NDArray[np.float64], kind: str, factor: float) -> NDArray[np.float64]:
    return np.log(np.where(values > 0.0, values, np.nan)) if kind == "log" else values * factor


@final
class TensorBoardLog(AbstractKeptLog):
    """The event files of one folder, in the order of their time.

    Files are read one after the other, as they were written: where a resumed run goes back, so do the steps. Only
    a row that an earlier file has with the same step and the same loss is left out. A row's `seconds` are the wall
    time of its loss, since 1970 [s].

    Args:
        paths: the files; if they are all that their folder has, files that appear there later are read too.
        columns: tags that the user names, field -> tag.

    Raises:
        LogError: if one of those tags is not there, or no loss can be told.
    """

    def __init__(self, paths: Sequence[Path], columns: Mapping[str, str]) -> None:
        folder = paths[0].parent
        super().__init__(folder.absolute().name or "run", folder)
        self._tags = Tags(columns)
        self._set_columns(paths)
        self._events = EventFolder(paths, self.note)
        self._maker = RowMaker()
        self._place = 0
        self._ends: list[str] = []
        self._newest: dict[int, float] | None = {}  # None when it was said that two were written at once
        self._reading: Iterator[Observation] | None = None
        self.bytes_total = self._events.bytes_total

    def _set_columns(self, paths: Sequence[Path]) -> None:
        """Look ahead as far as it takes to know what is what; mostly one block."""
        events = EventFolder(paths, lambda line: troubles.append(line) if not troubles else None)
        troubles: list[str] = []
        tags = events.decoder.tags
        for _ in events.batches():
            if self._tags.enough(tags):
                break
        self._guess(tags)
        where = paths[0] if len(paths) == 1 else self.path
        if not tags:
            why = "; ".join([*troubles, *events.tails][:2])
            raise LogError(f"{where}: holds no scalars{f' ({why})' if why else ' yet'}.")
        for field, tag in self._tags.missing(tags).items():
            raise LogError(f"{where}: has no tag '{tag:.60}' for {field}; it has {listed(tags)}.")
        if "loss" not in self.columns:
            raise LogError(
                f"{where}: no loss can be told among its tags ({listed(tags)}). "
                f"Say which it is: --column loss={tags[0]:.60}"
            )
        rivals = [] if "loss" in self._tags.asked else self._tags.rivals
        for line in loss_notes(self.columns["loss"], rivals, "TAG"):
            self.note(line)

    @property
    def file(self) -> Path:
        """The first of its files."""
        return self._events.files[0].path

    @property
    def settled(self) -> bool:
        """Whether it is one file, all read: tags that are new near its beginning are told of by `differs`."""
        return self._reading is None and len(self._events.files) == 1 and self._events.files[0].offset > 0

    def goes_on(self) -> bool:
        """Whether its file begins with what was read, and is still the only one."""
        (file,) = self._events.files
        self.bytes_total = self._events.bytes_total
        return file.goes_on() and self.bytes_total >= file.offset

    def _guess(self, tags: Sequence[str]) -> bool:
        new = self._tags.update(tags)
        if new:
            self.columns, self.run = self._tags.columns, replace(self.run, logged=tuple(tags))
        return new

    def blocks(self) -> Iterator[tuple[Run, Columns]]:
        """Yield the same rows in blocks; those that wait for more come behind all others."""
        if self._reading is not None:
            yield from super().blocks()
            return
        yield from self.gathered(self._read())
        if self.before_end is not None:
            self._events.files[0].mark()
            self.before_end()
        yield from self.gathered(self._end())

    def rows(self) -> Iterator[Observation]:
        """Rows that have been written since the last call, up to the present end of the files."""
        if self._reading is None:
            self._reading = chain(self._read(), self._end())
        # Not `yield from`, which would end the reading for a caller who stops and comes back.
        for row in self._reading:  # noqa: UP028
            yield row
        self._reading = None

    def _read(self) -> Iterator[Observation]:
        # What was said of the files' ends may hold no longer.
        self.notes[:] = [line for line in self.notes if line not in self._ends]
        for place, scalars in self._events.batches():
            before = self._events.files[0].marked
            if place != self._place:
                self.differs = self.differs or before is not None
                yield from self._maker.flush()
                self._maker.next_file()
                self._place = place
            if self._guess(self._events.decoder.tags) and before is not None and before[2] < BLOCK_BYTES:
                self.differs = True  # who opens the file now finds the tag at once
            measured = self._tags.measured(scalars)
            self._look_at_times(measured)
            self.bytes_read, self.bytes_total = self._events.bytes_read, self._events.bytes_total
            yield from self._maker.add(measured)

    def _end(self) -> Iterator[Observation]:
        yield from self._maker.flush()
        self.bytes_read, self.bytes_total = self._events.bytes_read, self._events.bytes_total
        self._ends = self._events.tails
        if self._maker.repeated:
            self._ends.append(f"{self._maker.repeated:,} rows stand in an earlier file too and are left out")
        for line in self._ends[: MAX_NOTES - len(self.notes)]:  # not counted anew at each look
            self.note(line)

    def _look_at_times(self, measured: Measured) -> None:
        """Say it if two files were being written at the same time."""
        times = measured.wall_times[measured.fields == FIELD_NUMBERS["loss"]]
        if self._newest is None or not len(times):
            return
        others = [time for place, time in self._newest.items() if place != self._place]
        if others and times[0] < max(others) - CLOCK_SECONDS:
            self._newest = None
            self.note(
                f"{self._events.files[self._place].name} was written while another file of this folder was: if these "
                "are two runs, give each a folder; they are read one after the other"
            )
            return
        self._newest[self._place] = max(float(times[-1]), self._newest.get(self._place, 0.0))


@final
class TensorBoardFormat(AbstractFormat):
    """Event files of TensorBoard, as torch, Lightning, transformers, Keras and TensorBoard itself write them."""

    name: ClassVar[str] = "tensorboard"

    def claims(self, path: Path) -> bool:
        """Whether this is an event file, by its name or its first bytes."""
        return is_event_file(path)

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """The one run in the event files of a folder; `LogError` if no loss can be told."""
        return [TensorBoardLog(paths, columns)] if paths else []

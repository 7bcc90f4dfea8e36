"""W&B's own file of a run, `run-ID.wandb`, as it lies on the disk of who trained, synced or offline.

A header of 7 bytes, then records in blocks of 32 KiB as LevelDB's log has them: checksum, length, and whether a record
is whole or the first, a middle or the last piece of one. A record is protobuf (`wandb_internal.proto`): only the run's
name and settings and the rows of its history are read, every other field is passed over. Written by hand from files of
wandb 0.30.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

from scalewatch.errors import LogError
from scalewatch.logs.columns import TOTALS, placed
from scalewatch.logs.formats.json_lines import flattened
from scalewatch.logs.log import AbstractFormat, AbstractLog
from scalewatch.logs.naming import run_name
from scalewatch.logs.sample import Sample
from scalewatch.logs.tabular import AbstractTabularLog
from scalewatch.logs.values import number
from scalewatch.observation import Observation

__all__ = ["WandbRun", "WandbRunLog"]

#: How a file begins, bytes of its header and of a block, and of what stands before a piece of a record.
MAGIC, HEADER_BYTES, BLOCK_BYTES, PIECE_BYTES = b":W&B", 7, 1 << 15, 7
#: A longer record is damage [bytes].
MAX_RECORD = 64 << 20
#: Rows that are looked at before the columns are told.
LOOK_ROWS = 500
_WHOLE, _FIRST, _LAST = 1, 2, 4
#: Fields of a record: history, run. Of a run: settings, name. Of an item: key, its parts, value.
_HISTORY, _RUN, _CONFIG, _NAME, _KEY, _NESTED, _VALUE = 2, 17, 4, 8, 1, 2, 16


class _Damaged(ValueError):
    """Bytes that are no message."""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _Damaged


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the bytes of each field that holds bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            _, at = _varint(data, at)
        elif kind == 2:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise _Damaged
            yield key >> 3, data[at : at + length]
            at += length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise _Damaged


def _items(data: bytes) -> dict[str, Any]:
    """Return the names and values of a history or of settings; parts of a name are joined by dots."""
    cells: dict[str, Any] = {}
    for place, item in _messages(data):
        if place != 1:
            continue
        names, value = [], b""
        for field, content in _messages(item):
            if field in (_KEY, _NESTED) and content:
                names.append(content.decode("utf-8", "replace"))
            elif field == _VALUE:
                value = content
        try:
            cells[".".join(names)] = json.loads(value)
        except (ValueError, RecursionError):
            continue
    return flattened(cells)


@final
class WandbRunLog(AbstractTabularLog):
    """One `.wandb` file as one run.

    Raises:
        LogError: if it is none, or no loss can be told.
    """

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        super().__init__(run_name(path), path, columns, unit="row")
        self._at, self._given, self._bad = HEADER_BYTES, 0, 0
        sample, names, total = Sample(), dict[str, None](), None
        for kind, cells in self._records():
            if kind == _RUN:
                self.name = str(cells.pop("", "") or self.name)
                found = [number(value) for name, value in cells.items() if placed(name, TOTALS) is not None]
                total = next((int(each) for each in found if each is not None and 1 <= each < 1e12), total)
                continue
            names.update(dict.fromkeys(name for name, value in cells.items() if not isinstance(value, bool)))
            if not sample.add(cells) or sample.rows >= LOOK_ROWS:
                break
        if not names:
            raise LogError(f"{path}: holds no row of a history so far; it is empty, or no file of W&B.")
        self.set_columns(names, sample)
        self._plan_to(total, sample)
        self._at = HEADER_BYTES

    def rows(self) -> Iterator[Observation]:
        """Yield what is new."""
        for kind, cells in self._records():
            if kind != _HISTORY:
                continue
            self._given += 1
            if not self.covers(cells):
                self.add_columns(cells)
            yield from self.assembled.add(cells, self._given)
            self.bytes_read = self._at
        self.bytes_read = self._at
        if self._bad:
            self.note(f"{self._bad:,} records are damaged and left out")
            self._bad = 0
        yield from self.assembled.flush()

    def _records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the rows of the history and the run from where the reading stands."""
        for record in self._whole_records():
            try:
                for field, content in _messages(record):
                    if field == _HISTORY:
                        yield _HISTORY, _items(content)
                    elif field == _RUN:
                        parts = dict(_messages(content))
                        name = parts.get(_NAME, b"").decode("utf-8", "replace")
                        yield _RUN, {**_items(parts.get(_CONFIG, b"")), "": name}
            except _Damaged:
                self._bad += 1

    def _whole_records(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                yield from self._pieces_joined(file)
        except OSError as fault:
            self.note(f"the file cannot be read on: {fault.strerror or fault}")

    def _pieces_joined(self, file: Any) -> Iterator[bytes]:
        at, pieces = self._at, bytearray()
        file.seek(at)
        while True:
            left = BLOCK_BYTES - at % BLOCK_BYTES
            if left < PIECE_BYTES:
                file.seek(left, 1)
                at += left
                continue
            head = file.read(PIECE_BYTES)
            if len(head) < PIECE_BYTES:
                return
            checksum, length, kind = struct.unpack("<IHB", head)
            body = file.read(length)
            if len(body) < length:
                return  # it is being written, or was cut off
            at += PIECE_BYTES + length
            if zlib.crc32(body, zlib.crc32(bytes([kind]))) != checksum:
                self._bad += 1
                pieces.clear()
                if not (_WHOLE <= kind <= _LAST and length <= left - PIECE_BYTES):
                    at += BLOCK_BYTES - at % BLOCK_BYTES  # the length is damaged: the next block has a record again
                    file.seek(at)
                continue
            pieces = bytearray() if kind in (_WHOLE, _FIRST) or len(pieces) > MAX_RECORD else pieces
            pieces += body
            if kind in (_WHOLE, _LAST):
                self._at = at
                yield bytes(pieces)


@final
class WandbRun(AbstractFormat):
    """The file in which W&B keeps a run on the disk."""

    name: ClassVar[str] = "wandb-run"

    def claims(self, path: Path) -> bool:
        """Return whether it is named so, or begins so."""
        if path.suffix != ".wandb":
            return False
        try:
            with path.open("rb") as file:
                return file.read(len(MAGIC)) in (MAGIC, b"")
        except OSError:
            return False

    def open(self, paths: Sequence[Path], columns: Mapping[str, str]) -> list[AbstractLog]:
        """Return one run for each file."""
        return [WandbRunLog(path, columns) for path in paths]

"""TFRecord files, read in blocks and past damage, while they grow.

A record is its length (8 bytes, little endian), the length's masked CRC-32C (4), the data, the data's masked CRC-32C
(4), as in TensorFlow's `tensorflow/core/lib/io/record_reader.cc`. That reader stops at the first damage; this one
leaves out what is damaged: a record whose data are wrong is skipped by its length, and where a length is wrong too,
the next place with a right one is searched.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from scalewatch.logs.tensorboard.tfrecord_checksum import masked_crc32c, masked_crc32c_of
from scalewatch.system import open_to_read

__all__ = ["Records", "TFRecordFile", "first_record", "is_header", "last_records"]

HEADER_BYTES = 12
FOOTER_BYTES = 4
#: What is read at once [bytes]: some ten thousand scalars, so that numpy's calls cost little, in little memory.
BLOCK_BYTES = 1 << 22
#: Bytes at the beginning and the end of what was read by which a file is known. By hand.
KNOWN_BYTES = 512
#: Longest record that is looked into [bytes]; TensorBoard's images are smaller, and a scalar takes 50.
MAX_RECORD_BYTES = 1 << 24
#: Headers that are remembered; their number is that of different lengths.
MAX_HEADERS = 4096
#: How far a search for the next record looks first [bytes]: it is mostly near.
FIRST_SEARCH_BYTES = 1 << 12
#: From so many places on that could be headers, numpy is quicker.
MANY_PLACES = 64


@final
class Records(NamedTuple):
    """Records of a file whose checksums are right.

    Attributes:
        block: the bytes in which they lie.
        starts, lengths: where in `block` each one's data are, shape (n,) [bytes].
        offset: where in the file `block` begins [bytes].
    """

    block: bytes
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    offset: int


def _header_length(header: bytes) -> int | None:
    """The length in a header; None if its checksum is wrong."""
    right = masked_crc32c_of(header[:8]) == int.from_bytes(header[8:], "little")
    return int.from_bytes(header[:8], "little") if right else None


def is_header(first: bytes) -> bool:
    """Whether a file's first 12 bytes are the header of a record."""
    return len(first) >= HEADER_BYTES and _header_length(first[:HEADER_BYTES]) is not None


def first_record(start: bytes) -> bytes:
    """Return the data of the record with which a file starts; b"" if it is damaged or not all there."""
    length = _header_length(start[:HEADER_BYTES]) if len(start) >= HEADER_BYTES else None
    if length is None or len(start) < HEADER_BYTES + length + FOOTER_BYTES:
        return b""
    return start[HEADER_BYTES : HEADER_BYTES + length] if not _damaged(start, HEADER_BYTES, length) else b""


def _damaged(block: bytes, start: int, length: int) -> bool:
    end = start + length
    return masked_crc32c_of(block[start:end]) != int.from_bytes(block[end : end + FOOTER_BYTES], "little")


def _next_header(block: bytes, begin: int) -> int:
    """Where the next header with a right checksum stands in `block`, from `begin` on; -1 if nowhere."""
    reach = FIRST_SEARCH_BYTES
    while begin + HEADER_BYTES <= len(block):
        part = block[begin : begin + reach]
        if part != bytes(len(part)):
            data = np.frombuffer(part, np.uint8)
            zero = data == 0
            # A length below 4 GB that is not 0, in little endian; nearly no other place has it.
            likely = zero[4:-7] & zero[5:-6] & zero[6:-5] & zero[7:-4]
            likely &= ~(zero[0:-11] & zero[1:-10] & zero[2:-9] & zero[3:-8])
            places = np.flatnonzero(likely)
            if len(places) > MANY_PLACES:
                crcs = sliding_window_view(data, 4)[places + 8].view("<u4")[:, 0]
                places = places[masked_crc32c(data, places, np.full(len(places), 8)) == crcs]
            for at in places.tolist():
                if _header_length(part[at : at + HEADER_BYTES]) is not None:
                    return begin + int(at)
        begin += len(part) - HEADER_BYTES + 1
        reach = min(16 * reach, 1 << 20)
    return -1


@final
class _Walk:
    """Goes from record to record through the blocks of a file."""

    def __init__(self) -> None:
        self.headers: dict[bytes, int] = {}
        #: Where in the file the present damage began; None where there is none.
        self.lost_from: int | None = None

    def bare(self) -> _Walk:
        """Return one that knows no header yet."""
        walk = _Walk()
        walk.lost_from = self.lost_from
        return walk

    def length_at(self, block: bytes, at: int) -> int | None:
        """The length that the header there tells; None if it is damaged."""
        header = block[at : at + HEADER_BYTES]
        length = self.headers.get(header)
        if length is None:
            length = _header_length(header)
            if length is not None:
                if len(self.headers) >= MAX_HEADERS:
                    self.headers.clear()
                self.headers[header] = length
        return length

    def through(self, block: bytes, offset: int, at_end: bool, passed: Callable[[int, int], None]) -> _Found:
        """Find the whole records of a block.

        Args:
            block: bytes of the file from `offset` on.
            offset: where the block begins [bytes].
            at_end: whether the file ends with it. Elsewhere a record is taken only with the header after it.
            passed: is told the first byte and the byte after the last of what was no record.
        """
        starts: list[int] = []
        lengths: list[int] = []
        room = len(block) - (0 if at_end else HEADER_BYTES)
        at = 0
        while True:
            if self.lost_from is not None:
                found = _next_header(block, at)
                if found < 0:
                    return _Found(starts, lengths, max(at, len(block) - HEADER_BYTES + 1, 0))
                passed(self.lost_from, offset + found)
                self.lost_from, at = None, found
            at = self._chain(block, at, room, starts, lengths)
            if at + HEADER_BYTES > len(block) or self.length_at(block, at) is not None:
                return _Found(starts, lengths, at)
            last = starts[-1] if starts else -1
            if last >= 0 and last + lengths[-1] + FOOTER_BYTES == at and _damaged(block, last, lengths[-1]):
                # Its length led astray, or other bytes stand in its place.
                starts.pop()
                lengths.pop()
                at = last - HEADER_BYTES
            self.lost_from = offset + at
            at += 1

    def _chain(self, block: bytes, at: int, room: int, starts: list[int], lengths: list[int]) -> int:
        """Add records up to the first that is damaged or ends beyond `room`; return where that one is."""
        known = self.headers.get
        while True:
            length = known(block[at : at + HEADER_BYTES])
            if length is None:
                length = self.length_at(block, at) if at + HEADER_BYTES <= len(block) else None
            if length is None:
                return at
            end = at + length + (HEADER_BYTES + FOOTER_BYTES)
            if end > room:
                return at
            starts.append(at + HEADER_BYTES)
            lengths.append(length)
            at = end


@final
class _Found(NamedTuple):
    """Whole records of a block, and where in it reading goes on."""

    starts: list[int]
    lengths: list[int]
    stop: int


@final
class TFRecordFile:
    """One file, of which each call of `batches` reads what has been added since the last.

    Args:
        path: the file. It may be gone, or grow.
        note: is told, in a line, what was damaged and left out.

    Attributes:
        name: the file's name, fit to be printed.
        offset: up to where it has been read [bytes].
        tail: what stands at its end and is no whole record, in words; empty if nothing does.
        marked: bytes by which it is known again, and up to where it had been read then [bytes]; None before `mark`.
    """

    def __init__(self, path: Path, note: Callable[[str], None]) -> None:
        self.path = path
        self.name = "".join(sign if sign.isprintable() else "?" for sign in path.name)
        self.offset = 0
        self.tail = ""
        self._note = note
        self._walk = _Walk()
        self._looked_to = 0
        self._seen: tuple[int, int] | None = None
        self._trouble = ""
        self.marked: tuple[bytes, bytes, int] | None = None

    def mark(self) -> None:
        """Remember the beginning of the file, and what stands before `offset`."""
        self.marked = (*self._ends(), self.offset)

    def goes_on(self) -> bool:
        """Return whether the file begins with what was read when `mark` was called."""
        return self.marked is not None and (*self._ends(), self.offset) == self.marked

    def _ends(self) -> tuple[bytes, bytes]:
        try:
            with self.path.open("rb") as source:
                first = source.read(min(KNOWN_BYTES, self.offset))
                source.seek(max(self.offset - KNOWN_BYTES, 0))
                return first, source.read(min(KNOWN_BYTES, self.offset))
        except OSError:
            return b"", b""

    def batches(self) -> Iterator[Records]:
        """Read up to the present end, block by block; never raises for what is or is not there."""
        try:
            # A pipe of that name would keep us waiting for its other end.
            source = os.fdopen(open_to_read(self.path, follow_links=True), "rb", buffering=0)
            with source:
                yield from self._read(source)
        except OSError as error:
            self._say_trouble(f"cannot be read: {(error.strerror or str(error)).lower()}")

    def _say_trouble(self, text: str) -> None:
        if text != self._trouble:
            self._trouble = text
            self._note(f"{self.name} {text}; {self.offset:,} bytes of it were read")

    def _read(self, source: BinaryIO) -> Iterator[Records]:
        status = os.fstat(source.fileno())
        size = status.st_size
        if not stat.S_ISREG(status.st_mode):
            self._say_trouble("is no plain file")
            return
        if self._seen == (size, status.st_mtime_ns):
            return
        if size < self.offset:
            self._note(f"{self.name} is shorter than it was: it was written anew, and is read from its start")
            self.offset, self._looked_to, self._walk.lost_from = 0, 0, None
        want = BLOCK_BYTES
        while self.offset < size:
            source.seek(self.offset)
            block = _read_whole(source, min(want, size - self.offset))
            if len(block) < min(want, size - self.offset):
                break  # somebody is cutting it
            at_end = self.offset + len(block) >= size
            found = self._walk.through(block, self.offset, at_end, self._passed)
            records = self._checked(block, found)
            self.offset += found.stop
            if len(records.starts):
                yield records
            want = BLOCK_BYTES
            if found.stop == 0 and (want := self._first_is_long(source, block, size)) == 0:
                break
        self._seen = (size, status.st_mtime_ns)
        self.tail = self._tail(size)

    def _checked(self, block: bytes, found: _Found) -> Records:
        starts, lengths = np.array(found.starts, np.int64), np.array(found.lengths, np.int64)
        data = np.frombuffer(block, np.uint8)
        if len(starts):
            ends = starts + lengths
            stored = sliding_window_view(data, FOOTER_BYTES)[ends].view("<u4")[:, 0]
            right = masked_crc32c(data, starts, lengths) == stored
            for place in np.flatnonzero(~right).tolist():
                self._note(
                    f"{self.name}: the record at byte {self.offset + found.starts[place] - HEADER_BYTES:,} has a "
                    f"wrong checksum and is left out ({found.lengths[place]:,} bytes)"
                )
            starts, lengths = starts[right], lengths[right]
        return Records(block, starts, lengths, self.offset)

    def _first_is_long(self, source: BinaryIO, block: bytes, size: int) -> int:
        """How much to read next, for a block whose first record is not all in it; 0 to wait for more of the file."""
        length = self._walk.length_at(block, 0) if len(block) >= HEADER_BYTES else None
        if length is None:
            return 0
        end = self.offset + HEADER_BYTES + length + FOOTER_BYTES
        if end <= size and length <= MAX_RECORD_BYTES:
            return end - self.offset + HEADER_BYTES
        if end <= size and self._follows(source, end, size):
            self._note(f"{self.name}: the record at byte {self.offset:,} is passed over ({length:,} bytes)")
            self.offset = end
            return BLOCK_BYTES
        if end > size and not self._goes_on(source, size):
            return 0
        self._walk.lost_from = self.offset
        self.offset += 1
        return BLOCK_BYTES

    def _follows(self, source: BinaryIO, end: int, size: int) -> bool:
        source.seek(end)
        return end == size or is_header(_read_whole(source, HEADER_BYTES))

    def _goes_on(self, source: BinaryIO, size: int) -> bool:
        """Whether records follow within what the last one claims for itself, so that it is broken, not unfinished."""
        at = max(self.offset + 1, self._looked_to)
        while at + HEADER_BYTES <= size:
            source.seek(at)
            block = _read_whole(source, min(BLOCK_BYTES, size - at))
            if _next_header(block, 0) >= 0:
                return True
            if len(block) < HEADER_BYTES:
                break
            at += len(block) - HEADER_BYTES + 1
        self._looked_to = at
        return False

    def _passed(self, begin: int, end: int) -> None:
        self._note(f"{self.name}: bytes {begin:,} to {end - 1:,} are damaged and are passed over")

    def _tail(self, size: int) -> str:
        if not size:
            return f"{self.name} is empty"
        if self._walk.lost_from is not None:
            return f"{self.name}: its last bytes, from {self._walk.lost_from:,} on, are damaged"
        if self.offset < size:
            left = size - self.offset
            return f"{self.name} ends within a record, at byte {self.offset:,} ({left:,} bytes wait for its rest)"
        return ""


def _read_whole(source: BinaryIO, count: int) -> bytes:
    """Read `count` bytes, or up to the end: one raw read may give less."""
    parts = []
    while count > 0 and (part := source.read(count)):
        parts.append(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def last_records(path: Path, reach_bytes: int) -> tuple[Records, bool]:
    """Return the whole records in the last bytes of a file, and whether these are all that it holds.

    For a first look: the checksums of the data are not held against them, those of the lengths are.

    Args:
        path: the file. reach_bytes: how much of its end to read [bytes].

    Raises:
        OSError: if it cannot be read or is no plain file.
    """
    with os.fdopen(open_to_read(path, follow_links=True), "rb", buffering=0) as source:
        status = os.fstat(source.fileno())
        begin = max(status.st_size - reach_bytes, 0)
        source.seek(begin)
        block = _read_whole(source, reach_bytes)
    walk = _Walk()
    walk.lost_from = begin or None
    found = walk.through(block, begin, True, lambda *_: None)
    return Records(block, np.array(found.starts, np.int64), np.array(found.lengths, np.int64), begin), not begin

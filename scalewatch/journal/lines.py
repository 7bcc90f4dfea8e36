"""One record, one line: `crc32-hex space json newline`.

`561bacaf {"a":1}`: eight hexadecimal digits of the CRC-32 of the JSON bytes, a space, the JSON.

Why one checksum a line and not one a file or a block: what a crash or a flipped bit destroys is
then one record, and the reader finds its feet at the next newline. A TensorBoard event file, which
finds its next record through the length of the last one, loses all that follows.

JSON has no NaN. A number that is not finite is written as the string "nan", "inf" or "-inf", and
made a number again by whoever knows which fields are numbers.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any, NamedTuple

import numpy as np

from scalewatch.errors import JournalError
from scalewatch.plain import to_plain

__all__ = ["MAX_LINE_BYTES", "Line", "Record", "decode", "encode", "scan"]

Record = dict[str, Any]

#: Longer lines are neither written nor read [bytes]: a damaged file must not fill the memory.
MAX_LINE_BYTES = 4 * 2**20

_PREFIX_BYTES = 9  # eight digits and the space


class Line(NamedTuple):
    """What stands between two newlines of a journal file.

    Attributes:
        offset_bytes: where it begins in the file.
        length_bytes: how long it is, its newline included if it has one.
        record: what it says; None if it cannot be read.
        reason: why it cannot be read; empty if it can.
    """

    offset_bytes: int
    length_bytes: int
    record: Record | None
    reason: str


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not something that JSON can hold")


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


# Made once: `json.dumps` and `json.loads` with such options make a new one for each record.
_TO_JSON = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_plain)
_FROM_JSON = json.JSONDecoder(parse_constant=_refuse)


def encode(record: Mapping[str, Any]) -> bytes:
    r"""One line that holds `record`, newline included; only ASCII, and no newline inside.

    Raises:
        JournalError: if JSON cannot hold it, or if it is longer than 4 MiB.

    >>> encode({"a": 1})
    b'561bacaf {"a":1}\n'
    >>> encode({"a": float("inf")})
    b'c1977064 {"a":"inf"}\n'
    """
    try:
        record = record if type(record) is dict else dict(record)
        try:
            text = _TO_JSON.encode(record)
        except ValueError:  # JSON's word for NaN and infinity, and for values that hold themselves
            text = _TO_JSON.encode(to_plain(record))
    # RuntimeError: it nests too deeply, or somebody still changes it.
    except (TypeError, ValueError, OverflowError, RuntimeError) as fault:
        raise JournalError(f"A record cannot be written as JSON: {fault}.") from None
    data = text.encode("ascii")
    if len(data) + _PREFIX_BYTES >= MAX_LINE_BYTES:
        raise JournalError(f"A record must be shorter than {MAX_LINE_BYTES} bytes (got {len(data)}).")
    return b"%08x %b\n" % (zlib.crc32(data), data)


def decode(line: bytes) -> Record:
    r"""The record that one line holds; its newline may be missing.

    Raises:
        JournalError: if it is torn or damaged, with the reason.

    >>> decode(b'561bacaf {"a":1}\n')
    {'a': 1}
    >>> decode(b'561bacaf {"a":2}\n')
    Traceback (most recent call last):
    ...
    scalewatch.errors.JournalError: the checksum does not match
    """
    # a copy that was made in text mode on Windows ends its lines in two characters
    data = line[_PREFIX_BYTES:].removesuffix(b"\n").removesuffix(b"\r")
    # Compared as text: `int(..., 16)` would also take capitals, underscores and blanks.
    if line[:_PREFIX_BYTES] != b"%08x " % zlib.crc32(data):
        raise JournalError("the checksum does not match" if line[8:9] == b" " else "not a record")
    try:
        record = _FROM_JSON.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as fault:
        raise JournalError(f"not JSON: {fault}") from None
    if not isinstance(record, dict):
        raise JournalError(f"a record must be a JSON object (got {type(record).__name__})")
    return record


def scan(file: IO[bytes]) -> Iterator[Line]:
    """Every line of a journal file, from where `file` stands; empty lines are passed over.

    Never holds more than 4 MiB of the file.
    """
    offset = file.tell()
    while line := file.readline(MAX_LINE_BYTES):
        length = len(line)
        whole = line.endswith(b"\n")
        too_long = not whole and length == MAX_LINE_BYTES
        while too_long and (rest := file.readline(MAX_LINE_BYTES)):
            length += len(rest)
            if rest.endswith(b"\n"):
                break
        if too_long:
            yield Line(offset, length, None, f"the line is longer than {MAX_LINE_BYTES} bytes")
        elif line not in (b"\n", b"\r\n"):
            yield _read(offset, line, whole)
        offset += length


def _read(offset: int, line: bytes, whole: bool) -> Line:
    try:
        return Line(offset, len(line), decode(line), "")
    except JournalError as fault:
        reason = str(fault) if whole else "the file ends within this record"
        return Line(offset, len(line), None, reason)

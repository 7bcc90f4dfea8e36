"""The checksum of TFRecords, CRC-32C, of many records at once.

A CRC is linear over GF(2): that of a record is the exclusive or of one table entry for each of its bytes, chosen by
the byte and by its distance from the end. So records of one length are columns of a table, and numpy goes over the
columns. (Castagnoli et al. 1993; masked as in TensorFlow's `tensorflow/core/lib/hash/crc32c.h`.)
"""

from __future__ import annotations

from itertools import islice

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ["masked_crc32c", "masked_crc32c_of"]

#: Castagnoli's polynomial, bits reversed.
_POLYNOMIAL = 0x82F63B78
#: TFRecord's mask: turned right by 15 bits, then this is added, so that a checksum over checksums is sound.
_MASK_DELTA = np.uint32(0xA282EAD8)
#: Longest row that is summed in one go; longer records are cut into such rows [bytes].
_ROW_BYTES = 256
#: Up to this length records are taken together by their exact length [bytes]: scalars are about 50 bytes long.
_SHORT_BYTES = 128
#: Rows that are summed at once, so that a record of many megabytes takes no more memory than its own [rows].
_ROWS_AT_ONCE = 8192
#: Up to this length one record alone is quicker in plain Python [bytes].
_ALONE_BYTES = 1024


def _byte_tables() -> NDArray[np.uint32]:
    """tables[k][b]: what a byte b adds when k bytes follow it."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    tables = [table]
    while len(tables) < _ROW_BYTES:
        tables.append(table[tables[-1] & 0xFF] ^ (tables[-1] >> 8))
    return np.array(tables)


_TABLES = _byte_tables()


def _starts() -> list[int]:
    """What the start value 0xFFFFFFFF becomes over k bytes."""
    states = [0xFFFFFFFF]
    while len(states) <= _ROW_BYTES:
        states.append(int(_TABLES[0][states[-1] & 0xFF]) ^ (states[-1] >> 8))
    return states


_STARTS_OF = np.array(_starts(), dtype=np.uint32)
#: What a state's four bytes, low to high, become over `_ROW_BYTES`; plain lists, which Python indexes faster.
_LOW, _SECOND, _THIRD, _HIGH = (_TABLES[_ROW_BYTES - 1 - place].tolist() for place in range(4))


_TABLE = _TABLES[0].tolist()


def _linear(rows: NDArray[np.uint8]) -> NDArray[np.uint32]:
    width = rows.shape[1]
    total = np.zeros(len(rows), dtype=np.uint32)
    for place in range(width):
        total ^= _TABLES[width - 1 - place].take(rows[:, place], mode="clip")
    return total


def _masked(crc: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + _MASK_DELTA


def _of_short(data: NDArray[np.uint8], starts: NDArray[np.int64], length: int) -> NDArray[np.uint32]:
    rows = sliding_window_view(data, length)[starts] if length else np.empty((len(starts), 0), np.uint8)
    crc: NDArray[np.uint32] = _linear(rows) ^ _STARTS_OF[length] ^ np.uint32(0xFFFFFFFF)
    return crc


def _of_long(data: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[int]:
    """Each record is a head of 1 to `_ROW_BYTES` bytes and then whole rows, whose sums follow one another."""
    heads = (lengths - 1) % _ROW_BYTES + 1
    bodies = starts + heads
    rows = sliding_window_view(np.concatenate((np.zeros(_ROW_BYTES, np.uint8), data)), _ROW_BYTES)
    states: list[int] = []
    for some in (slice(at, at + _ROWS_AT_ONCE) for at in range(0, len(starts), _ROWS_AT_ONCE)):
        first = rows[bodies[some]]
        first[np.arange(_ROW_BYTES) < _ROW_BYTES - heads[some, None]] = 0
        states += (_linear(first) ^ _STARTS_OF[heads[some]]).tolist()
    counts = (lengths - heads) // _ROW_BYTES
    ends = np.cumsum(counts)
    at = np.repeat(bodies - (ends - counts) * _ROW_BYTES, counts) + np.arange(1, ends[-1] + 1) * _ROW_BYTES
    sums = [_linear(rows[at[begin : begin + _ROWS_AT_ONCE]]) for begin in range(0, len(at), _ROWS_AT_ONCE)]
    totals = iter(np.concatenate(sums).tolist() if sums else ())
    for place, count in enumerate(counts.tolist()):
        state = states[place]
        for total in islice(totals, count):
            high = _THIRD[(state >> 16) & 0xFF] ^ _HIGH[state >> 24]
            state = _LOW[state & 0xFF] ^ _SECOND[(state >> 8) & 0xFF] ^ high ^ total
        states[place] = state ^ 0xFFFFFFFF
    return states


def masked_crc32c(data: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return the masked checksum of each stretch of `data`, shape (n,)."""
    found = np.empty(len(starts), dtype=np.uint32)
    for length in np.unique(lengths[lengths <= _SHORT_BYTES]).tolist():
        at = np.flatnonzero(lengths == length)
        found[at] = _of_short(data, starts[at], length)
    long = np.flatnonzero(lengths > _SHORT_BYTES)
    if len(long):
        found[long] = _of_long(data, starts[long], lengths[long])
    return _masked(found)


def masked_crc32c_of(record: bytes) -> int:
    """Return the masked checksum of one record.

    >>> masked = masked_crc32c_of(b"123456789") - 0xA282EAD8
    >>> hex((masked << 15 | masked % 2**32 >> 17) % 2**32)
    '0xe3069283'
    """
    if len(record) > _ALONE_BYTES:
        data = np.frombuffer(record, np.uint8)
        return int(masked_crc32c(data, np.zeros(1, np.int64), np.full(1, len(record)))[0])
    crc = 0xFFFFFFFF
    for byte in record:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + int(_MASK_DELTA)) & 0xFFFFFFFF

"""Damaged event files: what is readable is read, the rest is named with its place, nothing is raised."""

from __future__ import annotations

import random
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c as crc_of_tensorboard

from scalewatch.errors import LogError
from scalewatch.logs.log import MAX_NOTES
from scalewatch.logs.tensorboard.event_log import TensorBoardLog
from scalewatch.logs.tensorboard.tfrecord_checksum import masked_crc32c, masked_crc32c_of
from tests.logs.tensorboard_files import NAME, event, file_of, framed, losses

Rows = list[tuple[int, float]]


def read(folder: Path, content: bytes | bytearray) -> tuple[Rows, list[str]]:
    """The rows and notes of a file with this content; none where it holds no loss at all."""
    path = folder / NAME
    path.write_bytes(content)
    try:
        log = TensorBoardLog([path], {})
    except LogError as error:
        return [], [str(error)]
    return [(row.step, row.loss) for row in log.rows()], log.notes


def header(length: int) -> bytes:
    """The header of a record that says it is so long, with a right checksum."""
    first = struct.pack("<Q", length)
    return first + struct.pack("<I", crc_of_tensorboard(first))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damage")


@pytest.fixture(scope="module")
def good(folder: Path) -> bytes:
    """A version and 12 losses."""
    return file_of(folder, losses(12)).read_bytes()


@pytest.fixture(scope="module")
def ends(good: bytes) -> list[int]:
    """Where the records end [bytes]."""
    found = [0]
    while found[-1] < len(good):
        found.append(found[-1] + 16 + struct.unpack_from("<Q", good, found[-1])[0])
    return found[1:]


# --- one fault ------------------------------------------------------------------------------------


def test_a_file_cut_anywhere_gives_what_stands_before_the_cut(folder: Path, good: bytes, ends: list[int]) -> None:
    """At every byte: all whole records, and a note of the broken one unless the cut is between two."""
    whole, _ = read(folder, good)
    for cut in range(ends[1], len(good)):
        rows, notes = read(folder, good[:cut])
        complete = sum(end <= cut for end in ends) - 1

        assert whole[:complete] == rows
        assert len(notes) == (0 if cut in ends else 1)
        assert all("ends within a record, at byte" in note for note in notes)


@pytest.mark.parametrize("bit", [0, 6])
def test_a_flipped_bit_costs_the_record_it_is_in(folder: Path, good: bytes, ends: list[int], bit: int) -> None:
    """In every byte after the first loss: the others are read, with the right values, and its place is named."""
    whole, _ = read(folder, good)
    for at in range(ends[0], len(good)):
        damaged = bytearray(good)
        damaged[at] ^= 1 << bit
        rows, notes = read(folder, damaged)
        hit = sum(end <= at for end in ends)

        assert whole[: hit - 1] + whole[hit:] == rows
        assert 1 == len(notes)
        assert f"{ends[hit - 1]:,}" in notes[0]


@given(begin=st.integers(0, 600), length=st.integers(1, 300))
@example(begin=0, length=100)
def test_a_region_of_zeros_costs_the_records_it_touches(
    folder: Path, good: bytes, ends: list[int], begin: int, length: int
) -> None:
    """As a power cut leaves it: nothing before or after is lost."""
    whole, _ = read(folder, good)
    stop = max(begin, min(begin + length, len(good)))
    rows, notes = read(folder, good[:begin] + bytes(stop - begin) + good[stop:])
    starts = [0, *ends[:-1]]
    intact = [not (start < stop and begin < end) for start, end in zip(starts, ends, strict=True)]
    kept = [row for row, is_intact in zip(whole, intact[1:], strict=True) if is_intact]

    assert set(kept) <= set(rows) <= set(whole)
    assert notes or rows == whole


@pytest.mark.parametrize("length", [5000, 10**6, 2**31, 2**40, 2**62, 2**63, 2**64 - 1])
@pytest.mark.parametrize("place", [1, 6, 13])
def test_a_giant_length_hides_nothing(folder: Path, good: bytes, ends: list[int], length: int, place: int) -> None:
    """A right checksum over a length that no file has: no memory is taken for it, and what follows is read."""
    whole, _ = read(folder, good)
    at = ends[place - 1]
    began = time.process_time()
    rows, notes = read(folder, good[:at] + header(length) + good[at:])

    assert whole == rows
    assert f"{at:,}" in notes[0]
    assert time.process_time() - began < 2.0


def test_bytes_that_are_no_event_are_left_out(folder: Path, good: bytes) -> None:
    """Checksums are right, protobuf is not: told with the place, and the next events are read."""
    junk = framed([b"\xff" * 30, b"\x2a\x7f", b"", b"\x0f" * 9, b"\x2a\x04\x0a\x02\x0a\x50"])
    rows, notes = read(folder, good + junk + framed(losses(3, first=13)))

    assert [*range(1, 16)] == [step for step, _ in rows]
    assert 4 == len(notes)
    assert any(f"{NAME}: the record at byte {len(good):,} is no event" in note for note in notes)


def test_any_bits_can_be_a_value(folder: Path) -> None:
    """A signalling NaN is a NaN, without a warning of numpy."""
    quiet, signalling = struct.pack("<f", 2.5), b"\x00\x00\xa0\x7f"
    rows, _ = read(folder, framed(event(s, train__loss=2.5).replace(quiet, signalling) for s in range(9)))

    assert ["nan"] * 9 == [str(loss) for _, loss in rows]


# --- files ----------------------------------------------------------------------------------------


def test_two_writers_on_one_file_are_both_read(folder: Path) -> None:
    """Pieces of both, cut anywhere: the records that are whole, and a line for each cut one, up to a limit."""
    one, two = (losses(1000, first) for first in (200, 1200))
    pieces = [part[at : at + 1024] for at in range(0, 49_000, 1024) for part in (framed(one), framed(two))]
    rows, notes = read(folder, b"".join(pieces))

    assert 2000 - len(pieces) <= len(rows) == len(set(rows))
    assert set(rows) <= set(read(folder, framed([*one, *two]))[0])
    assert MAX_NOTES == len(notes)


def test_empty_files_are_told(tmp_path: Path) -> None:
    """One among others costs nothing; nothing but empty ones is no run."""
    empty = tmp_path / "events.out.tfevents.1600000000.host"
    empty.touch()
    with pytest.raises(LogError, match=r"holds no scalars .*1600000000\.host is empty"):
        TensorBoardLog([empty], {})
    log = TensorBoardLog([empty, file_of(tmp_path, losses(2))], {})

    assert [1, 2] == [row.step for row in log.rows()]
    assert [f"{empty.name} is empty"] == log.notes


def test_a_file_that_vanishes_is_told(tmp_path: Path) -> None:
    """What was read stays read; the other files go on; it is said once."""
    path = file_of(tmp_path, losses(3))
    log = TensorBoardLog([path], {})
    path.unlink()
    assert [] == list(log.rows())
    assert [] == list(log.rows())

    assert [f"{NAME} cannot be read: no such file or directory; 0 bytes of it were read"] == log.notes


def test_a_file_that_vanishes_while_it_is_read_is_told(tmp_path: Path) -> None:
    """The rest of a folder that is being cleaned up."""
    first = file_of(tmp_path, losses(3))
    second = file_of(tmp_path, losses(3, first=4), "events.out.tfevents.1700000050.host")
    log = TensorBoardLog([first, second], {})
    rows = log.rows()
    next(rows)
    second.unlink()

    assert [2, 3] == [row.step for row in rows]
    assert "cannot be read" in log.notes[0]


def test_a_file_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    """It is shorter than before: the run was started again under the same name."""
    path = file_of(tmp_path, losses(9))
    log = TensorBoardLog([path], {})
    list(log.rows())
    file_of(tmp_path, [event(1, train__loss=9.0)])

    assert [(1, 9.0)] == [(row.step, row.loss) for row in log.rows()]
    assert [f"{NAME} is shorter than it was: it was written anew, and is read from its start"] == log.notes


def test_what_was_said_of_the_end_is_taken_back(tmp_path: Path) -> None:
    """A record that was half written is complete now."""
    path = file_of(tmp_path, losses(4))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    log = TensorBoardLog([path], {})
    assert [1, 2, 3] == [row.step for row in log.rows()]
    assert "ends within a record" in log.notes[0]
    path.write_bytes(whole)

    assert [4] == [row.step for row in log.rows()]
    assert [] == log.notes


# --- anything -------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32))
def test_no_damage_raises_or_invents_a_row(folder: Path, good: bytes, seed: int) -> None:
    """Bits, pieces cut out, put in, moved, zeroed: each row that is read was written."""
    chance = random.Random(seed)
    content = bytearray(good)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(content) + 1)
        to = min(at + chance.choice((1, 5, 30, 100, 900)), len(content))
        kind = chance.randrange(6)
        if kind == 0 and at < to:
            content[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            content[at:to] = b""
        elif kind == 2:
            content[at:to] = bytes(to - at)
        elif kind == 3:
            content[at:at] = chance.randbytes(to - at)
        elif kind == 4:
            content[at:at] = content[at // 2 : at // 2 + to - at]
        elif kind == 5:
            content[at:at] = header(chance.choice((0, 40, 999, 2**33)))
    rows, _ = read(folder, content)
    whole, _ = read(folder, good)

    assert set(rows) <= set(whole)


@given(st.lists(st.binary(max_size=700), min_size=1, max_size=20))
@example([b"", b"x" * 128, b"x" * 129, b"x" * 256, b"x" * 257, b"x" * 512, b"x" * 5000])
def test_checksums_are_those_of_tensorboard(parts: list[bytes]) -> None:
    """One by one and many at once, of every length."""
    lengths = np.array([len(part) for part in parts])
    starts = np.cumsum(lengths) - lengths
    many = masked_crc32c(np.frombuffer(b"".join(parts), np.uint8), starts, lengths)
    expected = [crc_of_tensorboard(part) for part in parts]

    assert expected == many.tolist()
    assert expected == [masked_crc32c_of(part) for part in parts]

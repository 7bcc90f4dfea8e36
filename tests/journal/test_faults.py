"""What a disk can do to a journal: every call that fails, every byte that is missing, every bit that flips."""

from __future__ import annotations

import errno
import logging
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scalewatch.errors import JournalError
from scalewatch.finding import Finding, Kind, Severity
from scalewatch.journal import JournalLimits, JournalWriter, finding_record, observation_record, read_journal
from scalewatch.journal.lines import encode, scan
from scalewatch.observation import Observation
from scalewatch.run import Run

ROOT = Path(__file__).resolve().parent.parent.parent
RUN = Run("a run", total_steps=100)
SPIKE = finding_record(Finding(Kind.SPIKE, Severity.WARNING, 5, 4, "a spike"))


def row(step: int) -> dict[str, Any]:
    return observation_record(Observation(step, 3.0))


def write(folder: Path, steps: range) -> Path:
    writer = JournalWriter(folder, RUN)
    for step in steps:
        writer.append(row(step))
    writer.close()
    return writer.path


def steps_in(path: Path) -> list[int]:
    return [row.step for row in read_journal(path).observations]


# --- missing bytes, flipped bits ------------------------------------------------------------------


def test_a_file_cut_at_any_byte_gives_all_that_is_whole_and_is_gone_on_from(tmp_path: Path) -> None:
    """The full prefix; the torn line is reported; what a new writer adds is read after it."""
    good = write(tmp_path / "good", range(1, 7))
    data = good.read_bytes()
    folder = tmp_path / "cut"
    write(folder, range(9, 12))
    (folder / "journal-000001.jsonl").rename(folder / "journal-000002.jsonl")
    cut = folder / "journal-000001.jsonl"
    cut.write_bytes(data)
    for end in range(len(data), -1, -1):
        os.truncate(cut, end)
        with good.open("rb") as file:
            whole = [line for line in scan(file) if line.offset_bytes + line.length_bytes - 1 <= end]
        rows = [line.record["s"] for line in whole if line.record and line.record["type"] == "o"]
        torn = end > sum(line.length_bytes for line in whole)

        journal = read_journal(folder)
        assert [*rows, 9, 10, 11] == [row.step for row in journal.observations]
        assert [cut] * torn == [damage.file for damage in journal.damage]


def test_a_writer_leaves_the_torn_file_as_it_is(tmp_path: Path) -> None:
    """It opens the next segment: no byte that was written is changed, and none is torn twice."""
    torn = write(tmp_path, range(1, 9))
    torn.write_bytes(torn.read_bytes()[:-90])
    before = torn.read_bytes()
    write(tmp_path, range(9, 12))

    assert before == torn.read_bytes()
    assert [*range(1, 8), 9, 10, 11] == steps_in(tmp_path)


def test_a_flipped_bit_costs_two_records_at_most_and_is_located(tmp_path: Path) -> None:
    """Each bit of the file: the rest is read, and the damage is where the bit is."""
    path = write(tmp_path, range(1, 5))
    data = path.read_bytes()
    descriptor = os.open(path, os.O_WRONLY)
    for bit in range(8 * len(data)):
        os.pwrite(descriptor, bytes([data[bit // 8] ^ 1 << bit % 8]), bit // 8)
        journal = read_journal(path)
        os.pwrite(descriptor, data[bit // 8 : bit // 8 + 1], bit // 8)

        left = len(journal.observations) + (journal.run is not None) + (journal.segments[0].closing is not None)
        assert left >= 6 - 2, bit
        assert any(d.offset_bytes <= bit // 8 < d.offset_bytes + d.length_bytes for d in journal.damage), bit
    os.close(descriptor)


# --- calls that fail ------------------------------------------------------------------------------


class NthCallFails:
    """Lets the N-th call of a function of `os` and the next few fail, as SQLite tests its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, nth: int, fault: int | None, times: int) -> None:
        self.calls = 0
        self.fired = 0
        self._real: Callable[..., Any] = getattr(os, name)
        self._nth, self._fault, self._times = nth, fault, times
        monkeypatch.setattr(os, name, self)

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        if not self._nth <= self.calls < self._nth + self._times:
            return self._real(*arguments)
        self.fired += 1
        if self._fault is None:  # a short write
            return self._real(arguments[0], arguments[1][: len(arguments[1]) // 3])
        raise OSError(self._fault, os.strerror(self._fault))


FAULTS = [errno.ENOSPC, errno.EIO, errno.EINTR, errno.EDQUOT, errno.EROFS, errno.ESTALE, errno.EFBIG, errno.EBADF]


def a_run(folder: Path) -> JournalWriter:
    """A run as it comes: steps, a finding, full segments, half a minute between two drains."""
    seconds = [0.0]
    writer = JournalWriter(folder, RUN, limits=JournalLimits(max_segment_bytes=1_200), clock=lambda: seconds[0])
    for step in range(1, 41):
        writer.append(row(step))
        if step == 20:
            writer.append_through(SPIKE)
        if step % 5 == 0:
            seconds[0] += 20.0
            writer.drain()
    for step in range(41, 44):
        writer.append(row(step))
    writer.close()
    return writer


@pytest.mark.parametrize("times", [1, 3, 1_000], ids=["once", "three times", "from then on"])
@pytest.mark.parametrize("fault", [*FAULTS, None], ids=lambda fault: errno.errorcode.get(fault, "short"))
@pytest.mark.parametrize("name", ["write", "open", "fsync", "fstat"])
def test_whichever_call_fails_nothing_is_raised_and_the_rest_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    fault: int | None,
    times: int,
) -> None:
    """N = 1, 2, ... until no fault fires: at most one warning, a readable file, every record counted.

    While it is built it may refuse, in one way. A fault that passes loses nothing at all.
    """
    if fault is None and name != "write":
        fault = errno.ENODEV  # only a write can be short
    nth = 0
    while True:
        nth += 1
        folder = tmp_path / str(nth)
        caplog.clear()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda descriptor: None)  # a test needs no durable files
            faulty = NthCallFails(patch, name, nth, fault, times)
            try:
                writer = a_run(folder)
            except JournalError:
                continue
        assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) <= 1
        journal = read_journal(folder)
        rows = {row.step for row in journal.observations}
        if times == 1 or not faulty.fired:
            assert set(range(1, 44)) == rows
            assert (1, 0) == (len(journal.findings), writer.dropped)
        else:
            assert len(rows) + len(journal.findings) + writer.dropped >= 44
        assert not [damage for damage in journal.damage if fault is not None and "ends within" not in damage.reason]
        if not faulty.fired:
            break

    assert nth > 2


def test_wherever_a_write_falls_short_each_record_is_there_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut at each byte, and the next attempt at each byte again: nothing is missing, nothing is double."""
    real = os.write
    length = len(encode({"type": "x", "n": 1}))
    for cut in range(2 * length + 2):
        writer = JournalWriter(tmp_path / str(cut), RUN)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda descriptor: None)
            for n in (1, 2):
                writer.append({"type": "x", "n": n})
            patch.setattr(os, "write", lambda fd, data, cut=cut: real(fd, data[:cut]))
            writer.drain()
            writer.append({"type": "x", "n": 3})
            writer.drain()
            patch.setattr(os, "write", real)
            writer.close()

        others = read_journal(tmp_path / str(cut)).others
        assert [1, 2, 3] == [record["n"] for record in others if record["type"] == "x"], cut


def test_a_finding_that_had_to_wait_is_synced_when_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refuses it first; when it takes it, it is asked to keep it."""
    writer = JournalWriter(tmp_path, RUN)
    synced: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", synced.append)
        with patch.context() as full, open("/dev/full", "wb", buffering=0) as device:
            real = os.write
            full.setattr(os, "write", lambda fd, data: real(device.fileno(), data))
            writer.append_through(SPIKE)
            writer.drain()
        assert [] == synced
        writer.drain()
    writer.close()

    assert 1 == len(synced)


def test_when_there_is_room_again_writing_goes_on_on_a_fresh_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A real full device, after a write that fell short: one torn line, nothing else is missing."""
    writer = JournalWriter(tmp_path, RUN, limits=JournalLimits(capacity=1_000))
    real = os.write
    writer.append(row(1))
    writer.drain()
    with monkeypatch.context() as patch, open("/dev/full", "wb", buffering=0) as full:
        patch.setattr(os, "write", lambda fd, data: real(fd, data[:50]))
        writer.append(row(2))
        writer.append(row(3))
        writer.drain()
        patch.setattr(os, "write", lambda fd, data: real(full.fileno(), data))
        for step in range(4, 1_504):
            writer.append(row(step))
            writer.drain()
    writer.drain()
    writer.append(row(1_504))
    writer.close()

    journal = read_journal(tmp_path)
    kept = 1_504 - 1 - writer.dropped
    assert [*range(1, kept + 1), 1_504] == [row.step for row in journal.observations]
    assert writer.dropped > 0
    assert 1 == len(journal.damage)
    assert ["gap", "trouble"] == sorted(record["type"] for record in journal.others)
    assert [True] == ["is in trouble" in record.message for record in caplog.records]


def test_a_write_that_fails_after_a_part_of_it_was_written_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Network disks do this: the torn line stays, and what it should have said stands behind it."""
    writer = JournalWriter(tmp_path, RUN)
    real = os.write

    def half(descriptor: int, data: bytes) -> int:
        real(descriptor, data[: len(data) // 2])
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        writer.append(row(1))
        writer.drain()
    writer.append(row(2))
    writer.close()

    journal = read_journal(tmp_path)
    assert [1, 2] == [row.step for row in journal.observations]
    assert ["the checksum does not match"] == [damage.reason for damage in journal.damage]
    assert 1 == len(caplog.records)


LIMITED = """
import logging, resource, sys
sys.path.insert(0, sys.argv[1])
from scalewatch.journal import JournalWriter, observation_record
from scalewatch.observation import Observation
from scalewatch.run import Run

logging.basicConfig()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
writer = JournalWriter(sys.argv[2], Run("limited"))
for step in range(1, 2001):
    writer.append(observation_record(Observation(step, 3.0)))
    if step % 7 == 0:
        writer.drain()
writer.close()
print(writer.dropped)
"""


def test_a_limit_on_the_size_of_files_leads_to_more_files(tmp_path: Path) -> None:
    """RLIMIT_FSIZE, the real one: every record is there, one warning, no signal kills the run."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(ROOT), str(tmp_path), "10000"], capture_output=True, text=True, timeout=600
    )

    assert (0, "0\n") == (done.returncode, done.stdout)
    assert list(range(1, 2_001)) == steps_in(tmp_path)
    assert 1 == done.stderr.count("WARNING")
    assert resource.RLIM_INFINITY == resource.getrlimit(resource.RLIMIT_FSIZE)[0]

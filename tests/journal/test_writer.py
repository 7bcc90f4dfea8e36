"""The writer: what it promises to the step path, to the disk and to whoever comes next."""

from __future__ import annotations

import logging
import math
import os
import stat
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalewatch.errors import ConfigError, JournalError
from scalewatch.finding import Finding, Kind, Severity
from scalewatch.journal import (
    JournalLimits,
    JournalWriter,
    finding_record,
    read_journal,
)
from scalewatch.journal.lines import scan
from scalewatch.journal.writer import BATCH_BYTES, BATCH_RECORDS, RESERVED_RECORDS
from scalewatch.run import Run
from scalewatch.worker import Worker
from tests.journal.writing import row, steps_of, written

RUN = Run("a run", learning_rates=np.linspace(1e-3, 0.0, 1_000), parameters=1_000_000)
SPIKE = finding_record(Finding(Kind.SPIKE, Severity.WARNING, 5, 4, "a spike", {"sigmas": math.inf}))
write = partial(written, RUN)

#: Far longer than anything here takes [s].
NEVER_SECONDS = 60.0
PATIENCE_SECONDS = 50.0


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A disk on which every write hangs until the event is set."""
    well = threading.Event()
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: (well.wait(NEVER_SECONDS), write(fd, data))[1])
    yield well
    well.set()


# --- what is written ------------------------------------------------------------------------------


def test_what_is_appended_is_read_back(folder: Path) -> None:
    """Observations, findings and others, in their order, with a header and a closing record."""
    writer = JournalWriter(folder, RUN, rank=3)
    writer.append(row(1))
    writer.append_through(SPIKE)
    writer.append_through({"type": "forecast", "final_loss": 2.5, "high": math.nan})
    writer.append(row(2))
    assert writer.close()

    journal = read_journal(folder)
    assert [1, 2] == steps_of(journal)
    assert [math.inf] == [finding.evidence["sigmas"] for finding in journal.findings]
    assert [{"type": "forecast", "final_loss": 2.5, "high": "nan"}] == journal.others
    assert ([], []) == (journal.damage, journal.rewinds)
    assert journal.run is not None
    assert ("a run", 1_000) == (journal.run.name, journal.run.total_steps)
    (segment,) = journal.segments
    assert (1, 3, "began", None) == (segment.number, segment.rank, segment.reason, segment.resumes_after_step)
    assert {"type": "close", "written": 4, "dropped": 0, "thinned": 0} == segment.closing
    assert (5, 0, 0, 0) == (writer.written, writer.dropped, writer.thinned, writer.waiting)


def test_a_worker_writes_and_closes_the_journal(folder: Path) -> None:
    """Closing the worker is enough: the last record is the closing one."""
    worker = Worker(0.001)
    writer = JournalWriter(folder, RUN, worker=worker)
    worker.start()
    for step in range(1, 101):
        writer.append(row(step))

    assert worker.close(PATIENCE_SECONDS)
    journal = read_journal(folder)
    assert list(range(1, 101)) == steps_of(journal)
    assert journal.segments[0].closing is not None


def test_what_is_written_through_does_not_wait_for_the_next_round(folder: Path) -> None:
    """A finding is on the disk at once, with all that was queued before it."""
    worker = Worker(NEVER_SECONDS)
    writer = JournalWriter(folder, RUN, worker=worker)
    worker.start()
    writer.append(row(1))
    writer.append_through(SPIKE)

    deadline = time.monotonic() + PATIENCE_SECONDS
    while not writer.written and time.monotonic() < deadline:
        time.sleep(0.001)
    journal = read_journal(folder)
    worker.close()

    assert ([1], 1) == (steps_of(journal), len(journal.findings))


def test_the_disk_is_asked_to_keep_it_each_30_seconds_and_for_a_finding(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for each write: an fsync can take 20 ms."""
    now = [100.0]
    synced: list[float] = []
    writer = JournalWriter(folder, RUN, clock=lambda: now[0])
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(now[0]))
    for now[0] in (101.0, 129.9, 130.0, 131.0, 159.9, 160.0):
        writer.append(row(1))
        writer.drain()
    now[0] = 161.0
    writer.append_through(SPIKE)
    writer.drain()
    writer.drain()
    now[0] = 162.0
    writer.close()

    assert [130.0, 160.0, 161.0, 162.0] == synced


def test_one_batch_is_one_write(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand records are one call of the system, not a thousand."""
    writer = JournalWriter(folder, RUN)
    calls: list[int] = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: (calls.append(1), real(fd, data))[1])
    for step in range(1, 1_001):
        writer.append(row(step))
    writer.drain()
    monkeypatch.undo()
    writer.close()

    assert 1 == len(calls)


def test_large_records_are_not_gathered_in_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are queued, one write holds about a megabyte and the record that filled it."""
    writer = JournalWriter(folder, RUN)
    sizes: list[int] = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: (sizes.append(len(data)), real(fd, data))[1])
    for _ in range(10):
        writer.append({"type": "table", "text": "x" * 600_000})
    writer.drain()
    monkeypatch.undo()
    writer.close()

    assert 10 == len(read_journal(folder).others)
    assert max(sizes) < 2 * BATCH_BYTES


def test_files_are_for_their_owner_only(folder: Path) -> None:
    """The folder that is made 0700, the segments 0600, whatever the umask; a folder that was there stays."""
    before = os.umask(0)
    try:
        path = write(folder, 1, 1).path
        folder.parent.chmod(0o755)
        other = write(folder.parent, 1, 1).path
    finally:
        os.umask(before)

    modes = [stat.S_IMODE(p.stat().st_mode) for p in (folder, path, folder.parent, other)]
    assert [0o700, 0o600, 0o755, 0o600] == modes


def test_descriptors_are_not_inherited_and_are_closed(folder: Path) -> None:
    """No program that training starts gets the file; none stays open."""
    writer = JournalWriter(folder, RUN)
    held = [fd for fd in map(int, os.listdir("/proc/self/fd")) if leads_to(fd) == str(writer.path)]

    assert [False] == [os.get_inheritable(fd) for fd in held]
    writer.close()
    assert [] == [fd for fd in held if leads_to(fd) == str(writer.path)]


def leads_to(descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:  # it was the one that listed the others
        return ""


@pytest.mark.parametrize(
    "name",
    ["x" * 255, "\udcff\udc80", "a\nb\rc\x00d\x1b[31m\u202e", "../../etc", "ü" * 300, "", "</script>", "\ud800"],
    ids=ascii,
)
def test_any_name_of_a_run_is_kept_and_breaks_nothing(folder: Path, name: str) -> None:
    """It is escaped in the header and is no part of the file name."""
    writer = JournalWriter(folder, Run(name))
    writer.append(row(1))
    writer.close()

    assert folder / "journal-000001.jsonl" == writer.path
    assert 3 == writer.path.read_bytes().count(b"\n")
    assert name == getattr(read_journal(folder).run, "name", None)


def test_a_record_that_json_cannot_hold_costs_only_itself(folder: Path) -> None:
    """It is counted, and the journal says that there was one."""
    writer = JournalWriter(folder, RUN)
    writer.append(row(1))
    writer.append({"type": "o", "s": 2, "l": object()})
    writer.append(row(3))

    assert not writer.close()
    journal = read_journal(folder)
    assert [1, 3] == steps_of(journal)
    assert ["lost"] == [record["type"] for record in journal.others]
    assert 1 == writer.dropped


# --- the step path --------------------------------------------------------------------------------


def test_an_append_touches_nothing_but_the_queue(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file, no lock that a writing thread holds, no JSON: with all of them broken it works."""
    writer = JournalWriter(folder, RUN, worker=Worker())

    def forbidden(*_: object, **__: object) -> Any:
        raise AssertionError("on the step path")

    with monkeypatch.context() as patch, writer._io:
        for name in ("write", "open", "fsync", "fstat", "stat"):
            patch.setattr(os, name, forbidden)
        patch.setattr("scalewatch.journal.writer.encode", forbidden)
        for step in range(1, 11):
            writer.append(row(step))
            writer.append_through(SPIKE)
    writer.close()

    assert 10 == len(read_journal(folder).findings)


def test_a_hung_disk_does_not_slow_the_appends(folder: Path, request: pytest.FixtureRequest) -> None:
    """While one write hangs, a hundred thousand appends go through; none waits for it."""
    worker = Worker(0.001)
    writer = JournalWriter(folder, RUN, worker=worker, limits=JournalLimits(capacity=50_000))
    well: threading.Event = request.getfixturevalue("slow_disk")
    worker.start()
    record = row(1)
    for _ in range(100_000):
        writer.append(record)
    hung = not writer.written
    closed = worker.close(0.05)
    well.set()

    assert (True, False) == (hung, closed)
    assert worker.close(PATIENCE_SECONDS)
    own = len(read_journal(folder).others) + 1  # the gaps and the closing record
    assert 100_000 == writer.dropped + writer.written - own
    assert writer.dropped >= 100_000 - 50_000 - BATCH_RECORDS


def test_a_full_queue_drops_the_newest_and_says_so(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is queued is kept, the rest is counted, told once, and noted where it is missing."""
    writer = JournalWriter(folder, RUN, limits=JournalLimits(capacity=10))
    for step in range(1, 16):
        writer.append(row(step))
    writer.drain()
    for step in range(16, 30):
        writer.append(row(step))
    writer.close()

    assert 5 + 4 == writer.dropped
    journal = read_journal(folder)
    assert [*range(1, 11), *range(16, 26)] == steps_of(journal)
    assert [5, 4] == [record["dropped"] for record in journal.others]
    assert 1 == len(caplog.records)
    with writer.path.open("rb") as file:
        lines = [line.record or {} for line in scan(file)]
    assert 11 == [record["type"] for record in lines].index("gap")


def test_findings_have_room_when_observations_have_none(folder: Path) -> None:
    """A flood of steps cannot push a finding out; a flood of findings is bounded too."""
    writer = JournalWriter(folder, RUN, limits=JournalLimits(capacity=10))
    for step in range(1, 100):
        writer.append(row(step))
    for _ in range(RESERVED_RECORDS + 7):
        writer.append_through(SPIKE)
    assert 10 + RESERVED_RECORDS == writer.waiting
    writer.close()

    journal = read_journal(folder)
    assert (10, RESERVED_RECORDS, 89 + 7) == (len(journal.observations), len(journal.findings), writer.dropped)


def test_after_closing_everything_is_counted_as_dropped(folder: Path) -> None:
    """Closing twice, draining and appending afterwards change nothing and raise nothing."""
    writer = write(folder, 1, 3)
    before = writer.path.read_bytes()
    writer.append(row(4))
    writer.append_through(SPIKE)
    writer.drain()

    assert not writer.close()
    assert (before, 2) == (writer.path.read_bytes(), writer.dropped)


def test_closing_does_not_wait_for_a_drain_that_hangs(folder: Path, request: pytest.FixtureRequest) -> None:
    """When its time is up it says no, and how much is waiting can be asked."""
    worker = Worker(NEVER_SECONDS)
    writer = JournalWriter(folder, RUN, worker=worker)
    well: threading.Event = request.getfixturevalue("slow_disk")
    worker.start()
    writer.append_through(SPIKE)
    while not writer._io.locked():
        time.sleep(0.001)

    assert not writer.close(0.01)
    assert 1 == writer.waiting
    well.set()
    assert worker.close(PATIENCE_SECONDS)


# --- building it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["capacity", "max_segment_bytes", "max_total_bytes"])
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_a_size_that_cannot_be_is_refused(folder: Path, name: str, value: float) -> None:
    """Before anything is made."""
    with pytest.raises(ConfigError, match=f"`{name}` must be at least 1"):
        JournalWriter(folder, RUN, limits=JournalLimits(**{name: value}))  # type: ignore[arg-type]
    assert not folder.exists()


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    """Below a file, in /proc, with a NUL, through a file in its place, with too long a name."""
    file = tmp_path / "file\x1b[31m"
    file.write_text("")
    for folder in (file / "journal", Path("/proc/journal"), tmp_path / "a\0b", file, tmp_path / ("x" * 300)):
        with pytest.raises(JournalError, match=r"The journal cannot be written to '.*': .+\. Choose") as error:
            JournalWriter(folder, RUN)
        assert str(error.value).isprintable()


def test_a_link_in_the_place_of_a_segment_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """A file name that is free may be prepared by somebody else to lead elsewhere."""
    folder.mkdir(parents=True)
    (folder / "journal-000001.jsonl").symlink_to(tmp_path / "elsewhere")
    writer = write(folder, 1, 1)

    assert folder / "journal-000002.jsonl" == writer.path
    assert not (tmp_path / "elsewhere").exists()


def test_a_header_that_does_not_fit_leaves_nothing_behind(folder: Path) -> None:
    """A run whose name is 5 MB long has no journal, and no empty file either."""
    with pytest.raises(JournalError, match="must be shorter than"):
        JournalWriter(folder, Run("x" * 5_000_000))

    assert [] == list(folder.iterdir())
    assert [] == [fd for fd in map(int, os.listdir("/proc/self/fd")) if str(folder) in leads_to(fd)]


def test_building_it_starts_no_thread_and_says_nothing(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The worker starts when it is told to."""
    before = threading.active_count()
    writer = JournalWriter(folder, RUN, worker=Worker())

    assert before == threading.active_count()
    assert writer.close()
    assert [] == [record for record in caplog.records if record.levelno > logging.DEBUG]

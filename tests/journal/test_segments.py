"""How a journal is cut into files, who writes into which, and how it keeps within its room."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from scalewatch.finding import Finding, Kind, Severity
from scalewatch.journal import (
    JournalLimits,
    JournalWriter,
    finding_record,
    observation_record,
    read_journal,
)
from scalewatch.observation import Observation
from scalewatch.run import Run
from tests.journal.writing import row, steps_of, written

RUN = Run("a run", total_steps=1_000)
SPIKE = finding_record(Finding(Kind.SPIKE, Severity.WARNING, 5, 4, "a spike"))
write = partial(written, RUN)


# --- segments -------------------------------------------------------------------------------------


def test_two_writers_in_one_folder_have_a_segment_each(folder: Path) -> None:
    """A requeued job and its predecessor that still lives do not meet in a file."""
    first, second = JournalWriter(folder, RUN), JournalWriter(folder, RUN)
    for step in range(1, 201):
        (first if step % 2 else second).append(row(step))
        first.drain()
        second.drain()
    assert first.close()
    assert second.close()

    assert [1, 2] == [int(writer.path.stem[-6:]) for writer in (first, second)]
    assert list(range(1, 201, 2)) == steps_of(read_journal(first.path))
    assert list(range(2, 201, 2)) == steps_of(read_journal(second.path))


def test_many_writers_at_once_have_a_segment_each(folder: Path) -> None:
    """Also when they look for a free number at the same moment."""
    writers: list[JournalWriter] = []
    barrier = threading.Barrier(8)

    def begin() -> None:
        barrier.wait()
        writers.append(JournalWriter(folder, RUN))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for writer in writers:
        writer.close()

    assert 8 == len({writer.path for writer in writers})


def test_a_full_segment_is_followed_by_the_next(folder: Path) -> None:
    """Each with a header, none larger than allowed, and the history goes on through all."""
    writer = JournalWriter(folder, RUN, limits=JournalLimits(max_segment_bytes=5_000))
    for step in range(1, 501):
        writer.append(row(step))
        if step % 10 == 0:
            writer.drain()
    writer.close()

    journal = read_journal(folder)
    assert list(range(1, 501)) == steps_of(journal)
    assert len(journal.segments) > 5
    assert {"continued"} == {segment.reason for segment in journal.segments[1:]}
    assert {writer.run_id} == {segment.run_id for segment in journal.segments}
    assert max(path.stat().st_size for path in folder.iterdir()) <= 5_000


def test_one_segment_is_open_at_a_time(folder: Path) -> None:
    """A run of many segments does not use up the descriptors of the process."""
    writer = JournalWriter(folder, RUN, limits=JournalLimits(max_segment_bytes=1))
    for step in range(1, 21):
        writer.append(row(step))
        writer.drain()
    held = [path for path in map(leads_to, os.listdir("/proc/self/fd")) if path.startswith(str(folder))]
    writer.close()

    assert [str(folder / "journal-000020.jsonl")] == held


def leads_to(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:  # it was the one that listed the others
        return ""


def test_a_resumed_run_keeps_its_id_and_a_new_one_has_its_own(folder: Path) -> None:
    """Told apart by whether training goes on from a checkpoint; an id may be given."""
    first = write(folder, 1, 5)
    resumed = write(folder, 6, 9, resumes_after_step=5)
    begun = write(folder, 1, 2)
    named = write(folder, 1, 2, run_id="mine")

    assert first.run_id == resumed.run_id
    assert 3 == len({first.run_id, begun.run_id, named.run_id})
    assert "mine" == named.run_id
    assert [None, 5, None, None] == [s.resumes_after_step for s in read_journal(folder).segments]


def test_the_name_of_a_new_segment_is_on_the_disk_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut may otherwise take the name of a file whose bytes are safe."""
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_ino), real(fd))[1])
    writer = JournalWriter(folder, RUN)
    assert [folder.stat().st_ino] == synced

    writer.close()
    assert [folder.stat().st_ino, writer.path.stat().st_ino] == synced


def test_the_next_segment_is_in_the_same_folder_when_the_script_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative folder is that of the moment in which it was given."""
    monkeypatch.chdir(tmp_path)
    writer = JournalWriter("here", RUN, limits=JournalLimits(max_segment_bytes=1))
    writer.append(row(1))
    writer.drain()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    writer.append(row(2))
    writer.close()

    assert [1, 2] == steps_of(read_journal(tmp_path / "here"))


@pytest.mark.parametrize(
    "lose", [lambda p: p.unlink(), lambda p: (p.unlink(), p.parent.rmdir())], ids=["file", "folder"]
)
def test_a_deleted_file_is_followed_by_a_new_one(folder: Path, lose: Callable[[Path], object]) -> None:
    """Writing on into a file without a name would lose everything."""
    writer = JournalWriter(folder, RUN)
    writer.append(row(1))
    writer.drain()
    lose(writer.path)
    writer.append(row(2))
    writer.close()

    journal = read_journal(folder)
    assert ([2], ["reopened"]) == (steps_of(journal), [segment.reason for segment in journal.segments])


def test_a_descriptor_that_became_somebody_elses_is_left_alone(folder: Path, tmp_path: Path) -> None:
    """Where a script closes every descriptor, ours may soon lead to its checkpoint."""
    writer = JournalWriter(folder, RUN)
    theirs = tmp_path / "checkpoint"
    descriptor = writer._store._segment._descriptor
    with theirs.open("wb") as file:
        os.dup2(file.fileno(), descriptor)
    writer.append(row(1))
    writer.close()

    assert b"" == theirs.read_bytes()
    os.write(descriptor, b"still open")
    os.close(descriptor)
    assert b"still open" == theirs.read_bytes()
    assert [1] == steps_of(read_journal(folder))


# --- room -----------------------------------------------------------------------------------------


def test_the_room_of_a_run_is_kept_by_thinning_and_announced(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """First every step, then every 10th, every 100th: one warning, a record each, findings always."""
    writer = JournalWriter(folder, RUN, limits=JournalLimits(max_segment_bytes=20_000, max_total_bytes=100_000))
    for step in range(1, 20_001):
        writer.append(row(step))
        if step % 1_000 == 0:
            writer.append_through(SPIKE)
            writer.drain()
    writer.close()

    journal = read_journal(folder)
    steps = steps_of(journal)
    kept_all = next(n for n, step in enumerate(steps, 1) if n != step) - 1
    assert 75_000 / 100 < kept_all < 75_000 / 70
    assert [10, 100] == [record["keeps_every"] for record in journal.others][:2]
    assert {1, 10, 100} <= set(np.diff(steps).tolist())
    assert 20 == len(journal.findings)
    assert 20_000 == len(steps) + writer.thinned
    assert 0 == writer.dropped
    assert sum(path.stat().st_size for path in folder.iterdir()) < 110_000
    assert ["fewer of the observations" in record.message for record in caplog.records] == [True]


def test_a_resumed_run_counts_what_it_had_written_before(folder: Path) -> None:
    """The room is that of the run; what another run left in the folder does not count."""
    write(folder, 1, 850, limits=JournalLimits(max_total_bytes=100_000))
    resumed = write(folder, 851, 1_700, resumes_after_step=850, limits=JournalLimits(max_total_bytes=100_000))
    other = write(folder, 1, 850, limits=JournalLimits(max_total_bytes=100_000))

    assert resumed.thinned > 300
    assert 0 == other.thinned


def test_a_validation_loss_is_never_thinned(folder: Path) -> None:
    """There are few of them, and they say more than a step."""
    writer = JournalWriter(folder, RUN, limits=JournalLimits(max_total_bytes=50_000))
    for step in range(1, 5_001):
        value = 3.0 if step % 333 == 0 else None
        writer.append(observation_record(Observation(step, 3.0, validation_loss=value)))
    writer.close()

    rows = read_journal(folder).observations
    assert list(range(333, 5_001, 333)) == [o.step for o in rows if o.validation_loss is not None]
    assert len(rows) < 2_000

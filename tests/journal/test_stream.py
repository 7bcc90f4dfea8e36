"""A journal read in order and in little memory gives what reading it as a whole gives."""

from __future__ import annotations

from pathlib import Path

from scalewatch.journal import JournalWriter, observation_from, observation_record, read_journal
from scalewatch.journal.stream import JournalStream
from scalewatch.observation import Observation
from scalewatch.run import Run


def write(folder: Path, first: int, last: int, **options: int) -> None:
    """A segment with the rows from `first` to `last`."""
    writer = JournalWriter(folder, Run("run", total_steps=500), **options)
    for step in range(first, last + 1):
        writer.append(observation_record(Observation(step, 4.0 - step / 500)))
    writer.close()


def steps_of(stream: JournalStream) -> list[int]:
    """The steps that have come."""
    return [observation_from(record).step for record in stream.records() if record.get("type") == "o"]


def test_segments_come_one_after_the_other(tmp_path: Path) -> None:
    """The first to its end, then the next; each once; and what is added later after that."""
    write(tmp_path, 1, 200)
    write(tmp_path, 201, 300)
    stream = JournalStream(tmp_path)

    assert steps_of(stream) == [row.step for row in read_journal(tmp_path).observations]
    assert steps_of(stream) == []
    write(tmp_path, 301, 310)
    assert steps_of(stream) == list(range(301, 311))
    assert stream.notes == []


def test_a_line_that_is_being_written_waits(tmp_path: Path) -> None:
    """Half a record is none; the whole of it is read when it is there, and damage before it is noted."""
    write(tmp_path, 1, 50)
    (segment,) = tmp_path.iterdir()
    whole = segment.read_bytes()
    lines = whole.splitlines(keepends=True)
    lines[10] = b"rubbish\n"
    damaged = b"".join(lines)
    segment.write_bytes(damaged[:-20])
    stream = JournalStream(tmp_path)
    before = [record["type"] for record in stream.records()]
    segment.write_bytes(damaged)

    assert [record["type"] for record in stream.records()] == ["close"]
    assert before == ["header", *["o"] * 49]
    assert len(stream.notes) == 1


def test_the_lowest_rank_is_the_run(tmp_path: Path) -> None:
    """Segments of other ranks lie beside it and are left out."""
    write(tmp_path, 1, 20, rank=1)
    write(tmp_path, 1, 30, rank=0)

    assert steps_of(JournalStream(tmp_path)) == list(range(1, 31))

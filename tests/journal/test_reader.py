"""The reader: one history out of whatever is on the disk, and a list of what is not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from scalewatch.errors import JournalError
from scalewatch.finding import Finding, Kind, Severity
from scalewatch.journal import (
    JournalLimits,
    JournalTail,
    JournalWriter,
    Rewind,
    finding_record,
    observation_record,
    read_journal,
    run_record,
)
from scalewatch.journal.lines import MAX_LINE_BYTES, encode
from scalewatch.journal.tail import MAX_POLL_BYTES
from scalewatch.observation import Observation
from scalewatch.run import Run

RUN = Run("a run", total_steps=100)
SPIKE = finding_record(Finding(Kind.SPIKE, Severity.WARNING, 5, 4, "a spike"))


def row(step: int, loss: float = 3.0) -> dict[str, Any]:
    return observation_record(Observation(step, loss))


def header(**fields: Any) -> dict[str, Any]:
    return {"type": "header", "schema": 1, "segment": 1, "rank": 0, "run_id": "id", "run": run_record(RUN), **fields}


def put(path: Path, *records: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(encode, records)))
    return path


def write(folder: Path, steps: range, loss: float = 3.0, **options: Any) -> Path:
    writer = JournalWriter(folder, RUN, **options)
    for step in steps:
        writer.append(row(step, loss))
    writer.close()
    return writer.path


# --- one history ----------------------------------------------------------------------------------


def test_a_run_that_was_resumed_from_an_older_checkpoint_is_one_history(tmp_path: Path) -> None:
    """The rows that were trained away are left out, those of the newer segment are in, and it says so."""
    write(tmp_path, range(1, 121), 3.0)
    second = write(tmp_path, range(101, 151), 2.0, resumes_after_step=100)

    journal = read_journal(tmp_path)
    assert list(range(1, 151)) == [row.step for row in journal.observations]
    assert [3.0] * 100 + [2.0] * 50 == [row.loss for row in journal.observations]
    assert [Rewind(second, 101, 20)] == journal.rewinds
    assert [] == journal.damage


def test_rows_after_the_checkpoint_do_not_count_even_where_nothing_takes_their_place(tmp_path: Path) -> None:
    """A resumed run that logs each tenth step leaves no rows of the old one in between."""
    write(tmp_path, range(1, 121))
    second = write(tmp_path, range(110, 131, 10), resumes_after_step=100)

    journal = read_journal(tmp_path)
    assert [*range(1, 101), 110, 120, 130] == [row.step for row in journal.observations]
    assert [Rewind(second, 101, 20)] == journal.rewinds


def test_a_run_that_goes_on_where_it_stopped_is_not_rewound(tmp_path: Path) -> None:
    """There is nothing to leave out, and nothing to tell."""
    write(tmp_path, range(1, 11))
    write(tmp_path, range(11, 21), resumes_after_step=10)

    journal = read_journal(tmp_path)
    assert (20, []) == (len(journal.observations), journal.rewinds)


def test_what_a_resumed_run_does_not_know_is_not_taken_from_the_old_one(tmp_path: Path) -> None:
    """The same step in two segments is two measurements, and the older one does not count."""
    put(tmp_path / "journal-000001.jsonl", header(), observation_record(Observation(1, 3.0, grad_norm=9.0)))
    put(tmp_path / "journal-000002.jsonl", header(), row(1, 2.0))

    assert [Observation(1, 2.0)] == read_journal(tmp_path).observations


def test_a_run_that_does_not_say_where_it_resumes_is_joined_by_its_first_step(tmp_path: Path) -> None:
    """Also one that starts all over; nothing is rewound where it simply goes on."""
    write(tmp_path, range(1, 11))
    write(tmp_path, range(11, 21))
    third = write(tmp_path, range(16, 19))
    fourth = write(tmp_path, range(1, 3), 1.0)

    journal = read_journal(tmp_path)
    assert [(1, 1.0), (2, 1.0)] == [(row.step, row.loss) for row in journal.observations]
    assert [Rewind(third, 16, 5), Rewind(fourth, 1, 18)] == journal.rewinds


def test_a_run_that_goes_back_within_a_segment_is_rewound_too(tmp_path: Path) -> None:
    """A training loop may load a checkpoint without being started anew."""
    path = put(tmp_path / "j.jsonl", header(), *map(row, [1, 2, 3, 4, 2, 3]))

    journal = read_journal(path)
    assert [1, 2, 3] == [row.step for row in journal.observations]
    assert [Rewind(path, 2, 3)] == journal.rewinds


def test_a_step_that_is_told_twice_is_one_row(tmp_path: Path) -> None:
    """Its loss first and its validation loss later; what is newer counts, what is missing is kept."""
    first = observation_record(Observation(7, 3.0, learning_rate=1e-3))
    then = observation_record(Observation(7, 3.1, validation_loss=3.5))
    journal = read_journal(put(tmp_path / "j.jsonl", header(), row(6), first, then, row(8)))

    assert Observation(7, 3.1, 1e-3, validation_loss=3.5) == journal.observations[1]
    assert ([6, 7, 8], []) == ([row.step for row in journal.observations], journal.rewinds)


def test_findings_are_never_rewound(tmp_path: Path) -> None:
    """What was said was said."""
    path = put(tmp_path / "j.jsonl", header(), row(5), SPIKE, row(1), SPIKE)

    assert 2 == len(read_journal(path).findings)


def test_what_is_found_again_after_a_resume_is_there_once(tmp_path: Path) -> None:
    """The run was killed after it, and went on from a checkpoint before it."""
    put(tmp_path / "journal-000001.jsonl", header(segment=1), row(4), row(5), SPIKE)
    put(tmp_path / "journal-000002.jsonl", header(segment=2, resumes_after_step=4), row(5), SPIKE, row(6))

    assert 1 == len(read_journal(tmp_path).findings)


def test_of_two_writers_whose_segments_take_turns_the_later_one_counts(tmp_path: Path) -> None:
    """The old process of a requeued job fills its last segment after the new one began."""
    for number, writer, steps in [(1, "old", [1, 2]), (2, "new", [2, 3]), (3, "old", [3, 4]), (4, "new", [4, 5])]:
        losses = {"old": 3.0, "new": 2.0}
        rows = [row(step, losses[writer]) for step in steps]
        put(tmp_path / f"journal-{number:06d}.jsonl", header(segment=number, writer=writer), *rows)

    journal = read_journal(tmp_path)
    assert [1, 3, 2, 4] == [segment.number for segment in journal.segments]
    assert [(1, 3.0), (2, 2.0), (3, 2.0), (4, 2.0), (5, 2.0)] == [(r.step, r.loss) for r in journal.observations]


def test_each_rank_is_a_history_of_its_own(tmp_path: Path) -> None:
    """Of a folder that holds several, the lowest is read, or the one that is asked for."""
    write(tmp_path, range(1, 4), 1.0, rank=1)
    write(tmp_path, range(1, 4), 0.0, rank=0)

    assert {0.0} == {row.loss for row in read_journal(tmp_path).observations}
    assert {1.0} == {row.loss for row in read_journal(tmp_path, rank=1).observations}


def test_segments_are_read_by_number_and_nothing_else_is(tmp_path: Path) -> None:
    """A folder of logs holds other files, and number 1000000 comes after 999999."""
    put(tmp_path / "journal-1000000.jsonl", header(segment=1_000_000), row(2))
    put(tmp_path / "journal-999999.jsonl", header(segment=999_999), row(1))
    put(tmp_path / "journal-000001.jsonl.bak", header(), row(3))
    (tmp_path / "metrics.csv").write_text("step,loss\n")

    journal = read_journal(tmp_path)
    assert ([1, 2], []) == ([row.step for row in journal.observations], journal.damage)


# --- damage ---------------------------------------------------------------------------------------


def test_a_damaged_header_costs_the_header(tmp_path: Path) -> None:
    """The rows are read; what is being trained is taken from another segment, or unknown."""
    path = put(tmp_path / "journal-000001.jsonl", header(), row(1))
    path.write_bytes(b"#" + path.read_bytes()[1:])
    journal = read_journal(tmp_path)
    assert (None, 1, 1) == (journal.run, len(journal.observations), len(journal.damage))

    put(tmp_path / "journal-000002.jsonl", header(segment=2), row(2))
    journal = read_journal(tmp_path)
    assert journal.run is not None
    assert ("a run", 2) == (journal.run.name, len(journal.observations))


@pytest.mark.parametrize("run", [None, {}, {"name": 3}, {"name": "r", "parameters": -1}])
def test_a_header_that_describes_no_run_is_damage(tmp_path: Path, run: object) -> None:
    """With a right checksum: somebody wrote it so. The rows are read all the same."""
    journal = read_journal(put(tmp_path / "j.jsonl", header(run=run), row(1)))

    assert (None, 1, [0]) == (journal.run, len(journal.observations), [d.offset_bytes for d in journal.damage])


def test_a_file_of_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    """Its records may mean something else: it is reported, whole, and other segments are read."""
    newer = put(tmp_path / "journal-000001.jsonl", header(schema=2), row(1))
    with pytest.raises(JournalError, match="schema '2'"):
        read_journal(tmp_path)

    put(tmp_path / "journal-000002.jsonl", header(segment=2), row(2))
    journal = read_journal(tmp_path)
    assert [2] == [row.step for row in journal.observations]
    assert [(newer, 0, newer.stat().st_size)] == [damage[:3] for damage in journal.damage]


@pytest.mark.parametrize(
    "record",
    [
        {"type": "o"},
        {"type": "o", "s": "1", "l": 2.0},
        {"type": "o", "s": 1, "l": None},
        {"type": "finding"},
        {**SPIKE, "kind": "something new"},
        {"type": "advice", "action": []},
    ],
    ids=str,
)
def test_a_record_that_makes_no_sense_is_damage(tmp_path: Path, record: dict[str, Any]) -> None:
    """It costs itself, and the place in the file is told."""
    path = put(tmp_path / "j.jsonl", header(), row(1), record, row(2))
    journal = read_journal(path)

    assert [1, 2] == [row.step for row in journal.observations]
    start = len(encode(header())) + len(encode(row(1)))
    assert [(path, start, len(encode(record)))] == [damage[:3] for damage in journal.damage]


@pytest.mark.parametrize("record", [{"type": "something new", "x": 1}, {"x": 1}, {"type": []}])
def test_a_record_of_an_unknown_type_is_kept(tmp_path: Path, record: dict[str, Any]) -> None:
    """A newer writer may say more; whoever knows what it means finds it."""
    journal = read_journal(put(tmp_path / "j.jsonl", header(), record))

    assert ([record], []) == (journal.others, journal.damage)


def test_garbage_of_every_kind_is_reported_and_never_raised(tmp_path: Path) -> None:
    """Zeros that a power cut leaves, a line without end, bytes that are no text, brackets."""
    junk = [b"\0" * 4096, b"x" * (MAX_LINE_BYTES + 1), bytes(range(10)) * 20, b"\r\r\xff\xfe", b"[" * 50_000]
    path = tmp_path / "j.jsonl"
    data = encode(header())
    for step, piece in enumerate(junk, 1):
        data += piece + b"\n" + encode(row(step))
    path.write_bytes(data)

    journal = read_journal(path)
    assert [1, 2, 3, 4, 5] == [row.step for row in journal.observations]
    assert len(junk) <= len(journal.damage)
    for damage in journal.damage:
        assert data[damage.offset_bytes :][: damage.length_bytes].strip(b"\n") != b""


@pytest.mark.parametrize("content", [b"", b"\n\n", b"hello\n", b"\0" * 100, encode({})[:-3]])
def test_a_file_in_which_nothing_can_be_read_is_an_error(tmp_path: Path, content: bytes) -> None:
    """One sentence with the file and the reason."""
    path = tmp_path / "j\n.jsonl"
    path.write_bytes(content)

    with pytest.raises(JournalError, match=r"The journal '.*j\\n.jsonl' holds nothing that can be read: .+\.$"):
        read_journal(path)


def test_what_is_no_journal_is_an_error_and_never_hangs(tmp_path: Path) -> None:
    """Nothing there, an empty folder, a FIFO that nobody writes to, a device without end."""
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "fifos").mkdir()
    os.mkfifo(tmp_path / "fifos" / "journal-000001.jsonl")
    for path in ("nothing", "empty", "fifo", "fifos", "a\0b", "/dev/zero", "x" * 300):
        with pytest.raises(JournalError):
            read_journal(tmp_path / path)


def test_a_link_among_the_segments_is_not_followed(tmp_path: Path) -> None:
    """One that is named by the user is."""
    elsewhere = put(tmp_path / "elsewhere.jsonl", header(), row(9))
    put(tmp_path / "j" / "journal-000001.jsonl", header(), row(1))
    (tmp_path / "j" / "journal-000002.jsonl").symlink_to(elsewhere)

    journal = read_journal(tmp_path / "j")
    assert ([1], 1) == ([row.step for row in journal.observations], len(journal.damage))
    assert [9] == [row.step for row in read_journal(tmp_path / "j" / "journal-000002.jsonl").observations]


# --- following ------------------------------------------------------------------------------------


def steps(tail: JournalTail) -> list[int]:
    return [record["s"] for record in tail.poll() if record["type"] == "o"]


def test_a_tail_gives_each_record_once_as_it_comes(tmp_path: Path) -> None:
    """From before the folder is there, over segments that are added."""
    folder = tmp_path / "journal"
    tail = JournalTail(folder)
    assert [] == tail.poll()

    writer = JournalWriter(folder, RUN, limits=JournalLimits(max_segment_bytes=400))
    assert ["header"] == [record["type"] for record in tail.poll()]
    for step in range(1, 31):
        writer.append(row(step))
        writer.drain()
        assert [step] == steps(tail)
        assert [] == tail.poll()
    other = JournalWriter(folder, RUN)
    other.append(row(99))
    other.close()
    writer.close()
    assert [99] == steps(tail)
    assert [] == tail.poll()
    assert 0 == tail.damaged


def test_a_tail_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    """Cut at every byte, a line is given when it is whole."""
    data = encode(header()) + encode(row(1)) + b"damaged\n" + encode(row(2))
    path = tmp_path / "j.jsonl"
    tail = JournalTail(path)
    seen: list[int] = []
    with path.open("wb", buffering=0) as file:
        for end in range(len(data)):
            file.write(data[end : end + 1])
            seen += steps(tail)

    assert ([1, 2], 1) == (seen, tail.damaged)


def test_a_tail_passes_over_what_is_no_line(tmp_path: Path) -> None:
    """Bytes without a newline are not read again and again."""
    path = tmp_path / "j.jsonl"
    path.write_bytes(b"\0" * (2 * MAX_POLL_BYTES + 1) + b"\n" + encode(row(1)))
    tail = JournalTail(path)
    seen = steps(tail) + steps(tail) + steps(tail)

    assert [1] == seen

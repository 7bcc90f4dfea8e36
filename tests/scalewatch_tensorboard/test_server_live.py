"""Runs while they are being written: the server follows them, whatever happens to their files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from scalewatch.journal import JournalWriter, observation_record
from scalewatch.observation import Observation
from scalewatch.run import Run
from scalewatch_tensorboard.runs.logdirs import found_runs
from scalewatch_tensorboard.runs.run_state import RunState
from scalewatch_tensorboard.runs.source import open_source
from tests.logs.tensorboard_files import NAME
from tests.scalewatch_tensorboard.browser import settled, tensorboard
from tests.scalewatch_tensorboard.http import ask, until
from tests.scalewatch_tensorboard.logs import event_log, grow, journal_log, losses_of
from tests.synthetic import cosine, planned


def opened(folder: Path) -> RunState:
    """The one run of a folder, read to its present end."""
    (found,) = found_runs((("", folder),))
    state = RunState(found.name, open_source(found), None)
    read(state)
    return state


def read(state: RunState) -> None:
    """Read to the present end."""
    while state.advance(1.0):
        pass


def test_a_run_that_grows_is_followed(tmp_path: Path) -> None:
    """Rows that are written while the server runs are in its answers within seconds, also a file cut in a record."""
    losses = losses_of(3_000, 1_200, 0)
    path = event_log(tmp_path / "logs" / "run", losses[:400])
    whole = path.read_bytes()
    path.write_bytes(whole[:-11])
    with tensorboard(tmp_path / "logs", tmp_path / "cache") as board:
        settled(board, 1)
        assert ask(board.url, "run", run="run").json["rows"] == 399
        with path.open("ab") as file:
            file.write(whole[-11:])
        grow(path.parent, losses[400:1_200], 401)
        until(lambda: ask(board.url, "run", run="run").json["rows"] == 1_200)
        assert ask(board.url, "run", run="run").json["stage"] == "live"


def test_runs_come_and_go(tmp_path: Path) -> None:
    """A run that is begun later appears, one whose folder is taken away disappears, one that is written anew is new."""
    event_log(tmp_path / "logs" / "a", losses_of(200, 200, 0))
    event_log(tmp_path / "logs" / "c", losses_of(300, 300, 0))
    with tensorboard(tmp_path / "logs", tmp_path / "cache") as board:
        settled(board, 2)
        event_log(tmp_path / "logs" / "b", losses_of(200, 200, 1))
        shutil.rmtree(tmp_path / "logs" / "a")
        event_log(tmp_path / "logs" / "c", losses_of(100, 100, 2))

        def rows() -> dict[str, int]:
            return {row["name"]: row["rows"] for row in ask(board.url, "runs").json["runs"]}

        until(lambda: rows() == {"b": 200, "c": 100})


def test_a_journal_is_better_than_event_files(tmp_path: Path) -> None:
    """Where a run has both, its plan and its rows are those of the journal."""
    rates = cosine(1_000)
    event_log(tmp_path / "run", losses_of(1_000, 500, 0))
    journal_log(tmp_path / "run" / "scalewatch", planned(rates, 8e6, "mine"), losses_of(1_000, 800, 0), rates)
    state = opened(tmp_path)

    assert (state.source, state.run.total_steps, len(state.rows)) == ("journal", 1_000, 800)
    assert state.name == "run"


def test_a_journal_that_cannot_be_read_leaves_the_event_files(tmp_path: Path) -> None:
    """A segment of rubbish does not hide the run."""
    event_log(tmp_path / "run", losses_of(1_000, 500, 0))
    (tmp_path / "run" / "scalewatch").mkdir()
    (tmp_path / "run" / "scalewatch" / "journal-000001.jsonl").write_text("rubbish\n")

    assert opened(tmp_path).source == "event files"


def test_a_run_that_went_back_shows_what_counts(tmp_path: Path) -> None:
    """A resume from an older checkpoint takes the place of the rows after it, in one file or in a new segment."""
    run = Run("run", total_steps=400, learning_rates=np.full(400, 1e-3))
    first, second = JournalWriter(tmp_path, run), None
    for step in range(1, 201):
        first.append(observation_record(Observation(step, 4.0 - step / 200, 1e-3)))
    first.close()
    state = opened(tmp_path)
    before = state.columns()
    second = JournalWriter(tmp_path, run, resumes_after_step=100)
    for step in range(101, 151):
        second.append(observation_record(Observation(step, 3.25, 1e-3)))
    second.drain()
    read(state)
    after = state.columns()
    second.close()

    assert before.steps.tolist() == list(range(1, 201))
    assert after.steps.tolist() == list(range(1, 151))
    assert set(after.losses[100:].tolist()) == {3.25}
    assert all(look.step <= 150 for look in state.charts.looks)


def test_what_a_journal_told_is_told(tmp_path: Path) -> None:
    """Findings that the callback wrote are shown as it wrote them, once."""
    from scalewatch.finding import Finding, Kind, Severity
    from scalewatch.journal import finding_record

    writer = JournalWriter(tmp_path, Run("run", total_steps=400))
    for step in range(1, 101):
        writer.append(observation_record(Observation(step, 4.0 - step / 200)))
    told = Finding(Kind.THROUGHPUT, Severity.WARNING, 90, 80, "the callback saw this", {"seconds": float("inf")})
    writer.append(finding_record(told))
    writer.close()

    assert opened(tmp_path).findings == [told]


def test_the_name_of_a_file_that_vanishes_is_no_fault(tmp_path: Path) -> None:
    """A record outlives its files: it keeps what it has read."""
    event_log(tmp_path / "run", losses_of(300, 300, 0))
    state = opened(tmp_path)
    (tmp_path / "run" / NAME).unlink()
    read(state)

    assert len(state.rows) == 300
    assert state.guard.failed == {}

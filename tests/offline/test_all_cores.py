"""Many logs at once: read by several processes as by one, and the ones that look worst first."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scalewatch.finding import Finding
from scalewatch.logs import open_logs
from scalewatch.logs.log import AbstractLog
from scalewatch.offline import all_cores
from scalewatch.offline.all_cores import read_on_all_cores, worth_it
from scalewatch.offline.last_look import urgency
from scalewatch.offline.replayed import ReplayedRun, Settings, summary, watch_all
from tests.scalewatch_tensorboard.logs import event_log, grow, losses_of


def table(path: Path, last: float = 3.0) -> None:
    """A run in CSV, whose last ten losses are `last`."""
    rows = [f"{i},{3.0 + 0.01 * (i % 3) if i < 90 else last}" for i in range(1, 100)]
    path.write_text("step,loss\n" + "\n".join(rows) + "\n")


def some_logs(folder: Path) -> None:
    """Runs of two formats, one of them lost."""
    table(folder / "fine.csv")
    table(folder / "broken.csv", float("nan"))
    event_log(folder / "events", losses_of(400, 200, 0))


def runs_of(folder: Path) -> list[ReplayedRun]:
    """The runs of a folder, unread."""
    return [ReplayedRun(log, Settings(), curve=True) for log in open_logs([folder]).logs]


def test_several_processes_say_what_one_says_and_a_run_goes_on_from_there(tmp_path: Path) -> None:
    """Findings, verdict, notes and curve are the same; what is appended afterwards is read on, and alone."""
    some_logs(tmp_path)
    alone = runs_of(tmp_path)
    for run in alone:
        list(run.advance())
    shared = dict(read_on_all_cores(runs_of(tmp_path), most=2))

    assert [summary(run) for run in alone] == [summary(shared[place]) for place in range(len(alone))]
    assert [run.curve and list(run.curve.losses) for run in alone] == [
        shared[place].curve and list(shared[place].curve.losses) for place in range(len(alone))
    ]
    grow(tmp_path / "events", losses_of(400, 300, 0)[200:], 201)
    (events,) = [run for run in shared.values() if run.log.form == "tensorboard"]
    list(events.advance())
    assert (300, 300) == (events.tracker.rows, events.tracker.monitor.step)


def test_a_folder_of_parquet_is_read_on_all_cores(tmp_path: Path) -> None:
    """A log holds nothing that another process cannot have."""
    for name, last in (("fine", 3.0), ("lost", float("nan"))):
        losses = [3.0 + 0.01 * (i % 3) if i < 90 else last for i in range(1, 100)]
        pd.DataFrame({"step": range(1, 100), "loss": losses}).to_parquet(tmp_path / f"{name}.parquet")

    shared = dict(read_on_all_cores(runs_of(tmp_path), most=2))

    assert [99, 99] == [run.tracker.rows for run in shared.values()]


def test_no_run_of_many_is_lost(tmp_path: Path) -> None:
    """More runs than wait at the processes: each is read, once."""
    for place in range(9):
        table(tmp_path / f"{place}.csv")

    assert list(range(9)) == sorted(place for place, _ in read_on_all_cores(runs_of(tmp_path), most=1))


class Lonely(ReplayedRun):
    """A run that cannot go to another process."""

    def __getstate__(self) -> Any:
        raise TypeError("cannot pickle 'module' object")


def test_a_run_that_cannot_be_handed_over_is_read_by_this_process(tmp_path: Path) -> None:
    """As one of a format of another package may be; the others are read as ever."""
    table(tmp_path / "fine.csv")
    table(tmp_path / "too.csv")
    fine, too = open_logs([tmp_path]).logs
    runs = [Lonely(fine, Settings()), ReplayedRun(too, Settings())]

    assert [99, 99] == [run.tracker.rows for run in dict(read_on_all_cores(runs, most=2)).values()]


class Fragile:
    """A run over which each process but this one dies."""

    def __init__(self, log: AbstractLog) -> None:
        self.log, self.read_by = log, 0

    def advance(self) -> Iterator[Finding]:
        """Die, or note who read it."""
        if multiprocessing.parent_process() is not None:
            os._exit(9)
        self.read_by = os.getpid()
        return iter(())


def test_runs_over_which_a_process_dies_are_read_by_this_one(tmp_path: Path) -> None:
    """As the system kills what takes too much memory; nothing is lost but time."""
    table(tmp_path / "run.csv")
    runs = [Fragile(open_logs([tmp_path / "run.csv"]).logs[0]) for _ in range(3)]

    assert {place: os.getpid() for place in range(3)} == {
        place: run.read_by for place, run in read_on_all_cores(runs, most=2)
    }


def test_the_log_that_looks_worst_is_read_first(tmp_path: Path) -> None:
    """By its last rows, where a format has an end that can be looked at; then the shortest."""
    event_log(tmp_path / "short", losses_of(400, 100, 0))
    event_log(tmp_path / "long", losses_of(400, 300, 0))
    lost = losses_of(400, 400, 0)
    lost[-5:] = float("nan")
    event_log(tmp_path / "lost", lost)

    assert ["lost", "short", "long"] == [log.name for log in sorted(open_logs([tmp_path]).logs, key=urgency)]


def test_a_folder_is_replayed_on_all_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same table with the worst first, and a log without a row among the unreadable ones."""
    some_logs(tmp_path)
    (tmp_path / "empty.csv").write_text("step,loss\n")
    one = open_logs([tmp_path])
    expected = [summary(run) for run in watch_all(one, Settings())]
    monkeypatch.setattr(all_cores, "LEAST_BYTES", 1)
    monkeypatch.setattr(all_cores, "cores", lambda: 2)
    several = open_logs([tmp_path])
    assert worth_it(runs_of(tmp_path))

    assert expected == [summary(run) for run in watch_all(several, Settings())]
    assert [no.reason for no in one.unreadable] == [no.reason for no in several.unreadable]


def test_watching_many_logs_reads_them_on_all_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finding of the first reading is told once, with its run, and what is appended is followed."""
    from scalewatch.cli.watch_folder import Folder

    some_logs(tmp_path)
    plain = Folder([tmp_path], Settings())
    expected = sorted((run.name, finding.message) for run, finding in plain.look(0.0))
    monkeypatch.setattr(all_cores, "LEAST_BYTES", 1)
    monkeypatch.setattr(all_cores, "cores", lambda: 2)
    folder = Folder([tmp_path], Settings())
    told: list[Any] = folder.look(0.0)

    assert expected == sorted((run.name, finding.message) for run, finding in told)
    monkeypatch.setattr(all_cores, "LEAST_BYTES", 1 << 40)
    grow(tmp_path / "events", losses_of(400, 300, 0)[200:], 201)
    folder.look(1.0)
    assert 300 == next(run.step for run in folder.runs if run.name == "events")

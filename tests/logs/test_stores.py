"""Runs in the stores of other programs, and logs at other machines."""

from __future__ import annotations

import json
import math
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scalewatch.errors import LogError
from scalewatch.logs import open_logs

fsspec = pytest.importorskip("fsspec")

#: What MLflow writes into its database for an infinite value.
MOST = 1.7976931348623157e308


def database_of_mlflow(path: Path) -> None:
    """The tables of MLflow as far as they are read: two runs with a loss, one without, one that was deleted."""
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("CREATE TABLE runs (run_uuid TEXT, name TEXT, start_time INTEGER, lifecycle_stage TEXT)")
        base.execute("CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT)")
        base.execute(
            "CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT, step BIGINT, is_nan BOOLEAN)"
        )
        runs = [("a" * 32, "wide", "active"), ("b" * 32, "wide", "active"), ("c" * 32, "none", "active")]
        for at, (run, name, stage) in enumerate([*runs, ("d" * 32, "gone", "deleted")]):
            base.execute("INSERT INTO runs VALUES (?, ?, ?, ?)", (run, name, at, stage))
            key = "accuracy" if name == "none" else "train/loss"
            values = [(key, 3.0 + at, 1000 * step, run, step, 0) for step in range(1, 40)]
            base.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", values)
        base.execute("INSERT INTO metrics VALUES ('train/loss', 0.0, 40000, ?, 40, 1)", ("a" * 32,))
        base.execute("INSERT INTO metrics VALUES ('train/loss', ?, 41000, ?, 41, 0)", (MOST, "a" * 32))
        base.execute("INSERT INTO params VALUES ('max_steps', '500', ?)", ("a" * 32,))


def test_a_database_of_mlflow_is_its_runs_that_have_a_loss(tmp_path: Path) -> None:
    """Those of one name are told apart, deleted ones are none, NaN and infinity are themselves, the plan is known."""
    database_of_mlflow(tmp_path / "mlflow.db")
    before = (tmp_path / "mlflow.db").read_bytes()

    first, second = open_logs([tmp_path]).logs
    rows = list(first.rows())

    assert [f"wide/{'a' * 8}", f"wide/{'b' * 8}"] == [first.name, second.name]
    assert 500 == first.run.total_steps
    assert list(range(1, 42)) == [row.step for row in rows]
    assert [3.0, "nan", math.inf] == [rows[0].loss, str(rows[39].loss), rows[40].loss]
    assert 4.0 == list(second.rows())[-1].loss
    assert any("1 other runs" in note for note in first.notes)
    assert before == (tmp_path / "mlflow.db").read_bytes()
    assert [tmp_path / "mlflow.db"] == list(tmp_path.iterdir())


def test_a_store_is_followed(tmp_path: Path) -> None:
    """What is logged later is read later, once."""
    database_of_mlflow(tmp_path / "mlflow.db")
    _, log = open_logs([tmp_path]).logs
    list(log.rows())
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as base, base:
        base.execute("INSERT INTO metrics VALUES ('train/loss', 2.5, 50000, ?, 50, 0)", ("b" * 32,))

    assert [(50, 2.5)] == [(row.step, row.loss) for row in log.rows()]
    assert [] == list(log.rows())


def test_the_metrics_of_a_file_store_are_no_logs_by_themselves(tmp_path: Path) -> None:
    """The folder of a run is one run; a line that holds no value is left out and told."""
    run = tmp_path / "mlruns" / "0" / ("e" * 32)
    (run / "metrics" / "train").mkdir(parents=True)
    (run / "meta.yaml").write_text("lifecycle_stage: active\nrun_name: 'narrow'\n")
    (run / "metrics" / "train" / "loss").write_text(
        "".join(f"{1000 * s} {4 - s / 100} {s}\n" for s in range(30)) + "x\n"
    )
    (run / "metrics" / "val_loss").write_text("30500 3.5 29\n")

    opened = open_logs([tmp_path])
    (log,) = opened.logs

    assert "narrow" == log.name
    assert [*29 * [None], 3.5] == [row.validation_loss for row in log.rows()]
    assert any("train/loss: 1 lines" in note for note in log.notes)
    assert [] == opened.unreadable


def test_the_runs_of_a_project_of_trackio_are_told_apart(tmp_path: Path) -> None:
    """NaN is written as a word there."""
    with closing(sqlite3.connect(tmp_path / "p.db")) as base, base:
        base.execute("CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp, run_name, step, metrics)")
        for run, loss in (("a", 3.0), ("b", "NaN")):
            rows = [(run, step, json.dumps({"loss": loss if step > 20 else 3.5})) for step in range(30)]
            base.executemany("INSERT INTO metrics VALUES (NULL, '2026-01-01T00:00:00', ?, ?, ?)", rows)

    logs = open_logs([tmp_path / "p.db"]).logs

    assert [("a", "3.0"), ("b", "nan")] == [(log.name, str(list(log.rows())[-1].loss)) for log in logs]


def test_a_log_at_another_machine_is_read_and_not_written(tmp_path: Path) -> None:
    """A file and a folder through fsspec; with nothing there, a sentence."""
    system = fsspec.filesystem("memory")
    text = "step,loss\n" + "".join(f"{step},{3.0}\n" for step in range(1, 50))
    system.pipe({"/bucket/sweep/wide.csv": text.encode(), "/bucket/sweep/deep/narrow.csv": text.encode()})

    of_file = open_logs([Path("memory://bucket/sweep/wide.csv")]).logs
    of_folder = open_logs([Path("memory://bucket/sweep")]).logs

    assert [("wide", 49)] == [(log.name, len(list(log.rows()))) for log in of_file]
    assert {"wide", "narrow"} == {log.name for log in of_folder}
    for address in ("memory://bucket/nothing", "nowhere-at-all://x"):
        with pytest.raises(LogError, match=f"^{address}.*fsspec"):
            open_logs([Path(address)])


def test_a_repository_of_aim_is_told_to_be_one(tmp_path: Path) -> None:
    """It cannot be read, and a sentence says what to do."""
    (tmp_path / ".aim").mkdir()

    assert "query_metrics" in open_logs([tmp_path]).unreadable[0].reason

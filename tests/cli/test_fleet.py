"""`scalewatch fleet`: what it prints, its exit codes, and a question of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Two runs, one of them lost."""
    folder = tmp_path / "logs"
    folder.mkdir()
    for name, last in (("fine", "3.0"), ("broken", "nan")):
        rows = [f"{i},{3.0 + 0.01 * (i % 3) if i < 90 else last}" for i in range(1, 100)]
        (folder / f"{name}.csv").write_text("step,loss\n" + "\n".join(rows) + "\n")
    return folder


def test_the_worst_runs_are_printed_and_the_exit_code_says_that_there_are_some(
    scalewatch: Callable[..., Any], logs: Path, tmp_path: Path
) -> None:
    """Exit code 1 while one is lost or in trouble, 0 when none is."""
    made = scalewatch("fleet", "collect", logs, "-o", tmp_path / "fleet", "--jobs", "1")
    told = scalewatch("fleet", "--from", tmp_path / "fleet")
    (logs / "broken.csv").unlink()
    scalewatch("fleet", "collect", logs, "-o", tmp_path / "fleet", "--jobs", "1")
    later = scalewatch("fleet", "--from", tmp_path / "fleet")

    assert (0, 1, 0) == (made.code, told.code, later.code)
    assert made.out.startswith("2 runs, 2 read in")
    assert "broken.csv" in told.out
    assert "LOST: non-finite loss since step 90" in told.out
    assert "fine.csv" not in told.out
    assert "worst: none" in later.out


def test_as_json_it_is_counts_and_lists(scalewatch: Callable[..., Any], logs: Path, tmp_path: Path) -> None:
    """Every column of the runs that are listed, and times as ISO 8601 has them."""
    scalewatch("fleet", "collect", logs, "-o", tmp_path / "fleet", "--jobs", "1")
    answer = json.loads(scalewatch("fleet", "--from", tmp_path / "fleet", "--json").out)

    assert (2, {"lost": 1, "healthy": 1}) == (answer["runs"], answer["states"])
    assert ["broken.csv"] == [run["run"] for run in answer["worst"]]
    assert answer["worst"][0]["look"].endswith("Z")
    assert [str(logs)] == list(answer["looked"])


def test_a_question_of_ones_own_is_answered(scalewatch: Callable[..., Any], logs: Path, tmp_path: Path) -> None:
    """In SQL, as a table with tabs or as JSON; one that is none is one line and exit code 2."""
    scalewatch("fleet", "collect", logs, "-o", tmp_path / "fleet", "--jobs", "1")
    question = "select run, pages from runs order by run"
    plain = scalewatch("fleet", "--from", tmp_path / "fleet", "--sql", question)
    told = scalewatch("fleet", "--from", tmp_path / "fleet", "--sql", question, "--json")
    wrong = scalewatch("fleet", "--from", tmp_path / "fleet", "--sql", "select nothing")

    assert (0, "run pages broken.csv 1 fine.csv 0") == (plain.code, plain.out)
    assert [{"run": "broken.csv", "pages": 1}, {"run": "fine.csv", "pages": 0}] == json.loads(told.out)["rows"]
    assert 2 == wrong.code
    assert wrong.err.startswith("scalewatch: DuckDB says: ")
    assert 2 == scalewatch("fleet", "--from", tmp_path / "fleet", "--sql", f"{question}; drop view runs").code


def test_without_a_fleet_it_says_how_one_is_made(scalewatch: Callable[..., Any], tmp_path: Path) -> None:
    """Exit code 2 and the command."""
    said = scalewatch("fleet", "--from", tmp_path / "nowhere")

    assert 2 == said.code
    assert "scalewatch fleet collect LOGDIR" in said.err


def test_both_files_are_written_where_they_are_wanted(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """The alert rules, and the dashboard as JSON."""
    said = scalewatch("fleet", "serve", "--files", tmp_path / "made")

    assert 0 == said.code
    assert "ScalewatchRunLost" in (tmp_path / "made/scalewatch.rules.yml").read_text("utf-8")
    assert json.loads((tmp_path / "made/scalewatch.dashboard.json").read_text("utf-8"))["panels"]


def test_a_port_that_is_taken_is_one_line(tmp_path: Path, logs: Path, scalewatch: Callable[..., Any]) -> None:
    """With the options that say another."""
    scalewatch("fleet", "collect", logs, "-o", tmp_path, "--jobs", "1")
    port = free_port()
    exporter = pytest.importorskip("scalewatch.offline.fleet.exporter", exc_type=ImportError)
    server = exporter.serve(str(tmp_path), "127.0.0.1", port, 10)
    try:
        said = scalewatch("fleet", "serve", "--from", tmp_path, "--port", port)
    finally:
        server.shutdown()
        server.server_close()

    assert 2 == said.code
    assert f"--port {port}" in said.err

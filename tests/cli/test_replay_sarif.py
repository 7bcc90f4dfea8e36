"""`scalewatch replay --sarif FILE`: the file beside what is printed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_the_file_is_written_and_what_is_printed_is_as_without(
    scalewatch: Callable[..., Any], write_run: Callable[..., Path], tmp_path: Path
) -> None:
    """The same words, the same exit code."""
    run = write_run("a", 200_000)
    plain, said = scalewatch("replay", run), scalewatch("replay", run, "--sarif", tmp_path / "found.sarif")

    assert (plain.code, plain.out) == (said.code, said.out)
    assert "2.1.0" == json.loads((tmp_path / "found.sarif").read_text("utf-8"))["version"]


def test_logs_that_cannot_be_read_are_in_the_file_although_the_command_fails(
    scalewatch: Callable[..., Any], tmp_path: Path
) -> None:
    """A scan that saw nothing must not look like one that found nothing."""
    (tmp_path / "damaged.parquet").write_text("no parquet")
    said = scalewatch("replay", tmp_path / "damaged.parquet", "--sarif", tmp_path / "found.sarif")
    (run,) = json.loads((tmp_path / "found.sarif").read_text("utf-8"))["runs"]

    assert 2 == said.code
    assert not run["invocations"][0]["executionSuccessful"]
    assert run["invocations"][0]["toolExecutionNotifications"]


def test_it_goes_with_what_judges_and_where_a_file_can_be(scalewatch: Callable[..., Any], tmp_path: Path) -> None:
    """Else it is refused before anything is read."""
    (tmp_path / "run.csv").write_text("step,loss\n1,3.0\n")
    explained = scalewatch("replay", tmp_path / "run.csv", "--explain", "--sarif", tmp_path / "a.sarif")
    folder = scalewatch("replay", tmp_path / "run.csv", "--sarif", tmp_path)

    assert (2, 2) == (explained.code, folder.code)
    assert "--explain" in explained.err
    assert "--sarif" in folder.err

"""`scalewatch` as somebody types it, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scalewatch.laws import load_law
from scalewatch.plan.quantities import count

WriteRun = Callable[..., Path]
SIZES = (16_000, 33_000, 62_000)


def scalewatch(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line and return what it printed."""
    command = [sys.executable, "-c", "from scalewatch.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture
def ladder(write_run: WriteRun, tmp_path: Path) -> Path:
    """A folder with three runs of different size."""
    for size in SIZES:
        write_run(f"n{size}", size)
    return tmp_path


def test_fit_makes_a_law_file_from_folders_of_runs(ladder: Path) -> None:
    """Every journal below the folder is used, and the file can be loaded."""
    law_file = ladder / "ladder.law.json"

    said = scalewatch("fit", ladder, "-o", law_file)

    assert said.returncode == 0, said.stderr
    assert load_law(law_file).evidence.runs == len(SIZES)
    assert all(count(size) in said.stdout for size in SIZES)
    assert "alpha" in said.stdout


def test_fit_says_which_run_it_left_out_and_why(ladder: Path, write_run: WriteRun) -> None:
    """A diverged run is named with its reason and is not in the law."""
    write_run("broken", 48_000, change=lambda loss: np.where(np.arange(len(loss)) > 400, 9.0, loss))

    said = scalewatch("fit", ladder, "-o", ladder / "ladder.law.json")

    assert said.returncode == 0, said.stderr
    assert "'broken' is left out" in " ".join(said.stdout.split())
    assert load_law(ladder / "ladder.law.json").evidence.runs == len(SIZES)


def test_fit_of_a_folder_without_journals_is_one_line_and_exit_2(tmp_path: Path) -> None:
    """No traceback: what was looked for and where."""
    said = scalewatch("fit", tmp_path)

    assert said.returncode == 2
    assert said.stderr.startswith("scalewatch: There is no journal")
    assert "Traceback" not in said.stderr


def test_replay_of_a_healthy_run_exits_0(write_run: WriteRun) -> None:
    """Nothing is found, and the verdict says so."""
    said = scalewatch("replay", write_run("good", 62_000))

    assert said.returncode == 0, said.stdout + said.stderr
    assert "healthy" in said.stdout


def test_replay_of_a_run_that_diverged_exits_1_and_names_the_step(write_run: WriteRun) -> None:
    """The page is printed with the step at which the loss left."""
    spoiled = write_run("bad", 62_000, change=lambda loss: np.where(np.arange(len(loss)) >= 400, loss + 1.0, loss))

    said = scalewatch("replay", spoiled)

    assert said.returncode == 1, said.stdout + said.stderr
    assert "step      40" in said.stdout
    assert "healthy" not in said.stdout


def test_replay_against_a_law_tells_the_gap_in_tokens(ladder: Path, write_run: WriteRun) -> None:
    """With the law of its smaller siblings a run is held against it."""
    law_file = ladder / "ladder.law.json"
    scalewatch("fit", ladder, "-o", law_file)

    said = scalewatch("replay", write_run("target", 200_000, seed=1), "--law", law_file)

    assert said.returncode == 0, said.stdout + said.stderr
    text = " ".join(said.stdout.split())
    assert "predicted before the start" in text
    assert "tokens you are where" in text


def test_replay_of_something_unreadable_exits_2(tmp_path: Path) -> None:
    """A file that is no journal is one clear line."""
    file = tmp_path / "journal-000001.jsonl"
    file.write_text("this is no journal\n")

    said = scalewatch("replay", file)

    assert said.returncode == 2
    assert said.stderr.startswith("scalewatch: ")
    assert "Traceback" not in said.stderr

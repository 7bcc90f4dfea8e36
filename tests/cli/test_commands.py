"""`scalewatch` as somebody types it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scalewatch.laws import load_law
from scalewatch.plan.quantities import count
from tests.cli.tables import Said

WriteRun = Callable[..., Path]
Command = Callable[..., Said]
SIZES = (16_000, 33_000, 62_000)


@pytest.fixture
def ladder(write_run: WriteRun, tmp_path: Path) -> Path:
    """A folder with three runs of different size."""
    for size in SIZES:
        write_run(f"n{size}", size)
    return tmp_path


def test_fit_makes_a_law_file_from_folders_of_runs(ladder: Path) -> None:
    """Every journal below the folder is used, and the file can be loaded; in a process of its own, as for a person."""
    law_file = ladder / "ladder.law.json"

    command = [sys.executable, "-c", "from scalewatch.cli import main; main()", "fit", str(ladder), "-o", str(law_file)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)

    assert said.returncode == 0, said.stderr
    assert load_law(law_file).evidence.runs == len(SIZES)
    assert all(count(size) in said.stdout for size in SIZES)
    assert "alpha" in said.stdout


def test_fit_says_which_run_it_left_out_and_why(scalewatch: Command, ladder: Path, write_run: WriteRun) -> None:
    """A diverged run is named with its reason and is not in the law."""
    write_run("broken", 48_000, change=lambda loss: np.where(np.arange(len(loss)) > 400, 9.0, loss))

    said = scalewatch("fit", ladder, "-o", ladder / "ladder.law.json")

    assert said.code == 0, said.err
    assert "'broken' is left out" in said.out
    assert load_law(ladder / "ladder.law.json").evidence.runs == len(SIZES)


def test_fit_of_a_folder_without_journals_is_one_line_and_exit_2(scalewatch: Command, tmp_path: Path) -> None:
    """No traceback: what was looked for and where."""
    said = scalewatch("fit", tmp_path)

    assert said.code == 2
    assert said.err == f"scalewatch: {tmp_path}: holds no log of a run that is known here."


def test_replay_of_a_healthy_run_exits_0(scalewatch: Command, write_run: WriteRun) -> None:
    """Nothing is found, and the verdict says so."""
    said = scalewatch("replay", write_run("good", 62_000))

    assert said.code == 0, said.out + said.err
    assert "healthy" in said.out


def test_replay_of_a_run_that_diverged_exits_1_and_names_the_step(scalewatch: Command, write_run: WriteRun) -> None:
    """The page is printed with the step at which the loss left."""
    spoiled = write_run("bad", 62_000, change=lambda loss: np.where(np.arange(len(loss)) >= 400, loss + 1.0, loss))

    said = scalewatch("replay", spoiled)

    assert said.code == 1, said.out + said.err
    assert "step 40" in said.out
    assert "healthy" not in said.out


def test_replay_against_a_law_tells_the_gap_in_tokens(scalewatch: Command, ladder: Path, write_run: WriteRun) -> None:
    """With the law of its smaller siblings a run is held against it."""
    law_file = ladder / "ladder.law.json"
    scalewatch("fit", ladder, "-o", law_file)

    said = scalewatch("replay", write_run("target", 200_000, seed=1), "--law", law_file)

    assert said.code == 0, said.out + said.err
    text = said.out
    assert "predicted before the start" in text
    assert "tokens you are where" in text


def test_replay_of_something_unreadable_exits_2(scalewatch: Command, tmp_path: Path) -> None:
    """A file that is no journal is one clear line."""
    file = tmp_path / "journal-000001.jsonl"
    file.write_text("this is no journal\n")

    said = scalewatch("replay", file)

    assert said.code == 2
    assert said.err.startswith("scalewatch: ")
    assert "Traceback" not in said.err

"""`scalewatch replay` on logs of other programs, on folders of runs, and against a reference."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

STEPS = 600


def losses(seed: int = 0, noise: float = 0.01) -> np.ndarray:
    """A curve that falls as they do."""
    steps = np.arange(1, STEPS + 1)
    return (2.0 + 4.0 * steps**-0.4) * np.exp(noise * np.random.default_rng(seed).standard_normal(STEPS))


def write(path: Path, values: np.ndarray, column: str = "train/loss") -> Path:
    """A CSV or JSON-lines log, as the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        path.write_text(f"step,{column}\n" + "".join(f"{i},{v}\n" for i, v in enumerate(values, 1)))
    else:
        path.write_text("".join(json.dumps({"step": i, column: v}) + "\n" for i, v in enumerate(values.tolist(), 1)))
    return path


def spoiled(**change: float) -> np.ndarray:
    made = losses()
    for at, value in change.items():
        made[int(at.removeprefix("from_")) :] = made[int(at.removeprefix("from_")) :] + value
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A healthy run, one that diverged, one that became NaN, and a table that is no log."""
    write(tmp_path / "runs" / "healthy.csv", losses())
    write(tmp_path / "runs" / "worse.jsonl", spoiled(from_560=1.0))
    write(tmp_path / "runs" / "lost.csv", spoiled(from_300=float("nan")))
    (tmp_path / "runs" / "labels.csv").write_text("name,kind\na,b\n")
    return tmp_path / "runs"


def test_a_healthy_csv_exits_0_and_shows_what_was_guessed(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """The column that was taken for the loss is on the screen."""
    said = scalewatch("replay", write(tmp_path / "run.csv", losses()))

    assert 0 == said.code, said.out + said.err
    assert "loss = train/loss" in said.out
    assert "healthy" in said.out


def test_a_column_and_the_planned_end_can_be_told(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """`--column` overrides the guess, `--total-steps` makes a forecast, `--name` names the run."""
    log = tmp_path / "run.csv"
    rows = zip(losses(), spoiled(from_400=1.0), strict=True)
    log.write_text("step,loss,other\n" + "".join(f"{i},{a},{b}\n" for i, (a, b) in enumerate(rows, 1)))

    fine = scalewatch("replay", log, "--total-steps", 1000, "--name", "mine")
    bad = scalewatch("replay", log, "--column", "loss=other")

    assert [0, 1] == [fine.code, bad.code]
    assert "600 of 1,000" in fine.out
    assert "mine" in fine.out
    assert "step 40" in bad.out


def test_a_folder_is_a_table_with_the_worst_first_and_exit_1(folder: Path, scalewatch: Callable[..., Any]) -> None:
    """The lost run before the one in trouble before the healthy; what is no log is named."""
    said = scalewatch("replay", folder)

    assert 1 == said.code
    places = [said.out.index(name) for name in ("lost", "worse", "healthy", "3 runs, 2 with findings")]
    assert sorted(places) == places
    assert "labels.csv" in said.err


def test_json_holds_every_run_and_every_finding(folder: Path, scalewatch: Callable[..., Any]) -> None:
    """Parsed, it says the same as the table."""
    said = scalewatch("replay", folder, "--json")
    told = json.loads(said.out)

    assert 1 == said.code == told["exit_code"]
    assert ["lost", "worse", "healthy"] == [run["run"] for run in told["runs"]]
    assert [303, True] == [told["runs"][0]["first_page_step"], told["runs"][2]["healthy"]]
    assert "nonfinite" in {finding["kind"] for finding in told["runs"][0]["findings"]}
    assert "labels.csv" in told["passed_over"][0]


def test_quiet_says_only_what_is_in_trouble(folder: Path, scalewatch: Callable[..., Any]) -> None:
    """Two lines for two runs, none for a healthy one."""
    said = scalewatch("replay", folder, "--quiet")
    fine = scalewatch("replay", folder / "healthy.csv", "--quiet")

    assert said.out.startswith("lost: LOST")
    assert "worse: " in said.out
    assert "healthy" not in said.out
    assert [0, ""] == [fine.code, fine.out]


def test_a_named_file_that_cannot_be_read_is_exit_2_even_beside_one_that_can(
    folder: Path, scalewatch: Callable[..., Any]
) -> None:
    """CI must not be green over a log that nobody read."""
    alone = scalewatch("replay", folder / "labels.csv")
    beside = scalewatch("replay", folder / "healthy.csv", folder / "labels.csv")

    assert [2, 2] == [alone.code, beside.code]
    assert "--column loss=" in alone.err
    assert "labels.csv" in beside.err


def test_a_log_without_a_row_is_not_healthy(folder: Path, scalewatch: Callable[..., Any]) -> None:
    """A header and nothing below it was read by nobody; beside other runs it is told."""
    empty = folder / "begun.csv"
    empty.write_text("step,loss\n")

    alone, beside = scalewatch("replay", empty), scalewatch("replay", folder)

    assert 2 == alone.code
    assert "no row with a loss" in alone.err
    assert "healthy" not in alone.out
    assert "begun.csv" in beside.err
    assert "3 runs" in beside.out


def test_letters_that_steer_a_terminal_are_not_printed(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """A name or a column out of a file cannot move the cursor or colour the screen."""
    log = write(tmp_path / "a\x1b[31mred.csv", losses(), column="loss")
    log.write_text(log.read_text() + "7,\x1b]0;title\x07\n")

    said = scalewatch("replay", log)

    assert "\x1b" not in said.out + said.err
    assert "\x07" not in said.out


def test_a_law_needs_no_journal(tmp_path: Path, write_run: Callable[..., Path], scalewatch: Callable[..., Any]) -> None:
    """A run of which only a CSV is left cannot be placed on a law without its plan, and is still replayed."""
    for size in (16_000, 33_000, 62_000):
        write_run(f"n{size}", size)
    law = tmp_path / "ladder.law.json"
    assert 0 == scalewatch("fit", tmp_path, "-o", law).code

    said = scalewatch("replay", write(tmp_path / "run.csv", losses()), "--law", law, "--total-steps", 600)

    assert 0 == said.code, said.err


# --- against a reference --------------------------------------------------------------------------


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """Last release's run."""
    return write(tmp_path / "reference.jsonl", losses(0))


def test_the_same_curve_exits_0(tmp_path: Path, reference: Path, scalewatch: Callable[..., Any]) -> None:
    """The same batches, sums in another order: the same."""
    again = losses(0) * np.exp(0.0003 * np.random.default_rng(5).standard_normal(STEPS))

    said = scalewatch("replay", write(tmp_path / "new.csv", again), "--against", reference)

    assert 0 == said.code, said.err
    assert "SAME within 0.3 %" in said.out
    assert "same batches" in said.out


def test_another_curve_exits_1_and_says_since_when_and_by_how_much(
    tmp_path: Path, reference: Path, scalewatch: Callable[..., Any]
) -> None:
    """One per cent from step 300 on."""
    changed = losses(0)
    changed[300:] *= 1.01
    new = write(tmp_path / "new.csv", changed)

    said = scalewatch("replay", new, "--against", reference)
    (told,) = json.loads(scalewatch("replay", new, "--against", reference, "--json").out)["comparisons"]
    tolerated = scalewatch("replay", new, "--against", reference, "--tolerance", 2)

    assert [1, 0] == [said.code, tolerated.code]
    assert "DIFFERENT since about step" in said.out
    assert pytest.approx(0.01, rel=0.05) == told["relative"]
    assert pytest.approx(300, abs=25) == told["since"]


def test_a_reference_that_is_several_runs_is_refused(
    folder: Path, reference: Path, scalewatch: Callable[..., Any]
) -> None:
    """And a tolerance without a reference, and one that is none."""
    for arguments in ((reference, "--against", folder), (reference, "--tolerance", 1)):
        assert 2 == scalewatch("replay", *arguments).code
    assert 2 == scalewatch("replay", reference, "--against", reference, "--tolerance", 0).code


def test_the_exit_codes_hold_in_a_process_of_their_own(folder: Path) -> None:
    """What CI sees: 0, 1, 2, and no traceback."""
    codes = []
    for arguments in ((folder / "healthy.csv",), (folder,), (folder / "nowhere",)):
        command = [sys.executable, "-c", "from scalewatch.cli import main; main()", "replay", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        codes.append(done.returncode)
        assert "Traceback" not in done.stderr

    assert [0, 1, 2] == codes


def test_explain_says_how_a_log_is_read_and_what_to_type(scalewatch: Callable[..., Any], tmp_path: Path) -> None:
    """The kind of file, a line of it, step, loss, planned end, what is missing; a command that reads it the same."""
    text = "".join(f"[{i}/500] train_nll={3 - 0.01 * i:.3f} speed=4.2\n" for i in range(1, 101))
    (tmp_path / "a.log").write_text(text)

    said = scalewatch("replay", "--explain", tmp_path / "a.log")
    words = " ".join(said.out.split())
    command = said.out.split("say it better: ")[1].split()
    again = scalewatch(*map(str, shlex.split(" ".join(command))[1:]), "--explain")

    assert 0 == said.code
    for part in ("text; the step: the progress bar", "[1/500] train_nll=2.990", "1 to 100, 100 rows", "'train_nll'"):
        assert part in words
    assert "step 500" in words
    assert "no learning rate is logged" in words
    assert (0, words) == (again.code, " ".join(again.out.split()))


def test_standard_input_is_a_log(tmp_path: Path) -> None:
    """What another program prints is piped into `replay -`."""
    text = "".join(f"step {i} | loss {3 - 0.005 * i:.3f}\n" for i in range(200))
    command = [sys.executable, "-c", "from scalewatch.cli import main; main()", "replay", "-", "--json"]
    said = subprocess.run(command, input=text, capture_output=True, text=True, timeout=600)
    (run,) = json.loads(said.stdout)["runs"]

    assert (200, 199) == (run["rows"], run["step"])

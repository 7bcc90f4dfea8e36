"""`scalewatch whatif`: the plan beside other schedules, in one table, and a word where the law cannot tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.test_forecast import TOTAL, curve, write
from tests.synthetic import constant, cosine

HALF = TOTAL // 2


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """A whole run on a constant rate."""
    plan = constant(TOTAL)
    return write(tmp_path / "held.csv", curve(plan), plan)


def schedules(said: Any) -> dict[str, dict[str, Any]]:
    assert 0 == said.code, said.err
    return {row["schedule"]: row for row in json.loads(said.out)["schedules"]}


def test_the_usual_ways_to_go_on_stand_in_one_table(held: Path, scalewatch: Callable[..., Any]) -> None:
    """The plan first, decays with a gain against it, the best of its length in a sentence."""
    said = scalewatch("whatif", held, "--at", "0.5")

    assert 0 == said.code, said.err
    assert f"step {HALF:,} of {TOTAL:,} (50 %), rate 100 % of its peak" in said.out
    for name in (
        "as planned",
        "decay now in 75 steps",
        "hold, linear to 0 in last 20 %",
        "375 steps longer",
        "rate × 0.5",
    ):
        assert name in said.out
    assert "Best of this length: " in said.out
    assert "hardly decayed yet" in said.out
    rows = schedules(scalewatch("whatif", held, "--at", "0.5", "--json"))
    low, high = rows["hold, linear to 0 in last 20 %"]["difference_interval"]
    assert low < rows["hold, linear to 0 in last 20 %"]["difference"] < high < 0
    assert "hold" not in rows, "it is the plan itself"


def test_only_what_is_asked_for_is_tried(held: Path, tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """Decays, extensions in steps and per cent, factors and a file of rates, each as often as it is given."""
    file = tmp_path / "mine.txt"
    file.write_text("\n".join(str(rate) for rate in np.linspace(3e-4, 0, 100)))
    options = [
        "--decay",
        "0.1",
        "--decay",
        "0.3",
        "--extend",
        "200",
        "--extend",
        "10 %",
        "--rate",
        "2",
        "--rates",
        file,
    ]
    rows = schedules(scalewatch("whatif", held, "--at", "0.5", "--json", *options))

    assert [
        "as planned",
        "hold, linear to 0 in last 10 %",
        "hold, linear to 0 in last 30 %",
        "200 steps longer",
        "150 steps longer",
        "rate × 2",
        "mine.txt",
    ] == list(rows)
    assert [TOTAL + 200, TOTAL + 150, HALF + 100] == [
        rows[name]["total_steps"] for name in ("200 steps longer", "150 steps longer", "mine.txt")
    ]


def test_a_higher_rate_than_any_so_far_is_called_out_of_range(held: Path, scalewatch: Callable[..., Any]) -> None:
    """Graded C, and never the best."""
    said = scalewatch("whatif", held, "--at", "0.5", "--rate", "2")

    assert "2 times the highest rate so far" in said.out
    assert "Best of this length" not in said.out
    row = schedules(scalewatch("whatif", held, "--at", "0.5", "--rate", "2", "--json"))["rate × 2"]
    assert "C" == row["evidence_grade"]
    assert row["difference_interval"][0] < 0 < row["difference_interval"][1]


def test_a_running_log_is_asked_at_its_end(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """Without `--at`; the plan is named, as the log cannot know it."""
    plan = cosine(TOTAL)
    log = write(tmp_path / "run.csv", curve(plan)[:HALF], plan[:HALF])
    said = scalewatch("whatif", log, "--total-steps", TOTAL, "--schedule", "cosine")

    assert 0 == said.code, said.err
    assert f"step {HALF:,} of {TOTAL:,}" in said.out
    unplanned = scalewatch("whatif", log, "--total-steps", TOTAL)
    assert "compared with holding the present rate" in unplanned.out


def test_nothing_is_left_to_schedule_at_the_end(held: Path, scalewatch: Callable[..., Any]) -> None:
    """It says how to look back, with exit code 2."""
    said = scalewatch("whatif", held)

    assert 2 == said.code
    assert "--at 0.5" in said.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--at", "0"], "`--at`"),
        (["--at", "0.005"], "too few rows"),
        (["--decay", "2"], "`share`"),
        (["--rate", "-1"], "`factor`"),
        (["--extend", "many"], "`--extend`"),
        (["--extend", "-90 %"], "`steps`"),
        (["--rates", "nowhere.txt"], "`--rates`"),
    ],
)
def test_an_option_that_is_none_is_refused(
    options: list[str], words: str, held: Path, scalewatch: Callable[..., Any]
) -> None:
    """One line on stderr, exit code 2."""
    said = scalewatch("whatif", held, *(["--at", "0.5"] if "--at" not in options else []), *options)

    assert 2 == said.code, said.out
    assert words in said.err


def test_other_schedules_are_not_offered_for_a_run_that_is_lost(tmp_path: Path, scalewatch: Callable[..., Any]) -> None:
    """Its forecast is suspended since the step of the incident, and so is every other end of it."""
    rows = [f"{n},{2.0 + 2.0 * n**-0.4 if n < 400 else float('nan')},0.001" for n in range(1, 501)]
    (tmp_path / "lost.csv").write_text("\n".join(["step,loss,lr", *rows]) + "\n")
    said = scalewatch("whatif", tmp_path / "lost.csv", "--total-steps", 1_000)

    assert 2 == said.code
    assert "No forecast: suspended since step 400, for the run is lost to a non-finite loss" in said.err

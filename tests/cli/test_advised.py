"""What the commands say of advice: what to do, what it gains, how sure that is and what would change it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.synthetic import TrueLaw, constant, cosine, noisy

TOTAL, SIZE = 1_500, 8e6
Run = Callable[..., Any]


def write(path: Path, plan: np.ndarray, first: int = 1, last: int = TOTAL, seed: int = 1) -> Path:
    """The steps from `first` to `last` of a run on a plan, a row each."""
    losses = noisy(TrueLaw().losses(plan, SIZE), 0.01, seed)
    lines = [f"{n},{losses[n - 1]},{plan[n - 1]}" for n in range(first, last + 1)]
    path.write_text("\n".join(["step,train_loss,lr", *lines]) + "\n")
    return path


@pytest.fixture
def half(tmp_path: Path) -> Path:
    """The first two thirds of a run that should be stopped if it is to end below 1 nat."""
    return write(tmp_path / "half.csv", cosine(TOTAL), last=1_000)


WANTED = ("--total-steps", TOTAL, "--target-loss", 1.0)
WHAT = "stop (evidence B)"
WHY = "gets below the target of 1.000 with a probability of less than 1 %"
CHANGE = "the 90 % interval of a forecast reaches 1.000"


def test_replay_says_all_of_it(half: Path, scalewatch: Run) -> None:
    """As text, and as values with their interval."""
    text = scalewatch("replay", half, *WANTED).out
    told = json.loads(scalewatch("replay", half, *WANTED, "--json").out)["runs"][0]["advice"]

    assert f"advice: {WHAT}: It will end at" in text
    assert WHY in text
    assert f"ignore this if {CHANGE}" in text
    assert ["stop"] == [advice["action"] for advice in told]
    assert {
        "action",
        "reason",
        "evidence_grade",
        "expected_gain",
        "gain_interval",
        "would_change",
        "step",
        "unit",
    } == set(told[0])


def test_a_table_of_runs_has_it_where_there_is_room(
    half: Path, tmp_path: Path, scalewatch: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run without advice has none; where there is no room, it goes before the loss does."""
    other = write(tmp_path / f"other-{'run-' * 20}.csv", cosine(TOTAL))
    monkeypatch.setenv("COLUMNS", "72")
    narrow = scalewatch("replay", half, other, *WANTED).out
    monkeypatch.setenv("COLUMNS", "140")
    wide = scalewatch("replay", half, other, *WANTED).out

    assert (0, 1) == (narrow.count("stop (B)"), wide.count("stop (B)"))
    assert "2.493" in narrow


def test_a_report_says_all_of_it(half: Path, tmp_path: Path, scalewatch: Run) -> None:
    """On the page, escaped."""
    pytest.importorskip("vl_convert")
    scalewatch("report", half, *WANTED, "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()

    assert '<b>stop</b> <span class="dim">(evidence B)</span>: It will end at' in page
    assert f"Ignore this if {CHANGE}" in page


def test_a_frame_of_watch_says_the_most_urgent(half: Path, scalewatch: Run) -> None:
    """Three lines below the findings."""
    frame = scalewatch("watch", "--once", half, *WANTED).out

    assert f"advice: {WHAT}" in frame
    assert "ignore this if the 90 % interval" in frame


def test_forecast_says_what_would_have_been_advised(tmp_path: Path, scalewatch: Run) -> None:
    """With the chance of getting below what was wanted; as values too."""
    log = write(tmp_path / "run.csv", cosine(TOTAL))
    options = (*WANTED, "--incumbent-loss", 9.0, "--at", 0.5)
    text = scalewatch("forecast", log, *options).out
    row = json.loads(scalewatch("forecast", log, *options, "--json").out)["forecasts"][4]

    assert "below the target of 1 with a probability of less than 1 %." in text
    assert "below the incumbent of 9 with a probability of more than 99 %." in text
    assert f"advice: {WHAT}" in text
    assert 0.0 <= row["chances"]["target"] < 0.01
    assert row["chances"]["incumbent"] > 0.99
    assert ["stop"] == [advice["action"] for advice in row["advice"]]


def test_nothing_is_advised_on_a_guessed_length(tmp_path: Path, scalewatch: Run) -> None:
    """The end of a log is not the plan of a run: whoever broke off a constant rate did not plan to end on it."""
    log = write(tmp_path / "run.csv", constant(TOTAL))
    guessed, said = scalewatch("forecast", log, "--target-loss", 1.0), scalewatch("forecast", log, *WANTED)

    assert "advice:" not in guessed.out
    assert "What to do about it is not said of a run whose planned length is a guess" in guessed.out
    assert "advice: stop" in said.out or "advice: change schedule" in said.out


@pytest.mark.parametrize("command", ["replay", "report", "forecast", "watch"])
@pytest.mark.parametrize("option", ["--target-loss", "--incumbent-loss", "--least-gain"])
def test_an_aim_that_is_none_is_refused(half: Path, command: str, option: str, scalewatch: Run) -> None:
    """By its option, before anything is read."""
    said = scalewatch(command, half, option, "-2")

    assert 2 == said.code
    assert f"`{option}` must be a positive number of nats a token (got -2)." in said.err


# --- forecast and sweep on logs that are not quite what they should be ---------------------------


def test_a_log_that_begins_late_says_so(tmp_path: Path, scalewatch: Run) -> None:
    """Not that it is in its warm-up."""
    late = write(tmp_path / "late.csv", cosine(TOTAL), first=800)
    said = scalewatch("forecast", late)

    assert 1 == said.code
    assert "At 30 % nothing could be said: the log begins at step 800." in said.out
    assert "no row yet" in said.out


def test_a_band_of_unknown_rates_says_that_it_holds_them(tmp_path: Path, scalewatch: Run) -> None:
    """The interval spans holding and decaying, and a picture can only show one of them."""
    log = write(tmp_path / "run.csv", cosine(TOTAL))
    known, unknown = (scalewatch("forecast", log, "--chart", *more).out for more in ((), ("--schedule", "unknown")))

    assert "said at 30 %, 80 % " in known
    assert "if the rate is held" not in known
    assert "said at 30 %, 80 %, if the rate is held" in unknown


def test_a_run_that_no_law_describes_is_not_stopped_and_stops_nobody(tmp_path: Path, scalewatch: Run) -> None:
    """A run that recites its data has the lowest loss and is no rival."""
    for seed in (1, 2):
        write(tmp_path / f"run{seed}.csv", cosine(TOTAL), seed=seed)
    lines = (tmp_path / "run1.csv").read_text().splitlines()
    low = [f"{n},{0.01 + 3.0 / n**1.2:.5f},{line.split(',')[2]}" for n, line in enumerate(lines[1:], 1)]
    (tmp_path / "recites.csv").write_text("\n".join([lines[0].replace("loss", "lm_loss"), *low]) + "\n")
    said = scalewatch("sweep", tmp_path, "--at", "0.4", "--json")
    told = {run["run"]: run for run in json.loads(said.out)["runs"]}

    assert told["recites"]["no_law_holds"]
    assert "pause" == told["recites"]["action"]
    assert told["recites"]["expected_gain"] is None
    assert {"run", "pause"} == {told[name]["action"] for name in ("run1", "run2")}
    assert "pause (no law holds)" in scalewatch("sweep", tmp_path, "--at", "0.4").out


def test_runs_of_a_sweep_are_told_apart_by_what_differs(tmp_path: Path, scalewatch: Run) -> None:
    """Names that are alike at both ends lose these, not their middle."""
    names = [
        f"a-sweep-of-the-month-of-may-with-rate-{rate}-and-all-else-as-it-was-in-april" for rate in ("1e-3", "3e-3")
    ]
    for seed, name in enumerate(names):
        write(tmp_path / f"{name}.csv", cosine(TOTAL), last=600, seed=seed)
    said = scalewatch("sweep", tmp_path, "--total-steps", TOTAL).out

    assert "…1e-3-and" in said
    assert "…3e-3-and" in said

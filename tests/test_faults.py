"""Faults that are done to small runs on purpose: two of the fourteen kinds of `make faults`, with their controls."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests import warm

ROOT = Path(__file__).resolve().parents[1]
FAULTS = ROOT / "tests" / "benchmarks" / "faults.py"


def faults(*options: str) -> str:
    """What the command prints."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'integrations'}", "OMP_NUM_THREADS": "1"}
    environment.pop("SCALEWATCH_STRICT", None)
    done = subprocess.run(
        [*warm.python(), str(FAULTS), *options], env=environment, capture_output=True, text=True, timeout=600, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_what_acts_save_of_a_run_whose_weights_are_lost_and_of_one_that_is_killed(tmp_path: Path) -> None:
    """The untouched runs hear nothing; what is kept is not run again, and can be read as tables."""
    asked = ("--seeds", "0-0", "--tasks", "regression", "--only", "NaN loss,killed process")
    file = tmp_path / "faults.jsonl"
    rows = json.loads(faults(*asked, "--file", str(file), "--json"))
    by_key: dict[tuple[str, bool], Any] = {(row["kind"], row["acts"]): row for row in rows}
    untouched, killed = by_key["none", True], by_key["killed process", False]

    assert ([], []) == (untouched["found"], untouched["done"])
    assert untouched["loss"] == by_key["none", False]["loss"]
    assert by_key["NaN loss", False]["loss"] is None
    assert "critical" in {found["severity"] for found in by_key["NaN loss", False]["found"]}
    assert ["skip asked: skips step 301, the gradient of which is no number (1 so far)"] == by_key["NaN loss", True][
        "done"
    ]
    assert abs(by_key["NaN loss", True]["loss"] - untouched["loss"]) < 0.1
    assert (2, 600, untouched["loss"]) == (killed["starts"], killed["rows"], killed["loss"])

    assert rows == json.loads(faults(*asked, "--file", str(file), "--json"))
    assert "| NaN loss | nonfinite" in faults("--read", str(file))

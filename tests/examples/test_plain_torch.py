"""The example of a hand-written loop, as a person runs it: in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "plain_torch.py"


def printed(*options: str) -> str:
    """What it prints."""
    done = subprocess.run([sys.executable, str(SCRIPT), *options], capture_output=True, encoding="utf-8", timeout=280)
    assert 0 == done.returncode, done.stderr[-3000:]
    return done.stdout


def test_a_healthy_loop_is_said_to_be_healthy_and_where_it_ends() -> None:
    """All steps are observed, and what was forecast half-way is the end to a tenth."""
    text = printed()

    forecast = re.search(r"step 250: final loss ([\d.]+)", text)
    end = re.search(r"^final loss: ([\d.]+)", text, re.MULTILINE)
    assert "health: over: healthy to its end" in text
    assert "steps: 500 of 500" in text
    assert forecast is not None
    assert end is not None
    assert float(end[1]) == pytest.approx(float(forecast[1]), rel=0.1)


def test_a_fault_is_told_within_some_steps() -> None:
    """The first finding is no earlier than the fault, and the verdict is not healthy."""
    text = printed("--fault")

    steps = [int(step) for step in re.findall(r"^step (\d+): (?:warning|critical)", text, re.MULTILINE)]
    assert "healthy" not in text
    assert 300 <= min(steps) <= 330

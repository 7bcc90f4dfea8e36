"""The example of a hand-written loop, as a person runs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scalewatch.journal import read_journal
from tests.examples.conftest import printed


def test_a_healthy_loop_is_said_to_be_healthy_and_where_it_ends(tmp_path: Path) -> None:
    """All steps are observed, and what was forecast half-way is the end to a tenth."""
    text = printed("plain_torch.py", cwd=tmp_path)

    forecast = re.search(r"step 250: forecast: final loss ([\d.]+)", text)
    end = re.search(r"final loss +│ ([\d.]+)", text)
    assert "over: healthy to its end" in text
    assert "500 of 500" in text
    assert forecast is not None
    assert end is not None
    assert float(end[1]) == pytest.approx(float(forecast[1]), rel=0.1)


def test_a_fault_is_told_within_some_steps(tmp_path: Path) -> None:
    """The first finding is no earlier than the fault, and the verdict is not healthy."""
    text = printed("plain_torch.py", "--fault", "--directory", "here", cwd=tmp_path)

    steps = [int(step) for step in re.findall(r"^scalewatch: step (\d+): (?:warning|critical)", text, re.MULTILINE)]
    assert "healthy" not in text
    assert 300 <= min(steps) <= 330
    assert 500 == len(read_journal(tmp_path / "here").observations)

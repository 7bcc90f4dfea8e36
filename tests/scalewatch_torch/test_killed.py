"""A run that is killed and goes on, again and again, reads as one that never was."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from scalewatch.finding import Kind
from scalewatch.journal import read_journal
from tests import warm
from tests.clockless import without_clock
from tests.house import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


@pytest.mark.parametrize(("cycles", "steps"), [(3, 300), pytest.param(100, 2_500, marks=pytest.mark.soak)])
def test_a_run_that_is_killed_again_and_again_reads_as_one(cycles: int, steps: int, tmp_path: Path) -> None:
    """Rows, findings and what detectors know are those of a run without an interruption; no message comes twice."""
    shared = {"PYTHONPATH": f"{ROOT}:{ROOT / 'integrations'}", "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    command = [*warm.python(), "-m", "tests.scalewatch_torch.killed", str(tmp_path), str(cycles), str(steps)]
    ended = subprocess.run(command, cwd=ROOT, env={**os.environ, **shared}, capture_output=True, text=True, timeout=600)

    assert ended.returncode == 0, ended.stderr[-3000:]
    whole, parts = (read_journal(tmp_path / name / "journal") for name in ("whole", "parts"))
    assert 0.9 * cycles <= len(parts.segments) <= cycles + 1  # one that was killed before its first step has none
    assert 1 == len({segment.run_id for segment in parts.segments})
    assert list(range(1, steps + 1)) == [row.step for row in parts.observations]
    assert [(r.step, r.loss) for r in whole.observations] == [(r.step, r.loss) for r in parts.observations]
    found = [
        [(f.kind, f.step, f.phase) for f in each.findings if f.kind is not Kind.THROUGHPUT] for each in (whole, parts)
    ]
    assert found[0] == found[1]
    assert len(whole.findings) >= 4
    states = json.loads((tmp_path / "states.json").read_text())
    assert without_clock(states["whole"]["monitor"]) == without_clock(states["parts"]["monitor"])
    told = (tmp_path / "parts" / "told").read_text().splitlines()
    assert told
    assert len(set(told)) == len(told), told

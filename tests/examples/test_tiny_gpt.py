"""The example that `make demo` runs, as a person runs it: in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from scalewatch.finding import Kind
from scalewatch.journal import read_journal
from scalewatch.laws import load_law
from tests import warm

SCRIPT = Path(__file__).parents[2] / "examples" / "tiny_gpt.py"
STEPS = 100  # the least that it takes
FAULT_STEP = 56  # 55 % of the steps are done by then


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the example from another folder."""
    environment = {**os.environ, "COLUMNS": "160", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [*warm.python(), str(SCRIPT), *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=600,
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder and output of a demo that has been run with very few steps."""
    folder = tmp_path_factory.mktemp("demo")
    done = run(folder, "--quick", "--steps", str(STEPS), "--out", "runs")
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "runs" / "demo_001", done.stdout


def test_law_speaks_before_the_larger_model_starts(demo: tuple[Path, str]) -> None:
    folder, output = demo
    law = load_law(folder / "ladder.law.json")
    assert law.evidence.runs == 3
    told = output.index("before the first step: forecast")
    assert output.index("A larger model") < told < output.index(f"{STEPS} of {STEPS}")


def test_journals_hold_every_step_of_every_run(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    for name in ("ladder_16", "ladder_24", "ladder_32", "healthy", "sabotaged"):
        journal = read_journal(folder / name)
        assert [row.step for row in journal.observations] == list(range(1, STEPS + 1)), name
        assert journal.run is not None
        assert journal.run.name == name
        assert journal.run.tokens_per_step == 32 * 64


def test_sabotage_is_paged_while_it_happens_and_health_is_not(demo: tuple[Path, str]) -> None:
    folder, output = demo
    healthy, sabotaged = (read_journal(folder / name) for name in ("healthy", "sabotaged"))
    assert not [f for f in healthy.findings if f.pages]
    first = next(f for f in sabotaged.findings if f.pages)
    assert FAULT_STEP <= first.step <= FAULT_STEP + 30
    assert first.kind in {Kind.SPIKE, Kind.DIVERGENCE, Kind.OFF_PLAN, Kind.OFF_LAW}  # of 66 rows little is known
    assert sabotaged.advice
    assert f"{first.step - FAULT_STEP + 1} steps into the fault" in output
    assert "scalewatch: advice:" in output


def test_both_runs_are_the_same_up_to_the_fault(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    healthy, sabotaged = (
        [row.loss for row in read_journal(folder / name).observations] for name in ("healthy", "sabotaged")
    )
    assert healthy[:FAULT_STEP] == sabotaged[:FAULT_STEP]
    assert healthy[FAULT_STEP] != sabotaged[FAULT_STEP]


def test_ends_with_table_pictures_and_what_to_type(demo: tuple[Path, str]) -> None:
    folder, output = demo
    for name in ("healthy", "sabotaged"):
        assert (folder / f"{name}_against_law.png").read_bytes().startswith(b"\x89PNG")
        assert list((folder / name).glob("events.out.tfevents.*"))
    assert re.search(r"predicted at 30 % of the run .* \(80 %: \d\.\d+ to \d\.\d+\)", output)
    last = output.strip().splitlines()[-1]
    assert last.endswith(f"tensorboard --logdir {Path('runs') / 'demo_001'}")


def test_too_few_steps_are_refused_with_the_reason(tmp_path: Path) -> None:
    done = run(tmp_path, "--steps", "5")
    assert done.returncode == 2
    assert "--steps must be at least 100" in done.stderr
    assert not list(tmp_path.iterdir())

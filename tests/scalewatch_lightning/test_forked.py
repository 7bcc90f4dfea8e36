"""Processes that are forked or spawned from another, as in a notebook: the end is told where no callback hears it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scalewatch.journal import Journal, read_journal
from tests import warm
from tests.scalewatch_lightning.two_ranks import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="torch forks only there without a warning")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forked")
    shared = {"PYTHONPATH": f"{ROOT}:{ROOT / 'integrations'}", "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    command = [*warm.python(), "-m", "tests.scalewatch_lightning.forked", str(folder)]
    environment = {**os.environ, **shared}
    # in a session of its own, for one of the runs is interrupted as a terminal does it
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=environment, start_new_session=True
    )
    try:
        process.communicate(timeout=300)
    finally:
        process.kill()
    return folder


def journal(ran: Path, name: str) -> Journal:
    return read_journal(ran / name / "scalewatch")


def verdict(ran: Path, name: str) -> dict[str, str]:
    (record,) = [each for each in journal(ran, name).others if each["type"] == "verdict"]
    return dict(record["rows"])


@pytest.mark.parametrize(
    ("name", "ended"),
    [
        ("ddp_fork raises", "crashed after step 40: ValueError: no more data"),
        ("ddp_spawn raises", "crashed after step 40: ValueError: no more data"),
        ("ddp_notebook ends", "as planned"),
        ("ddp_fork ctrl-c", "interrupted after step 40"),
    ],
)
def test_the_end_of_a_forked_run_has_the_right_word(ran: Path, name: str, ended: str) -> None:
    """In the verdict, and in the message that is sent; every step before it is in the journal."""
    assert verdict(ran, name)["ended"] == ended
    assert (ran / f"{name}.told").read_text().startswith(f"{ended}; ")
    steps = 60 if ended == "as planned" else 40
    assert [row.step for row in journal(ran, name).observations] == list(range(1, steps + 1))


def test_rank_zero_that_is_killed_leaves_what_was_shared(ran: Path) -> None:
    """All but the last half second of it."""
    steps = [row.step for row in journal(ran, "ddp_fork killed").observations]

    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= 32  # two exchanges

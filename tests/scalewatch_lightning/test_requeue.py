"""A job that SLURM takes back: it is requeued by its signal, ends as interrupted, and goes on as one run."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from scalewatch.journal import read_journal
from tests import warm
from tests.house import ROOT

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="SLURM is of Linux")

#: What SLURM tells a job of one process.
SLURM = {"JOB_NAME": "train", "JOB_ID": "77", "NTASKS": "1", "LOCALID": "0", "NODEID": "0", "PROCID": "0"}
SCRIPT = """
import sys, time
from tests.scalewatch_lightning.conftest import TinyText, loader
import pytorch_lightning as pl
from scalewatch_lightning import ScaleWatch

class Slow(TinyText):
    def training_step(self, batch, batch_idx):
        time.sleep(0.01)
        if self.batches_seen == 20:
            print("twenty", flush=True)
        return super().training_step(batch, batch_idx)

trainer = pl.Trainer(max_steps=int(sys.argv[1]), max_epochs=-1, accelerator="cpu", devices=1, logger=False,
    enable_checkpointing=False, callbacks=[ScaleWatch(quiet=True)], enable_progress_bar=False,
    enable_model_summary=False, default_root_dir=".")
trainer.fit(Slow(), loader())
"""


def started(folder: Path, steps: int) -> subprocess.Popen[str]:
    shared = {"PYTHONPATH": f"{ROOT}:{ROOT / 'integrations'}", "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    slurm = {f"SLURM_{name}": value for name, value in SLURM.items()}
    environment = {**os.environ, **shared, **slurm, "PATH": f"{folder}:{os.environ['PATH']}"}
    command = [*warm.python(), "-c", SCRIPT, str(steps)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder
    )


def test_a_job_that_is_requeued_was_interrupted_and_goes_on_as_one_run(tmp_path: Path) -> None:
    """SIGUSR1 saves and asks SLURM for another turn, SIGTERM ends this one; the next goes on from what was saved."""
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f"#!/bin/sh\necho $@ >> {tmp_path}/asked\n")
    scontrol.chmod(0o755)
    job = started(tmp_path, 100_000)
    assert job.stdout is not None
    assert "twenty\n" in job.stdout
    job.send_signal(signal.SIGUSR1)
    until = time.monotonic() + 120
    while not (tmp_path / "asked").exists() and time.monotonic() < until:
        time.sleep(0.05)
    job.send_signal(signal.SIGTERM)
    _, told = job.communicate(timeout=120)
    steps = read_journal(tmp_path / "scalewatch").observations[-1].step

    again = started(tmp_path, steps + 20)
    _, errors = again.communicate(timeout=120)

    assert "requeue 77\n" == (tmp_path / "asked").read_text(), told
    assert again.returncode == 0, errors
    journal = read_journal(tmp_path / "scalewatch")
    first, last = [dict(each["rows"])["ended"] for each in journal.others if each["type"] == "verdict"]
    assert (f"interrupted after step {steps}: SIGTERM", "as planned") == (first, last)
    assert 1 == len({segment.run_id for segment in journal.segments})
    assert 2 == len(journal.segments)
    assert list(range(1, steps + 21)) == [row.step for row in journal.observations]

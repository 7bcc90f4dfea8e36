"""A run of two processes goes back under `scalewatch run`, started by torch's own launcher."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scalewatch.journal import read_journal
from tests import warm
from tests.house import ROOT
from tests.ports import free_port

pytestmark = pytest.mark.skipif("not __import__('torch').distributed.is_available()", reason="torch without processes")

CLI = "from scalewatch.cli import main; main()"
SCRIPT = """
import os, sys, math, torch
import torch.distributed as dist
from scalewatch_torch import Watcher, resume_from
from tests.scalewatch_torch.two_ranks import Plain

dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
model = torch.nn.parallel.DistributedDataParallel(Plain())
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
watcher = Watcher(model, optimizer, total_steps=120, directory="journal", quiet=True, act=["rewind"])
first, place = 1, resume_from()
if place is not None:
    saved = torch.load(place, weights_only=True)
    model.load_state_dict(saved["model"])
    watcher.load_state_dict(saved["watcher"])
    first = saved["step"] + 1
with watcher:
    for step in range(first, 121):
        loss = model(step)
        optimizer.zero_grad()
        (loss * math.nan if step == 70 and rank == 1 else loss).backward()
        optimizer.step()
        watcher.step(loss)
        if step % 32 == 0:
            saved = {"model": model.state_dict(), "watcher": watcher.state_dict(), "step": step}
            if rank == 0:
                torch.save(saved, f"{step}.ckpt")
                watcher.saved(f"{step}.ckpt")
            dist.barrier()
if rank == 0:
    print("ended at", step, "from", first, [bool(torch.isfinite(w).all()) for w in model.parameters()].count(False))
dist.destroy_process_group()
"""


def test_two_processes_go_back_together(tmp_path: Path) -> None:
    """The batch that one of them was lost at is left out by both; the exit code is that of the last turn."""
    (tmp_path / "train.py").write_text(SCRIPT)
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={free_port()}"]
    python = warm.python()
    shared = {"PYTHONPATH": f"{ROOT}:{ROOT / 'integrations'}", "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CLI, "run", "--folder", "watched"]
    ended = subprocess.run(
        [*command, "--", *python, *launcher, "--no-python", *python, "train.py"],
        cwd=tmp_path,
        env={**os.environ, **shared},
        capture_output=True,
        text=True,
        timeout=400,
    )

    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "ended at 120 from 65 0" in ended.stdout
    assert 1 == ended.stderr.count("rewind 1 of 2: starts again from ")
    journal = read_journal(tmp_path / "journal")
    acts = [(each["act"], each["phase"]) for each in journal.others if each["type"] == "act"]
    assert [("rewind", "asked"), ("rewind", "honoured")] == acts
    assert 120 == journal.observations[-1].step
    ends = [dict(each["rows"])["ended"] for each in journal.others if each["type"] == "verdict"]
    assert ends[0].startswith("stopped by scalewatch after step 80: rewinds to 64.ckpt, ")
    assert "as planned" == ends[1]

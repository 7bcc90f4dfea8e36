"""Hand-written loops of two processes over gloo, for the tests: many runs in one start, for torch takes long to import.

python -m tests.scalewatch_torch.two_ranks FOLDER
"""

from __future__ import annotations

import json
import math
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

import scalewatch_torch.watcher
from scalewatch_torch import Watcher
from tests.scalewatch_torch.conftest import Tiny, loss_of

RANK = int(os.environ.get("RANK", "0"))


class Plain(nn.Module):
    """A tiny transformer whose `forward` gives the loss of a step, as DDP wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Tiny()

    def forward(self, step: int) -> torch.Tensor:
        return loss_of(self.inner, step)


def run(
    folder: Path,
    *,
    steps: int = 60,
    change: Callable[[int], float] = lambda step: 0.0,
    lost_at: int = 0,
    **options: Any,
) -> tuple[int, bool]:
    """Train, and return the last step and whether the loop was asked to stop; of rank 1 the loss is changed."""
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(Plain())
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    step = 0
    with Watcher(model, optimizer, total_steps=steps, directory=folder, quiet=True, **options) as watcher:
        for step in range(1, steps + 1):
            loss = model(step)
            optimizer.zero_grad()
            (loss * math.nan if RANK == 1 and 0 < lost_at <= step else loss).backward()
            optimizer.step()
            if watcher.step(loss + (change(step) if RANK == 1 else 0.0)):
                break
        else:
            return step, watcher.should_stop
    return step, watcher.should_stop


def only_on_zero(folder: Path) -> tuple[int, bool]:
    """A Watcher in one of the two processes, as somebody will write it."""
    model = nn.parallel.DistributedDataParallel(Plain())
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    watcher = (
        Watcher(model, optimizer, total_steps=40, directory=folder, quiet=True, act=["stop"]) if RANK == 0 else None
    )
    for step in range(1, 41):
        loss = model(step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if watcher is not None:
            watcher.step(loss)
    if watcher is not None:
        watcher.close()
    return 40, False


def main(folder: Path) -> None:
    """One run after another; a line of JSON after each."""
    warnings.simplefilter("ignore")
    dist.init_process_group("gloo")
    scalewatch_torch.watcher.MEET_SECONDS = 1.0

    def told(name: str, run: Callable[..., tuple[int, bool]] = run, **options: Any) -> None:
        sys.stdout.write(f"END {json.dumps([name, *run(folder / name, **options)])}\n")
        sys.stdout.flush()

    told("healthy")
    told("apart", change=lambda step: 5.0)
    told("nan", change=lambda step: math.nan if step >= 20 else 0.0)
    told("stops", steps=100, lost_at=20, act=["stop"])
    told("stops zero", steps=100, lost_at=20, act=["stop"], ranks="zero")
    told("zero", change=lambda step: 5.0, ranks="zero")
    told("skips", lost_at=58, act=["skip"])
    told("alone", only_on_zero)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Runs of two processes over gloo, for the tests: started once, many fits in one start, for torch takes long to import.

python -m tests.scalewatch_lightning.two_ranks FOLDER
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from scalewatch_lightning import ScaleWatch
from tests import warm
from tests.ports import free_port
from tests.scalewatch_lightning.conftest import TinyText, loader

ROOT = Path(__file__).resolve().parents[2]
#: What torch is told by who starts its processes.
LAUNCHED = {"WORLD_SIZE": "2", "GROUP_RANK": "0", "TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1"}


def run_two(module: str, folder: Path, timeout_seconds: float = 600) -> list[tuple[list[Any], str, int]]:
    """Run `python -m module folder` as rank 0 and as rank 1: of each, what it said, its stderr and its exit code."""
    shared = {"PYTHONPATH": f"{ROOT}:{ROOT / 'integrations'}", "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    environment = {**os.environ, **LAUNCHED, **shared, "MASTER_PORT": str(free_port())}
    processes = [
        subprocess.Popen(
            [*warm.python(), "-m", module, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**environment, "RANK": rank, "LOCAL_RANK": rank},
        )
        for rank in ("0", "1")
    ]
    try:
        outputs = [process.communicate(timeout=timeout_seconds) for process in processes]
    finally:
        for process in processes:
            process.kill()
    said = [[json.loads(line[4:]) for line in out.splitlines() if line.startswith("END ")] for out, _ in outputs]
    return [(words, err, p.returncode) for words, (_, err), p in zip(said, outputs, processes, strict=True)]


class Ranked(TinyText):
    """Trains alike on both ranks; what one of them measures is changed."""

    def __init__(self, change: Callable[[int, int], float], off: int | None = None) -> None:
        super().__init__()
        self.change, self.off = change, off

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor | None:
        loss = super().training_step(batch, batch_idx)
        assert loss is not None
        return loss + self.change(int(os.environ["RANK"]), self.batches_seen)  # its gradient is as before

    def on_train_batch_end(self, *_: Any) -> None:
        if self.batches_seen == 5 and self.off == int(os.environ["RANK"]):
            self.trainer.callbacks[0]._guard.off = True  # type: ignore[attr-defined]


class Lost(TinyText):
    """The weights of all are lost by the gradient of one of two ranks."""

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor | None:
        loss = super().training_step(batch, batch_idx)
        assert loss is not None
        return loss * math.nan if self.batches_seen >= 20 and os.environ["RANK"] == "1" else loss


class Sharded(TinyText):
    """Its weights are in pieces, one in each process."""

    def configure_model(self) -> None:
        for part in (self.embed, self.head):
            if not isinstance(part.weight, DTensor):
                fully_shard(part, mesh=self.device_mesh["data_parallel"])


class Dies(TinyText):
    """One of two processes is killed."""

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor | None:
        if self.batches_seen == 24 and os.environ["RANK"] == "1":
            os._exit(9)
        return super().training_step(batch, batch_idx)


def fit(folder: Path, name: str, module: pl.LightningModule, *, steps: int = 60, **options: Any) -> int:
    """Train, and return the last step."""
    strategy: Any = pl.strategies.DDPStrategy(process_group_backend="gloo")
    if isinstance(module, Sharded):
        strategy = pl.strategies.ModelParallelStrategy(2, 1, process_group_backend="gloo")
    watch = ScaleWatch(directory=folder / name, quiet=True, **options)
    trainer = pl.Trainer(
        max_steps=steps,
        max_epochs=-1,
        accelerator="cpu",
        devices=2,
        strategy=strategy,
        callbacks=[watch],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder / name,
        use_distributed_sampler=False,
    )
    trainer.fit(module, loader())
    return int(trainer.global_step)


def count_collectives(counts: dict[str, int]) -> None:
    """Count from now on the collectives of torch that are called from here."""
    for name in ("all_gather", "broadcast"):
        real = getattr(torch.distributed, name)

        def call(*args: Any, name: str = name, real: Any = real, **kwargs: Any) -> Any:
            if "scalewatch_torch" in sys._getframe(1).f_code.co_filename:
                counts[name] = counts.get(name, 0) + 1
            return real(*args, **kwargs)

        setattr(torch.distributed, name, call)


def main(folder: Path) -> None:
    """One fit after another; a line of JSON after each."""
    warnings.simplefilter("ignore")
    counts: dict[str, int] = {}
    count_collectives(counts)

    def told(name: str, module: pl.LightningModule, **options: Any) -> None:
        counts.clear()
        step = fit(folder, name, module, **options)
        sys.stdout.write(f"END {json.dumps([name, step, dict(sorted(counts.items()))])}\n")
        sys.stdout.flush()

    told("healthy", Ranked(lambda rank, step: 0.2 * rank))
    told("apart", Ranked(lambda rank, step: 5.0 * rank))
    told("spike", Ranked(lambda rank, step: 10.0 * rank * (60 <= step < 90)), steps=120)
    told("nan", Ranked(lambda rank, step: math.nan if rank and step >= 20 else 0.0))
    told("stops", Lost(), steps=100, act=["stop"])
    told("stops zero", Lost(), steps=100, act=["stop"], ranks="zero")
    told("zero", Ranked(lambda rank, step: 5.0 * rank), ranks="zero")
    told("off on 0", Ranked(lambda rank, step: 0.0, off=0), act=["stop"])
    told("off on 1", Ranked(lambda rank, step: 2.0 * rank, off=1), act=["stop"])
    told("sharded", Sharded(), act=["stop", "skip"])
    told("dies", Dies())


if __name__ == "__main__":
    main(Path(sys.argv[1]))

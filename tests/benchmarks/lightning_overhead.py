"""What a callback costs a step of a real trainer: none, ScaleWatch, Lightning's own SpikeDetection.

The model is so small that a step takes half a millisecond: the worst case for whatever is done in each step.
All of them run in turn, several times, and the best of each counts, because other work on the machine can only
make a time longer. For the same reason times are CPU times of the training thread; the middle of stretches of 64 steps,
which may be observed together, stands for a run, and the slowest step in a hundred is shown beside it.

    python tests/benchmarks/lightning_overhead.py [--steps 1000] [--repetitions 7]
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import warnings
from collections.abc import Callable
from time import thread_time
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import SpikeDetection
from rich.console import Console
from rich.progress import track
from rich.table import Table

from scalewatch_lightning import ScaleWatch

VOCABULARY, WIDTH, TIME, BATCH = 64, 16, 17, 4
#: Steps before the clock starts: the first ones build the monitor and warm every cache.
WARM_UP_STEPS = 100
#: Steps of a stretch.
STRETCH = 64


class Tiny(pl.LightningModule):
    """A next-letter model, and a clock around its steps."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(VOCABULARY, WIDTH)
        self.head = torch.nn.Linear(WIDTH, VOCABULARY)
        self.times: list[float] = []

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        scores = self.head(self.embed(batch[:, :-1]))
        return torch.nn.functional.cross_entropy(scores.flatten(0, 1), batch[:, 1:].flatten())

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self.times.append(thread_time())

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05)
        return [optimizer], [{"scheduler": torch.optim.lr_scheduler.LinearLR(optimizer), "interval": "step"}]


class Nothing(pl.Callback):
    """What any callback costs, whatever it does."""

    def on_train_batch_end(self, *_: Any) -> None:
        """Do nothing."""


def microseconds(make: Callable[[], Any], batches: list[torch.Tensor]) -> tuple[float, float]:
    """The middle step with the callback, and the slowest in a hundred [us]."""
    torch.manual_seed(0)
    module, callback = Tiny(), make()
    with tempfile.TemporaryDirectory() as folder:
        trainer = pl.Trainer(
            max_steps=len(batches),
            max_epochs=1,
            accelerator="cpu",
            devices=1,
            callbacks=[] if callback is None else [callback],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        trainer.fit(module, torch.utils.data.DataLoader(batches, batch_size=None))  # type: ignore[arg-type]
    steps = 1e6 * np.diff(module.times[WARM_UP_STEPS:])
    stretches = steps[: len(steps) // STRETCH * STRETCH].reshape(-1, STRETCH).mean(axis=1)
    return float(np.median(stretches)), float(np.percentile(steps, 99))


def main() -> None:
    """Measure and print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--steps", type=int, default=1000)
    options.add_argument("--repetitions", type=int, default=7)
    asked = options.parse_args()
    warnings.simplefilter("ignore")
    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(f"{name}.utilities.rank_zero").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    contenders: dict[str, Callable[[], Any]] = {
        "no callback": lambda: None,
        "an empty callback": Nothing,
        "ScaleWatch": lambda: ScaleWatch(quiet=True),
        "ScaleWatch, norm each step": lambda: ScaleWatch(quiet=True, grad_norm_every=1),
        "ScaleWatch, no norm": lambda: ScaleWatch(quiet=True, grad_norm_every=0),
        "Lightning's SpikeDetection": SpikeDetection,
    }
    batches = list(torch.randint(0, VOCABULARY, (asked.steps, BATCH, TIME)))
    best: dict[str, float] = {}
    slow: dict[str, float] = {}
    for _ in track(range(asked.repetitions), description="round robin"):
        for name, make in contenders.items():
            middle, slowest = microseconds(make, batches)
            best[name] = min(middle, best.get(name, middle))
            slow[name] = min(slowest, slow.get(name, slowest))
    table = Table(
        title=f"CPU time of one step of a real Trainer, best of {asked.repetitions} times {asked.steps} steps"
    )
    for column in ("", "us a step", "over no callback", "99 of 100 below"):
        table.add_column(column, justify="left" if not column else "right")
    alone = best["no callback"]
    for name, time in best.items():
        over = f"{time - alone:+.0f} us ({time / alone - 1:+.1%})" if name != "no callback" else ""
        table.add_row(name, f"{time:.0f}", over, f"{slow[name]:.0f} us")
    Console().print(table)


if __name__ == "__main__":
    main()

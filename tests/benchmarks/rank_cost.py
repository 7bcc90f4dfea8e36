"""What watching costs a step of two processes over gloo: nothing, rank 0 alone, all ranks, all ranks and a vote.

The model is so small that a step takes a few milliseconds, most of them gloo's. All contenders run in turn, and the
best of each counts; times are of the clock, because what is measured is waiting. On a machine with other work they
say nothing.

    python -m tests.benchmarks.rank_cost [FOLDER]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from rich.console import Console
from rich.table import Table

from scalewatch_lightning import ScaleWatch
from tests.scalewatch_lightning.conftest import TinyText, loader
from tests.scalewatch_lightning.two_ranks import run_two

#: Steps of one run, those before the clock starts, and how often each contender runs.
STEPS, WARM_UP_STEPS, REPETITIONS = 600, 64, 4
CONTENDERS: dict[str, dict[str, Any] | None] = {
    "no callback": None,
    'ScaleWatch(ranks="zero")': {"ranks": "zero"},
    "ScaleWatch()": {},
    'ScaleWatch(act=["stop"])': {"act": ["stop"]},
}


class Timed(TinyText):
    """Takes the time at each batch."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self.times.append(time.perf_counter())


def seconds(options: dict[str, Any] | None, folder: Path) -> tuple[float, float]:
    """Median and mean time of a step [s]."""
    module = Timed()
    trainer = pl.Trainer(
        max_steps=STEPS,
        max_epochs=-1,
        accelerator="cpu",
        devices=2,
        strategy=pl.strategies.DDPStrategy(process_group_backend="gloo"),
        callbacks=[] if options is None else [ScaleWatch(directory=folder, quiet=True, grad_norm_every=0, **options)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(module, loader(4 * STEPS))
    steps = np.diff(module.times[WARM_UP_STEPS:])
    return float(np.median(steps)), float(steps.mean())


def one_rank(folder: Path) -> None:
    """What each of the two processes does."""
    warnings.simplefilter("ignore")
    best = dict.fromkeys(CONTENDERS, (1000000000.0, 1000000000.0))
    for turn in range(REPETITIONS):
        for name, options in CONTENDERS.items():
            found = seconds(options, folder / f"{turn} {name}")
            best[name] = (min(best[name][0], found[0]), min(best[name][1], found[1]))
    sys.stdout.write(f"END {json.dumps(best)}\n")


def main() -> None:
    """Measure and print the table."""
    if "RANK" in os.environ:
        one_rank(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        (said, errors, _), _ = run_two("tests.benchmarks.rank_cost", Path(folder))
    if not said:
        raise SystemExit(errors[-2000:])
    table = Table(
        "", "median [us]", "mean [us]", "over no callback", title="One step of two processes over gloo, rank 0"
    )
    alone = said[0]["no callback"][1]
    for name, (median, mean) in said[0].items():
        table.add_row(name, f"{median * 1e6:.0f}", f"{mean * 1e6:.0f}", f"{(mean - alone) * 1e6:+.0f} us a step")
    Console().print(table)


if __name__ == "__main__":
    main()

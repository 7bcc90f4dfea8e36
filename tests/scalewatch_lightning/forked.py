"""Runs whose processes are forked or spawned from this one, as a notebook does it, and that end badly.

python -m tests.scalewatch_lightning.forked FOLDER
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from scalewatch.alert import Notification, Receiver
from scalewatch_lightning import ScaleWatch
from tests.scalewatch_lightning.conftest import TinyText, loader


class Told(Receiver):
    """Writes the headline of each message into a file."""

    name = "told"

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def send(self, notification: Notification, timeout: float) -> None:
        with self.file.open("a") as file:
            file.write(f"{notification.headline}\n")


class Ends(TinyText):
    """Ends at a step in a way of its own."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor | None:
        if self.batches_seen == 40:
            if self.how == "raises":
                if self.trainer.is_global_zero:
                    time.sleep(0.5)  # the sibling is at its end first, of which the launcher sends SIGTERM to this one
                raise ValueError("no more data")
            if self.how == "ctrl-c":
                os.killpg(0, signal.SIGINT)  # as a terminal does: to all processes that it has started
                time.sleep(30)
            if self.how == "killed" and self.trainer.is_global_zero:
                time.sleep(1.2)
                os.kill(os.getpid(), signal.SIGKILL)
        return super().training_step(batch, batch_idx)


def main(folder: Path) -> None:
    """One fit after another; what they raise here is expected."""
    warnings.simplefilter("ignore")
    for strategy, how in (
        ("ddp_fork", "raises"),
        ("ddp_fork", "killed"),
        ("ddp_notebook", "ends"),
        ("ddp_spawn", "raises"),
        ("ddp_fork", "ctrl-c"),  # the last: from then on Lightning has this process ignore it
    ):
        place = folder / f"{strategy} {how}"
        trainer = pl.Trainer(
            max_steps=60,
            max_epochs=-1,
            accelerator="cpu",
            devices=2,
            strategy=strategy,
            callbacks=[ScaleWatch(quiet=True, alerts=[Told(folder / f"{place.name}.told")])],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=place,
        )
        # what a child raises arrives here as an exception of torch.multiprocessing
        with contextlib.suppress(Exception, SystemExit):
            trainer.fit(Ends(how), loader(160))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

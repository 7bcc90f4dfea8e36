"""A short training by Lightning that is watched by everything that there is."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger

from scalewatch.alert import Rules
from scalewatch_lightning import ScaleWatch
from scalewatch_torch import Precursors
from tests.injection import Outcome, Pager, Training
from tests.scalewatch_lightning.conftest import TinyText, loader

#: Optimizer steps of the training [steps].
STEPS = 8
#: Hooks that call nets and nothing else, or refuse.
FOUNDATION = (
    "scalewatch_lightning/callback_parts.py::netted",
    "scalewatch_lightning/callback.py::ScaleWatch.setup",
    "scalewatch_lightning/callback.py::ScaleWatch.on_train_batch_start",
    "scalewatch_lightning/callback.py::ScaleWatch.state_dict",
    "scalewatch_lightning/callback.py::ScaleWatch.state_key",
)
#: The fewest functions that a watched training must be seen to reach.
LEAST_REACHED = 500
#: Where a fault once did reach the training, or was told twice.
ONCE_BROKEN = (
    "scalewatch/acting/acts.py::Acts.__bool__",
    "scalewatch_torch/watching/acting.py::Acting.end",
    "scalewatch_torch/acting/rates.py::RateFactor._after",
    "scalewatch_torch/acting/rates.py::RateFactor._before",
    "scalewatch_torch/acting/rates.py::RateFactor._move",
    "scalewatch_torch/precursors.py::Precursors._after_step",
    "scalewatch_torch/scalars.py::HostReader.abandon",
    "scalewatch_torch/sensors.py::Sensors._call",
    "scalewatch_torch/sensors.py::Sensors.detach",
    "scalewatch_torch/watching/step_metrics.py::StepMetrics.is_main",
)


def spoiled(batch: int, loss: torch.Tensor) -> torch.Tensor:
    """One loss that is no number, so that findings, advice and alerts are told too; its gradient is as before."""
    return loss + float("nan") if batch == 4 else loss


def train(folder: Path, watches: list[Any]) -> Outcome:
    """Train for a few steps with a validation, a checkpoint and TensorBoard; always the same."""
    torch.manual_seed(3)
    schedule = lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)  # noqa: E731
    module = TinyText(scheduler=schedule, spoil=spoiled)
    reached = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            callbacks=[*watches, ModelCheckpoint(folder / "kept", every_n_train_steps=5)],
            accelerator="cpu",
            devices=1,
            max_steps=STEPS,
            val_check_interval=4,
            num_sanity_val_steps=0,
            default_root_dir=folder,
            logger=TensorBoardLogger(folder, name="board", version="0"),
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        try:
            trainer.fit(module, loader(), loader(4))
        except Exception as fault:
            reached = f"{type(fault).__name__}: {fault}"
    weights = tuple(parameter.detach().numpy().tobytes() for parameter in module.parameters())
    return Outcome(weights, int(trainer.global_step), reached)


def watch() -> ScaleWatch:
    """A callback with every part on."""
    return ScaleWatch(
        act=["stop", "lower_learning_rate", "skip"],
        grad_norm_every=2,
        precursors=Precursors(every=2),
        alerts=Rules.to(Pager()),
        target_loss=1.0,
    )


def prepare(folder: Path, *, watched: bool) -> Callable[[], Outcome]:
    """The training, to be run, with its callback."""
    watches = [watch()] if watched else []
    return lambda: train(folder, watches)


TRAINING = Training(prepare, FOUNDATION, LEAST_REACHED, ONCE_BROKEN)

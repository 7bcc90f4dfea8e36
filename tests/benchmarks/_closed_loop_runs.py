"""The runs of `closed_loop.py`: a tiny GPT and a noisy regression, sabotaged in three ways, left alone or with acts."""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from _small_runs import Numbers, SmallRun, Task
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor

from scalewatch.acting.rewinding import RewindExit, RewindRequest, environment_of
from scalewatch.journal import Journal, read_journal
from scalewatch_lightning import ScaleWatch, resume_from

Sabotage = Literal["none", "rate x30", "50 steps of poison", "a NaN gradient"]

#: Part of a run at which it is sabotaged.
FROM_PART = 0.5
#: How many times too high the rate is, and how many steps the poison lasts.
RATE_FACTOR, POISON_STEPS = 30.0, 50
#: Steps between two checkpoints, of which one is kept.
SAVE_EVERY = 20


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        loss: held-out loss of its last weights. taken: steps that were taken in all, also those of before a rewind.
        left_out: steps that were left out. rewinds: how often it went back. journal: what was found and done.
    """

    loss: float
    taken: int
    left_out: int
    rewinds: int
    journal: Journal


class Sabotaged(SmallRun):
    """A small run, and what is done to it."""

    def __init__(self, task: Task, sabotage: Sabotage, seed: int, steps: int, text: tuple[Tensor, Tensor]) -> None:
        super().__init__(task, seed, steps, text)
        self.sabotage, self.at, self.taken = sabotage, round(FROM_PART * steps), 0

    def poisons(self, number: int) -> bool:
        return self.sabotage == "50 steps of poison" and 0 <= number - self.at < POISON_STEPS

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.taken += 1
        return super().training_step(batch, batch_idx)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        if self.sabotage == "rate x30" and self.trainer.global_step >= self.at:
            for group, rate in zip(self.optimizers().param_groups, self.lr_schedulers().get_last_lr(), strict=True):  # type: ignore[union-attr]
                group["lr"] = RATE_FACTOR * rate

    def on_after_backward(self) -> None:
        if self.sabotage == "a NaN gradient" and self.trainer.global_step == self.at:
            next(self.parameters()).grad.view(-1)[0] = math.nan  # type: ignore[union-attr]


def train(
    task: Task, sabotage: Sabotage, seed: int, acts: list[Any], folder: Path, text: tuple[Tensor, Tensor], steps: int
) -> Outcome:
    """Train one run, and again from its checkpoint when it asks for it, as `scalewatch run` does."""
    place, request, done, taken = folder / "rewind.json", None, 0, 0
    before = dict(os.environ)
    try:
        while True:
            os.environ.update(environment_of(place.absolute(), done, request))
            torch.manual_seed(seed)
            module = Sabotaged(task, sabotage, seed, steps, text)
            saves = ModelCheckpoint(folder / "saved", filename="{step}", every_n_train_steps=SAVE_EVERY)
            try:
                _fit(
                    module,
                    [
                        ScaleWatch(
                            act=acts, directory=folder / "watch", quiet=True, tokens_per_step=1, grad_norm_every=0
                        ),
                        saves,
                    ],
                    folder,
                )
            except RewindExit:
                request, done, taken = RewindRequest.left_at(place), done + 1, taken + module.taken
                continue
            break
    finally:
        os.environ.clear()
        os.environ.update(before)
    journal = read_journal(folder / "watch")
    told = [each for each in journal.others if each["type"] == "act"]
    skips = sum(each["act"] == "skip" for each in told)
    spans = [each["skip"] for each in told if each["phase"] == "honoured" and "leaves out steps" in each["text"]]
    left_out = skips + sum(last - first + 1 for first, last in spans)
    return Outcome(module.held_out_loss(), taken + module.taken, left_out, done, journal)


def _fit(module: Sabotaged, callbacks: list[Any], folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            max_steps=module.steps,
            max_epochs=-1,
            accelerator="cpu",
            devices=1,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=True,
            gradient_clip_val=1.0,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        trainer.fit(module, Numbers(module.steps), ckpt_path=resume_from())

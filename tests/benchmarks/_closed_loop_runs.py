"""The runs of `closed_loop.py`: a tiny GPT and a noisy regression, sabotaged in three ways, left alone or with acts.

Batches are a function of their number, and the loader keeps its place in a checkpoint: a run that goes back meets the
same ones again.
"""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from scalewatch.acting.rewinding import RewindExit, RewindRequest, environment_of
from scalewatch.journal import Journal, read_journal
from scalewatch_lightning import ScaleWatch, resume_from

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
from _tiny_gpt_data import read_text
from _tiny_gpt_model import GPTConfig, TinyGPT

Task = Literal["gpt", "regression"]
Sabotage = Literal["none", "rate x30", "50 steps of poison", "a NaN gradient"]

#: Steps of a run, and the part of it at which it is sabotaged.
STEPS: dict[Task, int] = {"gpt": 300, "regression": 600}
FROM_PART = 0.5
#: Peak learning rates, and the last rate as a part of them.
PEAKS: dict[Task, float] = {"gpt": 2e-2, "regression": 2e-2}
FINAL_SHARE = 0.3
#: How many times too high the rate is, and how many steps the poison lasts.
RATE_FACTOR, POISON_STEPS = 30.0, 50
#: Windows of a batch, bytes of a window; samples of a batch, inputs, and sd of the noise of the regression.
WINDOWS, CONTEXT, WIDTH = 16, 32, 24
SAMPLES, INPUTS, NOISE = 16, 8, 0.5
#: Targets of the poison: bytes at random, or a normal of this sd.
POISON_SD = 20.0
#: Batches of the held-out loss that a run is judged by, and steps between two checkpoints, of which one is kept.
HELD_OUT, SAVE_EVERY = 32, 20


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


class Numbers(DataLoader[int]):
    """The numbers of the batches, twice as many as a run has steps; a run that goes back draws on from where it was."""

    def __init__(self, steps: int) -> None:
        super().__init__(range(2 * steps), batch_size=None)  # type: ignore[arg-type]
        self.drawn = 0

    def __iter__(self) -> Iterator[int]:  # type: ignore[override]
        while self.drawn < len(self):
            self.drawn += 1
            yield self.drawn - 1

    def state_dict(self) -> dict[str, int]:
        return {"drawn": self.drawn}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.drawn = state["drawn"]


class Sabotaged(pl.LightningModule):
    """A model whose batches follow from the step, and what is done to it."""

    def __init__(self, task: Task, sabotage: Sabotage, seed: int, steps: int, text: tuple[Tensor, Tensor]) -> None:
        super().__init__()
        self.task, self.sabotage, self.seed, self.steps, self.text = task, sabotage, seed, steps, text
        self.at = round(FROM_PART * steps)
        self.config = GPTConfig(width=WIDTH, context=CONTEXT, steps=steps, final_learning_rate_share=FINAL_SHARE)
        self.net: nn.Module = (
            TinyGPT(self.config)
            if task == "gpt"
            else nn.Sequential(nn.Linear(INPUTS, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
        )
        self.taken = 0

    def batch_of(self, number: int, *, held_out: bool = False) -> tuple[Tensor, Tensor]:
        random = torch.Generator().manual_seed(1_000_003 * (self.seed + 1) + number + (500_000 if held_out else 0))
        poisoned = not held_out and self.sabotage == "50 steps of poison" and 0 <= number - self.at < POISON_STEPS
        if self.task == "gpt":
            source = self.text[1 if held_out else 0]
            starts = torch.randint(0, len(source) - CONTEXT - 1, (WINDOWS,), generator=random)
            windows = torch.stack([source[start : start + CONTEXT + 1] for start in starts.tolist()]).long()
            inputs, targets = windows[:, :-1], windows[:, 1:]
            return inputs, torch.randint(0, 256, targets.shape, generator=random) if poisoned else targets
        inputs = torch.randn(SAMPLES, INPUTS, generator=random)
        clean = torch.sin(inputs[:, 0] * 2.0) + inputs[:, 1] * inputs[:, 2] + 0.5 * inputs[:, 3]
        noise = torch.randn(SAMPLES, generator=random)
        return inputs, POISON_SD * noise if poisoned else clean + NOISE * noise

    def loss_of(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        inputs, targets = batch
        if self.task == "gpt":
            return nn.functional.cross_entropy(self.net(inputs).flatten(0, 1), targets.flatten())
        return nn.functional.mse_loss(self.net(inputs).squeeze(-1), targets)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.taken += 1
        return self.loss_of(self.batch_of(int(batch)))

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        if self.sabotage == "rate x30" and self.trainer.global_step >= self.at:
            for group, rate in zip(self.optimizers().param_groups, self.lr_schedulers().get_last_lr(), strict=True):  # type: ignore[union-attr]
                group["lr"] = RATE_FACTOR * rate

    def on_after_backward(self) -> None:
        if self.sabotage == "a NaN gradient" and self.trainer.global_step == self.at:
            next(self.parameters()).grad.view(-1)[0] = math.nan  # type: ignore[union-attr]

    def configure_optimizers(self) -> Any:
        peak = PEAKS[self.task]
        optimizer = torch.optim.AdamW(self.parameters(), lr=peak, betas=(0.9, 0.95))
        scheduler = LambdaLR(optimizer, self.config.learning_rate_share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    @torch.no_grad()
    def held_out_loss(self) -> float:
        losses = [float(self.loss_of(self.batch_of(number, held_out=True))) for number in range(HELD_OUT)]
        return math.fsum(losses) / len(losses)


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


def texts() -> tuple[Tensor, Tensor]:
    """The text of the GPT: training and held out."""
    return read_text()

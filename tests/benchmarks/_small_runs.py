"""A tiny GPT and a noisy regression that train in seconds: what `closed_loop.py` and `faults.py` do something to.

Batches are a function of their number, and the loader keeps its place in a checkpoint: a run that goes back meets the
same ones again.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
from _tiny_gpt_data import read_text
from _tiny_gpt_model import GPTConfig, TinyGPT

Task = Literal["gpt", "regression"]

#: Steps of a run.
STEPS: dict[Task, int] = {"gpt": 300, "regression": 600}
#: Peak learning rates, and the last rate as a part of them.
PEAKS: dict[Task, float] = {"gpt": 2e-2, "regression": 2e-2}
FINAL_SHARE = 0.3
#: Windows of a batch, bytes of a window; samples of a batch, inputs, and sd of the noise of the regression.
WINDOWS, CONTEXT, WIDTH = 16, 32, 24
SAMPLES, INPUTS, HIDDEN, NOISE = 16, 8, 32, 0.5
#: Targets of poison: bytes at random, or a normal of this sd.
POISON_SD = 20.0
#: Batches of the held-out loss that a run is judged by.
HELD_OUT = 32


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


class SmallRun(pl.LightningModule):
    """A model whose batches follow from their numbers.

    Args:
        text: bytes to train on, and held-out ones. steps: of the whole run.
    """

    def __init__(self, task: Task, seed: int, steps: int, text: tuple[Tensor, Tensor]) -> None:
        super().__init__()
        self.task, self.seed, self.steps, self.text = task, seed, steps, text
        self.config = GPTConfig(width=WIDTH, context=CONTEXT, steps=steps, final_learning_rate_share=FINAL_SHARE)
        layers = (nn.Linear(INPUTS, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1))
        self.net: nn.Module = TinyGPT(self.config) if task == "gpt" else nn.Sequential(*layers)

    def one_layer(self) -> nn.Module:
        """A layer in the middle."""
        return self.net.blocks[0] if isinstance(self.net, TinyGPT) else self.net[2]  # type: ignore[index,no-any-return]

    def poisons(self, number: int) -> bool:
        """Whether the targets of a batch are to be worth nothing."""
        return False

    def batch_of(self, number: int, *, held_out: bool = False) -> tuple[Tensor, Tensor]:
        random = torch.Generator().manual_seed(1_000_003 * (self.seed + 1) + number + (500_000 if held_out else 0))
        poisoned = not held_out and self.poisons(number)
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
        return self.loss_of(self.batch_of(int(batch)))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=PEAKS[self.task], betas=(0.9, 0.95))
        scheduler = LambdaLR(optimizer, self.config.learning_rate_share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    @torch.no_grad()
    def held_out_loss(self) -> float:
        """Mean loss of the held-out batches, NaN where it is no number."""
        losses = [float(self.loss_of(self.batch_of(number, held_out=True))) for number in range(HELD_OUT)]
        return math.fsum(losses) / len(losses)


def texts() -> tuple[Tensor, Tensor]:
    """The text of the GPT: training and held out."""
    return read_text()


def seeds_of(text: str) -> list[int]:
    """Read `5`, the first five seeds, or `2-6`."""
    first, _, last = text.partition("-")
    return list(range(int(first), int(last) + 1)) if last else list(range(int(first)))

"""Families of unseen_runs.py that differ in how they go: rates, batches, orders of the data, and what is logged."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from _unseen_losses import Classes, Regression
from _unseen_training import Task
from torch import Tensor, nn


class BatchOfOne(Regression):
    """One example a step, by plain gradient descent."""

    name, sabotages = "batch_of_one", ("lr_x30", "shuffle")
    steps, batch_size, rate, sgd, momentum, planned = 3000, 1, 3e-3, True, 0.0, False

    def poison(self, x: Tensor, y: Any, order: torch.Generator) -> tuple[Tensor, Any]:
        return x, 2 * torch.randn(y.shape, generator=order)


class LongerSequences(Task):
    """Running parity-like sums over sequences that grow from four to sixteen; long ones are harder."""

    name, sabotages = "longer_sequences", ("explode", "lr_x10_5steps")
    steps, rate, batch_size, clip = 800, 3e-3, 32, 1.0

    def build(self) -> None:
        self.net = nn.ModuleList([nn.GRU(2, 32, batch_first=True), nn.Linear(32, 1)])

    def batch(self, step: int) -> tuple[Tensor, Any]:
        length = 4 + 3 * min(4 * step // self.steps, 4)
        x = torch.randn(self.batch_size, length, 2)
        return x, (x[..., :1] * (x[..., 1:] > 0)).cumsum(1)

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        return F.mse_loss(self.net[1](self.net[0](x)[0]), y)


class BlocksOfDifficulty(Regression):
    """Blocks of data of different noise follow each other: the loss steps up and down in health."""

    name, sabotages = "blocks_of_difficulty", ("blank", "outlier")
    steps, planned = 1500, False

    def batch(self, step: int) -> tuple[Tensor, Any]:
        x, y = super().batch(step)
        return x, y + (0.2, 0.5, 0.3, 0.8, 0.4)[step // 250 % 5] * torch.randn_like(y)


class CyclicRate(Classes):
    """The rate goes up and down in triangles."""

    name, sabotages = "cyclic_rate", ("shuffle", "nan_once")
    steps, rate, sgd, validate_every = 1600, 0.3, True, 50

    def rate_at(self, step: int) -> float:
        return self.rate * (0.02 + abs((step / 200) % 2 - 1))


class JaggedResets(Regression):
    """Linear decay, four times over, each time with a fresh optimizer and a short warm-up."""

    name, sabotages = "jagged_resets", ("lr_x100", "blank")
    steps, rate = 1200, 3e-3

    def rate_at(self, step: int) -> float:
        part = (step - 1) % 300 / 300
        return self.rate * min((part + 1 / 300) / 0.05, 1 - 0.95 * part)

    def optimizer(self) -> torch.optim.Optimizer:
        self.running = super().optimizer()
        return self.running

    def after(self, step: int) -> None:
        if step % 300 == 0:
            self.running.state.clear()


class SecondWarmup(Classes):
    """Warm-up, plateau and decay to zero; then the run is taken up again with a second warm-up."""

    name, sabotages = "second_warmup", ("explode", "shuffle_50")
    steps, rate, validate_every = 1200, 3e-3, 60

    def rate_at(self, step: int) -> float:
        half = (step - 1) % 600 / 600
        return self.rate * max(min(1.0, half / 0.05, (1 - half) / 0.25), 1e-3)


class HighRateMomentum(Classes):
    """A long linear warm-up to a rate that is nearly too high, by gradient descent with momentum."""

    name, sabotages = "high_rate_momentum", ("lr_x30", "outlier")
    steps, rate, sgd, warmup, decay = 1000, 0.15, True, 0.3, 1e-4


class BatchRamp(Classes):
    """The batch doubles five times, and the noise of the loss falls with it."""

    name, sabotages = "batch_ramp", ("lr_x10_5steps", "blank")
    steps, rate = 1200, 1e-3

    def batch(self, step: int) -> tuple[Tensor, Any]:
        self.batch_size = 8 * 2 ** min(6 * step // self.steps, 5)
        return super().batch(step)


class GrowingImages(Task):
    """Textures are told apart in images that grow twice."""

    name, sabotages = "growing_images", ("nan", "lr_x10_5steps")
    steps, rate, batch_size = 600, 2e-3, 12

    def build(self) -> None:
        self.tilt = torch.rand(6) * math.pi
        self.net = nn.Sequential(
            *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 12, 3, padding=1), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 6)),
        )

    def batch(self, step: int) -> tuple[Tensor, Any]:
        side, y = (8, 12, 20)[min(3 * step // self.steps, 2)], torch.randint(0, 6, (self.batch_size,))
        across = torch.arange(side).float()
        turn = self.tilt[y][:, None, None]
        wave = (1.3 * (across * turn.cos() + across[:, None] * turn.sin()) + 6 * torch.rand(len(y), 1, 1)).sin()
        return (wave + 0.5 * torch.randn_like(wave))[:, None], y

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        return F.cross_entropy(self.net(x), y)


class RareLogs(Regression):
    """Four batches a step, and a row every twenty steps."""

    name, sabotages = "rare_logs", ("shuffle", "nan_once")
    steps, every, accumulate, batch_size, hidden = 2400, 20, 4, 8, 16


class RowAnEpoch(Classes):
    """A hundred epochs over the same few hundred examples, a row each, with three drops of the rate."""

    name, sabotages = "row_an_epoch", ("lr_x100", "outlier")
    steps, every, by_epoch, rate, sgd, logs_norm = 1500, 15, True, 0.05, True, False
    validate_every, epoch_steps, decay = 1, 15, 1e-3

    def build(self) -> None:
        super().build()
        self.x = torch.randn(480, self.inputs)
        self.y = (self.truth(self.x) + self.noise * torch.randn(480, 10)).argmax(1)

    def batch(self, step: int) -> tuple[Tensor, Any]:
        at = (step - 1) % 15 if step else 0
        if at == 0:
            self.order = torch.randperm(480)
        chosen = self.order[32 * at : 32 * at + 32]
        return self.x[chosen], self.y[chosen]

    def rate_at(self, step: int) -> float:
        return self.rate * 0.2 ** sum(step > part * self.steps for part in (0.5, 0.75, 0.9))


FAMILIES: tuple[type[Task], ...] = (
    *(BatchOfOne, LongerSequences, BlocksOfDifficulty, CyclicRate, JaggedResets, SecondWarmup),
    *(HighRateMomentum, BatchRamp, GrowingImages, RareLogs, RowAnEpoch),
)

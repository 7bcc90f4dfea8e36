"""Families of unseen_runs.py that differ in what is minimised: its kind, its sign and its size."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from _unseen_training import Task, mlp, teacher
from torch import Tensor, nn


class Regression(Task):
    """A network learns another one from fresh points with noise."""

    inputs, outputs, hidden, noise = 8, 1, 32, 0.1

    def build(self) -> None:
        self.truth = teacher(self.inputs, 24, self.outputs)
        self.net = mlp(self.inputs, self.hidden, self.hidden, self.outputs)

    def batch(self, step: int) -> tuple[Tensor, Any]:
        x = torch.randn(self.batch_size, self.inputs)
        return x, self.truth(x) + self.noise * torch.randn(self.batch_size, self.outputs)

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        return F.mse_loss(self.net(x), y)


class Classes(Regression):
    """A network learns the largest output of another one."""

    outputs, hidden, noise = 10, 48, 0.2

    def batch(self, step: int) -> tuple[Tensor, Any]:
        x, y = super().batch(step)
        return x, y.argmax(1)

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        return F.cross_entropy(self.net(x), y)


class FlowNll(Task):
    """Affine couplings on points near a curve: the likelihood goes from above zero to well below."""

    name, sabotages = "flow_nll", ("lr_x30", "outlier")
    steps, rate, validate_every = 800, 2e-3, 40

    def build(self) -> None:
        self.net = nn.ModuleList(mlp(2, 32, 4) for _ in range(4))

    def batch(self, step: int) -> tuple[Tensor, Any]:
        t = 6 * torch.rand(64, 1) - 3
        return torch.cat([t.sin(), t.cos(), (2 * t).sin(), 0.5 * t], 1) + 0.05 * torch.randn(64, 4), None

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        volume = torch.zeros(len(x))
        for coupling in self.net:
            kept, moved = x.chunk(2, 1)
            scale, shift = coupling(kept).chunk(2, 1)
            scale = 2 * scale.tanh()
            volume = volume + scale.sum(1)
            x = torch.cat([moved * scale.exp() + shift, kept], 1)
        return (0.5 * x.square().sum(1) + 2 * math.log(2 * math.pi) - volume).mean()


class NegativeDice(Task):
    """Noisy discs are segmented; the loss is minus the Dice score."""

    name, sabotages = "negative_dice", ("shuffle_50", "blank")
    steps, rate, batch_size = 700, 2e-3, 8

    def build(self) -> None:
        convolve = (nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.net = nn.Sequential(*convolve, nn.Conv2d(8, 1, 1))

    def batch(self, step: int) -> tuple[Tensor, Any]:
        axis = torch.linspace(-1, 1, 16)
        middle, radius = torch.rand(2, self.batch_size, 1, 1) - 0.5, 0.3 + 0.3 * torch.rand(self.batch_size, 1, 1)
        disc = ((axis - middle[0]) ** 2 + (axis[:, None] - middle[1]) ** 2 < radius**2).float()[:, None]
        return disc + 0.7 * torch.randn_like(disc), disc

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        mask = self.net(x).sigmoid()
        overlap, area = (mask * y).sum((1, 2, 3)), mask.sum((1, 2, 3)) + y.sum((1, 2, 3))
        return -((2 * overlap + 1) / (area + 1)).mean()


class LabelSmoothing(Classes):
    """Classes with smoothed labels: the loss has a floor far from zero."""

    name, sabotages = "label_smoothing", ("lr_x100", "nan_once")
    steps, rate, warmup, validate_every = 1000, 2e-3, 0.05, 50

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        return F.cross_entropy(self.net(x), y, label_smoothing=0.1 if self.net.training else 0.0)


class DistillationKl(Classes):
    """A student takes over the soft classes of a teacher: a divergence that goes to zero."""

    name, sabotages = "distillation_kl", ("explode", "lr_x10_5steps")
    steps, rate, temperature = 1200, 1e-3, 4.0

    def batch(self, step: int) -> tuple[Tensor, Any]:
        x = torch.randn(64, self.inputs)
        return x, F.log_softmax(3 * self.truth(x) / self.temperature, 1)

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        said = F.log_softmax(self.net(x) / self.temperature, 1)
        return self.temperature**2 * F.kl_div(said, y, reduction="batchmean", log_target=True)


class Ctc(Task):
    """Short words are read from stretched, noisy frames."""

    name, sabotages = "ctc", ("nan", "outlier")
    steps, rate, batch_size, clip = 700, 3e-3, 16, 5.0

    def build(self) -> None:
        self.code = torch.randn(8, 12)
        self.net = nn.Sequential(nn.Conv1d(12, 32, 5, padding=2), nn.ReLU(), nn.Conv1d(32, 8, 3, padding=1))

    def batch(self, step: int) -> tuple[Tensor, Any]:
        words = torch.randint(1, 8, (self.batch_size, 4))
        frames = self.code[words.repeat_interleave(4, 1)].transpose(1, 2)
        return frames + 0.5 * torch.randn_like(frames), words

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        said = F.log_softmax(self.net(x), 1).permute(2, 0, 1)
        size = torch.full((len(x),), said.shape[0]), torch.full((len(x),), y.shape[1])
        return F.ctc_loss(said, y, *size, zero_infinity=True)


class PinnResidual(Task):
    """The residual of u'' = -sin(2x) and of its ends, at fresh points."""

    name, sabotages = "pinn_residual", ("lr_x30", "explode")
    steps, rate = 900, 2e-3

    def build(self) -> None:
        self.net = mlp(1, 24, 24, 1)

    def batch(self, step: int) -> tuple[Tensor, Any]:
        return math.pi * (2 * torch.rand(self.batch_size, 1) - 1), None

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        x = x.requires_grad_()
        u = self.net(x)
        slope = torch.autograd.grad(u.sum(), x, create_graph=True)[0]
        bend = torch.autograd.grad(slope.sum(), x, create_graph=True)[0]
        ends = self.net(torch.tensor([[-math.pi], [math.pi]]))
        return (bend + (2 * x.detach()).sin()).square().mean() + 10 * ends.square().mean()


class Quantiles(Regression):
    """Three quantiles of a skewed target by the pinball loss."""

    name, sabotages = "quantiles", ("shuffle", "lr_x10_5steps")
    steps, hidden = 1500, 24

    def build(self) -> None:
        self.truth, self.net = teacher(8, 24, 1), mlp(8, 24, 24, 3)
        self.levels = torch.tensor([0.1, 0.5, 0.9])

    def batch(self, step: int) -> tuple[Tensor, Any]:
        x = torch.randn(self.batch_size, 8)
        return x, self.truth(x) + torch.empty(self.batch_size, 1).exponential_()

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        short = y - self.net(x)
        return torch.maximum(self.levels * short, (self.levels - 1) * short).mean()


class PoissonCounts(Regression):
    """Counts with a rate of a few tens; the likelihood without its constant is far below zero."""

    name, sabotages = "poisson_counts", ("blank", "nan_once")
    steps, rate, clip, planned = 1200, 1e-3, 10.0, False

    def batch(self, step: int) -> tuple[Tensor, Any]:
        x = torch.randn(self.batch_size, 8)
        return x, torch.poisson((2.5 + self.truth(x).clamp(-1.5, 1.5)).exp())

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        return F.poisson_nll_loss(self.net(x), y)


class HeavyTails(Regression):
    """Squared error under noise of three degrees of freedom, so that the loss has no variance."""

    name, sabotages = "heavy_tails", ("explode", "shuffle_50")
    steps = 2000

    def batch(self, step: int) -> tuple[Tensor, Any]:
        x = torch.randn(self.batch_size, 8)
        tail = torch.randn(self.batch_size, 1) / torch.randn(3, self.batch_size, 1).square().mean(0).sqrt()
        return x, self.truth(x) + 0.3 * tail


class SummedLoss(Regression):
    """Squared errors are summed, not averaged: the loss is tens of thousands."""

    name, sabotages = "summed_loss", ("lr_x100", "shuffle_50")
    outputs, batch_size, logs_norm, warmup = 16, 128, False, 0.02

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        return (30 * (self.net(x) - y)).square().sum()


class TinyLoss(Regression):
    """Targets in small units: the loss is a millionth."""

    name, sabotages = "tiny_loss", ("blank", "outlier")
    steps, rate, validate_every = 1500, 3e-4, 50

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        return F.mse_loss(1e-3 * self.net(x), 1e-3 * y)


class SparseCode(Task):
    """A wide autoencoder whose code is kept sparse."""

    name, sabotages = "sparse_code", ("lr_x30", "shuffle")
    steps, rate = 1000, 1e-3

    def build(self) -> None:
        self.atoms = torch.randn(24, 16)
        self.net = nn.ModuleList([nn.Linear(16, 64), nn.Linear(64, 16)])

    def batch(self, step: int) -> tuple[Tensor, Any]:
        weight = torch.rand(48, 24) * (torch.rand(48, 24) < 0.1)
        return weight @ self.atoms + 0.05 * torch.randn(48, 16), None

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        code = self.net[0](x).relu()
        return F.mse_loss(self.net[1](code), x) + 0.01 * code.abs().sum(1).mean()


class OnlyDecay(Task):
    """Labels are coins, so that only weight decay has something to do: the loss falls to log 2."""

    name, sabotages = "only_decay", ("lr_x100", "nan")
    steps, rate, decay, sgd, momentum = 3000, 0.05, 0.05, True, 0.0

    def build(self) -> None:
        self.net = nn.Linear(32, 1)
        nn.init.normal_(self.net.weight, std=0.4)

    def batch(self, step: int) -> tuple[Tensor, Any]:
        return torch.randn(64, 32), torch.randint(0, 2, (64, 1)).float()

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        return F.binary_cross_entropy_with_logits(self.net(x), y)


class LogNormalDiffusion(Task):
    """A denoiser over log-normal noise levels, each loss divided by what it would be of no use."""

    name, sabotages = "log_normal_diffusion", ("explode", "outlier")
    steps, rate, batch_size, warmup = 1200, 1e-3, 64, 0.05

    def build(self) -> None:
        self.net = mlp(3, 64, 64, 2, act=nn.SiLU)

    def batch(self, step: int) -> tuple[Tensor, Any]:
        turn = 2 * math.pi * torch.rand(self.batch_size, 1)
        return torch.cat([turn.cos(), turn.sin()], 1) * (0.4 + 0.1 * turn) / 2, None

    def loss(self, x: Tensor, y: Any, step: int) -> Tensor:
        level = (1.2 * torch.randn(len(x), 1) - 1.2).exp()
        spread = (level**2 + 0.25).sqrt()
        noisy = x + level * torch.randn_like(x)
        guess = self.net(torch.cat([noisy / spread, 0.25 * level.log()], 1))
        clean = 0.25 * noisy / spread**2 + 0.5 * level / spread * guess
        weight = (spread / (0.5 * level)) ** 2
        return (weight * (clean - x) ** 2).mean()


FAMILIES: tuple[type[Task], ...] = (
    *(FlowNll, NegativeDice, LabelSmoothing, DistillationKl, Ctc, PinnResidual, Quantiles, PoissonCounts),
    *(HeavyTails, SummedLoss, TinyLoss, SparseCode, OnlyDecay, LogNormalDiffusion),
)

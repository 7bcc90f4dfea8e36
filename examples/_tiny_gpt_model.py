"""The model of the example: a small byte-level GPT in plain torch, trained by Lightning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a model, and the schedule it is trained with.

    Args:
        width: size of the residual stream.
        layers: number of blocks.
        head_width: size of one attention head.
        context: bytes the model sees at once.
        vocabulary: number of different tokens.
        steps: optimizer steps of the whole training.
        peak_learning_rate: the learning rate at the end of the warm-up.
        warmup_share: share of the steps that the warm-up takes.
        final_learning_rate_share: last learning rate, as a share of the peak.
    """

    width: int
    layers: int = 2
    head_width: int = 8
    context: int = 64
    vocabulary: int = 256
    steps: int = 1500
    peak_learning_rate: float = 8e-3
    warmup_share: float = 0.05
    final_learning_rate_share: float = 0.1

    def learning_rate_share(self, step: int) -> float:
        """Return the learning rate of the step after `step` steps, as a share of the peak."""
        warmup = max(1, round(self.warmup_share * self.steps))
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, self.steps - warmup))
        low = self.final_learning_rate_share
        return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress))


def rotary_tables(config: GPTConfig, base: float = 1000.0) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of the angle by which each position turns each pair of channels."""
    frequencies = base ** (-torch.arange(0, config.head_width, 2) / config.head_width)
    angles = torch.outer(torch.arange(config.context), frequencies)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Turn queries or keys by their position (RoPE, arXiv 2104.09864)."""
    cos, sin = turn
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


class Block(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.heads = config.width // config.head_width
        self.norm_attention = nn.LayerNorm(config.width, bias=False)
        self.query_key_value = nn.Linear(config.width, 3 * config.width, bias=False)
        self.attention_out = nn.Linear(config.width, config.width, bias=False)
        self.norm_mlp = nn.LayerNorm(config.width, bias=False)
        self.mlp_in = nn.Linear(config.width, 4 * config.width, bias=False)
        self.mlp_out = nn.Linear(4 * config.width, config.width, bias=False)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """Add what attention and the feed-forward net find to the residual stream."""
        batch, length, width = x.shape
        projected = self.query_key_value(self.norm_attention(x))
        query, key, value = projected.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key = rotate(query, turn), rotate(key, turn)
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.attention_out(attended.transpose(1, 2).reshape(batch, length, width))
        return x + self.mlp_out(F.gelu(self.mlp_in(self.norm_mlp(x)), approximate="tanh"))


class TinyGPT(pl.LightningModule):
    """A byte-level GPT; its loss is the mean cross entropy in nats per byte."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocabulary, config.width)
        for name, table in zip(("cos", "sin"), rotary_tables(config), strict=True):
            self.register_buffer(name, table, persistent=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width, bias=False)
        self.head = nn.Linear(config.width, config.vocabulary, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        """Start with unit-scale activations, and with residual branches that add little."""
        for name, parameter in self.named_parameters():
            if "norm" in name:
                continue
            if "embedding" in name:
                nn.init.normal_(parameter, std=0.5)
            elif name.startswith("head"):
                nn.init.normal_(parameter, std=0.5 / math.sqrt(self.config.width))
            else:
                nn.init.normal_(parameter, std=1 / math.sqrt(parameter.shape[1]))
            if name.endswith(("attention_out.weight", "mlp_out.weight")):
                parameter.data.mul_(1 / math.sqrt(2 * self.config.layers))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of the byte that follows each position."""
        turn = (self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]])
        x = self.token_embedding(tokens)
        for block in self.blocks:
            x = block(x, turn)
        logits: Tensor = self.head(self.norm(x))
        return logits

    def _loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        tokens, targets = batch
        return F.cross_entropy(self(tokens).flatten(0, 1), targets.flatten())

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Return the loss of one batch."""
        loss = self._loss(batch)
        self.log("loss", loss, prog_bar=True, logger=False)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        """Log the loss on files that are not trained on."""
        self.log("val_loss", self._loss(batch), prog_bar=True)

    def configure_optimizers(self) -> Any:
        """Return AdamW with a linear warm-up and a cosine decay, changed at every step."""
        matrices = [p for n, p in self.named_parameters() if p.ndim > 1 and "embedding" not in n]
        decayed = {id(p) for p in matrices}
        others = [p for p in self.parameters() if id(p) not in decayed]
        optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": 0.1},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=self.config.peak_learning_rate,
            betas=(0.9, 0.95),
        )
        scheduler = LambdaLR(optimizer, self.config.learning_rate_share)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


class LearningRateFault(pl.Callback):
    """A sabotage: from one step on, the learning rate is a multiple of the scheduled one.

    The factor is put on in front of every optimizer step and taken off behind it, so neither the
    scheduler nor anybody who asks it for its plan knows of it.

    Args:
        first_step: the first optimizer step that runs with the wrong learning rate, from 1.
        factor: how many times too high it is.
    """

    def __init__(self, first_step: int, factor: float):
        self.first_step = first_step
        self.factor = factor
        self._steps = 0
        self._hooks: list[Any] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the fault into the optimizer."""
        optimizer = trainer.optimizers[0]
        self._steps = trainer.global_step
        self._hooks = [
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
        ]

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the fault out again."""
        for hook in self._hooks:
            hook.remove()

    def _before_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        self._steps += 1
        self._scale(optimizer, self.factor)

    def _after_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        self._scale(optimizer, 1 / self.factor)

    def _scale(self, optimizer: torch.optim.Optimizer, factor: float) -> None:
        if self._steps >= self.first_step:
            for group in optimizer.param_groups:
                group["lr"] *= factor

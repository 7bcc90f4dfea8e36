"""A tiny transformer in plain torch, and a loop that trains it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalewatch_torch import Precursors

VOCABULARY, WIDTH, HEADS, TIME, BATCH = 19, 16, 2, 11, 4

# One tiny operation after another: a second thread only waits for the first.
torch.set_num_threads(1)


class Marks:
    """Events of a device that has come so far: the first `passed` of them."""

    def __init__(self) -> None:
        self.passed = 0
        self.recorded = 0

    def new(self) -> Any:
        marks = self

        class Mark:
            def record(self) -> None:
                marks.recorded += 1
                self.number = marks.recorded

            def query(self) -> bool:
                return self.number <= marks.passed

        return Mark()


class Tiny(nn.Module):
    """One block of attention and a feed-forward net; the logits of its attention are kept for the tests."""

    def __init__(self, *, tied: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.attention_qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.mlp = nn.Linear(WIDTH, WIDTH)
        self.lm_head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.dropout = nn.Dropout(dropout)
        if tied:
            self.lm_head.weight = self.embedding.weight
        self.largest: list[Tensor] = []
        self.fails = False

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        batch, time, _ = x.shape
        qkv = self.attention_qkv(self.norm(x)).view(batch, time, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        query, key, value = qkv
        logits = (query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).float()
        seen = torch.ones(time, time, dtype=torch.bool).tril()
        self.largest.append(logits[::2].masked_fill(~seen, -torch.inf).max())  # 2 of the 4 sequences
        if self.fails:
            raise ValueError("this forward pass was to fail")
        out = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.dropout(out.transpose(1, 2).reshape(batch, time, WIDTH))
        logits = self.lm_head(x + self.mlp(x))
        assert isinstance(logits, Tensor)
        return logits


def batch(step: int) -> tuple[Tensor, Tensor]:
    """The same text for the same step."""
    generator = torch.Generator().manual_seed(step)
    tokens = torch.randint(VOCABULARY, (BATCH, TIME + 1), generator=generator)
    return tokens[:, :-1], tokens[:, 1:]


def loss_of(model: nn.Module, step: int) -> Tensor:
    """Cross entropy of the text of a step."""
    tokens, targets = batch(step)
    return F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    precursors: Precursors | None,
    steps: int,
    after: Callable[[int], None] = lambda step: None,
) -> list[dict[str, float] | None]:
    """A loop as a user writes it; `after` is called when a step was taken."""
    read: list[dict[str, float] | None] = []
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        if precursors is None:
            loss_of(model, step).backward()
            optimizer.step()
            continue
        with precursors.forward(step):
            loss = loss_of(model, step)
        loss.backward()
        precursors.before_step()
        optimizer.step()
        after(step)
        read.append(precursors.read(step))
    return read


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """The same numbers each time; and no mode is left behind by a test."""
    torch.manual_seed(0)
    yield
    assert torch.overrides._get_current_function_mode() is None


@pytest.fixture
def model() -> Any:
    """A tiny transformer."""
    return Tiny()

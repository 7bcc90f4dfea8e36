"""A task that is learned in seconds, and its model: the next letter from the two before. The examples train it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

VOCABULARY, WIDTH, TIME, BATCH = 32, 32, 16, 32
TOKENS_PER_STEP = BATCH * TIME


class Letters(nn.Module):
    """Foretells the next letter from the two before."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(2 * WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, text: Tensor) -> Tensor:
        """Mean cross entropy of each letter after the first, given text of shape (batch, time + 1)."""
        now = self.embedding(text[:, :-1])
        logits = self.head(self.mlp(torch.cat([now, now.roll(1, dims=1)], dim=-1)))
        return F.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten())


def text_of(step: int, rows: int = BATCH) -> Tensor:
    """Text in which every fourth letter or so comes by chance, shape (rows, time + 1)."""
    generator = torch.Generator().manual_seed(step)
    text = torch.randint(VOCABULARY, (rows, TIME + 1), generator=generator)
    chance = torch.rand(text.shape, generator=generator)
    for place in range(1, TIME + 1):
        follows = (3 * text[:, place - 1] + 7) % VOCABULARY
        text[:, place] = torch.where(chance[:, place] < 0.75, follows, text[:, place])
    return text


def batches(steps: int, rows: int = BATCH) -> Iterator[Tensor]:
    """Text for so many steps."""
    torch.set_num_threads(1)  # operations this small make a second thread wait
    for step in range(1, steps + 1):
        yield text_of(step, rows)

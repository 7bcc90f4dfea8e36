"""A tiny text model, and the Trainer of transformers that trains it in a second."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import Trainer, TrainingArguments

VOCABULARY, WIDTH, TIME, BATCH, STEPS = 16, 8, 10, 4, 12

# One tiny operation after another: a second thread only waits for the first.
torch.set_num_threads(1)


class Text(nn.Module):
    """A next-letter model; its loss is the mean over a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        logits = self.head(self.embed(input_ids[:, :-1]))
        return {"loss": nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten()), "logits": logits}


class CountingText(Text):
    """The same, where the trainer tells how many letters all batches of a step have, as it does to its own models."""

    def forward(  # type: ignore[override]
        self, input_ids: torch.Tensor, labels: torch.Tensor, **options: Any
    ) -> dict[str, torch.Tensor]:
        outputs = super().forward(input_ids, labels)
        letters = options.get("num_items_in_batch")
        mean = outputs["loss"]
        share = 1.0 if letters is None else (labels.shape[0] * (labels.shape[1] - 1)) / letters
        return {**outputs, "loss": mean * share}


def rows(count: int = 256) -> list[dict[str, torch.Tensor]]:
    """Lines of a made-up language: each letter follows from the one before, but for some chance."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(0, VOCABULARY, (count, 1), generator=generator)
    chance = torch.randint(0, 2, (count, TIME), generator=generator)
    text = (first + 3 * torch.arange(TIME) + chance) % VOCABULARY
    return [{"input_ids": row, "labels": row} for row in text]


@pytest.fixture(autouse=True)
def quiet_and_seeded() -> Iterator[None]:
    """The same numbers each time; what transformers warns of is not what is tested."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def new_trainer(tmp_path: Path) -> Callable[..., Any]:
    """Makes a trainer that writes below `tmp_path` and shows nothing."""

    def make(*callbacks: Any, kind: type[Trainer] = Trainer, model: Any = None, **options: Any) -> Trainer:
        defaults: dict[str, Any] = {
            "output_dir": str(tmp_path / "out"),
            "max_steps": STEPS,
            "per_device_train_batch_size": BATCH,
            "learning_rate": 1e-2,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": "none",
            "use_cpu": True,
            "disable_tqdm": True,
        }
        arguments = TrainingArguments(**{**defaults, **options})
        model = Text() if model is None else model
        return kind(model=model, args=arguments, train_dataset=rows(), eval_dataset=rows(8), callbacks=list(callbacks))

    return make

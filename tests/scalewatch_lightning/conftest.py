"""Tiny text models and real trainers that train them in a fraction of a second."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from scalewatch.fitting import fit_curves
from scalewatch.journal import Journal, read_journal
from scalewatch.laws import Curve, CurveLaw
from scalewatch.run import Run
from scalewatch_lightning import ScaleWatch

VOCABULARY, WIDTH, TIME, BATCH = 16, 8, 9, 4

# One tiny operation after another: a second thread only waits for the first.
torch.set_num_threads(1)


def text(rows: int = 64, seed: int = 0) -> torch.Tensor:
    """Lines of a made-up language, shape (rows, TIME + 1): each letter follows from the one before."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(0, VOCABULARY, (rows, 1), generator=generator)
    return (first + 3 * torch.arange(TIME + 1)) % VOCABULARY


def loader(rows: int = 64, batch: int = BATCH) -> DataLoader[Any]:
    """Batches of that text, always in the same order."""
    return DataLoader(TensorDataset(text(rows)), batch_size=batch)


class TinyText(pl.LightningModule):
    """A next-letter model of some 400 parameters; what a test wants different is an argument."""

    def __init__(
        self,
        learning_rate: float = 1e-2,
        scheduler: Callable[[Any], Any] | None = None,
        spoil: Callable[[int, torch.Tensor], torch.Tensor | None] | None = None,
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY)
        self.learning_rate, self.scheduler, self.spoil = learning_rate, scheduler, spoil
        self.losses: list[float] = []
        self.rates: list[float] = []
        self.batches_seen = 0

    def loss(self, batch: Any) -> torch.Tensor:
        letters = batch[0]
        scores = self.head(self.embed(letters[:, :-1]))
        return nn.functional.cross_entropy(scores.flatten(0, 1), letters[:, 1:].flatten())

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor | None:
        loss = self.loss(batch)
        self.batches_seen += 1
        if self.spoil is not None:
            spoiled = self.spoil(self.batches_seen, loss)
            if spoiled is None:
                return None
            loss = spoiled
        self.losses.append(loss.item())
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.loss(batch))

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        self.rates.append(float(optimizer.param_groups[0]["lr"]))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), self.learning_rate, momentum=0.9)
        if self.scheduler is None:
            return optimizer
        made = self.scheduler(optimizer)
        config = made if isinstance(made, dict) else {"scheduler": made, "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": config}


@pytest.fixture(autouse=True)
def lightning_is_quiet() -> Iterator[None]:
    """Lightning warns about few workers and short epochs; a warning is an error here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)


@pytest.fixture
def new_trainer(tmp_path: Path) -> Callable[..., pl.Trainer]:
    """Makes a trainer that writes below `tmp_path` and shows nothing."""

    def make(callbacks: Any = (), trainer: Any = pl.Trainer, **options: Any) -> Any:
        defaults: dict[str, Any] = {
            "accelerator": "cpu",
            "devices": 1,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "default_root_dir": tmp_path,
            "max_steps": 20,
        }
        return trainer(callbacks=list(callbacks), **{**defaults, **options})

    return make


@pytest.fixture
def watched(new_trainer: Callable[..., pl.Trainer], tmp_path: Path) -> Callable[..., Journal]:
    """Trains a model under a ScaleWatch and returns its journal."""

    def fit(
        module: Any,
        watch: ScaleWatch | None = None,
        data: Any = None,
        validation: Any = None,
        ckpt_path: Any = None,
        **options: Any,
    ) -> Journal:
        watch = watch or ScaleWatch(quiet=True)
        trainer = new_trainer([watch], **options)
        trainer.fit(module, loader() if data is None else data, validation, ckpt_path=ckpt_path)
        return read_journal(tmp_path / "scalewatch")

    return fit


@pytest.fixture(scope="session")
def law() -> CurveLaw:
    """A law of three made-up runs of 200 steps, which expects a loss that falls from 3 to about 2 nats."""
    steps = np.arange(1, 201)
    rates = 0.1 * 0.5 * (1 + np.cos(np.pi * (steps - 1) / 200))
    noise = np.random.default_rng(0)
    curves = []
    for size in (100, 200, 400):
        loss = 1.5 + 2 * size**-0.3 + 1.2 * (steps + 5) ** -0.5 + 0.01 * noise.normal(size=200)
        run = Run(f"{size}", 200, rates, parameters=size, tokens_per_step=40)
        curves.append(Curve(run, steps, loss))
    return fit_curves(curves)

"""Are runs forecast whose data are seen again? Small models, trained here for two to six epochs that are known or not.

    OMP_NUM_THREADS=1 python tests/benchmarks/forecast_epochs.py

How high the stairs to come are was chosen on noisy labels and regressions; clicks and ratings were left out. The end is
the mean of the last fiftieth; a kind counts once.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional

from scalewatch import Monitor, Observation, Run
from scalewatch.arrays import Floats

FRACTIONS = (0.2, 0.3, 0.5, 0.7, 0.9)
#: Steps of an epoch, and epochs, schedule and peak rate of the runs of each kind.
LENGTH, BATCH = 200, 64
CASES = ((2, "constant", 1.0), (3, "linear", 2.0), (4, "cosine", 2.0), (4, "constant", 0.7), (6, "cosine", 1.0))
#: Held, error and width, as parts of the end; by whether epochs were known, and part of the run.
Told = dict[tuple[bool, float], list[tuple[float, float, float]]]
Loss = Callable[[torch.Tensor], torch.Tensor]


def noisy_labels(rng: np.random.Generator, rows: int) -> tuple[nn.Module, Loss, float]:
    """A wide network on ten classes of which two fifths of the labels are wrong."""
    x = rng.normal(size=(rows, 96)).astype(np.float32)
    y = (x @ rng.normal(size=(96, 10))).argmax(1)
    wrong = rng.random(rows) < 0.4
    y[wrong] = rng.integers(0, 10, wrong.sum())
    model = nn.Sequential(nn.Linear(96, 384), nn.ReLU(), nn.Linear(384, 10))
    inputs, labels = torch.from_numpy(x), torch.from_numpy(y)
    return model, lambda at: functional.cross_entropy(model(inputs[at]), labels[at]), 1e-3


def regression(rng: np.random.Generator, rows: int) -> tuple[nn.Module, Loss, float]:
    """More weights than rows, of falling size."""
    sizes = np.arange(1, 3_001) ** -0.6
    x = (rng.normal(size=(rows, 3_000)) * sizes).astype(np.float32)
    y = torch.from_numpy((x @ rng.normal(size=3_000) / 3.0 + 0.5 * rng.normal(size=rows)).astype(np.float32))
    model, inputs = nn.Linear(3_000, 1), torch.from_numpy(x)
    return model, lambda at: functional.mse_loss(model(inputs[at])[:, 0], y[at]), 1e-3


def clicks(rng: np.random.Generator, rows: int) -> tuple[nn.Module, Loss, float]:
    """Clicks of 6,000 people on 2,000 things, each with a vector."""
    who, what = ((n * rng.random(rows) ** p).astype(int) for n, p in ((6_000, 2), (2_000, 3)))
    taste, kind = rng.normal(size=(6_000, 4)), rng.normal(size=(2_000, 4))
    chance = 1.0 / (1.0 + np.exp(-(0.6 * (taste[who] * kind[what]).sum(1) + rng.normal(size=6_000)[who] - 1.0)))
    y = torch.from_numpy((rng.random(rows) < chance).astype(np.float32))
    people, things = nn.Embedding(6_000, 16), nn.Embedding(2_000, 16)
    head = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
    a, b = torch.from_numpy(who), torch.from_numpy(what)

    def loss(at: torch.Tensor) -> torch.Tensor:
        told = head(torch.cat([0.1 * people(a[at]), 0.1 * things(b[at])], 1))[:, 0]
        return functional.binary_cross_entropy_with_logits(told, y[at])

    return nn.ModuleList([people, things, head]), loss, 3e-3


def ratings(rng: np.random.Generator, rows: int) -> tuple[nn.Module, Loss, float]:
    """Stars that 3,000 people gave 1,000 things, as a product of two vectors."""
    who, what = ((n * rng.random(rows) ** p).astype(int) for n, p in ((3_000, 1.5), (1_000, 2)))
    taste, kind = rng.normal(size=(3_000, 6)), rng.normal(size=(1_000, 6))
    y = torch.from_numpy(((taste[who] * kind[what]).sum(1) / 4 + 0.7 * rng.normal(size=rows)).astype(np.float32))
    people, things = nn.Embedding(3_000, 16), nn.Embedding(1_000, 16)
    for each in (people, things):
        nn.init.normal_(each.weight, 0.0, 0.1)
    a, b = torch.from_numpy(who), torch.from_numpy(what)
    return (
        nn.ModuleList([people, things]),
        lambda at: functional.mse_loss((people(a[at]) * things(b[at])).sum(1), y[at]),
        5e-3,
    )


KINDS = {"noisy labels": noisy_labels, "regression": regression, "clicks": clicks, "ratings": ratings}
LEFT_OUT = ("clicks", "ratings")


def trained(kind: str, seed: int, epochs: int, schedule: str, times: float) -> tuple[Floats, Floats]:
    """Loss and learning rate of each step of one run."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model, loss_of, usual = KINDS[kind](rng, LENGTH * BATCH)
    part = np.arange(epochs * LENGTH) / (epochs * LENGTH)
    shape = {"constant": np.ones_like(part), "linear": 1.0 - part, "cosine": 0.1 + 0.45 * (1.0 + np.cos(np.pi * part))}
    rates = usual * times * np.minimum(part / 0.02 + 0.02, 1.0) * shape[schedule]
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=usual, weight_decay=0.0), np.empty(len(part))
    for step, rate in enumerate(rates.tolist()):
        if step % LENGTH == 0:
            order = torch.from_numpy(rng.permutation(LENGTH * BATCH))
        optimizer.param_groups[0]["lr"] = rate
        loss = loss_of(order[step % LENGTH * BATCH : (step % LENGTH + 1) * BATCH])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses[step] = loss.item()
    return losses, rates


def follow(losses: Floats, rates: Floats, told: Told) -> None:
    """Ask about one run, with its epochs and without."""
    end = float(losses[-len(losses) // 50 :].mean())
    for known in (False, True):
        monitor = Monitor(Run("epochs", len(losses), rates, steps_per_epoch=LENGTH if known else None))
        due = list(FRACTIONS)
        for step, loss in enumerate(losses.tolist(), 1):
            monitor.observe(Observation(step, loss, float(rates[step - 1])))
            if due and step >= due[0] * len(losses):
                made = monitor.forecast()
                if made is not None:
                    low, high = made.interval(0.8)
                    off = abs(made.final_loss / end - 1.0)
                    told[known, due[0]].append((float(low <= end <= high), off, (high - low) / end))
                due.pop(0)


def main() -> None:
    """Print what is held, the error and the width, of each kind and of all."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    table = Table(title="held, error %, width %, runs told of 5")
    for head in ("kind", "epochs", *(f"{part:.0%}" for part in FRACTIONS)):
        table.add_column(head, justify="left" if head in ("kind", "epochs") else "right")
    means: dict[tuple[bool, float], list[Floats]] = defaultdict(list)
    for kind in KINDS:
        told: Told = defaultdict(list)
        for seed, (epochs, schedule, times) in enumerate(CASES):
            follow(*trained(kind, seed, epochs, schedule, times), told)
        for known in (False, True):
            cells = []
            for part in FRACTIONS:
                each = told[known, part]
                if each:
                    means[known, part].append(np.mean(each, axis=0))
                held, off, wide = np.mean(each, axis=0) if each else (np.nan, np.nan, np.nan)
                cells.append(f"{held:.2f} {100 * off:.0f} {100 * wide:.0f} {len(each)}" if each else "-")
            name = f"{kind}, left out" if kind in LEFT_OUT else kind
            table.add_row(name, "known" if known else "unknown", *cells)
    for known in (False, True):
        each_part = [np.mean(means[known, part], axis=0) for part in FRACTIONS]
        cells = [f"{held:.2f} {100 * off:.0f} {100 * wide:.0f}" for held, off, wide in each_part]
        table.add_row("mean of kinds", "known" if known else "unknown", *cells, style="bold")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()

"""Tables of made-up runs, finished ones and whole curves, and what a command said."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.cli.conftest import loss_of

Rows = dict[str, list[Any]]


@dataclass
class Said:
    """What a command printed, on one line, and how it ended."""

    code: int
    out: str
    err: str


def write(path: Path, rows: Rows) -> Path:
    """Write columns as a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(rows)
        writer.writerows(zip(*rows.values(), strict=True))
    return path


def runs(count: int = 5, noise: float = 0.002) -> Rows:
    """Finished runs on a law: E 1.8, alpha 0.34, beta 0.37."""
    budgets = np.repeat(np.geomspace(1e18, 1e21, count), 7)
    best = np.sqrt(budgets / 120)
    size = best * np.tile(np.geomspace(0.2, 5.0, 7), count)
    tokens = budgets / (6 * size)
    scatter = np.exp(noise * np.random.default_rng(0).standard_normal(len(size)))
    loss = (1.8 + 400 * size**-0.34 + 2000 * tokens**-0.37) * scatter
    return {"params": size.tolist(), "tokens": tokens.tolist(), "loss": loss.tolist()}


def curve(size: float, seed: int = 0, spoil: Callable[[np.ndarray], np.ndarray] = lambda loss: loss) -> Rows:
    """A whole run, a row a step."""
    rates, losses = loss_of(size, seed)
    steps = np.arange(1, len(losses) + 1)
    return {
        "run": [f"n{size:.0f}"] * len(losses),
        "step": steps.tolist(),
        "tokens": (2048 * steps).tolist(),
        "train_loss": spoil(losses).tolist(),
        "lr": rates.tolist(),
        "params": [size] * len(losses),
    }


def joined(*tables: Rows) -> Rows:
    return {name: [value for rows in tables for value in rows[name]] for name in tables[0]}


CURVES = (16_000.0, 33_000.0, 62_000.0)

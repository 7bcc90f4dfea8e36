"""The false-alarm budget of the whole set of detectors: pages and notes in runs in which nothing happens.

    python tests/benchmarks/false_alarms.py [SEEDS]

Power laws with a gradient norm, a clock and validations, logged every step and sparsely, under noise of four kinds; and
the clean runs of `SCALEWATCH_DATA`, as they are and as a block bootstrap of one of them (blocks of 256 residuals, the
method of Politis and Romano 1994). Steps between false pages are given with their lower 95 % limit: with k pages in n
rows the rate is at most chi2(.95; 2k + 2) / 2n, which for none is the rule of three.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from scipy.stats import chi2

from scalewatch.arrays import Floats
from scalewatch.detect import DetectorSet
from scalewatch.finding import Kind, Phase
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch.run import Run

#: Logs of these rows and steps per row, and how many of them a seed makes.
SHAPES = ((20_000, 1, 1), (1000, 20, 6), (300, 50, 10), (60, 200, 20))
#: Block of the bootstrap, and the rows it is drawn from and makes [rows].
BLOCK, SOURCE_ROWS, MADE_ROWS = 256, 3000, 20_000


def white(random: np.random.Generator, rows: int) -> Floats:
    return random.standard_normal(rows)


def student(df: float) -> Callable[[np.random.Generator, int], Floats]:
    return lambda random, rows: random.standard_t(df, rows) * ((df - 2) / df) ** 0.5


def autoregressive(random: np.random.Generator, rows: int) -> Floats:
    white, noise = random.normal(0, (1 - 0.81) ** 0.5, rows), np.zeros(rows)
    for row in range(1, rows):
        noise[row] = 0.9 * noise[row - 1] + white[row]
    return noise


NOISES = {"Gaussian": white, "t(4)": student(4), "t(3)": student(3), "AR(.9)": autoregressive}


def made_up(noise: Callable[[np.random.Generator, int], Floats], rows: int, every: int, seed: int) -> list[Observation]:
    """A run in which nothing happens; sd of one row 1 % of the loss."""
    random, t = np.random.default_rng(seed), every * np.arange(1, rows + 1)
    level = 3.2 * t**-0.1 + 1.8 if every == 1 else 30 * (t + 50.0) ** -0.45 + 2.2
    loss = level * np.exp(0.01 * noise(random, rows))
    norm = np.exp(0.1 * random.standard_normal(rows)) * (0.5 + 9.5 * np.exp(-t / 20 / every))
    clock = np.cumsum(random.gamma(50, 0.02, rows) * every + np.where(np.arange(rows) % 100 == 0, 60.0, 0.0))
    held_out = level * 1.01 * np.exp(random.normal(0, 0.001, rows))
    return [
        Observation(int(s), a, 1e-3, g, None, v if row % 100 == 99 else None, c)
        for row, (s, a, g, v, c) in enumerate(zip(t, *(x.tolist() for x in (loss, norm, held_out, clock)), strict=True))
    ]


def said(runs: Iterable[list[Observation]]) -> tuple[int, Counter[tuple[Kind, bool]]]:
    """Rows, and findings that opened or escalated by kind and whether they page."""
    rows, counts = 0, Counter[tuple[Kind, bool]]()
    for run in runs:
        watch = DetectorSet(Run("clean"), Guard())
        for row in run:
            counts.update((f.kind, f.pages) for f in watch.observe(row) if f.phase is not Phase.CLOSED)
        rows += len(run)
    return rows, counts


def real(folder: Path) -> Iterator[list[Observation]]:
    """The rows of the clean runs."""
    clean = set(pd.read_csv(folder / "clean_runs.csv").run_id)
    curves = pd.read_parquet(folder / "curves.parquet")
    for _, rows in curves[curves.run_id.isin(clean)].groupby("run_id", observed=True):
        train = rows[rows.split == "train"]
        kept = (train if len(train) >= 20 else rows[rows.split == "val"]).sort_values("step")
        columns = (kept[name].astype(float).tolist() for name in ("loss", "lr", "grad_norm"))
        yield [
            Observation(int(s), a, None if r != r else r, None if g != g else g)
            for s, a, r, g in zip(kept.step, *columns, strict=True)
        ]


def bootstrap(log: list[Observation], seed: int) -> list[Observation]:
    """A power law with blocks of the residuals of a real log."""
    loss = np.log([row.loss for row in log[1000 : 1000 + SOURCE_ROWS]])
    residual = loss - pd.Series(loss).rolling(129, center=True, min_periods=32).median().to_numpy()
    random = np.random.default_rng(seed)
    begins = random.integers(0, SOURCE_ROWS - BLOCK, MADE_ROWS // BLOCK + 1)
    drawn = np.concatenate([residual[b : b + BLOCK] for b in begins])[:MADE_ROWS]
    t = np.arange(1, MADE_ROWS + 1)
    made = (3.2 * t**-0.1 + 1.8) * np.exp(drawn)
    return [Observation(int(s), float(a), 1e-3) for s, a in zip(t, made, strict=True)]


def add(table: Table, name: str, rows: int, counts: Counter[tuple[Kind, bool]]) -> None:
    """One line of the table."""
    paged = sum(n for (_, pages), n in counts.items() if pages)
    least = 2 * rows / chi2.ppf(0.95, 2 * paged + 2)
    between = f"{rows / paged:,.0f}" if paged else "none"
    kinds = [f"{kind.value}{' !' if pages else ''} {1e4 * n / rows:.2f}" for (kind, pages), n in counts.most_common()]
    table.add_row(name, f"{rows:,}", str(paged), between, f"{least:,.0f}", ", ".join(kinds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", nargs="?", type=int, default=3)
    seeds = range(parser.parse_args().seeds)
    table = Table(title="All detectors on, nothing happens")
    for column in ("runs", "rows", "pages", "rows between", "at least (95 %)", "findings per 10k rows (! pages)"):
        table.add_column(column, justify="left" if column in ("runs",) or "findings" in column else "right")
    for name, noise in NOISES.items():
        for rows, every, times in SHAPES:
            runs = (made_up(noise, rows, every, 1000 + seed) for seed in range(times * len(seeds)))
            add(table, f"{name}, {rows:,} rows, every {every}", *said(runs))
    folder = Path(os.environ.get("SCALEWATCH_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
    if folder.is_dir():
        logs = list(real(folder))
        add(table, f"{len(logs)} clean runs", *said(logs))
        longest = max(logs, key=len)
        add(table, "bootstrap of the longest", *said(bootstrap(longest, seed) for seed in seeds))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()

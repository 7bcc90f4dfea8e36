"""The false-alarm budget of the whole set of detectors: pages and notes in runs in which nothing happens.

    python tests/benchmarks/false_alarms.py [laws | noise] [--seeds N] [--rows R ...] [--only TEXT] [--quick] [--json]

laws: power laws with a gradient norm, a clock and validations, logged every step and sparsely, under noise of four
kinds; and the clean runs of `SCALEWATCH_DATA`, as they are and as a block bootstrap of one of them (blocks of 256
residuals, the method of Politis and Romano 1994). Steps between false pages are given with their lower 95 % limit: with
k pages in n rows the rate is at most chi2(.95; 2k + 2) / 2n, which for none is the rule of three.

noise: losses alone, flat and falling from 4 to 1, under noise of every width and tail, without a memory and with one
(`tests/detect/wide_noise.py`), a row a step for 3,000 and 60,000 rows, and 200 rows 50 steps apart; beside the rule of
OLMo-core, which is told once for as long as it stays true. A page is a finding of severity warning or critical, when it
opens or escalates.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _detection_rules import olmo_stability
from rich.console import Console
from rich.table import Table
from scipy.stats import chi2

from scalewatch.arrays import Floats
from scalewatch.detect import DetectorSet
from scalewatch.finding import Kind, Phase, Severity
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch.run import Run
from tests.detect.wide_noise import LEVELS, WITH_MEMORY, WITHOUT_MEMORY, losses, remembering

#: Logs of these rows and steps per row, and how many of them a seed makes.
SHAPES = ((20_000, 1, 1), (1000, 20, 6), (300, 50, 10), (60, 200, 20))
#: Block of the bootstrap, and the rows it is drawn from and makes [rows].
BLOCK, SOURCE_ROWS, MADE_ROWS = 256, 3000, 20_000
#: Seeds of the laws. By hand.
LAW_SEEDS = 3
#: Lengths of the logs of noise, and how many rows a class has of each length at least [rows]. By hand.
NOISE_ROWS, WATCHED_ROWS = (3000, 60_000), 24_000
#: A sparse log: rows, steps from one to the next, and how many of them there are for one short dense log. By hand.
SPARSE_ROWS, SPARSE_STEPS, SPARSE_LOGS = 200, 50, 5
#: Rows that the pages are told for [rows]. By hand.
PER_ROWS = 60_000


def white(random: np.random.Generator, rows: int) -> Floats:
    return random.standard_normal(rows)


def student(df: float) -> Callable[[np.random.Generator, int], Floats]:
    return lambda random, rows: random.standard_t(df, rows) * ((df - 2) / df) ** 0.5


def autoregressive(random: np.random.Generator, rows: int) -> Floats:
    return remembering(random, rows, 0.9)


# --- laws -----------------------------------------------------------------------------------------


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


def print_laws(seeds: range) -> None:
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


# --- noise ----------------------------------------------------------------------------------------


@dataclass
class Heard:
    """What was said of some logs of noise."""

    logs: int = 0
    rows: int = 0
    paged: int = 0
    critical: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    rival: int = 0

    def __add__(self, other: Heard) -> Heard:
        return Heard(
            *(self.logs + other.logs, self.rows + other.rows, self.paged + other.paged),
            *(self.critical + other.critical, self.kinds + other.kinds, self.rival + other.rival),
        )

    def told(self) -> dict[str, Any]:
        """The counts as numbers and words of a table of JSON."""
        pages, scale = self.kinds.total(), PER_ROWS / max(self.rows, 1)
        return {
            **{"logs": self.logs, "rows": self.rows, "pages": pages, "kinds": dict(self.kinds.most_common())},
            **{"logs_paged": self.paged, "critical": self.critical, "pages_per_60k": round(pages * scale, 2)},
            "rival_pages_per_60k": round(self.rival * scale, 2),
        }


def heard(log: list[float], every: int) -> Heard:
    """What the detectors at their defaults, and the rival, say of one log."""
    watch, rival = DetectorSet(Run("noise"), Guard()), olmo_stability(0)
    kinds, critical, told, was = Counter[str](), 0, 0, None
    for row, loss in enumerate(log, 1):
        for finding in watch.observe(Observation(every * row, loss)):
            if finding.pages and finding.phase is not Phase.CLOSED:
                kinds[str(finding.kind)] += 1
                critical += finding.severity is Severity.CRITICAL
        now = rival(every * row, loss, math.nan, math.nan)
        told += now is not None and was is None
        was = now
    return Heard(1, len(log), int(bool(kinds)), critical, kinds, told)


def shape_name(rows: int, every: int) -> str:
    return f"{rows:,} rows" + (f", {every} steps apart" if every > 1 else "")


def watched(name: str, lengths: list[tuple[int, int]]) -> dict[tuple[str, str], Heard]:
    """What is said of a class of noise, by level and shape; each length with its number of seeds."""
    shapes = [(rows, 1, seeds) for rows, seeds in lengths]
    shapes.append((SPARSE_ROWS, SPARSE_STEPS, SPARSE_LOGS * max(seeds for _, seeds in lengths)))
    return {
        (level, shape_name(rows, every)): sum(
            (heard(losses(name, level, rows, seed, every).tolist(), every) for seed in range(seeds)), Heard()
        )
        for level in LEVELS
        for rows, every, seeds in shapes
    }


def by(part: int, of: dict[tuple[str, str], Heard]) -> dict[str, Heard]:
    """The sums of each level (0) or shape (1)."""
    return {
        name: sum((each for key, each in of.items() if key[part] == name), Heard()) for name in {k[part]: 0 for k in of}
    }


def told(of: dict[tuple[str, str], Heard]) -> dict[str, Any]:
    """The counts of all, of each level and of each shape."""
    levels, shapes = ({name: each.told() for name, each in by(part, of).items()} for part in (0, 1))
    return sum(of.values(), Heard()).told() | {"levels": levels, "shapes": shapes}


def noise_counts(lengths: list[tuple[int, int]], only: str) -> dict[str, dict[str, Any]]:
    """The counts of each class of noise, and of all without a memory and all with one."""
    counts, sums = {}, {}
    for group, classes in (("all without memory", WITHOUT_MEMORY), ("all with memory", WITH_MEMORY)):
        total = dict[tuple[str, str], Heard]()
        for name in (name for name in classes if only in name):
            of = watched(name, lengths)
            counts[name] = told(of)
            total = {key: total.get(key, Heard()) + each for key, each in of.items()}
        if total:
            sums[group] = told(total)
    return counts | sums


def print_noise(counts: dict[str, dict[str, Any]]) -> None:
    table = Table(
        title=f"Losses of nothing but noise: what is said of them, and pages per {PER_ROWS:,} rows by the log"
    )
    shapes = list(next(iter(counts.values()))["shapes"])
    table.add_column("noise")
    for column in ("logs", "rows", "pages", "logs paged", "critical", *shapes, "OLMo-core"):
        table.add_column(column, justify="right")
    table.add_column("kinds")
    for name, c in counts.items():
        cells = (c["logs"], c["rows"], c["pages"], c["logs_paged"], c["critical"])
        rates = (*(c["shapes"][shape]["pages_per_60k"] for shape in shapes), c["rival_pages_per_60k"])
        kinds = ", ".join(f"{kind} {n}" for kind, n in c["kinds"].items())
        if name.startswith("all "):
            table.add_section()
        table.add_row(name, *(f"{n:,}" for n in cells), *(f"{n:.2f}" for n in rates), kinds)
    Console(width=150).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=("laws", "noise"), help="both of them without it")
    parser.add_argument("--seeds", type=int, help="logs of each kind; of noise as many as make 24,000 rows without it")
    parser.add_argument("--rows", type=int, nargs="+", default=NOISE_ROWS, help="lengths of the dense logs of noise")
    parser.add_argument("--only", default="", help="only the classes of noise with this in their names")
    parser.add_argument("--quick", action="store_true", help="one seed, and of noise only the shortest length")
    parser.add_argument("--json", action="store_true", help="the counts of the noise, and no table")
    args = parser.parse_args()
    seeds = 1 if args.quick else args.seeds
    if args.part != "noise" and not args.json:
        print_laws(range(seeds or LAW_SEEDS))
    if args.part != "laws":
        lengths = [min(args.rows)] if args.quick else args.rows
        counts = noise_counts([(rows, seeds or max(WATCHED_ROWS // rows, 1)) for rows in lengths], args.only)
        if args.json:
            print(json.dumps(counts))
        else:
            print_noise(counts)


if __name__ == "__main__":
    main()

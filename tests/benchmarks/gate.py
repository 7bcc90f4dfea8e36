"""Healthy runs under the gate with every act: how many would have been stopped, slowed or rewound. It should be none.

  python tests/benchmarks/gate.py [--curves 400] [--gpts 20]

zoo      the healthy runs of $SCALEWATCH_DATA/zoo; and the sabotaged ones that it acts on, of those labelled as pages
curves   made-up falling curves with noise of twenty widths and tails, twenty seeds each
gpt      seeds of a tiny GPT, trained
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from scalewatch import Monitor, Observation, Run
from scalewatch.acting.acts import Act, Acts, Decision
from scalewatch.acting.gate import Gate
from scalewatch.acting.standing import Standing

#: Rows of a made-up curve.
CURVE_ROWS = 800
#: Every act can be done: there is a checkpoint, and somebody who would take the run back.
ABLE = Standing(checkpoint=1, rewinds_left=2)


def first_act(run: Run, rows: Iterable[Observation]) -> Decision | None:
    """What the gate would do first to a run, None for nothing."""
    monitor = Monitor(run)
    gate = Gate(Acts(frozenset(Act)), monitor.run)
    for row in rows:
        found = monitor.observe(row)
        gate.observe(row.step, row.loss, monitor.watch.sigmas, found)
        if gate.is_due:
            decision = gate.decide(ABLE._replace(unjudged=monitor.verdict().unjudged))
            if decision is not None:
                return decision
    return None


def curve(kind: int, seed: int) -> list[Observation]:
    """A falling curve with noise of one of twenty kinds: four tails, five widths from .5 to 30 per cent."""
    random = np.random.default_rng(100 * kind + seed)
    steps = np.arange(1, CURVE_ROWS + 1)
    width = (0.005, 0.02, 0.05, 0.12, 0.3)[kind // 4]
    noise = (
        random.normal(size=CURVE_ROWS),
        random.standard_t(3, size=CURVE_ROWS),
        random.gumbel(size=CURVE_ROWS),
        random.laplace(size=CURVE_ROWS) * np.where(random.random(CURVE_ROWS) < 0.02, 4.0, 1.0),
    )[kind % 4]
    losses = (1.5 + 3.0 * (steps + 20.0) ** -0.4) * np.exp(width * noise)
    return [Observation(int(step), float(loss)) for step, loss in zip(steps, losses, strict=True)]


def zoo(folder: Path) -> Iterator[tuple[str, str, Run, list[Observation]]]:
    """Each run of the zoo: its name, what is expected of it, what it is, its rows; the plan is that of its twin."""
    rows = dict(list(pd.read_parquet(folder / "open.parquet").groupby("run_id", observed=True)))
    for label in pd.read_csv(folder / "open_labels.csv", keep_default_na=False).itertuples():
        twin, own = rows[f"{label.family}-{label.seed}"], rows[label.run_id]
        steps = np.arange(1, label.total_steps + 1)
        plan = np.interp(steps, twin.step, twin.lr.astype(float)) if str(label.plan) == "True" else None
        columns = (own[name].astype(float).tolist() for name in ("loss", "lr", "grad_norm", "val_loss"))
        made = [
            Observation(
                step,
                loss,
                rate,
                grad_norm=None if math.isnan(norm) else norm,
                validation_loss=None if math.isnan(held_out) else held_out,
            )
            for step, loss, rate, norm, held_out in zip(own.step.tolist(), *columns, strict=True)
        ]
        expected = "healthy" if str(label.healthy) == "True" else str(label.expected)
        yield label.run_id, expected, Run(label.run_id, label.total_steps, plan), made


def gpts(seeds: int) -> list[str]:
    """Train healthy tiny GPTs with every act; what was done to any of them."""
    from _closed_loop_runs import train
    from _small_runs import STEPS, texts

    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(f"{name}.utilities.rank_zero").setLevel(logging.ERROR)
    text, done = texts(), []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            place = Path(tempfile.mkdtemp(dir=folder))
            outcome = train("gpt", "none", 100 + seed, [str(act) for act in Act], place, text, STEPS["gpt"])
            told = [record for record in outcome.journal.others if record["type"] == "act"]
            done += [f"seed {100 + seed}: {record['text']}" for record in told]
    return done


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description="Healthy runs under the gate.")
    parser.add_argument("--curves", type=int, default=20, help="seeds of each of the twenty kinds")
    parser.add_argument("--gpts", type=int, default=20)
    options = parser.parse_args()
    table = Table("runs", "healthy", "acted on", "lost by sabotage", "acted on ")
    console = Console()
    folder = Path(os.environ.get("SCALEWATCH_DATA", "../shared/data")) / "zoo"
    if folder.is_dir():
        found = [(name, expected, first_act(run, rows)) for name, expected, run, rows in zoo(folder)]
        healthy = [act for _, expected, act in found if expected == "healthy"]
        pages = [act for _, expected, act in found if expected == "page"]
        counts = (len(healthy), sum(map(bool, healthy)), len(pages), sum(map(bool, pages)))
        table.add_row("zoo", *map(str, counts))
        for name, expected, act in found:
            if act is not None and expected != "page":
                console.print(f"{name} ({expected}): {act.act} at {act.step}: {act.reason}")
    curves = [first_act(Run("curve", CURVE_ROWS), curve(k, s)) for k in range(20) for s in range(options.curves)]
    table.add_row("curves", str(len(curves)), str(sum(map(bool, curves))), "", "")
    done = gpts(options.gpts) if options.gpts else []
    table.add_row("gpt", str(options.gpts), str(len(done)), "", "")
    console.print(*done, sep="\n")
    console.print(table)


if __name__ == "__main__":
    main()

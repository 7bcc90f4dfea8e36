"""Losses of runs that cost more than every run of a table, foretold from the table: beside the published law of each.

    SCALEWATCH_DATA=folder python tests/benchmarks/planning.py [--json] [--few] [task ...]

Reads `planning/TASK.train.parquet` of the folder, and `TASK.test.parquet` where there is one, whatever their columns
are, and asks `scalewatch fit TRAIN --predict TEST --json`; the losses of the test are taken out before. For each task:
test runs, mean error [%], R2, the part of them within the 80 % interval, and its median whole width [% of the loss].
Of a table with several losses all count together. Published is the law of the field's paper alone, fitted to the same
runs. `--few` draws 8, 12 and 20 runs of the task `farseer` 200 times each. `--json`: {task: {n, mean_error_pct, r2,
coverage_80, median_width_pct, law}}, numbers null where a task has no answer, with `why`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalewatch.errors import FitError, ScalewatchError
from scalewatch.fitting.chinchilla import fit_chinchilla
from scalewatch.fitting.outcomes.axes import Axes
from scalewatch.fitting.outcomes.candidates import candidates
from scalewatch.fitting.outcomes.contest import compete
from scalewatch.laws.size import total
from scalewatch.offline.outcome_tables import inputs_of, loss_columns
from scalewatch.offline.tables import Table, read_table

#: The published law of a table, by the columns that it reads, the most first.
PUBLISHED = ("rate_and_batch", "repeated_data", "vocabulary", "experts", "streams", "mixture", "chinchilla")
#: Time that one task may take [s].
LIMIT_S = 1_800.0
#: Runs drawn.
FEW = (8, 12, 20)
PROGRAM = "import sys; from scalewatch.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class Answer:
    """Losses that came and what was foretold of them, each of shape (n,), and the laws with their weights."""

    loss: np.ndarray
    told: np.ndarray
    low: np.ndarray
    high: np.ndarray
    law: str

    def figures(self) -> dict[str, Any]:
        """Return the figures of `--json`."""
        if not len(self.loss):
            return nothing("no test run could be foretold")
        inside = (self.loss >= self.low) & (self.loss <= self.high)
        width = (self.high - self.low) / np.maximum(np.abs(self.told), 1e-12)
        return {
            "n": len(self.loss),
            "mean_error_pct": round(error(self.told, self.loss), 4),
            "r2": r2(self.told, self.loss),
            "coverage_80": round(float(inside.mean()), 4),
            "median_width_pct": round(100 * float(np.median(width)), 4),
            "law": self.law,
        }


def error(told: np.ndarray, loss: np.ndarray) -> float:
    """Return the mean error [% of the loss]."""
    return 100 * float(np.mean(np.abs(told - loss) / np.maximum(np.abs(loss), 1e-12)))


def r2(told: np.ndarray, loss: np.ndarray) -> float | None:
    """Return the part of the variance that is explained, None of less than two different losses."""
    whole = float(np.sum((loss - loss.mean()) ** 2))
    return round(1 - float(np.sum((told - loss) ** 2)) / whole, 5) if whole > 0 else None


def nothing(why: str) -> dict[str, Any]:
    """Return the figures of a task without an answer."""
    numbers = dict.fromkeys(("mean_error_pct", "r2", "coverage_80", "median_width_pct"))
    return {"n": 0, **numbers, "law": "", "why": why}


def answer(train: Path, test: Path) -> Answer | str:
    """Return what the command line says, or why it says nothing."""
    frame = pd.read_parquet(test)
    losses, said = losses_of(read_table(train))
    with tempfile.TemporaryDirectory() as scratch:
        points = Path(scratch, "points.parquet")
        hidden = {*losses, *(name for name in frame.columns if "loss" in name.lower())}
        frame.drop(columns=[name for name in frame.columns if name in hidden]).to_parquet(points)
        call = [sys.executable, "-c", PROGRAM, "fit", str(train), "--predict", str(points), "--json", *said]
        try:
            done = subprocess.run(call, capture_output=True, text=True, timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            return f"no answer within {LIMIT_S:.0f} s"
    if done.returncode:
        return (done.stderr or done.stdout).strip()[-300:]
    columns: list[list[float]] = []
    for one in json.loads(done.stdout)["losses"]:
        if one["loss"] not in frame or one["loss"] not in losses:
            continue
        came = pd.to_numeric(frame[one["loss"]], errors="coerce").to_numpy(float)
        for loss, point in zip(came, one["points"], strict=True):
            told = [point[key] for key in ("prediction", "low", "high")]
            if np.isfinite(loss) and all(isinstance(value, float) for value in told):
                columns.append([loss, *told])
    laws: dict[str, float] = {}
    told_of = json.loads(done.stdout)["losses"]
    for one in told_of:
        for law in one["laws"]:
            laws[law["law"]] = laws.get(law["law"], 0.0) + law["weight"] / len(told_of)
    named = ", ".join(f"{name} {laws[name]:.2f}" for name in sorted(laws, key=lambda name: -laws[name]))
    return Answer(*np.array(columns, dtype=float).reshape(-1, 4).T, named)


def losses_of(table: Table) -> tuple[list[str], list[str]]:
    """Return the columns that are losses, and what the command line has to be told: the last if no name says so."""
    try:
        return loss_columns(table, {}), []
    except FitError:
        last = list(table.columns)[-1]
        return [last], ["--column", f"loss={last}"]


def published(train: Table, test: pd.DataFrame) -> tuple[str, float, float | None] | None:
    """Return name, mean error and R2 of the published law of a table, fitted to its runs alone."""
    came, said, name = [], [], ""
    losses, _ = losses_of(train)
    inputs = inputs_of(train, losses)
    for loss in losses:
        if loss not in test:
            continue
        runs = inputs.outcomes(inputs_of(train, (), [loss]).columns[loss])
        there = {entry.name for entry in candidates(Axes.of(runs))}
        names = [law + way for law in PUBLISHED for way in (", each label", "") if law + way in there]
        if not names:
            return None
        asked = {column: test[column].map(size_of).to_numpy(float) for column in inputs.columns}
        group = None if inputs.labels is None else tuple(test[inputs.labels].astype(str))
        name = names[0]
        told = compete(runs, asked, group, only=[name]).predict(asked, group)
        came.append(test[loss].to_numpy(float))
        said.append(told.loss)
    if not came:
        return None
    loss, told_all = np.concatenate(came), np.concatenate(said)
    return name, error(told_all, loss), r2(told_all, loss)


def size_of(cell: object) -> float:
    """Return a cell such as 70M as a number."""
    text = str(cell).lower()
    times = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}.get(text[-1:], 1.0)
    return float(text if times == 1.0 else text[:-1]) * times


def few_runs(folder: Path, draws: int) -> None:
    """Print the error of a few runs of `farseer` on its dearer ones, beside Chinchilla's law as it is fitted alone."""
    train, test = (pd.read_parquet(folder / f"farseer.{part}.parquet") for part in ("train", "test"))
    print(f"{'runs':>5}{'draws':>7}{'median %':>10}{'worst %':>9}{'covered':>9}{'width %':>9}"
          f"{'Chinchilla: median %':>22}{'worst %':>9}")  # fmt: skip
    asked = {name: test[name].to_numpy(float) for name in ("n_params", "tokens")}
    loss = test["loss"].to_numpy(float)
    for count in FEW:
        rng = np.random.default_rng(count)
        ours, theirs, inside, widths = [], [], [], []
        for _ in range(draws):
            drawn = train.iloc[rng.choice(len(train), count, replace=False)]
            table = Table("draw", "draw", {name: drawn[name].to_numpy(float) for name in drawn})
            runs = inputs_of(table, ["loss"]).outcomes(table.columns["loss"])
            told = compete(runs, asked).predict(asked)
            law = fit_chinchilla(drawn["n_params"], drawn["tokens"], drawn["loss"])
            ours.append(error(told.loss, loss))
            theirs.append(error(np.asarray(law.law.loss(total(asked["n_params"]), asked["tokens"])), loss))
            inside.append((loss >= told.low) & (loss <= told.high))
            widths.append((told.high - told.low) / told.loss)
        print(f"{count:>5}{draws:>7}{np.median(ours):>10.2f}{np.max(ours):>9.2f}{np.mean(inside):>9.2f}"
              f"{100 * np.median(widths):>9.1f}{np.median(theirs):>22.2f}{np.max(theirs):>9.2f}")  # fmt: skip


def show(name: str, figures: dict[str, Any], rival: tuple[str, float, float | None] | None) -> None:
    """Print a line of the table."""
    if not figures["n"]:
        print(f"{name:<18}{figures['why']}")
        return
    explained = "-" if figures["r2"] is None else f"{figures['r2']:.4f}"
    beside = (
        "-" if rival is None else f"{rival[1]:.2f} {'-' if rival[2] is None else format(rival[2], '.4f')} {rival[0]}"
    )
    print(
        f"{name:<18}{figures['n']:>5}{figures['mean_error_pct']:>9.3f}{explained:>9}{figures['coverage_80']:>9.2f}"
        f"{figures['median_width_pct']:>9.2f}  {beside:<42}{figures['law'][:90]}",
        flush=True,
    )


def main() -> None:
    """Print the table, or the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", help="all, unless named")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--few", action="store_true", help="a few runs of farseer, against Chinchilla's law")
    parser.add_argument("--draws", type=int, default=200, help="of --few, for each number of runs")
    options = parser.parse_args()
    if not os.environ.get("SCALEWATCH_DATA"):
        sys.exit("SCALEWATCH_DATA must lead to the folder of public runs.")
    folder = Path(os.environ["SCALEWATCH_DATA"], "planning")
    if options.few:
        few_runs(folder, options.draws)
        return
    if not options.json:
        heads = f"{'n':>5}{'error %':>9}{'R2':>9}{'covered':>9}{'width %':>9}"
        print(f"{'task':<18}{heads}  {'published: error %, R2':<42}law")
    whole = {}
    for train in sorted(folder.glob("*.train.parquet")):
        name = train.name.removesuffix(".train.parquet")
        test = folder / f"{name}.test.parquet"
        if (options.tasks and name not in options.tasks) or not test.is_file():
            continue
        try:
            said = answer(train, test)
            whole[name] = nothing(said) if isinstance(said, str) else said.figures()
            rival = None if options.json else published(read_table(train), pd.read_parquet(test))
        except (ScalewatchError, OSError, ValueError, KeyError) as fault:
            whole[name], rival = whole.get(name) or nothing(str(fault)[:300]), None
        if not options.json:
            show(name, whole[name], rival)
    if options.json:
        print(json.dumps(whole))


if __name__ == "__main__":
    main()

"""A test set of its own for the detectors: small real runs of domains on which none of their rules was chosen.

    python tests/benchmarks/unseen_runs.py [make | score] [FOLDER] [--families A,B] [--jobs N] [--json]

The rules and thresholds of scalewatch/detect/ are never chosen on these runs: they say how well the monitor does where
nobody has looked before. So look at the sums, not at single runs. If a rule is changed because of one family here, that
family has to go.

`make` trains them with torch, on one thread each, and writes runs.parquet and labels.csv to FOLDER (unseen, in the
folder for temporary files): three healthy seeds of each family, and a fourth that is healthy once and sabotaged twice.
A sabotage is labelled `page` if inputs are zeros or the loss is not finite for good, or if the loss or the validation
loss of thirty rows in turn is above that of the healthy twin by five sd of its rows or by ten percent (with at least
one sd), and by more than a nudge of the weights makes. Every other sabotage is labelled `note`.

`score` prints, for each family and for all, at the monitor's defaults and with the twin's learning rates as the plan:
  healthy   runs, how many were paged, how many had a critical incident open at any time, how many act=["stop"] would
            have ended, pages per 10,000 rows
  caught    runs labelled page with a page between start and end (and fifty rows, or a tenth, after it); lucky: how
            many of them whose healthy twin is paged in the same place; median delay [rows]; stopped after the start
  harmless  runs labelled note that were paged after the start, off_plan aside, which is right about any change of rate
A page is a finding of severity warning or critical, when it opens or escalates. Without a command, runs that are not
there yet are made, and scored.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import statistics
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from scalewatch import Action, Monitor, Observation, Phase, Run, Severity

#: How late a page may be: a part of the incident's length, and rows at least; by hand.
LATE_PART, LATE_ROWS = 0.1, 50

#: Rows between two looks at the advice [rows]; by hand.
ADVICE_ROWS = 50

RUNS, LABELS = "runs.parquet", "labels.csv"
COLUMNS = ("step", "loss", "lr", "grad_norm", "val_loss")


@dataclass(frozen=True)
class Said:
    """What the monitor said of one run."""

    pages: list[tuple[int, str]]  # step, kind
    critical: bool
    stopped_at: int | None


# --- make -----------------------------------------------------------------------------------------


def make(folder: Path, chosen: Sequence[str], jobs: int) -> None:
    import _unseen_kinds
    import _unseen_losses
    import _unseen_schedules
    from _unseen_training import make as make_family

    families = [*_unseen_losses.FAMILIES, *_unseen_kinds.FAMILIES, *_unseen_schedules.FAMILIES]
    families = [family for family in families if not chosen or family.name in chosen]
    began = time.perf_counter()
    with ProcessPoolExecutor(jobs) as pool:
        made = list(pool.map(make_family, families))
    runs = pd.concat([rows for rows, _ in made], ignore_index=True)
    runs = runs[["run_id", "family", "step", "loss", "lr", "grad_norm", "val_loss", "epoch"]]
    labels = pd.DataFrame([label for _, several in made for label in several])
    labels[["start_step", "end_step"]] = labels[["start_step", "end_step"]].astype("Int64")
    order = ["run_id", "family", "seed", "healthy", "sabotage", "start_step", "end_step", "total_steps", "plan"]
    folder.mkdir(parents=True, exist_ok=True)
    runs.astype({"run_id": "category", "family": "category"}).to_parquet(folder / RUNS)
    labels[[*order, "expected", "harm", "jump"]].to_csv(folder / LABELS, index=False)
    print(f"{len(labels)} runs of {len(families)} families in {time.perf_counter() - began:.0f} s: {folder}")


# --- score ----------------------------------------------------------------------------------------


def watch(name: str, total: int, rows: pd.DataFrame, plan: np.ndarray | None) -> Said:
    """Show a run to the monitor, row by row."""
    monitor = Monitor(Run(name, total_steps=total, learning_rates=plan))
    pages, critical, stopped = [], False, None
    for row, (step, *values) in enumerate(rows[list(COLUMNS)].astype(float).itertuples(index=False)):
        loss, lr, norm, held = values
        known = {"grad_norm": norm, "validation_loss": held}
        known = {key: value for key, value in known.items() if not math.isnan(value)}
        found = monitor.observe(Observation(int(step), loss, lr, **known))
        pages += [(f.step, str(f.kind)) for f in found if f.severity != Severity.INFO and f.phase != Phase.CLOSED]
        if found or row % ADVICE_ROWS == 0:
            urgent = any(f.severity == Severity.CRITICAL for f in monitor.open_incidents)
            critical |= urgent
            if stopped is None and (urgent or any(a.action == Action.STOP for a in monitor.advice(look=False))):
                stopped = int(step)
    return Said(pages, critical, stopped)


def scored(label: dict[str, Any], rows: pd.DataFrame, twin: pd.DataFrame) -> tuple[dict[str, Any], Said]:
    """A label, with the steps of its rows, and what the monitor said of the run."""
    plan = None
    if label["plan"] == "True":
        plan = np.interp(np.arange(1, int(label["total_steps"]) + 1), twin.step, twin.lr.astype(float))
    return label, watch(label["run_id"], int(label["total_steps"]), rows, plan)


def caught_at(label: dict[str, Any], said: Said, steps: np.ndarray) -> int | None:
    """Step of the first page that is in time."""
    start, end = int(label["start_step"]), int(label["end_step"])
    last = end + max(LATE_PART * (end - start), LATE_ROWS * (steps[1] - steps[0]))
    return next((step for step, _ in said.pages if start <= step <= last), None)


def tally(heard: list[tuple[dict[str, Any], Said]], rows: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """The counts of some runs."""
    said_of = {label["run_id"]: said for label, said in heard}
    healthy = [(label, said) for label, said in heard if label["healthy"] == "True"]
    harmless = [(label, said) for label, said in heard if label["expected"] == "note"]
    incidents = [(label, said) for label, said in heard if label["expected"] == "page"]
    delays, lucky = [], 0
    for label, said in incidents:
        steps, start = rows[label["run_id"]].step.to_numpy(), int(label["start_step"])
        at = caught_at(label, said, steps)
        if at is not None:
            delays.append(int(np.sum((steps >= start) & (steps < at))))
            twin = said_of.get(f"{label['family']}-{label['seed']}")
            lucky += twin is not None and any(start <= step <= at for step, _ in twin.pages)
    count = sum(len(rows[label["run_id"]]) for label, _ in healthy)
    return {
        "healthy": len(healthy),
        "paged": sum(bool(said.pages) for _, said in healthy),
        "critical": sum(said.critical for _, said in healthy),
        "stopped": sum(said.stopped_at is not None for _, said in healthy),
        "pages_per_10k": round(1e4 * sum(len(said.pages) for _, said in healthy) / max(count, 1), 2),
        "incidents": len(incidents),
        "caught": len(delays),
        "caught_by_luck": lucky,
        "median_delay_rows": statistics.median(delays) if delays else None,
        "incidents_stopped": sum((said.stopped_at or -1) >= int(label["start_step"]) for label, said in incidents),
        "harmless": len(harmless),
        "harmless_paged": sum(
            any(step >= int(label["start_step"]) and kind != "off_plan" for step, kind in said.pages)
            for label, said in harmless
        ),
    }


def score(folder: Path, chosen: Sequence[str], jobs: int) -> dict[str, dict[str, Any]]:
    """The counts of each family, and of all."""
    logging.disable()
    rows = {str(name): run for name, run in pd.read_parquet(folder / RUNS).groupby("run_id", observed=True)}
    labels = pd.read_csv(folder / LABELS, keep_default_na=False, dtype=str).to_dict("records")
    labels = [label for label in labels if not chosen or label["family"] in chosen]
    twins = [rows[f"{label['family']}-{label['seed']}"] for label in labels]
    with ProcessPoolExecutor(jobs) as pool:
        heard = list(pool.map(scored, labels, [rows[label["run_id"]] for label in labels], twins))
    families = dict.fromkeys(label["family"] for label in labels)
    table = {family: tally([pair for pair in heard if pair[0]["family"] == family], rows) for family in families}
    return table | {"TOTAL": tally(heard, rows)}


def print_table(counts: dict[str, dict[str, Any]]) -> None:
    table = Table(title="runs of domains that no rule was chosen on")
    columns = ("healthy", "paged", "critical", "stop", "pages/10k", "caught", "lucky", "delay", "stopped", "harmless")
    table.add_column("family")
    for column in columns:
        table.add_column(column, justify="right")
    for name, c in counts.items():
        cells: Iterable[Any] = (
            *(c["healthy"], c["paged"], c["critical"], c["stopped"], c["pages_per_10k"]),
            *(f"{c['caught']}/{c['incidents']}", c["caught_by_luck"], c["median_delay_rows"]),
            *(f"{c['incidents_stopped']}/{c['incidents']}", f"{c['harmless_paged']}/{c['harmless']}"),
        )
        table.add_row(name, *("-" if cell is None else str(cell) for cell in cells), end_section=name == "TOTAL")
    Console(width=140).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", choices=("make", "score"))
    parser.add_argument("folder", nargs="?", type=Path, default=Path(tempfile.gettempdir()) / "unseen")
    parser.add_argument("--families", default="", help="names with commas between them; all of them without it")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    chosen = [name for name in args.families.split(",") if name]
    if args.command == "make" or (args.command is None and not (args.folder / LABELS).exists()):
        make(args.folder, chosen, args.jobs)
    if args.command == "make":
        return
    counts = score(args.folder, chosen, args.jobs)
    if args.json:
        print(json.dumps(counts))
    else:
        print_table(counts)


if __name__ == "__main__":
    main()

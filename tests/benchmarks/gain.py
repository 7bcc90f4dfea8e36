"""Is a compute-equivalent gain right? Pairs of public runs that differ in their length alone, where the truth is 1.

    OMP_NUM_THREADS=1 SCALEWATCH_DATA=folder python tests/benchmarks/gain.py [--json]

B, which is shorter or longer than A, would have ended where A did, had it been as long: so it needs all of A's compute,
no more and no less. Printed are the share that is told, its 80 % interval, and how often that holds 1. No constant of
scalewatch/advising/gain.py was chosen on this; the laws of the curves have seen the runs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from _forecast_runs import Logged, load
from rich.console import Console
from rich.table import Table

from scalewatch import Forecast
from scalewatch.advising.gain import ComputeGain, gain_of_curves
from scalewatch.forecast import Forecaster

#: What a name says of a length.
LENGTH = re.compile(r"iter\d+|(?<=cosine_)\d+|(?<=constant_)\d+")
#: A log whose own end is less sure than this cannot tell [% of the loss].
SUREST = 1.0
#: A constant rate up to another length is the same run, read for longer.
ONE_RUN = "decay_linear_0.0"


def recipes(runs: list[Logged]) -> list[list[Logged]]:
    """Runs that share all but their length."""
    found: dict[str, dict[int, Logged]] = defaultdict(dict)
    for run in runs:
        name = run.run.name.replace("grad_norm__", "")
        if LENGTH.search(name) and ONE_RUN not in name and run.floor_percent < SUREST:
            found[LENGTH.sub("", name)][run.total] = run
    return [list(same.values()) for same in found.values() if len(same) > 1]


def ended(run: Logged) -> Forecast | None:
    """What is said of a run at its end."""
    forecaster = Forecaster(run.run)
    for step, loss in zip(run.steps.tolist(), run.losses.tolist(), strict=True):
        forecaster.observe(step, loss, None)
    return forecaster.forecast()


def pairs(runs: list[Logged]) -> list[tuple[Logged, Logged, ComputeGain]]:
    """Every ordered pair of one recipe."""
    told = []
    for same in recipes(runs):
        made = {run.total: ended(run) for run in same}
        for a in same:
            for b in same:
                of_a, of_b = made[a.total], made[b.total]
                if a is not b and of_a is not None and of_b is not None:
                    told.append((a, b, gain_of_curves(of_a, of_b, b.total / a.total, float(a.total))))
    return told


def main() -> None:
    """Print what each pair is told, and how often the interval holds the truth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one line for programs on standard output")
    args = parser.parse_args()
    folder = Path(os.environ.get("SCALEWATCH_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    if not folder.is_dir():
        sys.exit(f"SCALEWATCH_DATA must lead to the folder of public runs (got {folder}).")
    table = Table(title="share of A's compute that B is told to need; the truth is 1")
    for head in ("A [steps]", "B", "share", "80 % interval", "holds"):
        table.add_column(head, justify="right")
    near: list[float] = []
    far: list[float] = []
    held: list[bool] = []
    for a, b, gain in pairs(load(folder)):
        within = max(a.total / b.total, b.total / a.total) <= 2.0
        (near if within else far).append(abs(float(np.log(gain.share))))
        held.append(gain.low <= 1.0 <= gain.high)
        span = f"{gain.low:.2f} to {gain.high:.2f}"
        table.add_row(f"{a.total:,}", f"{b.total:,}", f"{gain.share:.2f}", span, "yes" if held[-1] else "no")
    told = {
        "pairs": len(held),
        "coverage_80": float(np.mean(held)),
        "median_off_within_twice": float(np.median(near)),
        "median_off_beyond": float(np.median(far)),
    }
    console = Console(width=120, stderr=True)
    console.print(table)
    console.print(told)
    if args.json:
        print(json.dumps(told))


if __name__ == "__main__":
    main()

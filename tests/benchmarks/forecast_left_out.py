"""Is the interval calibrated on runs that its width was not set on? One source left out in turn.

    OMP_NUM_THREADS=1 SCALEWATCH_DATA=folder python tests/benchmarks/forecast_left_out.py

The width of intervals without a ladder (`SPREAD_OWN`) is chosen anew on all sources but one, so that 80 % intervals
hold 80 % of their runs over all parts of the run, and held against the source left out. Each source counts once. The
priors of the laws stay as they are: they have seen all sources.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from _forecast_runs import Logged, load
from rich.console import Console
from rich.table import Table

from scalewatch.forecast import Forecaster, candidates

FRACTIONS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
SPREADS = (0.2, 0.25, 0.3, 0.35, 0.42, 0.5, 0.6)
LEVEL = 0.8
#: (spread, part of the run, source) -> whether each run was held.
Held = dict[tuple[float, float, str], list[bool]]


def follow(run: Logged, held: Held) -> None:
    """Ask one run at each part for the interval of each width."""
    forecaster, plan = Forecaster(run.run), run.run.learning_rates
    assert plan is not None
    asked_at = {run.rows_before(fraction): fraction for fraction in FRACTIONS}
    for row, (step, loss) in enumerate(zip(run.steps.tolist(), run.losses.tolist(), strict=True)):
        if row in asked_at:
            state = forecaster.state_dict()
            for spread in SPREADS:
                candidates.SPREAD_OWN = spread
                again = Forecaster(run.run)
                again.load_state_dict(state)
                made = again.forecast()
                if made is not None:
                    low, high = made.interval(LEVEL)
                    held[spread, asked_at[row], run.source].append(low <= run.final <= high)
        forecaster.observe(step, loss, float(plan[step - 1]))


def chosen(coverage: Mapping[tuple[float, float, str], float], left_out: str) -> float:
    """The width that all sources but one ask for."""

    def off(spread: float) -> float:
        others = [part for (each, _, source), part in coverage.items() if each == spread and source != left_out]
        return abs(float(np.mean(others)) - LEVEL)

    return min(SPREADS, key=off)


def main() -> None:
    """Print coverage of the source left out, by part of the run."""
    folder = Path(os.environ.get("SCALEWATCH_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    if not folder.is_dir():
        sys.exit(f"SCALEWATCH_DATA must lead to the folder of public runs (got {folder}).")
    held: Held = defaultdict(list)
    for run in load(folder):
        follow(run, held)
    coverage = {key: float(np.mean(each)) for key, each in held.items()}
    sources = sorted({source for _, _, source in coverage})
    table = Table(title="80 % intervals, one source left out")
    for head in ("left out", "width chosen", *(f"{fraction:.0%}" for fraction in FRACTIONS), "all"):
        table.add_column(head, justify="left" if head == "left out" else "right")
    columns: dict[float, list[float]] = defaultdict(list)
    for source in sources:
        spread = chosen(coverage, source)
        found = {f: coverage[spread, f, source] for f in FRACTIONS if (spread, f, source) in coverage}
        for fraction, part in found.items():
            columns[fraction].append(part)
        cells = [f"{found[f]:.2f}" if f in found else "-" for f in FRACTIONS]
        table.add_row(source, f"{spread:g}", *cells, f"{np.mean(list(found.values())):.2f}")
    means = [float(np.mean(columns[f])) for f in FRACTIONS]
    table.add_row("mean of sources", "", *(f"{m:.2f}" for m in means), f"{np.mean(means):.2f}", style="bold")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()

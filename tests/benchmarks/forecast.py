"""Where runs end, forecast from their first part: error, calibration, width, choice, compute saved; beside others.

    OMP_NUM_THREADS=1 SCALEWATCH_DATA=folder python tests/benchmarks/forecast.py [--only PART ...] [--quick]
        [--charts FOLDER]

own     the forecaster sees the first rows of a run and its planned learning rates, nothing else
ladder  it also sees finished runs of the same family with at most 0.6 of the parameters
off-law healthy runs against those ladders: how many are said to be off their law

Every run is read once by one monitor, as it would be while it trains, and asked at each tenth. The outcome is the mean
over the last fiftieth of the rows. `--quick` asks every fourth run at 20, 30 and 50 %. The others are restated here in
their plain forms; with its published shape the annealing law has seen the ends of three of the runs.
What the forecaster's and the off-law rule's constants were chosen on is among these runs: no row is left-out.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import _forecast_tables as tables
import numpy as np
from _forecast_rivals import RIVALS, simple_scaling_laws
from _forecast_runs import ladder_of, load
from _forecast_told import OURS, Told, Watched, follow, rival
from rich.console import Console

TENTHS = tuple(round(0.1 * n, 1) for n in range(1, 10))
QUICK, QUICK_EVERY = (0.2, 0.3, 0.5), 4
PARTS = ("own", "ladder", "off-law")


def main() -> None:
    """Print the tables, and draw the charts where they are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=(*PARTS, OURS, *(name.replace(" ", "-") for name in RIVALS)))
    parser.add_argument("--quick", action="store_true", help="every fourth run, at 20, 30 and 50 %%")
    parser.add_argument("--charts", type=Path, help="folder for the charts of calibration and error")
    options = parser.parse_args()
    folder = Path(os.environ.get("SCALEWATCH_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    if not folder.is_dir():
        sys.exit(f"SCALEWATCH_DATA must lead to the folder of public runs (got {folder}).")
    asked = set(options.only or ())
    parts = [part for part in PARTS if part in asked] or list(PARTS)
    known = [OURS, *RIVALS]
    names = [name for name in known if name.replace(" ", "-") in asked] or known
    fractions = QUICK if options.quick else TENTHS
    console = Console(width=120)
    began = time.monotonic()
    pool = load(folder)
    targets = pool[::QUICK_EVERY] if options.quick else pool
    tables.floors(console, targets)
    told: list[Told] = []
    modes = [mode for mode in ("own", "ladder") if mode in parts or (mode == "ladder" and "off-law" in parts)]
    for mode in modes:
        only_off_law = mode not in parts
        cases = [(run, ladder_of(run, pool) if mode == "ladder" else ()) for run in targets]
        cases = [(run, ladder) for run, ladder in cases if ladder or mode == "own"]
        for name in [OURS] if only_off_law else names:
            watched = Watched()
            for run, ladder in cases:
                if name == OURS:
                    follow(run, ladder, fractions, watched)
                else:
                    rival(name, run, ladder, fractions, watched)
            told += [] if only_off_law else watched.told
            median = 1e3 * float(np.median(watched.forecast_seconds)) if watched.forecast_seconds else 0.0
            silent = watched.asked - len(watched.told)
            console.print(f"{mode}, {name}: {watched.asked} asked, {silent} without a forecast, {median:.2f} ms each")
            if mode == "ladder" and name == OURS and "off-law" in parts:
                tables.off_law(console, watched)
        if not only_off_law:
            for show in (tables.errors, tables.calibration, tables.regret):
                show(console, told, mode, fractions)
    console.print(simple_scaling_laws())
    if options.charts is not None and told:
        from _forecast_charts import draw

        for file in draw(told, options.charts):
            console.print(f"wrote {file}")
    console.print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

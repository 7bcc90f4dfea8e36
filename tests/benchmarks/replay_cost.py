"""What the replay of a short log costs: CPU a row, beside that of the first screen that shows the run.

    python tests/benchmarks/replay_cost.py [ROWS]

A run of 300 rows under a tracker, seven times, the median of each: with planned rates, with rates as they are shown,
and without a planned end. `rows`: the rows alone. `told`: status, verdict and forecast of the end, read once.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from scalewatch.monitor import Monitor
from scalewatch.observation import Observation
from scalewatch.run import Run
from scalewatch.tracker import Tracker

#: Times that each is measured.
REPEATS = 7


def replayed(rows: list[Observation], run: Run) -> tuple[float, float]:
    """CPU a row [microseconds] of the rows, and of telling how they ended."""
    tracker = Tracker(Monitor(run))
    began = time.process_time()
    for row in rows:
        tracker.observe(row)
    read = time.process_time()
    tracker.verdict.rows()
    told = tracker.forecast
    end = time.process_time()
    del told
    return 1e6 * (read - began) / len(rows), 1e6 * (end - read) / len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="?", type=int, default=300)
    count = parser.parse_args().rows
    steps = np.arange(1, count + 1)
    rates = 1e-3 * (1.0 - 0.9 * steps / count)
    losses = 3.2 * steps**-0.3 + 1.8 + np.random.default_rng(0).normal(0.0, 0.03, count)
    shown = zip(steps.tolist(), losses.tolist(), rates.tolist(), strict=True)
    rows = [Observation(step, loss, rate) for step, loss, rate in shown]
    plans = {
        "rates planned": Run("planned", count, rates),
        "rates as shown": Run("shown", count),
        "half of its plan": Run("half", 2 * count),
        "no planned end": Run("endless"),
    }
    print(f"{count} rows [us CPU a row]    rows    told")
    for name, run in plans.items():
        measured = [replayed(rows, run) for _ in range(REPEATS)]
        print(f"{name:<26}" + "".join(f"{statistics.median(each):8.1f}" for each in zip(*measured, strict=True)))


if __name__ == "__main__":
    main()

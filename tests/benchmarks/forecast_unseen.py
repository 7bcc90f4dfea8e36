"""Do 80 % intervals hold on runs that nothing was chosen on? 31 made-up kinds of 200 to a million steps.

    OMP_NUM_THREADS=1 python tests/benchmarks/forecast_unseen.py [--runs N]

Each run is asked at 20, 30, 50, 70 and 90 % of its steps; a kind counts once. The end is the mean of the last fiftieth.
One rule came of the half that was looked at: a loss far above what text costs is none of text (`weight warm-up`).
"""

from __future__ import annotations

import argparse

import numpy as np
from _interval_table import FRACTIONS, Told, show
from _made_up_runs import KINDS, LEFT_OUT, MadeUp
from rich.console import Console

from scalewatch import Monitor, Observation, Run


def follow(made_up: MadeUp, told: Told) -> None:
    """Ask about one run."""
    steps, losses, rates, planned, logged, epoch, tokens = made_up
    total = len(rates)
    monitor = Monitor(Run("made up", total, rates if planned else None, logged=logged, steps_per_epoch=epoch))
    end, due = float(losses[-max(1, len(losses) // 50) :].mean()), list(FRACTIONS)
    for row, (step, loss) in enumerate(zip(steps.astype(int).tolist(), losses.tolist(), strict=True)):
        while due and step >= due[0] * total:
            made, part = monitor.forecast(), due.pop(0)
            if made is not None:
                low, high = made.interval(0.8)
                held = float(low <= end <= high)
                told[part].append((held, (high - low) / abs(end), abs(made.final_loss / end - 1.0)))
        so_far = None if tokens is None else float(tokens[row])
        monitor.observe(Observation(step, loss, float(rates[step - 1]), tokens=so_far))


def ask(name: str, runs: int, told: Told) -> None:
    """Ask about the runs of one kind."""
    for seed in range(runs):
        follow(KINDS[name](np.random.default_rng([seed, list(KINDS).index(name)])), told)


def main() -> None:
    """Print what the intervals hold on the kinds that were looked at, and on those that were left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=6, help="of each kind (default: 6)")
    runs, console = parser.parse_args().runs, Console(width=120)
    for title, names in (("seen", [name for name in KINDS if name not in LEFT_OUT]), ("left out", LEFT_OUT)):
        show(title, names, lambda name, told: ask(name, runs, told), console)


if __name__ == "__main__":
    main()

"""Do 80 % intervals hold on kinds of curve that are no text? 34 made-up kinds, half of them left out of every choice.

    OMP_NUM_THREADS=1 python tests/benchmarks/forecast_made_up.py [--runs N]

Each run is asked at 20, 30, 50, 70 and 90 % of its steps; a kind counts once. The end is the mean of the last fiftieth.
"""

from __future__ import annotations

import argparse

import numpy as np
from _interval_table import FRACTIONS, Told, show
from _made_up_curves import KINDS, LEFT_OUT, STEPS, Kind, rates
from rich.console import Console

from scalewatch import Monitor, Observation, Run


def follow(kind: Kind, seed: int, told: Told) -> None:
    """Ask about one run of a kind."""
    rng = np.random.default_rng(seed)
    lr = rates(kind.rates, rng)
    losses, kept = kind.losses(rng, lr), range(kind.every - 1, STEPS, kind.every)
    monitor = Monitor(Run("made up", STEPS, lr if kind.planned else None, logged=kind.logged))
    end = float(losses[list(kept)[-max(1, len(kept) // 50) :]].mean())
    due = list(FRACTIONS)
    for place in kept:
        if due and place >= due[0] * STEPS:
            made = monitor.forecast()
            if made is not None:
                low, high = made.interval(0.8)
                told[due[0]].append(
                    (float(low <= end <= high), (high - low) / abs(end), abs(made.final_loss / end - 1))
                )
            due.pop(0)
        monitor.observe(Observation(place + 1, float(losses[place]), float(lr[place]) if kind.shown else None))


def ask(name: str, runs: int, told: Told) -> None:
    """Ask about the runs of one kind."""
    for seed in range(runs):
        follow(KINDS[name], 1_000 * list(KINDS).index(name) + seed, told)


def main() -> None:
    """Print what the intervals hold, of each kind and of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=6, help="of each kind (default: 6)")
    runs, console = parser.parse_args().runs, Console(width=120)
    for title, names in (("seen", [name for name in KINDS if name not in LEFT_OUT]), ("left out", LEFT_OUT)):
        show(title, names, lambda name, told: ask(name, runs, told), console)


if __name__ == "__main__":
    main()

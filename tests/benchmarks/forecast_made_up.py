"""Do 80 % intervals hold on kinds of curve that are no text? 34 made-up kinds, half of them left out of every choice.

    OMP_NUM_THREADS=1 python tests/benchmarks/forecast_made_up.py [--runs N]

Each run is asked at 20, 30, 50, 70 and 90 % of its steps; a kind counts once. The end is the mean of the last fiftieth.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np
from _made_up_curves import KINDS, LEFT_OUT, STEPS, Kind, rates
from rich.console import Console
from rich.table import Table

from scalewatch import Monitor, Observation, Run

FRACTIONS = (0.2, 0.3, 0.5, 0.7, 0.9)
#: For each part of the run: whether the interval held, its width and its error, as parts of the end.
Told = dict[float, list[tuple[float, float, float]]]


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


def main() -> None:
    """Print what the intervals hold, of each kind and of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=6, help="of each kind (default: 6)")
    runs = parser.parse_args().runs
    console = Console(width=120)
    for title, names in (("seen", [n for n in KINDS if n not in LEFT_OUT]), ("left out", list(LEFT_OUT))):
        table = Table(title=f"80 % intervals on {len(names)} made-up kinds, {title}: held, width %, error %, told")
        for head in ("kind", *(f"{part:.0%}" for part in FRACTIONS)):
            table.add_column(head, justify="left" if head == "kind" else "right")
        means: dict[float, list[tuple[float, ...]]] = defaultdict(list)
        for name in names:
            told: Told = defaultdict(list)
            for seed in range(runs):
                follow(KINDS[name], 1_000 * list(KINDS).index(name) + seed, told)
            cells = []
            for part in FRACTIONS:
                if told[part]:
                    held, width, error = (float(v) for v in np.mean(told[part], axis=0))
                    means[part].append((held, width, error, len(told[part]) / runs))
                    cells.append(f"{held:.2f} {100 * width:.0f} {100 * error:.1f} {len(told[part])}")
                else:
                    cells.append("-")
            table.add_row(name, *cells)
        each = [np.mean(means[part], axis=0) for part in FRACTIONS]
        table.add_row("mean of kinds", *(f"{h:.2f} {100 * w:.0f} {100 * e:.1f}" for h, w, e, _ in each), style="bold")
        console.print(table)


if __name__ == "__main__":
    main()

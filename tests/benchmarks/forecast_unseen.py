"""Do 80 % intervals hold on runs that nothing was chosen on? 31 made-up kinds of 200 to a million steps.

    OMP_NUM_THREADS=1 python tests/benchmarks/forecast_unseen.py [--runs N]

Each run is asked at 20, 30, 50, 70 and 90 % of its steps; a kind counts once. The end is the mean of the last fiftieth.
One rule came of the half that was looked at: a loss far above what text costs is none of text (`weight warm-up`).
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from _made_up_runs import KINDS, LEFT_OUT, MadeUp
from rich.console import Console
from rich.table import Table

from scalewatch import Monitor, Observation, Run

FRACTIONS = (0.2, 0.3, 0.5, 0.7, 0.9)
#: For each part of the run: whether the interval held, its width and its error, as parts of the end.
Told = dict[float, list[tuple[float, float, float]]]


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


def show(title: str, names: Sequence[str], runs: int, console: Console) -> None:
    """Print what was held, of each kind and of all."""
    table = Table(title=f"80 % intervals on {len(names)} made-up kinds, {title}: held, width %, error %, told")
    for head in ("kind", *(f"{part:.0%}" for part in FRACTIONS)):
        table.add_column(head, justify="left" if head == "kind" else "right")
    means: dict[float, list[tuple[float, ...]]] = defaultdict(list)
    for name in names:
        told: Told = defaultdict(list)
        for seed in range(runs):
            follow(KINDS[name](np.random.default_rng([seed, list(KINDS).index(name)])), told)
        cells = []
        for part in FRACTIONS:
            if told[part]:
                held, width, error = (float(v) for v in np.mean(told[part], axis=0))
                means[part].append((held, width, error))
                cells.append(f"{held:.2f} {100 * width:.0f} {100 * error:.1f} {len(told[part])}")
            else:
                cells.append("-")
        table.add_row(name, *cells)
    each = [np.mean(means[part], axis=0) for part in FRACTIONS]
    table.add_row("mean of kinds", *(f"{h:.2f} {100 * w:.0f} {100 * e:.1f}" for h, w, e in each), style="bold")
    console.print(table)


def main() -> None:
    """Print what the intervals hold on the kinds that were looked at, and on those that were left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=6, help="of each kind (default: 6)")
    runs, console = parser.parse_args().runs, Console(width=120)
    show("seen", [name for name in KINDS if name not in LEFT_OUT], runs, console)
    show("left out", LEFT_OUT, runs, console)


if __name__ == "__main__":
    main()

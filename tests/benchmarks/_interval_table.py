"""What 80 % intervals hold, of each kind of run and of all: one table for the benchmarks that ask it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection

import numpy as np
from rich.console import Console
from rich.table import Table

__all__ = ["FRACTIONS", "Told", "show"]

#: Parts of a run at which it is asked.
FRACTIONS = (0.2, 0.3, 0.5, 0.7, 0.9)
#: For each part of the run: whether the interval held, its width and its error, as parts of the end.
Told = dict[float, list[tuple[float, float, float]]]


def show(title: str, names: Collection[str], ask: Callable[[str, Told], None], console: Console) -> None:
    """Print what was held, of each kind and of all.

    Args:
        title: of the kinds. names: of them. ask: adds what was told of the runs of one kind.
    """
    table = Table(title=f"80 % intervals on {len(names)} made-up kinds, {title}: held, width %, error %, told")
    for head in ("kind", *(f"{part:.0%}" for part in FRACTIONS)):
        table.add_column(head, justify="left" if head == "kind" else "right")
    means: dict[float, list[tuple[float, float, float]]] = defaultdict(list)
    for name in names:
        told: Told = defaultdict(list)
        ask(name, told)
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

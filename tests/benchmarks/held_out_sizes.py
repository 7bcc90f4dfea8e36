"""Held-out sizes: each law and their average, fitted to the cheaper half of a family, asked about the dearer half.

    OMP_NUM_THREADS=1 SCALEWATCH_DATA=folder python tests/benchmarks/held_out_sizes.py [part]

`part` of the runs by compute is fitted, 0.5 unless given. Of several runs of one size and tokens (a sweep) the best
counts; Chinchilla's points are the 240 that Besiroglu et al. keep. For each family: median relative error of each
law, of the median law and of the average; coverage of the 80 % interval. A law that says it is not usable there
shows as a dash. The constants behind the intervals were chosen on these families at part = 0.5; other parts show
how far that carries.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import numpy as np

from scalewatch.laws.average import LawAverage, average_laws
from scalewatch.laws.families import FAMILIES
from scalewatch.laws.size import total

LEVEL = 0.8


def families(folder: Path) -> dict[str, np.ndarray]:
    """Return (size, tokens, loss) of each family, shape (n, 3), by rising compute."""
    tables: dict[str, list[list[float]]] = {}
    with (folder / "scaling_points.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            name = f"{row['source']}: {row['group']}"
            tables.setdefault(name, []).append([float(row[k]) for k in ("n_params", "tokens", "loss")])
    found = {}
    for name, rows in tables.items():
        best: dict[tuple[float, float], float] = {}
        for size, tokens, loss in rows[5:] if name.startswith("chinchilla") else rows:
            best[size, tokens] = min(loss, best.get((size, tokens), np.inf))
        table = np.array([[*key, loss] for key, loss in best.items()])
        found[name] = table[np.argsort(table[:, 0] * table[:, 1], kind="stable")]
    return found


def judged(average: LawAverage, large: np.ndarray) -> tuple[dict[str, tuple[float, float]], tuple[float, np.ndarray]]:
    """Return median relative error and coverage of each usable law, and those of the average, point by point."""
    size, tokens, loss = total(large[:, 0]), large[:, 1], large[:, 2]
    laws = {}
    for score in average.scores:
        if score.fit is not None and score.fit.status.usable:
            told = score.fit.predict(size, tokens, LEVEL)
            inside = (loss >= told.low) & (loss <= told.high)
            laws[score.name] = (float(np.median(np.abs(loss / told.loss - 1))), float(inside.mean()))
    told = average.predict(size, tokens, LEVEL)
    inside = (loss >= told.low) & (loss <= told.high)
    return laws, (float(np.median(np.abs(loss / told.loss - 1))), inside)


def main() -> None:
    """Print the table."""
    folder = os.environ.get("SCALEWATCH_DATA")
    if not folder:
        sys.exit("SCALEWATCH_DATA must lead to the folder of public runs.")
    part = float(sys.argv[1]) if len(sys.argv) > 1 else 0.5
    print(f"median relative error (coverage of the 80 % interval), fitted to the cheapest {part:.0%}")
    print(
        f"{'family':<58}{'n':>4}" + "".join(f"{name:>19}" for name in FAMILIES) + f"{'median law':>12}{'average':>16}"
    )
    covered, worse, per_family = [], [], []
    columns: dict[str, list[tuple[float, float]]] = {name: [] for name in FAMILIES}
    for name, table in families(Path(folder)).items():
        cut = round(part * len(table))
        laws, (error, inside) = judged(average_laws(*table[:cut].T), table[cut:])
        middle = float(np.median([value for value, _ in laws.values()]))
        cells = [f"{100 * laws[n][0]:.2f} % ({laws[n][1]:.2f})" if n in laws else "-" for n in FAMILIES]
        print(
            f"{name:<75}{len(inside):>4}"
            + "".join(f"{cell:>19}" for cell in cells)
            + f"{100 * middle:>10.2f} %{100 * error:>8.2f} % ({inside.mean():.2f})"
        )
        for law, result in laws.items():
            columns[law].append(result)
        covered.append(inside)
        per_family.append(inside.mean())
        if error > middle:
            worse.append(name)
    summary = [f"{100 * np.mean([e for e, _ in r]):.2f} % ({np.mean([c for _, c in r]):.2f})" for r in columns.values()]
    print(f"{'mean over the families where a law is usable':<79}" + "".join(f"{cell:>19}" for cell in summary))
    points, spread = np.concatenate(covered), np.mean(per_family)
    print(f"average of laws: coverage {points.mean():.3f} of {len(points)} points, {spread:.3f} over families")
    print(f"average worse than the median law in {len(worse)} of {len(per_family)}: {', '.join(worse) or 'none'}")


if __name__ == "__main__":
    main()

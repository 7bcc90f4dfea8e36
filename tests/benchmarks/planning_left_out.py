"""What the interval of `scalewatch fit --predict` holds on public families that its constants were not set on.

    SCALEWATCH_DATA=folder python tests/benchmarks/planning_left_out.py [family ...]

A family is the tables of one source: finished runs of size and tokens (`scaling_points.csv`, the best of each size and
tokens), fitted to the cheapest 40, 60 and 80 % and to 8, 12 and 20 of the cheaper ones, and the tables of `planning/`,
fitted without their dearest. Printed for each: mean error, coverage of the 80 % interval and half its width as shipped,
then coverage with the constants of the highest log score over all other families. Takes some minutes.
"""

from __future__ import annotations

import csv
import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.special import gammaln, stdtrit

from scalewatch.errors import FitError
from scalewatch.fitting.outcomes.axes import Outcomes
from scalewatch.fitting.outcomes.contest import CALIBRATION, Calibration, Contest, compete
from scalewatch.offline.outcome_tables import inputs_of, loss_columns, numbers_of
from scalewatch.offline.tables import read_table

LEVEL = 0.8
PARTS, FEW, DRAWS = (0.4, 0.6, 0.8), (8, 12, 20), 3
GRID = [
    Calibration(share=share, least=least, apart=apart, few=few)
    for share, least, apart, few in itertools.product((0.08, 0.11, 0.14, 0.2), (0.5, 1.0), (1.0, 2.0), (0.0, 8.0, 16.0))
]
#: Column of a table of `planning/` -> parts of the runs by it that are fitted.
ALONG = {
    "farseer": ("tokens*n_params",),
    "data_constrained": ("tokens*n_params", "n_params"),
    "moe": ("dense_params", "experts"),
    "vocab": ("vocab", "characters"),
    "parallel": ("parallel_streams", "n_params"),
    "sparsity": ("active_params_billion", "D2"),
    "lr_bsz": ("tokens*non_embedding_params",),
    "domain_mixture": ("group",),
}
Split = tuple[Outcomes, Outcomes]


def apart(runs: Outcomes, place: np.ndarray, part: float) -> Split:
    """Return the runs below a quantile of their places, and those above."""
    cut = np.quantile(place, part)
    small = place <= cut if (place > cut).any() else place < cut
    return runs.take(np.flatnonzero(small)), runs.take(np.flatnonzero(~small))


def ladders(folder: Path) -> Iterator[tuple[str, Split]]:
    """Yield family and split of the tables of size and tokens."""
    tables: dict[tuple[str, str], dict[tuple[float, float], float]] = {}
    with (folder / "scaling_points.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            best = tables.setdefault((row["source"], row["group"]), {})
            key = float(row["n_params"]), float(row["tokens"])
            best[key] = min(float(row["loss"]), best.get(key, np.inf))
    for (source, _), best in tables.items():
        keys = list(best)[5:] if source.startswith("chinchilla") else list(best)
        size, tokens = np.array(keys).T
        runs = Outcomes({"n_params": size, "tokens": tokens}, np.array([best[key] for key in keys]))
        place = np.log(size * tokens)
        for part in PARTS:
            yield source.split("_")[0], apart(runs, place, part)
        if len(runs) >= 30:
            cheap, dear = apart(runs, place, 0.85)
            rng = np.random.default_rng(7)
            for count in np.repeat(FEW, DRAWS).tolist():
                yield (
                    source.split("_")[0],
                    (cheap.take(rng.choice(len(cheap), min(count, len(cheap)), replace=False)), dear),
                )


def tables(folder: Path) -> Iterator[tuple[str, Split]]:
    """Yield family and split of the tables of other columns."""
    for name, ways in ALONG.items():
        table = read_table(folder / "planning" / f"{name}.train.parquet")
        losses = loss_columns(table, {})
        inputs = inputs_of(table, losses)
        for loss, way in itertools.product(losses, ways):
            runs = inputs.outcomes(numbers_of(table, loss))
            place = np.prod([runs.columns[column] for column in way.split("*")], axis=0)
            yield name, apart(runs, place, 0.8)


def scored(contest: Contest, rest: Outcomes) -> np.ndarray:
    """Return mean |ln error|, coverage, median half width and mean log score on held-out runs."""
    told = contest.predict(rest.columns, rest.group, LEVEL)
    came, middle, low, high = (contest.axes.target(v) for v in (rest.loss, told.loss, told.low, told.high))
    half, freedom = (high - low) / 2, contest.freedom
    scale = half / stdtrit(freedom, 0.5 + LEVEL / 2)
    norm = gammaln((freedom + 1) / 2) - gammaln(freedom / 2) - 0.5 * np.log(freedom * np.pi)
    density = norm - np.log(scale) - (freedom + 1) / 2 * np.log1p(((came - middle) / scale) ** 2 / freedom)
    inside = (rest.loss >= told.low) & (rest.loss <= told.high)
    return np.array([np.mean(np.abs(came - middle)), inside.mean(), np.median(half), density.mean()])


def main() -> None:
    """Print the table."""
    if not os.environ.get("SCALEWATCH_DATA"):
        sys.exit("SCALEWATCH_DATA must lead to the folder of public runs.")
    folder, only = Path(os.environ["SCALEWATCH_DATA"]), sys.argv[1:]
    found: dict[str, list[np.ndarray]] = {}
    for family, (small, rest) in itertools.chain(ladders(folder), tables(folder)):
        if (only and family not in only) or len(small) < 4 or not len(rest):
            continue
        try:
            contest = compete(small, rest.columns, rest.group)
        except FitError as fault:
            print(f"{family}: {fault}")
            continue
        each = [scored(contest.under(one), rest) for one in (CALIBRATION, *GRID)]
        found.setdefault(family, []).append(np.array(each))
    means = {family: np.mean(parts, axis=0) for family, parts in found.items()}
    print(f"{'family':<20}{'parts':>6}{'error %':>9}{'covered':>9}{'half %':>8}{'left out: covered':>19}  constants")
    left_out = []
    for family, mean in means.items():
        others = [other[1:, 3] for name, other in means.items() if name != family] or [mean[1:, 3]]
        best = int(np.argmax(np.mean(others, axis=0)))
        left_out.append(mean[1 + best, 1])
        shipped = mean[0]
        print(f"{family:<20}{len(found[family]):>6}{100 * shipped[0]:>9.2f}{shipped[1]:>9.2f}{100 * shipped[2]:>8.2f}"
              f"{left_out[-1]:>19.2f}  {GRID[best]}")  # fmt: skip
    print(f"{'mean':<20}{'':>15}{np.mean([mean[0, 1] for mean in means.values()]):>9.2f}{np.mean(left_out):>27.2f}")


if __name__ == "__main__":
    main()

"""What the interval of `scalewatch fit --predict` holds on public families that its constants were not set on.

    SCALEWATCH_DATA=folder python tests/benchmarks/planning_left_out.py [family ...]

A family is the tables of one source: finished runs of size and tokens (`scaling_points.csv`, the best of each size and
tokens), fitted to the cheapest 40, 60 and 80 % and to 5, 8, 12 and 20 of the cheaper ones, and the tables of
`planning/`, fitted without their dearest and, of three columns or fewer, to as few of the rest. Printed for each: mean
error, coverage of the 80 % interval and half its width as shipped, then coverage with the constants of the highest log
score over all other families; and the same by the number of runs drawn. Takes some minutes.
"""

from __future__ import annotations

import csv
import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from scipy.special import gammaln, stdtrit

from scalewatch.errors import FitError
from scalewatch.fitting.outcomes.axes import Outcomes
from scalewatch.fitting.outcomes.cheapest import compete_past_cheapest
from scalewatch.fitting.outcomes.contest import CALIBRATION, Calibration, Contest
from scalewatch.offline.outcome_tables import inputs_of, loss_columns, numbers_of
from scalewatch.offline.tables import read_table

LEVEL = 0.8
PARTS, FEW, DRAWS = (0.4, 0.6, 0.8), (5, 8, 12, 20), 2
#: Runs of a table from which some are drawn, and columns to which five runs say anything.
MANY, COLUMNS = 30, 3
GRID = [
    Calibration(share=share, few=few, held_for_one=held)
    for share, few, held in itertools.product((0.05, 0.08, 0.11), (0.0, 16.0), (1.0, 2.0, 4.0))
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
#: Family -> (runs drawn, what each constants held) of its parts.
Found = dict[str, list[tuple[int, np.ndarray]]]


def apart(runs: Outcomes, place: np.ndarray, part: float) -> Split:
    """Return the runs below a quantile of their places, and those above."""
    cut = np.quantile(place, part)
    small = place <= cut if (place > cut).any() else place < cut
    return runs.take(np.flatnonzero(small)), runs.take(np.flatnonzero(~small))


def ladders(folder: Path) -> Iterator[tuple[str, Split, int]]:
    """Yield family, split and number of runs drawn (0: none) of the tables of size and tokens."""
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
            yield source.split("_")[0], apart(runs, place, part), 0
        for split, count in drawn(runs, place):
            yield source.split("_")[0], split, count


def tables(folder: Path) -> Iterator[tuple[str, Split, int]]:
    """Yield family, split and number of runs drawn (0: none) of the tables of other columns."""
    for name, ways in ALONG.items():
        table = read_table(folder / "planning" / f"{name}.train.parquet")
        losses = loss_columns(table, {})
        inputs = inputs_of(table, losses)
        for loss, way in itertools.product(losses, ways):
            runs = inputs.outcomes(numbers_of(table, loss))
            place = np.prod([runs.columns[column] for column in way.split("*")], axis=0)
            yield name, apart(runs, place, 0.8), 0
            if len(runs.columns) <= COLUMNS:
                for split, count in drawn(runs, place):
                    yield name, split, count


def drawn(runs: Outcomes, place: np.ndarray) -> Iterator[tuple[Split, int]]:
    """Yield a few of the cheaper runs of a table, drawn, with its dearest, and how many they are."""
    if len(runs) < MANY:
        return
    cheap, dear = apart(runs, place, 0.85)
    rng = np.random.default_rng(7)
    for count in np.repeat(FEW, DRAWS).tolist():
        yield (cheap.take(rng.choice(len(cheap), min(count, len(cheap)), replace=False)), dear), count


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


def measured(splits: Iterable[tuple[str, Split, int]]) -> Found:
    """Return what every constants held on each split."""
    found: Found = {}
    for family, (small, rest), count in splits:
        if len(small) < 4 or not len(rest):
            continue
        try:
            contest, _ = compete_past_cheapest(small, rest.columns, rest.group)
        except FitError as fault:
            print(f"{family}: {fault}")
            continue
        each = [scored(contest.under(one), rest) for one in (CALIBRATION, *GRID)]
        found.setdefault(family, []).append((count, np.array(each)))
    return found


def chosen(means: dict[str, np.ndarray], family: str) -> int:
    """Return which of `GRID` has the highest log score over all other families."""
    others = [mean[1:, 3] for name, mean in means.items() if name != family] or [means[family][1:, 3]]
    return int(np.argmax(np.mean(others, axis=0)))


def show(found: Found) -> None:
    """Print both tables."""
    means = {family: np.mean([each for _, each in parts], axis=0) for family, parts in found.items()}
    best = {family: chosen(means, family) for family in means}
    print(f"{'family':<20}{'parts':>6}{'error %':>9}{'covered':>9}{'half %':>8}{'left out: covered':>19}  constants")
    for family, mean in means.items():
        shipped, left_out = mean[0], mean[1 + best[family]]
        print(f"{family:<20}{len(found[family]):>6}{100 * shipped[0]:>9.2f}{shipped[1]:>9.2f}{100 * shipped[2]:>8.2f}"
              f"{left_out[1]:>19.2f}  {GRID[best[family]]}")  # fmt: skip
    print(f"{'mean':<20}{'':>15}{np.mean([mean[0, 1] for mean in means.values()]):>9.2f}"
          f"{np.mean([mean[1 + best[family], 1] for family, mean in means.items()]):>27.2f}")  # fmt: skip
    heads = f"{'covered':>9}{'half %':>8}{'log score':>11}"
    print(f"\n{'runs drawn':<12}{'families':>9}{heads}   left out:{heads}")
    for count in FEW:
        there = {name: [each for n, each in parts if n == count] for name, parts in found.items()}
        by_family = {name: np.mean(parts, axis=0) for name, parts in there.items() if parts}
        if by_family:
            rows = [each[0] for each in by_family.values()], [each[1 + best[name]] for name, each in by_family.items()]
            cells = [
                f"{one[1]:>9.2f}{100 * one[2]:>8.2f}{one[3]:>11.3f}" for one in (np.mean(row, axis=0) for row in rows)
            ]
            print(f"{count:<12}{len(by_family):>9}{'            '.join(cells)}")


def main() -> None:
    """Print what intervals hold."""
    if not os.environ.get("SCALEWATCH_DATA"):
        sys.exit("SCALEWATCH_DATA must lead to the folder of public runs.")
    folder, only = Path(os.environ["SCALEWATCH_DATA"]), sys.argv[1:]
    splits = itertools.chain(ladders(folder), tables(folder))
    show(measured(one for one in splits if not only or one[0] in only))


if __name__ == "__main__":
    main()

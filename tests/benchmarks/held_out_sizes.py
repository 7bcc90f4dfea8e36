"""Held-out sizes: each law and their average, fitted to the cheaper runs of a family, asked about the dearer ones.

    OMP_NUM_THREADS=1 SCALEWATCH_DATA=folder python tests/benchmarks/held_out_sizes.py [part ...]

`part` of the runs by compute is fitted, 0.35, 0.5 and 0.7 unless given. Of several runs of one size and tokens (a
sweep) the best counts; Chinchilla's points are the 240 that Besiroglu et al. keep. For each family: number of
held-out points, median relative error of each law, of the median law and of the average; coverage of the 80 %
interval, and half its width. A law that says it is not usable there shows as a dash.

The two constants of `scalewatch.fitting.model_error` are then chosen again for each family, by the log score of all the
other families, or of those of other papers only, and the coverage is told once more with those.
"""

from __future__ import annotations

import csv
import itertools
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import gammaln, stdtrit

from scalewatch.fitting.average import LawAverage, LawScore, average_laws
from scalewatch.fitting.families import FAMILIES
from scalewatch.fitting.model_error import ModelError
from scalewatch.fitting.prediction import Prediction
from scalewatch.laws.size import total

LEVEL = 0.8
PARTS = (0.35, 0.5, 0.7)
#: Grid of constants: a factor of 1.4 and of 1.6 apart.
SHARES, WORTHS = (0.05, 0.07, 0.1, 0.14, 0.2, 0.28), (2.5, 4.0, 6.0, 9.0, 14.0)
PRIORS = [ModelError(*both) for both in itertools.product(SHARES, WORTHS)]
AVERAGE = "average"


@dataclass(frozen=True)
class Result:
    """How a law did on held-out runs: median relative error, coverage, median half width, mean log score, runs."""

    error: float
    covered: float
    width: float
    score: float
    count: int


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


def result(told: Prediction, loss: np.ndarray, freedom: float) -> Result:
    """Return how a prediction did."""
    half = 0.5 * np.log(told.high / told.low)
    error = np.abs(np.log(loss / told.loss))
    scale = half / stdtrit(freedom, 0.5 + LEVEL / 2)
    norm = gammaln((freedom + 1) / 2) - gammaln(freedom / 2) - 0.5 * np.log(freedom * np.pi)
    density = norm - np.log(scale) - (freedom + 1) / 2 * np.log1p((error / scale) ** 2 / freedom)
    inside = (loss >= told.low) & (loss <= told.high)
    median = float(np.median(np.abs(loss / told.loss - 1)))
    return Result(median, float(inside.mean()), float(np.median(half)), float(density.mean()), len(loss))


def judged(average: LawAverage, large: np.ndarray) -> dict[str, Result]:
    """Return how each usable law did on larger runs, and the average."""
    size, tokens, loss = total(large[:, 0]), large[:, 1], large[:, 2]
    usable: dict[str, LawScore | LawAverage] = {score.name: score for score in average.scores if not score.why_not}
    return {
        name: result(law.predict(size, tokens, LEVEL), loss, law.freedom)
        for name, law in {**usable, AVERAGE: average}.items()
    }


def plain(average: LawAverage, large: np.ndarray) -> float:
    """Return the mean coverage of the laws' own `Fit.predict`, which asks about no held-out run."""
    size, tokens, loss = total(large[:, 0]), large[:, 1], large[:, 2]
    told = [s.fit.predict(size, tokens, LEVEL) for s in average.scores if s.fit is not None and not s.why_not]
    return float(np.mean([np.mean((loss >= one.low) & (loss <= one.high)) for one in told]))


def laws_of(results: dict[str, Result]) -> list[Result]:
    """Return the results of the single laws."""
    return [one for name, one in results.items() if name != AVERAGE]


def log_score(results: dict[str, Result]) -> float:
    """Return the mean log score of a family's laws and of their average, both alike."""
    return float(np.mean([one.score for one in laws_of(results)]) + results[AVERAGE].score) / 2


def show(part: float, results: dict[str, dict[str, Result]]) -> None:
    """Print the table of one part."""
    print(f"\nfitted to the cheapest {part:.0%}: median relative error (coverage of the 80 % interval, half its width)")
    print(f"{'family':<72}{'n':>4}" + "".join(f"{name:>24}" for name in (*FAMILIES, AVERAGE)) + f"{'median law':>12}")
    for name, result in results.items():
        cells = [
            f"{one.error:.2%} ({one.covered:.2f} {one.width:.1%})" if one is not None else "-"
            for one in map(result.get, (*FAMILIES, AVERAGE))
        ]
        middle = float(np.median([one.error for one in laws_of(result)]))
        print(f"{name:<72}{result[AVERAGE].count:>4}" + "".join(f"{cell:>24}" for cell in cells) + f"{middle:>12.2%}")
    columns = [[r[name] for r in results.values() if name in r] for name in (*FAMILIES, AVERAGE)]
    print(f"{'mean over the families where a law is usable':<76}" + "".join(f"{mean(c):>24}" for c in columns))


def mean(column: list[Result]) -> str:
    """Return mean error and coverage, and the median width, of a law over families."""
    if not column:
        return "-"
    error, covered = (float(np.mean([getattr(one, name) for one in column])) for name in ("error", "covered"))
    return f"{error:.2%} ({covered:.2f} {np.median([one.width for one in column]):.1%})"


def coverage(label: str, results: list[dict[str, Result]]) -> None:
    """Print the coverage of single laws and of the average, over families and over points."""
    single = np.mean([np.mean([one.covered for one in laws_of(r)]) for r in results])
    averages = [r[AVERAGE] for r in results]
    over_families = np.mean([one.covered for one in averages])
    over_points = np.average([one.covered for one in averages], weights=[one.count for one in averages])
    print(
        f"  {label:<36} single laws {single:.3f} | average {over_families:.3f} of families, {over_points:.3f} of "
        f"{sum(one.count for one in averages)} points, half width {np.median([one.width for one in averages]):.2%}"
    )


def worse(results: dict[str, dict[str, Result]]) -> None:
    """Print where the average has a larger error than the median law, and by how much."""
    pairs = {n: (r[AVERAGE].error, float(np.median([o.error for o in laws_of(r)]))) for n, r in results.items()}
    where = [f"{name} {mine:.2%} > {middle:.2%}" for name, (mine, middle) in pairs.items() if mine > middle + 1e-9]
    ratio = np.exp(np.mean([np.log((mine + 5e-4) / (middle + 5e-4)) for mine, middle in pairs.values()]))
    print(f"  average worse than the median law in {len(where)} of {len(pairs)}: {'; '.join(where) or 'none'}")
    print(f"  its error is {ratio:.2f} times that of the median law (geometric mean)")


def source(name: str) -> str:
    """Return who trained the runs of a family: those of one paper are hardly independent."""
    return name.split("_")[0]


def best(scores: dict[str, np.ndarray], without: set[str]) -> ModelError:
    """Return the constants with the highest log score over the families that are not left out."""
    return PRIORS[int(np.argmax(np.sum([score for name, score in scores.items() if name not in without], axis=0)))]


def main() -> None:
    """Print the tables."""
    folder = os.environ.get("SCALEWATCH_DATA")
    if not folder:
        sys.exit("SCALEWATCH_DATA must lead to the folder of public runs.")
    parts = [float(word) for word in sys.argv[1:]] or list(PARTS)
    tables = families(Path(folder))
    fits, large = {}, {}
    for name, part in itertools.product(tables, parts):
        cut = round(part * len(tables[name]))
        fits[name, part] = average_laws(*tables[name][:cut].T)
        large[name, part] = tables[name][cut:]
    scores = {}
    for name in tables:
        asked = [(fits[name, part], large[name, part]) for part in parts]
        scores[name] = np.array([sum(log_score(judged(fit.under(one), runs)) for fit, runs in asked) for one in PRIORS])
    ways = {
        "constants as shipped": dict.fromkeys(tables, ModelError()),
        "constants from the other families": {name: best(scores, {name}) for name in tables},
        "constants from the other sources": {
            name: best(scores, {other for other in tables if source(other) == source(name)}) for name in tables
        },
    }
    told: dict[str, list[dict[str, Result]]] = {way: [] for way in ways}
    for part in parts:
        results = {name: judged(fits[name, part], large[name, part]) for name in tables}
        show(part, results)
        for way, priors in ways.items():
            own = [judged(fits[name, part].under(prior), large[name, part]) for name, prior in priors.items()]
            coverage(way, own)
            told[way] += own
        alone = np.mean([plain(fits[name, part], large[name, part]) for name in tables])
        print(f"  {'Fit.predict, no held-out runs':<36} single laws {alone:.3f}")
        worse(results)
    print("\nall parts together")
    for way, own in told.items():
        coverage(way, own)
    print(
        f"\nshipped {ModelError()}, best for all families {best(scores, set())}; without a family, without its source:"
    )
    for name in tables:
        one, two = (priors[name] for way, priors in ways.items() if "other" in way)
        print(f"  {name:<72} share {one.share:g}, worth {one.worth:g}; share {two.share:g}, worth {two.worth:g}")


if __name__ == "__main__":
    main()

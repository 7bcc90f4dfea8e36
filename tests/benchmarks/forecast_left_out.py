"""Is the interval calibrated on runs that its width was not set on? One source left out in turn, alone or with ladders.

    OMP_NUM_THREADS=1 SCALEWATCH_DATA=folder python tests/benchmarks/forecast_left_out.py [--ladder] [--json]

The two numbers that make the width of the intervals (how far the posterior is drawn in or out, `SPREAD_OWN`, with a law
of smaller runs `SPREAD_LAW`; and the part of the fall still to come that a law misses, `FALL_SHARE`) are chosen anew on
all sources but one and held against that one. Each source counts once. Of the pairs whose interval score (Gneiting and
Raftery 2007, equation 43) is within 5 % of the least, the one is taken that holds most: sources are few, so a pair as
good and wider is safer (with K of them, an interval that a further one is to hold with 80 % must hold 80 % (K + 1) / K
of them: Lee, Barber and Willett 2023, arXiv 2306.06342). The priors of the laws stay as they are: they have seen all
sources. Beside the coverage stands the width that it costs, as a part of the loss, and both for the numbers of the
package as they are (`now`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from _forecast_runs import Logged, ladder_of, load
from rich.console import Console
from rich.table import Table

from scalewatch.errors import ConfigError, FitError
from scalewatch.fitting import fit_curves
from scalewatch.forecast import Forecaster, candidates
from scalewatch.laws import CurveLaw

FRACTIONS = (0.2, 0.3, 0.5, 0.7, 0.9)
SHARES = (0.0, 0.06, 0.08, 0.1, 0.125)
SPREADS_OWN = (0.25, 0.35, 0.42, 0.5, 0.6, 0.75)
SPREADS_LAW = (0.4, 0.6, 0.8, 1.0, 1.25)
LEVEL = 0.8
#: A score this near the least is as good.
AS_GOOD = 1.05


class Widths(NamedTuple):
    """What makes the width of an interval."""

    spread: float
    share: float


class Asked(NamedTuple):
    """One interval: whether it held, its width and its interval score, both in per cent of the loss."""

    held: bool
    width: float
    score: float


#: (widths, part of the run, source) -> what each run said.
Said = dict[tuple[Widths, float, str], list[Asked]]


def widths_now(ladder: bool) -> Widths:
    """Those of the package."""
    return Widths(candidates.SPREAD_LAW if ladder else candidates.SPREAD_OWN, candidates.FALL_SHARE)


def take(widths: Widths, ladder: bool) -> None:
    """Let the package use them."""
    candidates.FALL_SHARE = widths.share
    if ladder:
        candidates.SPREAD_LAW = widths.spread
    else:
        candidates.SPREAD_OWN = widths.spread


def follow(run: Logged, law: CurveLaw | None, tried: list[Widths], said: Said) -> None:
    """Ask one run at each part for the interval of each width."""
    forecaster, plan = Forecaster(run.run, law), run.run.learning_rates
    assert plan is not None
    asked_at = {run.rows_before(fraction): fraction for fraction in FRACTIONS}
    for row, (step, loss) in enumerate(zip(run.steps.tolist(), run.losses.tolist(), strict=True)):
        if row in asked_at:
            for widths in tried:
                take(widths, law is not None)
                forecaster.revision += 1  # it would give the same answer again
                made = forecaster.forecast()
                if made is not None:
                    low, high = made.interval(LEVEL)
                    missed = max(low - run.final, run.final - high, 0.0)
                    score = (high - low + 2.0 / (1.0 - LEVEL) * missed) / run.final
                    asked = Asked(missed == 0.0, 100.0 * (high - low) / run.final, 100.0 * score)
                    said[widths, asked_at[row], run.source].append(asked)
        forecaster.observe(step, loss, float(plan[step - 1]))


class Means(NamedTuple):
    """By (widths, part, source): coverage, median width and mean interval score."""

    held: Mapping[tuple[Widths, float, str], float]
    width: Mapping[tuple[Widths, float, str], float]
    score: Mapping[tuple[Widths, float, str], float]

    @classmethod
    def of(cls, said: Said) -> Means:
        """Average what was said."""
        return cls(
            {key: float(np.mean([one.held for one in each])) for key, each in said.items()},
            {key: float(np.median([one.width for one in each])) for key, each in said.items()},
            {key: float(np.mean([one.score for one in each])) for key, each in said.items()},
        )

    def sources(self) -> list[str]:
        """Those that said anything."""
        return sorted({source for _, _, source in self.held})

    def chosen(self, tried: list[Widths], left_out: str) -> Widths:
        """Of the widths whose score over all sources but one is near the least, those that hold most."""
        others = [source for source in self.sources() if source != left_out]

        def mean(of: Mapping[tuple[Widths, float, str], float], widths: Widths) -> float:
            by_source = [[part for (w, _, at), part in of.items() if (w, at) == (widths, s)] for s in others]
            return float(np.mean([np.mean(parts) for parts in by_source]))

        scores = {widths: mean(self.score, widths) for widths in tried}
        near = [widths for widths in tried if scores[widths] <= AS_GOOD * min(scores.values())]
        return max(near, key=lambda widths: mean(self.held, widths))


def laws_of(runs: list[Logged]) -> dict[str, CurveLaw]:
    """The law of each run that has a ladder, by its name."""
    found = {}
    for run in runs:
        ladder = ladder_of(run, runs)
        if ladder:
            with contextlib.suppress(ConfigError, FitError):
                found[run.run.name] = fit_curves([each.curve for each in ladder])
    return found


def measured(runs: list[Logged], laws: dict[str, CurveLaw] | None, tried: list[Widths]) -> Means:
    """What all widths hold, of all runs or of those that have a law."""
    said: Said = defaultdict(list)
    for run in runs:
        if laws is None or run.run.name in laws:
            follow(run, None if laws is None else laws[run.run.name], tried, said)
    return Means.of(said)


def show(means: Means, tried: list[Widths], now: Widths, title: str) -> dict[str, object]:
    """Print coverage and width of each source left out, by part of the run; return the means over sources."""
    table = Table(title=title)
    for head in ("left out", "spread, share", *(f"{fraction:.0%}" for fraction in FRACTIONS), "all"):
        table.add_column(head, justify="left" if head == "left out" else "right")
    told: dict[str, object] = {"chosen_on_all": means.chosen(tried, "")._asdict(), "now": now._asdict()}
    for how in ("left out", "now"):
        held: dict[float, list[float]] = defaultdict(list)
        wide: dict[float, list[float]] = defaultdict(list)
        score: dict[float, list[float]] = defaultdict(list)
        for source in means.sources():
            widths = means.chosen(tried, source) if how == "left out" else now
            found = {f: means.held[widths, f, source] for f in FRACTIONS if (widths, f, source) in means.held}
            for fraction, part in found.items():
                held[fraction].append(part)
                wide[fraction].append(means.width[widths, fraction, source])
                score[fraction].append(means.score[widths, fraction, source])
            cells = [f"{found[f]:.2f}" if f in found else "-" for f in FRACTIONS]
            name = source if how == "left out" else f"{source}, now"
            table.add_row(name, f"{widths.spread:g}, {widths.share:g}", *cells, f"{np.mean(list(found.values())):.2f}")
        for name, of in ((f"mean, {how}", held), ("width, %", wide), ("interval score, %", score)):
            each = [float(np.mean(of[f])) for f in FRACTIONS]
            digits = 2 if of is held else 3
            table.add_row(name, "", *(f"{m:.{digits}g}" for m in each), f"{np.mean(each):.{digits}g}", style="bold")
            told[name if of is held else f"{name} {how}"] = dict(zip(map(str, FRACTIONS), each, strict=True))
        table.add_section()
    Console(width=120, stderr=True).print(table)
    return told


def main() -> None:
    """Print coverage of the source left out, by part of the run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ladder", action="store_true", help="with a law of smaller runs, where there are any")
    parser.add_argument("--json", action="store_true", help="one line for programs on standard output")
    args = parser.parse_args()
    folder = Path(os.environ.get("SCALEWATCH_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    if not folder.is_dir():
        sys.exit(f"SCALEWATCH_DATA must lead to the folder of public runs (got {folder}).")
    runs, now = load(folder), widths_now(args.ladder)
    spreads = SPREADS_LAW if args.ladder else SPREADS_OWN
    tried = list(dict.fromkeys([*(Widths(spread, share) for share in SHARES for spread in spreads), now]))
    means = measured(runs, laws_of(runs) if args.ladder else None, tried)
    how = "with a ladder" if args.ladder else "from the run alone"
    told = show(means, tried, now, f"80 % intervals {how}, one source left out")
    if args.json:
        print(json.dumps(told))


if __name__ == "__main__":
    main()

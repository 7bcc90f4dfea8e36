"""Is the interval calibrated on runs that its width was not set on? One source left out in turn, alone or with ladders.

    OMP_NUM_THREADS=1 SCALEWATCH_DATA=folder python tests/benchmarks/forecast_left_out.py [--ladder] [--json]

The width of the intervals (`SPREAD_OWN`; with a law of smaller runs `SPREAD_LAW`) is chosen anew on all sources but one
and held against that one. Each source counts once. Of K sources it is not chosen so that they hold 80 % of their runs
but 80 % (K + 1) / K: a further source, which these are like and no more, then holds 80 % (the conformal quantile over
groups: Lee, Barber and Willett 2023, arXiv 2306.06342). The priors of the laws stay as they are: they have seen all
sources. Beside the coverage stands the width that it costs, as a part of the loss.
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

import numpy as np
from _forecast_runs import Logged, ladder_of, load
from rich.console import Console
from rich.table import Table

from scalewatch.errors import ConfigError, FitError
from scalewatch.fitting import fit_curves
from scalewatch.forecast import Forecaster, candidates
from scalewatch.laws import CurveLaw

FRACTIONS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
SPREADS = (0.25, 0.35, 0.42, 0.5, 0.6, 0.75, 0.9, 1.1, 1.4, 1.8, 2.4)
LEVEL = 0.8
#: (spread, part of the run, source) -> whether each run was held, and how wide its interval was, relative.
Held = dict[tuple[float, float, str], list[tuple[bool, float]]]


def follow(run: Logged, law: CurveLaw | None, held: Held) -> None:
    """Ask one run at each part for the interval of each width."""
    forecaster, plan = Forecaster(run.run, law), run.run.learning_rates
    assert plan is not None
    asked_at = {run.rows_before(fraction): fraction for fraction in FRACTIONS}
    for row, (step, loss) in enumerate(zip(run.steps.tolist(), run.losses.tolist(), strict=True)):
        if row in asked_at:
            state = forecaster.state_dict()
            for spread in SPREADS:
                if law is None:
                    candidates.SPREAD_OWN = spread
                else:
                    candidates.SPREAD_LAW = spread
                again = Forecaster(run.run, law)
                again.load_state_dict(state)
                made = again.forecast()
                if made is not None:
                    low, high = made.interval(LEVEL)
                    inside, width = low <= run.final <= high, (high - low) / run.final
                    held[spread, asked_at[row], run.source].append((inside, width))
        forecaster.observe(step, loss, float(plan[step - 1]))


def chosen(coverage: Mapping[tuple[float, float, str], float], left_out: str) -> float:
    """The least width by which all sources but one hold enough; the widest if none does."""
    others = {source for _, _, source in coverage if source != left_out}
    wanted = min(1.0, LEVEL * (len(others) + 1) / len(others))

    def holds(spread: float) -> float:
        by_source = [
            np.mean([part for (each, _, at), part in coverage.items() if each == spread and at == source])
            for source in others
        ]
        return float(np.mean(by_source))

    return next((spread for spread in SPREADS if holds(spread) >= wanted), SPREADS[-1])


def laws_of(runs: list[Logged]) -> dict[str, CurveLaw]:
    """The law of each run that has a ladder, by its name."""
    found = {}
    for run in runs:
        ladder = ladder_of(run, runs)
        if ladder:
            with contextlib.suppress(ConfigError, FitError):
                found[run.run.name] = fit_curves([each.curve for each in ladder])
    return found


def measured(runs: list[Logged], laws: dict[str, CurveLaw] | None) -> Held:
    """What each width holds, of all runs or of those that have a law."""
    held: Held = defaultdict(list)
    for run in runs:
        if laws is None or run.run.name in laws:
            follow(run, None if laws is None else laws[run.run.name], held)
    return held


def show(held: Held, title: str) -> dict[str, object]:
    """Print coverage and width of each source left out, by part of the run; return the means."""
    coverage = {key: float(np.mean([inside for inside, _ in each])) for key, each in held.items()}
    width = {key: float(np.median([wide for _, wide in each])) for key, each in held.items()}
    table = Table(title=title)
    for head in ("left out", "width chosen", *(f"{fraction:.0%}" for fraction in FRACTIONS), "all"):
        table.add_column(head, justify="left" if head == "left out" else "right")
    parts: dict[float, list[float]] = defaultdict(list)
    wide: dict[float, list[float]] = defaultdict(list)
    for source in sorted({source for _, _, source in coverage}):
        spread = chosen(coverage, source)
        found = {f: coverage[spread, f, source] for f in FRACTIONS if (spread, f, source) in coverage}
        for fraction, part in found.items():
            parts[fraction].append(part)
            wide[fraction].append(width[spread, fraction, source])
        cells = [f"{found[f]:.2f}" if f in found else "-" for f in FRACTIONS]
        table.add_row(source, f"{spread:g}", *cells, f"{np.mean(list(found.values())):.2f}")
    means = [float(np.mean(parts[f])) for f in FRACTIONS]
    widths = [100.0 * float(np.mean(wide[f])) for f in FRACTIONS]
    table.add_row("mean of sources", "", *(f"{m:.2f}" for m in means), f"{np.mean(means):.2f}", style="bold")
    table.add_row("width, % of the loss", f"{chosen(coverage, ''):g}", *(f"{w:.2g}" for w in widths), "")
    Console(width=120, stderr=True).print(table)
    by_part = dict(zip(map(str, FRACTIONS), means, strict=True))
    return {
        "spread": chosen(coverage, ""),
        "coverage": by_part,
        "width_pct": dict(zip(map(str, FRACTIONS), widths, strict=True)),
    }


def main() -> None:
    """Print coverage of the source left out, by part of the run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ladder", action="store_true", help="with a law of smaller runs, where there are any")
    parser.add_argument("--json", action="store_true", help="one line for programs on standard output")
    args = parser.parse_args()
    folder = Path(os.environ.get("SCALEWATCH_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    if not folder.is_dir():
        sys.exit(f"SCALEWATCH_DATA must lead to the folder of public runs (got {folder}).")
    runs = load(folder)
    held = measured(runs, laws_of(runs) if args.ladder else None)
    how = "with a ladder" if args.ladder else "from the run alone"
    told = show(held, f"80 % intervals {how}, one source left out")
    if args.json:
        print(json.dumps(told))


if __name__ == "__main__":
    main()

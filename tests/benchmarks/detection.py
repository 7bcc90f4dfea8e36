"""Incident detection beside the rules that others ship: on labelled real runs and on made-up ones.

    python tests/benchmarks/detection.py [--real | --synthetic | --roc FILE.png] [--seeds N] [--ours] [--why]

Real runs are read from the folder that SCALEWATCH_DATA names (../shared/data if it names none). `--why` prints, for
each incident that is missed, the rows around it and where the detectors stood. `--roc` draws the share of incidents
paged over false pages as the thresholds move. What a row costs: tests/benchmarks/step_cost.py.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
from collections.abc import Mapping
from pathlib import Path

import _detection_real as real
import _detection_synthetic as made_up
from _detection_rules import RULES, MakeRule
from rich.console import Console
from rich.table import Table

#: Clean rows of each noise for the false pages [rows, runs].
CLEAN_ROWS, CLEAN_RUNS = 20_000, 3


def data_folder() -> Path | None:
    folder = Path(os.environ.get("SCALEWATCH_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    return folder if folder.is_dir() else None


def print_real(console: Console, folder: Path, rules: Mapping[str, MakeRule], why: bool) -> None:
    logs, labels = real.load(folder)
    table = Table(title=f"{len(logs)} real runs, {sum(log.clean for log in logs)} of them clean; pages per 10,000 rows")
    for column in ("rule", "spikes", "divergences", "NaN", "bad batches noted", "paged", "rate steps paged"):
        table.add_column(column, justify="left" if column == "rule" else "right")
    table.add_column("clean pages", justify="right")
    table.add_column("unlabelled", justify="right")
    scores = {name: real.score(make, logs, labels) for name, make in rules.items()}
    for name, score in scores.items():
        counts = {kind: "{}/{}".format(*score.count(kind)) for kind in ("spike", "divergence", "nan", "bad batch")}
        other = 1e4 * sum(score.other_pages.values()) / max(sum(score.other_rows.values()), 1)
        table.add_row(
            *(name, counts["spike"], counts["divergence"], counts["nan"], counts["bad batch"]),
            *(str(len(score.paged_batches)), str(score.jump_pages)),
            *(f"{score.pages_per_10k_clean():.2f}", f"{other:.2f}"),
        )
    console.print(table)
    first = next(iter(scores))
    print_sources(console, first, scores[first])
    if why:
        for kind, event in scores[first].missed():
            explain(console, logs, labels, kind, event)


def print_sources(console: Console, name: str, score: real.Scores) -> None:
    table = Table(title=f"{name} by source and kind")
    for column in ("source", "kind", "found", "median delay [rows]", "missed"):
        table.add_column(column)
    for key in sorted(score.asked):
        missed = ", ".join(sorted(score.asked[key] - score.found[key])) or "-"
        delay = f"{statistics.median(score.delays[key]):.1f}" if score.delays[key] else "-"
        table.add_row(*key, f"{len(score.found[key])}/{len(score.asked[key])}", delay, missed)
    console.print(table)
    pages = {source: count for source, count in score.other_pages.items() if count}
    console.print(f"unlabelled pages by source: {pages or 'none'}; in clean runs: {dict(score.clean_pages) or 'none'}")


def explain(console: Console, logs: list[real.RealLog], labels: object, kind: str, event: str) -> None:
    """The rows around a missed incident, each with its distance from the level and with what was said."""
    from scalewatch.detect import DetectorSet
    from scalewatch.guard import Guard
    from scalewatch.observation import Observation
    from scalewatch.run import Run

    chosen = labels[(labels.event_group == event) | (labels.run_id + "@" + labels.start_step.astype(str) == event)]  # type: ignore[index, attr-defined]
    label = chosen.iloc[0]
    log = next(log for log in logs if log.name == label.run_id)
    console.print(f"\nmissed {kind} {event}: labelled {label.start_step} to {label.end_step}, {label.confidence}")
    watch = DetectorSet(Run(log.name, total_steps=log.total_steps), Guard())
    for step, loss, rate, norm in log.rows:
        found = watch.observe(Observation(step, loss, *(None if math.isnan(v) else v for v in (rate, norm))))
        if label.start_step - 5 * log.interval <= step <= label.start_step + 8 * log.interval or found:
            words = "; ".join(f"{f.severity} {f.phase} {f.message}" for f in found)
            console.print(f"  {step:>8} {loss:10.4f}  z {watch._level.sigmas:6.1f}  {words}", highlight=False)


def print_synthetic(console: Console, rules: Mapping[str, MakeRule], seeds: int) -> None:
    for noise in made_up.NOISES:
        table = Table(title=f"made-up runs, {noise} noise of .03 nats: share of {seeds} found in time, median delay")
        table.add_column("incident")
        for name in rules:
            table.add_column(name, justify="right")
        for case in (*made_up.SPIKES, *made_up.OTHERS):
            quiet = case.rate is not None or case.resume > 0
            cells = [found(make, case, noise, seeds, quiet) for make in rules.values()]
            table.add_row(case.name + (" (pages are false)" if quiet else " (noted)" if not case.page else ""), *cells)
        cells = [f"{made_up.false_pages(make, noise, CLEAN_ROWS, CLEAN_RUNS):.2f}" for make in rules.values()]
        table.add_section()
        table.add_row("false pages per 10k rows", *cells)
        console.print(table)


def found(make: MakeRule, case: made_up.Case, noise: str, seeds: int, quiet: bool) -> str:
    if quiet:
        return f"{sum(made_up.paged(make, case, noise, seed) for seed in range(seeds)) / seeds:.0%}"
    delays = [made_up.delay(make, case, noise, seed) for seed in range(seeds)]
    seen = [delay for delay in delays if delay is not None]
    return f"{len(seen) / seeds:.0%}" + (f" @{statistics.median(seen):.0f}" if seen else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", action="store_true", help="only the real runs")
    parser.add_argument("--synthetic", action="store_true", help="only the made-up runs")
    parser.add_argument("--roc", type=Path, help="only this chart: PNG, SVG or HTML")
    parser.add_argument("--seeds", type=int, default=6, help="made-up runs of each kind")
    parser.add_argument("--ours", action="store_true", help="leave the others out")
    parser.add_argument("--why", action="store_true", help="show the rows around what is missed")
    args = parser.parse_args()
    console = Console(width=None if Console().is_terminal else 200)
    rules = {name: make for name, make in RULES.items() if name == "scalewatch" or not args.ours}
    folder = data_folder()
    if args.roc is not None:
        from _detection_roc import draw

        draw(args.roc, folder)
        console.print(f"wrote {args.roc}")
        return
    if not args.synthetic:
        if folder is None:
            console.print("no real runs: SCALEWATCH_DATA names no folder")
        else:
            print_real(console, folder, rules, args.why)
    if not args.real:
        print_synthetic(console, rules, args.seeds)


if __name__ == "__main__":
    main()

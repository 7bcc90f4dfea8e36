"""Tables of what was told: error, coverage and width by source and progress, choice of runs, off the law."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from _forecast_runs import Logged
from _forecast_told import LEVELS, OURS, Told, Watched
from rich.console import Console
from rich.table import Table

#: Runs of one family, size and length from which on a choice among them is one.
FEWEST_CHOICES = 3


def by_source(told: Sequence[Told]) -> dict[str, list[Told]]:
    """What was told, by source."""
    found: dict[str, list[Told]] = defaultdict(list)
    for each in told:
        found[each.run.source].append(each)
    return dict(sorted(found.items()))


def mean_of_sources(told: Sequence[Told], of: Callable[[Sequence[Told]], float]) -> float:
    """The mean over sources of `of` each: a source of a hundred runs counts as one of one does."""
    return float(np.mean([of(part) for part in by_source(told).values()])) if told else float("nan")


def error(told: Sequence[Told]) -> float:
    """Mean absolute error [%]."""
    return float(np.mean([abs(each.error) for each in told])) if told else float("nan")


def coverage(told: Sequence[Told], level: int) -> float:
    """Part of the outcomes that lie in the interval of `LEVELS[level]`."""
    return float(np.mean([each.holds(level) for each in told])) if told else float("nan")


def width(told: Sequence[Told], level: int = 1) -> float:
    """Mean width of the interval [% of the outcome]."""
    return float(np.mean([100 * (e.high[level] - e.low[level]) / e.run.final for e in told])) if told else float("nan")


def _table(title: str, fractions: Sequence[float], first: str = "") -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first, min_width=26)
    for fraction in fractions:
        table.add_column(f"{fraction:.0%}", justify="right")
    return table


def floors(console: Console, runs: Sequence[Logged]) -> None:
    """Print how finely each source can be scored at all."""
    table = Table(title="runs, and noise floor: standard error of the outcome by the log's own noise", show_lines=False)
    for column in ("source", "runs", "median floor [%]", "largest [%]"):
        table.add_column(column, justify="left" if column == "source" else "right")
    for source in sorted({run.source for run in runs}):
        own = [run.floor_percent for run in runs if run.source == source]
        table.add_row(source, str(len(own)), f"{np.median(own):.2f}", f"{max(own):.2f}")
    console.print(table)


def errors(console: Console, told: Sequence[Told], mode: str, fractions: Sequence[float]) -> None:
    """Print the error of every forecaster, then ours by source."""
    own = [each for each in told if each.mode == mode]
    table = _table(f"{mode}: mean absolute error, mean over sources [%]", fractions, "forecaster")
    for who in dict.fromkeys(each.who for each in own):
        rows = [[e for e in own if e.who == who and e.fraction == f] for f in fractions]
        table.add_row(who, *(f"{mean_of_sources(row, error):.2f}" for row in rows))
    ours = [[e for e in own if e.who == OURS and e.fraction == f] for f in fractions]
    table.add_section()
    if any(ours):
        table.add_row("ours, mean over runs", *(f"{error(row):.2f}" for row in ours))
        worst = [max((abs(e.error) for e in row), default=float("nan")) for row in ours]
        table.add_row("ours, worst run", *(f"{value:.2f}" for value in worst))
        for source in by_source([e for row in ours for e in row]):
            parts = [[e for e in row if e.run.source == source] for row in ours]
            cells = [f"{error(part):.2f}" if part else "-" for part in parts]
            table.add_row(f"{source} ({max(map(len, parts))})", *cells)
    console.print(table)


def calibration(console: Console, told: Sequence[Told], mode: str, fractions: Sequence[float]) -> None:
    """Print how often the intervals held the outcome, and how wide they were."""
    ours = [each for each in told if each.mode == mode and each.who == OURS]
    if not ours:
        return
    at = [[e for e in ours if e.fraction == f] for f in fractions]
    table = _table(f"{mode}: part of the outcomes in the interval [%], and its width [% of the loss]", fractions)
    for n, level in enumerate(LEVELS):
        table.add_row(f"{level:.0%}, over sources", *_percents(at, lambda r, n=n: mean_of_sources(r, _held(n))))
    table.add_row("80%, over runs", *_percents(at, _held(1)))
    table.add_row("80% width, over sources", *(f"{mean_of_sources(row, width):.2f}" for row in at))
    table.add_section()
    for source in by_source(ours):
        parts = [[e for e in row if e.run.source == source] for row in at]
        table.add_row(f"80%, {source}", *_percents(parts, _held(1)))
    console.print(table)


def _held(level: int) -> Callable[[Sequence[Told]], float]:
    return lambda told: coverage(told, level)


def _percents(rows: Sequence[Sequence[Told]], of: Callable[[Sequence[Told]], float]) -> list[str]:
    return [f"{100 * of(row):.0f}" if row else "-" for row in rows]


def _sweeps(told: Sequence[Told]) -> dict[tuple[str, int | None, int], dict[str, dict[float, Told]]]:
    """What was told of runs of one family, size and length, by name and progress."""
    found: dict[tuple[str, int | None, int], dict[str, dict[float, Told]]] = defaultdict(lambda: defaultdict(dict))
    for each in told:
        found[each.run.family, each.run.run.parameters, each.run.total][each.run.run.name][each.fraction] = each
    return {key: runs for key, runs in found.items() if len(runs) >= FEWEST_CHOICES}


def regret(console: Console, told: Sequence[Told], mode: str, fractions: Sequence[float]) -> None:
    """Print what choosing the best of a sweep costs, by each forecast and by the loss at hand."""
    table = _table(f"{mode}: regret of choosing within a sweep, mean over sweeps [nats]", fractions, "chosen by")
    chosen = [each for each in told if each.mode == mode]
    for who in dict.fromkeys(each.who for each in chosen):
        cells = []
        for fraction in fractions:
            groups = _sweeps([e for e in chosen if e.who == who and e.fraction == fraction]).values()
            picks = [[run[fraction] for run in group.values()] for group in groups]
            lost = [min(p, key=lambda e: e.middle).run.final - min(e.run.final for e in p) for p in picks]
            cells.append(f"{np.mean(lost):.4f}" if lost else "-")
        table.add_row(who, *cells)
    console.print(table)


def off_law(console: Console, watched: Watched) -> None:
    """Print how many healthy runs were said to be off a law that did not see them."""
    table = Table(title="healthy runs held against the ladder of their family, which did not see them")
    for column in ("source", "runs", "paged as off law", "noted", "which"):
        table.add_column(column, justify="left" if column in ("source", "which") else "right")
    for source in sorted({run.source for run, _ in watched.off_law}):
        here = [(run, found) for run, found in watched.off_law if run.source == source]
        paged = [run.run.name for run, found in here if any(f.pages for f in found)]
        noted = [run for run, found in here if found]
        table.add_row(source, str(len(here)), str(len(paged)), str(len(noted)), ", ".join(paged) or "-")
    console.print(table)

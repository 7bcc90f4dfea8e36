"""Labelled public runs: what a rule finds of each source and kind, how late, what it misses, whom it wakes in vain."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from _detection_rules import MakeRule

#: Words closer than so many rows are about one event; shorter logs are not judged.
MERGE_ROWS, LEAST_ROWS = 20, 20


@dataclass(frozen=True)
class RealLog:
    """One run's train rows, its validation rows where it has no train rows to speak of."""

    name: str
    source: str
    rows: list[tuple[int, float, float, float]]
    total_steps: int
    clean: bool

    @property
    def interval(self) -> float:
        return float(np.median(np.diff([row[0] for row in self.rows])))


@dataclass
class Scores:
    """What one rule did. Keys are (source, kind); values the physical events, or rows, counted once."""

    found: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    asked: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    delays: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    paged_batches: set[str] = field(default_factory=set)
    jump_pages: int = 0
    clean_pages: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    clean_rows: int = 0
    other_pages: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    other_rows: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def missed(self) -> Iterable[tuple[str, str]]:
        """(kind, event) of what was asked for and not found."""
        return sorted((key[1], event) for key, events in self.asked.items() for event in events - self.found[key])

    def count(self, kind: str) -> tuple[int, int]:
        """(found, asked for) over all sources."""
        asked = set().union(*(events for key, events in self.asked.items() if key[1] == kind))
        found = set().union(*(events for key, events in self.found.items() if key[1] == kind))
        return len(found), len(asked)

    def pages_per_10k_clean(self) -> float:
        return 1e4 * sum(self.clean_pages.values()) / max(self.clean_rows, 1)


def load(folder: Path) -> tuple[list[RealLog], pd.DataFrame]:
    """Every run of the folder that is long enough, and the labels."""
    info = pd.read_csv(folder / "runs.csv").set_index("run_id")
    quiet = set(pd.read_csv(folder / "clean_runs.csv").run_id)
    logs = []
    for name, rows in pd.read_parquet(folder / "curves.parquet").groupby("run_id", observed=True):
        train, validation = rows[rows.split == "train"], rows[rows.split == "val"]
        kept = (train if len(train) >= LEAST_ROWS else validation).sort_values("step")
        if len(kept) < LEAST_ROWS:
            continue
        values = [kept[column].astype(float).tolist() for column in ("loss", "lr", "grad_norm")]
        steps = kept.step.astype(int).tolist()
        planned = info.total_steps.get(name, math.nan)
        total = steps[-1] if math.isnan(planned) else max(int(planned), steps[-1])
        table = list(zip(steps, *values, strict=True))
        logs.append(RealLog(str(name), str(info.source[name]), table, total, name in quiet))
    return logs, pd.read_csv(folder / "labels.csv", keep_default_na=False)


def words(make: MakeRule, log: RealLog) -> list[tuple[int, int, str]]:
    """(row, step, severity) of all that a rule says."""
    rule = make(log.total_steps)
    return [(n, row[0], word) for n, row in enumerate(log.rows) if (word := rule(*row)) is not None]


def pages(told: list[tuple[int, int, str]], unused: set[int]) -> int:
    """Pages among those rows, closer than `MERGE_ROWS` counted as one."""
    count, last = 0, -(10**9)
    for row, _, word in told:
        if word == "warning" and row in unused:
            count += row - last > MERGE_ROWS
            last = row
    return count


def score(make: MakeRule, logs: list[RealLog], labels: pd.DataFrame) -> Scores:
    """Run a rule over all logs."""
    out = Scores()
    by_run = dict(list(labels.groupby("run_id")))
    for log in logs:
        told = words(make, log)
        used = _score_labels(out, log, by_run.get(log.name, labels[:0]), told)
        in_vain = pages(told, {row for row, _, _ in told} - used)
        if log.clean:
            out.clean_rows += len(log.rows)
            if in_vain:
                out.clean_pages[log.name] += in_vain
        else:
            out.other_rows[log.source] += len(log.rows)
            out.other_pages[log.source] += in_vain
    return out


def _score_labels(out: Scores, log: RealLog, labels: pd.DataFrame, told: list[tuple[int, int, str]]) -> set[int]:
    """Count what was asked for; return the rows of what was said about a labelled event, and close behind it."""
    used: set[int] = set()
    steps, interval = [step for _, step, _ in told], log.interval
    for label in labels.itertuples():
        pad = max(2 * interval, 0.1 * (label.end_step - label.start_step), 1)
        inside = told[bisect_left(steps, label.start_step - interval) : bisect_right(steps, label.end_step + pad)]
        paging = [e for e in inside if e[2] == "warning"]
        if inside:
            used.update(range(inside[0][0], inside[-1][0] + MERGE_ROWS + 1))
        name = label.event_group or f"{log.name}@{label.start_step}"
        batch = label.kind == "spike" and label.cause.startswith("data batch")
        if label.kind == "lr-change-jump":
            out.jump_pages += len(paging)
        elif label.signal == "loss" and label.kind in ("spike", "divergence", "nan"):
            key = (log.source, "bad batch" if batch else label.kind)
            out.asked[key].add(name)
            if inside if batch else paging:
                out.found[key].add(name)
                first = (inside if batch else paging)[0][1]
                out.delays[key].append((first - label.start_step) / interval)
            if batch and paging:
                out.paged_batches.add(name)
    return used

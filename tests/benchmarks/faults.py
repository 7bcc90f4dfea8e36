"""Fourteen kinds of transient fault, done to small runs on purpose: what was seen, and what an act would have saved.

    python tests/benchmarks/faults.py [--seeds 2-6] [--tasks gpt,regression] [--only "NaN loss,dead rank"]
                                      [--file FILE] [--minutes 9] [--json]
    python tests/benchmarks/faults.py --read FILE...     # the tables of docs/faults.md

Each fault is done to a tiny GPT and to a noisy regression from the middle on, once to a run that is only watched and
once to its twin with act=["skip", "rewind", "lower_learning_rate", "stop"] under a supervisor. Beside them are runs
that nothing is done to: they are to hear nothing. With --file each run is kept as it ends, and not run again.

  seen       the first finding since the fault, and how many steps after it began; of how many seeds
  page       the first finding that is worth waking someone
  healthy    the held-out loss of the last weights is at most 2 sd above that of the untouched run of the same seed; the
             sd is that of the untouched runs from seed to seed
  over it    by how much the loss ends above the untouched run; mean, without runs that end in no number
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from _small_runs import seeds_of
from rich.console import Console

ACTS = ["skip", "rewind", "lower_learning_rate", "stop"]
TASKS = ("gpt", "regression")
CONTROL = "none"
#: How far above the untouched run of its seed a run may end [sd of the untouched runs].
NEAR_SDS = 2.0
#: Rows of a block of the slow detectors, in runs of this length.
BLOCK_ROWS = 8
Row = dict[str, Any]


def row_of(task: Any, kind: str, seed: int, *, acts: bool, text: Any) -> Row:
    """Train one run; what became of it."""
    from _fault_kinds import FROM_PART, KINDS, Fault
    from _fault_runs import train
    from _small_runs import STEPS

    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        ended = train(task, KINDS.get(kind, Fault), seed, ACTS if acts else (), Path(folder), text)
    at = round(FROM_PART * STEPS[task]) + 1
    journal = ended.journal
    found = [
        {"step": f.step, "since": f.start_step, "kind": str(f.kind), "severity": str(f.severity), "says": f.message}
        for f in journal.findings
        if f.phase != "closed" and f.kind != "rewound" and (f.step >= at or kind == CONTROL)
    ]
    done = [each for each in journal.others if each["type"] == "act"]
    advised = [str(each.action) for each in journal.advice if each.step >= at and str(each.action) != "wait"]
    return {
        "task": task,
        "kind": kind,
        "seed": seed,
        "acts": acts,
        "at": at,
        "loss": ended.loss if math.isfinite(ended.loss) else None,
        "taken": ended.taken,
        "rewinds": ended.rewinds,
        "starts": ended.starts,
        "crash": ended.crash.strip().rpartition("\n")[2],
        "found": found,
        "advised": list(dict.fromkeys(advised)),
        "done": [f"{each['act']} {each['phase']}: {each['text']}" for each in done],
        "logged": ended.logged,
        "rows": len(journal.observations),
        "verdicts": [dict(each["rows"]) for each in journal.others if each["type"] == "verdict"],
        "unclosed": sum(each.closing is None for each in journal.segments),
        "damage": [each.reason for each in journal.damage],
        "seconds": round(time.monotonic() - began, 1),
    }


def key(row: Row) -> tuple[Any, ...]:
    """What tells one run from another."""
    return row["task"], row["kind"], row["seed"], row["acts"]


def read(paths: Iterable[Path]) -> list[Row]:
    """Read what was kept."""
    return [json.loads(line) for path in paths if path.exists() for line in path.read_text().splitlines()]


def run_all(options: argparse.Namespace) -> list[Row]:
    """Train what is asked for and not kept yet, as long as there is time."""
    from _fault_kinds import KINDS
    from _small_runs import texts

    rows = read([options.file] if options.file else [])
    kept, text, began = {key(row) for row in rows}, texts(), time.monotonic()
    kinds = [CONTROL, *(options.only or KINDS)]
    for seed in options.seeds:
        for task in options.tasks:
            for kind, acts in [(kind, acts) for kind in kinds for acts in (False, True)]:
                if (task, kind, seed, acts) in kept:
                    continue
                if time.monotonic() - began > 60.0 * options.minutes:
                    print("Time is up: the same command goes on.", file=sys.stderr)
                    return rows
                rows.append(row_of(task, kind, seed, acts=acts, text=text))
                if options.file:
                    with options.file.open("a") as file:
                        file.write(json.dumps(rows[-1]) + "\n")
                brief = ("task", "kind", "seed", "acts", "loss", "taken", "rewinds", "starts", "crash", "seconds")
                print({name: rows[-1][name] for name in brief}, file=sys.stderr, flush=True)
    return rows


def is_healthy(row: Row, untouched: dict[tuple[str, int], float], sds: dict[str, float]) -> bool:
    """Whether a run ended where it would have ended without the fault."""
    over = None if row["loss"] is None else row["loss"] - untouched[row["task"], row["seed"]]
    return over is not None and over <= NEAR_SDS * sds[row["task"]]


def often(words: Sequence[str], of: int) -> str:
    """The most frequent of some words, and of how many they are."""
    if not words:
        return "nothing"
    (word, count), *_ = Counter(words).most_common(1)
    return word if count == of else f"{word} ({count} of {of})"


def first_seen(rows: Sequence[Row], *, pages: bool) -> str:
    """The first finding after the fault began, with its delay."""
    firsts = []
    for row in rows:
        begun = row["at"] - BLOCK_ROWS  # what is looked at in blocks of rows begins with one
        found = [f for f in row["found"] if f["since"] >= begun and (not pages or f["severity"] != "info")]
        if found:
            firsts.append((found[0]["kind"], found[0]["step"] - row["at"]))
    if not firsts:
        return "nothing" if pages else often([each for each in map(other_sign, rows) if each], len(rows))
    return f"{often([kind for kind, _ in firsts], len(rows))}, {median([steps for _, steps in firsts]):.0f}"


def other_sign(row: Row) -> str:
    """What is told of a run that nothing was found in: how it ended, or what was warned of."""
    if any(each.get("ended", "").startswith("crashed") for each in row["verdicts"]):
        return "told as crashed"
    if row["unclosed"]:
        return "a journal without an end"
    return "a warning in the log" if row["logged"] else ""


def done_of(row: Row) -> str:
    """What was done to a run, in short."""
    asked = [each.split()[0].rstrip(":") for each in row["done"] if " asked:" in each]
    return " + ".join(dict.fromkeys(asked)) or "nothing"


def over_of(rows: Sequence[Row], untouched: dict[tuple[str, int], float]) -> str:
    """By how much the loss ends above the untouched run, on average."""
    overs = [row["loss"] - untouched[row["task"], row["seed"]] for row in rows if row["loss"] is not None]
    lost = len(rows) - len(overs)
    if not overs:
        return "no number"
    return f"{mean(overs):+.3f}" + (f", {lost} no number" if lost else "")


def tables(rows: Sequence[Row]) -> str:
    """The tables in Markdown, one a task, and what the untouched runs heard."""
    lines = []
    for task in dict.fromkeys(row["task"] for row in rows):
        control = [row for row in rows if row["kind"] == CONTROL and row["task"] == task]
        untouched = {(task, row["seed"]): row["loss"] for row in control if not row["acts"]}
        sds = {task: stdev(untouched.values()) if len(untouched) > 1 else math.inf}
        anyway = {row["seed"]: row["advised"] for row in control if not row["acts"]}
        heard = [f"{f['severity']} {f['kind']}" for row in control for f in row["found"]]
        heard += [each for row in control for each in row["done"]]
        same = all(row["loss"] == untouched[task, row["seed"]] for row in control)
        lines += [
            f"**{task}**, {len(untouched)} seeds; untouched it ends at {mean(untouched.values()):.3f}"
            f" ± {sds[task]:.3f}.",
            f"The {len(control)} untouched runs heard {'nothing' if not heard else ', '.join(heard)}"
            f"{'; with acts they are the same to the bit' if same else ''}.",
            "",
            "| fault | first seen, steps after | page, steps after | advised | done | over it alone | with acts |"
            " healthy alone | with acts |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        totals = [0, 0, 0]
        for kind in dict.fromkeys(row["kind"] for row in rows if row["kind"] != CONTROL and row["task"] == task):
            these = [r for r in rows if (r["task"], r["kind"]) == (task, kind) and (task, r["seed"]) in untouched]
            alone, acted = ([row for row in these if row["acts"] is acts] for acts in (False, True))
            well = [sum(is_healthy(row, untouched, sds) for row in arm) for arm in (alone, acted)]
            totals = [total + more for total, more in zip(totals, (*well, len(alone)), strict=True)]
            told = [[each for each in row["advised"] if each not in anyway[row["seed"]]] for row in alone]
            advised = often([each[0] for each in told if each], len(alone))
            cells = [kind, first_seen(alone, pages=False), first_seen(alone, pages=True), advised]
            cells += [often([done_of(row) for row in acted], len(acted)), over_of(alone, untouched)]
            cells += [over_of(acted, untouched), f"{well[0]} of {len(alone)}", f"{well[1]} of {len(acted)}"]
            lines.append(f"| {' | '.join(cells)} |")
        lines += [f"| together | | | | | | | {totals[0]} of {totals[2]} | {totals[1]} of {totals[2]} |", ""]
    return "\n".join(lines).replace("_", " ")


def main() -> None:
    """Train, or read, and print."""
    parser = argparse.ArgumentParser(description="Faults that are done on purpose.")
    parser.add_argument("--seeds", type=seeds_of, default="2-6", help="how many, or from which to which")
    parser.add_argument("--tasks", type=lambda text: text.split(","), default=list(TASKS))
    parser.add_argument("--only", type=lambda text: text.split(","), help="names of kinds, with commas between them")
    parser.add_argument("--file", type=Path, help="where each run is kept, and which ones are not run again")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no run after so long")
    parser.add_argument("--json", action="store_true", help="print the runs and no table")
    parser.add_argument("--read", type=Path, nargs="*", help="print the tables of what was kept")
    options = parser.parse_args()
    rows = run_all(options) if options.read is None else read(options.read)
    if options.json:
        print(json.dumps(rows))
    else:
        Console(width=220, highlight=False, markup=False, soft_wrap=True).print(tables(rows))


if __name__ == "__main__":
    main()

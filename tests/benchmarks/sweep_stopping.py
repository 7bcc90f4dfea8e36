"""Sweeps of public runs: what stopping rules save, and how far above the best of all the best that is left ends.

    OMP_NUM_THREADS=1 SCALEWATCH_DATA=folder python tests/benchmarks/sweep_stopping.py [--json] [--runs]

A sweep is the finished runs of one model size and length in one source that differ in a setting (rate, schedule,
optimizer, a part of the model); runs that differ in the seed alone are told apart. Some runs of `lr_scheduling` are
branches whose log begins at 40 to 80 %: nobody could have paused them at a fifth. They are left out, and the sweeps as
they are come besides. Taskset: 25 sweeps of 16 runs from each of 6 tasks, no constant was chosen on any of them.

`saved` is the part of all planned steps that is not trained; `of the most` that over what a clairvoyant saves, who
stops all but the winner at 20 %; `killed` the sweeps whose best run did not end; `regret` by how much the best run that
ended ends above it. Rules of others look every 5 % from 20 % on, where their papers say nothing else.

The one constant of ours that was chosen on sweeps is `WALK_SD` (forecast/siblings.py): `left out` has that of each
source chosen on the others.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from _sweep_runs import CHECKS, SOURCES, Key, Member, public_sweeps, several, taskset_sweeps
from rich.console import Console
from rich.table import Table
from scipy import stats

from scalewatch.advising.race import BUDGET, EARLIEST, Step, judge
from scalewatch.forecast import siblings

#: A regret above this is that of a sweep which was lost altogether [nats].
MOST_REGRET = 9.999
#: Scales of the walk that are tried where it is chosen.
SCALES = (0.002, 0.003, 0.004, 0.006, 0.008, 0.011, 0.015, 0.02, 0.03)
#: Hyperband with eta 3 and four runs and more: first rung of each bracket, and its share of the runs (Li et al. 2018).
BRACKETS = ((1 / 9, 9), (1 / 3, 5), (1.0, 3))
#: What a rule makes of a sweep: the part at which each run was stopped for good; those that ended are not in it.
Rule = Callable[[list[Member]], dict[int, float]]


def ours(budget: float) -> Rule:
    """All to 20 %, finish the leader, judge the rest against it, go on with the one that may gain most."""

    def rule(runs: list[Member]) -> dict[int, float]:
        at = [EARLIEST] * len(runs)
        while True:
            race = judge([run.standing(part) for run, part in zip(runs, at, strict=True)], budget=budget)
            going = [n for n, verdict in enumerate(race.verdicts) if verdict.step is Step.RUN]
            if not going:
                return {n: part for n, part in enumerate(at) if part < 1.0}
            for n in going:
                at[n] = CHECKS[CHECKS.index(at[n]) + 1] if at[n] < CHECKS[-1] else 1.0

    return rule


def median_rule(runs: list[Member]) -> dict[int, float]:
    """Optuna's MedianPruner: worse now than the median of the runs still going."""
    stopped: dict[int, float] = {}
    for check in CHECKS:
        left = [n for n in range(len(runs)) if n not in stopped]
        middle = float(np.median([_now(runs[n], check) for n in left]))
        for n in left:
            if not _now(runs[n], check) <= middle and len(stopped) < len(runs) - 1:
                stopped[n] = check
    return stopped


def halving(*checks: float, keep: float = 0.5) -> Rule:
    """Successive halving (Jamieson and Talwalkar 2016): the better part goes on at each check."""

    def rule(runs: list[Member]) -> dict[int, float]:
        stopped: dict[int, float] = {}
        left = list(range(len(runs)))
        for check in checks:
            left.sort(key=lambda n, at=check: _now(runs[n], at))
            kept = max(math.ceil(len(left) * keep - 1e-9), 1)
            stopped |= dict.fromkeys(left[kept:], check)
            left = left[:kept]
        return stopped

    return rule


def hyperband(runs: list[Member]) -> dict[int, float]:
    """Brackets of successive halving by thirds that begin at a ninth, at a third and at the end."""
    shares = np.cumsum([share for _, share in BRACKETS]) / sum(share for _, share in BRACKETS)
    edges = [0, *np.round(shares * len(runs)).astype(int).tolist()]
    stopped: dict[int, float] = {}
    for (first, _), low, high in zip(BRACKETS, edges, edges[1:], strict=False):
        checks = [check for check in (1 / 9, 1 / 3) if check >= first]
        stopped |= {low + n: check for n, check in halving(*checks, keep=1 / 3)(runs[low:high]).items()}
    return stopped


def clairvoyant(runs: list[Member]) -> dict[int, float]:
    best = min(range(len(runs)), key=lambda n: runs[n].final)
    return {n: EARLIEST for n in range(len(runs)) if n != best}


def _now(run: Member, check: float) -> float:
    loss = run.now(check)
    return loss if math.isfinite(loss) else math.inf


RULES: dict[str, Rule] = {
    "clairvoyant": clairvoyant,
    "median rule (Optuna)": median_rule,
    "successive halving at 20, 40, 80 %": halving(0.2, 0.4, 0.8),
    "Hyperband": hyperband,
    "top half at 20 %": halving(0.2),
    "scalewatch": ours(BUDGET),
    "scalewatch, twice the budget": ours(2 * BUDGET),
}


def scored(rule: Rule, sweeps: list[list[Member]]) -> dict[str, float]:
    """What a rule saves on sweeps, and what it costs; regrets in nats and as a part of the best loss."""
    saved, most, killed, regrets, parts = [], [], [], [], []
    for runs in sweeps:
        stopped = rule(runs)
        best = min(run.final for run in runs)
        left = min((run.final for n, run in enumerate(runs) if n not in stopped), default=math.inf)
        saved.append(sum(1 - at for at in stopped.values()) / len(runs))
        most.append((1 - EARLIEST) * (len(runs) - 1) / len(runs))
        killed.append(left > best)
        regrets.append(min(left - best, MOST_REGRET))
        parts.append(min(left / best - 1, MOST_REGRET))
    return {
        "sweeps": len(sweeps),
        "saved": float(np.mean(saved)),
        "of_the_most": float(np.mean(saved) / np.mean(most)),
        "killed": float(np.mean(killed)),
        "regret_nats": float(np.mean(regrets)),
        "worst_nats": max(regrets),
        "regret_percent": 100 * float(np.mean(parts)),
        "worst_percent": 100 * max(parts),
        "over_a_thousandth": float(np.mean(np.array(parts) > BUDGET)),
    }


def likeliest_walk(sweeps: dict[Key, list[Member]]) -> float:
    """The scale of a sibling's walk under which the ends of these sweeps are likeliest, each source counting once."""
    sources: dict[str, list[list[float]]] = {}
    for (name, *_), runs in sweeps.items():
        middle = float(np.median([run.final for run in runs]))
        rows = []
        for scale in SCALES:
            with walk_of(scale):
                rows.append([score for leader in runs if leader.final <= middle for score in _scores(runs, leader)])
        if rows[0]:
            sources.setdefault(name.split("/")[0], []).append([float(np.mean(row)) for row in rows])
    return SCALES[int(np.argmax(sum(np.mean(table, axis=0) for table in sources.values())))]


def _scores(runs: list[Member], leader: Member) -> Iterator[float]:
    """Log density of the end of each run by a leader, from 20, 30 and 50 %."""
    whole = leader.standing(1.0).curve
    for run in runs:
        for check in (0.2, 0.3, 0.5):
            curve = run.standing(check).curve
            if run is leader or not math.isfinite(run.final) or curve is None or whole is None:
                continue
            made = siblings.sibling_forecast(curve, whole, leader.final)
            if made is not None:
                yield float(stats.t.logpdf(math.log(run.final), made.freedom, made.log_loss, made.log_sd))


@contextmanager
def walk_of(scale: float) -> Iterator[None]:
    """Let siblings wander by another scale."""
    kept, siblings.WALK_SD = siblings.WALK_SD, scale
    try:
        yield
    finally:
        siblings.WALK_SD = kept


def left_out(settings: dict[Key, list[Member]]) -> tuple[dict[str, float], dict[str, float]]:
    """The walk of each source chosen on the others, and what our rule does with it on all of them together."""
    walks, parts = {}, []
    for source in SOURCES[:4]:
        walks[source] = likeliest_walk({k: runs for k, runs in settings.items() if not k[0].startswith(source)})
        with walk_of(walks[source]):
            parts.append(scored(ours(BUDGET), [runs for k, runs in settings.items() if k[0].startswith(source)]))
    weights = np.array([part["sweeps"] for part in parts])
    whole = {name: float(np.average([part[name] for part in parts], weights=weights)) for name in parts[0]}
    whole |= {name: max(part[name] for part in parts) for name in ("worst_nats", "worst_percent")}
    return walks, whole | {"sweeps": float(weights.sum())}


def print_table(console: Console, title: str, rows: dict[str, dict[str, float]]) -> None:
    count = int(next(iter(rows.values()))["sweeps"])
    table = Table(title=f"{title}: {count} sweeps", title_justify="left")
    for column in ("rule", "saved", "of the most", "killed", "regret [nats]", "worst", "regret [%]", "worst", "> .1 %"):
        table.add_column(column, justify="left" if column == "rule" else "right")
    for name, row in rows.items():
        cells = [f"{100 * row[key]:.1f} %" for key in ("saved", "of_the_most", "killed")]
        cells += [f"{row['regret_nats']:.4f}", f"{row['worst_nats']:.4f}"]
        cells += [
            f"{row['regret_percent']:.3f}",
            f"{row['worst_percent']:.2f}",
            f"{100 * row['over_a_thousandth']:.0f} %",
        ]
        table.add_row(name, *cells)
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", action="store_true", help="list what our rule does with each public sweep")
    parser.add_argument("--json", action="store_true", help="print {set: {rule: {figure: value}}}")
    options = parser.parse_args()
    folder = Path(os.environ.get("SCALEWATCH_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    every = public_sweeps(folder)
    as_filed = {key: runs for key, runs in every.items() if not key[0].startswith("supercollapse")}
    settings = several({key: [run for run in runs if run.from_start] for key, runs in as_filed.items()})
    sets = {"settings": list(settings.values())}
    sets["settings, more than two runs"] = [runs for runs in settings.values() if len(runs) > 2]
    sets |= {
        f"settings, {source}": [r for k, r in settings.items() if k[0].startswith(source)] for source in SOURCES[:4]
    }
    sets["settings, with runs that were branched off later"] = list(as_filed.values())
    sets["seeds alone"] = [runs for key, runs in every.items() if key[0].startswith("supercollapse")]
    sets["taskset, no constant chosen on it"] = list(taskset_sweeps(folder).values())
    found = {
        title: {name: scored(rule, sweeps) for name, rule in RULES.items()} for title, sweeps in sets.items() if sweeps
    }
    walks, whole = left_out(settings)
    found["settings"]["scalewatch, left out"] = whole
    if options.json:
        print(json.dumps({"walk_left_out": walks, "sets": found}, indent=1))
        return
    console = Console(width=140)
    for title, rows in found.items():
        print_table(console, title, rows)
    console.print(f"walk chosen with a source left out: {walks}; in use: {siblings.WALK_SD}")
    if options.runs:
        for key, runs in settings.items():
            row = scored(RULES["scalewatch"], [runs])
            console.print(f"{key[0]:32} {len(runs):2} runs  saved {row['saved']:4.0%}  regret {row['regret_nats']:.4f}")


if __name__ == "__main__":
    main()

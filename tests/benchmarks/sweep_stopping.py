"""Sweeps of public runs: what stopping rules save, and how often they kill the winner.

    OMP_NUM_THREADS=1 SCALEWATCH_DATA=folder python tests/benchmarks/sweep_stopping.py [--runs] [--risk 0.02 ...]

A sweep is the finished runs of one model size and length in one source that differ in a setting (rate, schedule,
optimizer, a part of the model); runs that differ in the seed alone are told apart. Rules look every 5 % of the
run from 20 % on. `saved` is the part of all planned steps that is not trained; `killed` the sweeps whose best run
was stopped; `regret` by how much the best run that is left ends above it. Fours are all sweeps of four runs drawn from
the larger ones, 15 of each: they overlap. The clairvoyant stops all but the winner at 20 %: nobody saves more.

The rule's form (independent errors, a risk that is spent with progress) was settled after some sixty others had been
tried on these same sweeps, and no source was left out: its kills are in-sample. `--runs` lists each sweep.
"""

from __future__ import annotations

import argparse
import math
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from scalewatch import Monitor, Observation, Run, Severity
from scalewatch.advising.stopping import EARLIEST, Standing, runs_to_stop

CHECKS = [round(0.05 * n, 2) for n in range(4, 20)]
SOURCES = ("lr_scheduling", "multipowerlaw", "minigpt_muon_adamw", "cs336", "supercollapse")
#: Sweeps of the course logs, by how their names begin; others of that source differ in the length or the batch.
COURSE = (
    *("lr-sweep", "edge", "phase05-", "phase1-", "phase15-", "phase2-lr", "phase2-size", "owt-lr"),
    *("phase3-", "phase4"),
)
FINAL, FEWEST_ROWS, WHOLE, FOURS = 0.02, 20, 0.98, 15
Rule = Callable[[list["Member"]], dict[int, float]]


@dataclass
class Member:
    """A finished run: its final loss, and what was known at each check."""

    name: str
    final: float
    now: dict[float, float] = field(default_factory=dict)
    ends: dict[float, Standing] = field(default_factory=dict)
    lost: set[float] = field(default_factory=set)


def sweep_of(name: str, info: pd.Series) -> tuple[str, float, float] | None:
    source, rest = name.split("/", 1)
    if source == "cs336":
        group = next((g for g in COURSE if rest.split("/")[-1].startswith(g)), None)
        return None if group is None else (f"cs336/{group.strip('-')}", 0.0, info.total_steps)
    if source == "minigpt_muon_adamw":
        return f"{source}/{rest.split('_')[0]}", info.n_params, info.total_steps
    if source == "supercollapse" and (rest.startswith("mlp") or "_10m_" in rest):
        return None
    kind = rest.split("_")[0] if source == "supercollapse" else "openwebtext2" if "openwebtext2" in rest else ""
    return f"{source}/{kind}".rstrip("/"), info.n_params, info.total_steps


def load(folder: Path) -> dict[tuple[str, float, float], list[Member]]:
    """Every sweep of two runs and more."""
    infos = pd.read_csv(folder / "runs.csv").set_index("run_id")
    infos = infos[infos.source.isin(SOURCES)]
    curves = pd.read_parquet(folder / "curves.parquet")
    curves = curves[curves.run_id.isin(infos.index)]
    sweeps = defaultdict(list)
    for name, rows in curves.groupby("run_id", observed=True):
        key = sweep_of(str(name), infos.loc[name])
        made = None if key is None else member(str(name), rows.sort_values("step"), int(infos.loc[name].total_steps))
        if made is not None:
            sweeps[key].append(made)
    return {key: runs for key, runs in sweeps.items() if len(runs) > 1}


def member(name: str, rows: pd.DataFrame, total: int) -> Member | None:
    train, held_out = rows[rows.split == "train"], rows[rows.split == "val"]
    sparse = len(train) < 2 or train.step.diff().median() > 1
    kept = held_out if (len(held_out) >= 40 and sparse) or len(train) < FEWEST_ROWS else train
    rate = rows[rows.lr.notna()]
    if len(kept) < FEWEST_ROWS or len(rate) < 2 or kept.step.iloc[-1] < WHOLE * total:
        return None
    total = max(total, int(kept.step.iloc[-1]))
    plan = np.interp(np.arange(1, total + 1), [0, *rate.step], [0.0, *rate.lr])
    loss, step = kept.loss.to_numpy(float), kept.step.to_numpy(int)
    final = float(np.mean(loss[min(np.searchsorted(step, (1 - FINAL) * total), len(loss) - 1) :]))
    made = Member(name, final if math.isfinite(final) else math.inf)
    monitor, seen = Monitor(Run(name, learning_rates=plan)), 0
    for check in CHECKS:
        until = int(np.searchsorted(step, check * total, side="right"))
        for s, y in zip(step[seen:until].tolist(), loss[seen:until].tolist(), strict=True):
            if s > 0:
                monitor.observe(Observation(s, y, float(plan[s - 1])))
        seen = until
        made.now[check] = float(np.mean(loss[max(0, until - max(1, until // 20)) : max(until, 1)]))
        forecast = monitor.forecast()
        if any(f.severity is Severity.CRITICAL for f in monitor.open_incidents):
            made.lost.add(check)
        elif forecast is not None:
            trouble = any(f.pages for f in monitor.open_incidents)
            made.ends[check] = Standing.of(name, check, forecast, spike=trouble)
    return made


def ours(risk: float) -> Rule:
    def rule(runs: list[Member]) -> dict[int, float]:
        stopped: dict[int, float] = {}
        spent = 0.0
        for check in CHECKS:
            left = [n for n in range(len(runs)) if n not in stopped]
            for n in [n for n in left if check in runs[n].lost][: len(left) - 1]:
                stopped[n] = check
            place = {runs[n].name: n for n in left if n not in stopped and check in runs[n].ends}
            for stop in runs_to_stop([runs[n].ends[check] for n in place.values()], risk=risk, spent=spent):
                spent += stop.chance
                stopped[place[stop.name]] = check
        return stopped

    return rule


def median_rule(runs: list[Member]) -> dict[int, float]:
    """Optuna's MedianPruner: worse now than the median of the runs still going."""
    stopped: dict[int, float] = {}
    for check in CHECKS:
        left = [n for n in range(len(runs)) if n not in stopped]
        middle = float(np.median([runs[n].now[check] for n in left]))
        for n in left:
            if not runs[n].now[check] <= middle and len(stopped) < len(runs) - 1:
                stopped[n] = check
    return stopped


def halving(of: Callable[[Member, float], float]) -> Rule:
    """Successive halving (Jamieson and Talwalkar 2016): the better half goes on at 20, 40 and 80 %."""

    def rule(runs: list[Member]) -> dict[int, float]:
        stopped: dict[int, float] = {}
        left = list(range(len(runs)))
        for check in (EARLIEST, 2 * EARLIEST, 4 * EARLIEST):
            left.sort(key=lambda n, at=check: of(runs[n], at))
            keep = max(len(left) // 2, 1)
            stopped |= dict.fromkeys(left[keep:], check)
            left = left[:keep]
        return stopped

    return rule


def clairvoyant(runs: list[Member]) -> dict[int, float]:
    best = min(range(len(runs)), key=lambda n: runs[n].final)
    return {n: EARLIEST for n in range(len(runs)) if n != best}


def by_forecast(run: Member, check: float) -> float:
    return float(np.median(run.ends[check].ends)) if check in run.ends else math.inf


def result(rule: Rule, sweep: list[Member]) -> tuple[float, bool, float]:
    """(part saved, winner killed, regret [nats])."""
    stopped = rule(sweep)
    best = min(range(len(sweep)), key=lambda n: sweep[n].final)
    left = min(run.final for n, run in enumerate(sweep) if n not in stopped)
    return sum(1 - at for at in stopped.values()) / len(sweep), best in stopped, left - sweep[best].final


def scored(rule: Rule, sweeps: list[list[Member]]) -> list[str]:
    saved, killed, regret = zip(*(result(rule, sweep) for sweep in sweeps), strict=True)
    regrets = [min(r, 9.999) for r in regret]
    return [
        f"{100 * np.mean(saved):.0f} %",
        f"{sum(killed)}/{len(killed)} = {100 * np.mean(killed):.1f} %",
        f"{np.mean(regrets):.4f}",
        f"{max(regrets):.3f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", action="store_true")
    parser.add_argument("--risk", type=float, nargs="*", default=[0.02, 0.05, 0.1, 0.2])
    options = parser.parse_args()
    console = Console(width=120)
    folder = Path(os.environ.get("SCALEWATCH_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    sweeps = load(folder)
    seeds = [runs for key, runs in sweeps.items() if key[0].startswith("supercollapse")]
    settings = {key: runs for key, runs in sweeps.items() if not key[0].startswith("supercollapse")}
    rng = np.random.default_rng(0)
    large = [runs for runs in settings.values() if len(runs) > 3]
    fours = [[runs[n] for n in rng.choice(len(runs), 4, replace=False)] for runs in large for _ in range(FOURS)]
    rules: dict[str, Rule] = {
        "clairvoyant": clairvoyant,
        "median rule (Optuna)": median_rule,
        "successive halving": halving(lambda run, check: run.now[check]),
        "halving by forecast": halving(by_forecast),
    } | {f"scalewatch, risk {risk:.0%}": ours(risk) for risk in options.risk}
    sets = [("settings", list(settings.values())), ("fours of them", fours), ("seeds alone", seeds)]
    sets[1:1] = [
        (f"settings, {source}", [r for k, r in settings.items() if k[0].startswith(source)]) for source in SOURCES[:4]
    ]
    for title, chosen in sets:
        table = Table(title=f"{title}: {len(chosen)} sweeps, {sum(map(len, chosen))} runs", title_justify="left")
        for column in ("rule", "saved", "winner killed", "regret [nats]", "worst"):
            table.add_column(column, justify="left" if column == "rule" else "right", min_width=8)
        for name, rule in rules.items():
            table.add_row(name, *scored(rule, chosen))
        console.print(table)
    if options.runs:
        rule = ours(options.risk[0])
        for key, runs in settings.items():
            saved, killed, regret = result(rule, runs)
            console.print(
                f"{key[0]:32} {len(runs):2} runs  saved {saved:4.0%}  regret {regret:.4f} {killed * 'KILLED'}"
            )


if __name__ == "__main__":
    main()

"""Finished runs of public sweeps, and what was known of each at every check."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from scalewatch import Monitor, Observation, Run, Severity
from scalewatch.advising.race import EARLIEST, Standing
from scalewatch.forecast.siblings import SiblingCurve

#: Where rules look, and where the rules of others look besides.
CHECKS = [round(0.05 * n, 2) for n in range(4, 20)]
SOURCES = ("lr_scheduling", "multipowerlaw", "minigpt_muon_adamw", "cs336", "supercollapse")
#: Sweeps of the course logs, by how their names begin; others of that source differ in the length or the batch.
COURSE = (
    *("lr-sweep", "edge", "phase05-", "phase1-", "phase15-", "phase2-lr", "phase2-size", "owt-lr"),
    *("phase3-", "phase4"),
)
FINAL, FEWEST_ROWS, WHOLE = 0.02, 20, 0.98
#: Runs of a sweep that is drawn from Taskset, and sweeps that are drawn of each task.
DRAWN, DRAWS = 16, 25
Key = tuple[str, float, float]


@dataclass
class Member:
    """A finished run: its rows, its plan, its final loss."""

    name: str
    steps: np.ndarray
    losses: np.ndarray
    plan: np.ndarray
    final: float
    unit: str | None = None
    _known: dict[float, Standing] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return len(self.plan)

    @property
    def from_start(self) -> bool:
        """Whether its log begins before a fifth; one that begins later was branched off another, and never waited."""
        return bool(self.steps[0] < EARLIEST * self.total)

    def now(self, check: float) -> float:
        """Mean of the last twentieth of the rows up to a check."""
        until = int(np.searchsorted(self.steps, check * self.total, side="right"))
        return float(np.mean(self.losses[max(0, until - max(1, until // 20)) : max(until, 1)]))

    def standing(self, check: float) -> Standing:
        """What was known at one of `CHECKS`, or at the end."""
        if check >= 1.0:
            whole = SiblingCurve.of(self.steps, self.losses, self.total, self.plan)
            return Standing.finished(self.name, self.final, whole)
        if not self._known:
            self._follow()
        return self._known[check]

    def _follow(self) -> None:
        monitor, seen = Monitor(Run(self.name, learning_rates=self.plan, loss_unit=self.unit)), 0
        for check in CHECKS:
            until = int(np.searchsorted(self.steps, check * self.total, side="right"))
            for s, y in zip(self.steps[seen:until].tolist(), self.losses[seen:until].tolist(), strict=True):
                if s > 0:
                    monitor.observe(Observation(s, y, float(self.plan[s - 1])))
            seen = until
            made = Standing.of(self.name, check, monitor.forecast())
            self._known[check] = replace(
                made,
                curve=SiblingCurve.of(self.steps[:until], self.losses[:until], self.total, self.plan),
                now=self.now(check),
                lost=any(f.severity is Severity.CRITICAL for f in monitor.open_incidents) or not self.now(check) < 1e9,
                spike=any(f.pages for f in monitor.open_incidents),
            )


def sweep_of(name: str, info: pd.Series) -> Key | None:
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


def public_sweeps(folder: Path) -> dict[Key, list[Member]]:
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
    return several(sweeps)


def several(sweeps: dict[Key, list[Member]]) -> dict[Key, list[Member]]:
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
    # every source but Taskset is one of text
    return Member(name, step, loss, plan, final if math.isfinite(final) else math.inf, "nats/token")


def taskset_sweeps(folder: Path, draws: int = DRAWS, seed: int = 0) -> dict[Key, list[Member]]:
    """Sweeps of 16 runs each, drawn from the curves of each task of Taskset; the final loss is that of the last row."""
    path = folder / "sweeps" / "taskset.parquet"
    if not path.exists():
        return {}
    rng = np.random.default_rng(seed)
    sweeps: dict[Key, list[Member]] = {}
    for task, rows in pd.read_parquet(path).groupby("task", observed=True):
        made: dict[int, Member] = {}
        for draw in range(draws):
            chosen = rng.choice(len(rows), DRAWN, replace=False).tolist()
            for n in chosen:
                if n not in made:
                    made[n] = _of_taskset(f"{task}/{n}", rows.iloc[n])
            sweeps[f"taskset/{task}", float(draw), 0.0] = [made[n] for n in chosen]
    return sweeps


def _of_taskset(name: str, row: pd.Series) -> Member:
    loss = row.valid_loss
    loss = np.array([float(y) for y in loss.strip("[]").split(",")] if isinstance(loss, str) else loss, dtype=float)
    final = float(loss[-1]) if math.isfinite(loss[-1]) else math.inf
    return Member(name, np.arange(1, len(loss) + 1), loss, np.full(len(loss), 1e-3), final)

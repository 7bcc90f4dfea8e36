"""The finished public runs that forecasts are scored on, with their whole learning-rate plans and their ladders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scalewatch import Run
from scalewatch.arrays import Floats
from scalewatch.laws import Curve

SOURCES = (
    *("multipowerlaw", "lr_scheduling", "gpt100m_3sched", "supercollapse"),
    *("build_nanogpt", "llmc", "modded_nanogpt", "minigpt_muon_adamw"),
)
#: A made-up regression; many epochs over a tiny set.
NOT_PRETRAINING = ("supercollapse/mlp", "_10m_")
FEWEST_ROWS = 40
#: A log is whole when it reaches this part of its plan, and its plan is known when this part of its rates is.
WHOLE, KNOWN = 0.98, 0.95
#: A log that begins later in its run than this says nothing about the beginning.
LATEST_START = 0.16
#: The outcome is the mean over this last part of the rows.
FINAL = 50
#: A ladder is of runs with at most so much of the parameters, and of at most so many runs.
SMALLER, MOST_RUNS = 0.6, 12


@dataclass(frozen=True, eq=False)
class Logged:
    """A finished run: steps and losses [nats/token] of its log, and the rate planned for every step."""

    run: Run
    source: str
    family: str
    steps: NDArray[np.int64]
    losses: Floats

    @property
    def total(self) -> int:
        """Planned steps."""
        return self.run.total_steps or 1

    @property
    def final(self) -> float:
        """The outcome [nats/token]."""
        return float(self.losses[-max(1, len(self.losses) // FINAL) :].mean())

    @property
    def floor_percent(self) -> float:
        """Standard error of the outcome by the log's own noise: no forecast can be scored finer."""
        late = self.losses[-max(10, len(self.losses) // 5) :]
        noise = float(np.std(np.diff(late))) / np.sqrt(2.0)
        return 100.0 * noise / np.sqrt(max(1, len(self.losses) // FINAL)) / self.final

    @property
    def curve(self) -> Curve:
        """The whole log, for a fit."""
        return Curve(self.run, self.steps, self.losses)

    def rows_before(self, fraction: float) -> int:
        """Rows that are known at this part of the run."""
        return int(np.searchsorted(self.steps, fraction * self.total))

    def now(self, rows: int) -> float:
        """Mean of the newest twentieth of the first `rows` [nats/token]."""
        return float(self.losses[max(0, rows - max(1, rows // 20)) : rows].mean())


def family_of(name: str) -> str:
    """What runs must have in common to be of one ladder or one sweep."""
    source, rest = name.split("/", 1)
    head = rest.split("_")[0]
    if source == "lr_scheduling":
        return f"{source}/{'openwebtext2' if 'openwebtext2' in rest else 'slimpajama'}"
    if source == "supercollapse":
        return f"{source}/{head}"
    if source == "minigpt_muon_adamw":
        return f"{source}/{head}/{'muon' if 'muon' in rest else 'adamw'}"
    return source if source in ("multipowerlaw", "gpt100m_3sched") else name


def load(folder: Path) -> list[Logged]:
    """Whole runs that neither diverged nor lost their loss, with a plan that is known from beginning to end."""
    infos = pd.read_csv(folder / "runs.csv").set_index("run_id")
    infos = infos[infos.source.isin(SOURCES)]
    labels = pd.read_csv(folder / "labels.csv", keep_default_na=False)
    lost = set(labels[labels.kind.isin(["divergence", "nan"])].run_id)
    wanted = [n for n in infos.index if n not in lost and not any(word in n for word in NOT_PRETRAINING)]
    columns = ["run_id", "split", "step", "loss", "lr"]
    curves = pd.read_parquet(folder / "curves.parquet", columns=columns, filters=[("run_id", "in", wanted)])
    groups = curves.groupby("run_id", observed=True, sort=True)
    found = (_logged(str(name), rows.sort_values("step"), infos.loc[str(name)]) for name, rows in groups)
    return [each for each in found if each is not None]


def _logged(name: str, rows: pd.DataFrame, info: pd.Series) -> Logged | None:
    train, held_out = rows[rows.split == "train"], rows[rows.split == "val"]
    # a train loss logged every fifty steps is one noisy batch a row: its held-out curve says more
    sparse = len(train) < 2 or train.step.diff().median() > 1
    kept = held_out if len(train) < FEWEST_ROWS or (sparse and len(held_out) >= FEWEST_ROWS) else train
    if len(kept) < FEWEST_ROWS or not np.isfinite(kept.loss).all():
        return None
    steps, rates = kept.step.to_numpy(np.int64), kept.lr.to_numpy(np.float64)
    if np.isnan(rates).all():  # rows of an evaluation carry no rate: that of the training rows around them
        told = rows[rows.lr.notna()]
        rates = np.interp(steps, told.step, told.lr, right=np.nan) if len(told) > 1 else rates
    planned = int(info.total_steps) if pd.notna(info.total_steps) else int(steps[-1])
    total = max(planned, int(steps[-1]))
    known = np.isfinite(rates)
    if steps[-1] < WHOLE * planned or known.mean() < KNOWN or steps[0] > LATEST_START * total:
        return None
    plan = np.interp(np.arange(1, total + 1), [0, *steps[known]], [0.0, *rates[known]])
    size = int(info.n_params) if pd.notna(info.n_params) else None
    tokens = float(info.batch_tokens) if pd.notna(info.batch_tokens) else None
    run = Run(name, total, plan, parameters=size, tokens_per_step=tokens)
    return Logged(run, str(info.source), family_of(name), steps, kept.loss.to_numpy(np.float64))


def ladder_of(run: Logged, pool: Sequence[Logged]) -> tuple[Logged, ...]:
    """The largest finished runs of the family that are clearly smaller than `run`; none if there are not two."""
    size = run.run.parameters
    if not size:
        return ()
    fits = [each for each in pool if each.family == run.family and 0 < (each.run.parameters or 0) <= SMALLER * size]
    fits.sort(key=lambda each: (-(each.run.parameters or 0), each.run.name))
    return tuple(fits[:MOST_RUNS]) if len(fits) > 1 else ()

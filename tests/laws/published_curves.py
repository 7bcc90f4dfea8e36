"""The 18 curves of the multi-power law's repository, with the plans their runs followed."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.laws.curve import Curve
from scalewatch.run import Run

#: Peak and end rate, warm-up and where the decay of a WSD plan begins [steps], as in the repository.
PEAK, END, WARMUP, DECAY_FROM, TWO_STAGE_FROM = 3e-4, 3e-5, 2_160, 20_000, 8_000
TRAIN = ("cosine_24000", "constant_24000", "wsdcon_9")
TEST = ("constant_72000", "cosine_72000", "wsd_20000_24000", "wsdld_20000_24000", "wsdcon_3", "wsdcon_18")
STEPS = {"constant_72000": 72_000, "cosine_72000": 72_000, "wsdcon_3": 16_000, "wsdcon_9": 16_000, "wsdcon_18": 16_000}


class Law(Protocol):
    """Anything that gives losses for a plan."""

    def losses(self, learning_rates: ArrayLike, steps: ArrayLike) -> Floats:
        """Loss after `steps` of a plan."""


def plan(schedule: str) -> Floats:
    """Learning rate of steps 1..T; the repository counts from a step 0 of rate zero."""
    total = STEPS.get(schedule, 24_000)
    step = np.arange(total, dtype=np.float64)
    rates = np.full(total, PEAK)
    if schedule.startswith("cosine"):
        rates = END + (PEAK - END) * 0.5 * (1 + np.cos(np.pi * (step - WARMUP) / (total - WARMUP)))
    share = np.clip((step - DECAY_FROM) / (24_000 - DECAY_FROM), 0.0, 1.0)
    if schedule.startswith("wsd_"):
        rates = PEAK * (END / PEAK) ** share
    if schedule.startswith("wsdld_"):
        rates = PEAK + (END - PEAK) * share
    if schedule.startswith("wsdcon_"):
        rates = np.where(step >= TWO_STAGE_FROM, int(schedule.rsplit("_", 1)[1]) * 1e-5, PEAK)
    rates[:WARMUP] = np.linspace(0.0, PEAK, WARMUP)
    return rates[1:]


@cache
def _rows(folder: Path) -> pd.DataFrame:
    rows = pd.read_parquet(folder / "curves.parquet", columns=["run_id", "step", "loss"])
    return rows[rows.run_id.str.startswith("multipowerlaw/")]


def curve(folder: Path, size: str, schedule: str) -> Curve:
    """One run as material for a law."""
    rows = _rows(folder)
    own = rows[rows.run_id == f"multipowerlaw/{size}_{schedule}"]
    rates = plan(schedule)
    own = own[own.step <= len(rates)]
    return Curve(Run(f"{size} {schedule}", learning_rates=rates), own.step.to_numpy(), own.loss.to_numpy())


def scores(folder: Path, size: str, law: Law) -> tuple[float, float]:
    """Mean over the six test curves of R2 and of the mean absolute error, as in the repository."""
    r2, mae = [], []
    for schedule in TEST:
        run = curve(folder, size, schedule)
        plan_of = run.run.learning_rates
        assert plan_of is not None
        error = law.losses(plan_of, run.steps) - run.loss
        r2.append(1.0 - float(error @ error) / float(np.sum((run.loss - run.loss.mean()) ** 2)))
        mae.append(float(np.abs(error).mean()))
    return float(np.mean(r2)), float(np.mean(mae))

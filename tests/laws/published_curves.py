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
from scalewatch.reproduce.curve_rows import TEST, planned_rates
from scalewatch.run import Run


class Law(Protocol):
    """Anything that gives losses for a plan."""

    def losses(self, learning_rates: ArrayLike, steps: ArrayLike) -> Floats:
        """Loss after `steps` of a plan."""


@cache
def _rows(folder: Path) -> pd.DataFrame:
    rows = pd.read_parquet(folder / "curves.parquet", columns=["run_id", "step", "loss"])
    return rows[rows.run_id.str.startswith("multipowerlaw/")]


def curve(folder: Path, size: str, schedule: str) -> Curve:
    """One run as material for a law."""
    rows = _rows(folder)
    own = rows[rows.run_id == f"multipowerlaw/{size}_{schedule}"]
    rates = planned_rates(schedule)
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

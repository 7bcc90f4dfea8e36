"""Rows 9 to 11 and 14: laws of whole curves on the runs of Luo et al. (2025), and collapse on those of Qiu et al."""

from __future__ import annotations

import re
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from scalewatch.arrays import Floats
from scalewatch.fitting.annealing import fit_annealing
from scalewatch.fitting.multi_power import fit_multi_power
from scalewatch.laws.collapse import CollapseRun, measure_collapse
from scalewatch.laws.curve import Curve
from scalewatch.laws.multi_power import MultiPowerLaw
from scalewatch.reproduce.data import RUNS, DataFolder, DataMissingError
from scalewatch.reproduce.row import Check
from scalewatch.run import Run

__all__ = ["annealing_fit", "collapse", "multi_power_fit", "multi_power_published", "planned_rates", "published_curves"]

#: The plans of the repository: peak and end rate, and where each part begins [steps].
PEAK, END, WARMUP, DECAY_FROM, TWO_STAGE_FROM = 3e-4, 3e-5, 2_160, 20_000, 8_000
#: Schedules that laws are fitted on, and those they are scored on.
TRAIN = ("cosine_24000", "constant_24000", "wsdcon_9")
TEST = ("constant_72000", "cosine_72000", "wsd_20000_24000", "wsdld_20000_24000", "wsdcon_3", "wsdcon_18")
#: Models in the folder; the repository has one of 400M too.
SIZES = ("25M", "100M")


class _Law(Protocol):
    def losses(self, learning_rates: ArrayLike, steps: ArrayLike) -> Floats: ...


def planned_rates(schedule: str) -> Floats:
    """Return the learning rates of steps 1..T of a schedule of Luo et al. (2025), whose step 0 has rate zero."""
    total = 72_000 if schedule.endswith("_72000") else 16_000 if schedule.startswith("wsdcon_") else 24_000
    step = np.arange(total, dtype=np.float64)
    rates = np.full(total, PEAK)
    share = np.clip((step - DECAY_FROM) / (total - DECAY_FROM), 0.0, 1.0) if total > DECAY_FROM else 0.0 * step
    if schedule.startswith("cosine"):
        rates = END + (PEAK - END) * 0.5 * (1 + np.cos(np.pi * (step - WARMUP) / (total - WARMUP)))
    elif schedule.startswith("wsd_"):
        rates = PEAK * (END / PEAK) ** share
    elif schedule.startswith("wsdld_"):
        rates = PEAK + (END - PEAK) * share
    elif schedule.startswith("wsdcon_"):
        rates = np.where(step >= TWO_STAGE_FROM, int(schedule.rsplit("_", 1)[1]) * 1e-5, PEAK)
    rates[:WARMUP] = np.linspace(0.0, PEAK, WARMUP)
    return rates[1:]


def published_curves(data: DataFolder, size: str, schedules: tuple[str, ...]) -> list[Curve]:
    """Return the curves of Luo et al. (2025) of one model, "25M" or "100M", with their planned rates.

    Raises:
        DataMissingError: if one of the schedules is not there.
    """
    logged = data.curves(f"multipowerlaw/{size}_")
    found = []
    for schedule in schedules:
        name = f"multipowerlaw/{size}_{schedule}"
        if name not in logged:
            raise DataMissingError(f"The run {name} is missing.")
        steps, losses = logged[name]
        plan = planned_rates(schedule)
        within = steps <= len(plan)
        found.append(Curve(Run(f"{size} {schedule}", learning_rates=plan), steps[within], losses[within]))
    return found


def _scores(data: DataFolder, size: str, law: _Law) -> tuple[float, float]:
    """Mean over the unseen schedules of R2 and of the mean absolute error [nats/token]."""
    scores = []
    for curve in published_curves(data, size, TEST):
        plan = curve.run.learning_rates
        assert plan is not None
        error = law.losses(plan, curve.steps) - curve.loss
        scatter = float(np.sum((curve.loss - curve.loss.mean()) ** 2))
        scores.append((1.0 - float(error @ error) / scatter, float(np.abs(error).mean())))
    r2, mae = np.mean(scores, axis=0)
    return float(r2), float(mae)


def multi_power_published(data: DataFolder) -> list[Check]:
    """The published constants, scored on six schedules."""
    checks = []
    for size, r2, mae in (("25M", 0.9988, 0.00376), ("100M", 0.9983, 0.00435)):
        ours = _scores(data, size, MultiPowerLaw.published(size))
        checks += [Check(f"{size} R2", r2, ours[0], 1e-4), Check(f"{size} MAE, nats", mae, ours[1], 1e-5)]
    return checks


def multi_power_fit(data: DataFolder) -> list[Check]:
    """An own fit to three schedules, scored on six others."""
    checks = []
    for size, mae in (("25M", 0.0042), ("100M", 0.0040)):
        ours = _scores(data, size, fit_multi_power(published_curves(data, size, TRAIN)).law)
        checks += [
            Check(f"{size} R2", 0.998, ours[0], how="at least"),
            Check(f"{size} MAE, nats", mae, ours[1], how="at most"),
        ]
    return checks


def annealing_fit(data: DataFolder) -> list[Check]:
    """The annealing law fitted to three schedules, scored on six others."""
    checks = []
    for size, r2, memory in (("25M", 0.9980, 200.0), ("100M", 0.9985, 500.0)):
        fit = fit_annealing(published_curves(data, size, TRAIN), count_warmup=True)
        checks.append(Check(f"{size} R2", r2, _scores(data, size, fit.law)[0], 5e-4))
        checks.append(Check(f"{size} memory, steps", memory, fit.law.memory_steps))
    return checks


def collapse(data: DataFolder) -> list[Check]:
    """Spread over sizes and seeds against the noise of seeds, at 80 % of the run."""
    checks = []
    for family, published in (("mlp_D", 0.60), ("c5m_D", 0.18)):
        logged = data.curves(f"supercollapse/{family}")
        about = {row["run_id"]: row for row in data.table(RUNS, source="supercollapse")}
        runs, compute = [], []
        for name, (steps, losses) in logged.items():
            size, length = float(about[name]["n_params"]), float(about[name]["total_steps"])
            seed = re.search(r"seed(\d+)", name)
            seen = steps > 0
            runs.append(CollapseRun(size, seed[1] if seed else name, steps[seen] / length, losses[seen]))
            compute.append(size * length)
        ours = measure_collapse(runs, compute=compute).ratio_at(0.8)
        checks.append(Check(f"Delta/sigma, {family.partition('_')[0]}", published, ours, 0.05))
    return checks

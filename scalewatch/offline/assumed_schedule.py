"""How a run is taken to have been planned, from what its log says and what a user says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import ConfigError
from scalewatch.run import MAX_PLANNED_STEPS, Run

__all__ = ["SCHEDULES", "WHOLE", "AssumedSchedule", "assume_schedule"]

#: Plans that can be named.
SCHEDULES = ("from-log", "cosine", "linear", "wsd", "constant", "unknown")
#: Final rate over peak of a cosine (Hoffmann et al. 2022), and part of a WSD run that decays (Hägele et al. 2024).
COSINE_END, WSD_DECAY = 0.1, 0.2
#: Warm-up of a named schedule where the log shows no rates, as a part of the run.
WARMUP_SHARE = 0.01
#: Part of the plan that a log must reach for its end to count as the truth.
WHOLE = 0.98
#: A rate this far off a plan is not of it, relative to the peak.
OTHER_RATE = 0.15


@final
@dataclass(frozen=True, slots=True, eq=False)
class AssumedSchedule:
    """A run as it is taken to have been planned, and what that rests on, a sentence each."""

    run: Run
    told: tuple[str, ...]


def assume_schedule(
    name: str,
    known: Run,
    steps: ArrayLike,
    learning_rates: ArrayLike,
    total_steps: int | None = None,
    schedule: str | None = None,
    *,
    options: bool = True,
) -> AssumedSchedule:
    """Return the run as planned: its length and its learning rates.

    Args:
        name: of the run. known: the run as the log describes it. steps: of its rows, shape (n,), not empty.
        learning_rates: of its rows, shape (n,), NaN where unknown. total_steps: length, where somebody said it.
        schedule: one of `SCHEDULES`; None for what the log knows. options: whether the sentences name the options of
            the command line.

    Raises:
        ConfigError: if the schedule is none. RunError: if the length is less than a plan has.
    """
    if schedule is not None and schedule not in SCHEDULES:
        raise ConfigError(f"`--schedule` must be one of {', '.join(SCHEDULES)} (got {schedule!r:.40}).")
    at, rate = np.asarray(steps), np.asarray(learning_rates, dtype=np.float64)
    last, notes = int(at.max()), list[str]()
    total = total_steps or known.total_steps
    if total is None:
        total = last
        hint = " (--total-steps N)" if options else ""
        notes.append(f"The planned length is not known: the log's last step, {total:,}, is taken{hint}.")
    elif last > total:
        notes.append(f"The log goes on to step {last:,}, beyond the {total:,} planned: the length was wrong.")
    rates = None
    if total > MAX_PLANNED_STEPS:
        notes.append("The plan is too long to be held: its learning rates count as unknown.")
    elif schedule in (None, "from-log"):
        rates = _from_log(known, at, rate, total, notes, " (--schedule NAME)" if options else "")
    elif schedule != "unknown":
        rates = _named(at, rate, total, schedule, notes, "--schedule " if options else "the schedule ")
    return AssumedSchedule(replace(known, name=name, total_steps=total, learning_rates=rates), tuple(notes))


def _from_log(
    run: Run, steps: NDArray[np.int64], rates: Floats, total: int, notes: list[str], hint: str
) -> Floats | None:
    plan = run.learning_rates
    if plan is not None and len(plan) == total:
        return np.asarray(plan)
    known = np.isfinite(rates) & (rates >= 0) & (steps >= 1)
    if not known.any() or rates[known].max() <= 0:
        notes.append(f"The log has no learning rates: both holding and decaying are in the interval{hint}.")
        return None
    if steps[known].max() < WHOLE * total:
        notes.append(
            f"The rates after step {steps[known].max():,} are not known: both holding and decaying are in the "
            f"interval{hint}."
        )
        return None
    at, first = np.unique(steps[known], return_index=True)
    notes.append("The rates of the whole log count as planned.")
    return np.asarray(np.interp(np.arange(1, total + 1), at, rates[known][first]))


def _named(steps: NDArray[np.int64], rates: Floats, total: int, schedule: str, notes: list[str], called: str) -> Floats:
    known = np.isfinite(rates) & (rates >= 0) & (steps >= 1) & (steps <= total)
    peak, warmup = 1.0, max(round(WARMUP_SHARE * total), 1)
    if known.any() and rates[known].max() > 0:
        peak = float(rates[known].max())
        warmup = int(steps[known][np.argmax(rates[known] >= 0.999 * peak)])
    else:
        notes.append(f"The log has no learning rates: a warm-up of {warmup:,} steps is taken.")
    step = np.arange(1, total + 1)
    share = np.clip((step - warmup) / max(total - warmup, 1), 0.0, 1.0)
    falling = {
        "cosine": COSINE_END + (1.0 - COSINE_END) * 0.5 * (1.0 + np.cos(np.pi * share)),
        "linear": 1.0 - share,
        "wsd": np.clip((total - step) / (WSD_DECAY * total), 0.0, 1.0),
        "constant": np.ones(total),
    }[schedule]
    plan = peak * np.minimum(step / warmup, falling)
    if known.any():
        off = np.abs(plan[steps[known] - 1] - rates[known]) > OTHER_RATE * peak
        if off.any():
            at = int(steps[known][np.argmax(off)])
            notes.append(
                f"The rates in the log are not those of {called}{schedule}: {rates[known][np.argmax(off)]:.3g} at "
                f"step {at:,} against {plan[at - 1]:.3g}. What is said holds for a run that follows the schedule."
            )
    return np.asarray(plan)

"""Other learning-rate schedules for the rest of a run.

Each is the rates of the steps still to come. Decays end at zero: linear to zero is what controlled comparisons
favour (Bergsma et al. 2025, arXiv 2502.15938), and holding with a decay over the last tenth to fifth is as good as
a cosine of that length (Hägele et al. 2024, arXiv 2405.18392, which also gives the 1-sqrt shape).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.errors import ConfigError
from scalewatch.run import MAX_PLANNED_STEPS

__all__ = [
    "DECAY_NOW_SHARE",
    "DECAY_SHARE",
    "EXTENSION",
    "FACTOR",
    "CandidateSchedule",
    "decay_now",
    "extended",
    "given",
    "hold",
    "hold_then_decay",
    "scaled",
    "usual",
]

Floats = NDArray[np.float64]

#: Part of all steps over which a held rate decays at the end (Hägele et al. 2024, figure 5: 0.1 to 0.2 are enough).
DECAY_SHARE = 0.2
#: Part of the steps so far over which a decay that starts now ends (Hägele et al. 2024, figure 5).
DECAY_NOW_SHARE = 0.1
#: What `usual` tries beside decays: part of the plan by which it is made longer, and factor of its rates. By hand.
EXTENSION, FACTOR = 0.25, 0.5
#: Rates this near, relative to their highest, are one schedule under two names. By hand.
SAME = 0.01
#: Rates of two schedules that are compared. By hand.
MOST_COMPARED = 4_096

#: Name -> rate over its peak, of the part of the decay that is done (linear: Bergsma et al. 2025; 1-sqrt: Hägele et al.
#: 2024).
_SHAPES: dict[str, Callable[[Floats], Floats]] = {"linear": lambda u: 1.0 - u, "1-sqrt": lambda u: 1.0 - np.sqrt(u)}


@final
@dataclass(frozen=True, slots=True, eq=False)
class CandidateSchedule:
    """One way to go on from the newest step.

    Attributes:
        name: what people call it.
        rates: learning rates of the steps to come, shape (n,), in the unit of the run.

    Raises:
        ConfigError: if the rates are no rates.
    """

    name: str
    rates: Floats

    def __post_init__(self) -> None:
        rates = np.asarray(self.rates, dtype=np.float64)
        if rates.ndim != 1 or not 1 <= len(rates) <= MAX_PLANNED_STEPS:
            raise ConfigError(f"`rates` must have shape (steps to come,), at least one (got shape {rates.shape}).")
        if not np.all(np.isfinite(rates)) or rates.min() < 0:
            raise ConfigError("`rates` must be finite and not negative.")
        object.__setattr__(self, "rates", rates)


def given(rates: ArrayLike, name: str = "as given") -> CandidateSchedule:
    """Return the schedule of some rates of the steps to come, shape (n,)."""
    return CandidateSchedule(name, np.asarray(rates, dtype=np.float64))


def hold(rate: float, steps: int) -> CandidateSchedule:
    """Return `rate` held for `steps` more."""
    return CandidateSchedule("hold", np.full(_steps(steps), rate))


def hold_then_decay(
    rate: float, steps: int, total_steps: int, share: float = DECAY_SHARE, shape: str = "linear"
) -> CandidateSchedule:
    """Return `rate` held, then decayed to zero over the last `share` of all steps.

    Args:
        rate: now. steps: still to come. total_steps: of the whole run.
        share: in (0, 1]; a decay that should have begun begins now. shape: "linear" or "1-sqrt".

    Raises:
        ConfigError: if `share` or `shape` is none.
    """
    if not 0.0 < share <= 1.0:
        raise ConfigError(f"`share` must lie above 0 and at most at 1 (got {share!r}), e.g. 0.2 for the last 20 %.")
    if shape not in _SHAPES:
        raise ConfigError(f"`shape` must be one of {', '.join(_SHAPES)} (got {shape!r:.40}).")
    count = _steps(steps)
    falling = min(max(round(share * total_steps), 1), count)
    down = _SHAPES[shape](np.arange(1, falling + 1) / falling)
    name = f"hold, {shape} to 0 in last {100 * falling / total_steps:.3g} %"
    if falling == count:
        name = f"{shape} to 0 from now on"
    return CandidateSchedule(name, rate * np.concatenate([np.ones(count - falling), down]))


def decay_now(rate: float, step: int, share: float = DECAY_NOW_SHARE) -> CandidateSchedule:
    """Return a linear decay to zero over `share` of the `step` steps so far, and the end of the run after it."""
    if not 0.0 < share <= 1.0:
        raise ConfigError(f"`share` must lie above 0 and at most at 1 (got {share!r}), e.g. 0.1 for 10 %.")
    falling = max(round(share * step), 1)
    return CandidateSchedule(f"decay now in {falling:,} steps", rate * (1.0 - np.arange(1, falling + 1) / falling))


def extended(rest: Floats, steps: int) -> CandidateSchedule:
    """Return the rates still planned, stretched or pressed to `steps` more or fewer."""
    count = _steps(len(rest) + steps)
    at = np.linspace(0.0, 1.0, count) if count > 1 else np.ones(1)
    rates = np.interp(at, np.linspace(0.0, 1.0, max(len(rest), 2)), rest if len(rest) > 1 else np.repeat(rest, 2))
    word = "longer" if steps > 0 else "shorter"
    return CandidateSchedule(f"{abs(steps):,} steps {word}", rates)


def scaled(rest: Floats, factor: float) -> CandidateSchedule:
    """Return the rates still planned times `factor`.

    Raises:
        ConfigError: if `factor` is not positive and finite.
    """
    if not 0.0 < factor < 1e6:
        raise ConfigError(f"`factor` must be positive, below 1e6 (got {factor!r}), e.g. 0.5 for half the rate.")
    return CandidateSchedule(f"rate × {factor:g}", factor * rest)


def usual(rate: float, rest: Floats, step: int, total_steps: int) -> list[CandidateSchedule]:
    """Return the usual ways to go on from `step`, each once, and none that is the plan itself.

    Decay now and stop; hold, then decay, in two shapes; decay from now on; hold; longer; at half the rate.

    Args:
        rate: now, above 0. rest: rates still planned, shape (total_steps - step,).
        step: steps completed. total_steps: planned.
    """
    left = total_steps - step
    every = [
        decay_now(rate, step),
        *(hold_then_decay(rate, left, total_steps, shape=shape) for shape in _SHAPES),
        hold_then_decay(rate, left, total_steps, share=1.0),
        hold(rate, left),
        extended(rest, max(round(EXTENSION * total_steps), 1)),
        scaled(rest, FACTOR),
    ]
    # a decay that has to begin at once is one schedule under two names; holding may be the plan itself
    kept: list[CandidateSchedule] = []
    for each in every:
        if not any(_same(each.rates, other) for other in (rest, *(k.rates for k in kept))):
            kept.append(each)
    return kept


def _same(one: Floats, other: Floats) -> bool:
    if len(one) != len(other):
        return False
    # shapes that differ do so over more than a step: of a long plan, some of its rates tell
    few = np.unique(np.linspace(0, len(one) - 1, MOST_COMPARED).astype(int))
    return bool(np.abs(one[few] - other[few]).max() <= SAME * max(one[few].max(), other[few].max()))


def _steps(steps: int) -> int:
    if not 1 <= steps <= MAX_PLANNED_STEPS:
        raise ConfigError(f"`steps` still to come must be 1 to {MAX_PLANNED_STEPS:,} (got {steps:,}).")
    return steps

"""Signs in a curve that no law of falling loss curves describes it: its forecast is then not to be taken for more.

Each is a sentence for people; none changes the number.
"""

from __future__ import annotations

import math
from typing import NamedTuple, final

import numpy as np

from scalewatch.forecast.forecast import Forecast
from scalewatch.forecast.forecaster import Forecaster

__all__ = ["Doubt", "disagreement", "doubts"]

#: Loss below which a model recites its data: text has more entropy than that (Hoffmann et al. 2022: E = 1.7 nats/token
#: over web text; code is near 0.5), so laws of pre-training say nothing [nats/token].
RECITES = 0.3
#: Part of the steps so far, at their end, held against the lowest stretch before, and how far [standard errors].
RECENT_SHARE, SIGMAS = 0.1, 4.0
#: A rise that is worth a word, relative: the misfit of a law of loss curves (0.3 %), twice.
RISE = 0.006
#: Rate off its plan, relative to the plan's peak.
OTHER_RATE = 0.15


@final
class Doubt(NamedTuple):
    """What speaks against a forecast.

    Attributes:
        text: a sentence. void: whether no law holds at all, so that its number is worth nothing.
    """

    text: str
    void: bool


def doubts(forecaster: Forecaster, rate: float | None = None) -> list[Doubt]:
    """Return what speaks against a forecast of this run.

    Args:
        forecaster: of the run. rate: learning rate of the newest step, None if unknown.
    """
    _, means, losses, rows = forecaster.blocks.arrays()
    said: list[Doubt] = []
    if len(losses) and losses[-1] < RECITES:
        said.append(
            Doubt(
                f"The loss is {losses[-1]:.2g}: so little is left that the model recites its data. Laws of "
                "pre-training say nothing about that.",
                True,
            )
        )
    rising = _rising(means, losses, rows, forecaster.blocks.log_noise)
    if rising is not None:
        said.append(
            Doubt(
                f"The loss has been rising since step {rising:,}, and laws of loss curves only fall: overfitting, "
                "other data or too high a rate. The forecast is that of a run that recovers.",
                True,
            )
        )
    plan, step = forecaster.run.learning_rates, forecaster.blocks.last_step
    if plan is not None and rate is not None and math.isfinite(rate) and 0 < step <= len(plan):
        planned, peak = float(plan[step - 1]), float(plan.max())
        if abs(rate - planned) > OTHER_RATE * peak:
            said.append(
                Doubt(
                    f"The learning rate is {rate:.3g} at step {step:,}, and the plan has {planned:.3g}: the forecast "
                    "is that of the plan.",
                    False,
                )
            )
    total = forecaster.run.total_steps
    if total is not None and step > total:
        said.append(Doubt(f"The run is at step {step:,}, beyond the {total:,} planned: its length was wrong.", False))
    return said


def _rising(means: np.ndarray, losses: np.ndarray, rows: np.ndarray, noise: float) -> int | None:
    if len(losses) < 8:
        return None
    recent = means >= (1.0 - RECENT_SHARE) * means[-1]
    before = ~recent
    if not before.any() or recent.sum() < 1:
        return None
    level = float(np.average(losses[recent], weights=rows[recent]))
    lowest = int(np.argmin(np.where(before, losses, np.inf)))
    error = noise * math.hypot(rows[recent].sum() ** -0.5, rows[lowest] ** -0.5)
    if level / losses[lowest] - 1.0 <= max(RISE, SIGMAS * error):
        return None
    return int(means[lowest])


def disagreement(with_law: Forecast, alone: Forecast) -> str | None:
    """Return a sentence if a ladder's law and the run's own curve contradict each other; None if they do not."""
    low, high = with_law.interval(0.95)
    own_low, own_high = alone.interval(0.95)
    if low <= own_high and own_low <= high:
        return None
    return (
        f"The law and the run's own curve contradict each other: by its curve alone it ends at {alone.final_loss:.3f} "
        f"(95 %: {own_low:.3f} to {own_high:.3f}). A law of another tokenizer, unit or batch size does "
        "that: trust neither."
    )

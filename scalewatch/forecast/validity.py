"""Signs in a curve that no law of falling loss curves describes it: its forecast is then not to be taken for more.

Each is a sentence for people. Where the curve rises, the interval also holds that it goes on to rise.
"""

from __future__ import annotations

import math
from typing import NamedTuple, final

import numpy as np

from scalewatch.forecast.forecast import Forecast
from scalewatch.laws import LossBlocks

__all__ = ["Rise", "ValidityWarning", "disagreement", "rising_trend", "validity_warnings"]

#: Part of the steps so far, at their end, held against the lowest stretch before, and how far [standard errors].
#: By hand.
RECENT_SHARE, SIGMAS = 0.1, 4.0
#: A rise that is worth a word, relative: the misfit of a law of loss curves (0.3 %), twice. By hand.
RISE = 0.006


@final
class ValidityWarning(NamedTuple):
    """What speaks against a forecast.

    Attributes:
        text: a sentence. void: whether no law holds at all, so that its number is worth nothing.
    """

    text: str
    void: bool


@final
class Rise(NamedTuple):
    """A curve that rises.

    Attributes:
        since: step of its lowest stretch. per_step: how fast it has risen since [nats/token per step].
    """

    since: int
    per_step: float

    @property
    def text(self) -> str:
        """What that means for a forecast, in a sentence."""
        return (
            f"The loss has been rising since step {self.since:,}, and laws of loss curves only fall: overfitting, "
            "other data or too high a rate. The interval holds both that it recovers and that it goes on."
        )


def validity_warnings(blocks: LossBlocks, total_steps: int | None, no_law: str = "") -> list[ValidityWarning]:
    """Return what speaks against a forecast of a run.

    Args:
        blocks: its curve. total_steps: planned. no_law: why no law describes it, "" where one may.
    """
    warnings: list[ValidityWarning] = []
    if no_law:
        warnings.append(ValidityWarning(f"No forecast: {no_law}.", True))
    rise = rising_trend(blocks)
    if rise is not None:
        warnings.append(ValidityWarning(rise.text, True))
    step = blocks.last_step
    if total_steps is not None and step > total_steps:
        text = f"The run is at step {step:,}, beyond the {total_steps:,} planned: its length was wrong."
        warnings.append(ValidityWarning(text, False))
    return warnings


def rising_trend(blocks: LossBlocks) -> Rise | None:
    """Return the rise that a curve is in, None if it is in none that is worth a word."""
    blocks = blocks.newest
    _, means, losses, rows = blocks.arrays()
    if len(losses) < 8:
        return None
    recent = means >= (1.0 - RECENT_SHARE) * means[-1]
    before = ~recent
    if not before.any() or recent.sum() < 1:
        return None
    share = rows[recent] / rows[recent].sum()
    level, at = float(share @ losses[recent]), float(share @ means[recent])
    lowest = int(np.argmin(np.where(before, losses, np.inf)))
    error = blocks.log_noise * math.hypot(rows[recent].sum() ** -0.5, rows[lowest] ** -0.5)
    if level / losses[lowest] - 1.0 <= max(RISE, SIGMAS * error):
        return None
    return Rise(int(means[lowest]), (level - float(losses[lowest])) / max(at - float(means[lowest]), 1.0))


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

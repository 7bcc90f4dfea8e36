"""Published laws of the best learning rate and batch size: advice bands, never a setting.

    Step Law   lr = 1.79 N^-0.713 D^0.307      batch = 0.58 D^0.571 tokens
    DeepSeek   lr = 0.3118 C^-0.1250           batch = 0.2920 C^0.3271 tokens

Why only bands: both papers find a wide basin in which the loss is as good (DeepSeek takes what is within
0.25 % of the best as optimal), both fitted other schedules, optimizers and data than yours, and the two
disagree with each other. So every answer is a low and a high value, is labelled as advice, and carries the reasons.

Sources: Li et al. (2025), arXiv 2503.04715, equation 1; DeepSeek-AI (2024), arXiv 2401.02954, equation 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import final

from scalewatch.errors import ConfigError
from scalewatch.laws.size import FLOPS_PER_PARAMETER_TOKEN, Parameters, SizeKind, count_for, positive

__all__ = ["AdviceBand", "BandSource", "advise_batch_tokens", "advise_learning_rate"]

#: Factor to either side of the formula: by hand. Both papers plot a wide basin, neither prints its width, and their
#: formulas differ by about this factor from one another along a compute-optimal path.
HALF_WIDTH = 2.0
#: Step Law was fitted on 59M to 1B non-vocabulary parameters and about 2e9 to 1e11 tokens (Li et al. 2025, arXiv
#: 2503.04715).
STEP_LAW_SIZES = (5.9e7, 1.1e9)
STEP_LAW_TOKENS = (2e9, 1e11)
#: DeepSeek fitted 1e17 to 2e19 FLOP and checked at 1e20 (DeepSeek-AI 2024, arXiv 2401.02954).
DEEPSEEK_FLOPS = (1e17, 1e20)


@final
class BandSource(StrEnum):
    """Whose formula a band is built around."""

    STEP_LAW = "step_law"
    DEEPSEEK = "deepseek"


@final
@dataclass(frozen=True, slots=True)
class AdviceBand:
    """A range to start a sweep in; not a prediction, and without a probability.

    Attributes:
        quantity: "learning rate" (peak, AdamW) or "batch" [tokens].
        low, middle, high: the band and the formula's own value, in the unit of the quantity.
        source: whose formula. notes: why not to trust it here, a sentence each.
    """

    quantity: str
    low: float
    middle: float
    high: float
    source: BandSource
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the band as a sentence that says it is advice."""
        return f"Advice, not a law of your recipe: {self.quantity} {self.low:.2g} to {self.high:.2g} ({self.source})."

    def holds(self, value: float) -> bool:
        """Return whether `value` lies in the band."""
        return self.low <= value <= self.high


def advise_learning_rate(size: Parameters, tokens: float, source: BandSource = BandSource.STEP_LAW) -> AdviceBand:
    """Return a band for the peak learning rate of AdamW.

    Args:
        size: non-embedding parameters (both papers leave the vocabulary out).
        tokens: D, training tokens, count.
        source: whose formula. DeepSeek's C is taken as 6 N D; attention adds a few percent to it.

    Raises:
        ConfigError: if a number is not positive, the size counts something else, or there is no such source.

    >>> from scalewatch.laws.size import non_embedding
    >>> print(advise_learning_rate(non_embedding(1e9), 1e11))
    Advice, not a law of your recipe: learning rate 0.00082 to 0.0033 (step_law).
    """
    count, data, flops = _inputs(size, tokens)
    if _known(source) is BandSource.STEP_LAW:
        middle = 1.79 * count**-0.713 * data**0.307
    else:
        middle = 0.3118 * flops**-0.1250
    return _band("learning rate", middle, source, count, data, flops)


def advise_batch_tokens(size: Parameters, tokens: float, source: BandSource = BandSource.STEP_LAW) -> AdviceBand:
    """Return a band for the batch size [tokens].

    Args:
        size: non-embedding parameters; Step Law's batch does not depend on it, its range does.
        tokens: D, training tokens, count. source: whose formula.

    Raises:
        ConfigError: as `advise_learning_rate`.

    >>> from scalewatch.laws.size import non_embedding
    >>> f"{advise_batch_tokens(non_embedding(1e9), 1e11).middle:.2e}"
    '1.11e+06'
    """
    count, data, flops = _inputs(size, tokens)
    middle = 0.58 * data**0.571 if _known(source) is BandSource.STEP_LAW else 0.2920 * flops**0.3271
    return _band("batch", middle, source, count, data, flops)


def _known(source: BandSource) -> BandSource:
    try:
        return BandSource(source)
    except ValueError:
        names = ", ".join(s.value for s in BandSource)
        raise ConfigError(f"`source` must be one of {names} (got {source!r:.80}).") from None


def _inputs(size: Parameters, tokens: float) -> tuple[float, float, float]:
    count = float(count_for("The advice band", size, SizeKind.NON_EMBEDDING))
    data = float(positive("tokens", tokens, "training tokens, count"))
    return count, data, FLOPS_PER_PARAMETER_TOKEN * count * data


def _band(quantity: str, middle: float, source: BandSource, count: float, data: float, flops: float) -> AdviceBand:
    if source == BandSource.STEP_LAW:
        checks = [
            ("non-embedding parameters", count, STEP_LAW_SIZES),
            ("tokens", data, STEP_LAW_TOKENS),
        ]
    else:
        checks = [("FLOP", flops, DEEPSEEK_FLOPS)]
    notes = [
        f"Fitted on {least:.1e} to {most:.1e} {unit} (got {value:.1e}, {_beyond(value, least, most):.0f}x outside): "
        "sweep at the largest size you can afford and carry the optimum on."
        for unit, value, (least, most) in checks
        if not least <= value <= most
    ]
    return AdviceBand(quantity, middle / HALF_WIDTH, middle, middle * HALF_WIDTH, BandSource(source), tuple(notes))


def _beyond(value: float, least: float, most: float) -> float:
    return max(value / most, least / value)

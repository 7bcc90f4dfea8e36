"""A law as the planner sees it: the loss over size and tokens, once as published and once for each doubt about it.

Every array has the rows of the law first: row 0 is the law itself, the others are sets of constants that its errors
allow. What is derived is derived for each row, so that its interval comes with it, whatever it is: a size, a price,
a ratio of prices.

Why draws and not error propagation: A and alpha of a Chinchilla law are correlated at 0.999, and what is asked of it
is as far from linear as the size that reaches a loss near the irreducible one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.laws.size import SizeKind

__all__ = ["AbstractLossModel", "Estimate", "LossModelFacts", "Scatter", "estimate", "short", "with_scatter"]

#: Factor past the fitted runs at which a note says that the law is used outside its range, and a stern one.
OUTSIDE, FAR = 1.05, 10.0
#: Loss of a guess among 160,000 tokens, more than vocabularies have [nats/token].
GUESS_NATS = 12.0
#: Relative difference that comes of rounding alone.
ROUNDING = 1e-9


def short(value: float) -> str:
    """Return a number of any size in three digits, for a sentence: 1.62e10.

    >>> short(1.62e10), short(1e9), short(0.001)
    ('1.62e10', '1e9', '0.001')
    """
    return f"{value:.3g}".replace("e+0", "e").replace("e+", "e")


@final
@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: the number. low, high: of its interval, None where no error is known, infinite where none bounds it.
    """

    value: float
    low: float | None = None
    high: float | None = None

    def scaled(self, factor: float) -> Estimate:
        """Return the estimate in another unit, `factor` of them to one of this."""
        low, high = (None if end is None else end * factor for end in (self.low, self.high))
        return Estimate(self.value * factor, low, high)


def estimate(rows: Floats, level: float) -> Estimate:
    """Return the estimate of rows, shape (r,): the first is the value, the others make the interval at `level`.

    Rows without a finite answer count as infinite: a budget that no draw reaches has no upper end.
    """
    others = np.where(np.isnan(rows[1:]), np.inf, rows[1:])
    if len(others) == 0:
        return Estimate(float(rows[0]))
    low, high = np.quantile(others, [(1 - level) / 2, (1 + level) / 2], method="nearest")
    # what was given, and not derived, differs between rows by rounding at most
    if max(abs(low - rows[0]), abs(high - rows[0])) <= ROUNDING * abs(rows[0]):
        return Estimate(float(rows[0]))
    # the law of all runs may lie beyond most of what was drawn from them, where it is settled badly
    return Estimate(float(rows[0]), float(min(low, rows[0])), float(max(high, rows[0])))


@final
@dataclass(frozen=True, slots=True)
class Scatter:
    """How far one new run may end from its law, the law's own constants taken as known.

    Attributes:
        log_sd: standard deviation of ln(loss). freedom: degrees of freedom that it was estimated with.
    """

    log_sd: float
    freedom: float


def with_scatter(told: Estimate, scatter: Scatter, level: float) -> Estimate:
    """Return the interval of the loss of one run from that of the law: both errors, added as squares in ln(loss).

    The scatter counts with Student's t, as in `scalewatch.fitting.chinchilla_file.SavedChinchilla.predict`.
    """
    from scipy.special import stdtrit

    half = float(stdtrit(scatter.freedom, 0.5 * (1.0 + level))) * scatter.log_sd
    ends = (told.value if end is None else end for end in (told.low, told.high))
    below, above = (math.hypot(math.log(end / told.value), half) for end in ends)
    return Estimate(told.value, told.value * math.exp(-below), told.value * math.exp(above))


@final
@dataclass(frozen=True, slots=True)
class LossModelFacts:
    """What is to be said of a law beside its numbers.

    Attributes:
        label: what a reader calls it. source: where its constants are from.
        errors: where its intervals are from, or why there is none; a sentence.
        kind: what its N counts.
        sizes, tokens: least and most of the runs behind it, None if unknown.
        search: least and most size that an optimum is looked for at, None for any.
        notes: what the law assumes, a sentence each.
        faults: why the law is not to be relied on, a sentence each; empty if it is.
    """

    label: str
    source: str
    errors: str
    kind: SizeKind
    sizes: tuple[float, float] | None = None
    tokens: tuple[float, float] | None = None
    search: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    def range_notes(self, size: float, tokens: float, loss: float) -> tuple[str, ...]:
        """Return a sentence for each way in which a model lies outside of what the law can say."""
        notes = []
        for limits, asked, unit in ((self.sizes, size, "parameters"), (self.tokens, tokens, "tokens")):
            if limits is None:
                continue
            over, under = asked / limits[1], limits[0] / asked
            past = f"{_times(over)} past the most {unit} fitted ({short(limits[1])})"
            if over > FAR:
                notes.append(f"Extrapolates {past}; intervals are unreliable past {FAR:g}x.")
            elif over > OUTSIDE:
                notes.append(f"Extrapolates {past}.")
            if under > OUTSIDE:
                notes.append(f"Lies {_times(under)} below the fewest {unit} fitted ({short(limits[0])}).")
        if loss > GUESS_NATS:
            notes.append(f"A loss of {loss:.3g} nats/token is worse than guessing: the law says nothing of such a run.")
        return tuple(notes)


def _times(factor: float) -> str:
    return f"{factor:.2g}x" if factor < FAR else f"{factor:,.0f}x" if factor < 1e6 else f"{short(factor)}x"


class AbstractLossModel(ABC):
    """The loss of a law over ln(size) and ln(tokens), for each of its rows.

    Args:
        facts: what is to be said of the law beside its numbers.
        floor: loss that no size and no data get below [nats/token], shape (r, 1).
    """

    def __init__(self, facts: LossModelFacts, floor: Floats) -> None:
        self._facts, self._floor = facts, floor

    @property
    def facts(self) -> LossModelFacts:
        """What is to be said of the law beside its numbers."""
        return self._facts

    @property
    def floor(self) -> Floats:
        """Loss that no size and no data get below [nats/token], shape (r, 1)."""
        return self._floor

    @abstractmethod
    def loss(self, log_size: Floats, log_tokens: Floats) -> Floats:
        """Return the loss [nats/token], shape (r, m), of points that broadcast to it."""

    @abstractmethod
    def slope(self, log_size: Floats, log_tokens: Floats) -> Floats:
        """Return dL/dln(N) - dL/dln(D) [nats/token], shape (r, m): zero at the best size of a budget 6 N D."""

    def scatter(self, log_size: float, log_tokens: float) -> Scatter | None:
        """Return how one run of a size and tokens scatters about the law; None where nobody has said."""
        del log_size, log_tokens
        return None

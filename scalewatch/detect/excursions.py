"""How high a number has been before and come back by itself: evidence that needs no distribution.

The past of a loss shows how far it strays, whatever its noise, tails and memory. Of rows that are exchangeable the n-th
is the highest of all with probability 1/n for any distribution (Vovk, Gammerman and Shafer 2005, chapter 2); to be
the highest by a factor is rarer still, and where the loss falls rarer again, since the past was higher.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from scalewatch.detect.state import Stateful

__all__ = ["Excursions", "RecentHigh"]

#: Factor over the highest excursion that makes news where the past is long; rows of a past, as many as it has lasted,
#: in which the factor is one more; and excursions of its size in which it is one more. By hand, on noise of every width
#: and memory (tests/benchmarks/false_alarms.py).
MARGIN, SHORT_ROWS, FEW = 1.5, 16.0, 24.0
#: Rows of one generation, and the least share of all rows that one has [rows, share]: the highest of this one and of
#: the one before it count. A past that grew no longer would let the same noise be news again and again. By hand.
GENERATION_ROWS = 1024
GENERATION_SHARE = 0.25


#: Rows of a generation of the recent past [rows]: half of what the slow mean remembers. By hand.
RECENT_ROWS = 128
#: Below every value [value units]. By hand.
NOTHING = -1e9


@final
class Excursions(Stateful):
    """The highest that a number has been in the last one to two thousand rows and come back from.

    Memory: six numbers.

    Args:
        least: what stands for the highest while none was as high. smaller: what an excursion of less than half the
            highest counts, beside 1 of one that is alike.

    >>> past = Excursions()
    >>> for value in (1.0, 3.0, 0.0, 2.0, 0.0):
    ...     past.see(value, ended=value <= 0.0)
    >>> past.highest, past.beyond(3.1), past.beyond(30.0)
    (3.0, False, True)
    """

    STATE = ("rows", "going_on", "going_rows", "now", "before", "generation_rows", "alike")

    def __init__(self, least: float = 1.0, smaller: float = 0.0) -> None:
        self.least, self.smaller = least, smaller
        self.alike = 0.0
        self.rows = 0
        self.going_on = 0.0
        self.going_rows = 0
        self.now = 0.0
        self.before = 0.0
        self.generation_rows = 0

    @property
    def highest(self) -> float:
        """The highest excursion that has ended."""
        return self.now if self.now > self.before else self.before

    def see(self, value: float, ended: bool) -> None:
        """Take one row in; where it `ended`, what the number has been since it last did is past."""
        self.going_rows += 1
        if value > self.going_on:
            self.going_on = value
        if not ended:
            return
        rows, peak, now, highest = self.going_rows, self.going_on, self.now, self.least
        self.rows = every = self.rows + rows
        self.generation_rows = generation = self.generation_rows + rows
        self.going_on, self.going_rows = 0.0, 0
        if highest < now:
            highest = now
        if highest < self.before:
            highest = self.before
        if peak <= 0.5 * highest:
            self.alike += self.smaller
        elif peak <= highest:
            self.alike += 1.0
        else:
            self.alike = 1.0 if peak > 2.0 * highest else 1.0 + 0.5 * self.alike
        if peak > now:
            self.now = peak
        if generation >= GENERATION_ROWS and generation >= GENERATION_SHARE * every:
            self.before, self.now, self.generation_rows = self.now, 0.0, 0

    def see_many(self, values: Sequence[float], judged: Sequence[float], low: float) -> None:
        """Take many rows in, as `see` takes each; one whose number of `judged` is below `low` ends what went on."""
        going_on, going_rows, smaller = self.going_on, self.going_rows, self.smaller
        rows, generation, low_peak, full = self._low_ones()
        for value, other in zip(values, judged, strict=True):
            going_rows += 1
            if value > going_on:
                going_on = value
            if other >= low:
                continue
            if going_on <= low_peak and generation + going_rows < full:
                # nearly each excursion is a low one
                rows += going_rows
                generation += going_rows
                self.alike += smaller
            else:
                self.rows, self.generation_rows = rows, generation
                self.going_on, self.going_rows = going_on, going_rows - 1
                self.see(value, ended=True)
                rows, generation, low_peak, full = self._low_ones()
            going_on, going_rows = 0.0, 0
        self.rows, self.generation_rows = rows, generation
        self.going_on, self.going_rows = going_on, going_rows

    def _low_ones(self) -> tuple[int, int, float, float]:
        """Rows, those of this generation, a peak that changes nothing, and rows until which the generation goes on."""
        share = GENERATION_SHARE * self.rows
        low_peak = min(0.5 * max(self.highest, self.least), self.now)
        return self.rows, self.generation_rows, low_peak, share if share > GENERATION_ROWS else GENERATION_ROWS

    def beyond(self, value: float, *, factor: float = 1.0, lasted: float = 1.0, alone: float = 0.0) -> bool:
        """Whether a number is so high that what has been before does not explain it.

        Args:
            value: the number. factor: how many times further than else it must be, at least 1.
            lasted: rows for which it has been up: of a past that is not many times as long little is known.
            alone: how far each row of the past is one by itself, from 0 to 1: so few excursions need to be alike.
        """
        short = SHORT_ROWS * lasted / (self.rows + 1.0)
        few = (1.0 - alone) * FEW / (self.alike + 1.0)
        return value > max(factor * MARGIN, MARGIN + max(short, few)) * max(self.highest, self.least)

    def drop(self) -> None:
        """What goes on belongs to an incident, and does not count."""
        self.going_on, self.going_rows = 0.0, 0


@final
class RecentHigh(Stateful):
    """The highest that a number has been in the last 128 to 256 rows that were taken in.

    Memory: three numbers.

    >>> high = RecentHigh()
    >>> for row in range(1000):
    ...     high.see(-float(row))
    >>> high.highest
    -768.0
    """

    STATE = ("now", "before", "rows")

    def __init__(self) -> None:
        self.now = self.before = NOTHING
        self.rows = 0

    @property
    def highest(self) -> float:
        """The highest."""
        return self.now if self.now > self.before else self.before

    def see(self, value: float) -> None:
        """Take one row in."""
        if value > self.now:
            self.now = value
        self.rows += 1
        if self.rows >= RECENT_ROWS:
            self.before, self.now, self.rows = self.now, NOTHING, 0

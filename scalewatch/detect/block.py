"""Blocks of rows, and what the slow rules are: they look once per block, so a row costs them a few additions.

block      4 rows while a log has fewer than 64, 8 while it has fewer than 512, else 32
loss       mean of the middle half of its log losses: a quarter of the rows may be bad batches
scatter    median |second difference| of its log losses / 1.652, as in robust_scale.py
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar, NamedTuple, final

from scalewatch.detect.base import Sample
from scalewatch.detect.calm_rows import CalmRows
from scalewatch.detect.incident_state import IncidentState
from scalewatch.detect.robust_scale import NORMAL_BEND
from scalewatch.detect.sample_reader import MAX_SECONDS
from scalewatch.detect.schedule import Schedule
from scalewatch.detect.state import Stateful
from scalewatch.finding import Finding

__all__ = ["BLOCK_ROWS", "AbstractBlockDetector", "Block", "Blocks", "middle"]

#: Rows up to which blocks have so many rows, and the rows of all later ones [rows]: a log of 64 rows has 16 blocks.
#: By hand.
SIZES = ((64, 4), (512, 8))
BLOCK_ROWS = 32
#: Rows that a quantity must be in, of all rows of a block, to have a value there [share]. By hand.
LEAST_SHARE = 0.5
#: Rows closer than this have no time between them [s]. By hand.
LEAST_SECONDS = 1e-9
#: Least second differences that a scatter is read off [count]. By hand.
LEAST_BENDS = 6


@final
class Same(NamedTuple):
    """How often running the loss is the same number: that number, in how many rows, since which step; the longest such
    stretch that ended in this block [rows].
    """

    loss: float
    rows: int
    step: int
    longest: int


@final
class Block(NamedTuple):
    """What some rows running have in common; NaN where they do not say.

    Attributes:
        rows: rows in it, count. losses: those with a usable loss, count.
        first_step, step: first and last step. begun_step: step at which this run, or this part of it, was first seen.
        loss: mean log loss of the middle half. scatter: sd of one row's log loss. least_loss: lowest log loss.
        held: share of rows that belong to an incident. rise_expected: whether a planned rise of the rate explains a
        rise.
        rate: learning rate of its last row. highest_rate: of the run so far.
        norms, zero_norms: rows whose gradient norm is above
        0, and is 0, count. norm: median gradient norm above 0, of however few rows.
        pace: median seconds per optimizer step. lasted: seconds from its first to its last row.
        same: how often running the loss was the same number up to its end.
    """

    rows: int
    losses: int
    first_step: int
    step: int
    begun_step: int
    loss: float
    scatter: float
    least_loss: float
    held: float
    rise_expected: bool
    rate: float
    highest_rate: float
    norms: int
    zero_norms: int
    norm: float
    pace: float
    lasted: float
    same: Same


class AbstractBlockDetector(Stateful):
    """Watches for one slow thing, once per block, in constant time and memory.

    Attributes:
        name: what its guard, the table and a log call it.
        in_loss_units: whether it remembers values of the loss, which a change of their scale makes void.
        incident: its incident.
    """

    name: ClassVar[str]
    in_loss_units: ClassVar[bool] = False

    def __init__(self, incident: IncidentState) -> None:
        self.incident = incident

    @abstractmethod
    def observe(self, block: Block) -> Finding | None:
        """Look at one block; say something if there is news."""

    @abstractmethod
    def restart(self) -> None:
        """Forget levels and what is open, for the run went back to an earlier step."""


@final
class _Repeats(Stateful):
    """Counts the rows running whose loss is the same number; as in `Same`."""

    STATE = ("loss", "rows", "step", "longest")

    def __init__(self) -> None:
        self.loss = 0.0
        self.rows = 0
        self.step = 0
        self.longest = 0


@final
class _Norms(Stateful):
    """The gradient norms of a block: those that are numbers above 0, and how many are 0."""

    STATE = ("values", "zeros")

    def __init__(self) -> None:
        self.values: list[float] = []
        self.zeros = 0


@final
class _Clock(Stateful):
    """The time of the rows: when the last one was [s] and its step, and of a block its paces and how long it lasted."""

    STATE = ("seconds", "step", "paces", "lasted")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.step = -1
        self.paces: list[float] = []
        self.lasted = 0.0

    def see(self, seconds: float, step: int) -> None:
        if 0 <= self.step < step and seconds - self.seconds > LEAST_SECONDS:
            self.paces.append((seconds - self.seconds) / (step - self.step))
            self.lasted += seconds - self.seconds
        self.seconds, self.step = seconds, step


@final
class Blocks(Stateful):
    """Gathers rows into blocks.

    Memory: at most 32 numbers of each kind. `restart` drops the block begun.

    >>> from scalewatch.run import Run
    >>> blocks, row = Blocks(Schedule(Run("doc"))), Sample()
    >>> row.usable, row.loss_given = True, True
    >>> for row.step in range(1, 5):
    ...     row.row, row.value = row.step, 1.0 - 0.1 * row.step
    ...     block = blocks.take(row, hold=False)
    >>> block.rows, round(block.loss, 2), block.step
    (4, 0.75, 4)
    """

    STATE = (
        "rows",
        "size",
        "first_step",
        "begun_step",
        "begun",
        "held",
        "rise_expected",
        "losses",
        "norms",
        "clock",
        "same",
    )

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self.rows = 0
        self.size = SIZES[0][1]
        self.first_step = 0
        self.begun_step = 0
        self.begun = False
        self.held = 0
        self.rise_expected = False
        self.losses: list[float] = []
        self.norms = _Norms()
        self.clock = _Clock()
        self.same = _Repeats()

    def take(self, sample: Sample, hold: bool) -> Block | None:
        """Count one row in; the block, if it is full.

        Args:
            sample: the row.
            hold: whether it belongs to an incident, or may.
        """
        rows, step, same, loss = self.rows, sample.step, self.same, sample.loss
        if rows == 0:
            self.first_step = step
        self.rows = rows = rows + 1
        if loss == same.loss and same.rows:
            same.rows += 1
        elif -math.inf < loss < math.inf:
            if same.rows > same.longest:
                same.longest = same.rows
            same.loss, same.rows, same.step = loss, 1, step
        if sample.usable:
            self.losses.append(sample.value)
        if sample.grad_given:
            norm = sample.grad_norm
            if 0.0 < norm < math.inf:
                self.norms.values.append(norm)
            elif norm == 0.0:
                self.norms.zeros += 1
        if hold:
            self.held += 1
        if sample.rise_expected:
            self.rise_expected = True
        seconds = sample.seconds
        if seconds == seconds:
            self.clock.see(seconds, step)
        return self._full(sample) if rows >= self.size else None

    def extend(self, rows: CalmRows, first: int, end: int) -> None:
        """Count many calm rows in, fewer than fill the block."""
        steps, losses = rows.steps[first:end], rows.losses[first:end]
        if self.rows == 0:
            self.first_step = steps[0]
        self.rows += end - first
        same, last, count = self.same, self.same.loss, self.same.rows
        for step, loss in zip(steps, losses, strict=True):
            if count and loss == last:
                count += 1
            else:
                if count > same.longest:
                    same.longest = count
                last, count, same.step = loss, 1, step
        same.loss, same.rows = last, count
        self.losses += rows.values[first:end]
        if rows.norms is not None:
            self.norms.values += [norm for norm in rows.norms[first:end] if norm == norm]
        if rows.seconds is not None:
            for step, seconds in zip(steps, rows.seconds[first:end], strict=True):
                if -MAX_SECONDS < seconds < MAX_SECONDS:
                    self.clock.see(seconds, step)

    def restart(self) -> None:
        """The run went back: what was gathered belongs to no block."""
        self._empty()
        self.begun, self.clock.step = False, -1

    def _full(self, sample: Sample) -> Block:
        if not self.begun:
            self.begun, self.begun_step = True, self.first_step
        rows, losses, least = self.rows, self.losses, max(1.0, LEAST_SHARE * self.rows)
        norms, paces, same = self.norms.values, self.clock.paces, self.same
        ranked = sorted(losses)
        norm = sorted(norms)[len(norms) >> 1] if norms else math.nan
        bends = sorted([abs(a - 2.0 * b + c) for a, b, c in zip(losses, losses[1:], losses[2:], strict=False)])
        block = Block(
            rows=rows,
            losses=len(losses),
            first_step=self.first_step,
            step=sample.step,
            begun_step=self.begun_step,
            loss=middle(ranked) if len(losses) >= least else math.nan,
            scatter=bends[len(bends) >> 1] / NORMAL_BEND if len(bends) >= LEAST_BENDS else math.nan,
            least_loss=ranked[0] if ranked else math.nan,
            held=self.held / rows,
            rise_expected=self.rise_expected,
            rate=self._schedule.rate,
            highest_rate=self._schedule.highest,
            norms=len(norms),
            zero_norms=self.norms.zeros,
            norm=norm,
            pace=sorted(paces)[len(paces) >> 1] if len(paces) >= least else math.nan,
            lasted=self.clock.lasted,
            same=Same(same.loss, same.rows, same.step, same.longest),
        )
        self.size = next((size for until, size in SIZES if sample.row < until), BLOCK_ROWS)
        self._empty()
        return block

    def _empty(self) -> None:
        self.rows = self.held = self.same.longest = self.norms.zeros = 0
        self.rise_expected = False
        self.losses, self.norms.values, self.clock.paces, self.clock.lasted = [], [], [], 0.0


def middle(ranked: list[float]) -> float:
    """Mean of the middle half of sorted numbers.

    >>> middle([1.0, 2.0, 4.0, 900.0])
    3.0
    """
    cut = len(ranked) >> 2
    kept = ranked[cut : len(ranked) - cut]
    return math.fsum(kept) / len(kept)

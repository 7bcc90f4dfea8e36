"""A gradient norm that climbs for a long time."""

from __future__ import annotations

import math
from typing import final

from scalewatch.detect.base import amount
from scalewatch.detect.baseline import UNKNOWN
from scalewatch.detect.block import BLOCK_ROWS, AbstractBlockDetector, Block
from scalewatch.detect.incident_state import IncidentState
from scalewatch.detect.loss_scale import nats
from scalewatch.detect.state import Stateful
from scalewatch.finding import Finding, Kind, Severity

__all__ = ["GradDrift"]

#: Rows of one group [rows]: medians of 32 heavy-tailed norms scatter by a fiftieth, their mean over 128 by less.
#: By hand.
GROUP_ROWS = 128
#: Norms by which two blocks of a steady log differ at most [rows]: each tenth row of 32 is three or four. By hand.
MOST_UNSTEADY = 1
#: Growth over its lowest that is worth a note, where the learning rate is known and where not [log units: 2, 4 times].
#: By hand.
GROWN, GROWN_BLIND = math.log(2.0), math.log(4.0)
#: Groups of 128 rows running in which it is above half of that [groups]: a jump is for the rule of jumps. By hand.
STEADY_GROUPS = 4
#: The norm grows as this power of the learning rate while that decays: with weight decay the norm of the weights
#: settles where |g|/|w| = sqrt(2 decay / rate) (Defazio 2025, arXiv 2506.02285, section 2).
RATE_POWER = 0.5
#: Below this part of its level at which it is over [log units: 1.5 times]. By hand.
OVER = math.log(1.5)
#: So near its lowest it has not begun to climb [log units: 5 %]. By hand.
CLOSE = 0.05
#: Groups after which it is taken for its level [groups]. By hand.
GIVE_UP_GROUPS = 64
#: Rows before its lowest counts [rows]: in the first two groups it falls and rises by an order of magnitude. By hand.
ARM_ROWS = 256


@final
class Group(Stateful):
    """Means the log norm over blocks until they hold 128 rows with one. Memory: four numbers.

    Where most rows have a norm each counts; where fewer do, as each tenth, those that have one, while it is each
    so-manieth: norms that are logged now and then may be logged for what they are.
    """

    STATE = ("sum", "rows", "least", "most")

    def __init__(self) -> None:
        self.sum = 0.0
        self.rows = 0
        #: Norms of a block, at least and at most; 0 where most rows have one.
        self.least = self.most = 0

    def add(self, block: Block) -> float | None:
        """Take one block in; the mean of the group, if it is full."""
        count = block.rows
        if 2 * block.norms < block.rows:
            count = block.norms if block.rows == BLOCK_ROWS else 0
            steady = self.most and max(self.most, count) - min(self.least, count) <= MOST_UNSTEADY
            if not (count and steady):
                self.clear()
            if not count:
                return None
            self.least, self.most = min(self.least or count, count), max(self.most, count)
        elif self.most:
            self.clear()
        self.sum += math.log(block.norm) * count
        self.rows += count
        if self.rows < GROUP_ROWS:
            return None
        mean = self.sum / self.rows
        self.clear()
        return mean

    def clear(self) -> None:
        """Drop the group begun."""
        self.sum, self.rows, self.least, self.most = 0.0, 0, 0, 0


@final
class GradDrift(AbstractBlockDetector):
    """Gradient norm has doubled, group by group, by more than the fall of the learning rate explains; a note.

    Rule: g, the mean over 128 rows with a norm (all, or each so-manieth) of the median log norm of blocks, plus half
    the log of the learning rate; the last of 4 groups above the lowest since the warm-up by log 2, the others by half
    of it; without a learning rate by log 4. Closes below 1.5 times, or after 64 groups. Memory: a dozen numbers.
    `restart` closes it and forgets the groups.

    >>> from scalewatch.detect.block import Blocks
    >>> from scalewatch.detect.base import Sample
    >>> from scalewatch.detect.schedule import Schedule
    >>> from scalewatch.run import Run
    >>> schedule = Schedule(Run("doc"))
    >>> blocks, row, detector = Blocks(schedule), Sample(), GradDrift()
    >>> row.grad_given = True
    >>> for row.step in range(1, 8001):
    ...     row.row, row.grad_norm = row.step, 0.3 + max(0, row.step - 3000) * 1e-4
    ...     _ = schedule.expects_rise(row.step, 1e-3)
    ...     block = blocks.take(row, hold=False)
    ...     finding = None if block is None else detector.observe(block)
    ...     if finding is not None:
    ...         print(finding.step, finding.severity, finding.message)
    6144 info gradient norm has climbed from 0.300 to 0.608 (2.0 times) since step 3200
    """

    name = "gradient drift"
    STATE = ("incident", "group", "rows", "lowest", "lowest_grad", "lowest_step", "rate", "past", "groups")

    def __init__(self) -> None:
        super().__init__(IncidentState(Kind.GRAD_DRIFT))
        self.group = Group()
        self.rows = 0
        self.lowest = UNKNOWN
        self.lowest_grad = 0.0
        self.lowest_step = 0
        self.rate = 0.0
        self.past: list[float] = []
        self.groups = 0

    def observe(self, block: Block) -> Finding | None:
        mean = self.group.add(block)
        self.rows += block.rows if block.norms else 0
        if mean is None:
            return None
        rate = block.rate if block.rate > 0.0 else 0.0
        if (
            self.rows < ARM_ROWS
            or rate > 1.02 * self.rate
            or block.rise_expected
            or (rate == 0.0) != (self.rate == 0.0)
        ):
            # a rate that rises, comes or goes: what follows is compared with what follows
            self._forget()
        self.rate = rate
        value = mean + (RATE_POWER * math.log(rate) if rate > 0.0 else 0.0)
        self.past = [*self.past[1 - STEADY_GROUPS :], value]
        if value < self.lowest:
            self.lowest, self.lowest_grad = value, mean
        if value < self.lowest + CLOSE:
            self.lowest_step = block.step
        grown = value - self.lowest
        if self.incident.is_open:
            return self._watch(block, mean, grown)
        limit = GROWN if rate > 0.0 else GROWN_BLIND
        steady = len(self.past) == STEADY_GROUPS and min(self.past) - self.lowest > 0.5 * limit
        if grown < limit or not steady:
            return None
        self.groups = 0
        than = " what the learning rate explains" if abs(mean - self.lowest_grad - grown) > 0.1 else ""
        message = (
            f"gradient norm has climbed from {amount(nats(self.lowest_grad))} to {amount(nats(mean))} "
            f"({nats(grown):.1f} times{than}) since step {self.lowest_step}"
        )
        return self.incident.open(Severity.INFO, block.step, self.lowest_step, message, self._evidence(mean, grown))

    def restart(self) -> None:
        self.incident.reset()
        self.group.clear()
        self._forget()
        self.rate = 0.0

    def _forget(self) -> None:
        self.lowest, self.past = UNKNOWN, []

    def _watch(self, block: Block, mean: float, grown: float) -> Finding | None:
        self.groups += 1
        evidence = self._evidence(mean, grown)
        if grown < OVER:
            message = f"gradient norm is back at {amount(nats(mean))}"
        elif self.groups >= GIVE_UP_GROUPS:
            message = f"gradient norm has settled near {amount(nats(mean))}"
            self._forget()
        else:
            return None
        return self.incident.close(block.step, message, evidence)

    def _evidence(self, mean: float, grown: float) -> dict[str, float]:
        return {"grad_norm": nats(mean), "lowest_grad_norm": nats(self.lowest_grad), "ratio": nats(grown)}

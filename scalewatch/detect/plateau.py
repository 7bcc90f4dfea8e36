"""A loss that has stopped falling."""

from __future__ import annotations

import itertools
import math
from typing import final

from scalewatch.detect.base import amount
from scalewatch.detect.bins import Bins
from scalewatch.detect.block import AbstractBlockDetector, Block
from scalewatch.detect.changepoint_window import ChangepointWindow
from scalewatch.detect.incident_state import IncidentState
from scalewatch.finding import Finding, Kind, Severity

__all__ = ["Plateau"]

#: Rows of a bin at first [rows]: the smallest block. By hand.
FIRST_ROWS = 4
#: Least bins in the last half of the run [count]. By hand.
LEAST_BINS = 6
#: Improvement of the last quarter of the run on the one before it that is worth the compute [log units: 0.1 %]. A power
#: law with a tenth of its loss left to learn and the exponent .2 still gives .7 %. By hand.
LEAST_GAIN = 0.001
#: Part of its highest learning rate below which a flat loss is what the schedule ends with [share]. By hand.
END_SHARE = 0.2
#: Quantile of the limit: normal 97.5 %, widened for few bins as Student's is, to 1 %. By hand.
QUANTILE, FEW = 1.96, 3.1
#: Share of a block that an open incident may cover [share]. By hand.
MOST_HELD = 0.25


@final
class Plateau(AbstractBlockDetector):
    """Loss of the last quarter of the run is no better than that of the quarter before it; a note.

    Rule: with d the fall of the mean log loss from steps (T/2, 3T/4] to (3T/4, T] and e its standard error by the
    scatter of at least 6 bins, d + q e < 0.1 %, while the learning rate is above a fifth of its highest. Closes when d
    - 2 q e > 0.1 %. A planned rise of the rate and a shift of the level (changepoint_window.py) begin the count anew.
    Memory: 64 bins. `restart` closes it.

    >>> from scalewatch.detect.block import Blocks
    >>> from scalewatch.detect.base import Sample
    >>> from scalewatch.detect.schedule import Schedule
    >>> from scalewatch.detect.changepoint_window import ChangepointWindow
    >>> from scalewatch.run import Run
    >>> blocks, row, detector = Blocks(Schedule(Run("doc"))), Sample(), Plateau(ChangepointWindow())
    >>> row.usable = True
    >>> for row.step in range(1, 2001):
    ...     row.row, row.value = row.step, 1.0 + 0.01 * (row.step * 7 % 5) + max(0.0, 0.5 - row.step / 1000)
    ...     block = blocks.take(row, hold=False)
    ...     finding = None if block is None else detector.observe(block)
    ...     if finding is not None:
    ...         print(finding.step, finding.severity, finding.message)
    1024 info loss has stopped falling: 2.773 in the last quarter of the run and 2.773 in the one before (+0.0 %)
    """

    name = "plateau"
    in_loss_units = True
    STATE = ("incident", "bins", "since_step", "since")

    def __init__(self, window: ChangepointWindow) -> None:
        super().__init__(IncidentState(Kind.PLATEAU))
        self._window = window
        self.bins = Bins(FIRST_ROWS)
        self.since_step = 0
        self.since = False

    def observe(self, block: Block) -> Finding | None:
        if block.rise_expected:
            self.since, self.since_step = True, block.step
        if block.loss != block.loss or block.held > MOST_HELD:
            return None
        full = self.bins.add(block.loss, block.losses, block.first_step, block.step)
        if not full or block.rate < END_SHARE * block.highest_rate:
            return None
        step, window = block.step, self._window
        since = max(self.since_step if self.since else self.bins.first_step, self.bins.first_step)
        if max(since, window.moved_step if window.moved else since) > 0.5 * step:
            return None
        before, after = self.bins.means(0.5 * step, 0.75 * step), self.bins.means(0.75 * step, step)
        if len(before) + len(after) < LEAST_BINS or min(len(before), len(after)) < LEAST_BINS // 2:
            return None
        return self._judge(block, before, after)

    def restart(self) -> None:
        self.incident.reset()
        self.since = False

    def _judge(self, block: Block, before: list[float], after: list[float]) -> Finding | None:
        then, now = sum(before) / len(before), sum(after) / len(after)
        gain, error = then - now, _error(before, after)
        low, high = gain - 2.0 * error, gain + error
        scale = self._window.loss_scale
        loss_at = scale.loss_at
        evidence = {
            "loss_nats": loss_at(now),
            "level_nats": loss_at(then),
            "gain_relative": gain,
            "gain_limit_relative": high,
        }
        if not self.incident.is_open and high < LEAST_GAIN:
            message = (
                f"loss has stopped falling: {amount(loss_at(now))} in the last quarter of the run and "
                f"{amount(loss_at(then))} in the one before{scale.share(then, now)}"
            )
            return self.incident.open(Severity.INFO, block.step, int(0.5 * block.step), message, evidence)
        if self.incident.is_open and low > LEAST_GAIN:
            message = (
                f"loss falls again: {amount(loss_at(now))} against {amount(loss_at(then))} a quarter of the run before"
            )
            return self.incident.close(block.step, message, evidence)
        return None


def _error(before: list[float], after: list[float]) -> float:
    """Half the width of the 95 % interval of the difference of two means, by the scatter between neighbours."""
    count = len(before) + len(after)
    joined = before + after
    steps = sum((b - a) ** 2 for a, b in itertools.pairwise(joined)) / (2.0 * (count - 1))
    spread = sum((value - sum(half) / len(half)) ** 2 for half in (before, after) for value in half) / (count - 2)
    quantile = QUANTILE * (1.0 + FEW / (count - 2) / 2.0)
    return quantile * math.sqrt(max(steps, spread) * (1.0 / len(before) + 1.0 / len(after)))

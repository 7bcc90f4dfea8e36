"""Which batches an incident began with, and so which ones a run that goes back leaves out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median

__all__ = ["offending_steps"]

#: Rows before an incident that its level is taken from, and rows of the running median of it [rows]. By hand.
LEVEL_ROWS, MIDDLE_ROWS = 32, 5
#: Part of the way up from the level to the peak above which the batches count as those that did it. By hand: the loss
#: on bytes at random falls from 10 to 5.5 nats while a model of text unlearns what it knew, 2.5.
STANDS = 0.25
#: Part of its length by which an incident that still stands is taken to go on. By hand.
GOES_ON = 0.5
#: Steps before the incident that are left out too: the gradient of a step shows in the loss of the next [steps].
BEFORE_STEPS = 1
#: Steps that are left out at most (Chowdhery et al. 2022, PaLM, section 5.1: 200 to 500 batches).
MOST_STEPS = 500


def offending_steps(rows: Iterable[tuple[int, float]], since: int) -> tuple[int, int]:
    """Return the first and the last step of the batches that did it, as far as the losses show it.

    From one step before `since` to the last row that is more than a quarter as high as the peak: batches that are
    poison are high as long as they last, and what is learned from good ones brings the loss down when they are over.
    Where that is the newest row, nobody knows whether they are over, and it is by half as many more.

    Args:
        rows: steps and losses, in order. since: step at which the incident began.

    >>> offending_steps([(s, 9.0 if 50 <= s < 60 else 3.0) for s in range(1, 90)], 50)
    (49, 59)
    """
    known = list(rows)
    before = [loss for step, loss in known if step < since and math.isfinite(loss)][-LEVEL_ROWS:]
    during = [(step, loss) for step, loss in known if step >= since]
    first = max(1, since - BEFORE_STEPS)
    if not during:
        return first, since
    level = median(before) if before else min((loss for _, loss in during if math.isfinite(loss)), default=0.0)
    heights = [loss - level if math.isfinite(loss) else math.inf for _, loss in during]
    middles = [median(heights[max(0, n + 1 - MIDDLE_ROWS) : n + 1]) for n in range(len(heights))]
    bar = STANDS * max((height for height in middles if math.isfinite(height)), default=0.0)
    # a running median is behind by half its length
    high = [max(0, n - MIDDLE_ROWS // 2) for n, height in enumerate(middles) if height > bar]
    last = during[high[-1]][0] if high else since
    if middles[-1] > bar:
        last = during[-1][0] + math.ceil(GOES_ON * (during[-1][0] - since))
    return first, min(last, first + MOST_STEPS)

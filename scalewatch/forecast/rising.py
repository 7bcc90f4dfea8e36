"""What is forecast of a curve that rises, which no law of loss curves is of."""

from __future__ import annotations

import numpy as np

from scalewatch.arrays import Floats
from scalewatch.forecast.candidates import of_rise
from scalewatch.forecast.forecast import Branch
from scalewatch.forecast.posterior import posteriors
from scalewatch.forecast.validity import Rise
from scalewatch.laws import LossBlocks

__all__ = ["with_rise"]


def with_rise(branches: list[Branch], rise: Rise, blocks: LossBlocks, total: int, memories: Floats) -> list[Branch]:
    """Return branches, half for the laws, which expect it to recover, half for a rise that goes on or ends on the way.

    Args:
        branches: of the laws. rise: that the curve is in. blocks: the curve. total: planned steps.
        memories: all that compete [steps].
    """
    kept, none = [branch._replace(weight=0.5 * branch.weight) for branch in branches], np.zeros(0)
    going_on = of_rise(blocks.losses[-1], rise.per_step * max(total - blocks.last_step, 0), memories)
    for future in {branch.future.name: branch.future for branch in branches}.values():
        (ending,) = posteriors([going_on.asked(future)], none, np.zeros((0, len(memories))), none, none)
        share = sum(branch.weight for branch in branches if branch.future.name == future.name)
        kept.append(Branch(going_on.law, 0.5 * share, future, ending, going_on.spread))
    return kept

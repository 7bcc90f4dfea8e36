"""One finished (or long enough) run as material for a law."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.arrays import Floats
from scalewatch.errors import FitError
from scalewatch.laws.blocks import LossBlocks
from scalewatch.run import MOST_STEPS, Run

__all__ = ["Curve"]

#: Rows below which a log says nothing about the shape of its curve. By hand.
FEWEST_ROWS = 20
#: A loss outside these is no loss [nats/token], and its square no float. By hand.
LEAST_LOSS, MOST_LOSS = 1e-30, 1e30
#: Steps without a usable loss that make a hole: more than this part of the run, and than so many usual distances
#: between rows. A single bad batch is none, and neither is a loss that is logged at every tenth row. By hand.
HOLE_SHARE, HOLE_ROWS = 0.01, 3.0


@final
@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A run and its loss curve.

    Attributes:
        run: what was trained; a law needs its planned learning rates, and its size to tell sizes apart.
        steps: optimizer steps completed at each row, shape (n,), rising; rows at step 0 are left out.
        loss: training loss [nats/token] of each row, shape (n,), not smoothed; rows that are not finite
            and positive (1e-30 to 1e30) are left out.
        hole: first and last step of the longest stretch of rows without a usable loss, None if it is no longer
            than 1 % of the run or 3 rows: a run with a hole lost its loss on the way, or diverged.

    Raises:
        FitError: if the arrays do not match, or fewer than 20 rows remain.
    """

    run: Run
    steps: NDArray[np.int64]
    loss: Floats
    hole: tuple[int, int] | None

    def __init__(self, run: Run, steps: ArrayLike, loss: ArrayLike) -> None:
        at, losses = np.asarray(steps, dtype=np.float64), np.asarray(loss, dtype=np.float64)
        if at.ndim != 1 or at.shape != losses.shape:
            raise FitError(
                f"Curve of '{run.name}': `steps` and `loss` must have one shape (n,) "
                f"(got {at.shape} and {losses.shape})."
            )
        every = np.sort(at[(at >= 1) & (at <= MOST_STEPS)])
        keep = (at >= 1) & (at <= MOST_STEPS) & (losses > LEAST_LOSS) & (losses < MOST_LOSS)
        at, losses = at[keep], losses[keep]
        order = np.argsort(at, kind="stable")
        if len(at) < FEWEST_ROWS:
            raise FitError(
                f"Curve of '{run.name}': a law needs at least {FEWEST_ROWS} rows with a positive "
                f"finite loss, {LEAST_LOSS:g} to {MOST_LOSS:g} nats/token (got {len(at)})."
            )
        object.__setattr__(self, "run", run)
        object.__setattr__(self, "steps", at[order].astype(np.int64))
        object.__setattr__(self, "loss", losses[order])
        object.__setattr__(self, "hole", _hole(every, at[order]))

    def renamed(self, name: str) -> Curve:
        """Return the same curve of a run with another name."""
        return self.of(replace(self.run, name=name))

    def of(self, run: Run) -> Curve:
        """Return the same curve of a run of which more is known."""
        twin = copy.copy(self)
        object.__setattr__(twin, "run", run)
        return twin

    def blocks(self) -> LossBlocks:
        """Return the curve as geometric blocks, single bad rows tamed."""
        blocks = LossBlocks()
        for step, loss in zip(self.steps.tolist(), self.loss.tolist(), strict=True):
            blocks.add(step, loss)
        return blocks


def _hole(every: Floats, kept: Floats) -> tuple[int, int] | None:
    """The longest stretch of rows at steps `every` between those `kept`, or after them; both rise."""
    ends = np.append(kept, every[-1])
    apart = np.diff(ends)
    between = np.searchsorted(every, ends[1:]) - np.searchsorted(every, kept, side="right")
    # after the last row that is kept, the row at the end is missing too
    between[-1] = len(every) - np.searchsorted(every, kept[-1], side="right")
    apart[between < 1] = 0.0
    usual = float(np.median(np.diff(kept)))
    longest = int(np.argmax(apart))
    if apart[longest] <= max(HOLE_ROWS * usual, HOLE_SHARE * float(every[-1])):
        return None
    first = int(np.searchsorted(every, kept[longest], side="right"))
    return int(every[first]), int(every[first + between[longest] - 1])

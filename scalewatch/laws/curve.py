"""One finished (or long enough) run as material for a law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scalewatch.errors import FitError
from scalewatch.laws.blocks import LossBlocks
from scalewatch.run import MOST_STEPS, Run

__all__ = ["Curve"]

Floats = NDArray[np.float64]

#: Rows below which a log says nothing about the shape of its curve.
FEWEST_ROWS = 20
#: A loss outside these is no loss [nats/token], and its square no float.
LEAST_LOSS, MOST_LOSS = 1e-30, 1e30


@final
@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A run and its loss curve.

    Attributes:
        run: what was trained; a law needs its planned learning rates, and its size to tell sizes apart.
        steps: optimizer steps completed at each row, shape (n,), rising; rows at step 0 are left out.
        loss: training loss [nats/token] of each row, shape (n,), not smoothed; rows that are not finite
            and positive (1e-30 to 1e30) are left out.

    Raises:
        FitError: if the arrays do not match, or fewer than 20 rows remain.
    """

    run: Run
    steps: NDArray[np.int64]
    loss: Floats

    def __init__(self, run: Run, steps: ArrayLike, loss: ArrayLike) -> None:
        at, losses = np.asarray(steps, dtype=np.float64), np.asarray(loss, dtype=np.float64)
        if at.ndim != 1 or at.shape != losses.shape:
            raise FitError(
                f"Curve of '{run.name}': `steps` and `loss` must have one shape (n,) "
                f"(got {at.shape} and {losses.shape})."
            )
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

    def blocks(self) -> LossBlocks:
        """Return the curve as geometric blocks, single bad rows tamed."""
        blocks = LossBlocks()
        for step, loss in zip(self.steps.tolist(), self.loss.tolist(), strict=True):
            blocks.add(step, loss)
        return blocks

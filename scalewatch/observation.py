"""What one training step measured."""

from __future__ import annotations

from typing import NamedTuple, final

__all__ = ["Observation"]


@final
class Observation(NamedTuple):
    """One row of a training log.

    Any number may be NaN or infinite: that is something to observe, not an error.

    Attributes:
        step: optimizer steps completed, from 1.
        loss: training loss of this step [nats/token], a mean over the step's whole batch, never smoothed.
        learning_rate: learning rate that this step was taken with.
        grad_norm: global L2 norm of the gradient before clipping.
        tokens: tokens consumed up to and including this step.
        validation_loss: loss on held-out text [nats/token], where this step has one.
    """

    step: int
    loss: float
    learning_rate: float | None = None
    grad_norm: float | None = None
    tokens: float | None = None
    validation_loss: float | None = None

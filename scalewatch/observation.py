"""What one training step measured."""

from __future__ import annotations

from collections.abc import Mapping
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
        seconds: wall-clock time of this row from any origin [s], where the log has it.
        rank_losses: loss of each data-parallel rank at this step [nats/token], in the order of the ranks, where they
            are gathered: one rank that is not like the others is broken hardware rather than training.
        precursors: what is measured inside the model at some steps, by name (`scalewatch_torch` says which there are).
        phase: what is changed by design from this row on, by name, as `scalewatch.note_phase` says it.
    """

    step: int
    loss: float
    learning_rate: float | None = None
    grad_norm: float | None = None
    tokens: float | None = None
    validation_loss: float | None = None
    seconds: float | None = None
    rank_losses: tuple[float, ...] | None = None
    precursors: Mapping[str, float] | None = None
    phase: str | None = None

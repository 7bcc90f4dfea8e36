"""What a loop lets be done to it: to be asked to end, and to say how far it has come. Each kind of loop has one."""

from __future__ import annotations

import abc
from typing import Any

import torch.distributed as dist

from scalewatch.acting.acts import Decision

__all__ = ["LoopControl"]


class LoopControl(abc.ABC):
    """A loop as its acts see it, on each of its processes.

    Attributes:
        called: what people call it.
        scaled: whether gradients are scaled when a step is about to be taken, as with fp16 in a trainer.
        resumes_by: what a user writes for a run that was started again to go on from its checkpoint.
    """

    called = "the loop"
    scaled = False
    resumes_by = ""

    @property
    @abc.abstractmethod
    def step(self) -> int:
        """Optimizer steps that were taken so far."""

    @property
    @abc.abstractmethod
    def processes(self) -> int:
        """How many of them train together."""

    @abc.abstractmethod
    def stop(self, decision: Decision) -> None:
        """Ask the loop to end after the step that it is at."""

    def hush(self, decision: Decision) -> None:
        """Keep the loop from work on weights that are lost, until it ends; called again at each batch until then."""
        return

    def held_by(self) -> str:
        """Return what makes the loop go on although it was asked to stop, "" if nothing does."""
        return ""

    def went_on_for(self) -> str:
        """Return what the loop was told to go on for, "" where nobody knows."""
        return ""

    def can_pass_over(self, steps: int) -> bool:
        """Whether the batches of so many steps can be drawn without a step, and the run be as long as was planned."""
        return False

    def pass_over(self, steps: int) -> int:
        """Draw the batches of so many steps, or those that are left in the epoch; return how many these were."""
        return 0

    def restore(self) -> None:
        """Leave the loop as it was."""
        return

    def tell_all(self, plain: Any) -> Any:
        """Return what the first process has, on all of them: a collective, where rank 0 alone is watched."""
        box = [plain]
        dist.broadcast_object_list(box, 0)
        return box[0]

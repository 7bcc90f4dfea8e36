"""Which steps an optimizer really took: a scaler of fp16 leaves out those whose gradient overflowed."""

from __future__ import annotations

from collections import deque
from typing import Any, final

__all__ = ["StepsTaken"]

#: Steps that were left out, as far back as a loss may arrive late [steps]: by hand, four times two transfers.
KEPT_STEPS = 128


@final
class StepsTaken:
    """Counts the calls of an optimizer's `step`, by a hook of its own.

    Where a fused optimizer leaves a step out inside, this counts it as taken.
    """

    def __init__(self) -> None:
        self._handle: Any = None
        self._stepped = self._empty = False
        self._left_out: deque[int] = deque(maxlen=KEPT_STEPS)

    def attach(self, optimizer: Any) -> None:
        """Count the steps of this optimizer; of one that has no hooks nothing is known."""
        register = getattr(optimizer, "register_step_pre_hook", None)
        if register is not None:
            self._handle = register(self._note)

    def _note(self, *_: Any) -> None:
        self._stepped = True

    def leave_out(self) -> None:
        """The step under way is left out, although the optimizer steps."""
        self._empty = True

    def end_step(self, step: int) -> None:
        """The loop has counted a step: remember whether it was one."""
        if self._handle is not None and (self._empty or not self._stepped):
            self._left_out.append(step)
        self._stepped = self._empty = False

    def was_taken(self, step: int) -> bool | None:
        """Whether the optimizer took this step, None where nobody knows."""
        return None if self._handle is None else step not in self._left_out

    def detach(self) -> None:
        """Count no more."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

"""A factor on the learning rate that no scheduler undoes and no checkpoint keeps.

It is put on right before a step of the optimizer and taken off right after it, by hooks of the optimizer: outside of
the step a scheduler, a checkpoint and the user see the scheduled rate. `group["lr"] *= factor` instead is undone at the
next step by every scheduler that computes its rate anew (LambdaLR and all of transformers', one-cycle, restarts), and
scaling the numbers of the scheduler is wrong for a cosine that ends above zero (11 schedulers, tried).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch

__all__ = ["RateFactor"]


@final
class RateFactor:
    """Multiplies the learning rates of some optimizers while they step.

    Attributes:
        now: the factor that the next step is taken with; it moves to what was set by equal ratios.
    """

    def __init__(self) -> None:
        self.now = 1.0
        self._target, self._ratio, self._left = 1.0, 1.0, 0
        self._handles: list[Any] = []
        self._first: Any = None
        self._kept: list[tuple[dict[str, Any], Any]] = []

    def attach(self, optimizers: Sequence[Any]) -> None:
        """Take part in the steps of these; the first one counts them."""
        self._first = optimizers[0] if optimizers else None
        for optimizer in optimizers:
            self._handles.append(optimizer.register_step_pre_hook(self._before))
            self._handles.append(optimizer.register_step_post_hook(self._after))

    def set(self, factor: float, steps: int = 1) -> None:
        """Go to `factor` within `steps` steps of the first optimizer, by equal ratios."""
        self._target, self._left = factor, max(1, steps)
        self._ratio = (factor / self.now) ** (1.0 / self._left)

    def _before(self, optimizer: Any, *_: Any) -> None:
        if optimizer is self._first and self._left:
            self._left -= 1
            self.now = self.now * self._ratio if self._left else self._target
        if self.now == 1.0:
            return
        self.restore()  # a step before may have raised
        for group in optimizer.param_groups:
            rate = group["lr"]
            if isinstance(rate, torch.Tensor):  # compiled steps hold the tensor itself
                self._kept.append((group, rate.clone()))
                rate.mul_(self.now)
            else:
                self._kept.append((group, rate))
                group["lr"] = rate * self.now

    def _after(self, *_: Any) -> None:
        if self._kept:
            self.restore()

    def scheduled(self, settings: dict[str, Any]) -> Any:
        """The rate of one group of settings without the factor, wherever in a step this is asked."""
        return next((rate for group, rate in self._kept if group is settings), settings["lr"])

    def restore(self) -> None:
        """Put the scheduled rates back, also in the middle of a step that has raised."""
        for group, rate in self._kept:
            if isinstance(rate, torch.Tensor):
                group["lr"].copy_(rate)
            else:
                group["lr"] = rate
        self._kept.clear()

    def detach(self) -> None:
        """Take part no more."""
        self.restore()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

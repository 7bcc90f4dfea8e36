"""A factor on the learning rate that no scheduler undoes and no checkpoint keeps.

It is put on right before a step of the optimizer and taken off right after it, by hooks of the optimizer: outside of
the step a scheduler, a checkpoint and the user see the scheduled rate. `group["lr"] *= factor` instead is undone at the
next step by every scheduler that computes its rate anew (LambdaLR and all of transformers', one-cycle, restarts), and
scaling the numbers of the scheduler is wrong for a cosine that ends above zero (11 schedulers, tried).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, final

import torch

from scalewatch.guard import Guard

__all__ = ["RateFactor"]

#: What a fault of it is told as.
PART = "learning-rate factor"


@final
class RateFactor:
    """Multiplies the learning rates of some optimizers while they step.

    Attributes:
        now: the factor that the next step is taken with; it moves to what was set by equal ratios.
        excess: how many times too high a rate is that has left its plan, 1 where that is no matter: the factor is then
            on while it is, from a jump up of the scheduled rate to a jump down.
    """

    def __init__(self) -> None:
        self.now = self.excess = 1.0
        self._before_this: float | None = None
        self._target, self._ratio, self._left = 1.0, 1.0, 0
        self._handles: list[Any] = []
        self._first: Any = None
        self._kept: list[tuple[dict[str, Any], Any]] = []
        self._guard = Guard()

    def attach(self, optimizers: Sequence[Any]) -> None:
        """Take part in the steps of these; the first one counts them."""
        self._first = optimizers[0] if optimizers else None
        for optimizer in optimizers:
            self._handles.append(optimizer.register_step_pre_hook(self._in_net(self._before)))
            self._handles.append(optimizer.register_step_post_hook(self._in_net(self._after)))

    def _in_net(self, work: Callable[[Any], None]) -> Callable[..., None]:
        """Return a hook of the optimizer that no fault leaves: after one the scheduled rates stand, and stay."""

        def hook(optimizer: Any, *_: Any) -> None:
            if not self._guard.failed:
                self._guard.net(PART, work, optimizer)
                if self._guard.failed:
                    self._guard.net(PART, self.restore)

        return hook

    def set(self, factor: float, steps: int = 1) -> None:
        """Go to `factor` within `steps` steps of the first optimizer, by equal ratios."""
        self.excess, self._target, self._left = 1.0, factor, max(1, steps)
        self._ratio = (factor / self.now) ** (1.0 / self._left)

    def keep_to_plan(self, factor: float, *, is_off: bool) -> None:
        """Multiply with `factor` while the scheduled rate is 1 / factor times its plan; `is_off` says whether it is."""
        self.set(factor if is_off else 1.0)
        # what it is now counts as before: the very next step may be the one that leaves the plan
        rate = None if self._first is None else self._first.param_groups[0]["lr"]
        self.excess, self._before_this = 1.0 / factor, None if isinstance(rate, torch.Tensor) else rate

    def _before(self, optimizer: Any) -> None:
        if optimizer is self._first:
            self._move(optimizer.param_groups[0]["lr"])
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

    def _move(self, rate: Any) -> None:
        if self._left:
            self._left -= 1
            self.now = self.now * self._ratio if self._left else self._target
        if self.excess == 1.0 or isinstance(rate, torch.Tensor):  # one that may be on a device is not fetched
            return
        before, self._before_this = self._before_this, rate
        if before and rate > before * math.sqrt(self.excess):
            self.now = 1.0 / self.excess
        elif before and rate * math.sqrt(self.excess) < before:
            self.now = 1.0

    def _after(self, _: Any) -> None:
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

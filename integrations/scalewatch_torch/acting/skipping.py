"""Leaves out a step whose gradient is no number, before it reaches the weights.

On the CPU the gradients are looked at and taken away: the optimizer has nothing to do, and neither weights nor moments
change. On an accelerator that look would make the loop wait for its device at each step, as loss scaling does. There
the gradient of such a step is set to zero on the device, and what is counted arrives later: nothing waits, and the
price is that momentum and weight decay still move the weights by one ordinary step.

Over several processes the gradients are the same once they are reduced, so each of them decides the same.
"""

from __future__ import annotations

from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from scalewatch.acting.acts import ActLimits
from scalewatch_torch.optimizer import gradients_of, why_no_gradient_norm
from scalewatch_torch.transfer import Transfers

__all__ = ["SkipSteps", "Skipped"]

#: Steps between two looks at what an accelerator has counted [steps].
LOOK_EVERY_STEPS = 16


class Skipped(NamedTuple):
    """Steps that were left out: the newest one, and how many so far."""

    step: int
    so_far: int


@final
class SkipSteps:
    """Leaves steps out.

    Args:
        limits: how many in a run and on end. dry: whether they are only counted.
        on_device: whether gradients are changed without a look at them; None to go by where they are.

    Attributes:
        count: steps left out so far. spent: why no more are left out, "" while some may be. first: the first of them.
    """

    def __init__(self, limits: ActLimits, *, dry: bool = False, on_device: bool | None = None) -> None:
        self._limits, self._dry, self._on_device = limits, dry, on_device
        self.count, self.first = 0, 0
        self.spent = ""
        self._running = self._seen = 0
        self._counted: Tensor | None = None
        self._transfers: Transfers[int] = Transfers((1,))

    @staticmethod
    def take_away(optimizer: Any, *, scaled: bool) -> None:
        """Take the gradients away, whatever they are; where a scaler has to find some, they are zero instead."""
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if not scaled:
                    parameter.grad = None
                elif parameter.grad is not None:
                    parameter.grad.zero_()

    def before_step(self, optimizer: Any, step: int) -> Skipped | None:
        """Look at the gradients of a step that is about to be taken; what is known to have been left out with it."""
        if self.spent or step <= (self._limits.from_step or 0):
            return None
        grads = gradients_of(optimizer)
        if not grads:
            return None
        why_not = why_no_gradient_norm(optimizer)
        if why_not is not None:
            self.spent = f"no step can be skipped: {why_not}"
            return None
        largest = torch.stack([each.float() for each in torch._foreach_norm(grads, float("inf"))]).amax()
        on_device = grads[0].device.type != "cpu" if self._on_device is None else self._on_device
        return self._mask(grads, largest, step) if on_device else self._take_away(optimizer, largest, step)

    def _take_away(self, optimizer: Any, largest: Tensor, step: int) -> Skipped | None:
        if bool(torch.isfinite(largest)):
            self._running = 0
            return None
        if not self._dry:
            self.take_away(optimizer, scaled=False)
        return self._counts(step, 1)

    def _counts(self, step: int, more: int) -> Skipped:
        self.first = self.first or step
        self.count += more
        self._running += more
        if self.count >= self._limits.skips:
            self.spent = f"{self.count} steps were skipped, and no more are in this run"
        elif self._running >= self._limits.skips_running:
            self.spent = f"{self._running} steps running were skipped: that is no accident, and no more are"
        return Skipped(step, self.count)

    def _mask(self, grads: list[Tensor], largest: Tensor, step: int) -> Skipped | None:
        bad = ~torch.isfinite(largest)
        if self._counted is None:
            self._counted = torch.zeros(1, dtype=torch.float32, device=largest.device)
        self._counted += bad
        if not self._dry:
            for grad in grads:
                grad.masked_fill_(bad, 0.0)
        if step % LOOK_EVERY_STEPS == 0:
            self._transfers.send(self._counted, step)
        arrived = self._transfers.take()
        if arrived is None:
            return None
        newest, total = arrived[0], int(arrived[1][0])
        more, self._seen = total - self._seen, total
        if not more:
            self._running = 0
            return None
        return self._counts(newest, more)

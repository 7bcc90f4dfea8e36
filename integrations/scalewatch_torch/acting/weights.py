"""Whether the weights of a model are still numbers."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["are_finite"]


@torch.no_grad()
def are_finite(parameters: Iterable[Tensor]) -> bool | None:
    """Whether each of these weights is a number; waits for the device. None where none can be looked at.

    Weights that are spread over processes are left out: to look at them would be a collective.
    """
    by_device: dict[torch.device, list[Tensor]] = {}
    for each in parameters:
        if (
            type(each).__name__ != "DTensor"
            and each.layout is torch.strided
            and each.is_floating_point()
            and len(each.reshape(-1))
        ):
            by_device.setdefault(each.device, []).append(each.detach())
    if not by_device:
        return None
    # the largest absolute value of a tensor is NaN or infinite exactly where one of its elements is
    largest = [torch.stack([n.float() for n in torch._foreach_norm(each, float("inf"))]) for each in by_device.values()]
    return all(bool(torch.isfinite(each).all()) for each in largest)

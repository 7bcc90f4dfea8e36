"""What an optimizer is about to do and has just done: gradient norms, and updates against Adam's second moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["gradient_norm", "group_norms", "squared_norm", "stacked", "update_rms", "why_no_gradient_norm"]

#: Elements of a tensor that are looked at together: two copies of so many are all the memory that it takes [elements].
CHUNK_ELEMENTS = 1 << 24
#: What Adam divides by at least, where its group does not say (torch's default).
EPS = 1e-8


def usable(parameter: Tensor) -> bool:
    """Whether it has a gradient that can be measured on this process alone: dense, real, not distributed."""
    grad = parameter.grad
    return (
        grad is not None
        and grad.layout is torch.strided
        and grad.is_floating_point()
        and type(grad).__name__ != "DTensor"  # its sums would be collectives
    )


def parameters_of(optimizer: torch.optim.Optimizer) -> Iterable[tuple[Tensor, Mapping[str, Any]]]:
    """Each parameter with a usable gradient, and the group of settings that it is in."""
    for settings in optimizer.param_groups:
        for parameter in settings["params"]:
            if usable(parameter):
                yield parameter, settings


def gradients_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """All gradients that there are."""
    return [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]


def gradient_norm(optimizer: torch.optim.Optimizer) -> Tensor | None:
    """L2 norm of all gradients of `optimizer`, on their device; None if there are none.

    They have to be dense and on one device: `why_no_gradient_norm` says whether they are.
    """
    grads = gradients_of(optimizer)
    if not grads:
        return None
    norm: Tensor = torch.linalg.vector_norm(torch.stack(list(torch._foreach_norm(grads))))
    return norm


def why_no_gradient_norm(optimizer: torch.optim.Optimizer) -> str | None:
    """Why the gradient norm cannot be taken on this process alone, None if it can."""
    grads = gradients_of(optimizer)
    if any(type(grad).__name__ == "DTensor" for grad in grads):
        return "the gradients are distributed tensors, and their norm would take a collective"
    if any(grad.layout is not torch.strided for grad in grads):
        return "some gradients are sparse"
    if len({grad.device for grad in grads}) > 1:
        return "the gradients are on several devices"
    return None


def group_norms(optimizer: torch.optim.Optimizer, group_of: Callable[[Tensor], str]) -> dict[str, Tensor]:
    """L2 norm of the gradient of each group, on its device."""
    grads: dict[str, dict[torch.device, list[Tensor]]] = {}
    for parameter, _ in parameters_of(optimizer):
        grad = parameter.grad
        if grad is not None and grad.numel():
            grads.setdefault(group_of(parameter), {}).setdefault(grad.device, []).append(grad)
    return {group: _norm(by_device.values()) for group, by_device in grads.items()}


def _norm(lists: Iterable[list[Tensor]]) -> Tensor:
    norms = [norm.float() for grads in lists for norm in torch._foreach_norm(grads)]
    norm: Tensor = torch.linalg.vector_norm(stacked(norms))
    return norm


def squared_norm(norms: Iterable[Tensor]) -> Tensor:
    """Square of the norm whose parts have these norms."""
    return stacked(list(norms)).square().sum()


def stacked(values: list[Tensor]) -> Tensor:
    """Numbers that may be on several devices as one tensor, shape (n,), on the device of the first."""
    device = values[0].device
    return torch.stack([value.to(device, non_blocking=True) for value in values])


def update_rms(optimizer: torch.optim.Optimizer, group_of: Callable[[Tensor], str]) -> dict[str, Tensor]:
    """Largest RMS of g/sqrt(v) over the tensors of each group, after the step; empty if nothing has a second moment.

    For a tensor sqrt(mean(g^2 / max(v, eps^2))), with v the second moment of Adam after this gradient, its bias taken
    off (Wortsman 2023, arXiv 2304.13013, algorithm 2): about 1 while v knows how large gradients are, at most
    1/sqrt(1 - beta2).
    """
    found: dict[str, list[Tensor]] = {}
    for parameter, settings in parameters_of(optimizer):
        state, grad = optimizer.state.get(parameter) or {}, parameter.grad
        moment = state.get("exp_avg_sq")
        if grad is None or not isinstance(moment, Tensor) or moment.shape != grad.shape or not grad.numel():
            continue
        beta2 = settings["betas"][1] if "betas" in settings else 0.0
        step = state.get("step")
        if isinstance(step, Tensor) and step.device.type == "cpu":  # one that is kept on a device stays there
            step = float(step)
        known = 1.0 - beta2**step if step is not None and beta2 else 1.0
        found.setdefault(group_of(parameter), []).append(_rms(grad, moment, known, settings.get("eps", EPS)))
    return {group: stacked(values).amax() for group, values in found.items()}


def _rms(grad: Tensor, moment: Tensor, known: Tensor | float, eps: float) -> Tensor:
    """With v = moment / known: g^2 / max(v, eps^2) = known g^2 / max(moment, known eps^2)."""
    least = known * eps * eps
    rows = max(1, CHUNK_ELEMENTS * len(grad) // grad.numel()) if grad.ndim else 1
    chunks = zip(grad.split(rows), moment.split(rows), strict=True) if grad.ndim else ((grad, moment),)
    total = torch.zeros((), device=grad.device)
    for g, v in chunks:
        total += g.detach().float().square().div_(v.float().clamp(min=least)).sum()
    return (total * (known / grad.numel())).sqrt()

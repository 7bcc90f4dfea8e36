"""What is inside of the wrappers that Fabric, accelerate, DDP and `torch.compile` put around a model and its optimizer.

Known by the names of their classes, so that none of these packages has to be there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import nn

from scalewatch.errors import ConfigError
from scalewatch_torch.lr_lookahead import Scheduled

__all__ = ["plain_module", "plain_optimizers", "scheduled"]

#: Classes of modules that hold another one, and where.
MODULE_WRAPPERS = {
    "_FabricModule": "module",
    "DistributedDataParallel": "module",
    "DataParallel": "module",
    "OptimizedModule": "_orig_mod",
}
#: Classes of optimizers that hold another one, as `optimizer`.
OPTIMIZER_WRAPPERS = ("AcceleratedOptimizer", "FabricOptimizer")


def plain_module(module: nn.Module) -> nn.Module:
    """Return the module that the user wrote.

    Raises:
        ConfigError: if it is none.
    """
    inner: Any = module
    while (inside := MODULE_WRAPPERS.get(type(inner).__name__)) is not None:
        inner = getattr(inner, inside)
    if not isinstance(inner, nn.Module):
        raise ConfigError(f"`model` must be a torch.nn.Module (got {type(module).__name__}).")
    return inner


def plain_optimizers(optimizers: Any) -> list[torch.optim.Optimizer]:
    """Return torch's optimizers, of one or several.

    Raises:
        ConfigError: if there is none, or one is of somebody's own making.
    """
    found = []
    for each in optimizers if isinstance(optimizers, Sequence) else [optimizers]:
        is_wrapped = any(kind.__name__.endswith(OPTIMIZER_WRAPPERS) for kind in type(each).__mro__)
        optimizer = each.optimizer if is_wrapped else each
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise ConfigError(f"`optimizer` must be a torch.optim.Optimizer, or several (got {type(each).__name__}).")
        found.append(optimizer)
    if not found:
        raise ConfigError("`optimizer` must be a torch.optim.Optimizer, or several (got none).")
    return found


def scheduled(schedulers: Any, processes: int) -> list[Scheduled]:
    """Return when each scheduler steps: those that do not say it step with each optimizer step.

    Args:
        schedulers: one, several or None, each of torch, prepared by accelerate, or a `Scheduled`.
        processes: that train together. accelerate steps a scheduler that it has prepared once for each of them.

    Raises:
        ConfigError: if one has no `step`.
    """
    if schedulers is None:
        return []
    found = []
    # a `Scheduled` is a tuple too
    several = isinstance(schedulers, Sequence) and not isinstance(schedulers, Scheduled)
    for each in schedulers if several else [schedulers]:
        given = each if isinstance(each, Scheduled) else Scheduled(each)
        scheduler = given.scheduler
        if type(scheduler).__name__ == "AcceleratedScheduler":
            once = scheduler.split_batches or not scheduler.step_with_optimizer
            scheduler = scheduler.scheduler if once else Repeated(scheduler.scheduler, processes)
        if not callable(getattr(scheduler, "step", None)):
            raise ConfigError(f"`scheduler` must be a scheduler of learning rates (got {type(scheduler).__name__}).")
        found.append(given._replace(scheduler=scheduler))
    return found


@final
class Repeated:
    """Steps a scheduler several times at once, as far as it goes."""

    def __init__(self, scheduler: Any, times: int) -> None:
        self._scheduler = scheduler
        self._times = times

    def step(self) -> None:
        """Step it so many times; one that knows its length is not stepped beyond it."""
        for _ in range(self._times):
            if self._scheduler.last_epoch < getattr(self._scheduler, "total_steps", float("inf")):
                self._scheduler.step()

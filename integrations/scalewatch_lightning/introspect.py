"""What a run is, found out from the trainer: how long it is, and how many processes read different batches.

All of it reads counters; nothing is a collective.
"""

from __future__ import annotations

import math
from typing import Any

__all__ = ["planned_steps", "replicas", "steps_per_epoch", "why_no_end"]

#: Why nobody counts the steps of a run, or of an epoch.
VARIES = "the batches of a step change by a schedule"


def replicas(trainer: Any) -> int:
    """How many processes read different batches: the data-parallel size, 1 without a strategy for it."""
    sampler = trainer.distributed_sampler_kwargs
    if sampler is None:
        return 1
    return max(1, int(sampler.get("num_replicas", trainer.world_size)))


def planned_steps(trainer: Any) -> int | None:
    """Optimizer steps that the trainer means to take in all, None if it has no such plan.

    With manual optimisation the trainer counts every optimizer, so a plan is only known where there is one.
    """
    if any(type(c).__name__ == "GradientAccumulationScheduler" for c in trainer.callbacks):
        return None  # the trainer itself refuses to estimate this
    if not trainer.lightning_module.automatic_optimization and len(trainer.optimizers) != 1:
        return None
    steps = trainer.estimated_stepping_batches
    # whoever trains by the clock gives a number of epochs that is never reached
    by_clock = any(type(each).__name__ == "Timer" for each in trainer.callbacks) and trainer.max_steps == -1
    if by_clock or not math.isfinite(steps) or steps <= trainer.global_step:
        return None
    if not trainer.lightning_module.automatic_optimization and steps != trainer.max_steps:
        return None  # it counted batches, and the module may accumulate them
    return int(steps)


def steps_per_epoch(trainer: Any) -> float | None:
    """Optimizer steps of one pass over the training data, None where an epoch of the trainer may not be one.

    A part of the data an epoch, data that are loaded anew, a stream: none of them need be seen again.
    """
    batches, limit = float(trainer.num_training_batches), trainer.limit_train_batches
    whole = limit is None or (isinstance(limit, float) and limit == 1.0)
    if not whole or trainer.reload_dataloaders_every_n_epochs or not math.isfinite(batches) or batches < 1.0:
        return None
    if not trainer.lightning_module.automatic_optimization or why_no_end(trainer) == VARIES:
        return None
    data = getattr(trainer.train_dataloader, "dataset", None)
    if data is None or not hasattr(data, "__getitem__"):
        return None
    return float(math.ceil(batches / trainer.accumulate_grad_batches))


def why_no_end(trainer: Any) -> str:
    """Say why `planned_steps` found none, and what would give one."""
    if any(type(each).__name__ == "GradientAccumulationScheduler" for each in trainer.callbacks):
        return VARIES
    module = trainer.lightning_module
    if not module.automatic_optimization:
        return "with manual optimization only `Trainer(max_steps=...)` says how many steps there are"
    if trainer.max_steps == -1 and not math.isfinite(float(trainer.num_training_batches)):
        return "the data have no length; `Trainer(max_steps=...)` or a `__len__` of the data would say it"
    if any(type(each).__name__ == "Timer" for each in trainer.callbacks):
        return "it is `max_time` that ends it; `Trainer(max_steps=...)` would say at which step"
    return "`Trainer(max_steps=...)` or `max_epochs` would say it"

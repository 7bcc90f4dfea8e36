"""The planned learning rates of a trainer: which of its schedulers steer, and when it steps them.

Source: `_TrainingEpochLoop._update_learning_rates` of Lightning 2.6, which this follows step for step.
"""

from __future__ import annotations

from typing import Any

from scalewatch_torch.lr_lookahead import Clock, LookAhead, Scheduled, planned_rates

__all__ = ["trainer_rates"]


def trainer_rates(trainer: Any, optimizer: Any, group: int, batch_index: int, steps: int) -> LookAhead:
    """Return the learning rate of the next `steps` steps of `optimizer.param_groups[group]`, shape (steps,).

    Besides what `planned_rates` does not know, it is unknown where the user steps the scheduler by hand.

    Args:
        batch_index: index in its epoch of the batch that comes next.
    """
    configs = [c for c in trainer.lr_scheduler_configs if _steers(c.scheduler, optimizer)]
    module = trainer.lightning_module
    if any(config.reduce_on_plateau for config in configs):
        return LookAhead(None, "ReduceLROnPlateau decides by a metric that is not known yet")
    if configs and not module.automatic_optimization:
        return LookAhead(None, "with manual optimization the module steps its scheduler itself")
    if configs and _overrides(module, "lr_scheduler_step"):
        return LookAhead(None, "the module overrides lr_scheduler_step")
    clock = Clock(
        batch_index,
        trainer.current_epoch,
        float(trainer.num_training_batches),
        int(trainer.accumulate_grad_batches),
    )
    schedulers = [Scheduled(config.scheduler, config.interval, config.frequency) for config in configs]
    return planned_rates(optimizer, schedulers, steps, group=group, clock=clock, shared=(module, trainer))


def _steers(scheduler: Any, optimizer: Any) -> bool:
    # a scheduler of somebody's own making need not say whose it is
    return getattr(scheduler, "optimizer", optimizer) is optimizer


def _overrides(module: Any, name: str) -> bool:
    method = getattr(type(module), name, None)
    home = getattr(method, "__module__", "")
    return not home.startswith(("pytorch_lightning.", "lightning.pytorch."))

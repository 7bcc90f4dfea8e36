"""Finds the loss and the number of a step among what a trainer hands to its callbacks.

With automatic optimisation the number is the trainer's `global_step`; with manual optimisation the trainer counts every
optimizer, so steps are counted here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, final

import torch

from scalewatch_lightning.end_by_time import TellsEnd
from scalewatch_torch.introspect import tokens_in
from scalewatch_torch.optimizer import why_no_gradient_norm
from scalewatch_torch.watching.step_metrics import StepMetrics

__all__ = ["TrainerSteps", "why_no_norm"]

_log = logging.getLogger("scalewatch")

#: Names under which a loss is logged by a module that returns none, most usual first.
LOSS_NAMES = ("train_loss", "loss", "train/loss")

#: Strategies that keep each gradient in pieces: its norm would take a collective.
_SHARDING_STRATEGIES = ("FSDP", "DeepSpeed", "ModelParallel", "XLA")


@final
class TrainerSteps:
    """Hands each batch of a trainer to the measuring.

    Args:
        metrics: measures the steps.
        replicas: processes that read different batches.
        manual: whether the module steps its optimizers itself.
        logged_as: names under which the losses are logged, empty for what `training_step` returns.

    Attributes:
        end_by_time: what tells where the clock ends the run; None where steps end it.
    """

    def __init__(self, metrics: StepMetrics, *, replicas: int, manual: bool, logged_as: tuple[str, ...] = ()) -> None:
        self.metrics = metrics
        self._replicas = replicas
        self._manual = manual
        self._logged_as = logged_as
        self._has_warned = False
        self.end_by_time: TellsEnd | None = None

    def after_batch(self, trainer: Any, outputs: Any, batch: Any) -> None:
        """Take in one batch."""
        metrics = self.metrics
        if metrics.counts_tokens:
            metrics.add_tokens((tokens_in(batch) or 0) * self._replicas)
        loss = self._loss(trainer, outputs)
        if loss is not None:
            metrics.reader.add_loss(loss)
        for name, reader in zip(self._logged_as[1:], metrics.others, strict=False):
            loss = _logged(trainer.callback_metrics, name)
            if loss is not None:
                reader.add_loss(loss)
        step = self._step_after(trainer)
        if step != metrics.step:
            # Lightning hands out the loss divided by this, for the sum of the gradients
            whole = self._manual or bool(self._logged_as)
            metrics.close(step, 1.0 if whole else float(trainer.accumulate_grad_batches))
            if self.end_by_time is not None:
                self.end_by_time.after_step(step)

    def _step_after(self, trainer: Any) -> int:
        if not self._manual:
            return int(trainer.global_step)
        return self.metrics.step + self.metrics.main_stepped

    def _loss(self, trainer: Any, outputs: Any) -> torch.Tensor | None:
        names: tuple[str, ...] = self._logged_as[:1] or LOSS_NAMES
        if not self._logged_as:
            loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
            if isinstance(loss, torch.Tensor):
                return loss
            if not self._manual:
                return None  # `training_step` returned None: the reader counts the step
        metrics = trainer.callback_metrics
        for name in names:
            loss = _logged(metrics, name)
            if loss is not None:
                return loss
        if not self._has_warned:
            self._has_warned = True
            _log.warning(
                "scalewatch: there is no loss to watch: none is logged under %s (logged are: %s); return it as 'loss',"
                " or name one with `loss=`.",
                ", ".join(names),
                ", ".join(list(metrics)[:6]) or "none",
            )
        return None


def _logged(metrics: Mapping[str, Any], name: str) -> torch.Tensor | None:
    """What is logged under a name, or under what Lightning calls its value of one step."""
    value: torch.Tensor | None = metrics.get(f"{name}_step", metrics.get(name))
    return value


def why_no_norm(trainer: Any, optimizer: Any) -> str | None:
    """Why the gradient norm cannot be taken on this process alone, None if it can."""
    strategy = type(trainer.strategy).__name__
    if strategy.startswith(_SHARDING_STRATEGIES):
        return f"{strategy} keeps each gradient in pieces, and its norm would take a collective"
    why_not = why_no_gradient_norm(optimizer)
    if why_not is not None:
        return why_not
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    if scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
        return "the fused optimizer unscales the gradients inside its step"
    return None

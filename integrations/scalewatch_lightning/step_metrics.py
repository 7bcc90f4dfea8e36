"""Reads one training step off the trainer: loss, learning rate, gradient norm, tokens, in that order of cost.

A step is one step of the optimizer that holds the most parameters, however many batches it was accumulated
over and whatever other optimizers did meanwhile. With automatic optimisation that is the trainer's
`global_step`; with manual optimisation the trainer counts every optimizer, so steps are counted here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, final

import torch

from scalewatch.observation import Observation
from scalewatch_torch.introspect import tokens_in
from scalewatch_torch.optimizer import gradient_norm, why_no_gradient_norm
from scalewatch_torch.scalars import ScalarReader

__all__ = ["StepMetrics", "why_no_norm"]

_log = logging.getLogger("scalewatch")

#: Names under which a loss is logged by a module that returns none, most usual first.
LOSS_NAMES = ("train_loss", "loss", "train/loss", "train_loss_step", "loss_step", "train/loss_step")

#: Strategies that keep each gradient in pieces: its norm would take a collective.
_SHARDING_STRATEGIES = ("FSDP", "DeepSpeed", "ModelParallel", "XLA")


@final
class StepMetrics:
    """Turns the hooks of one run on one process into observations.

    Args:
        reader: brings losses to the host.
        optimizer: the one whose steps are counted.
        group: index of its group whose learning rate is reported.
        step: optimizer steps completed so far.
        tokens: tokens consumed so far, None if they cannot be counted.
        batch_tokens: tokens of one batch over all processes, None to count each batch.
        replicas: processes that read different batches.
        manual: whether the module steps its optimizers itself.
        logged_as: name under which the loss is logged, None for what `training_step` returns.
    """

    def __init__(
        self,
        reader: ScalarReader,
        *,
        optimizer: Any,
        group: int,
        step: int,
        tokens: float | None,
        tokens_per_step: float | None,
        replicas: int,
        manual: bool,
        logged_as: str | None = None,
    ) -> None:
        self.reader = reader
        self.step = step
        self.tokens = tokens
        self.validation_loss: float | None = None
        self.optimizer = optimizer
        self._group = group
        self._tokens_per_step = tokens_per_step
        self._replicas = replicas
        self._manual = manual
        self._logged_as = logged_as
        self._rate: float | None = None
        self._main_stepped = False
        self._has_warned = False

    def is_main(self, optimizer: Any) -> bool:
        """Whether `optimizer` is the one whose steps are counted."""
        return optimizer is self.optimizer

    def before_step(self) -> None:
        """Read the learning rate that the step is about to be taken with."""
        rate = self.optimizer.param_groups[self._group]["lr"]
        # a rate that is kept on a device is not fetched from there
        on_host = not isinstance(rate, torch.Tensor) or rate.device.type == "cpu"
        self._rate = float(rate) if on_host else None
        self._main_stepped = True

    def norm(self) -> None:
        """Take the gradient norm of the step that is about to be taken, without waiting for it."""
        norm = gradient_norm(self.optimizer)
        if norm is not None:
            self.reader.set_norm(norm)

    def after_batch(self, trainer: Any, outputs: Any, batch: Any) -> list[Observation]:
        """Take in one batch, and return the steps whose values have arrived."""
        if self.tokens is not None and self._tokens_per_step is None:
            self.tokens += (tokens_in(batch) or 0) * self._replicas
        loss = self._loss(trainer, outputs)
        if loss is not None:
            self.reader.add_loss(loss)
        step = self._step_after(trainer)
        if step != self.step:
            self._close(trainer, step)
        return self.reader.take()

    def _step_after(self, trainer: Any) -> int:
        if not self._manual:
            return int(trainer.global_step)
        return self.step + self._main_stepped

    def _close(self, trainer: Any, step: int) -> None:
        if self.tokens is not None and self._tokens_per_step is not None:
            self.tokens = self._tokens_per_step * step
        # Lightning hands out the loss divided by this, for the sum of the gradients
        whole = self._manual or self._logged_as is not None
        scale = 1.0 if whole else float(trainer.accumulate_grad_batches)
        self.reader.close_step(step, self._rate, self.tokens, self.validation_loss, scale)
        self.step = step
        self.validation_loss = None
        self._main_stepped = False

    def _loss(self, trainer: Any, outputs: Any) -> torch.Tensor | None:
        names: tuple[str, ...] = LOSS_NAMES
        if self._logged_as is not None:
            names = (self._logged_as, f"{self._logged_as}_step")
        else:
            loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
            if isinstance(loss, torch.Tensor):
                return loss
            if not self._manual:
                return None  # `training_step` returned None: the reader counts the step
        metrics = trainer.callback_metrics
        for name in names:
            if name in metrics:
                return metrics[name]  # type: ignore[no-any-return]
        if not self._has_warned:
            self._has_warned = True
            _log.warning(
                "scalewatch: there is no loss to watch: none is logged under %s (logged are: %s); return it as 'loss',"
                " or name one with `loss=`.",
                ", ".join(names[:3]),
                ", ".join(list(metrics)[:6]) or "none",
            )
        return None


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

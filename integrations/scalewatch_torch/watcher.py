"""`Watcher`: watches a loop of one's own, in plain torch, in Fabric or under accelerate.

    with Watcher(model, optimizer, scheduler, total_steps=STEPS) as watcher:
        for batch in batches:
            ...
            optimizer.step()
            watcher.step(loss)

A hook before each optimizer step reads the learning rate and, every so often, the gradient norm; `step` takes the loss
of a batch. Nothing waits for a device, and nothing of the training is changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from scalewatch.errors import ConfigError
from scalewatch.guard import Guard
from scalewatch_torch.lr_lookahead import Scheduled
from scalewatch_torch.sensors import PrecursorSource, Sensors
from scalewatch_torch.watching.checkpoint import Checkpoint, readable_state
from scalewatch_torch.watching.endings import close_at_exit, ended, ended_by
from scalewatch_torch.watching.loop import Loop, new_watch, processes, reads_here
from scalewatch_torch.watching.options import checked
from scalewatch_torch.watching.unwrapped import plain_module, plain_optimizers, scheduled
from scalewatch_torch.watching.watch import Watch

if TYPE_CHECKING:
    from scalewatch.alert import Receiver, Rules
    from scalewatch.detect import AbstractBlockDetector, AbstractDetector
    from scalewatch.laws import CurveLaw

__all__ = ["Watcher"]


@final
class Watcher:
    """Watches a training loop: is it healthy, is it on its law, what should be done now.

    A context manager, which tells how the run ended; without `with`, `close` or the exit of the process does. Of
    several processes the one of rank 0 watches, and the others do nothing. A fault of its own costs one warning.

    Args:
        model: What is trained, wrapped or not.
        optimizer: What trains it, wrapped or not; of several the one with the most parameters is watched.
        scheduler: Of the learning rate, or several. One that steps with the epochs as `Scheduled(it, "epoch")`, with
            `steps_per_epoch`. None for a constant rate.
        total_steps: Optimizer steps of the whole run, for a forecast. None if unknown.
        steps_per_epoch: Optimizer steps of an epoch. None if unknown.
        tokens_per_step: Tokens of one optimizer step over all devices. None to compare runs by their steps.
        law: Law to hold the run against: a path, or a CurveLaw. None for a forecast from the run itself.
        directory: Folder of the journal. None for `scalewatch` in the working directory.
        name: Name of the run, and of a folder of its own for the journal.
        grad_norm_every: Optimizer steps between two gradient norms. 0 for none.
        precursors: Measures inside the model what often moves before the loss: `scalewatch_torch.Precursors()`, with
            the forward pass and the loss inside of `with watcher.forward():`. None for nothing.
        alerts: Who is told what is worth waking someone: receivers such as `["slack"]`, or the path of a TOML file.
        loggers: What the loop logs to, for findings, forecast and verdict: a `SummaryWriter`, a run of `wandb.init()`
            or `mlflow.start_run()`, a logger of Fabric.
        target_loss: Final loss that the run is for [nats/token].
        incumbent_loss: Final loss of the best run so far, which this one has to beat [nats/token].
        least_gain: Final loss that the rest of the run must buy to be worth its compute [nats/token].
        detectors: Detectors of your own beside the built-in ones.
        quiet: Print nothing to the terminal.

    Raises:
        ConfigError: If an option is not what it may be.
        LawFileError: If no law can be read from `law`.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer] | Any,
        scheduler: Any | Scheduled | Sequence[Any] | None = None,
        *,
        total_steps: int | None = None,
        steps_per_epoch: int | None = None,
        tokens_per_step: int | None = None,
        law: str | os.PathLike[str] | CurveLaw | None = None,
        directory: str | os.PathLike[str] | None = None,
        name: str | None = None,
        grad_norm_every: int = 10,
        precursors: PrecursorSource | None = None,
        alerts: Sequence[str | Receiver] | str | os.PathLike[str] | Rules = (),
        loggers: Sequence[Any] = (),
        target_loss: float | None = None,
        incumbent_loss: float | None = None,
        least_gain: float | None = None,
        detectors: Sequence[AbstractDetector | AbstractBlockDetector] = (),
        quiet: bool = False,
    ) -> None:
        asked = (law, (), directory, tokens_per_step, grad_norm_every, name, quiet, alerts)
        self._options = checked(*asked, target_loss, incumbent_loss, least_gain, detectors)
        self._loop = Loop(
            plain_module(model),
            plain_optimizers(optimizer),
            scheduled(scheduler, processes()),
            total_steps=_length("total_steps", total_steps),
            steps_per_epoch=_length("steps_per_epoch", steps_per_epoch),
            tokens_per_step=None if tokens_per_step is None else float(tokens_per_step),
        )
        self._sensors = Sensors(precursors)
        self._loggers = list(loggers)
        self._checkpoint = Checkpoint()
        self._guard = Guard()
        self._watch: Watch | None = None
        self._hooks: list[Any] = []
        self._is_over = not reads_here()
        if not self._is_over:
            self._hooks = [each.register_step_pre_hook(self._before_step) for each in self._loop.optimizers]

    # --- each step --------------------------------------------------------------------------------

    def step(
        self,
        loss: Tensor | float,
        *,
        grad_norm: Tensor | float | None = None,
        validation_loss: Tensor | float | None = None,
    ) -> None:
        """Take in the loss of a batch, at the end of its turn of the loop: after `optimizer.step()`, if it had one.

        The loss of a step is the mean over the batches since the step before.

        Args:
            loss: of the batch, undivided where gradients are accumulated; not waited for.
            grad_norm: of the step, as `clip_grad_norm_` returns it; None for one that is taken here now and then, which
                where gradients are clipped is that of the clipped ones.
            validation_loss: of a validation since the last step, None if there was none.
        """
        watch = self._begun()
        if watch is not None:
            watch.after_batch(self._read, watch, loss, grad_norm, validation_loss)

    def _read(self, watch: Watch, loss: Any, grad_norm: Any, validation_loss: Any) -> None:
        metrics = watch.metrics
        metrics.reader.add_loss(torch.as_tensor(loss))
        if grad_norm is not None:
            metrics.reader.set_norm(torch.as_tensor(grad_norm).detach())
        if validation_loss is not None:
            metrics.validation_loss = float(validation_loss)
        if metrics.main_stepped:
            metrics.close(metrics.step + 1, 1.0)

    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        watch = self._begun()
        if watch is not None and watch.metrics.is_main(optimizer):
            watch.before_step()

    @contextmanager
    def forward(self) -> Iterator[None]:
        """Measure the precursors in what is computed inside: the forward pass and the loss of one batch."""
        watch = self._begun()
        if watch is not None and self._sensors.on:
            self._sensors.begin(watch.metrics.step + 1)
        try:
            yield
        finally:
            self._sensors.after_forward()

    def _begun(self) -> Watch | None:
        """The watch, which begins with the first batch: until then a checkpoint may be loaded."""
        if self._watch is None and not self._is_over:
            self._watch = self._guard.call("start", self._begin)
            self._is_over = self._watch is None
        return self._watch

    def _begin(self) -> Watch | None:
        state = self._checkpoint.state
        watch = new_watch(
            self._loop._replace(step=0 if state is None else int(state["step"])),
            self._options,
            guard=self._guard,
            sensors=self._sensors,
            checkpoint=self._checkpoint,
            folder=self._folder(),
            loggers=self._loggers,
        )
        close_at_exit.add(self)
        return watch

    def _folder(self) -> Path:
        folder = self._options.directory or Path("scalewatch").absolute()
        return folder / self._options.name if self._options.name else folder

    # --- checkpoints ------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint, of plain numbers, strings, lists and dicts; empty where none watches."""
        return dict(self._checkpoint.state or {}) if self._watch is None else self._watch.state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint, before the first step.

        Raises:
            ConfigError: after it.
        """
        if self._watch is not None:
            raise ConfigError("A Watcher's `load_state_dict` comes before the first step: it is watching already.")
        if state_dict:
            self._checkpoint.state = self._guard.call("checkpoint", readable_state, state_dict)

    # --- the end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """End the watch: the verdict is told, and everything is on the disk. More than once does no harm."""
        self.end(None)

    def end(self, fault: BaseException | None) -> None:
        """End the watch of a run that `fault` has ended, None for none."""
        watch, self._watch, self._is_over = self._watch, None, True
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        self._sensors.after_forward()  # it may have raised
        close_at_exit.remove(self)
        if watch is not None:
            step = watch.metrics.step
            total = watch.session.run.total_steps
            watch.finish(ended(step, total) if fault is None else ended_by(fault, step))

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(fault)


def _length(option: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or value < 1:
        raise ConfigError(f"`{option}` must be a number of optimizer steps, or None (got {value!r:.60}).")
    return int(value)

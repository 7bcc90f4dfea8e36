"""`ScaleWatch`, the callback for the Trainer of transformers: it carries what a step measured to the monitor.

It watches on the process of world rank 0, by the losses of all. Every hook has a net: a fault of ours costs one warning
and the part that failed, never the training.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

import torch
from transformers.trainer_callback import TrainerCallback

from scalewatch.acting.acts import ActLimits
from scalewatch.acting.rewinding import RewindExit
from scalewatch.guard import Guard
from scalewatch_torch.acting.weights import are_finite
from scalewatch_torch.introspect import tokens_in, validation_losses
from scalewatch_torch.sensors import PrecursorSource, Sensors
from scalewatch_torch.watching.checkpoint import Checkpoint, readable_state
from scalewatch_torch.watching.endings import close_at_exit
from scalewatch_torch.watching.hooks import LoopHooks
from scalewatch_torch.watching.loop import Loop, processes
from scalewatch_torch.watching.options import checked
from scalewatch_torch.watching.step_metrics import StepMetrics
from scalewatch_torch.watching.unwrapped import plain_optimizers, scheduled
from scalewatch_torch.watching.watch import Watch
from scalewatch_transformers.trainer import (
    TrainerControl,
    Training,
    calling_trainer,
    load_state,
    reported_to,
    save_state,
    why_no_trainer_norm,
)

if TYPE_CHECKING:
    from scalewatch.alert import Receiver, Rules
    from scalewatch.detect import AbstractBlockDetector, AbstractDetector
    from scalewatch.laws import CurveLaw

__all__ = ["ScaleWatch"]

#: What the Trainer logs once, when it has trained.
LAST_LOGGED = "train_runtime"

_log = logging.getLogger("scalewatch")


@final
class ScaleWatch(TrainerCallback):  # type: ignore[misc]  # transformers is not read by the type checker
    """Watches a training run: is it healthy, is it on its law, what should be done now.

    The loss of a step is the one that the Trainer trains on, not the one that it logs; its schedule, length and tokens
    are the Trainer's; its state is in the Trainer's checkpoints.

    Args:
        law: Law to hold the run against: a path, or a CurveLaw. None for a forecast from the run itself.
        directory: Folder of the journal. None for `scalewatch` in the trainer's `output_dir`.
        tokens_per_step: Tokens of one optimizer step over all devices. None to count them in the batches.
        grad_norm_every: Optimizer steps between two gradient norms. 0 for none.
        name: Name of the run, and of a folder of its own for the journal.
        quiet: Print nothing to the terminal.
        precursors: Measures inside the model what often moves before the loss: `scalewatch_torch.Precursors()`.
        alerts: Who is told what is worth waking someone: receivers such as `["slack"]`, or the path of a TOML file.
        target_loss: Final loss that the run is for [nats/token].
        incumbent_loss: Final loss of the best run so far, which this one has to beat [nats/token].
        least_gain: Final loss that the rest of the run must buy to be worth its compute [nats/token].
        detectors: Detectors of your own beside the built-in ones.
        validation: Names of the validation losses to watch, by their mean, such as "eval_loss". Empty for the usual
            ones.
        act: What it may do by itself: `stop`, `lower_learning_rate`, `skip`, `rewind`; `dry-run` to only tell of it.
            Empty, it changes nothing. docs/acts.md.
        act_limits: From when, how often and how much it may act; None for the usual limits.
        ranks: Of several processes `all` are watched, by their mean loss, and the one that is not like the others is
            named; `zero` watches that of rank 0 alone.
        registered: A prediction that `scalewatch register` wrote, with the law that it was made by.

    Raises:
        ConfigError: If an option is not what it may be.
        LawFileError: If no law can be read from `law`, or no prediction from `registered`.
    """

    def __init__(
        self,
        law: str | os.PathLike[str] | CurveLaw | None = None,
        directory: str | os.PathLike[str] | None = None,
        tokens_per_step: int | None = None,
        grad_norm_every: int = 10,
        name: str | None = None,
        quiet: bool = False,
        precursors: PrecursorSource | None = None,
        alerts: Sequence[str | Receiver] | str | os.PathLike[str] | Rules = (),
        target_loss: float | None = None,
        incumbent_loss: float | None = None,
        least_gain: float | None = None,
        detectors: Sequence[AbstractDetector | AbstractBlockDetector] = (),
        validation: Sequence[str] | str = (),
        act: Sequence[Literal["stop", "lower_learning_rate", "skip", "rewind", "dry-run"]] | Literal["dry-run"] = (),
        act_limits: ActLimits | None = None,
        ranks: Literal["all", "zero"] = "all",
        registered: str | os.PathLike[str] | None = None,
    ) -> None:
        asked = (law, act, directory, tokens_per_step, grad_norm_every, name, quiet, alerts)
        goals = (target_loss, incumbent_loss, least_gain)
        self._options = checked(
            *asked,
            *goals,
            detectors,
            validation=validation,
            act_limits=act_limits,
            ranks=ranks,
            registered=registered,
        )
        self._sensors = Sensors(precursors)
        self._reset()

    def __getstate__(self) -> dict[str, Any]:
        # what it was asked for, and no run: a copy has no thread and no file, and watches from its own first batch
        return {"_options": self._options, "_sensors": self._sensors.unattached()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def _reset(self) -> None:
        self._checkpoint = Checkpoint()
        self._hooks = LoopHooks(self._options, self._sensors, self._checkpoint)
        self._training: Training | None = None
        self._control: TrainerControl | None = None
        self._came_from = ""
        self._is_over = self._is_begun = False
        self._batches = 0
        self._hides_faults = False

    # --- before the first step --------------------------------------------------------------------

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Find the trainer, and have it tell of each batch."""
        self.end(None)  # a training before this one may have ended without a word
        Guard().net("start", self._reset)
        self._hooks.net.net("start", self._follow, args, state, control)

    def _follow(self, args: Any, state: Any, control: Any) -> None:
        calling = calling_trainer()
        if calling is None:
            _log.warning("scalewatch: nothing is watched: the Trainer that calls this callback was not found.")
            return
        self._hides_faults = bool(args.logging_nan_inf_filter)
        if state.global_step:
            folder = calling.checkpoint or _folder_of(args, state)
            saved = self._hooks.guard.call("checkpoint", load_state, folder)
            self._checkpoint.state = None if saved is None else readable_state(saved)
            self._came_from = str(folder)
        self._control = TrainerControl(calling.trainer, control)
        self._training = Training(calling.trainer, self._before_batch, self._after_batch, self.end)

    def _before_batch(self, inputs: Any) -> None:
        first, self._is_begun = not self._is_begun, True
        if first and self._training is not None and self._control is not None:
            self._begin(self._training.trainer, inputs, self._control)
        metrics = self._hooks.metrics
        if metrics is not None and self._hooks.watch is not None:
            if self._sensors.on:
                self._sensors.begin(metrics.step + 1)
            if metrics.counts_tokens:
                self._hooks.guard.call("tokens", self._count_tokens, metrics, inputs)

    def _begin(self, trainer: Any, inputs: Any, control: TrainerControl) -> None:
        args, state = trainer.args, trainer.state
        optimizers = plain_optimizers(trainer.optimizer)
        loop = Loop(trainer.model, optimizers, step=int(state.global_step))
        # first of all: where something else fails on one rank, it goes on taking part
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        if self._options.all_ranks and distributed and torch.distributed.get_world_size() > 1:
            self._hooks.join(loop)
        loop = loop._replace(
            schedulers=scheduled(trainer.lr_scheduler, processes()),
            total_steps=int(state.max_steps) if state.max_steps > 0 else None,
            steps_per_epoch=_steps_per_epoch(args, trainer.callback_handler.train_dataloader),
            tokens_per_step=self._options.tokens_per_step or _tokens_per_step(args, inputs),
            counts_tokens=self._options.tokens_per_step is None,
            loggers=reported_to(trainer),
            no_norm=lambda optimizer: why_no_trainer_norm(trainer, optimizer),
        )
        folder = self._options.directory or Path(args.output_dir) / "scalewatch"
        self._hooks.begin(
            loop,
            control,
            folder=folder / self._options.name if self._options.name else folder,
            came_from=self._came_from,
        )
        close_at_exit.add(self)

    # --- each step --------------------------------------------------------------------------------

    def _count_tokens(self, metrics: StepMetrics, inputs: Any) -> None:
        metrics.add_tokens((tokens_in(inputs) or 0) * processes())

    def _after_batch(self, loss: Any) -> None:
        metrics, training, watch = self._hooks.metrics, self._training, self._hooks.watch
        self._sensors.after_forward()
        if metrics is None or training is None:
            return
        accelerator = training.trainer.accelerator
        if self._sensors.on and accelerator.scaler is None:  # else the gradient is scaled
            self._sensors.after_backward()
        self._hooks.guard.call("loss", metrics.reader.add_loss, loss)
        self._batches += 1
        if watch is not None and accelerator.sync_gradients:
            watch.before_clip()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Read the learning rate of the step; one whose gradient is no number is left out if that was asked for."""
        if self._training is not None:
            for optimizer in self._hooks.net.net("optimizer", plain_optimizers, self._training.trainer.optimizer) or ():
                self._hooks.before_step(optimizer)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Observe the steps whose losses have arrived."""
        if not self._is_begun or self._is_over:
            return
        batches, self._batches = self._batches, 0
        step, every = int(state.global_step), state.save_steps
        saves = step >= state.max_steps or (bool(every) and step % every == 0)  # the same on all ranks
        try:
            # what the trainer adds up over the batches of a step is its loss: the sum, not the mean
            self._hooks.after_batch(self._close_step, step, float(max(1, batches)), now=saves)
        except RewindExit as ending:  # the trainer ends without a word
            self.end(ending)
            raise
        self._hooks.net.net("notes", self._note_the_filter)
        self._hooks.net.net("checkpoints", self._hold_back, control)

    def _close_step(self, step: int, batches: float) -> None:
        if self._hooks.metrics is not None:
            self._hooks.metrics.close(step, batches)

    def _note_the_filter(self) -> None:
        watch = self._hooks.watch
        newest = None if watch is None else watch.newest
        if watch is not None and newest is not None and self._hides_faults and not math.isfinite(newest.loss):
            self._hides_faults = False
            watch.session.note(
                "note: what the Trainer logs hides this: `logging_nan_inf_filter=True` puts the mean of other steps in"
                " the place of a loss that is not finite."
            )

    def _hold_back(self, control: Any) -> None:
        """With acts, have nothing saved of weights that are lost; nothing is validated of a run that is given up."""
        acts = self._options.acts
        if not acts or acts.dry or self._training is None or not (control.should_save or control.should_evaluate):
            return
        gave_up = self._hooks.gave_up
        if control.should_evaluate and gave_up:
            control.should_evaluate = False
        # after the last reduction the weights, and so the answer, are the same on all ranks
        if control.should_save and (gave_up or are_finite(self._training.trainer.model.parameters()) is False):
            control.should_save = False
            if self._hooks.watch is not None:
                step = int(self._training.trainer.state.global_step)
                self._hooks.watch.session.note(f"no checkpoint is written at step {step:,}: the weights are lost")

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Have nothing saved of weights that are lost."""
        self._hooks.net.net("checkpoints", self._hold_back, control)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Take note of what is logged: it tells what kind of loss it is; and close with the last of it."""
        if LAST_LOGGED in (logs or ()):  # at `on_train_end` TensorBoard's callback has closed its file
            self._end_with_all()
        else:
            self._hooks.net.net("names of what is logged", self._learn, list(logs or ()))

    def _learn(self, logs: list[str]) -> None:
        watch = self._hooks.watch
        if watch is not None and watch.wants_names():
            watch.learn_logged(logs)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
        """Keep the validation loss for the next observation."""
        if self._hooks.watch is not None:
            self._hooks.guard.call("validation loss", self._validated, self._hooks.watch, metrics or {})

    def _validated(self, watch: Watch, metrics: Any) -> None:
        found = validation_losses(metrics, self._options.validation)
        watch.metrics.validation_loss = sum(found.values()) / len(found) if found else None

    # --- checkpoints ------------------------------------------------------------------------------

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Put our state into the checkpoint that was written."""
        if self._hooks.watch is not None:
            self._hooks.net.net("checkpoint", self._save, self._hooks.watch, _folder_of(args, state))

    def _save(self, watch: Watch, folder: Path) -> None:
        self._hooks.guard.call("checkpoint", save_state, folder, watch.state())
        self._hooks.saved(watch.metrics.step, str(folder))

    # --- the end ----------------------------------------------------------------------------------

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Close, where nothing was logged at the end."""
        self._end_with_all()

    def _end_with_all(self) -> None:
        """End after the last step, which all ranks have come to."""
        if self._is_begun and not self._is_over:
            self._hooks.net.net("ranks", self._hooks.share)
        self.end(None)

    def end(self, fault: BaseException | None) -> None:
        """End the watch of a training that `fault` has ended, None for none. More than once does no harm."""
        self._is_over = True
        training, self._training = self._training, None
        if training is not None:
            self._hooks.net.net("end", training.off)
        self._hooks.net.net("end", close_at_exit.remove, self)
        self._hooks.end(fault)


def _folder_of(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}"


def _tokens_per_step(args: Any, inputs: Any) -> float | None:
    count = tokens_in(inputs)
    return None if count is None else float(max(1, count) * args.gradient_accumulation_steps * processes())


def _steps_per_epoch(args: Any, dataloader: Any) -> int | None:
    """Optimizer steps of one pass over the training data, None where they have no length."""
    try:
        batches = len(dataloader)
    except TypeError:
        return None
    return -(-batches // args.gradient_accumulation_steps) if batches else None

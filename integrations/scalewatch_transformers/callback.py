"""`ScaleWatch`, the callback for the Trainer of transformers: it carries what a step measured to the monitor.

It watches on the process of world rank 0 and does nothing on the others. Every hook runs through the guard: a fault of
ours costs one warning and the part that failed, never the training.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from transformers.trainer_callback import TrainerCallback

from scalewatch.guard import Guard
from scalewatch_torch.introspect import tokens_in, validation_losses
from scalewatch_torch.sensors import PrecursorSource, Sensors
from scalewatch_torch.watching.checkpoint import Checkpoint, readable_state
from scalewatch_torch.watching.endings import close_at_exit, ended, ended_by
from scalewatch_torch.watching.loop import Loop, new_watch, processes
from scalewatch_torch.watching.options import checked
from scalewatch_torch.watching.unwrapped import plain_optimizers, scheduled
from scalewatch_torch.watching.watch import Watch
from scalewatch_transformers.trainer import (
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

    Raises:
        ConfigError: If an option is not what it may be.
        LawFileError: If no law can be read from `law`.
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
    ) -> None:
        asked = (law, (), directory, tokens_per_step, grad_norm_every, name, quiet, alerts)
        goals = (target_loss, incumbent_loss, least_gain)
        self._options = checked(*asked, *goals, detectors, validation=validation)
        self._sensors = Sensors(precursors)
        self._reset()

    def __getstate__(self) -> dict[str, Any]:
        # what it was asked for, and no run: a copy has no thread and no file, and watches from its own first batch
        return {"_options": self._options, "_sensors": self._sensors.unattached()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def _reset(self) -> None:
        self._guard = Guard()
        self._checkpoint = Checkpoint()
        self._training: Training | None = None
        self._watch: Watch | None = None
        self._is_over = False
        self._batches = 0
        self._names_due = 1
        self._hides_faults = False

    # --- before the first step --------------------------------------------------------------------

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Find the trainer, and have it tell of each batch."""
        self.end(None)  # a training before this one may have ended without a word
        self._reset()
        if state.is_world_process_zero:
            self._guard.call("start", self._follow, args, state)

    def _follow(self, args: Any, state: Any) -> None:
        calling = calling_trainer()
        if calling is None:
            _log.warning("scalewatch: nothing is watched: the Trainer that calls this callback was not found.")
            return
        self._hides_faults = bool(args.logging_nan_inf_filter)
        if state.global_step:
            folder = calling.checkpoint or _folder_of(args, state)
            saved = self._guard.call("checkpoint", load_state, folder)
            self._checkpoint.state = None if saved is None else readable_state(saved)
        self._training = Training(calling.trainer, self._before_batch, self._after_batch, self.end)

    def _before_batch(self, inputs: Any) -> None:
        if self._watch is None and not self._is_over and self._training is not None:
            self._watch = self._guard.call("start", self._begin, self._training.trainer, inputs)
            self._is_over = self._watch is None
        if self._watch is not None and self._sensors.on:
            self._sensors.begin(self._watch.metrics.step + 1)
        if self._watch is not None and self._watch.metrics.counts_tokens:
            self._guard.call("tokens", self._count_tokens, self._watch, inputs)

    def _begin(self, trainer: Any, inputs: Any) -> Watch | None:
        args, state = trainer.args, trainer.state
        tokens = self._options.tokens_per_step or _tokens_per_step(args, inputs)
        loop = Loop(
            trainer.model,
            plain_optimizers(trainer.optimizer),
            scheduled(trainer.lr_scheduler, processes()),
            step=int(state.global_step),
            total_steps=int(state.max_steps) if state.max_steps > 0 else None,
            tokens_per_step=tokens,
            counts_tokens=self._options.tokens_per_step is None,
        )
        folder = self._options.directory or Path(args.output_dir) / "scalewatch"
        watch = new_watch(
            loop,
            self._options,
            guard=self._guard,
            sensors=self._sensors,
            checkpoint=self._checkpoint,
            folder=folder / self._options.name if self._options.name else folder,
            loggers=reported_to(trainer),
            no_norm=lambda optimizer: why_no_trainer_norm(trainer, optimizer),
        )
        close_at_exit.add(self)
        return watch

    # --- each step --------------------------------------------------------------------------------

    def _count_tokens(self, watch: Watch, inputs: Any) -> None:
        watch.metrics.add_tokens((tokens_in(inputs) or 0) * processes())

    def _after_batch(self, loss: Any) -> None:
        watch, training = self._watch, self._training
        self._sensors.after_forward()
        if watch is None or training is None:
            return
        accelerator = training.trainer.accelerator
        if self._sensors.on and accelerator.scaler is None:  # else the gradient is scaled
            self._sensors.after_backward()
        self._guard.call("loss", watch.metrics.reader.add_loss, loss)
        self._batches += 1
        if accelerator.sync_gradients:
            watch.before_clip()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Read the learning rate of the step."""
        if self._watch is not None:
            self._watch.before_step()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Observe the steps whose losses have arrived."""
        watch, batches = self._watch, self._batches
        self._batches = 0
        if watch is None:
            return
        # what the trainer adds up over the batches of a step is its loss: the sum, not the mean
        watch.after_batch(watch.metrics.close, int(state.global_step), float(max(1, batches)))
        if self._hides_faults and watch.newest is not None and not math.isfinite(watch.newest.loss):
            self._hides_faults = False
            watch.session.note(
                "note: what the Trainer logs hides this: `logging_nan_inf_filter=True` puts the mean of other steps in"
                " the place of a loss that is not finite."
            )

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Take note of what is logged: it tells what kind of loss it is; and close with the last of it."""
        watch = self._watch
        if LAST_LOGGED in (logs or ()):  # at `on_train_end` TensorBoard's callback has closed its file
            self.end(None)
            return
        if watch is not None and watch.metrics.step >= self._names_due:
            self._names_due = 2 * watch.metrics.step + 1
            watch.session.learn_logged(list(logs or ()))

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
        """Keep the validation loss for the next observation."""
        if self._watch is not None:
            self._guard.call("validation loss", self._validated, self._watch, metrics or {})

    def _validated(self, watch: Watch, metrics: Any) -> None:
        found = validation_losses(metrics, self._options.validation)
        watch.metrics.validation_loss = sum(found.values()) / len(found) if found else None

    # --- checkpoints ------------------------------------------------------------------------------

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Put our state into the checkpoint that was written."""
        if self._watch is not None:
            self._guard.call("checkpoint", save_state, _folder_of(args, state), self._watch.state())

    # --- the end ----------------------------------------------------------------------------------

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Close, where nothing was logged at the end."""
        self.end(None)

    def end(self, fault: BaseException | None) -> None:
        """End the watch of a training that `fault` has ended, None for none. More than once does no harm."""
        watch, self._watch, self._is_over = self._watch, None, True
        training, self._training = self._training, None
        if training is not None:
            training.off()
        self._sensors.after_forward()  # it may have raised
        close_at_exit.remove(self)
        if watch is not None:
            step, total = watch.metrics.step, watch.session.run.total_steps
            watch.finish(ended(step, total) if fault is None else ended_by(fault, step))


def _folder_of(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}"


def _tokens_per_step(args: Any, inputs: Any) -> float | None:
    count = tokens_in(inputs)
    return None if count is None else float(max(1, count) * args.gradient_accumulation_steps * processes())

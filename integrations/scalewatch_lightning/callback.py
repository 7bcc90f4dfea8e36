"""`ScaleWatch`, the Lightning callback: its hooks carry what a step measured to the monitor.

It watches on the process of global rank 0 and does nothing at all on the others, unless it may act. Every
hook runs through the guard: a fault of ours costs one warning and the part that failed, never the training.

Why hooks and not `self.log`: what is logged is averaged, thinned to every fiftieth step and may never be
logged at all; and logging from a callback costs the loop 340 us a step.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from scalewatch.acting.acts import ActLimits
from scalewatch.errors import ConfigError
from scalewatch.guard import Guard
from scalewatch_lightning.acting import TrainerActing
from scalewatch_lightning.base import LightningCallback
from scalewatch_lightning.callback_parts import (
    IN_A_HOOK,
    Place,
    call_idle,
    exchange_of,
    leave_out_idle,
    netted,
    saves_now,
)
from scalewatch_lightning.end_by_time import tells_end
from scalewatch_lightning.sessions import new_session
from scalewatch_lightning.start import follow, start
from scalewatch_lightning.step_metrics import TrainerSteps, why_no_norm
from scalewatch_torch.introspect import Sizes, count_sizes, validation_losses
from scalewatch_torch.sensors import PrecursorSource, Sensors
from scalewatch_torch.watching.checkpoint import Checkpoint, readable_state
from scalewatch_torch.watching.endings import close_at_exit, ended, ended_by
from scalewatch_torch.watching.exchange import RankExchange
from scalewatch_torch.watching.folders import own_folder
from scalewatch_torch.watching.options import checked
from scalewatch_torch.watching.several import let_go_on_fault
from scalewatch_torch.watching.watch import Watch

if TYPE_CHECKING:
    from scalewatch.alert import Receiver, Rules
    from scalewatch.detect import AbstractBlockDetector, AbstractDetector
    from scalewatch.laws import CurveLaw

__all__ = ["ScaleWatch"]

_log = logging.getLogger("scalewatch")


@final
class ScaleWatch(LightningCallback):
    """Watches a training run: is it healthy, is it on its law, what should be done now.

    Args:
        law: Law to hold the run against, as `scalewatch fit` writes it: a path, or a CurveLaw. None for a
            forecast from the run itself.
        act: What the callback may do by itself: `stop` ends a run that is lost, or that the forecast advises to stop
            (it hardly can reach `target_loss` or beat `incumbent_loss`). With `dry-run` in the list it only tells what
            would be done; "dry-run" alone tells it of every act. Empty, it changes nothing. docs/acts.md.
        directory: Folder of the journal. None for `scalewatch` in the trainer's log directory.
        tokens_per_step: Tokens of one optimizer step over all devices. None to count them in the batch.
        grad_norm_every: Optimizer steps between two gradient norms. 0 for none.
        name: Name of the run, and of a folder of its own for the journal. Two ScaleWatch callbacks on one
            trainer need different names.
        quiet: Print nothing to the terminal.
        precursors: Measures inside the model what often moves before the loss: `scalewatch_torch.Precursors()`.
            None for nothing.
        alerts: Who is told what is worth waking someone: receivers such as `["slack"]`, whose secrets are in the
            environment, or of your own such as `[Pager()]`, or the path of a TOML file of rules.
        target_loss: Final loss that the run is for [nats/token]; advice to stop follows where it cannot be reached.
        incumbent_loss: Final loss of the best run so far, which this one has to beat [nats/token].
        least_gain: Final loss that the rest of the run must buy to be worth its compute [nats/token].
        detectors: Detectors of your own beside the built-in ones, objects such as `[DeadNeurons(0.9)]`.
        loss: Name under which the module logs the loss to watch, such as "g_loss". None for what `training_step`
            returns.
        losses: Names of several, such as `["g_loss", "d_loss"]`: each is watched by itself, under one verdict.
        validation: Names of the validation losses to watch, by their mean; one that is logged for several data loaders
            stands for all of them. Empty for the usual names, and else for every loss that is called one of validation.
        act_limits: From when, how often and how much it may act; None for the usual limits.
        ranks: Of several processes `all` are watched, by their mean loss, and the one that is not like the others is
            named; `zero` watches that of rank 0 alone, without a word between them.
        registered: A prediction that `scalewatch register` wrote, with the law that it was made by: the run is held
            against it, and `scalewatch scores` says what came of it. docs/registered.md.

    Raises:
        ConfigError: If an option is not what it may be.
        LawFileError: If no law can be read from `law`, or no prediction from `registered`.
    """

    def __init__(
        self,
        law: str | os.PathLike[str] | CurveLaw | None = None,
        act: Sequence[Literal["stop", "lower_learning_rate", "skip", "rewind", "dry-run"]] | Literal["dry-run"] = (),
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
        loss: str | None = None,
        losses: Sequence[str] = (),
        validation: Sequence[str] | str = (),
        act_limits: ActLimits | None = None,
        ranks: Literal["all", "zero"] = "all",
        registered: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        asked = (law, act, directory, tokens_per_step, grad_norm_every, name, quiet, alerts)
        wanted = (target_loss, incumbent_loss, least_gain, detectors, loss, losses, validation)
        self._options = checked(*asked, *wanted, act_limits, ranks, registered)
        self._sensors = Sensors(precursors)
        self._checkpoint = Checkpoint()
        self._reset()

    def _reset(self) -> None:
        call_idle(self)
        self._guard = Guard()
        self._net = Guard(consequence=IN_A_HOOK)
        self._begun = False
        self._watch: Watch | None = None
        self._steps: TrainerSteps | None = None
        self._place = Place()
        self._exchange = RankExchange()
        self._acting = TrainerActing(self._options.acts)
        self._key = self._generate_state_key(name=self._options.name)  # asked for in every hook

    def __getstate__(self) -> dict[str, Any]:
        # what it was asked for, and no run: a copy has no thread and no file, and watches from its own first batch
        return {"_options": self._options, "_sensors": self._sensors.unattached(), "_checkpoint": self._checkpoint}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    @property
    def state_key(self) -> str:
        """What this callback's state is filed under: Lightning wants one for each instance."""
        return self._key

    # --- before the first step --------------------------------------------------------------------

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Find out where the journal goes, on every process: the trainer broadcasts its folder.

        Raises:
            ConfigError: if another ScaleWatch on this trainer has the same name.
        """
        if stage != "fit":
            return
        # Lightning checks the list that a trainer is built with, but not what a module adds to it. Not
        # told apart by number instead: a checkpoint has to find its callback whatever their order.
        twins = [c for c in trainer.callbacks if getattr(c, "state_key", None) == self.state_key]
        if len(twins) > 1:
            raise ConfigError(
                f"Two ScaleWatch callbacks of one trainer must have different names (got {len(twins)}"
                f" with `name={self._options.name!r}`): they keep a journal and a state each."
            )
        self._net.net("setup", self._acting.checkpoints.release)
        self._net.net("setup", self._reset)
        self._set_up(trainer, pl_module)

    @netted
    def _set_up(self, trainer: Any, pl_module: Any) -> None:
        self._checkpoint.belong_to(trainer)
        self._guard.call("act", self._acting.protect, trainer)
        folder = self._guard.call("journal", self._where, trainer)
        self._place = Place(folder, self._guard.call("parameter count", count_sizes, pl_module) or Sizes(None, None))

    def _where(self, trainer: Any) -> Path | None:
        log_dir = trainer.log_dir  # a broadcast: read on every process, whether it is needed or not
        if trainer.fast_dev_run:
            return None
        if self._options.directory is not None:
            folder = self._options.directory
        elif "://" in (base := str(log_dir or trainer.default_root_dir)):
            folder = Path("scalewatch").absolute()
            if trainer.is_global_zero:
                why = "scalewatch: the log directory %s is not on a local disk: the journal is kept in %s."
                _log.warning(why, base, folder)
        else:
            folder = Path(base) / "scalewatch"
        return folder / self._options.name if self._options.name else folder

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what a checkpoint holds; it is used when training goes on."""
        self._checkpoint.state = self._guard.call("checkpoint", readable_state, state_dict)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Begin to watch, at the first batch."""
        first, self._begun = not self._begun, True
        if first and trainer.world_size > 1:  # under no net: a rank without one would answer the others wrongly
            self._exchange.ranks = exchange_of(trainer, self._options)
        self._begin_batch(trainer, batch, batch_idx, first=first)
        if not self._sensors.on:
            leave_out_idle(self)

    @netted
    def _begin_batch(self, trainer: Any, batch: Any, batch_idx: int, *, first: bool) -> None:
        if first:
            state = self._checkpoint.state if trainer.global_step else None
            self._guard.call("act", self._acting.attach, trainer, state)
            self._guard.call("start", self._begin, trainer, batch, batch_idx)
        if self._sensors.on and self._watch is not None:
            self._sensors.begin(self._watch.metrics.step + 1)

    def _begin(self, trainer: Any, batch: Any, batch_idx: int) -> None:
        state = self._checkpoint.state if trainer.global_step else None
        # a process that was forked or spawned for the training ends without a word to its callbacks
        close_at_exit.add(self)
        readers = self._exchange.readers()
        if not trainer.is_global_zero:
            self._steps = follow(trainer, self._options, state, readers) if readers else None
            return
        started = start(trainer, batch, batch_idx, self._options, self._place.sizes, state, readers)
        if started is None:
            return
        folder = self._place.folder
        if folder is not None and self._options.directory is None:
            run_id = None if started.resumed is None else started.resumed.run_id
            folder = own_folder(folder, run_id, goes_on=started.resumed is not None)
        with let_go_on_fault() as made:
            made.append(session := new_session(trainer, started, self._options, self._guard, folder))
            session.begin()
            if started.run.total_steps is None:
                started.steps.end_by_time = tells_end(trainer, session.note)
            self._sensors.attach(trainer.lightning_module, started.steps.metrics.optimizer, session.note)
            self._guard.call("act", self._acting.begin, trainer, session, started.steps.metrics)
            self._watch = Watch(
                session,
                started.steps.metrics,
                sensors=self._sensors,
                guard=self._guard,
                checkpoint=self._checkpoint,
                norm_every=self._options.grad_norm_every,
                why_no_norm=partial(why_no_norm, trainer, started.steps.metrics.optimizer),
            )
        self._steps = started.steps

    # --- in other hands than a trainer's -----------------------------------------------------------

    def on_after_setup(self, fabric: Any = None, module: Any = None) -> None:
        """Refuse to be a callback of Fabric, which calls this first and none of the hooks of a trainer.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "`Fabric(callbacks=[ScaleWatch()])` watches nothing: Fabric calls no hook of a trainer. Use"
            " `scalewatch_torch.Watcher(model, optimizer)` in its loop; examples/fabric.py is one."
        )

    def on_init_end(self, *_: Any, **__: Any) -> None:
        """Refuse to be a callback of the Trainer of transformers, which calls this first.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "scalewatch_lightning.ScaleWatch watches nothing in the Trainer of transformers: use"
            " `scalewatch_transformers.ScaleWatch()`."
        )

    # --- each step --------------------------------------------------------------------------------

    @netted
    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        """End the forward pass of a step that is looked into."""
        if self._sensors.on:
            self._sensors.after_forward()

    @netted
    def on_after_backward(self, trainer: Any, pl_module: Any) -> None:
        """Count the batches whose gradients are added."""
        # with fp16 the gradient is scaled here and no longer so before the step: the two cannot be compared
        if self._sensors.on and getattr(trainer.precision_plugin, "scaler", None) is None:
            self._sensors.after_backward()

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        """Read the learning rate of the step, and every so often its gradient norm."""
        self._measure(optimizer)
        if self._options.acts:
            self._net.net("skip", self._acting.before_step, optimizer, self._guard)

    @netted
    def _measure(self, optimizer: Any) -> None:
        if self._watch is not None and self._watch.metrics.is_main(optimizer):
            self._watch.before_step()
        elif self._watch is None and self._steps is not None and self._steps.metrics.is_main(optimizer):
            self._guard.call("learning rate", self._steps.metrics.before_step)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Observe the steps whose losses have arrived."""
        self._observe(trainer, outputs, batch)
        if self._options.acts or self._exchange.ranks is not None:
            self._agree(trainer)

    @netted
    def _observe(self, trainer: Any, outputs: Any, batch: Any) -> None:
        watch = self._watch
        self._acting.checkpoints.look(trainer)
        if watch is not None and self._steps is not None:
            watch.after_batch(self._steps.after_batch, trainer, outputs, batch)
            if watch.wants_names():
                self._guard.call("names of what is logged", watch.learn_logged, trainer.callback_metrics)
        elif self._steps is not None:
            self._guard.call("loss", self._steps.after_batch, trainer, outputs, batch)

    @netted
    def _agree(self, trainer: Any) -> None:
        watch, exchange = self._watch, self._exchange
        shared = exchange.ranks is not None and exchange.after_batch(watch, now=saves_now(trainer))
        self._acting.after_batch(None if watch is None else watch.session, self._guard, exchange.ranks, shared=shared)

    @netted
    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Share the steps before a validation: a checkpoint may follow it."""
        if not trainer.sanity_checking:
            self._exchange.between_batches(self._watch)

    @netted
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Share those of the epoch, for the same reason."""
        self._exchange.between_batches(self._watch)

    @netted
    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Share the last steps."""
        self._exchange.between_batches(self._watch)

    @netted
    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Keep the validation loss for the next observation."""
        if self._watch is not None and not trainer.sanity_checking:
            self._guard.call("validation loss", self._validated, trainer, self._watch)

    def _validated(self, trainer: Any, watch: Watch) -> None:
        # computed and cached before this hook, so reading it is no collective
        found = validation_losses(trainer.callback_metrics, self._options.validation)
        watch.metrics.validation_loss = sum(found.values()) / len(found) if found else None
        if len(found) > 1:
            watch.session.write_validations(watch.metrics.step, found)

    # --- checkpoints ------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint: plain numbers, strings, lists and dicts."""
        watch = self._watch
        state = self._checkpoint.state if watch is None else self._net.net("state_dict", watch.state)
        return dict(state or {})

    @netted
    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Take note that a checkpoint is written: the advice names the last good one."""
        self._acting.checkpoints.written(trainer)

    # --- the end ----------------------------------------------------------------------------------

    @netted
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Close after a fault of the training: `teardown` is not called then."""
        self._net.net("end", self._acting.end, trainer, crashed=True)
        self.end(exception)

    @netted
    def end(self, fault: BaseException | None) -> None:
        """Close where nobody told of the end: the process leaves, by `fault` if one is known."""
        self._finish(lambda watch: ended_by(fault, watch.metrics.step))
        self._net.net("end", self._exchange.part)

    @netted
    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Close: the verdict is told, and everything is on the disk."""
        if stage == "fit":
            self._net.net("end", self._acting.end, trainer, crashed=False)
            self._finish(self._ended)

    def _ended(self, watch: Watch) -> str:
        step = watch.metrics.step
        return self._acting.ended(watch.session, step, ended(step, watch.session.run.total_steps))

    def _finish(self, how: Callable[[Watch], str]) -> None:
        self._net.net("end", self._sensors.after_forward)  # the forward pass may have raised
        self._net.net("end", close_at_exit.remove, self)
        watch, self._watch = self._watch, None
        if watch is not None:
            word = self._net.net("end", how, watch) or f"after step {watch.metrics.step:,}"
            self._net.net("end", watch.finish, word)
            self._net.net("end", watch.release)

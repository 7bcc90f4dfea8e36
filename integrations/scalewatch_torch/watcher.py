"""`Watcher`: watches a loop of one's own, in plain torch, in Fabric or under accelerate.

    with Watcher(model, optimizer, scheduler, total_steps=STEPS) as watcher:
        for batch in batches:
            ...
            optimizer.step()
            watcher.step(loss)

A hook before each optimizer step reads the learning rate and, every so often, the gradient norm; `step` takes the loss
of a batch. Nothing waits for a device, and without `act=` nothing of the training is changed.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, final

import torch
from torch import Tensor, nn

from scalewatch.acting.acts import ActLimits, Decision
from scalewatch.acting.rewinding import RewindExit
from scalewatch.errors import ConfigError
from scalewatch.given import MOST_GIVEN, number_between, whole_number
from scalewatch.run import MOST_STEPS
from scalewatch_torch.lr_lookahead import Scheduled
from scalewatch_torch.sensors import PrecursorSource, Sensors
from scalewatch_torch.watching.checkpoint import Checkpoint, readable_state
from scalewatch_torch.watching.control import LoopControl
from scalewatch_torch.watching.endings import close_at_exit
from scalewatch_torch.watching.hooks import LoopHooks
from scalewatch_torch.watching.loop import Loop, processes, reads_here
from scalewatch_torch.watching.meeting import Meeting
from scalewatch_torch.watching.options import checked
from scalewatch_torch.watching.step_metrics import StepMetrics
from scalewatch_torch.watching.unwrapped import plain_module, plain_optimizers, scheduled

if TYPE_CHECKING:
    from scalewatch.alert import Receiver, Rules
    from scalewatch.detect import AbstractBlockDetector, AbstractDetector
    from scalewatch.laws import CurveLaw

__all__ = ["Watcher"]

#: How long the first step, and the end, wait for a Watcher in each of the other processes [s]. By hand: they come to
#: the first one after the same backward pass, and at the end training is over.
MEET_SECONDS, PART_SECONDS = 20.0, 2.0

_log = logging.getLogger("scalewatch")
_numbers = itertools.count()


@final
class _ByHand(LoopControl):
    """A loop that looks at `should_stop` itself."""

    resumes_by = "`load_state_dict` what `scalewatch_torch.resume_from()` holds"

    def __init__(self, step: int) -> None:
        self.should_stop = False
        self.metrics: StepMetrics | None = None
        self._begun_at = step

    @property
    def step(self) -> int:
        """Steps of the optimizer that is watched."""
        return self._begun_at if self.metrics is None else self.metrics.step

    @property
    def processes(self) -> int:
        """Those of torch's default group."""
        return processes()

    def stop(self, decision: Decision) -> None:
        """By a mark, which the loop is to look at."""
        self.should_stop = True


@final
class Watcher:
    """Watches a training loop: is it healthy, is it on its law, what should be done now.

    A context manager, which tells how the run ended; without `with`, `close` or the exit of the process does. Of
    several processes each has one, and that of rank 0 watches. A fault of its own costs one warning.

    Args:
        model: What is trained, wrapped or not.
        optimizer: What trains it, wrapped or not; of several the one with the most parameters is watched.
        scheduler: Of the learning rate, or several. One that steps with the epochs as `Scheduled(it, "epoch")`, with
            `steps_per_epoch`. None for a constant rate.
        total_steps: Optimizer steps of the whole run, for a forecast. None if unknown.
        steps_per_epoch: Optimizer steps of an epoch. None if unknown.
        max_time: Wall time after which the run is ended, such as the limit of its job: seconds or a `timedelta`. Where
            no `total_steps` says its end, that is foretold from the speed of its steps. None for no such limit.
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
        act: What it may do by itself: `stop`, `lower_learning_rate`, `skip`, `rewind`; `dry-run` to only tell of it. A
            stop is yours to honour: `if watcher.step(loss): break`. Empty, it changes nothing. docs/acts.md.
        act_limits: From when, how often and how much it may act; None for the usual limits.
        ranks: Of several processes `all` are watched, by their mean loss, and the one that is not like the others is
            named; `zero` watches that of rank 0 alone, without a word between them unless something may be done.
        registered: A prediction that `scalewatch register` wrote, with the law that it was made by.

    Raises:
        ConfigError: If an option is not what it may be.
        LawFileError: If no law can be read from `law`, or no prediction from `registered`.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer] | Any,
        scheduler: Any | Scheduled | Sequence[Any] | None = None,
        *,
        total_steps: int | None = None,
        steps_per_epoch: int | None = None,
        max_time: float | timedelta | None = None,
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
        act: Sequence[Literal["stop", "lower_learning_rate", "skip", "rewind", "dry-run"]] | Literal["dry-run"] = (),
        act_limits: ActLimits | None = None,
        ranks: Literal["all", "zero"] = "all",
        registered: str | os.PathLike[str] | None = None,
    ) -> None:
        asked = (law, act, directory, tokens_per_step, grad_norm_every, name, quiet, alerts)
        goals = (target_loss, incumbent_loss, least_gain)
        self._options = checked(*asked, *goals, detectors, act_limits=act_limits, ranks=ranks, registered=registered)
        self._loop = Loop(
            plain_module(model),
            plain_optimizers(optimizer),
            scheduled(scheduler, processes()),
            total_steps=_length("total_steps", total_steps),
            steps_per_epoch=_length("steps_per_epoch", steps_per_epoch),
            max_seconds=_seconds(max_time),
            tokens_per_step=None if tokens_per_step is None else float(tokens_per_step),
            loggers=list(loggers),
        )
        self._sensors = Sensors(precursors)
        self._checkpoint = Checkpoint()
        self._hooks = LoopHooks(self._options, self._sensors, self._checkpoint)
        self._control = _ByHand(0)
        self._is_begun = False
        together = processes() > 1 and (self._options.all_ranks or bool(self._options.acts))
        self._is_over = not (reads_here() or together)
        number = next(_numbers)
        self._meetings = [Meeting(f"{word} {number}") for word in ("begins", "ends")] if together else []
        for meeting in self._meetings[:1]:
            meeting.come()
        hook = self._before_step
        self._handles = [] if self._is_over else [each.register_step_pre_hook(hook) for each in self._loop.optimizers]

    # --- each step --------------------------------------------------------------------------------

    def step(
        self,
        loss: Tensor | float,
        *,
        grad_norm: Tensor | float | None = None,
        validation_loss: Tensor | float | None = None,
    ) -> bool:
        """Take in the loss of a batch, at the end of its turn of the loop: after `optimizer.step()`, if it had one.

        The loss of a step is the mean over the batches since the step before.

        Args:
            loss: of the batch, undivided where gradients are accumulated; not waited for.
            grad_norm: of the step, as `clip_grad_norm_` returns it; None for one that is taken here now and then, which
                where gradients are clipped is that of the clipped ones.
            validation_loss: of a validation since the last step, None if there was none.

        Returns:
            Whether the loop is to stop here, as `act=["stop"]` asks it to: the same on all processes.

        Raises:
            RewindExit: with `act=["rewind"]`, where the process is to go on from a checkpoint.
        """
        if self._begun():
            try:
                self._hooks.after_batch(self._read, loss, grad_norm, validation_loss)
            except RewindExit as ending:  # the loop may stand in no `with` block
                self.end(ending)
                raise
        return self._control.should_stop

    @property
    def should_stop(self) -> bool:
        """Whether the loop was asked to stop, by `act=["stop"]`."""
        return self._control.should_stop

    def _read(self, loss: Any, grad_norm: Any, validation_loss: Any) -> None:
        metrics = self._hooks.metrics
        if metrics is None:
            return
        metrics.reader.add_loss(torch.as_tensor(loss))
        if grad_norm is not None:
            metrics.reader.set_norm(torch.as_tensor(grad_norm).detach())
        if validation_loss is not None:
            metrics.validation_loss = float(validation_loss)
        if metrics.main_stepped:
            metrics.close(metrics.step + 1, 1.0)

    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        if self._begun():
            self._hooks.before_step(optimizer)

    @contextmanager
    def forward(self) -> Iterator[None]:
        """Measure the precursors in what is computed inside: the forward pass and the loss of one batch."""
        net = self._hooks.net.net
        if self._begun() and self._sensors.on:
            net("forward", self._before_forward)
        try:
            yield
        finally:
            net("forward", self._sensors.after_forward)

    def _before_forward(self) -> None:
        if self._hooks.metrics is not None:
            self._sensors.begin(self._hooks.metrics.step + 1)

    def _begun(self) -> bool:
        """Whether it watches, from the first batch on: until then a checkpoint may be loaded."""
        if not self._is_begun and not self._is_over:
            self._is_begun = True
            # all ranks or none: one whose exchange cannot be made must not leave the others waiting
            if self._meetings and not self._meetings[0].is_held(MEET_SECONDS):
                self._watch_alone()
            elif self._meetings and self._options.all_ranks:
                self._hooks.join(self._loop)
            if not self._is_over:
                self._hooks.net.net("start", self._begin)
        return not self._is_over

    def _watch_alone(self) -> None:
        """Watch without the other processes, which have no Watcher."""
        self._meetings = []
        self._options = self._options._replace(all_ranks=False, acts=self._options.acts.only())
        self._hooks = LoopHooks(self._options, self._sensors, self._checkpoint)
        self._is_over = not reads_here()
        if not self._is_over:
            _log.warning(
                "scalewatch: there is no Watcher in each of the %d processes: rank 0 alone is watched, and nothing is"
                " done by itself.",
                processes(),
            )

    def _begin(self) -> None:
        state = self._checkpoint.state
        loop = self._loop._replace(step=0 if state is None else int(state["step"]))
        self._control = _ByHand(loop.step)
        self._hooks.begin(loop, self._control, folder=self._folder())
        self._control.metrics = self._hooks.metrics
        # of a rank whose watch could not begin the exchange goes on
        self._is_over = self._hooks.metrics is None and not self._meetings
        close_at_exit.add(self)

    def _folder(self) -> Path:
        folder = self._options.directory or Path("scalewatch").absolute()
        return folder / self._options.name if self._options.name else folder

    # --- checkpoints ------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint, of plain numbers, strings and lists; empty where none watches.

        Where all ranks are watched it holds what they have exchanged, which is up to 16 batches ago.
        """
        watch = self._hooks.watch
        state = self._checkpoint.state if watch is None else self._hooks.net.net("state_dict", watch.state)
        return dict(state or {})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint, before the first step.

        Raises:
            ConfigError: after it.
        """
        if self._is_begun:
            raise ConfigError("A Watcher's `load_state_dict` comes before the first step: it is watching already.")
        if state_dict:
            self._checkpoint.state = self._hooks.guard.call("checkpoint", readable_state, state_dict)

    def saved(self, path: str | os.PathLike[str]) -> None:
        """Say that a checkpoint of now was written: advice names it, and `act=["rewind"]` can go back to it.

        With acts it gets a second name until it is of no use, so that nothing the loop deletes is the last good one.
        """
        self._hooks.net.net("checkpoints", self._hooks.saved, self._control.step, os.fspath(path))

    # --- the end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """End the watch: the verdict is told, and everything is on the disk. More than once does no harm."""
        if len(self._meetings) > 1 and self._hooks.exchange.ranks is not None and not self._is_over:
            self._hooks.net.net("ranks", self._share_the_rest, self._meetings.pop())
        self.end(None)

    def _share_the_rest(self, meeting: Meeting) -> None:
        meeting.come()
        if meeting.is_held(PART_SECONDS):
            self._hooks.share()

    def end(self, fault: BaseException | None) -> None:
        """End the watch of a run that `fault` has ended, None for none."""
        self._is_over = True
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._hooks.net.net("end", close_at_exit.remove, self)
        self._hooks.end(fault)

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if fault is None:
            self.close()
        self.end(fault)


def _length(option: str, value: Any) -> int | None:
    return None if value is None else whole_number(option, value, 1, MOST_STEPS)


def _seconds(max_time: Any) -> float | None:
    seconds = max_time.total_seconds() if isinstance(max_time, timedelta) else max_time
    what = "seconds or a timedelta, above 0, or None"
    return None if seconds is None else number_between("max_time", seconds, what, MOST_GIVEN)

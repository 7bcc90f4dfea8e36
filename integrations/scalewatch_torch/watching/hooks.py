"""What the hooks of a loop call, on each of its processes: it is measured, ranks exchange, what is decided is done.

A hand-written loop and the Trainer of transformers call the same. Everything is under a net: what is in no part of the
watch may fail too, and what the ranks do together comes whatever has failed before it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, final

from scalewatch.guard import Guard
from scalewatch_torch.ranks import AllRanks
from scalewatch_torch.sensors import Sensors
from scalewatch_torch.watching.acting import Acting
from scalewatch_torch.watching.checkpoint import Checkpoint
from scalewatch_torch.watching.control import LoopControl
from scalewatch_torch.watching.endings import ended, ended_by
from scalewatch_torch.watching.exchange import RankExchange
from scalewatch_torch.watching.loop import Loop, device_of, follow, new_watch, reads_here
from scalewatch_torch.watching.options import Options
from scalewatch_torch.watching.saved import SavedByLoop
from scalewatch_torch.watching.step_metrics import StepMetrics
from scalewatch_torch.watching.watch import Watch

__all__ = ["IN_A_HOOK", "LoopHooks"]

#: What a fault in a hook means for whoever reads the log: the hook is called again at the next step.
IN_A_HOOK = "and the run is watched without it; training is not affected"


@final
class LoopHooks:
    """One run of a loop that says itself what it trains.

    Args:
        options: as they were checked. sensors: look into the model.
        checkpoint: what a checkpoint held, and what the next will hold.

    Attributes:
        net: under every hook. guard: of the parts. exchange: what joins the ranks.
        watch: on the process that reads the run, while it is watched. metrics: on each that counts its steps.
    """

    def __init__(self, options: Options, sensors: Sensors, checkpoint: Checkpoint) -> None:
        self._options, self._sensors, self._checkpoint = options, sensors, checkpoint
        self.guard, self.net = Guard(), Guard(consequence=IN_A_HOOK)
        self.watch: Watch | None = None
        self.metrics: StepMetrics | None = None
        self.exchange = RankExchange()
        self._acting = Acting(options.acts)
        self._saved = SavedByLoop(protects=bool(options.acts) and not options.acts.dry)

    def join(self, loop: Loop) -> None:
        """Join the ranks, which all do it or none."""
        device = device_of(loop)
        if device is not None:
            self.exchange.ranks = AllRanks(device, acts=bool(self._options.acts))

    def begin(
        self,
        loop: Loop,
        control: LoopControl,
        *,
        folder: Path | None,
        came_from: str = "",
    ) -> None:
        """Begin before the first step.

        Args:
            control: what the loop lets be done to it. folder: of the journal, None for none.
            came_from: path of the checkpoint that the run goes on from, "" where nobody knows it.
        """
        state = self._checkpoint.state if loop.step else None
        self.guard.call("act", self._acting.attach, control, loop.optimizers, state)
        reader = next(iter(self.exchange.readers()), None)
        if not reads_here():
            self.metrics = self.guard.call("start", follow, loop, reader)
            return
        watch = self.guard.call(
            "start",
            new_watch,
            loop,
            self._options,
            guard=self.guard,
            sensors=self._sensors,
            checkpoint=self._checkpoint,
            folder=folder,
            reader=reader,
        )
        if watch is not None:
            self.watch, self.metrics = watch, watch.metrics
            self.guard.call("checkpoints", self._saved.begin, watch.session, loop.step, came_from)
            self.guard.call("act", self._acting.begin, watch.session, watch.metrics, loop.model.parameters)

    # --- each step --------------------------------------------------------------------------------

    def before_step(self, optimizer: Any) -> None:
        """An optimizer is about to step."""
        self.net.net("optimizer step", self._measure, optimizer)
        self.net.net("skip", self._acting.before_step, optimizer, self.guard)

    def _measure(self, optimizer: Any) -> None:
        if self.metrics is None or not self.metrics.is_main(optimizer):
            return
        if self.watch is not None:
            self.watch.before_step()
        else:
            self.guard.call("learning rate", self.metrics.before_step)

    def after_batch(self, read: Callable[..., None], *arguments: Any, now: bool = False) -> None:
        """Have `read` give a batch to `metrics`; the ranks exchange if it is time, or `now`, and what is due is done.

        Raises:
            RewindExit: where the process is to go on from a checkpoint.
        """
        self.net.net("loss", self._observe, read, arguments)
        self.net.net("ranks", self._agree, now)

    def _observe(self, read: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        if self.watch is not None:
            self.watch.after_batch(read, *arguments)
        elif self.metrics is not None:
            self.guard.call("loss", read, *arguments)

    def _agree(self, now: bool) -> None:
        watch, exchange = self.watch, self.exchange
        shared = exchange.after_batch(watch, now=now)
        self._acting.after_batch(None if watch is None else watch.session, self.guard, exchange.ranks, shared=shared)

    def share(self) -> None:
        """Take part in an exchange of what is left, which all ranks are at."""
        self.exchange.between_batches(self.watch)

    # --- checkpoints and the end --------------------------------------------------------------------

    @property
    def gave_up(self) -> bool:
        """Whether the run was given up as lost, the same on all processes."""
        return self._acting.gave_up

    def saved(self, step: int, path: str) -> None:
        """A checkpoint was written after `step`."""
        self._saved.saved(step, path)

    def end(self, fault: BaseException | None) -> None:
        """End the watch of a run that `fault` has ended, None for none."""
        self.net.net("end", self._sensors.after_forward)  # the forward pass may have raised
        self.net.net("end", self._acting.end)
        self.net.net("end", self._saved.end)
        watch, self.watch, self.metrics = self.watch, None, None
        if watch is not None:
            words = self.net.net("end", self._words, watch, fault) or f"after step {watch.metrics.step:,}"
            self.net.net("end", watch.finish, words)
            self.net.net("end", watch.release)
        if fault is not None:
            self.net.net("end", self.exchange.part)

    def _words(self, watch: Watch, fault: BaseException | None) -> str:
        step = watch.metrics.step
        if fault is not None:
            return ended_by(fault, step)
        return self._acting.ended(watch.session, step, ended(step, watch.session.run.total_steps))

"""A trainer of Lightning as its acts see it: how it is asked to stop, and what it does to weights that are lost.

A stop is asked of the trainer by `should_stop`, in mid-epoch. By itself Lightning then validates once more and writes a
checkpoint at the end of the epoch: of weights that are lost that is an hour of a cluster for a number nobody wants.
"""

from __future__ import annotations

import math
from typing import Any, final

import torch

from scalewatch.acting.acts import Acts, Decision
from scalewatch.acting.gate import known_after
from scalewatch.guard import Guard
from scalewatch_lightning.checkpoints import TrainerCheckpoints
from scalewatch_lightning.passing_over import can_pass_over, pass_over
from scalewatch_torch.ranks import AllRanks
from scalewatch_torch.watching.acting import Acting
from scalewatch_torch.watching.control import LoopControl
from scalewatch_torch.watching.session import Session
from scalewatch_torch.watching.several import Sessions
from scalewatch_torch.watching.step_metrics import StepMetrics

__all__ = ["TrainerActing", "TrainerControl"]


@final
class TrainerControl(LoopControl):
    """One fit of a trainer."""

    called = "the trainer"
    resumes_by = "the trainer `ckpt_path=scalewatch_lightning.resume_from()`"

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self._validation: Any = None
        self.scaled = getattr(trainer.precision_plugin, "scaler", None) is not None

    @property
    def step(self) -> int:
        """Steps of all optimizers, as the trainer counts them."""
        return int(self._trainer.global_step)

    @property
    def processes(self) -> int:
        """Those of the trainer."""
        return int(self._trainer.world_size)

    def stop(self, decision: Decision) -> None:
        """By its own mark, which it looks at after each batch."""
        self._trainer.should_stop = True

    def hush(self, decision: Decision) -> None:
        """Let it not validate weights that are lost before it stops."""
        trainer = self._trainer
        if self._validation is not None or self.held_by():
            return
        self._validation, trainer.limit_val_batches = trainer.limit_val_batches, 0
        # a scheduler or an early stopping that waits for what is not validated would raise at the end of the epoch
        for name in awaited(trainer):
            trainer.callback_metrics.setdefault(name, torch.tensor(math.nan))

    def held_by(self) -> str:
        """Least steps and epochs that it was given."""
        loop = self._trainer.fit_loop
        held = []
        if loop.min_epochs and loop.epoch_progress.current.processed < loop.min_epochs:
            held.append(f"min_epochs={loop.min_epochs}")
        if loop.min_steps and self._trainer.global_step < loop.min_steps:
            held.append(f"min_steps={loop.min_steps}")
        return " and ".join(held)

    def went_on_for(self) -> str:
        """The same, whether they are met or not."""
        loop = self._trainer.fit_loop
        least = [("min_epochs", loop.min_epochs), ("min_steps", loop.min_steps)]
        return " and ".join(f"{name}={value}" for name, value in least if value)

    def can_pass_over(self, steps: int) -> bool:
        """Where the trainer draws the batches, and the run ends by its steps."""
        return can_pass_over(self._trainer, steps)

    def pass_over(self, steps: int) -> int:
        """From its own loader."""
        return pass_over(self._trainer, steps)

    def restore(self) -> None:
        """It validates as before."""
        if self._validation is not None:
            self._trainer.limit_val_batches, self._validation = self._validation, None

    def tell_all(self, plain: Any) -> Any:
        """By its strategy, which may be none of torch's."""
        return self._trainer.strategy.broadcast(plain)


@final
class TrainerActing:
    """What is done to one fit, and its checkpoints.

    Args:
        acts: what was asked for; without any, nothing is done.
    """

    def __init__(self, acts: Acts) -> None:
        self._acting = Acting(acts)
        self.checkpoints = TrainerCheckpoints(protects=bool(acts) and not acts.dry)

    def protect(self, trainer: Any) -> None:
        """Have no checkpoint of lost weights written, on all processes."""
        self.checkpoints.protect(trainer, lambda: self._acting.is_lost)

    def attach(self, trainer: Any, state: dict[str, Any] | None) -> None:
        """Take part in the steps of the optimizers, on all processes; `state` is what a checkpoint held of us."""
        self._acting.attach(TrainerControl(trainer), trainer.optimizers, state)

    def begin(self, trainer: Any, session: Session | Sessions, metrics: StepMetrics) -> None:
        """Watch the steps of a fit, on the process that decides."""
        self.checkpoints.begin(trainer, session, known_after(session.run))
        self._acting.begin(session, metrics, trainer.lightning_module.parameters)

    def before_step(self, optimizer: Any, guard: Guard) -> None:
        """Leave a step out whose gradient is no number."""
        self._acting.before_step(optimizer, guard)

    def after_batch(
        self, session: Session | Sessions | None, guard: Guard, ranks: AllRanks | None, *, shared: bool
    ) -> None:
        """Decide after a batch, if it is time to, and do it."""
        self._acting.after_batch(session, guard, ranks, shared=shared)

    def ended(self, session: Session | Sessions | None, step: int, planned: str) -> str:
        """Return the words for how a fit has ended after `step`."""
        return self._acting.ended(session, step, planned)

    def end(self, trainer: Any, *, crashed: bool) -> None:
        """Leave the trainer and its optimizer as they were; after a crash its checkpoint callbacks come after us."""
        self.checkpoints.look(trainer)
        self._acting.end()
        self.checkpoints.end()
        if not crashed:
            self.checkpoints.release()


def awaited(trainer: Any) -> list[str]:
    """Names of metrics without which a scheduler or a callback of the trainer raises at the end of an epoch."""
    configs = [each for each in trainer.lr_scheduler_configs if each.reduce_on_plateau and each.strict]
    stopping = [each for each in trainer.callbacks if type(each).__name__ == "EarlyStopping"]
    return [each.monitor for each in [*configs, *stopping] if each.monitor]

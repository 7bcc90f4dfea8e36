"""What the Trainer of transformers does not hand to its callbacks: itself, the loss of each batch, its checkpoint.

A callback is told of steps, and given neither the trainer nor a loss. What is logged is a mean over `logging_steps`
from which `logging_nan_inf_filter` has taken everything that is not finite. The loss itself is what `training_step`
returns, a method that users override; so the method of the one trainer is wrapped while it trains.
"""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, final

import torch

from scalewatch.acting.acts import Decision
from scalewatch.guard import Guard
from scalewatch_torch.watching.control import LoopControl
from scalewatch_torch.watching.loop import processes, why_no_norm

__all__ = [
    "Calling",
    "TrainerControl",
    "Training",
    "calling_trainer",
    "load_state",
    "reported_to",
    "save_state",
    "why_no_trainer_norm",
]

_log = logging.getLogger("scalewatch")

#: Frames between a callback and its trainer at most: two in transformers 5, and room for wrappers. By hand.
MOST_FRAMES = 12
#: File of our state in the folder of a checkpoint.
STATE_FILE = "scalewatch.pt"


class Calling(NamedTuple):
    """The trainer that called a callback, and the folder of the checkpoint that it goes on from, None for none."""

    trainer: Any
    checkpoint: Path | None


def calling_trainer() -> Calling | None:
    """Return the trainer whose loop has called, None if there is none: it is found among the callers."""
    frame, checkpoint = inspect.currentframe(), None
    for _ in range(MOST_FRAMES):
        frame = None if frame is None else frame.f_back
        if frame is None:
            return None
        me, path = frame.f_locals.get("self"), frame.f_locals.get("resume_from_checkpoint")
        checkpoint = Path(path) if isinstance(path, str) else checkpoint
        if any(kind.__name__ == "Trainer" for kind in type(me).__mro__) and hasattr(me, "training_step"):
            return Calling(me, checkpoint)
    return None


@final
class Training:
    """Is told of each batch that a trainer trains on, until it is taken off.

    Args:
        trainer: of transformers.
        before: called with the inputs of a batch. after: called with its loss, as it is added up.
        fault: called with an exception that training raised, which goes on its way.
    """

    def __init__(
        self,
        trainer: Any,
        before: Callable[[Any], None],
        after: Callable[[torch.Tensor], None],
        fault: Callable[[BaseException], None],
    ) -> None:
        self.trainer = trainer
        inner, net = trainer.training_step, Guard().net

        def training_step(model: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
            net("batch", before, inputs)
            try:
                loss = inner(model, inputs, *rest, **options)
            except BaseException as raised:  # it goes on its way, whatever becomes of telling it
                net("end", fault, raised)
                raise
            net("batch", after, loss)
            return loss

        self._wrapped = training_step
        trainer.training_step = training_step

    def off(self) -> None:
        """Give the trainer its method back; not where somebody has wrapped it again."""
        if vars(self.trainer).get("training_step") is self._wrapped:
            del self.trainer.training_step


@final
class TrainerControl(LoopControl):
    """One training of a trainer; `flow` is what its callbacks tell it by."""

    called = "the trainer"
    resumes_by = "`trainer.train(resume_from_checkpoint=scalewatch_transformers.resume_from())`"

    def __init__(self, trainer: Any, flow: Any) -> None:
        self._state, self._flow = trainer.state, flow
        self.scaled = getattr(trainer.accelerator, "scaler", None) is not None

    @property
    def step(self) -> int:
        """Steps as the trainer counts them."""
        return int(self._state.global_step)

    @property
    def processes(self) -> int:
        """Those of torch's default group."""
        return processes()

    def stop(self, decision: Decision) -> None:
        """After this step, in mid-epoch."""
        self._flow.should_training_stop = True


def reported_to(trainer: Any) -> list[Any]:
    """Return what the trainer reports to (`report_to`): writers and runs, of those callbacks of it that have one."""
    found = []
    for callback in trainer.callback_handler.callbacks:
        name = type(callback).__name__
        if name == "TensorBoardCallback":
            found.append(callback.tb_writer)
        elif name == "WandbCallback":
            found.append(getattr(sys.modules.get("wandb"), "run", None))
        elif name == "MLflowCallback":
            active = getattr(sys.modules.get("mlflow"), "active_run", None)
            found.append(None if active is None else active())
        elif name == "TrackioCallback" and "trackio" in sys.modules:
            found.append(sys.modules["trackio"].context_vars.current_run.get())
    return [each for each in found if each is not None]


def why_no_trainer_norm(trainer: Any, optimizer: torch.optim.Optimizer) -> str | None:
    """Why the gradient norm cannot be taken after the backward pass, None if it can."""
    for sharding in ("deepspeed", "fsdp"):
        if getattr(trainer, f"is_{sharding}_enabled", False):
            return f"{sharding} keeps each gradient in pieces, and its norm would take a collective"
    if getattr(trainer.accelerator, "scaler", None) is not None:
        return "with fp16 the gradients are scaled until the trainer has clipped them"
    return why_no_norm(optimizer)


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Keep our state beside what the trainer has saved in the folder of a checkpoint, if it is there."""
    if folder.is_dir():
        torch.save(state, folder / STATE_FILE)


def load_state(folder: Path) -> dict[str, Any] | None:
    """Return our state from the folder of a checkpoint, None if it holds none."""
    file = folder / STATE_FILE
    if not file.is_file():
        _log.warning("scalewatch: the checkpoint %s holds no state of it: watching starts afresh.", folder)
        return None
    state: dict[str, Any] = torch.load(file, weights_only=True)
    return state

"""Where one fit is watched from, what joins its ranks, and the net under the hooks of a trainer."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar

import torch

from scalewatch.guard import Guard
from scalewatch_torch.introspect import Sizes
from scalewatch_torch.ranks import AllRanks
from scalewatch_torch.watching.hooks import IN_A_HOOK
from scalewatch_torch.watching.options import Options

__all__ = ["IN_A_HOOK", "Place", "call_idle", "exchange_of", "leave_out_idle", "netted", "saves_now"]

#: What Lightning calls each step of a run that is under way, and in which there is nothing to do unless a look is taken
#: into the model.
IDLE_HOOKS = ("on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward")


class _HasNet(Protocol):
    _net: Guard


S = TypeVar("S", bound=_HasNet)
P = ParamSpec("P")


def netted(hook: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], None]:
    """Let no fault of ours out of a hook of the trainer, also none that is in no part of the watch.

    What the ranks do together needs a hook, or a net, of its own: what comes after a fault is left out.
    """

    @functools.wraps(hook)
    def called(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
        self._net.net(hook.__name__, hook, self, *args, **kwargs)

    return called


def leave_out_idle(callback: object) -> None:
    """Have Lightning leave the idle hooks out, as it does with what is no function: to call one costs it 3 to 5 us.

    Those that somebody wrote anew in a class of theirs are theirs, and called.
    """
    kind = type(callback)
    ours = next((each for each in kind.__mro__ if each.__module__.startswith("scalewatch_lightning.")), kind)
    idle = (name for name in IDLE_HOOKS if getattr(kind, name) is getattr(ours, name))
    vars(callback).update(dict.fromkeys(idle))


def call_idle(callback: object) -> None:
    """Have Lightning call them again."""
    for name in IDLE_HOOKS:
        vars(callback).pop(name, None)


class Place(NamedTuple):
    """What is known before the first batch: the folder of the journal, None for none, and the sizes of the model."""

    folder: Path | None = None
    sizes: Sizes = Sizes(None, None)


def exchange_of(trainer: Any, options: Options) -> AllRanks | None:
    """Return what joins the ranks of a trainer; None where there is one rank, or rank 0 alone is to be watched."""
    if not options.all_ranks or trainer.world_size == 1:
        return None
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return None  # a strategy that has ways of its own, as that for TPUs
    return AllRanks(trainer.strategy.root_device, losses=max(1, len(options.losses)), acts=bool(options.acts))


def saves_now(trainer: Any) -> bool:
    """Whether a checkpoint is saved after this batch, the same on all ranks: it is to hold the steps up to it."""
    every = (getattr(each, "_every_n_train_steps", 0) for each in trainer.checkpoint_callbacks)
    return any(steps and trainer.global_step % steps == 0 for steps in every)

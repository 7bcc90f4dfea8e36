"""Where one fit is watched from, and what joins its ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch

from scalewatch_torch.introspect import Sizes
from scalewatch_torch.ranks import AllRanks
from scalewatch_torch.watching.options import Options

__all__ = ["Place", "exchange_of", "saves_now"]


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

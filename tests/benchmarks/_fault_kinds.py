"""Fourteen kinds of transient fault, and what a training calls to have one done to it.

Each happens once, from the middle of a run on. What comes of data comes again with the same batches; what comes of a
machine (a flipped bit, a killed process) does not come again when the run goes back.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, final

import torch
from torch import Tensor

#: Steps that poisoned labels, a rate that is too high, a frozen layer and a full disk last [steps].
LASTS = 40
#: Batches that a slow loader is late with: what lasts for less than two blocks of 32 is nobody's slow loader.
STALLED_BATCHES = 100
#: How many times too high the rate is.
RATE_FACTOR = 30.0
#: Part of the steps of a run at which a fault begins.
FROM_PART = 0.5
#: Seconds that a batch of a slow loader takes.
STALL_SECONDS = 0.07
#: The bit of a float that is flipped: the highest of its exponent, which makes a weight of .05 one of 1.7e37.
BIT = 30
#: Batches of poison after which there is something to tell the endpoint that is dead.
TOLD_BATCHES = 2


class Fault:
    """Nothing is done; what a fault does is added by the kinds.

    Args:
        at: steps that were taken before it. folder: of the run, where it is noted that it has happened.
        seed: of the run.
    """

    name: ClassVar[str] = "none"
    #: Whether it ends the process, which who supervises starts again from the newest checkpoint, as a queue does.
    ends: ClassVar[bool] = False
    #: Processes of the training.
    ranks: ClassVar[int] = 1
    #: Whether somebody is to be told who is not there.
    alerts: ClassVar[bool] = False

    def __init__(self, at: int, folder: Path, seed: int) -> None:
        self.at, self.seed = at, seed
        self._mark = folder / "happened"

    def lasts(self, number: int, steps: int) -> bool:
        """Whether a step or batch, counted from 0, is among the first `steps` of the fault."""
        return 0 <= number - self.at < steps

    def now(self, step: int) -> bool:
        """Whether this is the step at which it happens, once in a run however often it goes back."""
        if step != self.at or self._mark.exists():
            return False
        self._mark.touch()
        return True

    def poisons(self, batch: int) -> bool:
        """Whether the targets of a batch are replaced."""
        return False

    def before_draw(self, batch: int) -> None:
        """A batch is drawn."""

    def before_batch(self, module: Any, step: int) -> None:
        """A batch is about to be trained on."""

    def spoil(self, loss: Tensor, batch: int) -> Tensor:
        """Return the loss of a batch."""
        return loss

    def after_backward(self, module: Any, step: int) -> None:
        """The gradients are there."""

    @contextmanager
    def around(self, watch: Path) -> Iterator[None]:
        """The whole of a training, with the folder that its watch writes to."""
        yield


@final
class BadBatch(Fault):
    """One batch of targets at random."""

    name = "bad batch"

    def poisons(self, batch: int) -> bool:
        return batch == self.at


@final
class Poisoned(Fault):
    """Targets at random for some time."""

    name = "poisoned labels"

    def poisons(self, batch: int) -> bool:
        return self.lasts(batch, LASTS)


@final
class NanLoss(Fault):
    """A batch whose loss, and so its gradient, is no number."""

    name = "NaN loss"

    def spoil(self, loss: Tensor, batch: int) -> Tensor:
        return loss * math.nan if batch == self.at else loss


@final
class NanGradient(Fault):
    """One number of a gradient is none, with a loss as ever."""

    name = "NaN gradient"

    def after_backward(self, module: Any, step: int) -> None:
        if self.now(step):
            next(module.parameters()).grad.view(-1)[0] = math.nan


@final
class InfWeight(Fault):
    """One weight is infinite."""

    name = "Inf weight"

    def before_batch(self, module: Any, step: int) -> None:
        if self.now(step):
            parameter, place = one_weight(module, self.seed)
            with torch.no_grad():
                parameter[place] = math.inf


@final
class RateTimes(Fault):
    """A learning rate that is too high for some time."""

    name = "rate x30"

    def before_batch(self, module: Any, step: int) -> None:
        rates = module.lr_schedulers().get_last_lr()
        for group, rate in zip(module.optimizers().param_groups, rates, strict=True):
            group["lr"] = RATE_FACTOR * rate if self.lasts(step, LASTS) else rate


@final
class LostState(Fault):
    """The moments of the optimizer are gone, as after a resume without them."""

    name = "lost optimizer state"

    def before_batch(self, module: Any, step: int) -> None:
        if self.now(step):
            module.trainer.optimizers[0].state.clear()


@final
class FrozenLayer(Fault):
    """One layer is not trained for some time."""

    name = "frozen layer"

    def after_backward(self, module: Any, step: int) -> None:
        if self.lasts(step, LASTS):
            for parameter in module.one_layer().parameters():
                parameter.grad = None


@final
class BitFlip(Fault):
    """One bit of one weight."""

    name = "bit flip in a weight"

    def before_batch(self, module: Any, step: int) -> None:
        if self.now(step):
            parameter, place = one_weight(module, self.seed)
            with torch.no_grad():
                parameter[place] = flipped(float(parameter[place]))


@final
class DeadRank(Fault):
    """One of two processes is killed."""

    name = "dead rank"
    ends, ranks = True, 2

    def before_batch(self, module: Any, step: int) -> None:
        if os.environ.get("RANK") == "1" and self.now(step):
            os.kill(os.getpid(), signal.SIGKILL)


@final
class StalledLoader(Fault):
    """Each batch is late for some time."""

    name = "stalled loader"

    def before_draw(self, batch: int) -> None:
        if self.lasts(batch, STALLED_BATCHES):
            time.sleep(STALL_SECONDS)


@final
class FullDisk(Fault):
    """Nothing can be written where the watch writes, for some time."""

    name = "full disk"

    def __init__(self, at: int, folder: Path, seed: int) -> None:
        super().__init__(at, folder, seed)
        self._step = 0

    def before_batch(self, module: Any, step: int) -> None:
        self._step = step

    @contextmanager
    def around(self, watch: Path) -> Iterator[None]:
        write = os.write

        def full(descriptor: int, data: bytes) -> int:
            if self.lasts(self._step, LASTS) and file_of(descriptor).is_relative_to(watch.resolve()):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(descriptor, data)

        os.write = full
        try:
            yield
        finally:
            os.write = write


@final
class KilledProcess(Fault):
    """kill -9 in mid-run."""

    name = "killed process"
    ends = True

    def before_batch(self, module: Any, step: int) -> None:
        if self.now(step):
            os.kill(os.getpid(), signal.SIGKILL)


@final
class DeadEndpoint(Fault):
    """Nobody listens where alerts are sent, while two bad batches give something to tell."""

    name = "dead endpoint"
    alerts = True

    def poisons(self, batch: int) -> bool:
        return self.lasts(batch, TOLD_BATCHES)


KINDS: dict[str, type[Fault]] = {
    kind.name: kind
    for kind in (
        BadBatch,
        Poisoned,
        NanLoss,
        NanGradient,
        InfWeight,
        RateTimes,
        LostState,
        FrozenLayer,
        BitFlip,
        DeadRank,
        StalledLoader,
        FullDisk,
        KilledProcess,
        DeadEndpoint,
    )
}


def file_of(descriptor: int) -> Path:
    """What is open under a number, "/" where nobody knows."""
    with contextlib.suppress(OSError):
        return Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    return Path("/")


def one_weight(module: Any, seed: int) -> tuple[Tensor, tuple[int, ...]]:
    """A weight of a matrix, drawn by the seed of the run."""
    chance = torch.Generator().manual_seed(seed)
    matrices = [each for each in module.net.parameters() if each.ndim > 1]
    chosen = matrices[int(torch.randint(len(matrices), (1,), generator=chance))]
    return chosen, tuple(int(torch.randint(size, (1,), generator=chance)) for size in chosen.shape)


def flipped(value: float) -> float:
    """A float of 32 bits with the highest bit of its exponent the other way round.

    >>> f"{flipped(0.05):.2g}"
    '1.7e+37'
    """
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    (other,) = struct.unpack("<f", struct.pack("<I", bits ^ (1 << BIT)))
    return float(other)

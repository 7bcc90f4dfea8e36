"""Reads losses and gradient norms without making the training loop wait for its device.

On the CPU a value is read at once. On an accelerator the loop runs ahead of the device, and `.item()` on a
fresh tensor would stop it until the device has caught up. There the values of `RING_STEPS` steps go into a
buffer on the device, one asynchronous copy brings them to pinned memory, and they are read when its event
says that they have arrived: an observation is made `RING_STEPS` to `2 RING_STEPS` steps late, and nothing
waits.

Why not `.item()` every so many steps: a spike of one step would be missed, and each read would still wait.
"""

from __future__ import annotations

import abc
import math
import time
from collections.abc import Callable
from typing import NamedTuple, final

import torch

from scalewatch.observation import Observation
from scalewatch_torch.transfer import Event, Transfers

__all__ = ["DeviceReader", "HostReader", "NoReader", "Row", "ScalarReader", "reader_for"]

#: Steps of one transfer. Two of them are a lag of 32 steps, and a copy costs some 10 us.
RING_STEPS = 16
#: Pause between two looks at an event where a reader is asked to wait [s].
_POLL_SECONDS = 0.001


class Row(NamedTuple):
    """What the host knows of a step before its loss has arrived.

    Attributes:
        step: optimizer steps completed.
        learning_rate: rate that the step was taken with.
        tokens: tokens consumed up to and including the step.
        validation_loss: loss of the validation before the step, where there was one.
        loss_scale: what the sum of the losses of the step's batches is multiplied with for their mean.
        has_norm: whether the gradient norm of the step was taken.
        seconds: wall-clock time at its end [s]: its loss may arrive many steps later.
    """

    step: int
    learning_rate: float | None
    tokens: float | None
    validation_loss: float | None
    loss_scale: float
    has_norm: bool
    seconds: float | None = None


class ScalarReader(abc.ABC):
    """Takes the losses of a step's batches and its gradient norm, and gives observations when they are known.

    Attributes:
        dropped: steps whose values never arrived [count].
        without_loss: steps none of whose batches had a loss [count].
        urgent: whether a step that waits to be taken is known to have a loss that is no number.
        gathers: whether steps become known some together, so that nothing is won by waiting for more of them.
    """

    gathers = False

    def __init__(self) -> None:
        self.dropped = 0
        self.without_loss = 0
        self.urgent = False
        self._losses = 0
        self._has_norm = False

    def add_loss(self, loss: torch.Tensor) -> None:
        """Add the loss of one batch of the step that is under way."""
        self._put_loss(loss, first=self._losses == 0)
        self._losses += 1

    def set_norm(self, norm: torch.Tensor) -> None:
        """Set the gradient norm of the step that is under way."""
        self._put_norm(norm)
        self._has_norm = True

    def close_step(
        self,
        step: int,
        learning_rate: float | None = None,
        tokens: float | None = None,
        validation_loss: float | None = None,
        loss_scale: float = 1.0,
        seconds: float | None = None,
    ) -> None:
        """End the step, at this time: its loss is the mean over its batches, each times `loss_scale`."""
        losses, has_norm = self._losses, self._has_norm
        self._losses, self._has_norm = 0, False
        if losses == 0:
            self.without_loss += 1
            return
        scale = loss_scale / losses
        self._close(Row(step, learning_rate, tokens, validation_loss, scale, has_norm, seconds))

    def observation(self, row: Row, total_loss: float, norm: float) -> Observation:
        """Return what the step measured."""
        return Observation(
            row.step,
            total_loss * row.loss_scale,
            row.learning_rate,
            norm if row.has_norm else None,
            row.tokens,
            row.validation_loss,
            row.seconds,
        )

    @abc.abstractmethod
    def _put_loss(self, loss: torch.Tensor, *, first: bool) -> None:
        """Add to the sum of the step's losses, or begin it."""

    @abc.abstractmethod
    def _put_norm(self, norm: torch.Tensor) -> None:
        """Keep the step's gradient norm."""

    @abc.abstractmethod
    def _close(self, row: Row) -> None:
        """Keep the step."""

    @abc.abstractmethod
    def take(self) -> list[Observation]:
        """Return the observations that have become known, oldest first, without waiting."""

    @abc.abstractmethod
    def flush(self, timeout_seconds: float) -> list[Observation]:
        """Return all that is under way, waiting at most so long [s]."""

    @abc.abstractmethod
    def abandon(self) -> None:
        """Count what has not arrived as dropped."""


@final
class HostReader(ScalarReader):
    """Reads at once: for the CPU, where there is nothing to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self._sum = 0.0
        self._norm = math.nan
        self._ready: list[Observation] = []

    def _put_loss(self, loss: torch.Tensor, *, first: bool) -> None:
        self._sum = loss.item() + (0.0 if first else self._sum)

    def _put_norm(self, norm: torch.Tensor) -> None:
        self._norm = norm.item()

    def _close(self, row: Row) -> None:
        self._ready.append(self.observation(row, self._sum, self._norm))
        self.urgent = self.urgent or not math.isfinite(self._sum)

    def take(self) -> list[Observation]:
        """Return the steps that were closed since the last call."""
        ready, self._ready, self.urgent = self._ready, [], False
        return ready

    def flush(self, timeout_seconds: float) -> list[Observation]:
        """Return the same: nothing is ever under way."""
        return self.take()

    def abandon(self) -> None:
        """Do nothing: nothing is ever under way."""


@final
class DeviceReader(ScalarReader):
    """Reads late: a buffer on the device, copied every `ring_steps` steps.

    Of a device that hangs the oldest steps are given up.

    Args:
        device: where the losses are.
        new_event: makes an event on that device; None for what the device has.
        ring_steps: steps of one transfer.
    """

    gathers = True

    def __init__(
        self,
        device: torch.device,
        new_event: Callable[[], Event] | None = None,
        ring_steps: int = RING_STEPS,
    ) -> None:
        super().__init__()
        self._ring = torch.zeros((ring_steps, 2), dtype=torch.float32, device=device)
        # views made once: indexing costs more than the copy into the cell
        self._cells = [(self._ring[i, 0], self._ring[i, 1]) for i in range(ring_steps)]
        self._rows: list[Row] = []
        self._transfers: Transfers[list[Row]] = Transfers((ring_steps, 2), new_event)

    def _put_loss(self, loss: torch.Tensor, *, first: bool) -> None:
        cell = self._cells[len(self._rows)][0]
        value = loss.detach()
        value = value if value.ndim == 0 else value.reshape(())
        if first:
            cell.copy_(value, non_blocking=True)
        else:
            cell.add_(value)

    def _put_norm(self, norm: torch.Tensor) -> None:
        self._cells[len(self._rows)][1].copy_(norm, non_blocking=True)

    def _close(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) == len(self._cells):
            self._send()

    def _send(self) -> None:
        rows, self._rows = self._rows, []
        self.dropped += len(self._transfers.send(self._ring, rows) or ())

    def take(self) -> list[Observation]:
        """Return the steps of all transfers that have arrived."""
        found: list[Observation] = []
        while (arrived := self._transfers.take()) is not None:
            rows, pairs = arrived
            found += [self.observation(row, *pair) for row, pair in zip(rows, pairs, strict=False)]
        return found

    def flush(self, timeout_seconds: float) -> list[Observation]:
        """Send what is in the buffer, and wait for it by asking, so that a dead device cannot hold us."""
        if self._losses:
            # a step that is not complete stays; the cell that holds it is moved to the front
            partial = self._ring[len(self._rows)].clone()
        if self._rows:
            self._send()
            if self._losses:
                self._ring[0].copy_(partial)
        give_up = time.monotonic() + timeout_seconds
        found = self.take()
        while self._transfers.labels and time.monotonic() < give_up:
            time.sleep(_POLL_SECONDS)
            found += self.take()
        return found

    def abandon(self) -> None:
        """Count what has not arrived as dropped."""
        self.dropped += sum(map(len, self._transfers.labels)) + len(self._rows)
        self._transfers.clear()
        self._rows.clear()


@final
class NoReader(ScalarReader):
    """Reads nothing: where the steps are counted, and somebody else reads their losses."""

    def _put_loss(self, loss: torch.Tensor, *, first: bool) -> None:
        pass

    def _put_norm(self, norm: torch.Tensor) -> None:
        pass

    def _close(self, row: Row) -> None:
        pass

    def take(self) -> list[Observation]:
        """Return nothing."""
        return []

    def flush(self, timeout_seconds: float) -> list[Observation]:
        """Return nothing."""
        return []

    def abandon(self) -> None:
        """Do nothing: nothing is ever under way."""


def reader_for(device: torch.device) -> ScalarReader:
    """Return the reader for losses on `device`.

    On other accelerators than CUDA the one copy in `RING_STEPS` steps waits for the device.
    """
    return HostReader() if device.type == "cpu" else DeviceReader(device)

"""Brings numbers from a device to the host without waiting for it.

One copy that does not wait goes to pinned memory, an event is recorded behind it, and the numbers are read when the
event has passed. Where there is no device they are there at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, final

import torch

__all__ = ["MAX_UNDER_WAY", "Event", "Transfers"]

#: Transfers under way at most; of a device that is further behind the oldest is given up.
MAX_UNDER_WAY = 64

L = TypeVar("L")


class Event(Protocol):
    """A mark in the work of a device, like `torch.cuda.Event`."""

    def record(self) -> None:
        """Put the mark behind all work that was given to the device so far."""

    def query(self) -> bool:
        """Whether the device has come past the mark."""


@final
class _Now:
    """The mark of a device without events: the copy before it has waited."""

    def record(self) -> None:
        """Do nothing."""

    def query(self) -> bool:
        """Return True: see the class."""
        return True


class _Sent(NamedTuple):
    label: Any
    values: torch.Tensor
    rows: int
    arrived: Event


@final
class Transfers(Generic[L]):
    """Numbers on their way to the host, each lot of them with a label.

    Args:
        shape: largest shape of a lot; one may have fewer rows.
        new_event: makes a mark on the device; None for what the device of the numbers has. dtype: of the numbers.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        new_event: Callable[[], Event] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._shape = shape
        self._dtype = dtype
        self._new_event = new_event
        self._under_way: deque[_Sent] = deque()
        self._spare: list[torch.Tensor] = []

    def send(self, values: torch.Tensor, label: L) -> L | None:
        """Send numbers of shape (rows, ...); the label of what was given up for them, None without that."""
        given_up: L | None = None
        if len(self._under_way) >= MAX_UNDER_WAY:
            oldest = self._under_way.popleft()
            given_up = oldest.label
            self._spare.append(oldest.values)  # its copy comes before the next one, in the order of the device
        is_cuda = values.device.type == "cuda"
        host = self._spare.pop() if self._spare else torch.empty(self._shape, dtype=self._dtype, pin_memory=is_cuda)
        # elsewhere a copy that does not wait is not promised to be seen by an event
        host[: len(values)].copy_(values, non_blocking=is_cuda)
        event: Event = self._new_event() if self._new_event else torch.cuda.Event() if is_cuda else _Now()
        event.record()
        self._under_way.append(_Sent(label, host, len(values), event))
        return given_up

    def take(self, due: Callable[[L], bool] | None = None) -> tuple[L, list[Any]] | None:
        """Label and numbers of the oldest lot, if it has arrived and `due` says that it is wanted; None if not."""
        if not self._under_way:
            return None
        oldest = self._under_way[0]
        if (due is not None and not due(oldest.label)) or not oldest.arrived.query():
            return None
        self._under_way.popleft()
        values = oldest.values[: oldest.rows].tolist()
        self._spare.append(oldest.values)
        return oldest.label, values

    @property
    def labels(self) -> list[L]:
        """Labels of what is under way, oldest first."""
        return [sent.label for sent in self._under_way]

    def clear(self) -> None:
        """Give up all that is under way."""
        self._under_way.clear()

"""Brings a handful of numbers from a device to the host without waiting for it.

One copy that does not wait goes to pinned memory, an event is recorded behind it, and the numbers are read when the
event has passed. Where there is no device they are there at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol, final

import torch

__all__ = ["MAX_VALUES", "Event", "Transfers"]

#: Numbers of one step at most, as many as the detector follows names.
MAX_VALUES = 32
#: Steps under way at most; the oldest is dropped, and counted.
MAX_UNDER_WAY = 64


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
    step: int
    names: tuple[str, ...]
    values: torch.Tensor
    arrived: Event


@final
class Transfers:
    """Numbers on their way to the host, by step.

    Args:
        new_event: makes a mark on the device; None for what the device of the numbers has.

    Attributes:
        dropped: steps whose numbers were given up, count.
    """

    def __init__(self, new_event: Callable[[], Event] | None = None) -> None:
        self.dropped = 0
        self._new_event = new_event
        self._under_way: deque[_Sent] = deque()
        self._spare: list[torch.Tensor] = []

    def send(self, step: int, values: Mapping[str, torch.Tensor]) -> None:
        """Send the numbers of a step, each a tensor without dimensions, the first `MAX_VALUES` of them."""
        names = tuple(values)[:MAX_VALUES]
        if not names:
            return
        if len(self._under_way) >= MAX_UNDER_WAY:
            self._spare.append(self._under_way.popleft().values)
            self.dropped += 1
        device = values[names[0]].device
        row = torch.stack([values[name].to(device, torch.float32, non_blocking=True) for name in names])
        is_cuda = device.type == "cuda"
        host = self._spare.pop() if self._spare else torch.empty(MAX_VALUES, pin_memory=is_cuda)
        # elsewhere a copy that does not wait is not promised to be seen by an event
        host[: len(names)].copy_(row, non_blocking=is_cuda)
        event: Event = self._new_event() if self._new_event else torch.cuda.Event() if is_cuda else _Now()
        event.record()
        self._under_way.append(_Sent(step, names, host, event))

    def take(self, step: int) -> tuple[int, dict[str, float]] | None:
        """The oldest numbers of a step up to `step` that have arrived, with their step; None if there are none."""
        if not self._under_way or self._under_way[0].step > step or not self._under_way[0].arrived.query():
            return None
        sent = self._under_way.popleft()
        values = dict(zip(sent.names, sent.values.tolist(), strict=False))
        self._spare.append(sent.values)
        return sent.step, values

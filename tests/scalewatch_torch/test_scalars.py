"""Losses reach the host without anybody waiting for the device."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from scalewatch.observation import Observation
from scalewatch_torch.scalars import DeviceReader, HostReader, ScalarReader, reader_for
from scalewatch_torch.transfer import MAX_UNDER_WAY
from tests.scalewatch_torch.conftest import Marks

CPU = torch.device("cpu")


class Untouchable(torch.Tensor):
    """A tensor on a device: whoever wants its value on the host would have to wait."""

    WAITS = ("item", "tolist", "cpu", "numpy", "__float__", "__bool__", "__int__", "__index__", "to")

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in cls.WAITS and isinstance(args[0], Untouchable):
            raise AssertionError(f"{func.__name__} waits for the device")
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))


def on_device(value: float) -> torch.Tensor:
    return torch.tensor(value).as_subclass(Untouchable)


def feed(reader: ScalarReader, steps: range, scale: float = 1.0) -> list[Observation]:
    found = []
    for step in steps:
        reader.add_loss(on_device(float(step)) if isinstance(reader, DeviceReader) else torch.tensor(float(step)))
        if step % 2 == 0:
            reader.set_norm(torch.tensor(10.0 * step))
        reader.close_step(step, 0.1 * step, 100.0 * step, None, scale)
        found += reader.take()
    return found


def expected(steps: range) -> list[Observation]:
    return [Observation(s, float(s), 0.1 * s, 10.0 * s if s % 2 == 0 else None, 100.0 * s, None) for s in steps]


def test_on_the_cpu_a_step_is_known_at_once() -> None:
    """One observation a step."""
    assert feed(HostReader(), range(1, 8)) == expected(range(1, 8))


def test_on_a_device_nothing_is_read_before_it_has_arrived() -> None:
    """Transfers of 4 steps; when the first has arrived its steps are told, in order."""
    marks = Marks()
    reader = DeviceReader(CPU, marks.new, ring_steps=4)

    assert feed(reader, range(1, 10)) == []
    assert marks.recorded == 2
    marks.passed = 1
    assert reader.take() == expected(range(1, 5))
    marks.passed = 2
    assert feed(reader, range(10, 11)) == expected(range(5, 9))


def test_a_device_loses_nothing_and_lags_by_two_transfers_at_most() -> None:
    """With a device that is one transfer behind."""
    marks = Marks()
    reader = DeviceReader(CPU, marks.new, ring_steps=4)
    found = []
    for step in range(1, 41):
        found += feed(reader, range(step, step + 1))
        marks.passed = marks.recorded - 1
        assert step - len(found) <= 8
    marks.passed = 99

    found += reader.flush(1.0)

    assert found == expected(range(1, 41))
    assert reader.dropped == 0


@pytest.mark.parametrize("make", [HostReader, lambda: DeviceReader(CPU)])
def test_the_loss_of_a_step_is_the_mean_of_its_batches_scaled(make: Any) -> None:
    """Three batches, each of them divided by 4 before."""
    reader = make()
    for loss in (1.0, 2.0, 6.0):
        reader.add_loss(torch.tensor([loss / 4]))
    reader.close_step(1, None, None, 1.5, 4.0)

    assert reader.flush(1.0) == [Observation(1, 3.0, None, None, None, 1.5)]


@pytest.mark.parametrize("make", [HostReader, lambda: DeviceReader(CPU)])
def test_nan_and_infinity_arrive_as_they_are(make: Any) -> None:
    """And the next step is not spoiled by them."""
    reader = make()
    for step, loss in enumerate((math.nan, math.inf, 2.0), 1):
        reader.add_loss(torch.tensor(loss))
        reader.set_norm(torch.tensor(loss))
        reader.close_step(step, None, None, None, 1.0)

    found = [(row.loss, row.grad_norm) for row in (*reader.take(), *reader.flush(1.0))]

    assert [str(pair) for pair in found] == ["(nan, nan)", "(inf, inf)", "(2.0, 2.0)"]


@pytest.mark.parametrize("make", [HostReader, lambda: DeviceReader(CPU)])
def test_a_step_without_a_loss_is_counted(make: Any) -> None:
    """And not observed; its gradient norm is not the next one's."""
    reader = make()
    reader.set_norm(torch.tensor(9.0))
    reader.close_step(1, None, None, None, 1.0)
    reader.add_loss(torch.tensor(3.0))
    reader.close_step(2, None, None, None, 1.0)

    assert reader.flush(1.0) == [Observation(2, 3.0)]
    assert reader.without_loss == 1


def test_a_flush_in_the_middle_of_a_step_keeps_what_it_has() -> None:
    """A checkpoint may be written between two batches of one step."""
    reader = DeviceReader(CPU, ring_steps=8)
    feed(reader, range(1, 4))
    reader.add_loss(torch.tensor(2.0))

    assert reader.flush(1.0) == expected(range(1, 4))
    reader.add_loss(torch.tensor(4.0))
    reader.close_step(4, None, None, None, 1.0)

    assert reader.flush(1.0) == [Observation(4, 3.0)]


def test_a_device_that_hangs_holds_nobody_and_its_steps_are_counted() -> None:
    """The flush gives up in time, and transfers do not pile up without end."""
    reader = DeviceReader(CPU, Marks().new, ring_steps=1)
    feed(reader, range(1, 101))

    assert reader.flush(0.01) == []
    assert reader.dropped == 100 - MAX_UNDER_WAY
    reader.abandon()
    assert reader.dropped == 100


def test_each_device_has_its_reader() -> None:
    """The CPU is read at once; a device without events of its own is waited for, once in 16 steps."""
    assert isinstance(reader_for(CPU), HostReader)
    assert isinstance(reader_for(torch.device("meta")), DeviceReader)


def test_a_loss_that_is_no_number_is_not_left_to_wait() -> None:
    """Whoever takes several steps together is told of it, until it is taken."""
    reader = HostReader()
    urgent = []
    for step, loss in enumerate((2.0, math.nan, 2.0), 1):
        reader.add_loss(torch.tensor(loss))
        reader.close_step(step)
        urgent.append(reader.urgent)

    assert [False, True, True] == urgent
    assert [1, 2, 3] == [each.step for each in reader.take()]
    assert not reader.urgent

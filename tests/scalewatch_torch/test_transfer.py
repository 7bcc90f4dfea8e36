"""Numbers reach the host without anybody waiting for the device."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scalewatch_torch import Precursors
from scalewatch_torch.precursors import MAX_VALUES
from scalewatch_torch.transfer import MAX_UNDER_WAY, Transfers
from tests.scalewatch_torch.conftest import Marks, Tiny, train


def test_nothing_is_read_before_it_has_arrived_and_each_once() -> None:
    """In order, and not before it is due."""
    marks = Marks()
    transfers: Transfers[int] = Transfers((2,), marks.new)
    for step in (8, 16, 24):
        transfers.send(torch.tensor([float(step)]), step)
    before = transfers.take()
    marks.passed = 3

    assert before is None
    assert [(8, [8.0]), None, (16, [16.0]), (24, [24.0]), None] == [
        transfers.take(lambda label, step=step: label <= step)  # type: ignore[misc]
        for step in (8, 15, 16, 30, 40)
    ]


def test_a_device_that_hangs_costs_a_bounded_memory() -> None:
    """The oldest are given up, and their labels returned."""
    marks = Marks()
    transfers: Transfers[int] = Transfers((1,), marks.new)

    given_up = [transfers.send(torch.tensor([float(step)]), step) for step in range(MAX_UNDER_WAY + 5)]

    marks.passed = 10**9
    assert [*[None] * MAX_UNDER_WAY, 0, 1, 2, 3, 4] == given_up
    assert (5, [5.0]) == transfers.take()


def test_samples_of_a_device_that_hangs_are_counted(model: Tiny) -> None:
    """The oldest samples are given up."""
    marks = Marks()
    precursors = Precursors(every=1)
    precursors._new_event = marks.new
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    precursors.attach(model, optimizer)

    train(model, optimizer, precursors, MAX_UNDER_WAY + 5)

    assert 5 == precursors.dropped


def test_more_values_than_there_is_room_for_are_left_out() -> None:
    """The first ones are kept."""
    net = torch.nn.ParameterList([torch.zeros(1) for _ in range(MAX_VALUES + 9)])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    precursors = Precursors(net, optimizer, every=1, group_of=lambda name: name)
    with precursors.forward(1):
        loss = sum(parameter.sum() for parameter in net)
    assert isinstance(loss, torch.Tensor)
    loss.backward()
    precursors.before_step()
    optimizer.step()

    values = precursors.read(1)

    assert values is not None
    assert [f"grad_norm/{i}" for i in range(MAX_VALUES)] == list(values)


def test_no_step_waits_for_the_device(model: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the device is behind no tensor is fetched but Adam's count of steps, which is on the host."""
    marks = Marks()
    precursors = Precursors(every=2)
    precursors._new_event = marks.new
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)  # the one that fetches nothing by itself
    precursors.attach(model, optimizer)
    waited: list[str] = []
    steps: list[int] = []

    def spied(name: str) -> Any:
        real = getattr(torch.Tensor, name)

        def spy(tensor: torch.Tensor, *args: Any) -> Any:
            if not any(tensor is state["step"] for state in optimizer.state.values()):
                waited.append(name)
            return real(tensor, *args)

        return spy

    for name in ("item", "tolist", "cpu", "numpy", "__float__", "__bool__", "__int__"):
        monkeypatch.setattr(torch.Tensor, name, spied(name))

    read = train(model, optimizer, precursors, 8, after=steps.append)

    monkeypatch.undo()
    marks.passed = 10**9
    late = [precursors.read(8) for _ in range(5)]
    assert list(range(1, 9)) == steps
    assert [] == waited
    assert [None] * 8 == read
    assert [True] * 4 + [False] == [
        bool(values and values["update_rms"] > 0 and values["attention_logit"] > 0) for values in late
    ]

"""Numbers reach the host without anybody waiting for the device."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scalewatch_torch import Precursors
from scalewatch_torch.transfer import MAX_UNDER_WAY, MAX_VALUES, Transfers
from tests.scalewatch_torch.conftest import Tiny, train


class Marks:
    """Events of a device that has come so far: the first `passed` of them."""

    def __init__(self) -> None:
        self.passed = 0
        self.recorded = 0

    def new(self) -> Any:
        marks = self

        class Mark:
            def record(self) -> None:
                marks.recorded += 1
                self.number = marks.recorded

            def query(self) -> bool:
                return self.number <= marks.passed

        return Mark()


def test_nothing_is_read_before_it_has_arrived_and_each_once() -> None:
    """In order, and not before the step that asks."""
    marks = Marks()
    transfers = Transfers(marks.new)
    for step in (8, 16, 24):
        transfers.send(step, {"a": torch.tensor(float(step))})
    before = transfers.take(100)
    marks.passed = 3

    assert before is None
    assert [(8, {"a": 8.0}), None, (16, {"a": 16.0}), (24, {"a": 24.0}), None] == [
        transfers.take(step) for step in (8, 15, 16, 30, 40)
    ]


def test_a_device_that_hangs_costs_a_bounded_memory() -> None:
    """The oldest samples are given up, and counted."""
    marks = Marks()
    transfers = Transfers(marks.new)

    for step in range(MAX_UNDER_WAY + 5):
        transfers.send(step, {"a": torch.tensor(float(step))})

    marks.passed = 10**9
    assert 5 == transfers.dropped
    assert (5, {"a": 5.0}) == transfers.take(10**9)


def test_more_values_than_there_is_room_for_are_left_out() -> None:
    """The first ones are kept."""
    transfers = Transfers()

    transfers.send(1, {str(i): torch.tensor(float(i)) for i in range(MAX_VALUES + 9)})

    taken = transfers.take(1)
    assert taken is not None
    assert [str(i) for i in range(MAX_VALUES)] == list(taken[1])


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

"""The exchange between ranks, by itself: a group of one rank is one, and its losses are known."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.distributed as dist

from scalewatch_torch.ranks import AllRanks, mean_over_ranks

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="torch without processes")


@pytest.fixture(autouse=True)
def group() -> Iterator[None]:
    """A process group of one rank, in this process."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def exchange(losses: int = 1, acts: bool = False) -> AllRanks:
    return AllRanks(torch.device("cpu"), losses=losses, acts=acts)


def test_steps_come_after_sixteen_batches_each_with_the_mean_of_its_batches() -> None:
    """A step that is under way at the exchange goes on in the next one."""
    ranks = exchange()
    (reader,) = ranks.readers()
    found = []
    for batch in range(1, 33):
        reader.add_loss(torch.tensor(float(batch)))
        if batch % 3 == 0:
            reader.set_norm(torch.tensor(0.5 * batch))
            reader.close_step(batch // 3, 0.1)
        ranks.after_batch()
        found += [(batch, row.step, row.loss, row.grad_norm) for row in reader.take()]

    assert [step for _, step, _, _ in found] == list(range(1, 11))
    assert {batch for batch, *_ in found} == {16, 32}
    assert [loss for _, _, loss, _ in found] == pytest.approx([3.0 * step - 1.0 for step in range(1, 11)])
    assert [norm for *_, norm in found] == pytest.approx([1.5 * step for step in range(1, 11)])


def test_what_is_left_comes_between_batches_and_once() -> None:
    """Nothing is exchanged where there was no batch."""
    ranks = exchange()
    (reader,) = ranks.readers()
    reader.add_loss(torch.tensor(2.0))
    reader.close_step(7)
    ranks.after_batch()

    assert reader.take() == []
    assert [ranks.between_batches(), ranks.between_batches()] == [True, False]
    assert [(row.step, row.loss) for row in reader.take()] == [(7, 2.0)]


def test_a_device_that_runs_behind_is_read_without_a_wait() -> None:
    """What arrives later comes later; what is decided holds from the next vote on."""
    ranks = exchange(acts=True)
    ranks.late = True
    (reader,) = ranks.readers()
    reader.add_loss(torch.tensor(2.0))
    reader.close_step(1)
    ranks.after_batch(now=True)

    assert [row.loss for row in reader.flush(1.0)] == [2.0]
    assert [ranks.vote((1.0,))[0], ranks.vote((0.0,))[0], ranks.vote((0.0,))[0]] == [0.0, 1.0, 0.0]


def test_each_of_several_losses_has_its_own_cells() -> None:
    """In one gather."""
    ranks = exchange(losses=2)
    for number, reader in enumerate(ranks.readers(), 1):
        reader.add_loss(torch.tensor(float(number)))
        reader.close_step(1)
    ranks.after_batch(now=True)

    assert [[row.loss for row in reader.take()] for reader in ranks.readers()] == [[1.0], [2.0]]


def test_a_rank_whose_watch_is_off_sends_nothing_and_asks_for_nothing() -> None:
    """Its exchange is the same collective."""
    ranks = exchange(acts=True)
    (reader,) = ranks.readers()
    for _ in range(64):
        if ranks.after_batch():
            ranks.vote((0.0,))

    assert reader.take() == []


def test_steps_that_nobody_exchanges_are_counted() -> None:
    """More than there are cells cost nothing but themselves."""
    (reader,) = exchange().readers()
    for step in range(1, 21):
        reader.add_loss(torch.tensor(float(step)))
        reader.close_step(step)

    assert [row.loss for row in reader.alone()] == [float(step) for step in range(1, 17)]
    reader.abandon()
    assert (reader.dropped, reader.unshared) == (4, 16)


def test_the_mean_names_no_rank_where_all_are_alike() -> None:
    """And leaves out who has nothing to show."""
    alike = np.array([3.0, 3.1, 3.05, 2.95])
    everyone = np.ones(4, dtype=bool)

    assert mean_over_ranks(alike, everyone)[1] is None
    assert mean_over_ranks(alike * [1, 1, 4, 1], everyone)[1] == pytest.approx((3.0, 3.1, 12.2, 2.95))
    assert mean_over_ranks(alike, np.array([True, False, False, False])) == (3.0, None)
    assert math.isnan(mean_over_ranks(alike * [1, 1, 1, math.nan], everyone)[0])

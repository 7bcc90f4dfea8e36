"""The learning rates to come, of a loop that steps its schedulers itself, and how a checkpoint holds them."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as lrs

from scalewatch.arrays import KnottedRates
from scalewatch.journal.records import run_from, run_record
from scalewatch.monitor import Monitor
from scalewatch.run import Run
from scalewatch_torch.lr_lookahead import Clock, Scheduled, joined, pack_rates, planned_rates, unpack_rates

STEPS = 30


def sgd() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)


@pytest.mark.parametrize("taken", [0, 7])
@pytest.mark.parametrize(
    "make",
    [
        lambda opt: lrs.CosineAnnealingLR(opt, STEPS),
        lambda opt: lrs.SequentialLR(opt, [lrs.LinearLR(opt, 0.1), lrs.ExponentialLR(opt, 0.9)], [5]),
    ],
)
def test_the_schedule_is_what_a_hand_written_loop_takes(make: Callable[[Any], Any], taken: int) -> None:
    """From the first step, and from one in the middle of the run."""
    optimizer = sgd()
    scheduler = make(optimizer)
    for _ in range(taken):
        optimizer.step()
        scheduler.step()

    ahead = planned_rates(optimizer, [Scheduled(scheduler)], STEPS - taken)

    rates = []
    for _ in range(STEPS - taken):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert ahead.rates is not None
    assert rates == ahead.rates.tolist()


def test_a_scheduler_of_epochs_is_stepped_at_their_end() -> None:
    """Two epochs of six batches, two of them a step."""
    optimizer = sgd()
    scheduler = lrs.StepLR(optimizer, 1, gamma=0.5)

    ahead = planned_rates(optimizer, [Scheduled(scheduler, "epoch")], 6, clock=Clock(0, 0, 6, 2))

    assert ahead.rates is not None
    assert [0.1, 0.1, 0.1, 0.05, 0.05, 0.05] == ahead.rates.tolist()


@pytest.mark.parametrize(
    ("scheduled", "why"),
    [
        (lambda opt: Scheduled(lrs.ReduceLROnPlateau(opt)), "by a metric"),
        (lambda opt: Scheduled(lrs.StepLR(opt, 1), "epoch"), "length of an epoch"),
        (lambda opt: Scheduled(lrs.LambdaLR(opt, lambda step: 1.0 - step)), "negative"),
    ],
)
def test_what_cannot_be_known_says_why(scheduled: Callable[[Any], Scheduled], why: str) -> None:
    """And there are no rates."""
    optimizer = sgd()

    ahead = planned_rates(optimizer, [scheduled(optimizer)], 5)

    assert ahead.rates is None
    assert why in ahead.why_not


def test_a_long_schedule_is_packed_as_knots_and_comes_back() -> None:
    """Warm-up, cosine and a jump, within 1e-5 of the peak, in a few thousand numbers."""
    steps = np.arange(1, 200_001)
    rates = np.minimum(steps / 2000, 0.5 * (1 + np.cos(np.pi * steps / 200_000)))
    rates[150_000:] *= 0.5

    packed = pack_rates(rates)

    assert len(packed["steps"]) <= 2_000
    back = unpack_rates(packed, len(rates))
    assert back is not None
    assert np.abs(back - rates).max() <= 1e-5


def test_a_short_schedule_is_packed_exactly() -> None:
    """So that a short run goes on bit for bit."""
    rates = np.random.default_rng(0).random(500)

    back = unpack_rates(pack_rates(rates), 200)

    assert back is not None
    assert back.tolist() == rates[:200].tolist()


@pytest.mark.parametrize(
    "packed",
    [
        None,
        7,
        {},
        {"steps": [1, 2], "rates": [1.0]},
        {"steps": [2, 3], "rates": [1.0, 1.0]},
        {"steps": [1, 1], "rates": [1.0, 1.0]},
        {"steps": [1, 2], "rates": [1.0, float("nan")]},
        {"steps": [1, 2], "rates": [1.0, -1.0]},
        {"steps": [1, "x"], "rates": [1.0, 1.0]},
        {"steps": [1, 2], "rates": [[1.0], [1.0]]},
        {"steps": [1, 2], "rates": [1.0, 1.0]},
    ],
)
def test_what_is_no_schedule_is_none(packed: object) -> None:
    """Also a good one that ends before step 5."""
    assert unpack_rates(packed, 5) is None


LONG = 110_000


@pytest.mark.parametrize(
    ("make", "knots"),
    [
        (lambda opt: lrs.LambdaLR(opt, lambda step: min(1.0, (step + 1) / 2_000) * (1 - step / LONG)), 400),
        (lambda opt: lrs.SequentialLR(opt, [lrs.LinearLR(opt, 0.1), lrs.ExponentialLR(opt, 0.99999)], [5]), 400),
        (lambda opt: lrs.CosineAnnealingWarmRestarts(opt, LONG // 8, 2), 2_000),
    ],
    ids=["lambda", "sequential", "restarts"],
)
def test_the_plan_of_a_long_run_is_sampled(make: Callable[[Any], Any], knots: int) -> None:
    """A jump stands at its step, and nothing is off by a ten-thousandth of the peak."""
    optimizer, walked, taken = sgd(), sgd(), 3
    scheduler, steps = make(optimizer), make(walked)
    for _ in range(taken):
        optimizer.step()
        scheduler.step()
    ahead = planned_rates(optimizer, [Scheduled(scheduler)], LONG - taken)

    assert isinstance(ahead.rates, KnottedRates)
    assert len(ahead.rates.steps) <= knots
    true = np.empty(LONG)
    for step in range(LONG):
        true[step] = walked.param_groups[0]["lr"]
        walked.step()
        steps.step()
    assert np.abs(np.asarray(ahead.rates) - true[taken:]).max() <= 2e-4 * true.max()


def test_the_plan_of_a_run_of_any_length_takes_no_memory() -> None:
    """Also the one that takes no end: a monitor of it, its journal's header and a resume in the middle."""
    optimizer = sgd()
    scheduler = lrs.LambdaLR(optimizer, lambda step: 1 / (1 + step / 1e6))
    total = 10**9
    tracemalloc.start()
    ahead = planned_rates(optimizer, [Scheduled(scheduler)], total)
    assert ahead.rates is not None
    monitor = Monitor(Run("long", total, ahead.rates))
    record = run_record(monitor.run)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 10e6
    again = run_from(record).learning_rates
    assert again is not None
    assert again[10**6] == pytest.approx(0.05, rel=1e-3)
    half = unpack_rates(pack_rates(ahead.rates), total // 2)
    assert half is not None
    assert len(joined(half, np.full(10, 0.1))) == total // 2 + 10


def test_a_scheduler_that_only_knows_its_next_step_is_unknown_where_it_is_far_to_go() -> None:
    """And the reason is said."""
    optimizer = sgd()
    chained = lrs.ChainedScheduler([lrs.ExponentialLR(optimizer, 0.99999), lrs.ConstantLR(optimizer)])

    ahead = planned_rates(optimizer, [Scheduled(chained)], 10**7)

    assert ahead.rates is None
    assert ahead.why_not.startswith("10,000,000 steps take too long to run ahead")


def test_epochs_of_a_long_run_are_sampled_too() -> None:
    """200,000 of them, of seven steps each, from the middle of the second on."""
    optimizer = sgd()
    scheduler = lrs.CosineAnnealingLR(optimizer, 200_000)
    optimizer.step()
    scheduler.step()
    ahead = planned_rates(
        optimizer, [Scheduled(scheduler, "epoch")], 1_399_990, clock=Clock(batch=3, epoch=1, batches_per_epoch=7)
    )

    assert ahead.rates is not None
    for step in (0, 3, 4, 700_000, 1_399_000):
        epoch = (step + 10) // 7
        assert ahead.rates[step] == pytest.approx(0.05 * (1 + np.cos(np.pi * epoch / 200_000)), abs=1e-5)

"""Spikes and bad batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from scalewatch.finding import Finding, Kind, Phase, Severity

Follow = Callable[..., list[Finding]]
Curve = Callable[..., NDArray[np.float64]]

#: Where the spikes stand, and how long they last [steps].
ONSETS = {5000: 5, 9000: 15, 14_000: 30}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_spikes_of_the_peers_bench_are_paged_at_their_second_row(follow: Follow, curve: Curve, seed: int) -> None:
    """+0.6 nats at loss 3.1, fading over 5, 15 and 30 steps; nothing else is paged, and each closes."""
    loss, rows = curve(seed=seed), np.arange(20_000)
    for onset, length in ONSETS.items():
        loss += np.where(rows >= onset, 0.6 * np.exp(-np.maximum(rows - onset, 0) / (length / 3)), 0.0)

    found = follow(loss)

    assert [(onset + 2, onset + 1) for onset in ONSETS] == [(f.step, f.start_step) for f in found if f.pages]
    assert 3 == sum(f.phase is Phase.CLOSED for f in found)


@pytest.mark.parametrize("seed", range(5))
def test_a_fifth_of_a_nat_for_fifteen_steps_is_found(follow: Follow, curve: Curve, seed: int) -> None:
    """On a loss of 3.1: six scales, where the 2x and 10x rules of frameworks see nothing."""
    loss = curve(6000, seed=seed)
    loss[5000:5015] += 0.2

    assert [True] == [5000 < f.step <= 5015 for f in follow(loss) if f.pages]


@pytest.mark.parametrize("height", [0.35, 0.6, 2.0, 50.0])
def test_one_high_row_is_a_bad_batch(follow: Follow, curve: Curve, height: float) -> None:
    """However high: noted as soon as the next row is normal, and nobody is woken."""
    loss = curve(1000)
    loss[700] += height

    found = follow(loss)

    assert [(Kind.BAD_BATCH, Severity.INFO, 702, 701)] == [(f.kind, f.severity, f.step, f.start_step) for f in found]
    assert found[0].evidence["excess_nats"] == pytest.approx(height, abs=0.15)


def test_one_high_row_of_a_sparse_log_is_a_spike(follow: Follow, curve: Curve) -> None:
    """Fifty steps a row: the weights have had the time to come back."""
    loss = curve(400)
    loss[300] += 0.8

    assert [(Kind.SPIKE, 15_050)] == [(f.kind, f.step) for f in follow(loss, every=50) if f.pages]


def test_a_long_spike_is_three_findings(follow: Follow, curve: Curve) -> None:
    """Opened, escalated when it has not come back for a tenth of the run, closed: not five hundred."""
    loss = curve(2000)
    loss[1000:1500] += 0.8

    found = follow(loss)

    expected = [
        (Phase.OPENED, Severity.WARNING, 1002),
        (Phase.ESCALATED, Severity.CRITICAL, 1112),
        (Phase.CLOSED, Severity.INFO, 1506),
    ]
    assert expected == [(f.phase, f.severity, f.step) for f in found]


def test_a_level_that_stays_is_taken_for_normal_in_the_end(follow: Follow, curve: Curve) -> None:
    """So that the next spike on top of it is found again."""
    loss = curve(6000)
    loss[1000:] += 0.8
    loss[5000:5020] += 0.8

    found = follow(loss)

    assert any(f.phase is Phase.CLOSED and "settled" in f.message for f in found)
    assert (Kind.SPIKE, 5002) in [(f.kind, f.step) for f in found if f.pages]


def test_two_spikes_near_each_other_are_both_found(follow: Follow, curve: Curve) -> None:
    """The first does not raise the scale by which the second is judged."""
    loss = curve(2000)
    loss[1000:1010] += 0.6
    loss[1030:1040] += 0.6

    assert [1002, 1032] == [f.step for f in follow(loss) if f.pages]


def test_many_bad_batches_do_not_hide_a_spike(follow: Follow, curve: Curve) -> None:
    """One row in twenty is odd text."""
    loss = curve(4000)
    loss[::20] += 0.5
    loss[3005:3015] += 0.5

    found = follow(loss)

    assert [3007] == [f.step for f in found if f.pages]


def test_a_spike_of_a_tiny_loss_is_not_worth_waking_someone(follow: Follow) -> None:
    """Fine-tuning at 0.001 nats, from 2: twice that is still nothing."""
    loss = np.concatenate([2.0 * np.exp(-np.arange(60) / 8), np.full(400, 0.0005)]) + 0.0005
    loss *= np.exp(np.random.default_rng(0).normal(0, 0.05, 460))
    loss[300:310] *= 1.8

    assert [] == [f for f in follow(loss) if f.pages]

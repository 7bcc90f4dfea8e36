"""Rises that stay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from scalewatch.finding import Finding, Kind, Phase, Severity

Follow = Callable[..., list[Finding]]
Curve = Callable[..., NDArray[np.float64]]

#: Steps to the first page on the slow divergence: the median is the goal, the largest what is still useful.
MEDIAN_DELAY, LARGEST_DELAY = 110, 150


def slow(curve: Curve, seed: int) -> NDArray[np.float64]:
    """A slow divergence: +0.8 nats over steps 18,000 to 20,000, cut at 18,400."""
    loss, t = curve(18_400, seed=seed), np.arange(1, 18_401)
    return loss + np.where(t > 18_000, 0.8 * (t - 18_000) / 2000, 0.0)


def test_the_slow_divergence_of_the_peers_bench_is_paged_within_110_steps(follow: Follow, curve: Curve) -> None:
    """At step 100 of the ramp the loss is up by 0.04 nats, 1.3 scales of one row."""
    delays = []
    for seed in range(1, 6):
        found = [f for f in follow(slow(curve, seed)) if f.pages]
        assert Kind.DIVERGENCE is found[0].kind
        delays.append(found[0].step - 18_000)

    assert np.median(delays) <= MEDIAN_DELAY
    assert min(delays) > 0
    assert max(delays) <= LARGEST_DELAY


def test_a_divergence_says_where_it_began(follow: Follow, curve: Curve) -> None:
    """The start is the last row at which the evidence was nil."""
    found = next(f for f in follow(slow(curve, 1)) if f.pages)

    assert 17_950 <= found.start_step <= 18_070
    assert found.evidence["excess_nats"] == pytest.approx(0.8 * (found.step - 18_000) / 2000, abs=0.03)


def test_a_divergence_that_goes_on_becomes_critical(follow: Follow, curve: Curve) -> None:
    """Once, when it has not come back; and nothing is said in between."""
    loss, t = curve(12_000), np.arange(1, 12_001)
    loss += np.where(t > 8000, np.minimum((t - 8000) / 1000, 2.0), 0.0)

    found = [f for f in follow(loss) if f.step <= 10_000]

    assert [(Phase.OPENED, Severity.WARNING), (Phase.ESCALATED, Severity.CRITICAL)] == [
        (f.phase, f.severity) for f in found
    ]


def test_a_divergence_that_comes_back_closes(follow: Follow, curve: Curve) -> None:
    """With one note."""
    loss, t = curve(6000), np.arange(1, 6001)
    loss += 0.15 * np.clip(np.minimum(t - 4000, 4300 - t) / 150, 0, 1)

    found = follow(loss)

    assert [Phase.OPENED, Phase.CLOSED] == [f.phase for f in found]
    assert 4200 <= found[1].step <= 4350


@pytest.mark.parametrize("rate", [10, 50, 300])
def test_a_run_that_explodes_at_once_is_critical(follow: Follow, rate: float) -> None:
    """Six rows at seven times the first and close to each other are enough, even if they are the first after it."""
    found = follow([9.3, *(each * rate for each in (9.3, 8.0, 9.0, 7.0, 8.1, 7.7, 8.0, 9.1))], every=20)

    assert [(Kind.DIVERGENCE, Severity.CRITICAL, 140)] == [(f.kind, f.severity, f.step) for f in found]


def test_a_run_that_explodes_after_three_rows_is_lost(follow: Follow) -> None:
    """Eleven rows in all: each of the last eight is far above each of the first three."""
    found = follow([1.9, 1.6, 1.41, 3.3, 6.4, 5.5, 4.85, 4.87, 4.6, 4.5, 4.45], every=25)

    assert [(Kind.DIVERGENCE, Severity.CRITICAL, 100)] == [(f.kind, f.severity, f.start_step) for f in found]


def test_one_low_row_at_the_start_marks_nothing_lost(follow: Follow, curve: Curve) -> None:
    """A first row at .3 of the level is an odd row."""
    loss = curve(2000)
    loss[0] *= 0.3

    assert [] == [f for f in follow(loss) if f.pages]
    assert [] == [f for f in follow(loss, every=50) if f.pages]


def test_a_first_row_below_the_second_raises_nothing(follow: Follow) -> None:
    """Some runs rise for one row before they fall."""
    assert [] == follow([9.3, 14.5, 6.0, 5.8, 5.5, 5.2, 5.0, 5.0, 4.9, 4.6, 4.4, 4.3, 4.2, 4.1], every=20)


def test_a_divergence_in_a_log_of_thirty_rows_is_found(follow: Follow) -> None:
    """One row every two hundred steps, scatter of 1 %, up by 10 % over its last ten rows."""
    t = np.arange(1, 31)
    loss = (9.0 * t**-0.3 + 3.0) * np.exp(np.random.default_rng(2).normal(0, 0.01, 30))
    loss *= 1 + 0.10 * np.clip((t - 20) / 8, 0, 1)
    loss[20:] *= (9.0 * 20**-0.3 + 3.0) / (9.0 * t[20:] ** -0.3 + 3.0)

    found = [f for f in follow(loss, every=200) if f.pages]

    assert found
    assert found[0].step > 4000


def test_growing_swings_do_not_excuse_a_rise(follow: Follow) -> None:
    """Noise that grows together with the loss is a sign of instability, not a reason to wait."""
    random, t = np.random.default_rng(4), np.arange(1, 61)
    loss = (5.0 * t**-0.5 + 4.0) * np.exp(random.normal(0, 0.006, 60))
    loss[30:] *= np.exp(0.08 + random.normal(0, 0.05, 30))

    assert [f for f in follow(loss, every=20) if f.pages]

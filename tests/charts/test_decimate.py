"""Few points, and every spike among them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scalewatch.charts import envelope
from scalewatch.charts.decimate import cut

ROWS = 1_000_000

logs = st.integers(1, 400).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.float64, n, elements=st.floats(-10, 1e9) | st.just(math.nan)),
        hnp.arrays(np.float64, n, elements=st.floats(-1e30, 1e30) | st.sampled_from([math.nan, math.inf])),
    )
)


@given(logs, st.integers(1, 50), st.booleans())
def test_an_envelope_is_short_in_order_and_holds_all_that_is_finite(
    log: tuple[np.ndarray, np.ndarray],
    stretches: int,
    log_steps: bool,  # type: ignore[type-arg]
) -> None:
    """At most so many stretches, rising; least below mean below greatest; the extremes are those of the log."""
    steps, values = log
    keep = np.isfinite(steps) & np.isfinite(values) & (steps > 0)
    few = envelope(steps, values, stretches, log_steps=log_steps)

    assert len(few.steps) <= stretches
    assert bool(np.all(np.diff(few.steps) > 0))
    slack = 1e-9 * np.maximum(np.abs(few.low), np.abs(few.high))
    assert bool(np.all((few.low - slack <= few.mean) & (few.mean <= few.high + slack)))
    assert (len(few.steps) > 0) == bool(keep.any())
    if keep.any():
        assert (values[keep].min(), values[keep].max()) == (few.low.min(), few.high.max())


@pytest.mark.parametrize("log_steps", [True, False])
@pytest.mark.parametrize("at", [1, 17, 500_000, ROWS - 1])
def test_one_step_in_a_million_is_in_it(at: int, log_steps: bool) -> None:
    """A sample of every n-th point would lose it."""
    losses = np.full(ROWS, 3.0)
    losses[at] = 9.0
    few = envelope(np.arange(1, ROWS + 1), losses, log_steps=log_steps)

    assert len(few.steps) <= 600
    assert 9.0 == few.high.max()
    assert 3.0 == few.low.min() == np.median(few.high)


def test_the_mean_of_the_stretches_is_that_of_the_rows() -> None:
    """No row counts twice and none is lost."""
    losses = np.random.default_rng(0).normal(3.0, 0.1, 6_000)
    few = envelope(np.arange(1, 6_001), losses, 600)

    assert pytest.approx(losses.reshape(600, 10).mean(axis=1), abs=0.05) == few.mean
    assert pytest.approx(losses.mean(), abs=1e-3) == few.mean.mean()


def test_a_log_out_of_order_is_put_in_order() -> None:
    """A resumed run logs some steps twice."""
    few = envelope([5, 1, 3, 1], [1.0, 2.0, 3.0, 4.0], 5)

    assert ([1.0, 3.0, 5.0], [3.0, 3.0, 1.0], [2.0, 3.0, 1.0], [4.0, 3.0, 1.0]) == (
        few.steps.tolist(),
        few.mean.tolist(),
        few.low.tolist(),
        few.high.tolist(),
    )


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf, -math.inf]])
def test_nothing_to_draw_is_an_empty_envelope(values: list[float]) -> None:
    """Not an error: the chart says it."""
    assert [0] * 4 == [len(column) for column in envelope(np.arange(1, len(values) + 1), values)]


@given(logs, st.integers(1, 50), st.booleans(), st.floats(0, 1), st.floats(0, 1))
def test_a_cut_holds_every_row_of_its_window_once_and_their_extremes(
    log: tuple[np.ndarray, np.ndarray],
    stretches: int,
    is_log: bool,
    one: float,
    other: float,  # type: ignore[type-arg]
) -> None:
    """As many stretches as asked for, rising; what is not finite is counted and in no mean."""
    x = np.sort(np.nan_to_num(np.abs(log[0]))) + 1.0
    low, high = sorted((x[0] + one * (x[-1] - x[0]), x[0] + other * (x[-1] - x[0])))
    inside = log[1][(x >= low) & (x <= high)]
    taken = cut(x, low, high, log=is_log, stretches=stretches)
    few, fine = taken.of(log[1]), np.isfinite(inside)

    assert len(taken.x) <= max(stretches, 1)
    assert taken.rows.sum() == len(inside)
    assert bool(np.all(np.diff(taken.x) >= 0))
    assert bool(np.all(taken.rows > 0))
    if fine.any():
        assert (inside[fine].min(), inside[fine].max()) == (np.nanmin(few.low), np.nanmax(few.high))
    assert taken.missing(log[1]).sum() == (~fine).sum()

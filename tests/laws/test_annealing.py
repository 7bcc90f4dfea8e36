"""S and D of the annealing law are those of the paper, however a schedule is cut up."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalewatch.laws import AnnealingState, schedule_features
from tests.synthetic import Floats, constant, cosine, walk_and_decay, wsd

#: Rounding of some hundred additions of numbers of order one, and of powers taken in two ways.
ROUNDING = 1e-9

rates = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=80).filter(lambda r: max(r) > 1e-3)
memories = st.sampled_from([1.0, 1.5, 7.0, 100.0, 5_000.0])


def after(plan: list[float] | Floats, memory: float) -> AnnealingState:
    state = AnnealingState([memory])
    state.advance(plan)
    return state


@given(rates, memories)
def test_s_and_d_are_the_recursion_of_tissue(plan: list[float], memory: float) -> None:
    """Closed forms over a stretch give what m(i) = lam m(i-1) + drop(i), summed step by step, gives."""
    walked, decayed = walk_and_decay(plan, memory)
    state = after(plan, memory)

    assert pytest.approx(walked[-1], abs=ROUNDING) == state.walked / state.peak
    assert pytest.approx(decayed[-1], abs=ROUNDING) == state.annealed[0] / state.peak


@given(rates, memories, st.lists(st.integers(0, 80), max_size=5))
def test_a_schedule_in_pieces_is_the_schedule_in_one(plan: list[float], memory: float, cuts: list[int]) -> None:
    """Where the stretches end makes no difference, empty ones included."""
    whole, pieces = after(plan, memory), AnnealingState([memory])
    edges = [0, *sorted(min(cut, len(plan)) for cut in cuts), len(plan)]
    for start, end in pairwise(edges):
        pieces.advance(plan[start:end])

    assert pytest.approx(whole.walked, abs=ROUNDING) == pieces.walked
    assert pytest.approx(whole.annealed, abs=ROUNDING) == pieces.annealed
    assert pytest.approx(whole.momentum, abs=ROUNDING) == pieces.momentum
    assert (whole.rate, whole.peak) == (pieces.rate, pieces.peak)


@given(rates, memories, st.integers(1, 400), st.floats(0.0, 1.0))
def test_a_ramp_is_the_linear_rates_that_it_stands_for(
    plan: list[float], memory: float, steps: int, share: float
) -> None:
    """A gap between two rows of a sparse log, in closed form, is the straight line between their rates."""
    ramped, walked = after(plan, memory), after(plan, memory)
    start, end = walked.rate, share * walked.peak

    ramped.ramp(steps, end)
    walked.advance(start + (end - start) * np.arange(1, steps + 1) / steps)

    assert pytest.approx(walked.walked, rel=1e-9, abs=1e-9) == ramped.walked
    assert pytest.approx(walked.annealed, rel=1e-6, abs=1e-9 * steps) == ramped.annealed
    assert pytest.approx(walked.momentum, rel=1e-6, abs=1e-9 * steps) == ramped.momentum


def test_a_warm_up_decays_nothing() -> None:
    """A rate that only rises has D = 0: the warm-up is no negative decay."""
    state = after(np.linspace(0.0, 1.0, 50), 10.0)

    assert [0.0] == state.annealed


def test_a_ramp_that_rises_above_the_peak_decays_nothing() -> None:
    """The warm-up of a sparse log is warm-up."""
    state = AnnealingState([10.0])
    state.ramp(50, 1.0)
    state.ramp(50, 2.0)

    assert ([0.0], 2.0) == (state.annealed, state.peak)


def test_a_full_decay_reaches_one() -> None:
    """Once the rate is gone and the memory has passed, all of it counts as decayed."""
    state = after(np.concatenate([np.ones(100), np.zeros(400)]), 20.0)

    assert pytest.approx([1.0], abs=1e-6) == state.annealed


def test_a_rate_that_comes_back_undoes_its_decay() -> None:
    """A restart of the schedule takes back what its decay gained."""
    state = after(np.concatenate([np.ones(100), np.full(400, 0.1), np.full(400, 1.0)]), 20.0)

    assert pytest.approx([0.0], abs=1e-6) == state.annealed


def test_a_copy_walks_on_alone() -> None:
    """Walking a plan ahead does not move the state that it is copied from."""
    state = after([1.0, 0.5], 5.0)
    twin = state.copy()
    twin.advance([0.25] * 10)
    twin.ramp(5, 0.0)

    assert (1.5, 0.5, [after([1.0, 0.5], 5.0).annealed[0]]) == (state.walked, state.rate, state.annealed)


@pytest.mark.parametrize("shape", [cosine, constant, wsd])
@pytest.mark.parametrize("total", [10, 997, 20_011])
def test_a_tabulated_plan_is_exact_to_a_ten_thousandth(shape: Callable[[int], Floats], total: int) -> None:
    """Between its knots the table is as good as the step-by-step sum: to 1e-4 of the walk, and of a full decay."""
    plan = shape(total)
    memory = max(0.01 * total, 5.0)
    walked, decayed = walk_and_decay(plan, memory)
    features = schedule_features(plan, [memory])
    table_walked, table_decayed = features.at(np.arange(1, total + 1))

    assert np.abs(table_walked - walked).max() <= 1e-4 * walked[-1]
    assert np.abs(table_decayed[:, 0] - decayed).max() <= 1e-4


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-12, 1.0, 1e12, 1e308])
def test_the_unit_of_the_learning_rate_does_not_matter(scale: float) -> None:
    """S and D are in units of the peak, for any peak that a float can hold."""
    shape = np.array([0.0, 1.0, 1.0, 0.0])
    walked, decayed = schedule_features(shape * scale, [2.0]).at([4])

    assert ([2.0], [[0.5]]) == (walked.tolist(), decayed.tolist())


def test_the_warm_up_ends_where_the_peak_is_reached() -> None:
    """Twenty steps up are twenty steps of warm-up."""
    assert 20 == schedule_features(cosine(1_000, warmup=20), [10.0]).warmup_steps


@settings(max_examples=30)
@given(rates, memories)
def test_the_table_never_leaves_what_s_and_d_can_be(plan: list[float], memory: float) -> None:
    """S rises from 0 with the steps and never exceeds them; D is at most 1."""
    features = schedule_features(plan, [memory])

    assert 0.0 == features.walked[0]
    assert bool(np.all(np.diff(features.walked) >= 0.0))
    assert bool(np.all(features.walked <= features.steps + ROUNDING))
    assert bool(np.all(np.abs(features.annealed) <= 1.0 + ROUNDING))


def test_a_plan_of_a_million_steps_is_tabulated_at_once() -> None:
    """Well under a second of CPU, in a table that does not grow with the plan."""
    plan = cosine(1_000_000, warmup=2_000)

    began = time.process_time()
    features = schedule_features(plan, [3e3, 1.5e4, 6e4, 2e5])
    spent = time.process_time() - began

    assert len(features.steps) <= 4_096
    assert spent < 2.0

"""Kaplan's relations, their unit values, and both allocations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from scalewatch.errors import ConfigError
from scalewatch.laws import kaplan as constants
from scalewatch.laws.kaplan import Kaplan
from scalewatch.laws.size import PF_DAY_FLOPS, SizeKind, non_embedding, total

LAW = Kaplan()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (LAW.loss_of_size(non_embedding(1.5e9)), 2.3036),
        (LAW.loss_of_tokens(22e9), 2.0992),
        (LAW.loss_of_min_flops(PF_DAY_FLOPS), 2.6581),
        (LAW.loss(non_embedding(1e9), 1e10), 2.4197),
        (LAW.min_compute_exponent, 0.0520),
        (LAW.critical_batch(3.0) / 1e6, 1.069),
    ],
)
def test_unit_values_are_those_of_the_paper(value: float, expected: float) -> None:
    """Values of the laws of Kaplan et al. (2020, arXiv 2001.08361), to a thousandth."""
    assert pytest.approx(expected, abs=1e-3) == float(value)


def test_the_theoretical_exponents_follow_from_the_others() -> None:
    """N 0.684, B 0.248, S 0.068, D 0.316, and N and D share the budget."""
    size, batch, steps, tokens = LAW.theoretical_exponents

    assert (0.684, 0.248, 0.068, 0.316) == pytest.approx((size, batch, steps, tokens), abs=5e-4)
    assert pytest.approx(1.0) == size + tokens


def test_the_empirical_allocation_is_the_one_read_off_the_runs() -> None:
    """At one PF-day 1.3e9 parameters and 2e10 tokens; ten times the compute wants 5.4 and 1.9 times that."""
    one, ten = LAW.empirical_allocation(PF_DAY_FLOPS), LAW.empirical_allocation(10 * PF_DAY_FLOPS)

    assert non_embedding(1.3e9) == one.size
    assert pytest.approx(5.37, abs=0.01) == float(ten.size.count / one.size.count)
    assert pytest.approx(1.86, abs=0.01) == float(ten.tokens / one.tokens)
    assert "empirical" == one.label


@given(days=st.floats(1e-4, 1e4))
def test_the_theoretical_allocation_is_the_numerical_optimum(days: float) -> None:
    """No size at the same Cmin = 6 N Bcrit Smin has less L(N, Smin)."""
    found = LAW.theoretical_allocation(days * PF_DAY_FLOPS)
    loss = float(LAW.loss_of_steps(found.size, found.steps))

    def cost(log_size: float) -> float:
        # the compute that a size takes to the same loss: least at the optimum
        of_size = (constants.STEPS_SIZE_SCALE / math.exp(log_size)) ** constants.STEPS_SIZE_EXPONENT
        if of_size >= loss:
            return 1e3
        steps = constants.STEPS_SCALE * (loss - of_size) ** (-1 / constants.STEPS_EXPONENT)
        return log_size + math.log(6 * steps * float(LAW.critical_batch(loss)))

    here = math.log(float(found.size.count))
    best = minimize_scalar(cost, bounds=(here - 2, here + 3), method="bounded", options={"xatol": 1e-8})

    assert pytest.approx(math.log(days * PF_DAY_FLOPS), abs=1e-9) == cost(here)
    assert pytest.approx(best.fun, abs=1e-7) == cost(here)
    assert "theoretical" == found.label


def test_the_two_allocations_are_labelled_and_differ() -> None:
    """0.73 was read off the runs, 0.68 follows from the fits: a user has to see which is which."""
    empirical, theoretical = LAW.empirical_allocation(1e21), LAW.theoretical_allocation(1e21)

    assert empirical.exponents[0] == 0.73
    assert 0.67 < theoretical.exponents[0] < 0.69
    assert float(empirical.size.count) > float(theoretical.size.count)


@given(steps=st.floats(1e3, 1e6), batch=st.floats(1e4, 1e8), loss=st.floats(1.8, 6.0), size=st.floats(1e5, 1e9))
def test_time_and_compute_trade_along_a_hyperbola(steps: float, batch: float, loss: float, size: float) -> None:
    """(S/Smin - 1)(E/Emin - 1) = 1, Bcrit = Emin/Smin, and Cmin = 6 N Emin."""
    tokens = steps * batch
    least_steps, least_tokens = float(LAW.min_steps(steps, batch, loss)), float(LAW.min_tokens(tokens, batch, loss))

    assert pytest.approx(1.0, rel=1e-6) == (steps / least_steps - 1) * (tokens / least_tokens - 1)
    assert pytest.approx(float(LAW.critical_batch(loss))) == least_tokens / least_steps
    assert pytest.approx(6 * size * least_tokens) == float(LAW.min_flops(6 * size * tokens, batch, loss))


def test_the_critical_batch_doubles_for_thirteen_percent_less_loss() -> None:
    """2^-0.21 = 0.865."""
    ratio = float(LAW.critical_batch(3.0 * 2**-0.21) / LAW.critical_batch(3.0))

    assert pytest.approx(2.0) == ratio


@given(size=st.floats(1e4, 1e11), tokens=st.floats(1e7, 1e13), more=st.floats(1.01, 50.0))
def test_more_of_anything_lowers_the_loss(size: float, tokens: float, more: float) -> None:
    """Every relation falls in its variable, and L(N, D) tends to a law of one variable."""
    here = non_embedding(size)

    assert LAW.loss(non_embedding(size * more), tokens) < LAW.loss(here, tokens)
    assert LAW.loss(here, tokens * more) < LAW.loss(here, tokens)
    assert LAW.loss_of_size(non_embedding(size * more)) < LAW.loss_of_size(here)
    assert LAW.loss_of_tokens(tokens * more) < LAW.loss_of_tokens(tokens)
    assert LAW.loss_of_flops(tokens * more) < LAW.loss_of_flops(tokens)
    assert LAW.loss_of_steps(here, tokens * more) < LAW.loss_of_steps(here, tokens)


def test_endless_data_leave_the_law_of_size() -> None:
    """L(N, D) for D without end is (Nc/N)^aN with the constants of that fit."""
    size = non_embedding(1e8)

    assert pytest.approx((6.4e13 / 1e8) ** 0.076, rel=1e-4) == float(LAW.loss(size, 1e30))


def test_a_total_count_is_refused_by_every_relation_that_takes_a_size() -> None:
    """Kaplan's N has no embeddings."""
    for call in (
        lambda: LAW.loss_of_size(total(1e9)),
        lambda: LAW.loss(total(1e9), 1e10),
        lambda: LAW.loss_of_steps(total(1e9), 1e4),
        lambda: LAW.tokens_without_overfitting(total(1e9)),
    ):
        with pytest.raises(ConfigError, match="counts non-embedding parameters; got total"):
            call()


@pytest.mark.parametrize("value", [0.0, -3.0, math.nan, math.inf])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    """Zero or negative loss, compute or tokens end in an error."""
    for call in (LAW.critical_batch, LAW.loss_of_tokens, LAW.loss_of_min_flops, LAW.empirical_allocation):
        with pytest.raises(ConfigError):
            call(value)


def test_beyond_its_runs_the_law_says_so() -> None:
    """Larger models, more data, and compute past the crossing each have their sentence."""
    notes = LAW.range_notes(size=non_embedding(1e12), tokens=1e13, flops=1e5 * PF_DAY_FLOPS)

    assert 3 == len(notes)
    assert () == LAW.range_notes(size=non_embedding(1e8), tokens=1e9, flops=PF_DAY_FLOPS)


def test_a_budget_in_the_wrong_unit_is_refused() -> None:
    """A budget given in PF-days is no model in FLOP."""
    with pytest.raises(ConfigError, match="in FLOP"):
        LAW.empirical_allocation(1.0)


def test_tokens_without_overfitting_follow_the_rule() -> None:
    """5e3 N^0.74, and an allocation is non-embedding throughout."""
    assert pytest.approx(5e3 * 1e9**0.74) == float(LAW.tokens_without_overfitting(non_embedding(1e9)))
    assert LAW.theoretical_allocation(np.array([1e20, 1e21])).size.kind is SizeKind.NON_EMBEDDING

"""Hutter's learning curves: closed form, simulation, and the exponent of a corpus from its counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import zeta

from scalewatch.errors import ConfigError, FitError
from scalewatch.laws.learning_curve_theory import ZipfCurve, fit_zipf_tail


@given(st.floats(0.05, 10))
def test_the_exponent_lies_between_zero_and_one(alpha: float) -> None:
    """beta = alpha / (1 + alpha): a heavy tail learns slowly, and none faster than 1/n."""
    assert 0 < ZipfCurve(alpha).exponent < 1
    assert alpha / (1 + alpha) == pytest.approx(ZipfCurve(alpha).exponent)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_the_error_is_the_sum_written_out(alpha: float) -> None:
    """sum of p (1 - p)^n over three million features, the rest by its integral."""
    ranks = np.arange(1.0, 3e6)
    p = ranks ** -(1 + alpha) / zeta(1 + alpha)
    rest = 3e6**-alpha / alpha / zeta(1 + alpha)

    for n in (1, 10, 1_000):
        assert float(np.sum(p * np.exp(n * np.log1p(-p)))) + rest == pytest.approx(ZipfCurve(alpha).error(n), rel=1e-4)


@pytest.mark.parametrize("alpha", [0.3, 1.0, 3.0])
def test_the_curve_tends_to_its_power_law(alpha: float) -> None:
    """At 1e7 samples the closed form is exact to a thousandth, and the local exponent is beta."""
    curve = ZipfCurve(alpha)
    low, high = curve.error([1e7, 1.01e7])

    assert curve.asymptote(1e7) == pytest.approx(low, rel=1e-3)
    assert curve.exponent == pytest.approx(-np.log(high / low) / np.log(1.01), rel=1e-3)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_learners_that_are_drawn_err_as_often(alpha: float) -> None:
    """A simulation of 40 learners agrees within four standard errors."""
    curve, samples = ZipfCurve(alpha), [10, 100, 1_000, 10_000]
    mean, error = curve.simulate(samples, repeats=40, seed=1)

    assert np.all(np.abs(mean - curve.error(samples)) < 4 * error)


@pytest.mark.parametrize("alpha", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("least", [1, 2, 10])
def test_the_tail_is_recovered_from_counts(alpha: float, least: int) -> None:
    """From 300,000 draws, within three of its own standard errors, whichever rare types are left out."""
    draws = np.random.default_rng(7).zipf(1 + alpha, 300_000)
    found = fit_zipf_tail(np.unique(draws, return_counts=True)[1], least)

    assert alpha == pytest.approx(found.alpha, abs=3 * found.alpha_sd)
    assert alpha / (1 + alpha) == pytest.approx(found.exponent, abs=3 * found.exponent_sd)


def test_the_standard_error_is_honest() -> None:
    """Over 40 corpora the deviations have a sd of about one standard error."""
    z = []
    for seed in range(40):
        counts = np.unique(np.random.default_rng(seed).zipf(1.4, 50_000), return_counts=True)[1]
        found = fit_zipf_tail(counts)
        z.append((found.alpha - 0.4) / found.alpha_sd)

    assert 0.3 < np.std(z) < 1.4
    assert abs(np.mean(z)) < 0.6


def test_a_tail_that_does_not_sum_up_says_so() -> None:
    """A Zipf exponent below 1 over a large vocabulary: no exponent for endless features."""
    p = np.arange(1, 500_001) ** -0.9
    found = fit_zipf_tail(np.random.default_rng(0).poisson(3e5 * p / p.sum()))

    assert found.alpha < 0.05
    assert any("not clearly above 1" in note for note in found.notes)


def test_a_vocabulary_that_was_seen_whole_says_so() -> None:
    """Every one of 20,000 types occurs some seventy times: there is no tail left."""
    found = fit_zipf_tail(np.random.default_rng(0).poisson(2e6 / np.arange(1, 20_001)))

    assert any("no tail left" in note for note in found.notes)


def test_counts_of_no_zipf_tail_say_so() -> None:
    """A thousand types all seen five times."""
    assert any("not those of a Zipf tail" in note for note in fit_zipf_tail(np.full(1_000, 5)).notes)


def test_a_vocabulary_that_bends_says_so() -> None:
    """Common types with one exponent, rare ones with another."""
    ranks = np.arange(1.0, 40_001)
    p = np.where(ranks < 2_000, ranks**-1.1, 2_000.0**1.4 * ranks**-2.5)
    found = fit_zipf_tail(np.random.default_rng(0).poisson(3e5 * p))

    assert any("bends" in note for note in found.notes)


@pytest.mark.parametrize("counts", [[], [[1.0]], [-1.0, 2.0], [np.nan] * 100, np.ones(1_000), np.arange(10)])
def test_counts_that_are_none_are_refused(counts: list[float]) -> None:
    """Empty, negative, not finite, all hapaxes, or too few."""
    with pytest.raises(FitError):
        fit_zipf_tail(counts)


@pytest.mark.parametrize("alpha", [0.0, -1.0, np.nan, 1e3])
def test_an_alpha_out_of_range_is_refused(alpha: float) -> None:
    """A tail of exponent 1 or below has no probabilities."""
    with pytest.raises(ConfigError):
        ZipfCurve(alpha)


def test_simulations_need_two_learners_and_some_samples() -> None:
    """One has no standard error, and more than 1e7 samples do not fit."""
    with pytest.raises(ConfigError, match="repeats"):
        ZipfCurve(1.0).simulate([10], repeats=1)
    with pytest.raises(ConfigError, match="samples"):
        ZipfCurve(1.0).simulate([1e9])

"""Fits of broken laws: recovery, and every reason not to believe a break."""

from __future__ import annotations

import numpy as np
import pytest

from scalewatch.errors import FitError
from scalewatch.fitting.broken import BrokenFit, fit_broken
from scalewatch.fitting.status import FitStatus
from scalewatch.laws.broken import Break, BrokenLaw, Scaling

X = np.geomspace(1e6, 1e10, 20)
PLAIN = BrokenLaw(0.5, 20.0, 0.2)
U = BrokenLaw(0.1, 800.0, 0.4, (Break(-0.9, 1e8, 0.3),))
CLIFF = BrokenLaw(0.02, 2.0, 0.02, (Break(0.6, 1e8, 0.1),))


def noisy(law: BrokenLaw, x: np.ndarray = X, noise: float = 0.01, seed: int = 0) -> np.ndarray:
    """Points on a law, ln(y) scattered by `noise`."""
    return law.values(x) * np.exp(noise * np.random.default_rng(seed).standard_normal(len(x)))


@pytest.fixture(scope="module")
def cliff() -> BrokenFit:
    """A fit of points on both sides of a sharp fall."""
    return fit_broken(X, noisy(CLIFF))


def test_a_break_is_recovered(cliff: BrokenFit) -> None:
    """Its place within a tenth, both exponents, and a clean status."""
    (found,) = cliff.law.breaks

    assert 1e8 == pytest.approx(found.place, rel=0.1)
    assert (0.02, 0.6) == (pytest.approx(cliff.law.exponent, abs=0.02), pytest.approx(found.change, abs=0.1))
    assert (FitStatus.OK,) == cliff.statuses
    assert cliff.trusted


def test_a_u_is_recovered_and_not_extrapolated() -> None:
    """The turn is found, and the fit says not to trust a direction beyond the data."""
    fit = fit_broken(X, noisy(U))

    assert Scaling.U_SHAPED is fit.scaling
    assert U.values(X) == pytest.approx(fit.law.values(X), rel=0.03)
    assert FitStatus.NOT_MONOTONE in fit.statuses
    assert not fit.trusted


def test_inverse_scaling_is_a_shape_like_any_other() -> None:
    """A metric that gets worse with size: a negative exponent, no break."""
    fit = fit_broken(X, noisy(BrokenLaw(0.0, 0.01, -0.2)), breaks=0)

    assert Scaling.RISES is fit.scaling
    assert -0.2 == pytest.approx(fit.law.exponent, abs=0.03)


def test_two_breaks_are_recovered() -> None:
    """Double descent: both places within a fifth."""
    law = BrokenLaw(0.0, 1e2, 0.3, (Break(-0.5, 3e7, 0.2), Break(0.8, 6e8, 0.2)))
    x = np.geomspace(1e6, 1e10, 24)
    fit = fit_broken(x, noisy(law, x, 0.002), breaks=2)

    assert [3e7, 6e8] == pytest.approx([b.place for b in fit.law.breaks], rel=0.2)
    assert Scaling.WAVY is fit.scaling


def test_a_break_that_is_not_there_is_called_not_needed() -> None:
    """On a plain power law the break buys nothing, at either of two seeds."""
    for seed in range(2):
        assert FitStatus.BREAK_NOT_NEEDED in fit_broken(X, noisy(PLAIN, seed=seed)).statuses


def test_a_break_without_points_past_it_is_not_trusted() -> None:
    """All points lie before the fall, but for one: only trust it with points past it."""
    x = np.append(np.geomspace(1e5, 9e7, 15), 1.3e8)
    fit = fit_broken(x, noisy(BrokenLaw(0.0, 2.0, 0.05, (Break(2.0, 1e8, 0.05),)), x, 0.003))

    assert FitStatus.NO_POINT_PAST_BREAK in fit.statuses
    assert not fit.trusted
    assert any("Do not plan" in note for note in fit.range_notes(2e8))


def test_a_far_prediction_says_so(cliff: BrokenFit) -> None:
    """Inside nothing, past the end a warning, far past it an advice."""
    assert () == cliff.range_notes(1e9)
    assert 1 == len(cliff.range_notes(2e10))
    assert "Do not plan" in cliff.range_notes(1e12)[1]
    assert "below" in cliff.range_notes(1e5)[0]


def test_the_unit_of_x_does_not_change_the_fit(cliff: BrokenFit) -> None:
    """Places are converted, values agree."""
    other = fit_broken(X * 6e-9, noisy(CLIFF))

    assert cliff.law.values(X) == pytest.approx(other.law.values(X * 6e-9), rel=1e-3)


def test_one_bad_point_does_not_move_the_break() -> None:
    """A run that diverged pulls only linearly."""
    y = noisy(CLIFF)
    y[5] *= 1.5
    (found,) = fit_broken(X, y).law.breaks

    assert 1e8 == pytest.approx(found.place, rel=0.2)


def test_few_points_are_said_to_be_few() -> None:
    """Eight points for six constants fit, and say so."""
    x = np.geomspace(1e6, 1e10, 8)

    assert FitStatus.FEW_POINTS in fit_broken(x, noisy(CLIFF, x, 0.002)).statuses


@pytest.mark.parametrize(
    ("x", "y", "breaks", "says"),
    [
        (np.geomspace(1, 10, 6), np.ones(6), 1, "6 constants"),
        (np.full(9, 5.0), np.ones(9), 0, "different x"),
        (np.linspace(1, 1.5, 9), np.ones(9), 0, "factor of two"),
        (np.geomspace(1, 10, 9), np.zeros(9), 0, "error rate"),
        (np.geomspace(1, 10, 9), np.full(9, np.nan), 0, "finite"),
        (np.geomspace(1, 10, 9), np.ones(8), 0, "shape"),
        (np.geomspace(1, 10, 9), np.ones(9), 3, "breaks"),
    ],
)
def test_points_that_carry_no_break_are_refused(x: np.ndarray, y: np.ndarray, breaks: int, says: str) -> None:
    """Too few, at one place, too close together, or no numbers; the message says what to do."""
    with pytest.raises(FitError, match=says):
        fit_broken(x, y, breaks)

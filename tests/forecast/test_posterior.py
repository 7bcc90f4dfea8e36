"""The update of (P, A) is the textbook one, and a mixture's quantiles are those of its sample."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalewatch.forecast.mixture import _NODES, Mixture, WeightedPoints
from scalewatch.forecast.posterior import MISFIT_GROWTH, LawPosterior, posteriors
from scalewatch.forecast.shape_prior import MISFIT, Asked, ShapePrior
from tests.synthetic import Floats

WALKED = np.geomspace(0.05, 0.5, 40)
NOISE = np.full(40, 0.002)
END = np.array([0.9])


def prior(alphas: list[float], end_loss: tuple[float, float] | None = (2.0, 0.5)) -> ShapePrior:
    """A prior of some exponents, one ratio and one memory."""
    return ShapePrior(
        alphas=np.array(alphas),
        ratios=np.array([0.4]),
        gains=np.array([0.0]),
        memories=np.array([10.0]),
        log_weights=np.zeros((len(alphas), 1, 1)),
        end_loss=end_loss,
        remaining=(0.3, 0.2),
    )


def curve(alpha: float, end_loss: float = 2.2, remaining: float = 0.35) -> Floats:
    """The law's losses at constant rate; at the end D is 0.9."""
    return end_loss + remaining * (WALKED**-alpha - (1.0 - 0.4 * 0.9))


def update(of: ShapePrior, losses: Floats) -> LawPosterior:
    count = len(losses)
    asked = [Asked(of, 1.0, END)]
    return posteriors(asked, WALKED[:count], np.zeros((count, 1)), losses, NOISE[:count])[0]


@settings(max_examples=30)
@given(st.floats(0.2, 1.0), st.integers(0, 1000))
def test_it_is_the_least_squares_fit_with_its_prior(alpha: float, seed: int) -> None:
    """Means and covariance are those of a dense weighted regression with two more rows for the prior."""
    losses = curve(alpha) * np.exp(0.002 * np.random.default_rng(seed).standard_normal(40))
    told = update(prior([0.5]), losses)

    z = WALKED**-0.5 - (1.0 - 0.4 * 0.9)
    sd = losses * np.sqrt(NOISE**2 + MISFIT**2 * (WALKED[-1] / WALKED) ** MISFIT_GROWTH)
    design = np.concatenate([np.stack([np.ones(40), z], axis=1) / sd[:, None], np.diag([1 / 0.5, 1 / 0.2])])
    target = np.concatenate([losses / sd, [2.0 / 0.5, 0.3 / 0.2]])
    expected, *_ = np.linalg.lstsq(design, target, rcond=None)
    covariance = np.linalg.inv(design.T @ design)

    assert pytest.approx(expected, rel=1e-6) == [told.end_loss[0], told.remaining[0]]
    assert pytest.approx(covariance[[0, 0, 1], [0, 1, 1]], rel=1e-6) == told.covariance[:, 0]
    assert [1.0] == told.weights.tolist()


def test_a_part_of_the_fall_to_come_is_missed_and_none_of_what_was_seen() -> None:
    """The variance at the end grows by the square of that part; where the curve has been it stays."""
    losses = curve(0.5)
    asked = [Asked(prior([0.5]), 1.0, END), Asked(prior([0.5]), 1.0, END, fall_error=0.1)]
    sure, unsure = posteriors(asked, WALKED, np.zeros((40, 1)), losses, NOISE)
    at = (np.array([0.2, 1.0]), np.array([[0.0], [0.9]]))
    (before, end), (before_too, wider) = sure.at(*at), unsure.at(*at)
    fall = sure.now[0] - end.means[0]

    assert pytest.approx(losses[-1], rel=2e-3) == sure.now[0]
    assert fall > 0
    assert pytest.approx(end.sds[0] ** 2 + (0.1 * fall) ** 2) == wider.sds[0] ** 2
    assert before.sds[0] == before_too.sds[0]


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.9])
def test_the_shape_that_explains_the_curve_weighs_most(alpha: float) -> None:
    """Of three exponents the true one."""
    alphas = [0.2, 0.5, 0.9]
    told = update(prior(alphas), curve(alpha))

    assert alphas[int(np.argmax(told.weights))] == alpha
    assert pytest.approx(1.0) == told.weights.sum()


@pytest.mark.parametrize("alpha", [0.2, 0.9])
def test_a_shape_weighs_what_its_evidence_says(alpha: float) -> None:
    """The ratio of two weights is that of the densities of the whole curve under each, prior included."""
    losses = curve(alpha)[:8]
    told = update(prior([0.4, 0.6]), losses)
    sd = losses * np.sqrt(NOISE[:8] ** 2 + MISFIT**2 * (WALKED[7] / WALKED[:8]) ** MISFIT_GROWTH)
    densities = []
    for each in (0.4, 0.6):
        design = np.stack([np.ones(8), WALKED[:8] ** -each - (1.0 - 0.4 * 0.9)], axis=1)
        covariance = design @ np.diag([0.5**2, 0.2**2]) @ design.T + np.diag(sd**2)
        rest = losses - design @ [2.0, 0.3]
        densities.append(-0.5 * rest @ np.linalg.solve(covariance, rest) - 0.5 * np.linalg.slogdet(covariance)[1])

    assert pytest.approx(densities[0] - densities[1], rel=1e-6) == math.log(told.weights[0] / told.weights[1])


def test_a_curve_that_would_rise_is_no_curve_of_the_law() -> None:
    """Shapes that need a negative A to explain what was seen have no weight while another one does not."""
    told = update(prior([0.2, 0.9]), curve(0.5))

    assert bool(np.all(told.remaining[told.weights > 0] > 0))


def test_without_a_row_it_is_the_prior() -> None:
    """Before the first step the law speaks alone."""
    told = update(prior([0.5]), np.zeros(0))
    (end,) = told.at(np.ones(1), END[None, :])

    assert (pytest.approx(2.0), pytest.approx(0.3)) == (told.end_loss[0], told.remaining[0])
    assert pytest.approx(math.hypot(0.5, 2.0 * MISFIT)) == end.sd


def test_with_nothing_known_of_the_end_the_rows_speak_alone() -> None:
    """A run without a law has a prior of A only."""
    told = update(prior([0.5], end_loss=None), curve(0.5))

    assert pytest.approx(2.2, rel=2e-3) == told.end_loss[0]


def test_laws_that_are_asked_together_answer_as_each_alone() -> None:
    """One with fewer shapes and another end changes nothing of the others."""
    losses = curve(0.5)
    laws = [
        Asked(prior([0.2, 0.5, 0.9]), 1.0, END),
        Asked(prior([0.4], end_loss=None), 2.0, np.array([0.3]), 0.01, 0.02),
        Asked(prior([0.4, 0.6]), 0.7, np.array([0.0])),
    ]
    together = posteriors(laws, WALKED, np.zeros((40, 1)), losses, NOISE)

    for law, told in zip(laws, together, strict=True):
        (alone,) = posteriors([law], WALKED, np.zeros((40, 1)), losses, NOISE)
        assert pytest.approx(alone.log_evidence) == told.log_evidence
        assert pytest.approx((alone.at_end().mean, alone.at_end().sd)) == (told.at_end().mean, told.at_end().sd)
        assert pytest.approx(alone.weights) == told.weights


def test_the_end_is_the_curve_at_its_end() -> None:
    """By the short way and by the long one."""
    told = update(prior([0.2, 0.5]), curve(0.4))
    (end,) = told.at(np.ones(1), END[None, :])

    assert pytest.approx(end.means) == told.at_end().means
    assert pytest.approx(end.sds) == told.at_end().sds


mixtures = st.lists(
    st.tuples(st.floats(-5, 5), st.floats(0.05, 3.0), st.floats(0.05, 1.0)), min_size=1, max_size=5
).map(lambda parts: [np.array(column) for column in zip(*parts, strict=True)])


@settings(max_examples=25)
@given(mixtures, st.floats(0.05, 0.95))
def test_a_quantile_of_a_mixture_is_that_of_its_distribution(parts: list[Floats], level: float) -> None:
    """Inverse of the exact distribution function, to what fifteen points a Gaussian allow."""
    means, sds, weights = parts
    of = Mixture(means, sds, weights / weights.sum())
    (value,) = of.quantiles(np.array([level]))
    exact = sum(
        w * 0.5 * (1 + math.erf((value - m) / (s * math.sqrt(2))))
        for m, s, w in zip(of.means, of.sds, of.weights, strict=True)
    )

    assert pytest.approx(level, abs=0.04) == exact


def test_many_quantiles_are_those_that_are_asked_for_one_by_one() -> None:
    """Sorting only where a quantile is asked for, or all at once, ties and far points among them."""
    draw = np.random.default_rng(3)
    points = np.concatenate([draw.normal(0, 1, 900), np.zeros(200), [50.0, -80.0]])
    masses = draw.random(len(points))
    of = WeightedPoints(points, masses / masses.sum())
    levels = np.linspace(0.0005, 0.9995, 400)

    one_by_one = np.concatenate([of.quantiles(np.array([level])) for level in levels])

    assert pytest.approx(of.quantiles(levels), rel=1e-9, abs=1e-9) == one_by_one


@settings(max_examples=25)
@given(mixtures, st.floats(0.1, 1.0))
def test_a_mixture_drawn_in_keeps_its_median_and_scales_its_width(parts: list[Floats], share: float) -> None:
    """An affine map about the median: every quantile comes nearer by the same factor."""
    means, sds, weights = parts
    of = Mixture(means, sds, weights / weights.sum())
    levels = np.array([0.1, 0.5, 0.9])
    wide, narrow = of.quantiles(levels), of.drawn_in(share).quantiles(levels)

    # points of two Gaussians that coincide may change places when they are drawn in: a step of the quantile's table
    assert pytest.approx(wide[1] + share * (wide - wide[1]), abs=0.02 * of.sd) == narrow
    assert pytest.approx(share * of.sd) == of.drawn_in(share).sd


def test_the_points_of_a_gaussian_are_its_quantiles() -> None:
    """They are written down, as importing what computes them takes long."""
    gaussian = NormalDist()

    np.testing.assert_allclose(_NODES, [gaussian.inv_cdf((k + 0.5) / 15) for k in range(15)], atol=1e-15)

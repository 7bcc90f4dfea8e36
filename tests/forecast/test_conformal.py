"""What came and was not what had been forecast makes the interval wider; what was, leaves it as it is."""

from __future__ import annotations

import numpy as np
import pytest

from scalewatch.forecast.candidates import Candidate, of_public_runs
from scalewatch.forecast.conformal import AHEAD, MOST, surprise
from scalewatch.forecast.posterior import posteriors, predict_ahead
from scalewatch.forecast.shape_prior import Asked
from scalewatch.run import Run
from tests.synthetic import Floats

WALKED = np.geomspace(0.02, 0.8, 80)
STILL = np.zeros((80, 1))
NOISE = np.full(80, 0.002)
END = np.array([1.0])


def law(losses: Floats) -> Candidate:
    return of_public_runs(Run("any", total_steps=1000), np.array([10.0]), 0, float(losses[-1]))[0]


def asked(law: Candidate) -> Asked:
    return Asked(law.prior, 1.0, END, law.misfit, fall_error=0.1)


def curve(seed: int = 0) -> Floats:
    """A curve of the law at a constant rate, with batch noise and its own misfit."""
    rng = np.random.default_rng(seed)
    clean: Floats = 2.0 + 0.3 * WALKED**-0.6
    return clean * np.exp(0.002 * rng.standard_normal(80))


def surprised(losses: Floats, until: int = 80) -> float:
    of = law(losses)
    return surprise(asked(of), of.spread, WALKED[:until], STILL[:until], losses[:until], NOISE[:until])


@pytest.mark.parametrize("seed", range(4))
def test_a_curve_of_the_law_is_no_surprise(seed: int) -> None:
    """What comes is what was forecast."""
    assert surprised(curve(seed)) < 1.2


def test_too_few_stretches_say_nothing() -> None:
    """Nothing can have been forecast yet."""
    assert surprised(curve(), until=4) == 1.0


@pytest.mark.parametrize("height", [-0.05, 0.03, 0.2])
def test_a_step_of_the_level_is_one_and_wears_off(height: float) -> None:
    """Other data from the middle on: wider at once, less so when the curve has gone on for a while."""
    losses = curve()
    losses[50:] *= 1.0 + height
    soon, late = surprised(losses, until=56), surprised(losses)

    assert soon > 1.5
    assert late < soon or soon == MOST


def test_a_greater_step_is_a_greater_surprise() -> None:
    """The interval grows with what it missed by."""
    found = []
    for height in (0.01, 0.03, 0.1):
        losses = curve()
        losses[60:] *= 1.0 + height
        found.append(surprised(losses, until=70))

    assert sorted(found) == found
    assert found[0] < found[-1]


def test_it_is_bounded() -> None:
    """A curve that jumps about is forecast by nothing, and the number stays a number."""
    assert 1.0 <= surprised(np.exp(np.random.default_rng(1).normal(0, 2, 80))) <= MOST


def test_what_is_forecast_ahead_is_what_the_posterior_said_then() -> None:
    """A block ahead by the batched solve: mean and spread of the posterior of the blocks before it."""
    losses = curve()
    of = asked(law(losses))
    known = np.searchsorted(WALKED, WALKED / AHEAD, side="right")
    blocks = np.array([30, 79])
    mean, sd = predict_ahead(of, WALKED, STILL, losses, NOISE, known[blocks], blocks)

    for place, block in enumerate(blocks.tolist()):
        before = known[block]
        (told,) = posteriors([of], WALKED[:before], STILL[:before], losses[:before], NOISE[:before])
        (there,) = told.at(WALKED[block : block + 1], STILL[:1])
        assert pytest.approx(there.mean, rel=1e-9) == mean[place]
        assert pytest.approx(there.sd, rel=1e-9) == sd[place]

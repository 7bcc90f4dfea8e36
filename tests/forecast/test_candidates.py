"""Several laws compete for a forecast, and the one that told best what came next counts most."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scalewatch import Forecast, Run
from scalewatch.fitting import fit_curves
from scalewatch.forecast import Forecaster
from scalewatch.forecast.candidates import HELD, LADDER, LOSS_SHARE, WALK_SHARE, of_public_runs
from scalewatch.laws import CurveLaw
from tests.synthetic import Floats, TrueLaw, cosine, ladder, noisy, planned, wsd

TOTAL = 2_000
SIZE = 8e6
PLAN = cosine(TOTAL)
TRUE = TrueLaw()


@pytest.fixture(scope="module")
def law() -> CurveLaw:
    return fit_curves(ladder(sizes=[(n, s) for n in (1e6, 2e6, 4e6) for s in (600, 1_000)], run_sd=0.003))


def forecast(losses: Floats, plan: Floats = PLAN, law: CurveLaw | None = None, until: int = TOTAL // 2) -> Forecast:
    forecaster = Forecaster(planned(plan, SIZE), law)
    for step in range(1, until + 1):
        forecaster.observe(step, float(losses[step - 1]), float(plan[step - 1]))
    made = forecaster.forecast()
    assert made is not None
    return made


def test_the_weights_of_the_laws_are_shown_and_sum_to_one(law: CurveLaw) -> None:
    """By name, the most first."""
    losses = noisy(TRUE.losses(PLAN, SIZE), 0.01, 0)
    for each, names in ((None, {WALK_SHARE, LOSS_SHARE, HELD}), (law, {LADDER, WALK_SHARE, LOSS_SHARE, HELD})):
        weights = forecast(losses, law=each).weights

        assert names == set(weights)
        assert pytest.approx(1.0) == sum(weights.values())
        assert sorted(weights.values(), reverse=True) == list(weights.values())


def test_before_the_first_step_the_law_of_smaller_runs_stands_alone(law: CurveLaw) -> None:
    """Nothing has come yet that another law could have told better."""
    made = Forecaster(planned(PLAN, SIZE), law).forecast()

    assert made is not None
    assert made.weights == {LADDER: 1.0}


def test_a_ladder_that_tells_what_comes_keeps_most_of_the_weight(law: CurveLaw) -> None:
    """The right law of the recipe."""
    weights = forecast(noisy(TRUE.losses(PLAN, SIZE), 0.01, 0), law=law).weights

    assert next(iter(weights)) == LADDER


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_run_a_tenth_off_its_ladder_ends_in_its_interval(law: CurveLaw, factor: float) -> None:
    """Off from the first step on: what the law says of the level is outweighed by the curve, whoever weighs most."""
    losses = factor * noisy(TRUE.losses(PLAN, SIZE), 0.01, 0)
    made = forecast(losses, law=law)
    low, high = made.interval(0.95)

    assert low < losses[-40:].mean() < high


@pytest.mark.parametrize("winner", [WALK_SHARE, LOSS_SHARE])
def test_a_decay_that_has_been_seen_tells_the_laws_of_public_runs_apart(winner: str) -> None:
    """In the middle of a decay that gives what one of the two says, that one counts more than before it."""
    plan = wsd(TOTAL, decay=0.5)
    walk = 2.0 + 0.25 * (np.cumsum(plan) / plan.sum()) ** -0.6
    gained = np.maximum(1.0 - plan / plan.max(), 0.0) * (np.arange(TOTAL) > TOTAL // 4)
    gain = 0.55 * 0.25 if winner == WALK_SHARE else 0.055 * 2.3
    other = 0.35 if winner == LOSS_SHARE else 0.0  # a walk with much left, of which rho would be far too much
    losses = walk + other * (np.cumsum(plan) / plan.sum()) ** -0.6 - gain * gained
    before, after = (forecast(losses, plan, until=until).weights for until in (TOTAL // 2, int(0.8 * TOTAL)))

    assert after[winner] > before[winner]


def test_a_curve_that_stands_still_has_no_forecast() -> None:
    """No law of falling curves describes it, none is made to, and a sentence says so."""
    losses = noisy(np.full(TOTAL, 3.0), 0.002, 0)
    forecaster = Forecaster(planned(PLAN, SIZE))
    for step in range(1, int(0.7 * TOTAL)):
        forecaster.observe(step, float(losses[step - 1]), float(PLAN[step - 1]))

    assert forecaster.forecast() is None
    assert "the loss has not fallen by more than its own scatter" in forecaster.why_none


@pytest.mark.parametrize(("began", "wide"), [(2.0, True), (10.8, False), (math.inf, False)])
def test_a_curve_that_does_not_begin_as_text_does_is_told_with_less_certainty(began: float, wide: bool) -> None:
    """Ten classes begin at ln 10 and may fall by half with a step of the rate; a vocabulary begins above ln 5,000."""
    memories, rates = np.array([3.0, 15.0, 60.0, 200.0]), np.full(1_000, 1e-3)
    runs = Run("unknown", 1_000, rates), Run("text", 1_000, rates, tokens_per_step=1e5)
    unknown, text = ([law.spread for law in of_public_runs(run, memories, 0, 1.8, began=began)] for run in runs)

    assert wide == (min(unknown[:2]) > 2.0 * max(text[:2]))
    assert wide == (unknown != text)

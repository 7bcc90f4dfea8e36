"""How much less compute one recipe needs than another for the same loss."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scalewatch import Forecast
from scalewatch.advising.gain import MOST_TIMES, gain_of_curves, gain_of_ladders
from scalewatch.errors import ConfigError
from scalewatch.fitting.outcomes.axes import Outcomes
from scalewatch.fitting.outcomes.contest import Contest, compete
from scalewatch.forecast import Forecaster
from tests.synthetic import TrueLaw, cosine, noisy, planned

TOTAL, SIZE = 3000, 8e6
TRUE = TrueLaw()
NAMES = ("parameters", "tokens")


def ended(total: int, seed: int, off: float = 1.0, until: float = 1.0) -> Forecast:
    """What is said of a run of `total` steps, all of whose losses are `off` times those of the law."""
    plan = cosine(total)
    losses = noisy(off * TRUE.losses(plan, SIZE), 0.005, seed)
    forecaster = Forecaster(planned(plan))
    for step, loss in enumerate(losses[: round(until * total)].tolist(), 1):
        forecaster.observe(step, loss, None)
    made = forecaster.forecast()
    assert made is not None
    return made


@pytest.mark.parametrize("times", [0.5, 1.0, 1.6])
def test_two_lengths_of_one_recipe_need_the_same_compute(times: float) -> None:
    """A longer run would have been where the shorter one is, had it been as short."""
    a, b = ended(TOTAL, 0), ended(round(times * TOTAL), 1)
    told = gain_of_curves(a, b, times, 6e15)

    assert told.low < 1.0 < told.high
    assert told.share == pytest.approx(1.0, abs=0.15)
    assert told.compute == 6e15


def test_a_recipe_with_lower_losses_needs_less_and_the_other_more() -> None:
    """By about as much either way, and the interval says that it is no chance."""
    a, b = ended(TOTAL, 0), ended(TOTAL, 1, off=0.98)
    less, more = gain_of_curves(a, b, 1.0, 1.0), gain_of_curves(b, a, 1.0, 1.0)

    assert less.low < less.share < less.high < 1.0 < more.low < more.share < more.high
    assert less.share * more.share == pytest.approx(1.0, rel=0.25)


def test_a_run_on_its_way_is_compared_by_its_forecast_and_less_surely() -> None:
    """At half of its steps the interval is wider than at its end."""
    a = ended(TOTAL, 0)
    half, whole = (gain_of_curves(a, ended(TOTAL, 1, 0.98, until), 1.0, 1.0) for until in (0.5, 1.0))

    assert half.high / half.low > whole.high / whole.low
    assert half.low < whole.share < half.high


def test_a_loss_that_is_never_reached_has_no_share() -> None:
    """A loss far below every level of B is out of reach, and one far above is there at once."""
    a, b = ended(TOTAL, 0, off=0.5), ended(TOTAL, 1)

    assert gain_of_curves(a, b, 1.0, 1.0).share == math.inf
    assert gain_of_curves(b, a, 1.0, 1.0).share <= 2.0 / MOST_TIMES


@pytest.mark.parametrize(("level", "ratio"), [(0.0, 1.0), (1.0, 1.0), (0.8, 0.0), (0.8, math.inf)])
def test_a_level_or_a_ratio_that_is_none_is_refused(level: float, ratio: float) -> None:
    """With what it must be."""
    one = ended(300, 0)
    with pytest.raises(ConfigError, match="must"):
        gain_of_curves(one, one, ratio, 1.0, level)


def ladder(saved: float, seed: int) -> Contest:
    """Laws of 16 runs that reach with `saved` of the compute what Chinchilla's law says."""
    size, tokens = (v.ravel() for v in np.meshgrid(np.geomspace(1e8, 1e9, 4), np.geomspace(4e9, 4e10, 4)))
    root = np.sqrt(saved)
    loss = 1.8 + 400 * (size / root) ** -0.34 + 2000 * (tokens / root) ** -0.37
    noise = np.exp(0.001 * np.random.default_rng(seed).standard_normal(size.shape))
    return compete(Outcomes({"parameters": size, "tokens": tokens}, loss * noise), only=["chinchilla", "curved_power"])


def test_a_ladder_that_saves_a_quarter_is_told_to() -> None:
    """At a run of its own and at one somewhat beyond, where it is less sure."""
    a, b = ladder(1.0, 0), ladder(0.75, 1)
    inside, beyond = (gain_of_ladders(a, b, NAMES, at) for at in ((5e8, 2e10), (3e9, 1e11)))

    assert inside.low < 0.75 < inside.high < 1.0
    assert inside.share == pytest.approx(0.75, abs=0.06)
    assert beyond.high / beyond.low > inside.high / inside.low
    assert inside.compute == pytest.approx(6 * 5e8 * 2e10)

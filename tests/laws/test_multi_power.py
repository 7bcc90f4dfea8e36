"""The multi-power law: published constants on published curves, and what any such law must obey."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scalewatch.errors import ConfigError
from scalewatch.laws.multi_power import MultiPowerLaw, schedule_terms
from scalewatch.reproduce.curve_rows import PEAK, WARMUP, planned_rates
from tests.laws.published_curves import scores

#: README of the repository: R2 and MAE over its six test curves, and the digits it prints.
README = {"25M": (0.9988, 0.00376), "100M": (0.9983, 0.00435)}
R2_TOLERANCE, MAE_TOLERANCE = 1e-4, 1e-5


@pytest.mark.parametrize("size", README)
def test_published_constants_reproduce_the_published_scores(data_folder: Path, size: str) -> None:
    """The README of Luo et al. (2025, arXiv 2503.12811), through the chunked sum."""
    r2, mae = scores(data_folder, size, MultiPowerLaw.published(size))

    assert README[size] == (pytest.approx(r2, abs=R2_TOLERANCE), pytest.approx(mae, abs=MAE_TOLERANCE))


@pytest.mark.parametrize("schedule", ["cosine_24000", "wsd_20000_24000", "wsdcon_3"])
def test_the_chunked_sum_is_the_sum_to_a_ten_thousandth_of_a_nat(schedule: str) -> None:
    """Chunks of 64 steps change the loss by less than 1e-4 nats at any point."""
    law, rates = MultiPowerLaw.published("400M"), planned_rates(schedule)
    steps = np.arange(WARMUP, len(rates), 617)

    exact = law.losses(rates, steps, chunk_steps=1)

    assert np.abs(exact - law.losses(rates, steps)).max() < 1e-4


def test_the_sum_is_the_formula_written_out() -> None:
    """Every drop since step 1, one by one, in plain loops."""
    law = MultiPowerLaw(2.0, 0.5, 0.4, 300.0, 1.5, 0.6, 0.5)
    rates = 1e-3 * np.array([0.5, 1.0, 1.0, 0.6, 0.2])
    whole = 0.0
    for k in range(5):
        before = rates[k - 1] if k else 0.0
        whole += (before - rates[k]) * (1 - (1 + 1.5 * rates[k] ** -0.5 * rates[k:].sum()) ** -0.6)
    expected = 2.0 + 0.5 * rates.sum() ** -0.4 - 300.0 * whole

    assert expected == pytest.approx(law.losses(rates, [5], chunk_steps=1)[0], rel=1e-12)
    assert expected == pytest.approx(law.losses(rates, [5])[0], rel=1e-12)


def test_slopes_are_those_of_finite_differences() -> None:
    """The derivative by each log constant agrees with a central difference."""
    law, terms = MultiPowerLaw.published("25M"), schedule_terms(planned_rates("cosine_24000"), [3_000, 12_000, 23_000])
    constants = np.array([getattr(law, name) for name in MultiPowerLaw.__slots__])
    _, slopes = law.log_slopes(terms)

    for k in range(7):
        up, down = constants.copy(), constants.copy()
        up[k] *= np.exp(1e-5)
        down[k] *= np.exp(-1e-5)
        numeric = (MultiPowerLaw(*up.tolist()).at(terms) - MultiPowerLaw(*down.tolist()).at(terms)) / 2e-5

        assert slopes[k] == pytest.approx(numeric, rel=1e-5, abs=1e-8)


def test_the_unit_of_the_rate_does_not_matter() -> None:
    """Rates in thousandths, and constants rescaled for them, give the same losses."""
    law, rates = MultiPowerLaw.published("100M"), planned_rates("cosine_24000")
    steps = [5_000, 20_000]

    assert law.losses(rates, steps) == pytest.approx(law.rescaled(1e3).losses(1e3 * rates, steps), rel=1e-9)


def test_loss_falls_at_constant_rate_and_faster_where_the_rate_falls() -> None:
    """More steps never hurt, and a decay gains on a constant rate of the same length."""
    law, steps = MultiPowerLaw.published("100M"), np.arange(WARMUP + 500, 24_000, 500)
    constant = law.losses(planned_rates("constant_24000"), steps)

    assert np.all(np.diff(constant) < 0)
    assert law.losses(planned_rates("cosine_24000"), [23_900])[0] < constant[-1]


def test_a_rate_of_zero_at_the_end_is_no_fault() -> None:
    """Linear decay to zero has a finite loss at every step, the last included."""
    rates = PEAK * np.concatenate([np.linspace(0.001, 1, 100), np.linspace(1, 0, 900)])
    losses = MultiPowerLaw.published("25M").losses(rates, np.arange(100, 1_001))

    assert np.all(np.isfinite(losses))


@pytest.mark.parametrize(
    ("rates", "steps"),
    [([], [1]), ([0.0, 0.0], [1]), ([1e-3, -1e-3], [1]), ([1e-3, np.nan], [1]), ([1e-3], [2]), ([1e-3], [0])],
)
def test_a_plan_that_is_none_is_refused(rates: list[float], steps: list[int]) -> None:
    """Empty, all zero, negative, not finite, or asked about beyond its end."""
    with pytest.raises(ConfigError):
        MultiPowerLaw.published("25M").losses(rates, steps)


def test_an_unknown_size_names_the_known_ones() -> None:
    """The message lists what can be had."""
    with pytest.raises(ConfigError, match="25M, 100M, 400M"):
        MultiPowerLaw.published("1B")


def test_a_plan_far_longer_than_the_fitted_one_says_so() -> None:
    """Three times the longest run was checked; four times was not."""
    law = MultiPowerLaw.published("25M")

    assert () == law.range_notes(72_000, 24_000)
    assert "4.0x" in law.range_notes(96_000, 24_000)[0]

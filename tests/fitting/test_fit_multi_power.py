"""Fits of the multi-power law: bounds on published curves, recovery, units, and what a fit says of itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scalewatch.errors import FitError
from scalewatch.fitting.multi_power import fit_multi_power
from scalewatch.fitting.status import FitStatus
from scalewatch.laws.curve import Curve
from scalewatch.laws.multi_power import MultiPowerLaw
from scalewatch.reproduce.curve_rows import TRAIN, WARMUP, planned_rates
from scalewatch.run import Run
from tests.laws.published_curves import curve, scores

TRUE = MultiPowerLaw(2.6, 0.6, 0.46, 530.0, 1.0, 0.5, 0.5)


def made(schedule: str, noise: float, seed: int = 0, law: MultiPowerLaw = TRUE, unit: float = 1.0) -> Curve:
    """A curve that follows `law`, its rates given in another unit."""
    rates, steps = planned_rates(schedule), np.arange(WARMUP + 20, len(planned_rates(schedule)), 160)
    clean = law.losses(rates, steps)
    noisy = clean * np.exp(noise * np.random.default_rng(seed).standard_normal(len(steps)))
    return Curve(Run(schedule, learning_rates=unit * rates), steps, noisy)


@pytest.mark.parametrize(("size", "least_r2", "most_mae"), [("25M", 0.998, 0.0042), ("100M", 0.998, 0.0040)])
def test_the_fit_predicts_unseen_schedules(data_folder: Path, size: str, least_r2: float, most_mae: float) -> None:
    """Curves of Luo et al. (2025, arXiv 2503.12811): fitted on three, scored on six others, longer ones among them."""
    fit = fit_multi_power([curve(data_folder, size, schedule) for schedule in TRAIN])
    r2, mae = scores(data_folder, size, fit.law)

    assert r2 >= least_r2
    assert mae <= most_mae
    assert (FitStatus.OK,) == fit.statuses


def test_without_the_ridge_the_fit_is_closer_and_predicts_worse(data_folder: Path) -> None:
    """The finding that the ridge answers: a lower training objective, a higher test error."""
    curves = [curve(data_folder, "100M", schedule) for schedule in TRAIN]
    ridged, free = fit_multi_power(curves), fit_multi_power(curves, ridge=0.0)

    assert free.objective < 0.5 * ridged.objective
    assert scores(data_folder, "100M", free.law)[1] > scores(data_folder, "100M", ridged.law)[1]


def test_a_known_law_is_recovered_from_noisy_curves() -> None:
    """Constants within a few percent, predictions of an unseen schedule within a thousandth."""
    fit = fit_multi_power([made(schedule, 0.002, seed) for seed, schedule in enumerate(TRAIN)])
    rates, steps = planned_rates("wsd_20000_24000"), [12_000, 22_000, 23_900]

    assert TRUE.level == pytest.approx(fit.law.level, rel=0.01)
    assert TRUE.alpha == pytest.approx(fit.law.alpha, rel=0.05)
    assert TRUE.losses(rates, steps) == pytest.approx(fit.law.losses(rates, steps), rel=1e-3)


def test_the_unit_of_the_rate_does_not_change_the_fit() -> None:
    """The ridge is about shapes, so a thousand times the rates give the same predictions."""
    plain = fit_multi_power([made(s, 0.001) for s in TRAIN])
    scaled = fit_multi_power([made(s, 0.001, unit=1e3) for s in TRAIN])
    rates = planned_rates("wsdcon_3")

    assert plain.law.losses(rates, [12_000]) == pytest.approx(scaled.law.losses(1e3 * rates, [12_000]), rel=1e-6)


def test_one_schedule_alone_is_said_to_be_one() -> None:
    """Gain and floor cannot be told apart by curves of one plan."""
    fit = fit_multi_power([made("cosine_24000", 0.001, seed) for seed in (0, 1)])

    assert FitStatus.ONE_SCHEDULE in fit.statuses


def test_constant_rates_alone_say_nothing_of_a_drop() -> None:
    """No plan falls, so what a fall gains is unknown."""
    fit = fit_multi_power([made("constant_24000", 0.001)])

    assert FitStatus.NO_DROP in fit.statuses


def test_curves_of_two_models_do_not_pass_for_one() -> None:
    """A curve a quarter higher than its siblings is a misfit, not a law."""
    other = made("wsdcon_9", 0.001)
    shifted = Curve(other.run, other.steps, 1.25 * other.loss)
    fit = fit_multi_power([made("cosine_24000", 0.001), made("constant_24000", 0.001), shifted])

    assert FitStatus.MISFIT in fit.statuses


def test_curves_without_a_plan_are_left_out_and_named() -> None:
    """One without planned rates is named; none with them is an error."""
    bare = Curve(Run("bare"), np.arange(1, 101), np.full(100, 3.0))
    fit = fit_multi_power([bare, *(made(s, 0.001) for s in TRAIN)])

    assert ("'bare' has no planned learning rates.",) == fit.left_out
    with pytest.raises(FitError, match="bare"):
        fit_multi_power([bare])
    with pytest.raises(FitError, match="there is none"):
        fit_multi_power([])


@pytest.mark.parametrize("ridge", [-1.0, float("nan")])
def test_a_negative_ridge_is_refused(ridge: float) -> None:
    """It would push the constants apart."""
    with pytest.raises(FitError, match="ridge"):
        fit_multi_power([made("cosine_24000", 0.0)], ridge=ridge)


def test_something_else_than_a_curve_is_refused() -> None:
    """The type that is wanted is named."""
    with pytest.raises(FitError, match="Curve"):
        fit_multi_power([3.0])  # type: ignore[list-item]

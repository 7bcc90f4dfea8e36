"""A law fitted on small runs knows the big one, and refuses what no law describes."""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalewatch import Run
from scalewatch.errors import FitError
from scalewatch.fitting import fit_curves
from scalewatch.forecast import Forecaster
from scalewatch.laws import Curve, CurveLaw
from tests.synthetic import (
    LADDER,
    Floats,
    TrueLaw,
    constant,
    cosine,
    curve,
    fitted,
    ladder,
    noisy,
    planned,
    wsd,
)

TRUE = TrueLaw()


def is_finite(law: CurveLaw) -> bool:
    more = (law.parameters, law.covariance, law.evidence.sizes, law.evidence.lr_sums)
    return all(bool(np.all(np.isfinite(np.asarray(value)))) for value in (*law.numbers.values(), *more))


def final(law: TrueLaw, rates: Floats, parameters: float) -> float:
    """True loss over the last fiftieth of a run."""
    losses = law.losses(rates, parameters)
    return float(losses[-len(losses) // 50 :].mean())


# --- what a law knows -----------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.3, 0.5, 0.8])
def test_the_exponent_of_a_known_law_is_found(alpha: float) -> None:
    """Within its own error of ln alpha, twice, for slow and for fast curves."""
    law = fitted(TRUE.with_alpha(alpha))

    assert abs(math.log(law.shape.alpha / alpha)) < 2 * law.shape.alpha_log_sd


def test_without_noise_a_bigger_run_is_known_to_a_third_of_a_percent() -> None:
    """Three times the size and half as many steps again, under the same kind of schedule."""
    plan = cosine(1500)
    told = Forecaster(planned(plan, 12e6), fit_curves(ladder(TRUE, sd=0.0))).forecast()

    assert told is not None
    assert pytest.approx(final(TRUE, plan, 12e6), rel=3e-3) == told.final_loss


def test_another_schedule_of_a_bigger_run_is_known_too() -> None:
    """A law from cosines predicts a run that holds its rate and one that decays late: that is what rho is for."""
    law = fit_curves([*ladder(TRUE, sd=0.0), curve(planned(wsd(900), 3e6), TRUE.losses(wsd(900), 3e6))])

    for plan in (constant(1500), wsd(1500)):
        told = Forecaster(planned(plan, 8e6), law).forecast()
        assert told is not None
        assert pytest.approx(final(TRUE, plan, 8e6), rel=1e-2) == told.final_loss


def test_the_interval_before_the_start_holds_the_truth_as_often_as_it_says() -> None:
    """Fifteen ladders of noisy and lucky runs: the 80 % interval holds at least 60 %, and the errors are small."""
    plan, luck = cosine(1500), 0.003
    truth = final(TRUE, plan, 12e6)
    held, errors, widths = [], [], []
    for seed in range(15):
        law = fit_curves(ladder(TRUE, 0.01, seed, run_sd=luck))
        told = Forecaster(planned(plan, 12e6), law).forecast()
        assert told is not None
        came = truth * math.exp(luck * np.random.default_rng(seed + 999).standard_normal())
        low, high = told.interval(0.8)
        held.append(low <= came <= high)
        errors.append(told.final_loss / came - 1)
        widths.append((high - low) / came)

    assert np.mean(held) >= 0.6
    assert np.mean(np.abs(errors)) < 0.01
    assert abs(np.mean(errors)) < 0.006
    assert np.mean(widths) < 0.065  # three runs: Student t widens by 1.4


def test_runs_that_differ_by_luck_make_a_wider_interval() -> None:
    """What a ladder's runs scatter about their law is what the next one will."""
    sizes = (*LADDER, (1.5e6, 700), (3e6, 900))
    sure = fit_curves(ladder(TRUE, 0.003, 1, sizes))
    unsure = fit_curves(ladder(TRUE, 0.003, 1, sizes, run_sd=0.02))

    assert unsure.scatter.run_log_sd > 3 * sure.scatter.run_log_sd


def test_the_same_curves_give_the_same_law() -> None:
    """A fit is deterministic to the last bit."""
    one, other = fit_curves(ladder()), fit_curves(ladder())

    assert one.parameters.tolist() == other.parameters.tolist()
    assert one.shape == other.shape


def test_the_order_of_the_runs_does_not_matter() -> None:
    """A folder may list its runs in any order."""
    runs = ladder()
    one, other = fit_curves(runs), fit_curves(runs[::-1])

    assert pytest.approx(one.parameters, rel=1e-3) == other.parameters


def test_the_law_says_what_it_rests_on() -> None:
    """Runs, sizes, walks and units stand in it."""
    law = fitted()

    assert (3, (1e6, 4e6), "tokens", "total", ()) == (
        law.evidence.runs,
        law.evidence.sizes,
        law.units.lr_sum_unit,
        law.units.size_kind,
        law.evidence.left_out,
    )
    assert pytest.approx(0.01, rel=0.5) == law.scatter.row_noise


def test_a_bad_batch_in_a_small_run_does_not_bend_the_law() -> None:
    """One row fifty times too high in each run moves the prediction by less than 0.2 %."""
    plan = planned(cosine(1500), 12e6)
    clean = ladder()
    spiked = [Curve(c.run, c.steps, np.where(c.steps == len(c.steps) // 2, 50.0 * c.loss, c.loss)) for c in clean]
    one, other = (Forecaster(plan, fit_curves(runs)).forecast() for runs in (clean, spiked))

    assert one is not None
    assert other is not None
    assert pytest.approx(one.final_loss, rel=2e-3) == other.final_loss


# --- what it leaves out ---------------------------------------------------------------------------


def test_a_run_that_diverged_is_left_out_and_named() -> None:
    """It ends above its best loss, so it is no material; the law says so and is that of the others."""
    runs = ladder()
    rates = cosine(900)
    losses = TRUE.losses(rates, 3e6)
    losses[600:] *= np.linspace(1.0, 2.5, 300)
    law = fit_curves([*runs, curve(planned(rates, 3e6, "bad"), losses)])

    (reason,) = law.evidence.left_out
    assert reason.startswith("'bad' is left out: it ends ")
    assert (3, fit_curves(runs).parameters.tolist()) == (law.evidence.runs, law.parameters.tolist())


def test_a_noisy_last_row_is_no_divergence() -> None:
    """A log of noisy rows may end on a high one."""
    runs = ladder(sd=0.03)
    last = [Curve(c.run, c.steps, np.append(c.loss[:-1], 1.2 * c.loss[-2])) for c in runs]

    assert () == fit_curves(last).evidence.left_out


def test_a_run_that_is_left_out_has_no_say_in_the_units() -> None:
    """A diverged run that does not know its tokens or its size does not take them from the others."""
    run = Run("bad", learning_rates=cosine(300))
    law = fit_curves([*ladder(), curve(run, np.linspace(3.0, 9.0, 300))])

    assert ("tokens", "total", 1) == (law.units.lr_sum_unit, law.units.size_kind, len(law.evidence.left_out))


def test_a_run_without_a_plan_is_left_out_and_named() -> None:
    """The law is one of schedules: a run that does not know its own cannot teach it."""
    lost = Curve(Run("lost", 600, parameters=1_000_000), np.arange(1, 601), TRUE.losses(cosine(600), 1e6))
    law = fit_curves([*ladder(), lost])

    assert ("'lost' is left out: its planned learning rates are unknown.",) == law.evidence.left_out


def test_a_log_that_goes_on_beyond_its_plan_is_left_out_and_named() -> None:
    """The plan is of another run then."""
    run = planned(cosine(300), 1e6, "long")
    law = fit_curves([*ladder(), curve(run, TRUE.losses(cosine(600), 1e6))])

    assert ("'long' is left out: it goes on to step 600, its plan to 300.",) == law.evidence.left_out


def test_a_run_that_never_left_its_warm_up_is_left_out_and_named() -> None:
    """Before its peak no law holds."""
    run = planned(cosine(1000, warmup=900), 1e6, "cold")
    law = fit_curves([*ladder(), curve(run, np.full(1000, 3.0))])

    assert 1 == len(law.evidence.left_out)
    assert law.evidence.left_out[0].startswith("'cold' is left out: too few rows")


def test_where_no_run_can_be_used_the_refusal_has_the_reason_of_each() -> None:
    """A person can see what to change."""
    runs = [Curve(Run(name, 100), np.arange(1, 101), np.full(100, 3.0)) for name in ("one", "two")]

    with pytest.raises(FitError) as refused:
        fit_curves(runs)

    assert "'one' is left out" in str(refused.value)
    assert "'two' is left out" in str(refused.value)


@pytest.mark.parametrize("curves", [[], ["runs/"], [None]])
def test_what_are_no_curves_are_refused(curves: list[object]) -> None:
    """Nothing, and paths instead of curves, are said to be what they are."""
    with pytest.raises(FitError):
        fit_curves(curves)  # type: ignore[arg-type]


# --- what a run may lack --------------------------------------------------------------------------


def test_one_run_makes_a_law_that_is_not_sure_of_other_sizes() -> None:
    """Its own size it knows; at eight times that, the interval is much wider."""
    law = fit_curves(ladder()[:1])
    own, other = (Forecaster(planned(cosine(800), size), law).forecast() for size in (1e6, 8e6))

    assert own is not None
    assert other is not None
    widths = [high - low for low, high in (own.interval(), other.interval())]
    assert pytest.approx(final(TRUE, cosine(800), 1e6), rel=0.02) == own.final_loss
    assert widths[1] > 2 * widths[0]


def test_runs_of_one_size_make_a_law_of_that_size() -> None:
    """Three schedules at one size: the size dependence is the prior's, and nothing breaks."""
    plans = (cosine(600), constant(600), wsd(600))
    law = fit_curves(
        [curve(planned(plan, 2e6), noisy(TRUE.losses(plan, 2e6), 0.005, n)) for n, plan in enumerate(plans)]
    )
    told = Forecaster(planned(cosine(900), 2e6), law).forecast()

    assert told is not None
    assert pytest.approx(final(TRUE, cosine(900), 2e6), rel=0.01) == told.final_loss


def test_runs_at_a_constant_rate_whose_size_makes_no_difference_are_a_law_too() -> None:
    """The data see neither the decay nor the size: both are the prior's, and no variance runs away."""
    plan = np.full(600, 1e-3)
    losses = 1.0 + 3.0 * np.arange(1, 601) ** -0.3
    law = fit_curves([curve(planned(plan, size), losses) for size in (1e6, 2e6, 4e6)])
    told = Forecaster(planned(np.full(900, 1e-3), 3e6), law).forecast()

    assert told is not None
    assert pytest.approx(1.0 + 3.0 * 891.0**-0.3, rel=0.02) == told.final_loss
    assert np.abs(law.covariance).max() < 1e8


def test_runs_without_tokens_make_a_law_in_steps() -> None:
    """Where a run does not say how many tokens a step has, all are counted in steps."""
    runs = ladder()
    silent = runs[0].run
    unknown = Run(silent.name, learning_rates=silent.learning_rates, parameters=silent.parameters)
    law = fit_curves([Curve(unknown, runs[0].steps, runs[0].loss), *runs[1:]])

    assert "steps" == law.units.lr_sum_unit
    assert is_finite(law)


def test_runs_that_only_know_their_inner_size_make_a_law_of_that() -> None:
    """Kaplan's N serves where Chinchilla's is unknown; with neither, the law has no size."""

    def told(**size: int) -> str:
        runs = [
            Curve(Run(c.run.name, learning_rates=c.run.learning_rates, **size), c.steps, c.loss)  # type: ignore[arg-type]
            for c in ladder()
        ]
        return fit_curves(runs).units.size_kind

    assert ["non_embedding", "none"] == [told(non_embedding_parameters=1_000_000), told()]


# --- hostile input (S6) ---------------------------------------------------------------------------

STEPS = np.arange(1, 601)
FALLING = 1.0 + 3.0 * STEPS**-0.3


def law_or_refusal(losses: Sequence[Floats], rates: Floats | None = None) -> CurveLaw | None:
    """The law of three such runs, None for a FitError; a warning or another exception fails the test."""
    plan = cosine(600) if rates is None else rates
    with warnings.catch_warnings(), contextlib.suppress(FitError):
        warnings.simplefilter("error")
        runs = [curve(planned(plan, size), loss) for size, loss in zip((1e6, 2e6, 4e6), losses, strict=False)]
        return fit_curves(runs)
    return None


HOSTILE: dict[str, Sequence[Floats]] = {
    "all-equal": [np.full(600, 3.0)] * 3,
    "equal-but-for-the-size": [np.full(600, 3.0 - n) for n in range(3)],
    "one-curve-three-times": [FALLING] * 3,
    "bigger-is-worse": [FALLING * scale for scale in (1.0, 1.2, 1.4)],
    "rises": [2.0 - FALLING / 10] * 3,
    "waves": [3.0 + np.sin(STEPS / 30.0)] * 3,
    "to-nothing": [STEPS**-3.0] * 3,
    "to-nothing-fast": [np.exp(-STEPS / 20.0)] * 3,
    "negative": [FALLING - 10.0] * 3,
    "zero": [FALLING * 0.0] * 3,
    "nan": [FALLING * math.nan] * 3,
    "half-nan": [np.where(STEPS % 2 == 0, FALLING, math.nan)] * 3,
    "nan-from-the-middle": [np.where(STEPS < 300, FALLING, math.nan)] * 3,
    "one-row": [FALLING[:1]] * 3,
    "few-rows": [FALLING[:25]] * 3,
    "alternating": [np.where(STEPS % 2 == 0, 1e308, 1e-308)] * 3,
    "far-apart": [FALLING * scale for scale in (1e-20, 1.0, 1e20)],
    "noise-only": [np.exp(5.0 * np.random.default_rng(n).standard_normal(600)) for n in range(3)],
    "heavy-tails": [np.abs(np.random.default_rng(n).standard_cauchy(600)) + 1e-9 for n in range(3)],
    **{f"scale-{scale:.0e}": [FALLING * scale] * 3 for scale in (1e-300, 1e-100, 1e-25, 1e25, 1e100, 1e300)},
}


@pytest.mark.parametrize("losses", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_losses_give_a_finite_law_or_one_fit_error(losses: Sequence[Floats]) -> None:
    """Never another exception, never a warning, and in less than two seconds of CPU."""
    began = time.process_time()
    law = law_or_refusal(losses)

    assert law is None or is_finite(law)
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize(
    "rates",
    [
        np.ones(600),
        np.full(600, 5e-324),
        np.full(600, 1e308),
        np.linspace(1.0, 0.0, 600),
        np.linspace(0.0, 1.0, 600),
        np.append(np.ones(1), np.zeros(599)),
        np.append(np.zeros(599), np.ones(1)),
        np.tile([1.0, 0.0], 300),
    ],
    ids=["constant", "least", "most", "down", "up", "first-only", "last-only", "flicker"],
)
def test_hostile_schedules_give_a_finite_law_or_one_fit_error(rates: Floats) -> None:
    """A ladder at a constant rate, which says nothing of decay, is one of them."""
    law = law_or_refusal([FALLING] * 3, rates)

    assert law is None or is_finite(law)


@settings(max_examples=15)
@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(-2, 2), st.floats(0, 1)), min_size=1, max_size=3)
)
def test_any_power_laws_give_a_finite_law_or_one_fit_error(shapes: list[tuple[float, float, float, float]]) -> None:
    """Level, gain and exponent of each run as they like, with noise as it likes."""
    losses = [
        noisy(np.exp(level) + np.exp(gain) * STEPS**-slope, sd, n) for n, (level, gain, slope, sd) in enumerate(shapes)
    ]
    law = law_or_refusal(losses)

    assert law is None or is_finite(law)

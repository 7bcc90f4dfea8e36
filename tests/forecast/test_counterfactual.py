"""Other schedules for the rest of a run: what they end at, paired with the plan, and where the law cannot tell."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalewatch import EvidenceGrade, Run
from scalewatch.errors import ConfigError
from scalewatch.forecast import Forecaster
from scalewatch.forecast import candidate_schedules as of
from scalewatch.forecast.counterfactual import Outcome, Position, position, what_if
from scalewatch.laws import CurveLaw
from tests.synthetic import Floats, TrueLaw, constant, cosine, fitted, noisy, planned, wsd

TOTAL, HALF = 2_000, 1_000
TRUE = TrueLaw()


@cache
def law() -> CurveLaw:
    return fitted()


def followed(plan: Floats, until: int = HALF, *, ladder: bool = True, known: bool = True) -> Forecaster:
    """A run of 8M parameters that follows the true law on `plan`, up to a step."""
    run = planned(plan) if known else Run("blind", total_steps=len(plan), parameters=8_000_000, tokens_per_step=2_000)
    forecaster = Forecaster(run, law() if ladder else None)
    losses = noisy(TRUE.losses(plan, 8e6), 0.01, 5)
    for step in range(1, until + 1):
        forecaster.observe(step, float(losses[step - 1]), float(plan[step - 1]))
    return forecaster


def at(forecaster: Forecaster) -> Position:
    found = position(forecaster)
    assert found is not None
    return found


def true_end(plan: Floats, rest: Floats, until: int = HALF) -> float:
    return float(TRUE.losses(np.concatenate([plan[:until], rest]), 8e6)[-1])


def one(forecaster: Forecaster, alternative: of.Alternative) -> Outcome:
    return what_if(forecaster, [alternative])[1]


@pytest.mark.parametrize("ladder", [True, False], ids=["ladder", "alone"])
@pytest.mark.parametrize("shape", ["linear", "1-sqrt"])
def test_a_decay_at_the_end_of_a_constant_rate_gains_what_the_law_gives(shape: str, ladder: bool) -> None:
    """Half way through a constant rate; alone, a run knows the direction, and with a ladder the size of it too."""
    plan = constant(TOTAL)
    forecaster = followed(plan, ladder=ladder)
    alternative = of.hold_then_decay(at(forecaster).rate, HALF, TOTAL, shape=shape)
    outcome = one(forecaster, alternative)
    low, high = outcome.difference_interval(0.95)

    assert high < 0, "a decay gains"
    assert not ladder or low < true_end(plan, alternative.rates) - true_end(plan, plan[HALF:]) < high
    assert EvidenceGrade.B == outcome.evidence_grade


def test_the_plan_itself_differs_by_nothing_and_ends_where_the_forecast_says() -> None:
    """The first outcome is the plan; a schedule equal to it has a difference of zero and no error at all."""
    plan = cosine(TOTAL)
    forecaster = followed(plan)
    first, same = what_if(forecaster, [of.given(plan[HALF:])])
    forecast = forecaster.forecast()
    assert forecast is not None

    assert ("as planned", TOTAL, 0.0) == (first.name, first.total_steps, first.difference)
    assert (0.0, 0.0) == pytest.approx(same.difference_interval(0.95), abs=1e-9)
    assert forecast.final_loss == pytest.approx(first.final_loss, abs=1e-3)
    assert forecast.interval(0.8) == pytest.approx(first.interval(0.8), abs=2e-3)


def test_differences_are_surer_than_the_two_losses() -> None:
    """Paired within the posterior: the error that both share cancels."""
    forecaster = followed(cosine(TOTAL))
    outcome = one(forecaster, of.hold_then_decay(at(forecaster).rate, HALF, TOTAL))

    assert np.diff(outcome.difference_interval(0.8))[0] < 0.7 * np.diff(outcome.interval(0.8))[0]


def test_more_steps_end_lower_and_fewer_higher() -> None:
    """And the steps and tokens that they use are told."""
    plan = cosine(TOTAL)
    forecaster = followed(plan)
    longer, shorter = (one(forecaster, of.extended(plan[HALF:], steps)) for steps in (600, -600))

    assert longer.difference < 0 < shorter.difference
    assert (TOTAL + 600, 2_000.0 * (TOTAL + 600)) == (longer.total_steps, longer.tokens)
    truth = true_end(plan, of.extended(plan[HALF:], 600).rates)
    assert longer.interval(0.95)[0] < truth < longer.interval(0.95)[1]


def test_decaying_now_ends_the_run_in_a_tenth_of_its_steps() -> None:
    """It uses 10 % of the steps so far, ends at zero, and its loss is in the interval."""
    plan = constant(TOTAL)
    forecaster = followed(plan)
    alternative = of.decay_now(at(forecaster).rate, HALF)
    outcome = one(forecaster, alternative)

    assert HALF + 100 == outcome.total_steps
    assert 0.0 == alternative.rates[-1]
    low, high = outcome.interval(0.95)
    assert low < true_end(plan, alternative.rates) < high


def test_a_rate_above_every_rate_so_far_is_out_of_range_and_says_so() -> None:
    """It is graded C, noted, and its error is as large as what it promises: nobody is told a sure gain."""
    plan = constant(TOTAL)
    forecaster = followed(plan)
    outcome = one(forecaster, of.scaled(plan[HALF:], 3.0))
    low, high = outcome.difference_interval(0.8)

    assert EvidenceGrade.C == outcome.evidence_grade
    assert "3 times the highest rate so far" in outcome.notes[0]
    assert low < 0 < high


def test_a_rate_that_rises_again_and_a_run_many_times_as_long_are_graded_lower() -> None:
    """Both are outside of what the law was calibrated on."""
    plan = wsd(TOTAL, decay=0.6)
    forecaster = followed(plan, 1_500)
    again = one(forecaster, of.hold(float(plan.max()), 500))
    long = one(forecaster, of.extended(plan[1_500:], 5 * TOTAL))

    assert [EvidenceGrade.C, EvidenceGrade.C] == [again.evidence_grade, long.evidence_grade]
    assert "rises again" in again.notes[0]
    assert "as long as planned" in long.notes[0]


def test_without_a_plan_all_is_compared_with_holding_the_rate() -> None:
    """The first outcome is then the held rate, and a decay is better than it."""
    plan = constant(TOTAL)
    forecaster = followed(plan, known=False)
    now = at(forecaster)
    first, decayed = what_if(forecaster, [of.hold_then_decay(now.rate, now.left, TOTAL)])

    assert not now.planned
    assert "hold" == first.name
    assert decayed.difference_interval(0.8)[1] < 0


def test_before_there_is_a_forecast_and_after_the_end_nothing_is_said() -> None:
    """An error says what is missing, instead of a number."""
    plan = cosine(TOTAL)
    for until in (0, 5, TOTAL):
        with pytest.raises(ConfigError, match="past its warm-up, before its end"):
            what_if(followed(plan, until, ladder=False), [])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: of.given([]), "`rates`"),
        (lambda: of.given([1.0, float("nan")]), "finite"),
        (lambda: of.given([-1.0]), "not negative"),
        (lambda: of.hold_then_decay(1.0, 10, 100, share=0.0), "`share`"),
        (lambda: of.hold_then_decay(1.0, 10, 100, shape="cubic"), "`shape`"),
        (lambda: of.decay_now(1.0, 10, 2.0), "`share`"),
        (lambda: of.scaled(np.ones(3), -1.0), "`factor`"),
        (lambda: of.extended(np.ones(3), -3), "`steps`"),
    ],
)
def test_a_schedule_that_is_none_is_refused(make: object, words: str) -> None:
    """With the argument's name."""
    with pytest.raises(ConfigError, match=words):
        make()  # type: ignore[operator]


@given(st.integers(1, 500), st.integers(1, 500), st.floats(0.01, 1.0), st.sampled_from(["linear", "1-sqrt"]))
def test_every_decay_falls_from_the_present_rate_to_zero(done: int, left: int, share: float, shape: str) -> None:
    """As many rates as steps are left, none above the present one, never rising, zero at the end."""
    rates = of.hold_then_decay(3e-4, left, done + left, share, shape).rates

    assert left == len(rates)
    assert rates.max() <= 3e-4
    assert np.all(np.diff(rates) <= 0)
    assert 0.0 == rates[-1]


@settings(max_examples=15, deadline=None)
@given(st.floats(0.05, 1.0), st.floats(0.05, 1.0))
def test_differences_add_up(one_share: float, other_share: float) -> None:
    """What two schedules differ by from the plan is what their losses differ by."""
    forecaster = followed(constant(TOTAL))
    rate = at(forecaster).rate
    a, b = (of.hold_then_decay(rate, HALF, TOTAL, share) for share in (one_share, other_share))
    _, first, second = what_if(forecaster, [a, b])

    assert first.difference - second.difference == pytest.approx(first.final_loss - second.final_loss, abs=0.01)


def test_published_counterfactuals_lie_in_their_intervals(data_folder: Path) -> None:
    """Runs that shared a constant rate and then went different ways: the way not taken is predicted from the one taken.

    The true gains are 0.016 to 0.084 nats; the median error is below 0.02, and at least four of five are held.
    """
    pandas = pytest.importorskip("pandas")
    curves = pandas.read_parquet(data_folder / "curves.parquet")
    curves = curves[curves.run_id.str.startswith("multipowerlaw/")]
    curves = curves[curves.lr.notna() & curves.loss.notna()]
    runs = {name.split("/")[1]: rows.sort_values("step") for name, rows in curves.groupby("run_id", observed=True)}
    errors, held = [], []
    for size in ("25M", "100M"):
        ways = [("wsd_20000_24000", n, 24_000) for n in (5_000, 10_000, 19_900)]
        ways += [("wsdld_20000_24000", n, 24_000) for n in (5_000, 10_000, 19_900)]
        ways += [(f"wsdcon_{k}", 7_900, 16_000) for k in (3, 9, 18)]
        for other, until, total in ways:
            if runs[f"{size}_{other}"].step.max() < 0.98 * total:
                continue
            truth, outcome = _way(runs[f"{size}_constant_24000"], runs[f"{size}_{other}"], until, total)
            low, high = outcome.difference_interval(0.8)
            errors.append(abs(outcome.difference - truth))
            held.append(low <= truth <= high)

    assert len(held) >= 12
    assert np.median(errors) < 0.02
    assert np.mean(held) >= 0.8


def _way(taken, other, until: int, total: int) -> tuple[float, Outcome]:  # type: ignore[no-untyped-def]
    """The true gain of the way not taken, and what is said of it."""
    every = np.arange(1, total + 1)
    rates = [np.interp(every, [0, *rows.step], [0.0, *rows.lr]) for rows in (taken, other)]
    forecaster = Forecaster(Run("taken", learning_rates=rates[0]))
    for step, loss in zip(taken.step.tolist(), taken.loss.tolist(), strict=True):
        if step <= until:
            forecaster.observe(step, loss, float(rates[0][step - 1]))
    last = [rows.loss[(rows.step <= total) & (rows.step > 0.98 * total)].mean() for rows in (taken, other)]
    return last[1] - last[0], one(forecaster, of.given(rates[1][forecaster.blocks.last_step :]))

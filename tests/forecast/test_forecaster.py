"""A run is followed against its law, and its end is known better and better."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalewatch import Forecast, Run
from scalewatch.forecast import Forecaster
from scalewatch.laws import CurveLaw
from tests.synthetic import TOKENS_PER_STEP, Floats, TrueLaw, constant, cosine, fitted, noisy, planned, wsd

TRUE = TrueLaw()
TOTAL, SIZE = 1500, 8e6
PLAN = cosine(TOTAL)


@pytest.fixture(scope="module")
def law() -> CurveLaw:
    """The law of three smaller runs."""
    return fitted()


def final(plan: Floats = PLAN, size: float = SIZE) -> float:
    losses = TRUE.losses(plan, size)
    return float(losses[-len(losses) // 50 :].mean())


def blind(total: int | None = TOTAL, size: int | None = 8_000_000) -> Run:
    """A run whose schedule nobody told."""
    return Run("blind", total, parameters=size, tokens_per_step=TOKENS_PER_STEP)


def follow(
    forecaster: Forecaster,
    losses: Floats,
    rates: Floats | None = PLAN,
    until: int | None = None,
    first: int = 1,
    every: int = 1,
) -> Forecast | None:
    """Let it see the rows `first` to `until`; return what it says then."""
    for step in range(first, (len(losses) if until is None else until) + 1, every):
        rate = None if rates is None else float(rates[step - 1])
        forecaster.observe(step, float(losses[step - 1]), rate)
    return forecaster.forecast()


def told(forecast: Forecast | None) -> Forecast:
    assert forecast is not None
    return forecast


def width(forecast: Forecast | None) -> float:
    low, high = told(forecast).interval(0.8)
    return high - low


def noise(seed: int = 0, sd: float = 0.01, plan: Floats = PLAN) -> Floats:
    return noisy(TRUE.losses(plan, SIZE), sd, seed)


# --- before the start -----------------------------------------------------------------------------


def test_a_law_says_the_end_before_the_first_step(law: CurveLaw) -> None:
    """A prediction at step 0, within 1 %, with an interval that holds the truth."""
    forecast = told(Forecaster(planned(PLAN), law).forecast())
    low, high = forecast.interval(0.8)

    assert (0, TOTAL, True, ()) == (forecast.step, forecast.total_steps, forecast.schedule_known, forecast.notes)
    assert pytest.approx(final(), rel=0.01) == forecast.final_loss
    assert low < final() < high


def test_without_a_law_nothing_is_said_before_the_start() -> None:
    """A run alone knows nothing of itself yet."""
    assert Forecaster(planned(PLAN)).forecast() is None


@pytest.mark.parametrize("rates", [None, [0.0], [math.nan], [0.0, 0.0]])
def test_a_law_without_a_plan_says_nothing_before_a_rate_was_seen(law: CurveLaw, rates: list[float] | None) -> None:
    """No schedule, no walk: that is no fault, and asking twice is none either."""
    forecaster = Forecaster(blind(), law)
    for step, rate in enumerate(rates or [], 1):
        forecaster.observe(step, 5.0, rate)

    assert rates == [math.nan] or forecaster.forecast() is None
    follow(forecaster, noise(), until=300, first=3)
    assert forecaster.forecast() is not None


def test_what_was_expected_is_kept(law: CurveLaw) -> None:
    """What was registered stands while the forecast moves on, so that both can be held against the outcome."""
    forecaster = Forecaster(planned(PLAN), law)
    promised = told(forecaster.baseline).final_loss
    before = forecaster.expected_at(TOTAL)
    follow(forecaster, 1.1 * noise(), until=700)

    assert promised == told(forecaster.baseline).final_loss
    assert before == forecaster.expected_at(TOTAL)
    assert told(forecaster.forecast()).final_loss > 1.03 * promised
    assert forecaster.expected_at(1) is None


# --- on the way -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("progress", "error"), [(0.1, 0.012), (0.3, 0.01), (0.5, 0.01), (0.9, 0.003), (1.0, 0.003)])
@pytest.mark.parametrize("seed", range(3))
def test_with_a_law_the_forecast_comes_ever_closer(law: CurveLaw, progress: float, error: float, seed: int) -> None:
    """Under a known schedule, 1.2 % at a tenth of the run and 0.3 % near its end."""
    forecast = told(follow(Forecaster(planned(PLAN), law), noise(seed), until=int(progress * TOTAL)))

    assert pytest.approx(final(), rel=error) == forecast.final_loss


@pytest.mark.parametrize(("progress", "error"), [(0.2, 0.03), (0.5, 0.01), (0.9, 0.005)])
@pytest.mark.parametrize("seed", range(3))
def test_without_a_law_the_run_itself_tells(progress: float, error: float, seed: int) -> None:
    """No earlier runs: 3 % at a fifth, half a percent near the end."""
    forecast = told(follow(Forecaster(planned(PLAN)), noise(seed), until=int(progress * TOTAL)))

    assert forecast.law_gap is None
    assert pytest.approx(final(), rel=error) == forecast.final_loss


@pytest.mark.parametrize("with_law", [True, False])
def test_the_interval_shrinks_as_the_run_goes_on(law: CurveLaw, with_law: bool) -> None:
    """What has been seen need not be guessed."""
    forecaster = Forecaster(planned(PLAN), law if with_law else None)
    losses, widths, seen = noise(), [], 0
    for progress in (0.1, 0.3, 0.6, 0.9):
        widths.append(width(follow(forecaster, losses, until=int(progress * TOTAL), first=seen + 1)))
        seen = int(progress * TOTAL)

    assert all(later < 1.05 * earlier for earlier, later in pairwise(widths))
    assert widths[-1] < 0.35 * widths[0]


@pytest.mark.parametrize("with_law", [True, False])
def test_the_interval_holds_the_truth_over_many_runs(law: CurveLaw, with_law: bool) -> None:
    """At a third of the run, 80 % intervals hold at least 60 % of the ends of twelve noisy runs."""
    held = []
    for seed in range(12):
        low, high = told(
            follow(Forecaster(planned(PLAN), law if with_law else None), noise(seed), until=TOTAL // 3)
        ).interval(0.8)
        held.append(low < final() < high)

    assert sum(held) >= 0.6 * len(held)


def test_a_run_without_noise_is_forecast_too(law: CurveLaw) -> None:
    """A smooth validation curve has no batch noise at all: finite, and right."""
    for each in (law, None):
        forecast = told(follow(Forecaster(planned(PLAN), each), TRUE.losses(PLAN, SIZE), until=TOTAL // 2))

        assert pytest.approx(final(), rel=0.01) == forecast.final_loss
        assert 0 < width(forecast) < 0.2


def test_a_sparse_log_is_forecast_like_a_dense_one(law: CurveLaw) -> None:
    """A row every ten steps tells nearly as much, and its interval is no narrower."""
    losses = noise()
    dense, sparse = (
        told(follow(Forecaster(planned(PLAN), law), losses, until=900, every=every, first=every)) for every in (1, 10)
    )

    assert pytest.approx(dense.final_loss, rel=0.01) == sparse.final_loss
    assert width(sparse) > 0.9 * width(dense)


# --- what may be unknown --------------------------------------------------------------------------


@pytest.mark.parametrize("with_law", [True, False])
def test_an_unknown_schedule_widens_the_interval_and_says_so(law: CurveLaw, with_law: bool) -> None:
    """Half way through a constant rate nobody knows whether it will be held or decayed: both ends are in it."""
    plan = wsd(TOTAL, decay=0.3)
    losses = noise(plan=plan)
    each = law if with_law else None
    known = told(follow(Forecaster(planned(plan), each), losses, plan, until=TOTAL // 2))
    unknown = told(follow(Forecaster(blind(), each), losses, plan, until=TOTAL // 2))
    low, high = unknown.interval(0.9)

    assert not unknown.schedule_known
    assert width(unknown) > 1.2 * width(known)
    assert any("learning rates to come are unknown" in note for note in unknown.notes)
    assert low < final(plan) < high
    assert low < final(constant(TOTAL)) < high


@pytest.mark.parametrize("rates", [None, np.full(TOTAL, math.nan), np.full(TOTAL, -1.0), np.full(TOTAL, math.inf)])
def test_a_run_that_shows_no_rate_is_taken_to_hold_one(rates: Floats | None) -> None:
    """Neither plan nor learning rate in the log: a forecast with both futures in it."""
    plan = constant(TOTAL)
    forecast = told(follow(Forecaster(blind()), noise(plan=plan), rates, until=TOTAL // 2))
    low, high = forecast.interval(0.95)

    assert low < final(plan) < high


@pytest.mark.parametrize("first", [0.0, None, math.nan], ids=["zero", "missing", "nan"])
def test_the_first_rate_of_a_log_may_be_zero_or_missing(first: float | None) -> None:
    """A warm-up from nothing, or a first row without a rate, does not spoil the schedule that follows."""
    losses = noise()
    usual, odd = Forecaster(blind()), Forecaster(blind())
    odd.observe(1, float(losses[0]), first)
    usual.observe(1, float(losses[0]), float(PLAN[0]))
    expected, forecast = (told(follow(f, losses, until=700, first=2)) for f in (usual, odd))

    assert pytest.approx(expected.final_loss, rel=1e-3) == forecast.final_loss
    assert pytest.approx(width(expected), rel=0.03) == width(forecast)


def test_a_run_without_an_end_has_no_forecast() -> None:
    """Nobody plans to stop: there is nothing to forecast, and the loss is followed all the same."""
    forecaster = Forecaster(blind(None))

    assert follow(forecaster, noise(), until=500) is None
    assert forecaster.law_gap() is None
    assert pytest.approx(noise()[490:500].mean(), rel=0.02) == forecaster.blocks.losses[-1]


def test_a_run_without_a_size_takes_the_shape_of_the_law_and_not_its_level(law: CurveLaw) -> None:
    """No promise and no gap; from its own rows on a forecast, which says what is missing."""
    forecaster = Forecaster(planned(PLAN, None), law)

    assert forecaster.forecast() is None
    forecast = told(follow(forecaster, noise(), until=TOTAL // 2))
    assert any("does not say its size" in note for note in forecast.notes)
    assert forecast.law_gap is None
    assert pytest.approx(final(), rel=0.01) == forecast.final_loss


def test_a_run_without_tokens_is_told_what_the_law_misses(law: CurveLaw) -> None:
    """A law that counts tokens and a run that does not: a forecast with a note."""
    forecast = told(Forecaster(planned(PLAN, tokens_per_step=None), law).forecast())

    assert any("law counts tokens" in note for note in forecast.notes)


@pytest.mark.parametrize(("size", "says"), [(3.9e7, False), (4.1e7, True), (4e9, True)])
def test_far_beyond_the_largest_run_the_forecast_says_so(law: CurveLaw, size: float, says: bool) -> None:
    """Past ten times the largest size of the ladder the intervals are not to be relied on."""
    notes = told(Forecaster(planned(PLAN, size), law).forecast()).notes

    assert says == any("unreliable past 10x" in note for note in notes)


def test_far_longer_than_the_longest_run_the_forecast_says_so(law: CurveLaw) -> None:
    """So does one of twenty times the tokens."""
    notes = told(Forecaster(planned(cosine(20_000)), law).forecast()).notes

    assert any("longer than the longest fitted run" in note for note in notes)


def test_further_from_the_ladder_the_interval_is_wider(law: CurveLaw) -> None:
    """A law is a claim with an error, and the error grows with the distance."""
    widths = [width(Forecaster(planned(PLAN, size), law).forecast()) for size in (2e6, 1e7, 1e8, 1e9)]

    assert sorted(widths) == widths
    assert widths[-1] > 1.5 * widths[0]


def test_during_the_warm_up_a_run_alone_says_nothing() -> None:
    """Before its peak the loss follows no law."""
    plan = cosine(TOTAL, warmup=300)
    forecaster = Forecaster(planned(plan))

    assert follow(forecaster, noise(plan=plan), plan, until=350) is None
    assert follow(forecaster, noise(plan=plan), plan, until=700, first=351) is not None


@pytest.mark.parametrize("total", [1, 2, 5, 30])
def test_a_tiny_run_breaks_nothing(law: CurveLaw, total: int) -> None:
    """A smoke test of three steps is watched like any other run."""
    plan = cosine(total, warmup=1)
    for run in (planned(plan), blind(total)):
        for each in (law, None):
            forecaster = Forecaster(run, each)
            follow(forecaster, np.full(total, 3.0), plan)
            forecast = forecaster.forecast()
            assert forecast is None or bool(np.all(np.isfinite(forecast.interval())))


# --- off its law ----------------------------------------------------------------------------------


@pytest.mark.parametrize("stretch", [0.5, 0.8, 1.0, 1.25, 2.0])
@pytest.mark.parametrize("progress", [0.3, 0.6, 1.0])
def test_the_token_ratio_is_that_of_a_run_with_so_many_tokens(law: CurveLaw, stretch: float, progress: float) -> None:
    """A run on the curve that the law gives k times its tokens is told that it stands at k times its tokens."""
    losses = noisy(TRUE.losses(PLAN, SIZE, stretch=stretch), 0.003, 0)
    forecaster = Forecaster(planned(PLAN), law)
    follow(forecaster, losses, until=int(progress * TOTAL))
    gap = forecaster.law_gap()

    assert gap is not None
    assert pytest.approx(stretch, rel=0.12) == gap.token_ratio
    assert gap.tokens == TOKENS_PER_STEP * gap.step
    assert stretch == 1.0 or (gap.nats > 0) == (stretch < 1.0)


def test_a_loss_below_all_that_the_law_gives_has_no_token_ratio(law: CurveLaw) -> None:
    """No amount of data explains it: there is a leak to look for."""
    forecaster = Forecaster(planned(PLAN), law)
    follow(forecaster, 0.5 * noise(), until=TOTAL // 2)
    gap = forecaster.law_gap()

    assert gap is not None
    assert gap.token_ratio is None
    assert gap.sigmas < -10


def test_the_gap_is_to_what_the_law_said_before_the_run(law: CurveLaw) -> None:
    """Not to a forecast that has long learned from the run."""
    forecaster = Forecaster(planned(PLAN), law)
    follow(forecaster, 1.05 * noise(), until=TOTAL // 2)
    gap = forecaster.law_gap()

    assert gap is not None
    assert pytest.approx(0.05, abs=0.012) == gap.nats / gap.expected
    expected, sd = forecaster.expected_at(gap.step) or (0.0, 0.0)
    assert pytest.approx(expected, rel=1e-3) == gap.expected
    assert pytest.approx(sd, rel=0.1) == gap.sd


# --- resume and rewind ----------------------------------------------------------------------------

RUNS: dict[str, Callable[[], Run]] = {"planned": lambda: planned(PLAN), "blind": blind}


@pytest.mark.parametrize("kind", RUNS)
@pytest.mark.parametrize("with_law", [True, False])
@settings(max_examples=8)
@given(cut=st.integers(1, TOTAL - 1))
def test_a_resumed_run_is_forecast_bit_for_bit(law: CurveLaw, kind: str, with_law: bool, cut: int) -> None:
    """Saved through JSON at any step: what follows is what would have followed."""
    losses, each = noise(), law if with_law else None
    whole, before, after = (Forecaster(RUNS[kind](), each) for _ in range(3))
    follow(before, losses, until=cut)
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    expected = follow(whole, losses, until=TOTAL - 1)
    forecast = follow(after, losses, until=TOTAL - 1, first=cut + 1)

    assert json.dumps(whole.state_dict()) == json.dumps(after.state_dict())
    assert (told(expected).final_loss, told(expected).interval()) == (
        told(forecast).final_loss,
        told(forecast).interval(),
    )


def test_a_state_is_plain_and_small() -> None:
    """Ints, floats, strings, lists and dicts, well below the 64 KiB of a checkpoint, also of a long run."""
    forecaster = Forecaster(blind(1_000_000))
    for step in range(100, 1_000_000, 100):
        forecaster.observe(step, 3.0, 1e-3 / 7 * math.cos(1.5e-6 * step))
    state = forecaster.state_dict()

    assert {int, float, list, dict, str} >= set(kinds_in(state))
    assert len(json.dumps(state)) < 50 * 1024


def kinds_in(value: object) -> list[type]:
    if isinstance(value, dict):
        return [type(value), *(kind for k, v in value.items() for kind in (type(k), *kinds_in(v)))]
    if isinstance(value, list):
        return [type(value), *(kind for v in value for kind in kinds_in(v))]
    return [type(value)]


def test_a_plan_found_on_resume_replaces_the_schedule_that_was_followed() -> None:
    """A run that had no plan when it was saved may know one now, and the other way round."""
    losses = noise()
    for old, new in ((blind(), planned(PLAN)), (planned(PLAN), blind())):
        before, after = Forecaster(old), Forecaster(new)
        follow(before, losses, until=600)
        after.load_state_dict(before.state_dict())
        forecast = told(follow(after, losses, until=900, first=601))

        assert pytest.approx(final(), rel=0.03) == forecast.final_loss


@pytest.mark.parametrize("kind", RUNS)
def test_a_run_that_goes_back_is_forecast_as_if_it_had_never_gone_on(law: CurveLaw, kind: str) -> None:
    """The rows after the checkpoint, which went wrong, are forgotten."""
    losses = noise()
    straight, detour = Forecaster(RUNS[kind](), law), Forecaster(RUNS[kind](), law)
    follow(detour, np.concatenate([losses[:700], np.full(400, 7.0)]), until=1100)
    detour.rewind(701)
    expected, forecast = follow(straight, losses, until=1200), follow(detour, losses, until=1200, first=701)

    assert pytest.approx(told(expected).final_loss, rel=3e-3) == told(forecast).final_loss
    assert pytest.approx(width(expected), rel=0.1) == width(forecast)


@pytest.mark.parametrize("step", [1, 2, 10, 300, 1500, 10**6])
def test_a_rewind_to_any_step_breaks_nothing(step: int) -> None:
    """Back to the start, or to a step that was never reached."""
    losses = noise()
    forecaster = Forecaster(blind())
    follow(forecaster, losses, until=1000)
    forecaster.rewind(step)
    forecast = follow(forecaster, losses, first=max(min(step, 1001), 1))

    assert pytest.approx(final(), rel=0.02) == told(forecast).final_loss


def test_a_broken_step_does_not_end_the_forecast_of_an_unplanned_run() -> None:
    """One row with a step beyond the run, then back: the schedule is followed on."""
    losses = noise()
    usual, odd = Forecaster(blind()), Forecaster(blind())
    follow(odd, losses, until=500)
    odd.observe(2**62, 3.0, 1e-4)
    odd.rewind(501)
    expected, forecast = (told(follow(f, losses, until=1000, first=first)) for f, first in ((usual, 1), (odd, 501)))

    assert pytest.approx(expected.final_loss, rel=5e-3) == forecast.final_loss


def test_what_was_seen_twice_counts_once() -> None:
    """A step that does not rise is passed over."""
    losses = noise()
    once, twice = Forecaster(planned(PLAN)), Forecaster(planned(PLAN))
    follow(once, losses, until=400)
    for step in range(1, 401):
        for _ in range(2):
            twice.observe(step, float(losses[step - 1]), None)

    assert once.state_dict() == twice.state_dict()


# --- what must not bend it ------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [5e-324, 1e-200, 1e200, 1.7e308])
def test_a_loss_that_is_none_is_not_learned_from(law: CurveLaw, loss: float) -> None:
    """Values that a broken log may hold change nothing, and a log of nothing else breaks nothing."""
    losses = noise()
    spoilt = np.where(np.arange(TOTAL) % 7 == 3, loss, losses)
    expected = follow(Forecaster(planned(PLAN), law), losses, until=900)
    forecast = follow(Forecaster(planned(PLAN), law), spoilt, until=900)

    assert pytest.approx(told(expected).final_loss, rel=3e-3) == told(forecast).final_loss
    assert told(follow(Forecaster(planned(PLAN), law), np.full(TOTAL, loss))).step == 0


def test_rows_of_an_incident_are_not_learned_from(law: CurveLaw) -> None:
    """A row that is not clean moves nothing but the schedule."""
    losses = noise()
    forecaster = Forecaster(planned(PLAN), law)
    follow(forecaster, losses, until=600)
    before = forecaster.state_dict()
    closed = [forecaster.observe(step, 9.0, None, clean=False) for step in range(601, 650)]

    assert before == forecaster.state_dict()
    assert not any(closed)


# --- cost -----------------------------------------------------------------------------------------


def test_a_forecast_late_in_a_long_run_costs_what_it_costs_early_in_a_short_one() -> None:
    """A thousand times the steps is less than twice the time, and a tenth of a second at most."""

    def seconds(total: int) -> float:
        forecaster = Forecaster(planned(cosine(total, warmup=total // 50)))
        steps = np.unique(np.geomspace(1, 0.9 * total, 3_000).astype(int))
        for step, loss in zip(steps.tolist(), (2.0 + 3.0 * steps**-0.3).tolist(), strict=True):
            forecaster.observe(step, loss, None)
        best = math.inf
        for _ in range(5):
            forecaster.observe(forecaster.blocks.last_step + 1, 2.5, None)
            began = time.process_time()
            assert forecaster.forecast() is not None
            best = min(best, time.process_time() - began)
        return best

    assert seconds(1_000_000) < max(3.0 * seconds(1_000), 0.02)


def test_asking_twice_costs_nothing() -> None:
    """Between two rows the forecast is the same object."""
    forecaster = Forecaster(planned(PLAN))
    first = follow(forecaster, noise(), until=500)

    assert first is forecaster.forecast()

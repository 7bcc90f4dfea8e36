"""Runs that are not what was planned or promised: they are recognised, in the findings or in the doubts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scalewatch import Finding, Forecast, Kind, Monitor, Run
from scalewatch.fitting import fit_curves
from scalewatch.forecast import Forecaster
from scalewatch.forecast.validity import disagreement, validity_warnings
from scalewatch.laws import CurveLaw
from tests.synthetic import Floats, TrueLaw, cosine, ladder, noisy, planned, rows, watch

TOTAL = 2_000
SIZE = 8e6
PLAN = cosine(TOTAL)
TRUE = TrueLaw()
STEP = np.arange(1, TOTAL + 1)
CLEAN = noisy(TRUE.losses(PLAN, SIZE), 0.01, 0)


@pytest.fixture(scope="module")
def law() -> CurveLaw:
    """The law of ten runs of five sizes."""
    sizes = [(size, steps) for size in (1e6, 1.5e6, 2e6, 3e6, 4e6) for steps in (600, 1_000)]
    return fit_curves(ladder(sizes=sizes, run_sd=0.003))


def seen(
    losses: Floats, law: CurveLaw | None = None, rates: Floats | None = PLAN, until: int = TOTAL, run: Run | None = None
) -> tuple[Monitor, list[Finding]]:
    monitor = Monitor(planned(PLAN, SIZE) if run is None else run, law)
    return monitor, watch(monitor, rows(losses[:until], None if rates is None else rates[:until]))


def doubted(monitor: Monitor) -> str:
    assert monitor.forecaster is not None
    return " ".join(
        doubt.text
        for doubt in validity_warnings(monitor.forecaster.blocks, monitor.run.total_steps, monitor.why_no_forecast())
    )


def width(forecast: Forecast) -> float:
    low, high = forecast.interval(0.8)
    return high - low


def kinds(found: list[Finding]) -> set[Kind]:
    return {each.kind for each in found}


def test_a_healthy_run_is_not_doubted(law: CurveLaw) -> None:
    """With and without a law, at any part of it."""
    for each in (law, None):
        for until in (400, 1_000, TOTAL):
            monitor, found = seen(CLEAN, each, until=until)

            assert "" == doubted(monitor)
            assert [] == found


@pytest.mark.parametrize("factor", [0.2, 0.5, 2.0])
def test_a_schedule_that_changes_in_mid_run_is_noted_and_its_end_lies_in_the_interval(factor: float) -> None:
    """From 40 % on another rate than planned: a note with the factor, and the rates to come count as unknown."""
    real = np.where(STEP > 800, factor * PLAN, PLAN)
    losses = TRUE.losses(real, SIZE)
    monitor, found = seen(noisy(losses, 0.01, 0), rates=real, until=1_000)
    (note,) = [each for each in found if each.kind is Kind.OFF_PLAN]
    forecast = monitor.forecast()

    assert pytest.approx(factor) == note.evidence["factor"]
    assert 801 == note.start_step
    if forecast is None:
        assert factor > 1.0  # a rate above the highest so far is a warm-up, and too little is known after it
        return
    assert any("left its plan at step 801: the rates to come are unknown" in note for note in forecast.notes)
    assert not forecast.schedule_known
    low, high = forecast.interval(0.8)
    assert low < losses[-40:].mean() < high


def test_a_rate_that_comes_back_to_its_plan_is_forecast_by_the_plan_again() -> None:
    """A tenth of the run at half the rate, and then as planned."""
    real = np.where((STEP > 800) & (STEP <= 1_000), 0.5 * PLAN, PLAN)
    forecast = seen(noisy(TRUE.losses(real, SIZE), 0.01, 0), rates=real, until=1_400)[0].forecast()

    assert forecast is not None
    assert forecast.schedule_known


def test_a_run_that_left_its_plan_goes_on_from_its_state_as_if_nothing_had_been() -> None:
    """Saved and resumed off its plan: the same forecast, also after it went back to before the change."""
    real = np.where(STEP > 800, 0.5 * PLAN, PLAN)
    losses = noisy(TRUE.losses(real, SIZE), 0.01, 0)
    monitor, _ = seen(losses, rates=real, until=1_000)
    again = Monitor(planned(PLAN, SIZE))
    again.load_state_dict(monitor.state_dict())
    first, second = monitor.forecast(), again.forecast()
    watch(again, rows(CLEAN[:700], PLAN[:700])[600:])
    back = again.forecast()

    assert first is not None
    assert second is not None
    assert pytest.approx(first.final_loss) == second.final_loss
    assert back is not None
    assert back.schedule_known


def test_a_held_rate_is_noted_as_soon_as_it_differs_by_a_tenth() -> None:
    """A decay that did not begin."""
    real = np.where(STEP > 800, PLAN[799], PLAN)
    _, found = seen(noisy(TRUE.losses(real, SIZE), 0.01, 0), rates=real, until=1_200)

    assert Kind.OFF_PLAN in kinds(found)


def test_a_run_longer_than_planned_says_that_its_length_was_wrong() -> None:
    """Planned for 1,000 steps, and still training at 1,400."""
    monitor, _ = seen(CLEAN, rates=None, until=1_400, run=planned(cosine(1_000), SIZE))

    assert "beyond the 1,000 planned: its length was wrong" in doubted(monitor)


def test_a_run_whose_rates_are_of_half_the_length_is_off_its_plan() -> None:
    """Declared twice as long as its scheduler thinks: the rate tells long before the end."""
    monitor, found = seen(CLEAN, until=1_000, run=planned(cosine(2 * TOTAL), SIZE))

    forecast = monitor.forecast()

    assert Kind.OFF_PLAN in kinds(found)
    assert forecast is not None
    assert not forecast.schedule_known


@pytest.mark.parametrize("unit", ["bits", "perplexity"])
def test_another_unit_is_forecast_in_that_unit(unit: str) -> None:
    """Without a law the loss is what it is: bits per token or perplexities end where they end."""
    change = {"bits": lambda loss: loss / math.log(2.0), "perplexity": np.exp}[unit]
    monitor, _ = seen(change(CLEAN), until=TOTAL // 2)
    forecast = monitor.forecast()

    assert forecast is not None
    low, high = forecast.interval(0.95)
    assert low < change(CLEAN)[-40:].mean() < high


@pytest.mark.parametrize("unit", ["bits", "perplexity", "bits per byte"])
def test_another_unit_than_that_of_the_law_is_off_the_law_at_once(law: CurveLaw, unit: str) -> None:
    """A law in nats, a loss in something else: the earliest that anything is off its law, 15 % of the run later."""
    change = {
        "bits": lambda loss: loss / math.log(2.0),
        "perplexity": np.exp,
        "bits per byte": lambda loss: loss / math.log(2.0) / 4.2,
    }[unit]
    _, found = seen(change(CLEAN), law, until=int(0.2 * TOTAL))

    assert kinds(found) & {Kind.OFF_LAW, Kind.BETTER_THAN_LAW}
    assert all(float(f.evidence["chance"] or 0) < 1e-3 for f in found if f.kind in (Kind.OFF_LAW, Kind.BETTER_THAN_LAW))


def test_an_upturn_after_many_epochs_is_an_incident_that_suspends_the_forecast() -> None:
    """Held-out loss that rises from the middle on: paged, and while it is lost its forecast is suspended."""
    upturn = CLEAN + 0.6 * np.maximum((STEP - 1_000) / 1_000, 0.0) ** 1.5
    monitor, found = seen(upturn, until=1_600)
    forecast = monitor.forecast()

    assert Kind.DIVERGENCE in kinds(found)
    assert any(finding.pages for finding in found)
    assert monitor.open_incidents
    assert forecast is None
    assert "suspended since step" in monitor.why_no_forecast()


def upturned(height: float) -> tuple[Forecaster, Floats]:
    smooth = TRUE.losses(PLAN, SIZE) * np.exp(0.001 * np.random.default_rng(0).standard_normal(TOTAL))
    upturn = smooth + height * np.maximum((STEP - 1_000) / 1_000, 0.0)
    forecaster = Forecaster(planned(PLAN, SIZE))
    for step in range(1, 1_600):
        forecaster.observe(step, float(upturn[step - 1]), float(PLAN[step - 1]))
    return forecaster, upturn


def test_the_end_of_a_slow_upturn_lies_in_the_interval() -> None:
    """A smooth held-out curve that rises from the middle on; a rise that the decay outweighs is not seen as one."""
    forecaster, upturn = upturned(0.4)
    forecast = forecaster.forecast()

    assert forecast is not None
    low, high = forecast.interval(0.9)
    assert low < upturn[-40:].mean() < high
    assert any("has been rising" in note for note in forecast.notes)


def test_a_curve_that_is_back_where_it_began_has_no_forecast() -> None:
    """Laws of loss curves only fall: a number would be a wrong one."""
    forecaster, _ = upturned(0.8)

    assert forecaster.forecast() is None
    assert forecaster.why_none


def test_other_data_in_mid_run_widen_the_interval() -> None:
    """A step of the level by 5 % at 40 %: what comes is not what was forecast, and the interval says so."""
    changed = np.where(STEP > 800, 0.95, 1.0) * CLEAN
    forecast, before = seen(changed, until=1_200)[0].forecast(), seen(CLEAN, until=1_200)[0].forecast()

    assert forecast is not None
    assert before is not None
    assert forecast.surprise > 1.5
    assert width(forecast) > 2.0 * width(before)
    assert any("Earlier forecasts missed" in note for note in forecast.notes)


def test_fine_tuning_near_zero_loss_is_doubted() -> None:
    """A model that recites its data: no law of pre-training is about that."""
    tuned = noisy(np.maximum(0.5 * np.exp(-STEP / 150.0), 0.002) + 0.001, 0.3, 1)
    for until in (600, 1_000, 1_800):
        monitor, _ = seen(tuned, until=until)

        assert "recites its data" in doubted(monitor)
        assert monitor.forecast() is None


@pytest.mark.parametrize("factor", [1.25, 0.8])
def test_a_ladder_of_another_tokenizer_is_told_from_the_first_fifth(law: CurveLaw, factor: float) -> None:
    """Fewer or more nats a token from the first on: off the law before a fifth, by an offset from the start on."""
    _, found = seen(factor * CLEAN, law, until=TOTAL // 2)
    (said,) = [each for each in found if each.kind in (Kind.OFF_LAW, Kind.BETTER_THAN_LAW)]

    assert said.step < 0.2 * TOTAL
    assert "offset from the start" == said.evidence["way"]
    assert "an offset from the start on" in said.message


def test_a_ladder_of_the_same_tokenizer_is_not_contradicted(law: CurveLaw) -> None:
    """What a healthy run says of itself lies where its law says."""
    with_law, own = seen(CLEAN, law, until=1_000)[0].forecast(), seen(CLEAN, until=1_000)[0].forecast()

    assert with_law is not None
    assert own is not None
    assert disagreement(with_law, own) is None


@pytest.mark.parametrize("factor", [1.25, 0.8, 1.0 / math.log(2.0)])
def test_a_ladder_of_another_tokenizer_or_unit_is_not_trusted_in_mid_run(law: CurveLaw, factor: float) -> None:
    """The same curve in other units of loss: the interval holds where it ends, and says why it is wide."""
    monitor, _ = seen(factor * CLEAN, law, until=1_000)
    forecast = monitor.forecast()

    assert forecast is not None
    low, high = forecast.interval(0.9)
    assert low < factor * TRUE.losses(PLAN, SIZE)[-1] < high
    assert "The run is off its law, which counts for less here." in forecast.notes


@pytest.mark.parametrize("factor", [4.0, 0.25])
def test_a_ladder_of_another_batch_size_is_recognised_and_its_end_lies_in_the_interval(
    law: CurveLaw, factor: float
) -> None:
    """Four times as many sequences a step, or a quarter: a step gets further or less far than the law of steps says."""
    effective = factor * STEP  # far below the critical batch size, steps go with the tokens seen
    plan = cosine(int(factor * TOTAL))
    losses = np.interp(effective, np.arange(1, len(plan) + 1), TRUE.losses(plan, SIZE))
    batched = noisy(losses, 0.01 / math.sqrt(factor), 0)
    monitor, found = seen(batched, law, until=int(0.7 * TOTAL))
    forecast = monitor.forecast()

    assert kinds(found) & {Kind.OFF_LAW, Kind.BETTER_THAN_LAW}
    assert forecast is not None
    low, high = forecast.interval(0.95)
    assert low < batched[-40:].mean() < high


def test_no_forecast_is_below_zero(law: CurveLaw) -> None:
    """Fine-tuning that falls towards nothing is of no law of pre-training: no number rather than a wrong one."""
    falling = noisy(0.02 + 0.6 * np.exp(-STEP / 150), 0.05, 0)

    for each in (None, law):
        forecast = seen(falling, each, until=400)[0].forecast()
        assert forecast is None or forecast.final_loss > 0.0

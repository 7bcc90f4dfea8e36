"""Runs that are not what was planned or promised: they are recognised, in the findings or in the doubts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scalewatch import Finding, Kind, Monitor, Run
from scalewatch.forecast.doubts import disagreement, doubts
from scalewatch.laws import CurveLaw, fit_curves
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


def doubted(monitor: Monitor, rate: float | None = None) -> str:
    assert monitor.forecaster is not None
    return " ".join(doubt.text for doubt in doubts(monitor.forecaster, rate))


def kinds(found: list[Finding]) -> set[Kind]:
    return {each.kind for each in found}


def test_a_healthy_run_is_not_doubted(law: CurveLaw) -> None:
    """With and without a law, at any part of it."""
    for each in (law, None):
        for until in (400, 1_000, TOTAL):
            monitor, found = seen(CLEAN, each, until=until)

            assert "" == doubted(monitor, float(PLAN[until - 1]))
            assert [] == found


@pytest.mark.parametrize("factor", [0.2, 2.0])
def test_a_schedule_that_changes_in_mid_run_is_noted(factor: float) -> None:
    """From 40 % on another rate than planned: a note with the factor, and the forecast is said to be of the plan."""
    real = np.where(STEP > 800, factor * PLAN, PLAN)
    monitor, found = seen(noisy(TRUE.losses(real, SIZE), 0.01, 0), rates=real, until=1_000)
    (note,) = [each for each in found if each.kind is Kind.OFF_PLAN]

    assert pytest.approx(factor) == note.evidence["factor"]
    assert 801 == note.start_step
    assert "the forecast is that of the plan" in doubted(monitor, float(real[999]))


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

    assert Kind.OFF_PLAN in kinds(found)
    assert "the forecast is that of the plan" in doubted(monitor, float(PLAN[999]))


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


def test_an_upturn_after_many_epochs_is_an_incident_that_does_not_bend_the_forecast() -> None:
    """Held-out loss that rises from the middle on: paged; what was forecast is that of a run that recovers."""
    upturn = CLEAN + 0.6 * np.maximum((STEP - 1_000) / 1_000, 0.0) ** 1.5
    monitor, found = seen(upturn, until=1_600)

    assert Kind.DIVERGENCE in kinds(found)
    assert any(finding.pages for finding in found)
    assert monitor.open_incidents


def test_fine_tuning_near_zero_loss_is_doubted() -> None:
    """A model that recites its data: no law of pre-training is about that."""
    tuned = noisy(np.maximum(0.5 * np.exp(-STEP / 150.0), 0.002) + 0.001, 0.3, 1)
    for until in (600, 1_000, 1_800):
        monitor, _ = seen(tuned, until=until)

        assert "recites its data" in doubted(monitor)


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
    low, high = forecast.interval(0.8)
    assert low < factor * TRUE.losses(PLAN, SIZE)[-1] < high
    assert "The run is off its law, which counts for less here." in forecast.notes


def test_a_forecast_of_a_run_that_left_its_plan_says_that_it_is_of_the_plan() -> None:
    """Half the rate from 40 % on."""
    real = np.where(STEP > 800, 0.5 * PLAN, PLAN)
    monitor, _ = seen(noisy(TRUE.losses(real, SIZE), 0.01, 0), rates=real, until=1_000)
    forecast = monitor.forecast()

    assert forecast is not None
    assert any("left its plan at step 801" in note for note in forecast.notes)


def test_no_forecast_is_below_zero(law: CurveLaw) -> None:
    """Fine-tuning that falls towards nothing is of no law of pre-training: no number rather than a wrong one."""
    falling = noisy(0.02 + 0.6 * np.exp(-STEP / 150), 0.05, 0)

    for each in (None, law):
        forecast = seen(falling, each, until=400)[0].forecast()
        assert forecast is None or forecast.final_loss > 0.0

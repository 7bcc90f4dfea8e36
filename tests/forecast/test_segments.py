"""A curve that begins anew in mid-run: other data or context, noted or not, and trouble that does not pass."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scalewatch import Monitor, Observation, Run, Severity
from scalewatch.forecast import Forecast, Forecaster
from scalewatch.forecast.segments import newest_segment
from tests.synthetic import Floats, TrueLaw, constant, cosine, fitted, noisy, planned, wsd

TOTAL, AT, SIZE = 2000, 800, 8e6
PLAN = cosine(TOTAL)
CLEAN = noisy(TrueLaw().losses(PLAN, SIZE), 0.01, 1)
STEP = np.arange(1, TOTAL + 1)


def changed(share: float) -> Floats:
    """Losses that are `share` higher from step 801 on."""
    return np.where(STEP > AT, 1.0 + share, 1.0) * CLEAN


def followed(losses: Floats, until: int, *, noted: bool, law: bool = False) -> Forecaster:
    forecaster = Forecaster(planned(PLAN, SIZE), fitted() if law else None)
    for step in range(1, until + 1):
        if noted and step == AT + 1:
            forecaster.begin_phase(step)
        forecaster.observe(step, float(losses[step - 1]), None)
    return forecaster


def told(forecaster: Forecaster) -> Forecast:
    made = forecaster.forecast()
    assert made is not None, forecaster.why_none
    return made


@pytest.mark.parametrize("law", [False, True])
@pytest.mark.parametrize("share", [-0.2, -0.05, 0.05, 0.2])
def test_after_a_change_by_design_the_level_is_that_of_the_rows_since(share: float, law: bool) -> None:
    """A tenth of the run later its end is known as if the data had been these from the first step on."""
    losses = changed(share)
    made, unchanged = (told(followed(x, 1_000, noted=n, law=law)) for x, n in ((losses, True), (CLEAN, False)))
    low, high = made.interval(0.8)

    assert low < losses[-40:].mean() < high
    assert made.final_loss == pytest.approx(losses[-40:].mean(), rel=0.02)
    assert high - low < 4.5 * (unchanged.interval(0.8)[1] - unchanged.interval(0.8)[0])
    assert any("At step 801 something was changed by design" in note for note in made.notes)


def test_what_comes_down_from_the_change_itself_is_not_taken_for_a_fall_that_goes_on() -> None:
    """Other data cost four tenths more at first, and a tenth from a tenth of the run later on."""
    after = np.maximum(STEP - AT, 0)
    losses = CLEAN * np.where(STEP > AT, 1.1 + 0.3 * np.exp(-after / 30.0), 1.0)
    low, high = told(followed(losses, 1_200, noted=True)).interval(0.8)

    assert low < losses[-40:].mean() < high


@pytest.mark.parametrize("law", [False, True])
def test_right_after_a_change_less_is_known_of_the_fall_to_come(law: bool) -> None:
    """How much of the fall since is that of a model that takes to other data nobody knows: less so later on."""
    losses = changed(0.2)
    ratios = []
    for until in (1_000, 1_800):
        (low, high), (least, most) = (
            told(followed(x, until, noted=x is losses, law=law)).interval(0.8) for x in (losses, CLEAN)
        )
        ratios.append((high - low) / (most - least))

    assert ratios[0] > 2.0
    assert ratios[1] < 2.0


@pytest.mark.parametrize(("share", "is_told"), [(0.4, False), (0.05, True)])
def test_where_a_model_takes_to_other_data_nothing_is_said_for_a_tenth_of_the_steps_so_far(
    share: float, is_told: bool
) -> None:
    """What falls at once is not the fall that a law is of; a small step needs no such wait."""
    early, later = (followed(changed(share), until, noted=True) for until in (870, 900))

    assert is_told == (early.forecast() is not None)
    assert is_told or "something new began at step 801" in early.why_none
    assert later.forecast() is not None


def test_a_level_that_an_incident_leaves_behind_is_the_level_from_there_on() -> None:
    """Nobody noted it; its rows were left out, and those since lie higher by less than a jump out of nowhere has to."""
    losses = noisy(TrueLaw().losses(PLAN, SIZE), 0.06, 1) * np.where(STEP > AT, 1.07, 1.0)
    forecaster = Forecaster(planned(PLAN, SIZE))
    for step, loss in enumerate(losses[:1_300].tolist(), 1):
        forecaster.observe(step, loss, None, clean=not AT < step <= AT + 60)
    made = told(forecaster)
    low, high = made.interval(0.8)

    assert low < losses[-40:].mean() < high
    assert any("the loss jumped to another level" in note for note in made.notes)


def test_after_a_change_by_design_the_distance_to_the_law_is_that_of_before() -> None:
    """The law is of runs on the old data: it says nothing of the level of others, and no word of wasted compute."""
    monitor = Monitor(planned(PLAN, SIZE), law=fitted())
    for step, loss in enumerate(changed(0.4)[:1_400].tolist(), 1):
        if step == AT + 1:
            monitor.note_phase("other data")
        monitor.observe(Observation(step, loss))
    gap = monitor.verdict().law_gap
    assert gap is not None

    assert gap.step <= AT
    assert abs(gap.nats) < 0.1
    assert f"against its law until step {gap.step:,}" in dict(monitor.verdict().rows())


def test_a_larger_batch_late_in_a_run_that_hardly_falls_any_more_leaves_a_forecast() -> None:
    """The rows since fall by less than they scatter, and those before have shown that it falls."""
    clean = TrueLaw().losses(constant(TOTAL), SIZE)
    losses = noisy(np.where(STEP > 1_200, 0.98 * clean[1_600], clean), 0.02, 2)
    forecaster = Forecaster(planned(constant(TOTAL), SIZE))
    for step in range(1, 1_991):
        if step == 1_201:
            forecaster.begin_phase(step)
        forecaster.observe(step, float(losses[step - 1]), None)
    low, high = told(forecaster).interval(0.8)

    assert low < losses[-40:].mean() < high


def test_right_after_a_change_nothing_is_said_and_why() -> None:
    """Ten rows tell no level."""
    forecaster = followed(changed(0.2), AT + 10, noted=True)

    assert forecaster.forecast() is None
    assert forecaster.why_none == "something new began at step 801, and too few rows have come since"


@pytest.mark.parametrize("share", [-0.2, -0.05])
def test_a_jump_that_nobody_noted_leaves_an_interval_that_holds_the_end_or_none(share: float) -> None:
    """It may come again, so what was missed still counts."""
    losses = changed(share)
    for until in (900, 1_000, 1_400, 1_800):
        made = followed(losses, until, noted=False).forecast()
        if made is not None and until > 900:
            low, high = made.interval(0.8)
            assert low < losses[-40:].mean() < high


@pytest.mark.parametrize("plan", [cosine(TOTAL), wsd(TOTAL), constant(TOTAL), np.repeat([1.0, 0.3, 0.1, 0.03], 500)])
def test_a_rate_that_falls_makes_no_jump(plan: Floats) -> None:
    """Slowly, late or in steps: what it does to the loss is in the law."""
    forecaster = Forecaster(planned(plan, SIZE))
    for step, loss in enumerate(noisy(TrueLaw().losses(plan, SIZE), 0.01, 2).tolist(), 1):
        forecaster.observe(step, loss, None)
    ends, means, losses, rows = forecaster.blocks.arrays()
    assert forecaster.schedule is not None
    walked, annealed = forecaster.schedule.at(means)
    late = walked > 0.05 * walked[-1]
    columns = (ends, means, losses, forecaster.blocks.log_noise / np.sqrt(rows), annealed[:, 0])

    assert 0 == newest_segment(*(column[late] for column in columns), begins=[]).first


def test_a_change_is_kept_in_the_state_and_forgotten_where_the_run_goes_back() -> None:
    """Resumed bit for bit; from before the change on it is the run that it was."""
    losses = changed(0.2)
    forecaster = followed(losses, 1_000, noted=True)
    resumed = Forecaster(planned(PLAN, SIZE))
    resumed.load_state_dict(json.loads(json.dumps(forecaster.state_dict())))
    assert told(resumed).interval(0.8) == told(forecaster).interval(0.8)

    forecaster.rewind(AT)
    for step in range(AT, 1_001):
        forecaster.observe(step, float(CLEAN[step - 1]), None)
    assert told(forecaster).final_loss == pytest.approx(told(followed(CLEAN, 1_000, noted=False)).final_loss, rel=0.01)


def test_trouble_that_does_not_pass_suspends_the_forecast_although_nobody_calls_it_lost() -> None:
    """A loss that has been above its level for a tenth of the run: that it comes back is no longer the likely thing."""
    rows = np.arange(1_000)
    # what rises as slowly as it fell, and loses more than it keeps, is no run that is lost
    losses = 0.4 + 1.6 * np.exp(-rows / 80) + 1.3 * np.clip((rows - 300) / 600, 0.0, 1.0)
    losses *= np.exp(np.random.default_rng(2).normal(0.0, 0.12, len(rows)))
    monitor = Monitor(Run("harder", total_steps=1_200))
    for step, loss in enumerate(losses.tolist(), 1):
        monitor.observe(Observation(step, loss))
    open_now = [finding.severity for finding in monitor.open_incidents if finding.pages]

    assert [Severity.WARNING] == open_now
    assert monitor.forecast() is None
    assert "it has not come back from a divergence" in monitor.why_no_forecast()

"""Where no law of loss curves holds there is no forecast, and a sentence says why."""

from __future__ import annotations

import numpy as np
import pytest

from scalewatch import Monitor, Observation, Run
from scalewatch.forecast import Forecaster
from tests.synthetic import Floats

TOTAL = 1_000
STEP = np.arange(1, TOTAL + 1)
RANDOM = np.random.default_rng(5)
FALLING = 2.0 + 3.0 * STEP**-0.4

#: What has no law of descent, what is logged with it, and what is said of it.
NO_LAW = {
    "flat and wide": (np.exp(RANDOM.normal(0.0, 0.8, TOTAL)), (), "not fallen by more than its own scatter"),
    "changes its sign": (FALLING - 2.6 + RANDOM.normal(0, 0.02, TOTAL), (), "rows have a loss of zero or below"),
    "below zero": (-FALLING, (), "rows have a loss of zero or below"),
    "a policy": (FALLING, ("loss", "ep_rew_mean"), "its objective is no descent: a reward is logged"),
    "two that play": (FALLING, ("g_loss", "d_loss"), "two losses work against each other (g_loss, d_loss)"),
}


def watched(losses: Floats, *, logged: tuple[str, ...] = (), tokens: float | None = None, part: float = 0.6) -> Monitor:
    monitor = Monitor(Run("demo", TOTAL, np.full(TOTAL, 1e-3), tokens_per_step=tokens, logged=logged))
    for step, loss in zip(STEP.tolist(), losses.tolist(), strict=True):
        if step <= part * TOTAL:
            monitor.observe(Observation(step, loss, 1e-3))
    return monitor


@pytest.mark.parametrize(("losses", "logged", "says"), NO_LAW.values(), ids=NO_LAW)
def test_a_curve_that_no_law_describes_has_no_forecast_and_a_sentence_why(
    losses: Floats, logged: tuple[str, ...], says: str
) -> None:
    """No forecast is better than a confident wrong one; the verdict says it too, and nothing is advised from it."""
    monitor = watched(losses, logged=logged)

    assert monitor.forecast() is None
    assert says in monitor.why_no_forecast()
    assert ("forecast", f"none: {monitor.why_no_forecast()}") in monitor.verdict().rows()


def test_a_loss_that_starts_near_zero_and_rises_has_no_forecast() -> None:
    """The loss of a policy begins at nothing and grows with the distance from where it began."""
    forecaster = Forecaster(Run("demo", TOTAL, np.full(TOTAL, 1e-3)))
    for step, loss in zip(STEP.tolist(), (0.1 * STEP / TOTAL).tolist(), strict=True):
        forecaster.observe(step, loss * (1.1 if step % 2 else 0.9), 1e-3)

    assert forecaster.forecast() is None
    assert "the loss rises over the length of the run" in forecaster.why_none


@pytest.mark.parametrize("scatter", [0.0, 0.02, 0.2])
def test_a_loss_of_any_kind_that_falls_has_a_forecast_that_holds_its_end(scatter: float) -> None:
    """Whatever it is counted in and however it scatters; it need be no loss of text."""
    losses = 1e-3 * FALLING * np.exp(np.random.default_rng(1).normal(0.0, scatter, TOTAL))
    monitor = watched(losses)
    made = monitor.forecast()

    assert made is not None
    assert "" == monitor.why_no_forecast()
    low, high = made.interval(0.8)
    assert 0.0 < low < losses[-50:].mean() < high


def test_the_interval_of_a_noisy_loss_of_unknown_kind_is_wider_than_one_of_text() -> None:
    """What is known of text was measured on text."""
    losses = FALLING * np.exp(np.random.default_rng(2).normal(0.0, 0.15, TOTAL))
    unknown, text = watched(losses).forecast(), watched(losses, tokens=4096).forecast()

    assert unknown is not None
    assert text is not None
    assert np.diff(unknown.interval(0.8)) > 1.2 * np.diff(text.interval(0.8))


@pytest.mark.parametrize("times", [0.01, 1.0, 30.0, 1e6])
def test_in_whatever_unit_a_loss_is_counted_its_interval_is_as_wide(times: float) -> None:
    """A sum over pixels, or the square of a price, is above all that a text may cost, and no more text than a mean."""
    losses = FALLING * np.exp(np.random.default_rng(1).normal(0.0, 0.01, TOTAL))
    here, there = (watched(losses * scale).forecast() for scale in (1.0, times))
    assert here is not None
    assert there is not None

    assert np.array(there.interval()) == pytest.approx(times * np.array(here.interval()), rel=1e-6)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95, 0.999])
def test_no_end_of_an_interval_is_below_zero(level: float) -> None:
    """A loss that has never been below zero does not end there; nor is its way there drawn so."""
    monitor = watched(0.4 * STEP**-0.3 * np.exp(np.random.default_rng(3).normal(0.0, 0.2, TOTAL)), part=0.3)
    made = monitor.forecast()

    assert made is None or min(made.interval(level)) >= 0.0
    assert made is None or min(part.min() for part in made.curve(level=level)) >= 0.0


def test_a_lost_run_has_no_forecast_since_the_step_of_its_incident() -> None:
    """Its curve up to there says nothing of where it will end."""
    monitor = watched(FALLING + RANDOM.normal(0, 0.02, TOTAL), part=0.5)
    for step in range(501, 531):
        monitor.observe(Observation(step, float("nan"), 1e-3))

    assert monitor.forecast() is None
    assert "suspended since step 501" in monitor.why_no_forecast()


def test_one_row_of_zero_in_a_long_run_silences_no_forecast() -> None:
    """A batch without a target has no loss."""
    losses = FALLING + RANDOM.normal(0, 0.02, TOTAL)
    losses[300] = 0.0

    assert watched(losses).forecast() is not None

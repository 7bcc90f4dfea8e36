"""What a forecast says: a number, an interval that is one, and how far the run is off its law."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalewatch import Forecast, LawResidual
from scalewatch.errors import ConfigError
from scalewatch.forecast import Forecaster
from tests.synthetic import TrueLaw, cosine, fitted, noisy, planned


@pytest.fixture(scope="module")
def forecast() -> Forecast:
    """A forecast from the middle of a run with a law."""
    plan = cosine(1000)
    forecaster = Forecaster(planned(plan), fitted())
    for step, loss in enumerate(noisy(TrueLaw().losses(plan, 8e6), 0.01, 0)[:400].tolist(), 1):
        forecaster.observe(step, loss, None)
    told = forecaster.forecast()
    assert told is not None
    return told


# --- the interval ---------------------------------------------------------------------------------


@settings(max_examples=30)
@given(levels=st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)))
def test_a_surer_interval_holds_a_less_sure_one(forecast: Forecast, levels: tuple[float, float]) -> None:
    """Intervals are nested in their level, and the forecast lies in each."""
    narrow, wide = (forecast.interval(level) for level in sorted(levels))

    assert wide[0] <= narrow[0] <= forecast.final_loss <= narrow[1] <= wide[1]


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 80, math.nan])
def test_a_level_that_is_no_probability_is_refused(forecast: Forecast, level: float) -> None:
    """80 is a likely slip: the message says to write 0.8."""
    with pytest.raises(ConfigError, match=r"e\.g\. 0\.8 for 80 %"):
        forecast.interval(level)


@settings(max_examples=30)
@given(share=st.floats(0.02, 0.98))
def test_the_probability_of_an_end_agrees_with_the_interval(forecast: Forecast, share: float) -> None:
    """The loss that an interval ends at is undercut as often as the interval says."""
    low, high = forecast.interval(share)

    assert pytest.approx(0.5 - share / 2, abs=0.02) == forecast.probability_below(low)
    assert pytest.approx(0.5 + share / 2, abs=0.02) == forecast.probability_below(high)
    assert (0.0, 1.0) == (forecast.probability_below(0.0), forecast.probability_below(99.0))


# --- the curve ------------------------------------------------------------------------------------


def test_the_curve_ends_in_the_forecast(forecast: Forecast) -> None:
    """What is drawn and what is said agree to a thousandth: the curve is without the noise of the last rows."""
    mid, low, high = forecast.curve([1000])

    assert pytest.approx(forecast.final_loss, rel=1e-3) == mid[0]
    assert low[0] < mid[0] < high[0]


def test_the_curve_goes_through_what_was_seen(forecast: Forecast) -> None:
    """Where the run has been, the curve is the run's."""
    true = TrueLaw().losses(cosine(1000), 8e6)

    assert pytest.approx(true[399], rel=0.01) == forecast.curve([400])[0][0]


def test_the_band_is_narrowest_where_the_run_is(forecast: Forecast) -> None:
    """The future is less certain the further it lies ahead."""
    _, low, high = forecast.curve([400, 600, 1000])

    assert bool(np.all(np.diff(high - low) > 0))


def test_a_curve_without_steps_is_drawn_from_the_end_of_the_warm_up(forecast: Forecast) -> None:
    """512 points, rising, to the planned end; low below mid below high."""
    steps = forecast.grid()
    mid, low, high = forecast.curve()

    assert 512 == len(steps) == len(mid)
    assert steps[0] > 20
    assert 1000.0 == steps[-1]
    assert bool(np.all((low < mid) & (mid < high)))


@pytest.mark.parametrize("steps", [[-5], [0], [0.5], [10**9], [1, 1000], np.arange(1, 1001), 500])
def test_a_curve_is_finite_at_any_step(forecast: Forecast, steps: object) -> None:
    """Steps before the first and after the last are those."""
    for column in forecast.curve(steps):  # type: ignore[arg-type]
        assert bool(np.all(np.isfinite(column)))


# --- the gap to the law ---------------------------------------------------------------------------


def gap(**change: float | None) -> LawResidual:
    of = {
        "step": 3000,
        "loss": 2.6,
        "expected": 2.5,
        "sd": 0.02,
        "noise": 0.0,
        "token_ratio": 10.3 / 12.0,
        "tokens": 12e9,
    }
    return LawResidual(**(of | change))  # type: ignore[arg-type]


def test_the_gap_is_a_sentence_in_tokens() -> None:
    """The sentence that a person reads, to the letter."""
    start, end = gap(sd=0.05).text().split(": ")

    assert "0.100 nats (4.0 %) above its law (the law's own error is 0.050)" == start
    assert "at 12.0 B tokens you are where the law expects 10.3 B, 14 % of the compute so far bought nothing." == end


def test_the_sentence_in_tokens_has_an_interval() -> None:
    """Open at its end where the law's error leaves it open."""
    assert "expects 10.3 B (80 %: 9.60 B to 11.4 B)," in gap(token_range=(0.8, 0.95)).text()
    assert "expects 10.3 B (80 %: 9.60 B or more)," in gap(token_range=(0.8, math.inf)).text()


@pytest.mark.parametrize(
    ("sd", "said"),
    [
        (0.05, ""),
        (0.037, "About 1 healthy run in 100 looks like this by chance."),
        (0.001, "Fewer than 1 healthy run in 10,000 looks like this by chance."),
    ],
)
def test_what_chance_does_not_explain_is_said_in_plain_words(sd: float, said: str) -> None:
    """Two of the law's errors are nothing; beyond 99 % the chance is named, and none is named that nobody knows."""
    assert gap(sd=sd).text().endswith(f"bought nothing.{' ' if said else ''}{said}")


def test_without_tokens_the_sentence_is_in_steps() -> None:
    """A run that does not know its tokens knows its steps."""
    assert "at step 3,000 you are where the law expects step 2,575, 14 %" in gap(tokens=None).text()


@pytest.mark.parametrize(("ratio", "is_named"), [(19.0, True), (21.0, False)])
def test_tokens_are_named_up_to_twenty_times_those_of_the_run(ratio: float, is_named: bool) -> None:
    """Beyond that a law says nothing about tokens any more, neither of the run nor of the end of a range."""
    assert is_named == ("you are where the law expects" in gap(loss=2.0, token_ratio=ratio).text())
    assert is_named != ("or more)" in gap(token_range=(0.8, ratio)).text())


@pytest.mark.parametrize("ratio", [None, 25.0])
def test_a_loss_that_no_tokens_explain_is_said_to_be_so(ratio: float | None) -> None:
    """Below what the law gives for endless data there is no token count to name."""
    text = gap(loss=2.0, token_ratio=ratio).text()

    assert text.startswith("0.500 nats (20 %) below its law")
    assert "better than the law expects of any number of tokens." in text


@pytest.mark.parametrize(
    ("tokens", "written"),
    [
        (512.0, "512 "),
        (1e3, "1.00 k"),
        (999_600.0, "1000 k"),
        (12.34e6, "12.3 M"),
        (999.6e9, "1000 B"),
        (15e12, "15.0 T"),
    ],
)
def test_token_counts_are_written_as_people_write_them(tokens: float, written: str) -> None:
    """Three figures and a unit, and never 1e+03."""
    assert f"at {written}" in gap(tokens=tokens).text()


def test_the_gap_is_measured_in_the_laws_own_error() -> None:
    """0.1 nats at an error of 0.02 are five sigmas; a law without error is infinitely sure."""
    assert pytest.approx(5.0) == gap().sigmas
    assert math.inf == gap(sd=0.0).sigmas

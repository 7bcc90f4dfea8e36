"""Order, warm-up, schedules, sparse logs and NaN: what the whole set of detectors does with a stream."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scalewatch.detect import DetectorSet
from scalewatch.errors import ConfigError
from scalewatch.finding import Finding, Kind, Phase, Severity
from scalewatch.guard import Guard
from scalewatch.observation import Observation
from scalewatch.run import Run

Follow = Callable[..., list[Finding]]
Curve = Callable[..., NDArray[np.float64]]


def pages(found: list[Finding]) -> list[tuple[int, Kind]]:
    return [(f.step, f.kind) for f in found if f.pages]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_clean_curve_raises_nothing(follow: Follow, curve: Curve, seed: int) -> None:
    """20,000 steps of a power law with white noise: not one finding."""
    assert [] == follow(curve(seed=seed))


def test_heavy_tails_page_nobody(follow: Follow, curve: Curve) -> None:
    """20,000 steps with t(4) noise of the same sd: OLMo's rule has twelve events here, ours notes some outliers."""
    assert [] == pages(follow(curve(df=4)))


def test_correlated_noise_pages_hardly_anybody(follow: Follow, curve: Curve) -> None:
    """AR(.9) noise of the same sd: sums of such rows wander, and a raw CUSUM alarms a hundred times."""
    white, wander = np.random.default_rng(5).normal(0, 0.03 * (1 - 0.81) ** 0.5, 20_000), np.zeros(20_000)
    for row in range(1, len(wander)):
        wander[row] = 0.9 * wander[row - 1] + white[row]

    assert len(pages(follow(curve(noise=0.0) + wander))) <= 5


def test_warm_up_and_decay_raise_nothing(follow: Follow, curve: Curve) -> None:
    """Rate up in the warm-up, constant, then down: the loss falls faster, and improvement is no incident."""
    t = np.arange(1, 10_001)
    rates = 1e-3 * np.minimum(np.minimum(t / 500, 1.0), np.clip((10_000 - t) / 2000, 0, 1))
    loss = curve(10_000) + 8.0 * np.exp(-t / 40) - 0.4 * np.clip((t - 8000) / 2000, 0, 1)

    assert [] == follow(loss, rates=rates)
    assert [] == follow(loss, plan=rates)


def test_a_sudden_improvement_pages_nobody(follow: Follow, curve: Curve) -> None:
    """The loss falls by a third within three steps and stays there: one note that this is too good."""
    loss = curve(2000)
    loss[1000:] -= 1.0

    assert [(Kind.SUSPICIOUS_IMPROVEMENT, Severity.INFO)] == [(f.kind, f.severity) for f in follow(loss)]


def re_warmed(curve: Curve, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A decay to a tenth over steps 9,000 to 10,000, then the peak rate again: .3 nats down, then up."""
    t = np.arange(1, 12_001)
    rates = np.where(t <= 500, t / 500, 1.0) - np.where((t > 9000) & (t <= 10_000), 0.9 * (t - 9000) / 1000, 0.0)
    down = np.clip((t - 9000) / 1000, 0, 1)
    up = np.where(t > 10_000, 1 - np.exp(-(t - 10_000) / 60), 0.0)
    return 1e-3 * rates, curve(12_000, seed=seed) + 0.3 * (up - down)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_planned_re_warm_up_raises_nothing(follow: Follow, curve: Curve, seed: int) -> None:
    """Known from the plan, from the logged rate, or from both."""
    rates, loss = re_warmed(curve, seed)

    assert [] == pages(follow(loss, plan=rates))
    assert [] == pages(follow(loss, rates=rates))
    assert [] == pages(follow(loss, rates=rates, plan=rates))


@pytest.mark.parametrize(("rise", "paged"), [(0.3, []), (0.45, [(1002, Kind.SPIKE)])])
def test_a_planned_step_of_the_rate_explains_a_rise_at_once_up_to_42_per_cent(
    follow: Follow, curve: Curve, rise: float, paged: list[tuple[int, Kind]]
) -> None:
    """The rate goes back to ten times itself as planned: a loss up by a third pages nobody, one up by half does."""
    t = np.arange(1, 1201)
    plan = np.where((t > 800) & (t <= 1000), 1e-4, 1e-3)
    loss = curve(1200) * np.exp(np.where(t > 1000, rise * np.exp(-np.maximum(t - 1100.0, 0.0) / 100), 0.0))

    assert paged == pages(follow(loss, plan=plan))[:1]


def test_the_same_rise_without_a_planned_rate_is_paged(follow: Follow, curve: Curve) -> None:
    """The rate is what excuses it: with a flat plan the rise is an incident."""
    _, loss = re_warmed(curve, 1)

    found = pages(follow(loss, plan=np.full(len(loss), 1e-3)))

    assert found
    assert 10_000 < found[0][0] <= 10_060


@pytest.mark.parametrize("factor", [20, 50, 100])
@pytest.mark.parametrize("planned", [True, False])
def test_a_learning_rate_far_above_plan_is_paged_within_30_steps(
    follow: Follow, curve: Curve, factor: float, planned: bool
) -> None:
    """A sabotage in mid-run: the rate jumps above all it has been and the loss follows within ten steps."""
    t = np.arange(1, 2001)
    plan = 1e-3 * np.minimum(t / 100, 1.0)
    rates = np.where(t > 1000, plan * factor, plan)
    loss = curve(2000) + np.where(t > 1000, 0.5 * (1 - np.exp(-(t - 1000) / 10)), 0.0)

    found = pages(follow(loss, rates=rates, plan=plan if planned else None))

    assert found
    assert 1000 < found[0][0] <= 1030


@pytest.mark.parametrize("rows", [30, 60, 300])
@pytest.mark.parametrize("every", [50, 200])
def test_a_sparse_log_raises_nothing(follow: Follow, rows: int, every: int) -> None:
    """A few dozen rows in all, steep at first."""
    t = every * np.arange(1, rows + 1)
    loss = (30 * (t + 50) ** -0.45 + 2.2) * np.exp(np.random.default_rng(3).normal(0, 0.01, rows))

    assert [] == follow(loss, every=every)


@pytest.mark.parametrize("memory", [10, 100])
def test_a_smoothed_log_raises_nothing(follow: Follow, curve: Curve, memory: int) -> None:
    """An exponential mean of the loss, as many loggers write it, wanders; that is no incident."""
    smooth, mean = curve(20_000), 0.0
    mean = smooth[0]
    for row, value in enumerate(smooth):
        mean += (value - mean) / memory
        smooth[row] = mean

    assert [] == pages(follow(smooth))


def test_one_nan_does_not_delay_the_next_detection(follow: Follow, curve: Curve) -> None:
    """A shift is found within five rows of where it is found without the NaN (river's rules never find it)."""
    loss = curve(3000)
    loss[1000:] += 0.2
    broken = loss.copy()
    broken[500] = math.nan

    without = next(f.step for f in follow(loss) if f.pages and f.step > 1000)
    after = next(f.step for f in follow(broken) if f.pages and f.step > 1000)

    assert abs(after - without) <= 5


def test_a_nan_inside_a_spike_does_not_close_it(follow: Follow, curve: Curve) -> None:
    """The spike goes on behind the NaN."""
    loss = curve(600)
    loss[500:530] += 0.8
    loss[510] = math.nan

    spikes = [f for f in follow(loss) if f.kind is Kind.SPIKE]

    assert [Phase.OPENED, Phase.CLOSED] == [f.phase for f in spikes]
    assert spikes[1].step >= 530


def test_a_repeated_step_counts_once(follow: Follow, curve: Curve) -> None:
    """Gradient accumulation logs a step several times: the spike's one step is a bad batch all the same."""
    loss = curve(400)
    loss[300] += 0.6
    steps = np.repeat(np.arange(1, 401), 3)

    found = follow(np.repeat(loss, 3), steps=steps.tolist())

    assert [(Kind.BAD_BATCH, 302)] == [(f.kind, f.step) for f in found]


def test_skipped_steps_raise_nothing(follow: Follow, curve: Curve) -> None:
    """A log with holes is a log."""
    loss, kept = curve(5000), np.random.default_rng(0).random(5000) < 0.5

    assert [] == follow(loss[kept], steps=(np.arange(1, 5001)[kept]).tolist())


def test_going_back_is_one_note_and_no_alarm(follow: Follow, curve: Curve) -> None:
    """A resume from an older checkpoint has a higher loss at first; that is where it was."""
    loss, steps = curve(2000), np.arange(1, 2001)
    again = np.concatenate([steps, steps[99:]])

    found = follow(np.concatenate([loss, loss[99:]]), steps=again.tolist())

    assert [(Kind.REWOUND, 100, Severity.INFO)] == [(f.kind, f.step, f.severity) for f in found]


def test_going_back_keeps_the_scale(curve: Curve, follow: Follow) -> None:
    """So that a spike soon after a resume is found."""
    watch = DetectorSet(Run("test"), Guard())
    follow(curve(2000), watch=watch)
    loss = curve(2000)[999:1100]
    loss[30:36] += 0.6

    found = follow(loss, steps=range(1000, 1101), watch=watch)

    assert [(Kind.SPIKE, 1031)] == [(f.kind, f.step) for f in found if f.pages]


def test_starting_over_at_zero_is_a_resume(follow: Follow) -> None:
    """And says how far back it went."""
    found = follow([3.0] * 20, steps=[*range(1, 11), *range(0, 10)])

    assert [(Kind.REWOUND, 10)] == [(f.kind, f.evidence["steps"]) for f in found]


@given(steps=st.lists(st.integers(-(2**80), 2**80), max_size=40))
@settings(max_examples=200)
def test_no_order_of_steps_raises(steps: list[int]) -> None:
    """Any integers, in any order."""
    watch = DetectorSet(Run("test", learning_rates=[1e-3] * 10), Guard())

    for step in steps:
        watch.observe(Observation(step, 3.0))


def test_clean_is_false_exactly_in_what_is_not_normal(curve: Curve) -> None:
    """The forecast learns from clean rows only: not from the bad batch, the NaN or the spike."""
    loss = curve(400)
    loss[200] += 0.6
    loss[250] = math.nan
    loss[300:310] += 0.9
    watch, clean = DetectorSet(Run("test"), Guard()), []
    for step, value in enumerate(loss.tolist(), start=1):
        watch.observe(Observation(step, value))
        clean.append(watch.clean)

    assert not clean[200]
    assert not clean[250]
    assert not any(clean[300:310])
    assert all(clean[20:200])
    assert all(clean[201:250])
    assert all(clean[330:])


def test_noise_is_the_relative_scatter_of_a_row(curve: Curve, follow: Follow) -> None:
    """Unknown at first; then .03 nats of about 3."""
    watch = DetectorSet(Run("test"), Guard())

    assert watch.noise is None

    follow(curve(5000), watch=watch)

    assert watch.noise == pytest.approx(0.03 / 3.16, rel=0.25)


def test_an_open_incident_is_listed_until_it_closes(curve: Curve, follow: Follow) -> None:
    """With its newest finding."""
    loss = curve(700)
    loss[500:600] += 0.8
    watch = DetectorSet(Run("test"), Guard())

    follow(loss[:550], watch=watch)
    listed = watch.open_incidents
    follow(loss[550:], steps=range(551, 701), watch=watch)

    assert [(Kind.SPIKE, Severity.WARNING)] == [(f.kind, f.severity) for f in listed]
    assert [] == watch.open_incidents


@pytest.mark.parametrize("value", [np.array([4.4]), np.float32(4.4), torch.tensor([4.4]), "4.4", np.array(4.4)])
def test_a_number_in_a_wrapping_is_a_number(curve: Curve, follow: Follow, value: Any) -> None:
    """Scalars of other libraries, arrays of one value and text are read as what they say."""
    found = follow([*curve(400).tolist(), value, value])

    assert [(Kind.SPIKE, 402)] == [(f.kind, f.step) for f in found]


@pytest.mark.parametrize("value", ["loss", 3 + 4j, [], np.array([3.0, 4.0]), None, 10**400])
def test_what_is_no_number_is_as_if_nothing_was_logged(curve: Curve, follow: Follow, value: Any) -> None:
    """It is not a NaN either: nobody's run is lost by a string."""
    assert [] == follow([*curve(400).tolist(), value, *curve(500)[401:].tolist()])


def test_messages_are_one_line_with_numbers(follow: Follow, curve: Curve) -> None:
    """A sentence, not a dump; the numbers in it stand in the evidence too."""
    loss = curve(800)
    loss[400:420] += 0.6
    loss[600:] += 0.3

    for finding in follow(loss, norms=[0.5] * 700 + [50.0] * 100):
        assert finding.message
        assert "\n" not in finding.message
        assert any(character.isdigit() for character in finding.message)
        assert finding.evidence
        assert finding.start_step <= finding.step


@pytest.mark.parametrize("state", [{}, {"version": 99}, {"version": 1}, {"version": 1, "level": {}}])
def test_a_foreign_state_is_refused(state: dict[str, Any]) -> None:
    """With one of our errors, before anything is observed."""
    with pytest.raises(ConfigError):
        DetectorSet(Run("test"), Guard()).load_state_dict(state)

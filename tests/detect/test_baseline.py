"""The level and the scatter that all detectors share."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalewatch.detect.baseline import RobustBaseline
from scalewatch.detect.robust_scale import RobustScale, Window


def learn(values: list[float]) -> RobustBaseline:
    baseline = RobustBaseline()
    for value in values:
        baseline.score(value)
        baseline.update(False)
    return baseline


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60), st.integers(1, 20))
def test_a_window_is_the_last_values_sorted(values: list[float], rows: int) -> None:
    """On every prefix."""
    window = Window(rows)
    for count, value in enumerate(values, start=1):
        window.push(value, rows)

        assert values[max(0, count - rows) : count] == window.values
        assert sorted(window.values) == window.ranked


def test_the_scale_agrees_with_numpy_on_every_prefix() -> None:
    """Median of second differences, quartiles of the excess and the deepest dip, written out."""
    values = np.random.default_rng(0).normal(0, 0.02, 400)
    excess = values - values.mean()
    scatter = RobustScale()
    for count in range(1, 401):
        scatter.learn(float(values[count - 1]), float(excess[count - 1]))
        if count < 300:
            continue

        seen = values[:count]
        bends = np.abs(seen[:-2] - 2 * seen[1:-1] + seen[2:])
        dips = np.minimum(seen[:-2], seen[2:]) - seen[1:-1]
        faded = np.maximum(dips, 0) * (1 - 1 / 128) ** np.arange(len(dips))[::-1]
        last = np.sort(excess[count - 128 : count])
        expected = max(
            np.sort(bends[-128:])[64] / 1.652,
            (last[96] - last[32]) / 1.349,
            faded.max() / 3.0,
        )
        assert expected == pytest.approx(scatter.scale, rel=1e-10)


@pytest.mark.parametrize("noise", [0.003, 0.01, 0.04])
def test_the_scale_is_the_sd_of_white_noise(noise: float) -> None:
    """Within a quarter, whatever the slope."""
    random = np.random.default_rng(0)

    baseline = learn((1.0 - 0.002 * np.arange(1000) + random.normal(0, noise, 1000)).tolist())

    assert noise == pytest.approx(baseline.scale, rel=0.25)


def test_white_noise_does_not_wander_and_correlated_noise_does() -> None:
    """The long-run sd of AR(.8) noise is three times that of a row."""
    white, wander = np.random.default_rng(0).normal(0, 0.01, 8000), np.zeros(8000)
    for row in range(1, 8000):
        wander[row] = 0.8 * wander[row - 1] + 0.6 * white[row]

    assert learn(white.tolist()).scatter.wander < 1.3
    assert 2.0 < learn(wander.tolist()).scatter.wander < 4.0


def test_one_absurd_row_moves_the_level_by_less_than_a_scale() -> None:
    """Up or down, by as much as a float can say."""
    random = np.random.default_rng(0)
    values = (1.0 + random.normal(0, 0.01, 300)).tolist()
    for absurd in (math.log(1e308), math.log(5e-324)):
        baseline = learn(values)
        before, scale = baseline.running_mean, baseline.scale
        baseline.score(absurd)
        baseline.update(False)

        assert abs(baseline.running_mean - before) < scale
        assert scale * 0.8 <= baseline.scale <= scale * 2.01


def test_an_improvement_is_taken_up_within_a_few_rows() -> None:
    """A level twenty scales above the loss would see nothing."""
    random = np.random.default_rng(0)
    values = np.concatenate([np.full(500, 1.2), np.full(12, 1.0)]) + random.normal(0, 0.01, 512)

    baseline = learn(values.tolist())

    assert baseline.fast_mean < 1.04
    assert baseline.slow_mean < 1.06


def test_a_held_row_moves_no_level() -> None:
    """What may be an incident is not learnt from."""
    baseline = learn([1.0, 1.01, 0.99, 1.0] * 50)
    fast, base = baseline.running_mean, baseline.slow_mean
    for _ in range(100):
        baseline.score(2.0)
        baseline.update(True)

    assert (fast, base) == (baseline.running_mean, baseline.slow_mean)
    assert baseline.scale < 0.1


def test_a_restart_keeps_the_scale() -> None:
    """The run goes on elsewhere with the same batches."""
    baseline = learn([1.0, 1.05, 0.97, 1.01, 1.0] * 50)
    scale = baseline.scale

    baseline.restart()

    assert 0 == baseline.rows
    assert scale == baseline.scale


@pytest.mark.parametrize(("memory", "low", "high"), [(0.0, 0.8, 1.5), (0.97, 1.6, 8.0)])
def test_rows_that_follow_each_other_stray_further_than_from_row_to_row(memory: float, low: float, high: float) -> None:
    """By which a log of rare rows shows whether each of them is one by itself."""
    for seed in range(5):
        random, baseline, value = np.random.default_rng(seed), RobustBaseline(), 0.0
        for _ in range(400):
            value = memory * value + random.normal(0.0, 0.02)
            baseline.score(1.0 + value)
            baseline.update(False)

        assert low < baseline.scatter.strays < high
        assert (baseline.alone(50.0) > 0.0) is (memory == 0.0)
        assert baseline.alone(1.0) == 0.0


def test_a_level_that_is_resumed_after_any_row_scores_the_next_as_if_it_had_gone_on() -> None:
    """Also where a block of rows has just ended, whose wander the row after it is the first to go by."""
    random, baseline = np.random.default_rng(1), RobustBaseline()
    for value in random.normal(1.0, 0.05, 800).tolist():
        resumed = RobustBaseline()
        resumed.load_state_dict(baseline.state_dict())
        assert (resumed.scale, resumed.slow_scale) == (baseline.scale, baseline.slow_scale)
        baseline.score(value)
        baseline.update(False)

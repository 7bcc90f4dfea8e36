"""What a fit leaves over."""

from __future__ import annotations

import numpy as np
import pytest

from scalewatch.charts import Frame, residuals
from scalewatch.errors import ConfigError
from tests.charts.reading import layers_of, texts_of, values_of

SIZE = np.geomspace(1e7, 1e9, 60)
PERCENT = np.random.default_rng(0).standard_normal(60)


def test_each_residual_stands_over_size_tokens_and_compute() -> None:
    """Three panels with the same residuals."""
    chart = residuals(SIZE, 20 * SIZE, 120 * SIZE**2, PERCENT, Frame("t"))
    panels = layers_of(chart, "circle")

    assert 3 == len(panels)
    for panel in panels:
        assert np.allclose(PERCENT, [row["off"] for row in values_of(panel)])


def test_a_run_far_off_is_named_in_each_panel() -> None:
    """By its name, or by its row."""
    percent = PERCENT.copy()
    percent[5] = 30.0

    told = texts_of(
        residuals(SIZE, SIZE, SIZE, percent, Frame("t"), outliers=[5], names=[f"run {i}" for i in range(60)])
    )
    assert ["run 5"] * 3 == told
    assert ["row 5"] * 3 == texts_of(residuals(SIZE, SIZE, SIZE, percent, Frame("t"), outliers=[5]))


def test_a_bow_shows_in_the_running_median() -> None:
    """A law that is wrong at both ends has a median that is not flat."""
    bow = np.log(SIZE / 1e8) ** 2
    line = values_of(layers_of(residuals(SIZE, SIZE, SIZE, bow, Frame("t")), "line")[0])

    assert line[0]["off"] > 3 * line[len(line) // 2]["off"] < line[-1]["off"]


def test_a_diverged_run_without_a_residual_is_left_out() -> None:
    """NaN is not drawn at zero."""
    percent = PERCENT.copy()
    percent[0] = np.nan

    assert 59 == len(values_of(layers_of(residuals(SIZE, SIZE, SIZE, percent, Frame("t")), "circle")[0]))


def test_of_a_million_runs_the_farthest_is_drawn() -> None:
    """The picture takes few, and the one that matters is among them."""
    size = np.geomspace(1e7, 1e9, 1_000_000)
    percent = np.zeros(len(size))
    percent[543_211] = 12.5
    rows = values_of(layers_of(residuals(size, size, size, percent, Frame("t")), "circle")[0])

    assert 12.5 == max(row["off"] for row in rows)
    assert len(rows) <= 2_000


@pytest.mark.parametrize(
    ("percent", "names", "reason"),
    [
        (np.full(60, np.nan), [], "nothing to draw"),
        (PERCENT[1:], [], "59 and 0 for 60 runs"),
        (PERCENT, ["a"], "60 and 1 for 60 runs"),
    ],
)
def test_residuals_of_other_runs_are_refused(percent: np.ndarray, names: list[str], reason: str) -> None:
    """Fewer, or none that is a number."""
    with pytest.raises(ConfigError, match=reason):
        residuals(SIZE, SIZE, SIZE, percent, Frame("t"), names=names)

"""From the ladder to its target."""

from __future__ import annotations

import numpy as np
import pytest

from scalewatch.charts import Frame, Target, ladder
from scalewatch.errors import ConfigError
from tests.charts.reading import layers_of, texts_of, values_of

SIZE, LOSS = np.array([1e7, 3e7, 1e8]), np.array([3.4, 3.0, 2.7])


def test_the_target_is_told_in_numbers_and_how_far_it_is() -> None:
    """What is read off a chart is also written on it."""
    chart = ladder(SIZE, LOSS, Frame("t"), target=Target(7e9, 2.1, 2.05, 2.15))

    assert {"2.050", "2.100", "2.150"} <= set(texts_of(chart))
    assert ["The target of 7B is 70 times the largest fitted run."] == chart.to_dict()["title"]["subtitle"]


def test_an_outcome_is_drawn_only_when_it_is_known() -> None:
    """In the legend too."""
    unknown = ladder(SIZE, LOSS, Frame("t"), target=Target(7e9, 2.1, 2.05, 2.15))
    known = ladder(SIZE, LOSS, Frame("t"), target=Target(7e9, 2.1, 2.05, 2.15, outcome=2.07))

    assert not [text for text in texts_of(unknown) if "came out" in text]
    assert "2.070 came out" in texts_of(known)


def test_labels_of_a_narrow_interval_do_not_lie_on_each_other() -> None:
    """They are moved apart, in their order."""
    chart = ladder(SIZE, LOSS, Frame("t"), target=Target(7e9, 2.1, 2.0999, 2.1001, outcome=2.1))
    at = sorted(row["loss"] for layer in layers_of(chart, "text") for row in values_of(layer) if "loss" in row)
    axis = layers_of(chart, "point")[-1]["encoding"]["y"]["scale"]["domain"]

    assert min(np.diff(at)) > 0.04 * (axis[1] - axis[0])


@pytest.mark.parametrize(
    "target",
    [
        Target(7e9, 2.1, -np.inf, np.inf),
        Target(7e9, 2.1, 2.2, 2.3),
        Target(np.nan, 2.1, 2.0, 2.2),
        Target(7e9, 2.1, 2.0, 2.2, outcome=0.0),
        Target(7e9, 2.1, 2.0, 2.2, outcome=np.nan),
    ],
)
def test_a_target_without_a_finite_interval_is_refused(target: Target) -> None:
    """A confident point without its interval is what the house does not draw."""
    with pytest.raises(ConfigError, match="`target`"):
        ladder(SIZE, LOSS, Frame("t"), target=target)


def test_a_target_smaller_than_a_fitted_run_is_not_told_as_beyond() -> None:
    """A run that is no rung counts as well."""
    chart = ladder(SIZE, LOSS, Frame("t"), target=Target(2e8, 2.5, 2.4, 2.6), other_parameters=[3e8], other_loss=[2.4])

    assert ["The target of 200M lies within the ladder, which goes up to 300M."] == chart.to_dict()["title"]["subtitle"]


def test_an_outcome_far_off_its_interval_is_in_both_panels() -> None:
    """A miss is not cut off at the edge."""
    chart = ladder(SIZE, LOSS, Frame("t"), target=Target(7e9, 2.1, 2.05, 2.15, outcome=3.9))
    crosses = [layer for layer in layers_of(chart, "point") if layer["mark"]["shape"] == "cross"]

    assert 2 == len(crosses)
    for cross in crosses:
        low, high = cross["encoding"]["y"]["scale"]["domain"]
        assert low < 3.9 < high


def test_without_a_target_there_is_one_panel() -> None:
    """The rungs alone are a chart."""
    assert "hconcat" not in ladder(SIZE, LOSS, Frame("t")).to_dict()

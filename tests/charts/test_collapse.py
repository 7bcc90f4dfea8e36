"""Normalised curves."""

from __future__ import annotations

import numpy as np
import pytest

from scalewatch.charts import Frame, NormalisedCurve, collapse
from scalewatch.errors import ConfigError
from tests.charts.reading import layers_of, values_of

AT = np.linspace(0.001, 1.0, 5_000)


def curve(size: float) -> NormalisedCurve:
    return NormalisedCurve(size, AT, AT**-0.4)


def test_a_long_curve_is_thinned_and_keeps_its_shape() -> None:
    """Means of stretches that are equal on the axis that is drawn."""
    (line,) = layers_of(collapse([curve(1e8)], Frame("t")), "line")
    rows = values_of(line)

    assert len(rows) <= 100
    assert np.allclose([row["x"] ** -0.4 for row in rows], [row["value"] for row in rows], rtol=0.01)


def test_more_curves_than_can_be_told_apart_are_thinned_over_sizes() -> None:
    """The smallest and the largest stay."""
    chart = collapse([curve(1e6 * (k + 1)) for k in range(200)], Frame("t"))
    (line,) = layers_of(chart, "line")
    sizes = list(dict.fromkeys(row["size"] for row in values_of(line)))

    assert len(sizes) == 48
    assert ("1M", "200M") == (sizes[0], sizes[-1])


@pytest.mark.parametrize("noise", [(), np.full(100, np.nan)])
def test_without_seeds_there_is_no_noise_floor_in_the_picture(noise: object) -> None:
    """A line at NaN would claim one."""
    at = np.linspace(0.02, 1, 100)
    chart = collapse([curve(1e8)], Frame("t"), progress=at, deviation=0.1 * at, noise_floor=noise)
    series = {row.get("series") for layer in layers_of(chart, "line") for row in values_of(layer)}

    assert {None, "between sizes"} == series


def test_nothing_to_draw_is_an_error() -> None:
    """No curve, and a curve of NaN."""
    for curves in ([], [NormalisedCurve(1e8, AT, np.nan * AT)]):
        with pytest.raises(ConfigError, match="nothing to draw"):
            collapse(curves, Frame("t"))


def test_a_noise_floor_of_another_length_is_refused() -> None:
    """The message holds both lengths."""
    at = np.linspace(0.02, 1, 100)
    with pytest.raises(ConfigError, match=r"got 3, 100"):
        collapse([curve(1e8)], Frame("t"), progress=at, deviation=at, noise_floor=[0.1, 0.1, 0.1])

"""Loss against compute and its linear twin."""

from __future__ import annotations

import numpy as np
import pytest

from scalewatch.charts import Frame, Ribbon, loss_against_compute
from scalewatch.errors import ConfigError
from tests.charts.reading import layers_of

FLOPS = np.geomspace(1e17, 1e21, 40)
LOSS = 1.8 + 3e3 * FLOPS**-0.18


def law() -> Ribbon:
    x = np.geomspace(1e17, 1e22, 50)
    mid = 1.8 + 3e3 * x**-0.18
    return Ribbon("law", x, mid, 0.98 * mid, 1.02 * mid)


def test_the_same_runs_stand_on_logarithmic_and_on_linear_axes() -> None:
    """Two panels, and the linear one has no logarithm on either axis."""
    chart = loss_against_compute(FLOPS, LOSS, Frame("t"), law=law())
    kinds = [[dot["encoding"][c]["scale"]["type"] for c in "xy"] for dot in layers_of(chart, "circle")]

    assert [["log", "log"], ["linear", "linear"]] == kinds


def test_the_linear_axis_begins_at_no_compute() -> None:
    """What is linear and begins elsewhere exaggerates."""
    chart = loss_against_compute(FLOPS, LOSS, Frame("t"))
    linear = layers_of(chart, "circle")[1]

    assert 0.0 == linear["encoding"]["x"]["scale"]["domain"][0]


def test_a_run_far_above_does_not_press_the_others_flat_and_is_told() -> None:
    """It is off the chart, and the chart says so."""
    loss = np.append(np.repeat(LOSS, 20), 900.0)
    chart = loss_against_compute(np.append(np.repeat(FLOPS, 20), 1e18), loss, Frame("t"))

    assert ["1 of 801 runs lie above the upper edge."] == chart.to_dict()["title"]["subtitle"]
    assert layers_of(chart, "circle")[0]["encoding"]["y"]["scale"]["domain"][1] < 10


def test_columns_of_unequal_length_are_refused() -> None:
    """The message holds both shapes."""
    with pytest.raises(ConfigError, match=r"flops \(40,\), loss \(39,\)"):
        loss_against_compute(FLOPS, LOSS[1:], Frame("t"))

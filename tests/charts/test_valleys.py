"""The valleys of a law, and one run pointed out: there, among lines of equal loss and against compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scalewatch.charts import (
    Contour,
    NormalisedCurve,
    Placed,
    Ribbon,
    Valley,
    collapse,
    isoloss,
    loss_against_compute,
    valleys,
)
from scalewatch.charts.frame import Frame
from scalewatch.errors import ConfigError
from tests.charts.reading import layers_of, texts_of, values_of

SIZES = np.geomspace(1e7, 1e11, 400)
HERE = Placed("mine", 2e19, 6e8, 2.6, 2.55, 2.65)


def valley(flops: float, bottom: bool = True) -> Valley:
    best = float(np.sqrt(flops / 120))
    loss = 1.8 + 1e4 * flops**-0.21 * (1 + 0.1 * np.log(SIZES / best) ** 2)
    return Valley(flops, SIZES, loss, (best, float(1.8 + 1e4 * flops**-0.21)) if bottom else None)


def widths(chart: Any) -> dict[str, float]:
    return {
        row["budget"]: layer["mark"]["strokeWidth"]
        for layer in layers_of(chart, "line")
        for row in values_of(layer)
        if "budget" in row
    }


def test_the_valley_of_the_run_that_is_pointed_out_is_the_thickest() -> None:
    """Of the nearest budget."""
    chart = valleys([valley(c) for c in (1e18, 2.1e19, 1e21)], Frame("t"), here=HERE)
    drawn = widths(chart)

    assert {"1e18", "2.1e19", "1e21"} == set(drawn)
    assert drawn["2.1e19"] > drawn["1e18"] == drawn["1e21"]
    assert "mine" in texts_of(chart)


def test_the_best_sizes_are_joined_where_there_are_any() -> None:
    """A law without a best size has valleys and no line through their bottoms."""
    words = "best size at each compute"

    assert words in texts_of(valleys([valley(1e19)], Frame("t")))
    assert words not in texts_of(valleys([valley(1e19, bottom=False)], Frame("t")))


def test_runs_have_the_colour_of_their_valley_and_others_are_grey() -> None:
    """None is left out."""
    chart = valleys([valley(1e19)], Frame("t"), parameters=[1e8, 3e8], loss=[2.7, 2.5], flops=[1.02e19, 7e19])
    dots = [row for layer in layers_of(chart, "circle") for row in values_of(layer)]

    assert ["1e19"] == [row["budget"] for row in dots if "budget" in row]
    assert {"size": 3e8, "loss": 2.5} in dots


def test_without_a_valley_nothing_is_drawn() -> None:
    """It says what to give."""
    with pytest.raises(ConfigError, match="no valley to draw"):
        valleys([], Frame("t"))


def test_a_run_that_is_pointed_out_has_its_interval_and_stays_on_the_page() -> None:
    """On both kinds of axes, with its name once; the name stands to its left where the page ends."""
    x = np.geomspace(1e17, 1e20, 50)
    mid = 1.8 + 3e3 * x**-0.18
    chart = loss_against_compute(x, mid, Frame("t"), law=Ribbon("law", x, mid, 0.98 * mid, 1.02 * mid), here=HERE)
    bars = [layer for layer in layers_of(chart, "rule") if values_of(layer)[0].get("label") == "mine"]

    assert [2.55, 2.55] == [values_of(bar)[0]["low"] for bar in bars]
    names = [layer for layer in layers_of(chart, "text") if values_of(layer)[0]["label"] == "mine"]
    assert {"right"} == {layer["mark"]["align"] for layer in names}
    assert all(bar["encoding"]["x"]["scale"]["domain"][1] > HERE.flops for bar in bars)


def test_one_run_alone_can_be_held_against_a_law() -> None:
    """No other run is needed, and neither is none refused in silence."""
    assert "mine" in texts_of(loss_against_compute([], [], Frame("t"), here=HERE))
    with pytest.raises(ConfigError, match="give a run"):
        loss_against_compute([], [], Frame("t"))


def test_among_lines_of_equal_loss_the_run_is_shown_and_runs_of_another_law_have_no_colour() -> None:
    """A loss that cannot be compared is not drawn as one."""
    contour = Contour(2.5, 1e20 * (0.2 + np.log(SIZES / 3e8) ** 2) / 40, SIZES)
    x = np.geomspace(1e18, 1e20, 20)
    frontier = Ribbon("best", x, x**0.45, 0.8 * x**0.45, 1.2 * x**0.45)
    chart = isoloss([contour], Frame("t"), frontier=frontier, flops=[3e18], parameters=[2e8], here=HERE)
    (dots,) = layers_of(chart, "circle")

    assert "color" not in dots["encoding"]
    assert "mine" in texts_of(chart)
    assert dots["encoding"]["y"]["scale"]["domain"][1] > HERE.parameters


def test_no_label_of_a_contour_touches_the_words_in_the_corner() -> None:
    """The frontier's name stands upper left; a contour that ends there is labelled further on."""
    lines = [Contour(v, np.geomspace(1e18, 1e20, 80), 1.7e11 * np.geomspace(1, 0.01, 80)) for v in (2.4, 2.5)]
    x = np.geomspace(1e18, 1e20, 20)
    label = "best size at this compute, 80% interval"
    frontier = Ribbon(label, x, np.full(20, 2e9), np.full(20, 1.1e9), np.full(20, 9e10))
    chart = isoloss(lines, Frame("t"), frontier=frontier)
    (band,) = layers_of(chart, "area")
    (left, right), (low, high) = (band["encoding"][c]["scale"]["domain"] for c in "xy")
    for layer in layers_of(chart, "text"):
        for row in values_of(layer):
            if row["label"] != label:
                across = np.log(row["x"] / left) / np.log(right / left)
                up = np.log(row["size"] / low) / np.log(high / low)
                assert across > 0.4 or up < 0.91


def test_collapse_points_a_run_out_beside_its_siblings() -> None:
    """Thicker, and named."""
    at = np.linspace(0.02, 1.0, 200)
    curves = [NormalisedCurve(size, at, at**-0.1) for size in (1e6, 2e6)]
    chart = collapse(curves, Frame("t"), here=NormalisedCurve(4e6, at[:90], at[:90] ** -0.12), here_label="mine")
    thick = [layer for layer in layers_of(chart, "line") if layer["mark"]["strokeWidth"] == 3]

    assert 1 == len(thick)
    assert max(row["x"] for row in values_of(thick[0])) < 0.5
    assert "mine" in texts_of(chart)

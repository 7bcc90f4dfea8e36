"""Lines of equal loss."""

from __future__ import annotations

import numpy as np
import pytest

from scalewatch.charts import Contour, Frame, Ribbon, isoloss
from scalewatch.errors import ConfigError
from tests.charts.reading import layers_of, texts_of, values_of

SIZES = np.geomspace(1e7, 1e10, 50)


def contour(loss: float) -> Contour:
    return Contour(loss, 1e20 * (0.2 + np.log(SIZES / 3e8) ** 2) / loss**4, SIZES)


def test_each_contour_is_labelled_with_its_loss() -> None:
    """A reader does not have to match colours."""
    assert {"2.10", "2.50", "3.00"} <= set(texts_of(isoloss([contour(v) for v in (2.1, 2.5, 3.0)], Frame("t"))))


def test_the_legend_names_the_lines_that_are_drawn() -> None:
    """And no losses in between, which nobody finds in the picture."""
    chart = isoloss([contour(v) for v in (2.1, 2.5, 3.0)], Frame("t"))

    (line,) = layers_of(chart, "line")
    assert [2.1, 2.5, 3.0] == line["encoding"]["color"]["legend"]["values"]


def test_more_contours_than_can_be_told_apart_are_thinned() -> None:
    """Sixteen remain, the first and the last among them."""
    chart = isoloss([contour(v) for v in np.linspace(2.0, 4.0, 100).tolist()], Frame("t"))
    drawn = {row["loss"] for layer in layers_of(chart, "line") for row in values_of(layer)}

    assert 16 == len(drawn)
    assert {2.0, 4.0} <= drawn


def test_the_frontier_has_its_interval() -> None:
    """A band below the line."""
    x = np.geomspace(1e18, 1e21, 20)
    chart = isoloss([contour(2.5)], Frame("t"), frontier=Ribbon("best", x, x**0.5, 0.5 * x**0.5, 2 * x**0.5))

    (band,) = layers_of(chart, "area")
    assert all(row["low"] < row["high"] for row in values_of(band))


def test_a_diverged_run_does_not_take_all_the_colours() -> None:
    """The colours end near the losses of the other runs."""
    loss = np.append(np.linspace(2.0, 3.0, 39), 50.0)
    chart = isoloss(
        [contour(2.5)], Frame("t"), flops=np.full(40, 1e19), parameters=np.geomspace(1e8, 1e9, 40), loss=loss
    )

    (line,) = layers_of(chart, "line")
    assert line["encoding"]["color"]["scale"]["domain"][1] < 3.1


def test_a_label_keeps_clear_of_the_runs() -> None:
    """Where a run lies at the end of a contour, the label moves along it."""
    one = contour(2.5)

    def place(runs: np.ndarray) -> float:
        size = np.append([1e7, 1e10], one.parameters[runs])
        flops = np.append([1e18, 1e20], one.flops[runs])
        chart = isoloss([one], Frame("t"), flops=flops, parameters=size, loss=0 * size + 2.5)
        rows = [row for layer in layers_of(chart, "text") for row in values_of(layer) if row["label"] == "2.50"]
        return float(rows[0]["size"])

    first = place(np.zeros(0, dtype=int))
    near = np.flatnonzero(np.abs(np.log(one.parameters / first)) < 0.3)
    assert place(near) > first


@pytest.mark.parametrize("contours", [[], [Contour(2.0, np.array([np.nan]), np.array([1e8]))]])
def test_no_contour_is_an_error(contours: list[Contour]) -> None:
    """The message says what a contour needs."""
    with pytest.raises(ConfigError, match="no contour"):
        isoloss(contours, Frame("t"))

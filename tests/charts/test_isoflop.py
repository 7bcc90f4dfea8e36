"""The valleys of equal compute."""

from __future__ import annotations

import numpy as np
import pytest

from scalewatch.charts import Frame, Minima, isoflop
from scalewatch.errors import ConfigError
from tests.charts.reading import layers_of, values_of


def valley(flops: float, best: float, sizes: int = 7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs of one budget about its best size."""
    size = best * np.geomspace(0.25, 4.0, sizes)
    return size, 3.0 * np.exp(0.02 * np.log(size / best) ** 2), np.full(sizes, flops)


def joined(*valleys: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    return [np.concatenate(part) for part in zip(*valleys, strict=True)]


def test_a_parabola_has_its_bottom_where_the_valley_has() -> None:
    """The curve that is drawn is the one the fit uses: five sizes about the lowest."""
    chart = isoflop(*joined(valley(1e18, 1e8), valley(1e19, 3e8)), Frame("t"))
    rows = [row for layer in layers_of(chart, "line") for row in values_of(layer)]
    bottoms = [
        min((row for row in rows if row["budget"] == budget), key=lambda row: row["loss"])["size"]
        for budget in ("1e18", "1e19")
    ]

    assert np.allclose([1e8, 3e8], bottoms, rtol=0.05)


def test_runs_of_budgets_without_a_valley_are_grey_and_told() -> None:
    """They are in the picture, not in the legend."""
    lone = (np.array([5e8]), np.array([2.9]), np.array([1e20]))
    spec = isoflop(*joined(valley(1e18, 1e8), lone), Frame("t")).to_dict()

    assert "Grey: 1 runs of no budget that is drawn." in spec["title"]["subtitle"]


def test_more_budgets_than_colours_are_thinned() -> None:
    """At most fourteen stand in the legend, the others are grey."""
    chart = isoflop(*joined(*(valley(1e16 * 2.0**k, 1e7 * 1.4**k) for k in range(40))), Frame("t"))
    budgets = {row["budget"] for layer in layers_of(chart, "line") for row in values_of(layer)}

    assert 14 == len(budgets)


def test_runs_of_compute_that_creeps_are_no_single_budget() -> None:
    """Each within 9 % of the next, 2.4 times in all: a chain is not one budget."""
    size = np.geomspace(1e8, 2e8, 11)
    chart = isoflop(size, 3.0 + 0 * size, 1e18 * 1.09 ** np.arange(11), Frame("t"))
    budgets = {row["budget"] for layer in layers_of(chart, "circle") for row in values_of(layer) if "budget" in row}

    assert 3 <= len(budgets)


def test_budgets_that_are_given_are_drawn_as_given() -> None:
    """A run of none is grey, however near its compute is to a budget's."""
    size, loss, flops = valley(1e18, 1e8)
    budgets = np.where(np.arange(7) == 6, np.nan, 1e18)
    chart = isoflop(size, loss, flops, Frame("t"), budgets=budgets)
    coloured = [row for layer in layers_of(chart, "circle") for row in values_of(layer) if "budget" in row]

    assert 6 == len(coloured)
    with pytest.raises(ConfigError, match="`budgets`"):
        isoflop(size, loss, flops, Frame("t"), budgets=budgets[:3])


def test_a_run_far_above_the_valleys_does_not_press_them_flat() -> None:
    """It is counted under the headline, and the axis ends below it."""
    size, loss, flops = valley(1e18, 1e8, sizes=9)
    loss[-1] = 9.0
    spec = isoflop(size, loss, flops, Frame("t")).to_dict()

    assert any("with a loss above" in line for line in spec["title"]["subtitle"])
    assert all(layer["encoding"]["y"]["scale"]["domain"][1] < 4 for layer in spec["layer"])


def test_minima_of_unequal_length_are_refused() -> None:
    """The message says what they must be."""
    two, three = np.ones(2), np.ones(3)
    with pytest.raises(ConfigError, match="one shape"):
        isoflop(*valley(1e18, 1e8), Frame("t"), minima=Minima(two, two, two, two, three))


@pytest.mark.parametrize("bad", [np.nan, -1.0, 0.0, np.inf])
def test_runs_that_cannot_be_drawn_are_left_out_and_none_at_all_is_an_error(bad: float) -> None:
    """A diverged run does not take the chart with it."""
    size, loss, flops = valley(1e18, 1e8)
    loss[0] = bad
    assert isoflop(size, loss, flops, Frame("t"))

    with pytest.raises(ConfigError, match="nothing to draw"):
        isoflop(size, np.full(7, bad), flops, Frame("t"))

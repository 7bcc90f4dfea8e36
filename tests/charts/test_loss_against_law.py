"""A run against its law."""

from __future__ import annotations

import numpy as np
import pytest

from scalewatch.charts import Band, Frame, loss_against_law
from scalewatch.errors import ConfigError
from tests.charts.reading import layers_of, values_of

STEP = np.arange(1.0, 3_001.0)
LOSS = 2.0 + 8.0 * STEP**-0.4


def test_a_spike_of_one_step_is_in_the_picture() -> None:
    """Every stretch keeps its least and its greatest loss."""
    loss = LOSS.copy()
    loss[1_999] = 9.0

    drawn = [
        row["high"] for layer in layers_of(loss_against_law(STEP, loss, Frame("t")), "rule") for row in values_of(layer)
    ]
    assert 9.0 in drawn


def test_the_distance_to_the_promise_stands_on_a_linear_axis() -> None:
    """What a logarithmic axis flatters."""
    promise = Band("promised", STEP, LOSS, 0.98 * LOSS, 1.02 * LOSS)
    chart = loss_against_law(STEP, LOSS + 0.1, Frame("t"), baseline=promise)
    gap = [row["gap"] for row in values_of(layers_of(chart, "line")[-1])]

    assert 2 == len(chart.to_dict()["vconcat"])
    assert np.allclose(0.1, gap, atol=0.02)


def test_a_log_without_a_finite_loss_is_an_error() -> None:
    """There is nothing to draw."""
    with pytest.raises(ConfigError, match="no finite loss"):
        loss_against_law(STEP, np.nan * LOSS, Frame("t"))


def test_a_warm_up_does_not_press_the_distance_to_the_law_flat() -> None:
    """The lower panel shows what the later run differs by, however far off it began."""
    far = LOSS + np.where(STEP < 100, 6.0, 0.05)
    promise = Band("promised", STEP, LOSS, 0.99 * LOSS, 1.01 * LOSS)
    chart = loss_against_law(STEP, far, Frame("t"), baseline=promise)
    line = layers_of(chart, "line")[-1]

    assert line["encoding"]["y"]["scale"]["domain"][1] < 0.5
    assert line["mark"]["clip"]


@pytest.mark.parametrize("mid", [np.zeros(0), np.full(3_000, np.nan)])
def test_a_promise_that_says_nothing_is_no_promise(mid: np.ndarray) -> None:
    """The run is drawn all the same, without a lower panel."""
    promise = Band("promised", STEP[: len(mid)], mid, mid, mid)

    assert "vconcat" not in loss_against_law(STEP, LOSS, Frame("t"), baseline=promise).to_dict()


def test_a_band_of_unequal_arrays_is_refused() -> None:
    """By its name."""
    with pytest.raises(ConfigError, match="'promised' must have one shape"):
        loss_against_law(STEP, LOSS, Frame("t"), baseline=Band("promised", STEP, LOSS[1:], LOSS, LOSS))


@pytest.mark.parametrize(("unit", "shown"), [("nats/byte", "loss − law  [nats/byte]"), ("", "loss − law")])
def test_both_panels_are_in_the_unit_of_the_loss(unit: str, shown: str) -> None:
    """Where none is known, none is claimed."""
    promise = Band("promised", STEP, LOSS, 0.98 * LOSS, 1.02 * LOSS)
    chart = loss_against_law(STEP, LOSS, Frame("t", unit=unit), baseline=promise)

    assert shown == layers_of(chart, "line")[-1]["encoding"]["y"]["title"]

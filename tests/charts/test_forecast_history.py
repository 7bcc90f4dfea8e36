"""How a forecast moved, and how often it was right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalewatch.charts import Ending, Frame, Kept, forecast_history
from scalewatch.errors import ConfigError
from tests.charts.reading import layers_of, texts_of, values_of

AT = np.linspace(5.0, 60.0, 23)
MID = 2.5 + 0.1 * np.exp(-AT / 20)
BANDS = [(MID - wide, MID + wide) for wide in (0.09, 0.06, 0.03)]


def test_each_look_stands_where_it_was_made_with_its_bands() -> None:
    """Over the whole plan, also the part that is to come."""
    chart = forecast_history(AT, MID, BANDS, Frame("t"))
    line = layers_of(chart, "line")[0]

    assert np.allclose(MID, [row["mean"] for row in values_of(line)], atol=1e-4)
    assert 3 == len(layers_of(chart, "area"))
    assert line["encoding"]["x"]["scale"]["domain"][1] >= 100


def test_promise_and_outcome_are_on_the_axis() -> None:
    """However far off they are: that is what one wants to see."""
    before = Ending("the law", 0.0, 2.2, 2.15, 2.25)
    chart = forecast_history(AT, MID, BANDS, Frame("t"), registered=before, truth=2.75)
    low, high = layers_of(chart, "line")[0]["encoding"]["y"]["scale"]["domain"]

    assert low < 2.2
    assert high > 2.75
    assert "it became 2.750" in chart.to_dict()["usermeta"]["scalewatch"]["sentence"]


def test_the_count_is_told_in_words() -> None:
    """And nothing is told of a level that was never tested."""
    told = texts_of(forecast_history(AT, MID, BANDS, Frame("t"), kept=[Kept(0.5, 4, 10), Kept(0.8, 0, 0)]))

    assert ["4 of 10"] == told


@given(st.integers(1, 200).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_the_share_lies_within_its_interval_which_few_counts_leave_wide(count: tuple[int, int]) -> None:
    """From 0 to 1, and never of no width, also where all or none were inside."""
    low, high = Kept(0.8, *count).range()

    assert 0 <= low <= count[0] / count[1] + 1e-12 <= high + 2e-12 <= 1 + 1e-11
    assert high - low > 0.5 / (count[1] + 3)


def test_a_promise_alone_is_drawn_and_nothing_at_all_is_said() -> None:
    """Before the first forecast there is what the law says."""
    none = np.zeros(0)
    forecast_history(none, none, [(none, none)], Frame("t"), registered=Ending("the law", 0.0, 2.2, 2.1, 2.3)).to_dict()
    with pytest.raises(ConfigError, match="no forecast has been made"):
        forecast_history(none, none, [(none, none)], Frame("t"))

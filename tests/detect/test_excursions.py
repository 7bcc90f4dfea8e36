"""What a number has come back from is the yardstick of what is news."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalewatch.detect.excursions import Excursions, RecentHigh


def after(peaks: list[float]) -> Excursions:
    past = Excursions()
    for peak in peaks:
        past.see(peak, ended=False)
        past.see(0.0, ended=True)
    return past


@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=200))
def test_nothing_that_was_before_is_ever_news(peaks: list[float]) -> None:
    """Nor is anything up to half as high again."""
    past = after(peaks)

    assert not any(past.beyond(1.5 * peak) for peak in peaks)


def test_what_goes_on_is_no_part_of_the_past() -> None:
    """A slow rise would move its own yardstick."""
    past = after([1.0] * 50)
    for height in np.linspace(0.0, 30.0, 300):
        past.see(float(height), ended=False)

    assert past.highest == 1.0
    assert past.beyond(30.0)


@pytest.mark.parametrize(("peaks", "news"), [([2.0] * 50, True), ([0.1] * 49 + [2.0], False)])
def test_one_high_excursion_says_less_than_many_alike(peaks: list[float], news: bool) -> None:
    """Where the highest stands alone, the next may well be three times as high."""
    assert news is after(peaks).beyond(6.0)


def test_a_past_as_short_as_the_rise_says_nothing() -> None:
    """Twenty rows do not tell how a run strays for twenty rows."""
    past = after([1.0] * 10)

    assert not past.beyond(8.0, lasted=20.0)
    assert past.beyond(8.0, lasted=1.0, alone=1.0)


def test_the_recent_high_forgets() -> None:
    """After 256 rows."""
    high = RecentHigh()
    high.see(9.0)
    for _ in range(300):
        high.see(1.0)

    assert high.highest == 1.0

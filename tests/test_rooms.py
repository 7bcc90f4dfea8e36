"""The picture of the rooms is what the imports say today."""

from __future__ import annotations

from tests.rooms import PICTURE, arrows, picture


def test_the_picture_in_the_documentation_is_up_to_date() -> None:
    """After an import between rooms that is new, `make picture` draws it again."""
    assert picture() == PICTURE.read_text("utf-8"), "run `make picture`"


def test_an_arrow_that_others_say_is_left_out() -> None:
    """Only the steps of a way are drawn, not the way."""
    taken = {"monitor": {"forecast", "laws"}, "forecast": {"laws"}, "laws": set[str]()}

    assert [("forecast", "laws"), ("monitor", "forecast")] == arrows(taken)

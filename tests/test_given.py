"""Numbers that people give as options: those of NumPy count, and what no float holds is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from scalewatch import Monitor, Run
from scalewatch.acting.acts import ActLimits
from scalewatch.errors import ConfigError
from scalewatch.given import whole_number


@pytest.mark.parametrize("value", [np.int64(7), np.float32(7.0), 7.0, np.array(7)])
def test_a_whole_number_of_any_type_is_one(value: Any) -> None:
    """What a table or a length gives is as good as a number that is written down."""
    read = whole_number("steps", value, 1)

    assert (7, int) == (read, type(read))


NONE = [True, np.True_, "7", 7.5, 0, -7, float("inf"), -(10**5_000), 10**5_000, [7], None]


@pytest.mark.parametrize("value", NONE, ids=range(len(NONE)))
def test_what_is_no_whole_number_is_refused_in_one_line(value: Any) -> None:
    """The option is named, also where what was given is too long to be written down."""
    with pytest.raises(ConfigError, match=r"^`steps` must be an integer of at least 1[^\n]*\(got [^\n]*\)\.$"):
        whole_number("steps", value, 1)


def test_limits_and_aims_given_as_numpy_numbers_are_plain_ones() -> None:
    """They stand in journals and checkpoints, which know Python's alone."""
    limits = ActLimits(cuts=np.int64(2), cut=np.float32(0.5))  # type: ignore[arg-type]
    goals = Monitor(Run("demo"), target_loss=np.int64(3)).goals

    assert (2, 0.5, 3.0) == (limits.cuts, limits.cut, goals.target_loss)
    assert [int, float, float] == [type(each) for each in (limits.cuts, limits.cut, goals.target_loss)]

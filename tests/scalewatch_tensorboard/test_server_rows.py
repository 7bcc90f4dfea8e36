"""The rows of a run in memory: whatever way they come in, they are the rows of the log."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scalewatch.observation import Observation
from scalewatch_tensorboard.runs.columns import Rows, row_of

NUMBERS = st.one_of(st.none(), st.floats(width=32), st.just(1e300))
#: Rows of a log that repeats steps and goes back, and integers that say after which step it was resumed.
LOGS = st.lists(
    st.one_of(
        st.builds(Observation, st.integers(1, 40), st.floats(width=32), NUMBERS, NUMBERS, NUMBERS, st.none(), NUMBERS),
        st.integers(0, 40),
    ),
    max_size=80,
)


def _kept(log: list[Observation | int]) -> dict[int, float]:
    """What a log amounts to: step -> loss, in order."""
    kept: dict[int, float] = {}
    for one in log:
        if isinstance(one, int):
            kept = {step: loss for step, loss in kept.items() if step <= one}
        elif one.step not in kept or one.step != max(kept):
            kept = {step: loss for step, loss in kept.items() if step < one.step}
            kept[one.step] = one.loss
    return kept


@given(LOGS, st.integers(1, 30))
def test_rows_are_those_of_the_log_without_what_was_trained_away(log: list[Observation | int], size: int) -> None:
    """In chunks of any size, as in one go: steps rise, a step back drops what came after it, a repetition is none."""
    rows = Rows()
    for first in range(0, len(log), size):
        rows.extend(log[first : first + size])
    columns = rows.columns()
    kept = _kept(log)

    assert columns.steps.tolist() == list(kept)
    np.testing.assert_array_equal(columns.losses, np.array(list(kept.values()), np.float32))
    assert all(len(column) == len(kept) for column in columns)


@given(LOGS)
def test_a_preview_that_is_watched_afterwards_is_what_watching_alone_gives(log: list[Observation | int]) -> None:
    """Rows that are read first and marked by the monitor later are the same, with the same marks."""
    alone, first = Rows(), Rows()
    first.extend(log)
    for rows in (alone, first):
        for place, one in enumerate(log):
            if isinstance(one, int):
                if rows is alone and rows.last_step is not None and rows.last_step > one:
                    rows.rewind(one + 1)
            else:
                rows.put(row_of(one, one.step, float(place)))
    mine, others = alone.columns(), first.columns()

    if not any(isinstance(one, int) for one in log):
        assert others.steps.tolist() == mine.steps.tolist()
        np.testing.assert_array_equal(others.losses, mine.losses)


def test_what_was_given_out_does_not_change() -> None:
    """A chart that is being drawn sees the run as it was, also while it goes back and on."""
    rows = Rows()
    rows.extend([Observation(step, float(step)) for step in range(1, 2_001)])
    before = rows.columns()
    rows.extend([Observation(step, -1.0) for step in range(500, 3_000)])

    assert before.steps.tolist() == list(range(1, 2_001))
    assert before.losses.tolist() == [float(step) for step in range(1, 2_001)]


def test_a_column_that_the_log_does_not_have_takes_no_memory() -> None:
    """A million steps with a loss alone cost twelve bytes each and what the monitor says of them."""
    rows = Rows()
    rows.extend([Observation(step, 1.0) for step in range(1, 10_001)])

    assert set(rows.arrays()) == {"steps", "losses"}
    assert math.isnan(rows.columns().tokens[0])

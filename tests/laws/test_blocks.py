"""A curve of any length is a few hundred block means, and a bad row is one row."""

from __future__ import annotations

import json
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalewatch.laws import LossBlocks
from tests.synthetic import Floats, noisy


def blocks_of(losses: Floats, steps: Floats | None = None) -> LossBlocks:
    blocks = LossBlocks()
    at = np.arange(1, len(losses) + 1) if steps is None else steps
    for step, loss in zip(at.tolist(), losses.tolist(), strict=True):
        blocks.add(int(step), loss)
    return blocks


def falling(rows: int, sd: float = 0.01, seed: int = 0) -> Floats:
    return noisy(2.0 + 3.0 * np.arange(1, rows + 1) ** -0.3, sd, seed)


def furthest_apart(one: LossBlocks, other: LossBlocks) -> float:
    """Largest relative difference of two curves' blocks."""
    return float(np.abs(np.log(one.arrays()[2] / other.arrays()[2])).max())


def test_a_block_is_the_mean_of_its_rows() -> None:
    """Without a bad row next to nothing is moved: each block is the plain mean of the rows up to its end."""
    losses = falling(3_000)
    blocks = blocks_of(losses)
    ends, means, values, rows = blocks.arrays()

    starts = ends - rows
    expected = [losses[int(a) : int(b)].mean() for a, b in zip(starts, ends, strict=True)]
    late = ends > 300
    assert 3_000 == rows.sum()
    assert pytest.approx(np.array(expected)[late], rel=1e-3) == values[late]
    assert pytest.approx(((starts + 1 + ends) / 2)[late]) == means[late]


def test_ten_million_steps_are_less_than_three_hundred_blocks() -> None:
    """Blocks grow with the step, so their number is that of the log's e-folds."""
    steps = np.unique(np.geomspace(1, 1e7, 20_000).astype(int)).astype(float)
    blocks = blocks_of(np.full(len(steps), 3.0), steps)

    assert 200 < len(blocks) < 300
    assert blocks.end_steps == sorted(set(blocks.end_steps))
    assert len(json.dumps(blocks.state_dict())) < 32 * 1024


def test_a_row_costs_no_memory() -> None:
    """Ten times as many rows make a few dozen blocks more."""
    blocks = blocks_of(falling(2_000))
    tracemalloc.start()
    for step in range(2_001, 20_001):
        blocks.add(step, 3.0)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 32 * 1024


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=300, unique=True))
def test_blocks_are_in_order_whatever_the_gaps_of_the_log(steps: list[int]) -> None:
    """Each row is in one block, ends rise, and a block lies between the ends around it."""
    blocks = LossBlocks()
    for step in sorted(steps):
        blocks.add(step, 3.0)
    ends, means, _, rows = blocks.arrays()

    assert len(steps) == rows.sum()
    assert max(steps) == blocks.last_step == ends[-1]
    assert all(a < b for a, b in pairwise(ends))
    assert all(a < m <= b for a, m, b in zip([0, *ends[:-1]], means, ends, strict=True))


@pytest.mark.parametrize("factor", [1.2, 3.0, 1e3, 1e300])
def test_one_bad_row_is_one_row(factor: float) -> None:
    """A single row far above, as far as floats go, moves its block by no more than four of the row's own sds."""
    losses = falling(2_000)
    spiked = losses.copy()
    spiked[1_000] *= factor

    # 4 sds of 1 % over the some 48 rows of the block, and what the level and the noise scale remember of it
    assert furthest_apart(blocks_of(losses), blocks_of(spiked)) < 2e-3


def test_one_row_near_zero_is_one_row() -> None:
    """A broken row far below does not pull its block down with it."""
    losses = falling(2_000)
    broken = losses.copy()
    broken[1_000] = 1e-300

    assert furthest_apart(blocks_of(losses), blocks_of(broken)) < 0.02


def test_a_new_level_is_followed() -> None:
    """A loss that falls for good, as at a phase change, is in the blocks at once and not tamed away."""
    losses = noisy(np.where(np.arange(1, 2_001) < 500, 8.0, 3.0), 0.01, 0)
    ends, _, values, rows = blocks_of(losses).arrays()

    after = (ends - rows > 530) & (ends < 2_000)
    assert pytest.approx(3.0, rel=0.01) == values[after].max()


def test_a_rise_that_lasts_is_followed() -> None:
    """A run that diverges is seen to: only single rows are moved."""
    losses = noisy(np.where(np.arange(1, 2_001) < 1_500, 3.0, 6.0), 0.01, 0)

    assert pytest.approx(6.0, rel=0.01) == blocks_of(losses).losses[-1]


def test_the_noise_of_a_row_is_learned() -> None:
    """On average over runs a batch noise of 2 % is known as 2 %, while the curve falls."""
    known = [blocks_of(falling(2_000, sd=0.02, seed=seed)).log_noise for seed in range(20)]

    assert pytest.approx(0.02, rel=0.1) == np.mean(known)


@given(st.integers(0, 400), st.integers(1, 400))
def test_a_state_goes_on_bit_for_bit(cut: int, more: int) -> None:
    """Saved through JSON at any row, the blocks go on as if nothing had been between."""
    losses = falling(cut + more)
    whole, resumed = blocks_of(losses), LossBlocks()
    resumed.load_state_dict(json.loads(json.dumps(blocks_of(losses[:cut]).state_dict())))
    for step in range(cut + 1, cut + more + 1):
        resumed.add(step, float(losses[step - 1]))

    assert json.dumps(whole.state_dict()) == json.dumps(resumed.state_dict())
    assert [a.tolist() for a in whole.arrays()] == [a.tolist() for a in resumed.arrays()]


@given(st.integers(1, 1_200))
def test_a_rewind_forgets_what_lies_ahead(step: int) -> None:
    """No row at or after the step is left, and all blocks that ended before it are."""
    blocks = blocks_of(falling(1_000))
    before = [end for end in blocks.end_steps if end < step]
    blocks.rewind(step)

    assert before == blocks.end_steps
    assert blocks.last_step < max(step, 1)
    assert len(before) == len(blocks) == len(blocks.arrays()[0])


def test_a_run_that_starts_over_is_not_held_at_its_old_level() -> None:
    """After a rewind to the first step the loss is high again, and its rows are not taken for bad ones."""
    blocks = blocks_of(falling(5_000))
    blocks.rewind(1)
    again = falling(100, seed=1)
    for step, loss in enumerate(again.tolist(), 1):
        blocks.add(step, loss)
    ends, _, values, _ = blocks.arrays()

    assert again[0] == values[0]
    assert pytest.approx(2.0 + 3.0 * ends[ends > 10] ** -0.3, rel=0.05) == values[ends > 10]

"""Runs in two units: found whichever they are, and never found in runs of one unit."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalewatch.fitting.mixed_units import unit_mismatch

Floats = np.ndarray


def surface(count: int, noise: float, seed: int) -> tuple[Floats, Floats, Floats]:
    """Runs of a known law at random sizes and tokens, as logarithms."""
    rng = np.random.default_rng(seed)
    size, tokens = rng.uniform(np.log(1e7), np.log(1e10), count), rng.uniform(np.log(1e9), np.log(1e12), count)
    loss = np.log(1.8 + 400 * np.exp(-0.34 * size) + 2000 * np.exp(-0.37 * tokens))
    return size, tokens, loss + noise * rng.standard_normal(count)


@settings(max_examples=40)
@given(
    count=st.integers(30, 200), share=st.floats(0.2, 0.8), factor=st.sampled_from([0.25, 0.33, 0.4, 1.4427]),
    noise=st.floats(0.0, 0.02), seed=st.integers(0, 1_000),
)  # fmt: skip
def test_runs_in_another_unit_are_found_whatever_their_share(
    count: int, share: float, factor: float, noise: float, seed: int
) -> None:
    """Bits per byte or bits per token among nats per token, from a fifth to four fifths: the smaller group, exactly."""
    size, tokens, loss = surface(count, noise, seed)
    other = np.random.default_rng(seed + 1).random(count) < share

    found = unit_mismatch(size, tokens, loss + np.log(factor) * other)
    assert found is not None
    fewer, times = (other, factor) if other.sum() <= count / 2 else (~other, 1 / factor)
    if other.sum() != count / 2:
        assert np.flatnonzero(fewer).tolist() == found.rows.tolist()
        assert pytest.approx(times, rel=0.05) == found.factor


@settings(max_examples=40)
@given(count=st.integers(6, 200), noise=st.floats(0.0, 0.05), seed=st.integers(0, 1_000))
def test_runs_of_one_unit_are_one_group(count: int, noise: float, seed: int) -> None:
    """However few and noisy they are."""
    assert unit_mismatch(*surface(count, noise, seed)) is None


@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("factor", [0.33, 3.0])
def test_a_unit_that_goes_with_size_or_tokens_is_found(column: int, factor: float) -> None:
    """The large runs from one notebook, the small ones from another."""
    runs = surface(60, 0.005, 0)
    other = runs[column] > np.median(runs[column])

    found = unit_mismatch(runs[0], runs[1], runs[2] + np.log(factor) * other)
    assert found is not None
    assert found.rows.tolist() in (np.flatnonzero(other).tolist(), np.flatnonzero(~other).tolist())


def test_two_sizes_are_no_two_units() -> None:
    """What size explains, a unit need not: runs of two sizes differ by a constant factor too."""
    size = np.log(np.repeat([2.5e7, 4e9], 9))
    tokens = np.log(np.tile(np.geomspace(1e9, 1e11, 9), 2))
    loss = np.log(np.where(size < 20, 4.0, 2.0) + 300 * np.exp(-0.3 * tokens))

    assert unit_mismatch(size, tokens, loss) is None


def test_diverged_runs_are_no_unit() -> None:
    """They end anywhere above their law."""
    size, tokens, loss = surface(60, 0.003, 0)
    loss[:8] += np.random.default_rng(1).uniform(0.2, 1.5, 8)

    assert unit_mismatch(size, tokens, loss) is None


def test_public_runs_are_of_one_unit_each_and_two_of_them_together(data_folder: Path) -> None:
    """Every set of finished runs by itself, and the two readings of one figure that differ by a factor."""
    sets: dict[str, list[tuple[float, float, float]]] = {}
    with (data_folder / "scaling_points.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            point = (float(row["n_params"]), float(row["tokens"]), float(row["loss"] or "nan"))
            if all(0 < number < np.inf for number in point):
                sets.setdefault(row["group"], []).append(point)

    assert [] == [name for name, rows in sets.items() if unit_mismatch(*np.log(rows).T) is not None]
    both = unit_mismatch(*np.log(sets["llama_3__exp_loss"] + sets["llama_3__raw_loss"]).T)
    assert both is not None
    assert list(range(133)) == both.rows.tolist()

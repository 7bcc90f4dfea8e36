"""Collapse of ladders: the published ratios, floors, duplicates, and input that is no ladder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalewatch.errors import FitError
from scalewatch.laws.collapse import CollapseRun, fit_floor, measure_collapse

#: Delta over sigma at 80 % of the run, of two ladders of Qiu et al. (2025, arXiv 2507.02119).
ROW_14 = {"mlp_D": 0.60, "c5m_": 0.18}
TOLERANCE = 0.05


def ladder(folder: Path, family: str) -> tuple[list[CollapseRun], list[float]]:
    """The runs of one family, exact copies included, and their compute."""
    table = pd.read_csv(folder / "runs.csv")
    table = table[table.run_id.str.startswith(f"supercollapse/{family}")]
    rows = pd.read_parquet(folder / "curves.parquet", columns=["run_id", "step", "loss"])
    by_run = dict(tuple(rows[rows.run_id.isin(table.run_id) & (rows.step > 0)].groupby("run_id")))
    runs, compute = [], []
    for one in table.itertuples():
        own = by_run[one.run_id]
        seed = one.run_id.split("seed")[1].split("_")[0]
        runs.append(CollapseRun(one.n_params, seed, own.step.to_numpy() / one.total_steps, own.loss.to_numpy()))
        compute.append(float(one.n_params * one.total_steps))
    return runs, compute


def made(sizes: int = 5, seeds: int = 4, shape_drift: float = 0.0, noise: float = 0.01) -> list[CollapseRun]:
    """A ladder of one universal curve; the noise of a seed is shared by all of its run."""
    generator = np.random.default_rng(3)
    x = np.linspace(0.01, 1.0, 300)
    runs = []
    for k in range(sizes):
        for seed in range(seeds):
            power = 0.3 * (1 + shape_drift * k)
            above = 2.0**-k * x**-power * (1 + noise * generator.standard_normal())
            runs.append(CollapseRun(1e6 * 4**k, seed, x, 1.5 + above))
    return runs


@pytest.mark.parametrize("family", ROW_14)
def test_published_ladders_collapse_as_published(data_folder: Path, family: str) -> None:
    """Delta over sigma on real runs, the floor fitted too, and exact copies counted once."""
    runs, compute = ladder(data_folder, family)
    found = measure_collapse(runs, compute=compute)

    assert ROW_14[family] == pytest.approx(found.ratio_at(0.8), abs=TOLERANCE)
    assert (8, 40) == (found.sizes, found.runs)
    assert len(runs) - 40 == found.duplicates


def test_a_universal_curve_supercollapses() -> None:
    """Divided by its own end, the noise that a run shares with itself is gone."""
    found = measure_collapse(made(), floor=1.5)

    assert 1.0 == found.supercollapse_share
    assert found.deviation.max() < 1e-9


def test_a_curve_that_changes_with_size_does_not() -> None:
    """Exponents that drift by a fifth a size lie above the seeds' noise."""
    found = measure_collapse(made(shape_drift=0.2), floor=1.5)

    assert found.supercollapse_share < 0.5
    assert found.ratio_at(0.5) > 1


def test_a_floor_is_recovered_from_noisy_ends() -> None:
    """L0 within the range the fit gives, whatever compute is counted in."""
    compute = np.geomspace(1e15, 1e21, 12)
    loss = (1.8 + 40.0 * (compute / 1e12) ** -0.25) * np.exp(1e-3 * np.random.default_rng(0).standard_normal(12))
    found, scaled = fit_floor(compute, loss), fit_floor(compute / 1e18, loss)

    assert 1.8 == pytest.approx(found.floor, abs=0.02)
    assert found.low <= found.floor <= found.high
    assert found.floor == pytest.approx(scaled.floor, rel=1e-9)


def test_a_ladder_without_a_floor_says_so() -> None:
    """A pure power law has a floor of zero, and the note says what to do."""
    compute = np.geomspace(1e15, 1e18, 6)
    found = fit_floor(compute, 5.0 * (compute / 1e15) ** -0.1)

    assert found.floor == pytest.approx(0.0, abs=0.02)
    assert any("add a larger size" in note or "fit as well" in note for note in found.notes)


def test_one_seed_has_no_noise_floor() -> None:
    """The deviation is there, the ratio is not a number, and a note says why."""
    found = measure_collapse(made(seeds=1), floor=1.5)

    assert np.isnan(found.ratio_at(0.5))
    assert "repeat the smallest size" in found.notes[0]


def test_one_size_is_no_ladder() -> None:
    """Collapse compares sizes."""
    with pytest.raises(FitError, match="add a size"):
        measure_collapse(made(sizes=1), floor=1.5)


def test_a_floor_above_a_final_loss_is_refused() -> None:
    """Nothing is left to normalise."""
    with pytest.raises(FitError, match="below the final loss"):
        measure_collapse(made(), floor=2.0)


def test_neither_floor_nor_compute_is_refused() -> None:
    """The message says which of the two to give."""
    with pytest.raises(FitError, match="compute"):
        measure_collapse(made())


@pytest.mark.parametrize(
    ("progress", "loss"),
    [([0.1, 0.5], [3.0, 2.0]), ([0.5, 0.1, 1.0], [3.0, 2.0, 1.0]), ([0.5, 1.0], [3.0, np.nan]), ([1.0], [2.0])],
)
def test_a_run_that_is_not_finished_is_refused(progress: list[float], loss: list[float]) -> None:
    """Unfinished, out of order, diverged, or a single row."""
    with pytest.raises(FitError):
        CollapseRun(1e6, 0, progress, loss)


def test_three_budgets_are_the_fewest_for_a_floor() -> None:
    """Two points go through every floor."""
    with pytest.raises(FitError, match="three or more budgets"):
        fit_floor([1.0, 2.0], [3.0, 2.5])

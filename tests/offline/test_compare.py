"""Is this loss curve the same as that one? On made-up pairs, of which the answer is known, and on real ones."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalewatch.errors import LogError
from scalewatch.observation import Observation
from scalewatch.offline.compare import ComparisonOutcome, Series, compare_curves, series

STEPS = 4000


def curve(seed: int, *, order: int = 0, private: float = 0.0005, shared: float = 0.014, **change: Any) -> Series:
    """A power law with the noise of its batches (by `order`) and its own; `change` maps steps to a relative change."""
    steps = np.arange(1.0, STEPS + 1)
    noise = shared * np.random.default_rng(1000 + order).standard_normal(STEPS)
    own = private * np.random.default_rng(seed).standard_normal(STEPS)
    log = np.log(1.7 + 6 * steps**-0.4) + noise + own + change.get("add", 0.0)
    return Series(steps, steps * change.get("batch", 1e5), np.exp(log))


def after(step: int, size: float, until: int = STEPS) -> np.ndarray:
    at = np.arange(1, STEPS + 1)
    return np.where((at >= step) & (at < until), size, 0.0)


def test_equal_runs_of_the_same_batches_are_the_same() -> None:
    """Paired noise cancels: the interval is a hundredth of a per cent wide."""
    found = compare_curves(curve(1), curve(2))

    assert ComparisonOutcome.SAME is found.outcome
    assert not found.differs
    assert found.pairing.same_batches
    assert found.difference.high - found.difference.low < 3e-4
    assert 0.003 == found.difference.tolerance


def test_runs_on_other_batches_are_compared_with_a_wider_interval() -> None:
    """What they share is told from the residuals."""
    found = compare_curves(curve(1, order=1), curve(2, order=2))

    assert ComparisonOutcome.SAME is found.outcome
    assert not found.pairing.same_batches
    assert 0.01 == found.difference.tolerance
    assert found.difference.low < 0 < found.difference.high


@pytest.mark.parametrize("size", [0.006, -0.006, 0.05])
def test_a_change_is_found_with_its_size_and_its_step(size: float) -> None:
    """Since when, by how much, in which direction: within a block and a tenth."""
    found = compare_curves(curve(1, add=after(2500, size)), curve(2))

    assert ComparisonOutcome.DIFFERENT is found.outcome
    assert found.difference.relative == pytest.approx(
        np.expm1(size), abs=3 * (found.difference.high - found.difference.low)
    )
    assert found.since == pytest.approx(2500, abs=STEPS / 32)
    assert np.sign(found.difference.nats) == np.sign(size)


def test_a_change_that_comes_back_is_told_as_a_stretch() -> None:
    """The same in the end, but not the same curve."""
    found = compare_curves(curve(1, add=after(1500, 0.02, until=2200)), curve(2))

    assert ComparisonOutcome.SAME is found.outcome
    assert found.differs
    ((first, last, relative),) = found.stretches
    assert first == pytest.approx(1500, abs=STEPS / 32)
    assert last == pytest.approx(2200, abs=STEPS / 32)
    assert relative == pytest.approx(0.02, rel=0.3)


def test_noise_that_drowns_the_question_is_said_to() -> None:
    """With a tolerance below what can be known there is no verdict."""
    found = compare_curves(curve(1, order=1, shared=0.3), curve(2, order=2, shared=0.3))

    assert ComparisonOutcome.UNDECIDED is found.outcome
    assert not found.differs


def test_equal_runs_are_called_different_no_more_often_than_promised() -> None:
    """Of 300 pairs of white and of correlated noise hardly one, and the interval holds the truth."""
    called, held = 0, 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((2, 2000))
        if seed % 2:
            for i in range(1, 2000):
                noise[:, i] = 0.8 * noise[:, i - 1] + 0.6 * noise[:, i]
        steps = np.arange(1.0, 2001)
        pair = [Series(steps, steps * np.nan, np.exp(np.log(3.0) + 0.02 * row)) for row in noise]
        found = compare_curves(*pair, tolerance=1e-4)
        called += found.outcome is ComparisonOutcome.DIFFERENT or bool(found.stretches)
        held += found.difference.low <= 0 <= found.difference.high
    assert called <= 15
    assert held >= 275


def test_another_batch_size_is_paired_by_tokens() -> None:
    """Twice the batch and every second step is the same curve over tokens."""
    fine = curve(1)
    coarse = Series(fine.steps[: STEPS // 2], fine.tokens[1::2], fine.losses[1::2])

    found = compare_curves(coarse, fine)

    assert "tokens" == found.pairing.paired_by
    assert ComparisonOutcome.SAME is found.outcome


def test_logs_of_other_steps_are_interpolated_and_that_is_said() -> None:
    """Every 7th step against every 10th."""
    a, b = curve(1, shared=0.002), curve(2, shared=0.002)
    found = compare_curves(
        Series(*(column[3::7] for column in a))._replace(tokens=a.tokens[3::7] * np.nan),
        Series(*(column[4::10] for column in b)),
    )

    assert "step, interpolated" == found.pairing.paired_by
    assert ComparisonOutcome.SAME is found.outcome


def test_a_run_that_turned_into_nan_is_not_the_same() -> None:
    """Its finite rows agree, and it still differs."""
    lost = curve(1)
    lost.losses[3000:] = np.nan

    found = compare_curves(lost, curve(2))

    assert found.differs
    assert 1000 == found.pairing.nonfinite


def test_too_little_in_common_is_an_error() -> None:
    """Ten rows, or steps that never meet."""
    a = curve(1)
    for other in (Series(*(column[:10] for column in a)), Series(a.steps + 1e6, a.tokens + 1e12, a.losses)):
        with pytest.raises(LogError, match="in common"):
            compare_curves(a, other)


def test_of_rows_that_were_trained_twice_the_later_count() -> None:
    """After a resume the old rows are gone."""
    rows = [Observation(step, 3.0) for step in range(1, 11)] + [Observation(step, 2.0) for step in range(6, 9)]

    made = series(rows)

    assert [1, 2, 3, 4, 5, 6, 7, 8] == made.steps.tolist()
    assert [3.0] * 5 + [2.0] * 3 == made.losses.tolist()


def test_seeds_of_real_recipes_are_the_same_and_optimizers_differ(data_folder: Path) -> None:
    """57M GPTs: three seeds each of AdamW and Muon; with the same batches Muon is 2 to 4 % lower."""
    import pandas as pd

    frame = pd.read_parquet(data_folder / "curves.parquet", filters=[("split", "==", "train")])
    chosen = frame[frame.run_id.astype(str).str.contains(r"minigpt.*sample10bt_seed\d+_4000s")]
    runs = {}
    for name, rows in chosen.groupby("run_id", observed=True):
        rows = rows.drop_duplicates("step").sort_values("step")
        runs[str(name)] = Series(*(rows[c].to_numpy(dtype=np.float64) for c in ("step", "tokens", "loss")))
    adamw, muon = ([run for name, run in sorted(runs.items()) if kind in name] for kind in ("adamw_s", "muon_s"))

    assert [3, 3] == [len(adamw), len(muon)]
    for group in (adamw, muon):
        assert {ComparisonOutcome.SAME} == {compare_curves(a, b).outcome for a, b in itertools.combinations(group, 2)}
    for a, b in zip(muon, adamw, strict=True):
        found = compare_curves(a, b)
        assert found.pairing.same_batches
        assert -0.04 < found.difference.low < found.difference.high < -0.02

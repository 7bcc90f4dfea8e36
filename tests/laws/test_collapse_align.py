"""A run against the curve of its siblings: final loss, conditions, and where it leaves them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalewatch.errors import ConfigError, FitError
from scalewatch.laws.collapse_align import CollapseRecipe, CollapseVerdict, diagnose_collapse, early_align
from tests.laws.published_curves import curve

X = np.linspace(0.01, 1.0, 400)
SHAPE = X**-0.2
RECIPE = CollapseRecipe(20.0, 0.18, "linear to zero")


def noisy(loss: np.ndarray, seed: int = 0, noise: float = 0.003) -> np.ndarray:
    """The curve with the scatter of a smoothed log."""
    return loss * np.exp(noise * np.random.default_rng(seed).standard_normal(len(loss)))


def test_the_final_loss_is_read_off_half_a_run() -> None:
    """Within its own standard error, from rows up to 50 % only."""
    seen = X <= 0.5
    found = early_align(X[seen], noisy(2.1 * SHAPE)[seen], X, 3.0 * SHAPE, recipe=RECIPE, reference_recipe=RECIPE)

    assert 2.1 == pytest.approx(found.final_loss, abs=3 * found.final_loss_sd)
    assert found.final_loss_sd < 0.02
    assert () == found.notes


def test_unknown_conditions_widen_the_error_and_are_said() -> None:
    """Without recipes nobody knows whether the curves should lie on one another."""
    known = early_align(X, 2.1 * SHAPE, X, SHAPE, recipe=RECIPE, reference_recipe=RECIPE)
    unknown = early_align(X, 2.1 * SHAPE, X, SHAPE)

    assert unknown.final_loss_sd > 3 * known.final_loss_sd
    assert "give both recipes" in unknown.notes[0]


def test_conditions_that_differ_are_named_with_a_remedy() -> None:
    """Tokens per parameter, timescale and schedule, each in a sentence."""
    other = CollapseRecipe(80.0, 0.09, "cosine to 10 %")

    told = RECIPE.unmet(other)

    assert 3 == len(told)
    assert "weight decay" in told[1]


def test_the_timescale_of_adamw_is_one_over_rate_decay_and_steps() -> None:
    """tau = 1 / (3e-4 * 0.1 * 100,000) = 1/3 of the run."""
    recipe = CollapseRecipe.of_adamw(20.0, 3e-4, 0.1, 100_000, "cosine")

    assert 1 / 3 == pytest.approx(recipe.timescale)


def test_a_published_run_is_aligned_within_its_error(data_folder: Path) -> None:
    """100M on the curve of 25M, tokens per parameter unequal: off by 1 to 3 %, as the error says."""
    small, large = (curve(data_folder, size, "cosine_24000") for size in ("25M", "100M"))
    found = early_align(large.steps / 23_920, large.loss, small.steps / 23_920, small.loss)

    assert large.loss[-1] == pytest.approx(found.final_loss, abs=2 * found.final_loss_sd)


@pytest.mark.parametrize(("family", "most"), [("mlp_D", 0.006), ("c5m_", 0.004)])
def test_ladders_that_collapse_align_at_half_the_run(data_folder: Path, family: str, most: float) -> None:
    """Final losses of seven larger sizes, 1.3 to 28 times the smallest, from rows up to 50 %."""
    table = pd.read_csv(data_folder / "runs.csv")
    table = table[table.run_id.str.startswith(f"supercollapse/{family}") & table.run_id.str.endswith("seed0")]
    rows = pd.read_parquet(data_folder / "curves.parquet", columns=["run_id", "step", "loss"])
    runs = []
    for one in table.sort_values("n_params").itertuples():
        own = rows[(rows.run_id == one.run_id) & (rows.step > 0)]
        runs.append((own.step.to_numpy() / one.total_steps, own.loss.to_numpy(dtype=np.float64)))
    (reference, reference_loss), *larger = runs

    for progress, loss in larger:
        seen = progress <= 0.5
        found = early_align(progress[seen], loss[seen], reference, reference_loss)

        assert loss[-1] == pytest.approx(found.final_loss, rel=most)


@pytest.mark.parametrize(
    ("sign", "verdict"), [(1, CollapseVerdict.ABOVE), (-1, CollapseVerdict.BELOW)], ids=["above", "below"]
)
def test_a_drift_is_dated_and_signed(sign: int, verdict: CollapseVerdict) -> None:
    """A drift of 3 % from 60 % of the run on is seen to begin between 60 and 75 %."""
    drift = 1 + sign * 0.03 * np.clip((X - 0.6) / 0.2, 0, 1)
    found = diagnose_collapse(X, noisy(2.1 * SHAPE * drift), X, SHAPE, recipe=RECIPE, reference_recipe=RECIPE)

    assert verdict is found.verdict
    assert found.begins_at is not None
    assert 0.6 < found.begins_at < 0.75
    assert sign == np.sign(found.size)


def test_a_healthy_run_stays_on_the_curve() -> None:
    """Noise of .3 % is no drift, at any of ten seeds."""
    verdicts = {diagnose_collapse(X, noisy(2.1 * SHAPE, seed), X, SHAPE).verdict for seed in range(10)}

    assert {CollapseVerdict.ON_CURVE} == verdicts


def test_a_spike_that_comes_back_is_no_drift() -> None:
    """Only what stays away to the last row has left."""
    loss = 2.1 * SHAPE
    loss[200:204] *= 1.3
    found = diagnose_collapse(X, loss, X, SHAPE)

    assert CollapseVerdict.ON_CURVE is found.verdict
    assert found.begins_at is None


def test_another_recipe_is_not_judged() -> None:
    """A residual against a run that need not collapse is no fault."""
    found = diagnose_collapse(
        X,
        2.1 * SHAPE * X**-0.05,
        X,
        SHAPE,
        recipe=RECIPE,
        reference_recipe=CollapseRecipe(80.0, 0.18, "linear to zero"),
    )

    assert CollapseVerdict.NOT_COMPARABLE is found.verdict


def test_too_early_is_said_with_what_to_use_instead() -> None:
    """Before a quarter of the run there is nothing to align."""
    seen = X < 0.2
    with pytest.raises(FitError, match="annealing"):
        early_align(X[seen], SHAPE[seen], X, SHAPE)


def test_an_unfinished_reference_is_refused() -> None:
    """Its own final loss is the unit."""
    with pytest.raises(FitError, match="finished"):
        early_align(X, SHAPE, X[:200], SHAPE[:200])


def test_numbers_that_cannot_be_are_refused() -> None:
    """A recipe of no tokens, a threshold of nothing, arrays that do not match."""
    with pytest.raises(ConfigError):
        CollapseRecipe(0.0, 0.1, "cosine")
    with pytest.raises(ConfigError, match="threshold"):
        diagnose_collapse(X, SHAPE, X, SHAPE, threshold=0.0)
    with pytest.raises(FitError, match="shape"):
        early_align(X, SHAPE[:-1], X, SHAPE)

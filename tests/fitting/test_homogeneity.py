"""Runs that differ in more than size and tokens: the fit says which and why."""

from __future__ import annotations

import numpy as np
import pytest

from scalewatch.fitting.average import average_laws
from scalewatch.fitting.families import CHINCHILLA, COMPUTE, COMPUTE_NO_FLOOR
from scalewatch.fitting.points import fit_family
from scalewatch.fitting.status import FitStatus
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.size import total

TRUE = Chinchilla(1.8, 450.0, 2000.0, 0.345, 0.365)
Table = tuple[np.ndarray, np.ndarray, np.ndarray]


def runs(*, each: int = 1, noise: float = 0.002) -> Table:
    """Runs of a known law over a grid of sizes and tokens, `each` of every size and tokens."""
    grid = np.meshgrid(np.geomspace(5e7, 5e9, 5), np.geomspace(2e9, 1e11, 5))
    size, tokens = (np.repeat(axis.ravel(), each) for axis in grid)
    scatter = np.random.default_rng(0).standard_normal(len(size))
    return size, tokens, np.asarray(TRUE.loss(total(size), tokens)) * np.exp(noise * scatter)


def test_a_sweep_of_settings_is_named() -> None:
    """Eight runs of every size and tokens, 3 % apart: what was varied is neither, and no law follows it."""
    fit = fit_family(CHINCHILLA, *runs(each=8, noise=0.03))

    assert FitStatus.SCATTERED in fit.statuses
    assert any("200 runs of equal size and tokens differ by" in note and "keep the best" in note for note in fit.notes)


def test_seeds_are_no_sweep() -> None:
    """Eight seeds of every size and tokens, 0.3 % apart."""
    fit = fit_family(CHINCHILLA, *runs(each=8, noise=0.003))

    assert not any("differ by" in note for note in fit.notes)
    assert FitStatus.SCATTERED not in fit.statuses


def test_a_loss_that_rises_with_tokens_is_named_with_its_size() -> None:
    """The longest run of 5e7 parameters ends 3 % above a shorter one, as on text unlike the training data."""
    size, tokens, loss = runs()
    smallest = np.flatnonzero(size == size.min())
    longest, before = smallest[np.argsort(tokens[smallest])[[-1, -2]]]
    loss[longest] = 1.03 * loss[before]

    fit = fit_family(CHINCHILLA, size, tokens, loss)

    assert FitStatus.SCATTERED in fit.statuses
    assert any("at 1 of the sizes (5e+07), by up to 3.0 %" in note for note in fit.notes)


def test_noisy_checkpoints_are_no_rise() -> None:
    """Fifty checkpoints of each size with 2 % of noise: the last is above the lowest, as noise has it."""
    size, tokens = (axis.ravel() for axis in np.meshgrid(np.geomspace(5e7, 5e9, 5), np.geomspace(2e9, 1e11, 50)))
    scatter = np.random.default_rng(0).standard_normal(len(size))
    fit = fit_family(CHINCHILLA, size, tokens, np.asarray(TRUE.loss(total(size), tokens)) * np.exp(0.02 * scatter))

    assert not any("More tokens" in note for note in fit.notes)


@pytest.mark.parametrize("each", [1, 2])
def test_the_average_repeats_what_every_law_says_of_the_runs(each: int) -> None:
    """And says nothing of clean ones."""
    families = [CHINCHILLA, COMPUTE, COMPUTE_NO_FLOOR]
    clean = average_laws(*runs(each=each), families=families)
    swept = average_laws(*runs(each=8, noise=0.03), families=families)

    assert not any("differ by" in note for note in clean.notes)
    assert any("differ by" in note for note in swept.notes)

"""A fit that sees that its own form is wrong, says so, and is no longer sure of what lies beyond its runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scalewatch.fitting.chinchilla import fit_chinchilla
from scalewatch.fitting.chinchilla_file import SavedChinchilla, load_chinchilla, save_chinchilla
from scalewatch.fitting.points import PointFit
from scalewatch.fitting.status import FitStatus
from scalewatch.laws.chinchilla import Chinchilla
from scalewatch.laws.size import total

SIZE, TOKENS = (v.ravel() for v in np.meshgrid(np.geomspace(1e8, 3e9, 8), np.geomspace(2e9, 2e11, 8)))
#: A run beyond all of them.
NEXT = (6e9, 4e11)


def law(size: np.ndarray, tokens: np.ndarray, moves: float) -> np.ndarray:
    """A loss whose data exponent falls by `moves` with each e-fold of size."""
    x = np.log(size / 5e8)
    return np.asarray(1.7 + 0.5 * np.exp(-0.34 * x) + 0.6 * (tokens / 2e10) ** (-0.35 * np.exp(-moves * x)))


def fitted(moves: float) -> PointFit[Chinchilla]:
    """Chinchilla's law, fitted to runs with little noise."""
    noise = np.exp(0.001 * np.random.default_rng(0).standard_normal(SIZE.shape))
    return fit_chinchilla(SIZE, TOKENS, law(SIZE, TOKENS, moves) * noise)


def test_runs_of_the_laws_own_form_are_not_called_misshapen() -> None:
    """The fit is sound."""
    assert FitStatus.OK is fitted(0.0).status


def test_an_exponent_that_moves_is_seen_in_the_residuals_and_what_to_use_is_said() -> None:
    """With the correlations of both ends; the law can still be looked at."""
    fit = fitted(0.15)

    assert FitStatus.WRONG_SHAPE is fit.status
    assert fit.status.usable
    assert "--predict POINTS" in fit.status
    assert any("in the smallest quarter of the sizes and" in note for note in fit.notes)


def test_the_interval_of_a_misshapen_fit_holds_the_next_run_also_out_of_its_file(tmp_path: Path) -> None:
    """Where the form's error alone is many times the scatter of runs."""
    fit = fitted(0.15)
    size, tokens = NEXT
    came = float(law(np.array(size), np.array(tokens), 0.15))

    told = fit.predict(total(size), tokens)
    save_chinchilla(SavedChinchilla.of(fit), tmp_path / "law.json")
    kept = load_chinchilla(tmp_path / "law.json").predict(total(size), tokens)

    assert abs(np.log(came / told.loss)) > 0.005
    assert told.low < came < told.high
    assert kept.low == pytest.approx(told.low, rel=1e-3)
    assert kept.high == pytest.approx(told.high, rel=1e-3)

"""Curves with holes, and what a law of curves says of its runs."""

from __future__ import annotations

import numpy as np
import pytest

from scalewatch import Run
from scalewatch.fitting import fit_curves
from scalewatch.laws import Curve
from tests.synthetic import TrueLaw, ladder

TRUE = TrueLaw()


@pytest.mark.parametrize(
    ("lost", "hole"),
    [
        ((300, 301), None),
        ((300, 320), (301, 320)),
        ((400, 600), (401, 600)),
        ((597, 600), None),
        ((0, 50), None),
    ],
)
def test_a_curve_knows_where_its_loss_was_lost(lost: tuple[int, int], hole: tuple[int, int] | None) -> None:
    """A stretch of rows that are not finite, at its end too; a single bad batch is none."""
    losses = np.full(600, 3.0)
    losses[lost[0] : lost[1]] = np.nan

    assert hole == Curve(Run("r", 600), np.arange(1, 601), losses).hole
    assert hole == Curve(Run("r", 600), np.arange(1, 601), losses).renamed("s").hole


def test_a_loss_that_is_logged_at_every_tenth_row_has_no_hole() -> None:
    """The rows between hold something else."""
    losses = np.where(np.arange(600) % 10 == 9, 3.0, np.nan)

    assert Curve(Run("r", 600), np.arange(1, 601), losses).hole is None


def test_a_run_with_a_hole_is_left_out_of_a_law_and_named() -> None:
    """It would be used as if it had ended, or been whole."""
    runs = ladder(TRUE)
    steps, losses = runs[0].steps, runs[0].loss.copy()
    losses[len(losses) // 2 :] = np.nan

    law = fit_curves([*runs, Curve(runs[0].renamed("lost").run, steps, losses)])
    assert len(runs) == law.evidence.runs
    assert any("'lost' is left out: its loss is not finite from step" in said for said in law.evidence.left_out)


def test_a_law_says_what_its_runs_do_not_carry() -> None:
    """Nothing of a ladder; of one size, of scattered runs and of runs that no law describes, what to do."""
    law = fit_curves(ladder(TRUE))
    assert law.usable
    assert () == law.cautions

    assert "add runs of other sizes" in fit_curves(ladder(TRUE)[:1]).cautions[0]
    apart = [Curve(c.run, c.steps, c.loss * (0.4 if i == 1 else 1.0)) for i, c in enumerate(ladder(TRUE))]
    broken = fit_curves(apart)
    assert not broken.usable
    assert "The law does not describe these runs" in broken.cautions[0]

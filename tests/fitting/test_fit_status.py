"""What a fit says of runs in two units, of several recipes, or scattered."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from scalewatch.errors import FitError
from scalewatch.fitting.chinchilla import fit_chinchilla
from scalewatch.fitting.status import FitStatus
from scalewatch.laws.size import total
from tests.fitting.test_fit_chinchilla import bad, runs


def test_a_note_on_another_unit_counts_and_names_its_runs() -> None:
    """By name where the runs have one, by row else, with the bytes of a token that the factor stands for."""
    size, tokens, loss = bad("bits per byte")
    plain = fit_chinchilla(size, tokens, loss)
    named = fit_chinchilla(size, tokens, loss, names=[f"run {i}" for i in range(len(loss))])

    assert list(range(0, 49, 4)) == plain.unit_mismatch.tolist()
    said = " ".join(plain.notes)
    assert "13 of 49 runs are 0.33 times the others" in said
    assert "4.4 bytes a token?): rows 0, 4, 8" in said
    assert ": 'run 0', 'run 4'" in " ".join(named.notes)
    with pytest.raises(FitError, match="`names` must hold one for each of 49"):
        fit_chinchilla(size, tokens, loss, names=["one"])


def test_runs_that_scatter_more_than_one_recipe_does_are_usable_with_a_warning() -> None:
    """Twice the scatter of public runs of one recipe: not sound, and still with an interval."""
    fit = fit_chinchilla(*runs(noise=0.02))

    assert FitStatus.SCATTERED in fit.statuses
    assert FitStatus.OK not in fit.statuses
    assert fit.status.usable
    assert math.isfinite(fit.predict(total(1e9), 2e10).high)


def test_public_runs_of_several_recipes_are_not_called_sound(data_folder: Path) -> None:
    """Ten settings of one paper, together 6 % off; one of them, without its shortest runs, is well described."""
    recipes: dict[tuple[str, ...], list[tuple[float, float, float]]] = {}
    with (data_folder / "porian_isoflop.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            size, flops, loss = (float(row[name]) for name in ("n", "flops", "loss"))
            recipe = tuple(row[name] for name in ("hparams", "warmup", "decay", "param_count"))
            recipes.setdefault(recipe, []).append((size, flops / (6 * size), loss))

    together = fit_chinchilla(*np.array([point for points in recipes.values() for point in points]).T)
    assert FitStatus.MISFIT is together.status
    size, tokens, loss = np.array(recipes[("tuned", "short", "const", "standard")]).T
    long = tokens > 10 * size
    alone = fit_chinchilla(size[long], tokens[long], loss[long])
    assert alone.status.usable
    assert not {FitStatus.SCATTERED, FitStatus.MIXED_UNITS} & set(alone.statuses)

"""`scalewatch emergence` and `scalewatch collapse`: what a person is told of models and of runs of several sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.cli.test_fit_families import write

SCALE = np.geomspace(1e18, 1e24, 12)
LOSS = 1.5 * (SCALE / 1e18) ** -0.15


def models(path: Path, count: int = 12) -> Path:
    """Models whose exact match jumps and whose loss falls smoothly."""
    return write(path, {"flops": SCALE[:count], "accuracy": np.exp(-10 * LOSS[:count]), "loss": LOSS[:count]})


def test_models_are_read_as_evaluations_are_written_down(scalewatch: Callable[..., Any], tmp_path: Path) -> None:
    """Accuracies in per cent, sizes with units, and logarithms of probabilities: the verdict of the plain table."""
    plain = scalewatch("emergence", models(tmp_path / "a.csv"), "--items", "500", "--answer-tokens", "10")
    numbers = {"Training FLOPs": SCALE, "Exact match (%)": 100 * np.exp(-10 * LOSS), "logprob": -LOSS}
    table = write(tmp_path / "b.csv", {"Model": [f"m{i}" for i in range(12)], **numbers})
    written = scalewatch("emergence", table, "--items", "500", "--answer-tokens", "10")

    assert 0 == plain.code == written.code
    assert "per cent" in written.out
    assert "logarithms of probabilities" in written.out
    assert plain.out.partition("The jump")[2] == written.out.partition("The jump")[2]


def curves(path: Path, *, ill_from: float = 2.0, end: float = 1.0) -> Path:
    """Three finished sizes of one recipe, and a larger run up to `end` that drifts off from `ill_from` on."""
    steps, columns = np.arange(1, 2_001), dict[str, list[Any]]()
    for size in (1e7, 4e7, 1.6e8, 6.4e8):
        progress = steps / 2_000
        loss = (3.0 * (size / 1e7) ** -0.1) * (1 + 0.4 * (progress + 0.02) ** -0.3 - 0.4)
        loss = loss * np.exp(0.003 * np.random.default_rng(int(size)).standard_normal(2_000))
        last = size > 5e8
        loss = loss * (1 + 0.3 * np.maximum(progress - ill_from, 0.0)) if last else loss
        kept = int(2_000 * end) if last else 2_000
        for name, values in {
            "run": [f"{size:g}"] * kept,
            "step": steps[:kept].tolist(),
            "loss": loss[:kept].tolist(),
            "learning_rate": [1e-3] * kept,
            "parameters": [size] * kept,
        }.items():
            columns.setdefault(name, []).extend(values)
    return write(path, columns)


def test_a_jump_that_is_in_the_metric_is_told_as_such(scalewatch: Callable[..., Any], tmp_path: Path) -> None:
    """With where it jumps, and what the proxy alone explains of it."""
    said = scalewatch("emergence", models(tmp_path / "m.csv"), "--items", 1_000, "--answer-tokens", 10)

    assert 0 == said.code
    assert "The jump is in the metric" in said.out
    assert "scale = column 'flops'" in said.out


def test_too_few_items_cannot_tell_and_exit_with_one(scalewatch: Callable[..., Any], tmp_path: Path) -> None:
    """A test of ten items does not see a gain of nine per cent."""
    said = scalewatch("emergence", models(tmp_path / "m.csv"), "--items", 10, "--answer-tokens", 10)

    assert 1 == said.code
    assert "Not to be decided" in said.out


def test_bad_tables_of_models_are_refused_in_a_line(scalewatch: Callable[..., Any], tmp_path: Path) -> None:
    """A missing column, too few models, and numbers of a test that is none."""
    few = scalewatch("emergence", models(tmp_path / "m.csv", 4), "--items", 10, "--answer-tokens", 10)
    other = scalewatch("emergence", write(tmp_path / "t.csv", {"a": [1]}), "--items", 10, "--answer-tokens", 10)
    none = scalewatch("emergence", models(tmp_path / "m.csv"), "--items", 0, "--answer-tokens", 10)

    assert (2, 2, 2) == (few.code, other.code, none.code)
    assert "needs 6 models" in few.err
    assert "accuracy (0 to 1)" in other.err
    assert "`--items` must be at least 1" in none.err


def test_runs_of_one_recipe_collapse(scalewatch: Callable[..., Any], tmp_path: Path) -> None:
    """Within a per cent at each part of the run that is shown."""
    said = scalewatch("collapse", curves(tmp_path / "c.csv"), "--floor", 0)

    assert 0 == said.code
    assert "4 finished runs of 4 sizes" in said.out
    assert "At 50 % of the run their curves differ by 0." in said.out


def test_tables_of_runs_that_are_no_curves_are_refused(scalewatch: Callable[..., Any], table: Path) -> None:
    """With the columns that are missing."""
    said = scalewatch("collapse", table)

    assert 2 == said.code
    assert "--column step=NAME" in said.err

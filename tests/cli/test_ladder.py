"""`scalewatch ladder`: what a ladder says of its target, and which run would make that surest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.tables import write

TARGET = "20B:400B"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """12 finished runs on Chinchilla's law, with a little noise."""
    size, tokens = (v.ravel() for v in np.meshgrid(np.geomspace(1e8, 1e9, 4), np.geomspace(4e9, 4e10, 3)))
    noise = np.exp(0.002 * np.random.default_rng(0).standard_normal(size.shape))
    loss = (1.8 + 400 * size**-0.34 + 2000 * tokens**-0.37) * noise
    return write(tmp_path / "runs.csv", {"params": size, "tokens": tokens, "loss": loss})


def test_a_run_within_the_budget_is_named_that_makes_the_target_surer(
    scalewatch: Callable[..., Any], table: Path
) -> None:
    """A larger budget allows a surer one, and nothing is named that costs more than it."""
    small, large = (
        json.loads(scalewatch("ladder", table, "--target", TARGET, "--budget", budget, "--json").out)
        for budget in ("3e20", "3e21")
    )

    for told, budget in ((small, 3e20), (large, 3e21)):
        assert told["low"] < told["prediction"] < told["high"]
        assert all(run["flops"] <= budget and run["sd"] < 1.01 for run in told["choices"])
        assert told["best"]["sd"] < 1
    assert large["choices"][-1]["sd"] < small["choices"][-1]["sd"]


def test_what_to_train_is_said_in_one_sentence(scalewatch: Callable[..., Any], table: Path) -> None:
    """With size, tokens, what it gains and what it costs."""
    said = scalewatch("ladder", table, "--target", TARGET, "--budget", "1e21")

    assert 0 == said.code
    assert "12 runs foretell loss of 20B:400B" in said.out
    assert "tokens next: the interval of 20B:400B is" in said.out


def test_a_ladder_of_one_ratio_foretells_runs_of_that_ratio_alone(
    scalewatch: Callable[..., Any], tmp_path: Path
) -> None:
    """With twenty tokens a parameter nothing is known of a hundred; with crashed runs and a budget beside it."""
    size = np.geomspace(5e6, 8e7, 6)
    loss = 1.8 + 400 * size**-0.34 + 2000 * (20 * size) ** -0.37
    columns = {"N (M)": size / 1e6, "D (B)": 20 * size / 1e9, "C (FLOPs)": 120 * size**2, "val loss": loss}
    path = write(tmp_path / "runs.csv", columns)
    on, off = (scalewatch("ladder", path, "--target", target) for target in ("1B:20B", "1B:100B"))

    truth = 1.8 + 400 * 1e9**-0.34 + 2000 * 2e10**-0.37
    told = json.loads(scalewatch("ladder", path, "--target", "1B:20B", "--json").out)
    assert told["low"] < truth < told["high"]
    assert all(19 < run["tokens"] / run["parameters"] < 21 for run in told["choices"])
    assert 0 == on.code
    assert 2 == off.code
    assert "ask at 1.00B:20.0B" in off.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--target", "20B", "--budget", "1e21"), "must name size and tokens"),
        (("--target", TARGET, "--budget", "1e10"), "No run fits the budget"),
        (("--target", TARGET, "--budget", "much"), "--budget"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_sentence(
    scalewatch: Callable[..., Any], table: Path, arguments: tuple[str, ...], says: str
) -> None:
    """With exit code 2."""
    said = scalewatch("ladder", table, *arguments)

    assert 2 == said.code
    assert says in said.err

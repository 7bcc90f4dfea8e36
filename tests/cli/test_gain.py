"""`scalewatch gain`: how much of A's compute B needs for the same loss."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.tables import write
from tests.synthetic import TrueLaw, cosine, noisy

PLAN = cosine(2000)


def log(path: Path, off: float, seed: int) -> Path:
    """The log of a run whose losses are `off` times those of the law."""
    losses = noisy(off * TrueLaw().losses(PLAN, 8e6), 0.005, seed)
    return write(path, {"step": np.arange(1, 2001), "loss": losses, "learning_rate": PLAN})


def ladder(path: Path, off: float) -> Path:
    """A table of 12 finished runs whose losses are `off` times those of Chinchilla's law."""
    size, tokens = (v.ravel() for v in np.meshgrid(np.geomspace(1e8, 1e9, 4), np.geomspace(4e9, 4e10, 3)))
    loss = off * (1.8 + 400 * size**-0.34 + 2000 * tokens**-0.37)
    return write(path, {"params": size, "tokens": tokens, "loss": loss})


def test_two_logs_are_compared_in_one_sentence(scalewatch: Callable[..., Any], tmp_path: Path) -> None:
    """The better recipe needs less, and what compute is counted in is said."""
    said = scalewatch("gain", log(tmp_path / "a.csv", 1.0, 0), log(tmp_path / "b.csv", 0.98, 1))

    assert 0 == said.code
    assert "B reaches A's loss" in said.out
    assert "of the compute (80%:" in said.out
    assert "compute is counted in steps" in " ".join(said.out.split())


def test_two_seeds_are_not_told_apart(scalewatch: Callable[..., Any], tmp_path: Path) -> None:
    """Exit code 1, and the sentence says so."""
    said = scalewatch("gain", log(tmp_path / "a.csv", 1.0, 0), log(tmp_path / "b.csv", 1.0, 1))

    assert 1 == said.code
    assert "do not tell the recipes apart" in said.out


def test_two_ladders_are_compared_at_three_of_as_runs(scalewatch: Callable[..., Any], tmp_path: Path) -> None:
    """Cheapest, middle and dearest in JSON, with the interval of each; or at one run that is asked for."""
    a, b = ladder(tmp_path / "a.csv", 1.0), ladder(tmp_path / "b.csv", 0.98)
    told = json.loads(scalewatch("gain", a, b, "--json").out)
    (one,) = json.loads(scalewatch("gain", a, b, "--at", "1B:40B", "--json").out)["points"]

    assert "FLOP" == told["unit"]
    assert 3 == len(told["points"])
    assert sorted(point["compute"] for point in told["points"]) == [point["compute"] for point in told["points"]]
    assert all(point["low"] < point["share"] < point["high"] < 1 for point in told["points"])
    assert one["compute"] == pytest.approx(told["points"][-1]["compute"])


@pytest.mark.parametrize(
    ("kinds", "more", "says"),
    [
        ((ladder, log), (), "compare two of a kind"),
        ((ladder, ladder), ("--at", "7B"), "names size and tokens"),
        ((log, log), ("--at", "7B:140B"), "for two ladders"),
        ((log, log), ("--law", "a.law.json"), "is of one recipe"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(
    scalewatch: Callable[..., Any], tmp_path: Path, kinds: tuple[Any, Any], more: tuple[str, ...], says: str
) -> None:
    """With what to do."""
    paths = [kind(tmp_path / f"{i}.csv", 1.0, *((i,) if kind is log else ())) for i, kind in enumerate(kinds)]
    said = scalewatch("gain", *paths, *more)

    assert 2 == said.code
    assert says in said.err

"""`scalewatch fit TABLE --predict POINTS`: one line a run to come, and one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.tables import write

SIZE, TOKENS = (v.ravel() for v in np.meshgrid(np.geomspace(1e8, 2e9, 5), np.geomspace(2e9, 1e11, 5)))
LOSS = 1.8 + 400 * SIZE**-0.34 + 2000 * TOKENS**-0.37


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """25 finished runs, with columns that say nothing."""
    note = ["fine"] * 24 + ["restarted twice"]
    return write(
        tmp_path / "runs.csv",
        {"name": [f"run{i}" for i in range(25)], "params": SIZE, "tokens": TOKENS, "note": note, "val_loss": LOSS},
    )


def test_a_run_to_come_has_a_line_with_its_loss_its_interval_and_how_far_out_it_is(
    scalewatch: Callable[..., Any], table: Path, tmp_path: Path
) -> None:
    """The laws are named above with their weights, and no law file is written."""
    points = write(tmp_path / "points.csv", {"params": ["7B", "500M"], "tokens": ["140B", "20B"]})

    said = scalewatch("fit", table, "--predict", points, "-o", tmp_path / "law.json")

    assert 0 == said.code
    for words in ("compute 4.9x", "inside", "chinchilla", "80 % interval"):
        assert words in said.out
    assert "hold words: note." in said.out
    assert not (tmp_path / "law.json").exists()


def test_json_holds_what_is_foretold_of_each_point(scalewatch: Callable[..., Any], table: Path, tmp_path: Path) -> None:
    """With the weights of the laws; a point without a number has null, and the others are answered."""
    points = write(tmp_path / "points.csv", {"tokens": [1.4e11, "", 2e10], "params": [7e9, 7e9, 5e8]})

    said = scalewatch("fit", table, "--predict", points, "--json")

    (one,) = json.loads(said.out)["losses"]
    first, second, third = one["points"]
    came = 1.8 + 400 * 7e9**-0.34 + 2000 * 1.4e11**-0.37
    assert first["prediction"] == pytest.approx(came, rel=0.01)
    assert first["low"] < came < first["high"]
    assert {"params", "tokens", "compute"} == set(first["beyond"])
    assert second["prediction"] is None
    assert third["beyond"]["compute"] < 1
    assert sum(law["weight"] for law in one["laws"]) == pytest.approx(1.0)


def test_a_table_with_several_losses_and_negative_ones_is_foretold_for_each(
    scalewatch: Callable[..., Any], tmp_path: Path
) -> None:
    """Columns that no published law reads are axes too."""
    x, y = (v.ravel() for v in np.meshgrid(np.geomspace(1, 9, 6), np.linspace(-1, 1, 5)))
    rows = {"width": x, "tilt": y, "loss_a": 2 + 1 / x, "loss_b": -3 + 1 / x + 0.1 * y}
    points = {"width": [20.0], "tilt": [0.3]}

    said = scalewatch("fit", write(tmp_path / "t.csv", rows), "--predict", write(tmp_path / "p.csv", points), "--json")

    found = {one["loss"]: one["points"][0]["prediction"] for one in json.loads(said.out)["losses"]}
    assert found["loss_a"] == pytest.approx(2.05, abs=0.05)
    assert found["loss_b"] == pytest.approx(-2.92, abs=0.08)


def test_of_runs_that_differ_in_a_tuned_rate_alone_the_best_counts(
    scalewatch: Callable[..., Any], tmp_path: Path
) -> None:
    """A run to come is tuned too: where the points have no rate, it is foretold as if no other had been tried."""
    points = write(tmp_path / "p.csv", {"params": [4e9], "tokens": [2e11]})
    swept = {name: np.repeat(values, 3) for name, values in (("params", SIZE), ("tokens", TOKENS))}
    swept |= {"lr": np.tile([1e-4, 1e-3, 1e-2], 25), "loss": (LOSS[:, None] * [1.05, 1.0, 1.08]).ravel()}
    alone = write(tmp_path / "a.csv", {"params": SIZE, "tokens": TOKENS, "loss": LOSS})

    said = [scalewatch("fit", t, "--predict", points, "--json") for t in (alone, write(tmp_path / "s.csv", swept))]

    one, other = (json.loads(each.out)["losses"][0]["points"][0]["prediction"] for each in said)
    assert one == pytest.approx(other, rel=1e-6)
    assert "the best counts: 25 runs remain" in said[1].out


def test_a_tuned_rate_takes_no_choice_of_what_else_the_points_do_not_say(
    scalewatch: Callable[..., Any], tmp_path: Path
) -> None:
    """Nobody knows how deep a run to come is: the deeper half, which ends lower, is not all that is foretold from."""
    points = write(tmp_path / "p.csv", {"params": [4e9], "tokens": [2e11]})
    rows = {name: np.repeat(values, 4) for name, values in (("params", SIZE), ("tokens", TOKENS))}
    rows |= {"lr": np.tile([1e-3, 1e-2], 50), "depth": np.tile([4, 4, 8, 8], 25)}
    rows["loss"] = (LOSS[:, None] * [1.1, 1.15, 1.0, 1.05]).ravel()

    said = scalewatch("fit", write(tmp_path / "t.csv", rows), "--predict", points, "--json")

    (found,) = json.loads(said.out)["losses"][0]["points"]
    assert "the best counts: 50 runs remain" in said.out
    assert found["prediction"] == pytest.approx(1.05 * (1.8 + 400 * 4e9**-0.34 + 2000 * 2e11**-0.37), rel=0.02)


def test_losses_of_two_kinds_in_one_column_are_not_foretold_as_one(
    scalewatch: Callable[..., Any], tmp_path: Path
) -> None:
    """Training and held-out rows below each other: which of them is asked for has to be said."""
    rows = {name: np.repeat(values, 2) for name, values in (("params", SIZE), ("tokens", TOKENS))}
    rows |= {"split": np.tile(["train", "val"], 25), "loss": (LOSS[:, None] * [0.96, 1.0]).ravel()}
    points = write(tmp_path / "p.csv", {"params": [4e9], "tokens": [2e11]})

    said = scalewatch("fit", write(tmp_path / "t.csv", rows), "--predict", points)

    assert 2 == said.code
    assert "--where split=train" in said.err


@pytest.mark.parametrize(
    ("rows", "points", "says"),
    [
        ({"params": [1, 2, 3], "score": [1, 2, 3]}, {"params": [4]}, "no column is a loss"),
        ({"params": [1e8, 2e8, 3e8], "loss": [4, 3, 2]}, {"params": [4e8]}, "Too few runs"),
        ({"params": [1e8] * 9, "loss": [4, 3, 2] * 3}, {"params": [4e8]}, "no column of numbers"),
        ({"params": [1e8, 2e8] * 5, "loss": [4, 3] * 5}, {"width": [4e8]}, "none of the columns"),
        ({"params": [1e8, 2e8] * 5, "loss": [4, 3] * 5}, {"params": ["big"]}, "holds words"),
        ({"params": [100, 200] * 5, "loss": [4, 3] * 5}, {"params": [4e8]}, "one counts in millions or billions"),
        ({"params": [1e8, 2e8] * 5, "loss": [4, 3] * 5}, {"params": [-1]}, "No point has a number"),
    ],
)
def test_what_cannot_be_foretold_is_refused_in_one_sentence(
    scalewatch: Callable[..., Any], tmp_path: Path, rows: dict[str, Any], points: dict[str, Any], says: str
) -> None:
    """With exit code 2, and no traceback."""
    said = scalewatch("fit", write(tmp_path / "t.csv", rows), "--predict", write(tmp_path / "p.csv", points))

    assert 2 == said.code
    assert says in said.err


def test_one_run_is_asked_for_by_its_size_and_tokens(
    scalewatch: Callable[..., Any], table: Path, tmp_path: Path
) -> None:
    """As a table of that one point is; what is neither a table nor such a run is refused."""
    points = write(tmp_path / "points.csv", {"params": ["7B"], "tokens": ["140B"]})

    in_a_table, named = (scalewatch("fit", table, "--predict", asked, "--json") for asked in (points, "7B:140B"))
    assert json.loads(in_a_table.out)["losses"] == json.loads(named.out)["losses"]
    assert "no SIZE:TOKENS such as 7B:140B" in scalewatch("fit", table, "--predict", "7B").err

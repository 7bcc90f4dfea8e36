"""`scalewatch approaches`: what it prints, draws and refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.tables import Said


def test_an_unknown_ending_is_refused_before_anything_is_read(scalewatch: Callable[..., Said], tmp_path: Path) -> None:
    """The table does not even exist."""
    said = scalewatch("approaches", tmp_path / "none.csv", "--out", tmp_path / "page.pdf")

    assert 2 == said.code
    assert ".png, .svg, .html or .json" in said.err


def test_runs_without_an_answer_end_with_code_1_and_say_why(scalewatch: Callable[..., Said], tmp_path: Path) -> None:
    """Two runs: each approach has its reason, nothing is drawn, and no number stands there."""
    table, page = tmp_path / "two.csv", tmp_path / "page.svg"
    table.write_text("parameters,tokens,loss\n1e8,1e9,3.4\n2e8,1e9,3.2\n")

    said = scalewatch("approaches", table, "--out", page)

    assert 1 == said.code
    assert "No approach has an answer" in said.out
    assert "a valley takes 3" in said.out
    assert "Too few runs" in said.out
    assert not page.exists()


def test_one_setting_of_porian_gives_the_published_exponent(
    scalewatch: Callable[..., Said], data_folder: Path, tmp_path: Path
) -> None:
    """0.497 by Akima within 0.005; all settings in one table are pointed out instead."""
    table, page = data_folder / "porian_isoflop.csv", tmp_path / "page.png"
    one = scalewatch("approaches", table, "--where", "hparams=tuned", "--where", "param_count=standard", "--out", page)
    every = scalewatch("approaches", table)

    read = re.search(r"2 isoFLOP Akima +([0-9.]+) ", one.out)
    assert read is not None
    assert pytest.approx(0.497, abs=0.005) == float(read[1])
    assert page.read_bytes().startswith(b"\x89PNG")
    assert "Runs of one size and equal tokens end" in every.out

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
    assert "one law is of one recipe" in every.err


def test_a_column_of_budgets_is_taken_where_the_compute_of_its_runs_differs(
    scalewatch: Callable[..., Said], tmp_path: Path
) -> None:
    """Batches are whole: 6 N D lies up to a third beside the budget that a run was planned for, and the name tells."""
    lines, bare = ["params,tokens,budget,loss"], ["params,tokens,loss"]
    for budget in (1e18, 1e19, 1e20, 1e21):
        best = 0.1 * budget**0.5
        for k in range(-4, 5):
            size = best * 1.6**k
            tokens = budget / 6 / size * (1.0 + 0.3 * (-1) ** k)
            loss = 2.0 + 400 / budget**0.15 + 0.05 * (0.47 * k) ** 2
            lines.append(f"{size},{tokens},{budget},{loss}")
            bare.append(f"{size},{tokens},{loss}")
    (tmp_path / "named.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "bare.csv").write_text("\n".join(bare) + "\n")

    named = scalewatch("approaches", tmp_path / "named.csv")
    without = scalewatch("approaches", tmp_path / "bare.csv")
    found = re.search(r"2 isoFLOP parabola +([0-9.]+) ", named.out)

    assert found is not None
    assert pytest.approx(0.5, abs=0.02) == float(found[1])
    assert "budget = column 'budget'" in " ".join(named.out.split())
    assert re.search(r"2 isoFLOP parabola +0\.5", without.out) is None

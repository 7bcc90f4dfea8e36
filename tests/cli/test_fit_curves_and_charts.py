"""`scalewatch fit` from tables of whole curves, and the charts of both kinds of law."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scalewatch.cli.law_charts import CURVE_CHARTS, POINT_CHARTS
from scalewatch.errors import LawFileError
from scalewatch.laws import load_law
from scalewatch.laws.chinchilla_file import FittedChinchilla, load_chinchilla
from tests.cli.tables import CURVES, Said, curve, joined, write


def test_a_table_of_curves_gives_a_law_of_curves(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path
) -> None:
    """And says which part of each run it does not use."""
    source = write(tmp_path / "curves.csv", joined(*(curve(n) for n in CURVES)))

    said = scalewatch("fit", source, "-o", law_file)
    assert (0, "") == (said.code, said.err)
    law = load_law(law_file)
    assert (3, "tokens", CURVES[0]) == (law.runs, law.walk_unit, law.sizes[0])
    assert "the warm-up and the first 5% are left out" in said.out


def test_a_curve_a_file_is_a_run_named_after_it(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path
) -> None:
    """Without a column for the run, and beside a run that diverged."""
    files = []
    for size in (*CURVES, 48_000.0):
        rows = curve(size, spoil=lambda loss: np.where(np.arange(len(loss)) > 500, np.nan, loss))
        if size != 48_000.0:
            rows = curve(size)
        del rows["run"]
        files.append(write(tmp_path / f"size{size:.0f}.csv", rows))

    said = scalewatch("fit", *files, "-o", law_file)
    assert 3 == load_law(law_file).runs
    assert "'size48000' is left out: its loss is not finite at its last step 600" in said.out


def test_two_series_in_one_run_are_an_error(scalewatch: Callable[..., Said], tmp_path: Path) -> None:
    """Training and validation losses differ; which is meant has to be said."""
    said = scalewatch("fit", write(tmp_path / "t.csv", joined(curve(16_000.0), curve(16_000.0, seed=1))))

    assert 2 == said.code
    assert "--where split=train" in said.err


def test_curves_and_finished_runs_are_not_mixed(scalewatch: Callable[..., Said], table: Path, tmp_path: Path) -> None:
    """They give two kinds of law."""
    said = scalewatch("fit", table, write(tmp_path / "curves.csv", curve(16_000.0)))

    assert 2 == said.code
    assert "one kind at a time" in said.err


def test_curves_of_one_size_say_that_they_know_no_other(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path
) -> None:
    """The effect of size rests on priors then."""
    two = joined(curve(16_000.0), curve(16_000.0, seed=1) | {"run": ["other"] * 600})

    assert "All sizes are equal" in scalewatch("fit", write(tmp_path / "t.csv", two), "-o", law_file).out
    del two["params"]
    assert "knows one size only" in scalewatch("fit", write(tmp_path / "t.csv", two), "-o", law_file).out


# --- charts and other commands --------------------------------------------------------------------


@pytest.mark.parametrize("chart", POINT_CHARTS)
def test_each_chart_of_finished_runs_is_drawn(
    scalewatch: Callable[..., Said], table: Path, law_file: Path, chart: str
) -> None:
    """From the same table."""
    file = law_file.with_name("chart.json")
    said = scalewatch(
        "fit", table, "-o", law_file, "--bootstrap", 0, "--out", file, "--chart", chart, "--target", "70B"
    )

    assert (0, "") == (said.code, said.err)
    assert "vega-lite" in file.read_text()


@pytest.mark.parametrize("chart", CURVE_CHARTS)
def test_each_chart_of_curves_is_drawn(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path, chart: str
) -> None:
    """From the same table."""
    source = write(tmp_path / "curves.csv", joined(*(curve(n) for n in CURVES)))
    file = tmp_path / "chart.svg"
    said = scalewatch("fit", source, "-o", law_file, "--out", file, "--chart", chart, "--target", "200k", "--dark")

    assert (0, "") == (said.code, said.err)
    assert file.read_text().startswith("<svg")


def test_a_ladder_of_one_size_says_what_it_needs(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path
) -> None:
    """Two sizes, or another chart."""
    source = write(tmp_path / "curves.csv", curve(16_000.0))
    said = scalewatch("fit", source, "-o", law_file, "--out", tmp_path / "chart.svg")

    assert 2 == said.code
    assert "two sizes or more" in said.err


def test_the_approaches_are_printed_and_drawn_side_by_side(
    scalewatch: Callable[..., Said], table: Path, tmp_path: Path
) -> None:
    """With the size each asks for at a budget."""
    page = tmp_path / "page.html"
    said = scalewatch("approaches", table, "--flops", "1e22", "--out", page)

    assert 0 == said.code, said.err
    assert all(name in said.out for name in ("1 envelope", "2 isoFLOP parabola", "3 parametric"))
    assert "At 1e22 FLOP they ask for" in page.read_text()


def test_a_monitor_refuses_a_law_of_final_losses_and_says_who_reads_it(
    scalewatch: Callable[..., Said], table: Path, law_file: Path
) -> None:
    """Two kinds of law file, each named in the other's refusal."""
    scalewatch("fit", table, "-o", law_file, "--bootstrap", 0)

    with pytest.raises(LawFileError, match="a law of final losses"):
        load_law(law_file)
    assert isinstance(load_chinchilla(law_file), FittedChinchilla)

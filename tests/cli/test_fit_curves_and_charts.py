"""`scalewatch fit` from tables of whole curves, and the charts of both kinds of law."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scalewatch.errors import LawFileError
from scalewatch.figures.laws import CURVE_CHARTS, POINT_CHARTS
from scalewatch.fitting.chinchilla_file import SavedChinchilla, load_chinchilla
from scalewatch.laws import load_law
from tests.cli.tables import CURVES, Said, curve, joined, write


def test_a_table_of_curves_gives_a_law_of_curves(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path
) -> None:
    """And says which part of each run it does not use."""
    source = write(tmp_path / "curves.csv", joined(*(curve(n) for n in CURVES)))

    said = scalewatch("fit", source, "-o", law_file)
    assert (0, "") == (said.code, said.err)
    law = load_law(law_file)
    assert (3, "tokens", CURVES[0]) == (law.evidence.runs, law.units.lr_sum_unit, law.evidence.sizes[0])
    assert "Left out: of each run, the warm-up and the first 5 %" in said.out


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
    assert 3 == load_law(law_file).evidence.runs
    assert "'size48000' is left out: its loss is not finite from step 502 to 600" in said.out


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


def test_a_run_that_lost_its_loss_on_the_way_is_left_out_and_named(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path
) -> None:
    """A hundred steps of NaN are no finished run; one bad batch is."""
    hole = curve(48_000.0, spoil=lambda loss: np.where((np.arange(600) >= 300) & (np.arange(600) < 400), np.nan, loss))
    batch = curve(24_000.0, spoil=lambda loss: np.where(np.arange(600) == 300, np.nan, loss))
    source = write(tmp_path / "t.csv", joined(*(curve(n) for n in CURVES), hole, batch))

    said = scalewatch("fit", source, "-o", law_file)
    assert "'n48000' is left out: its loss is not finite from step 301 to 400" in said.out
    assert 4 == load_law(law_file).evidence.runs


def test_curves_in_two_units_are_an_error_that_names_them(scalewatch: Callable[..., Said], tmp_path: Path) -> None:
    """Half of the runs in bits per byte."""
    spoilt = [curve(size, i) | {"run": [f"r{i}"] * 600} for i, size in enumerate(np.geomspace(1e4, 1e5, 8))]
    for rows in spoilt[1::2]:
        rows["train_loss"] = [0.33 * loss for loss in rows["train_loss"]]

    said = scalewatch("fit", write(tmp_path / "t.csv", joined(*spoilt)))
    assert 2 == said.code
    assert "Two units: the losses of 'r0', 'r2', 'r4', 'r6' are" in said.err


def test_curves_that_no_law_describes_give_no_interval(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path
) -> None:
    """One of three in another unit: too few to name it, far too far off to trust."""
    spoilt = [curve(size) for size in CURVES]
    spoilt[1]["train_loss"] = [0.33 * loss for loss in spoilt[1]["train_loss"]]

    said = scalewatch("fit", write(tmp_path / "t.csv", joined(*spoilt)), "-o", law_file)
    assert 1 == said.code
    assert "The law does not describe these runs" in said.out
    assert "not known" in said.out
    assert "Watch a run with it" not in said.out


def test_a_curve_that_is_given_twice_counts_once(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path
) -> None:
    """Row by row in one table, or under another name in another."""
    copy = curve(CURVES[0])
    first = write(tmp_path / "t.csv", joined(*(curve(n) for n in CURVES), copy))
    second = write(tmp_path / "u.csv", copy | {"run": ["again"] * 600})

    said = scalewatch("fit", first, second, "-o", law_file)
    assert "600 rows of 'n16000' that are copies of others" in said.out
    assert "1 run row for row a copy of another: 'again'" in said.out
    assert 3 == load_law(law_file).evidence.runs


def test_journals_that_are_unfinished_diverged_or_of_one_name_are_told_apart(
    scalewatch: Callable[..., Said], write_run: Callable[..., Path], tmp_path: Path, law_file: Path
) -> None:
    """A journal that turned to NaN is no shorter run, and what is left out has a name of its own."""
    for i, size in enumerate((16_000, 33_000, 62_000)):
        write_run(f"n{size}", size, i)
    write_run("lost", 48_000, 3, lambda loss: np.where(np.arange(600) > 350, np.nan, loss))

    said = scalewatch("fit", tmp_path, "-o", law_file)
    assert 0 == said.code, said.err
    assert "'lost' is left out: its loss is not finite from step 352 to 600" in said.out
    assert 3 == load_law(law_file).evidence.runs
    assert "Read: 4 journals." in said.out


@pytest.mark.parametrize("ending", ["png", "svg", "html", "json"])
def test_the_fit_is_drawn_in_every_format(
    scalewatch: Callable[..., Said], table: Path, law_file: Path, ending: str
) -> None:
    """As the ending of --out says."""
    file = law_file.with_name(f"chart.{ending}")

    said = scalewatch("fit", table, "-o", law_file, "--bootstrap", 0, "--out", file, "--chart", "residuals")
    assert 0 == said.code, said.err
    begins = {"png": b"\x89PNG", "svg": b"<svg", "html": b"<!DOCTYPE html>", "json": b"{"}[ending]
    assert file.read_bytes().lstrip().startswith(begins)


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
    assert isinstance(load_chinchilla(law_file), SavedChinchilla)

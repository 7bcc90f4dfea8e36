"""Tables of runs that crashed, and of more recipes than one."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalewatch.errors import FitError
from scalewatch.offline.finished_runs import from_tables
from scalewatch.offline.tables import read_table, where

RUNS = [
    (size, ratio * size, 1.7 + 406 * size**-0.34 + 410 * (ratio * size) ** -0.28)
    for size in (20e6, 50e6, 120e6, 300e6)
    for ratio in (5, 20)
]


def test_a_run_that_crashed_or_diverged_is_left_out_whatever_stands_in_its_cell(tmp_path: Path) -> None:
    """By its state, and by a word in the place of its loss."""
    lines = ["params,tokens,State,loss", *(f"{n},{d},finished,{x}" for n, d, x in RUNS)]
    lines += ["2e7,3e8,crashed,9.1", "2e7,5e8,finished,diverged"]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    rows = from_tables([read_table(tmp_path / "a.csv")], {})

    assert len(RUNS) == len(rows.loss)
    assert rows.loss.max() < 9
    assert any("'State'" in sentence for sentence in rows.left_out)


def test_two_recipes_that_end_apart_are_not_fitted_to_one_law(tmp_path: Path) -> None:
    """The column is named, and how to take one; which is then a table like any other."""
    lines = ["params,tokens,tokenizer,loss"]
    lines += [f"{n},{d},{name},{x * worse}" for n, d, x in RUNS for name, worse in (("gpt2", 1.0), ("llama3", 1.1))]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    table = read_table(tmp_path / "a.csv")

    with pytest.raises(FitError, match=r"10 % apart by column 'tokenizer' .*--where tokenizer=gpt2"):
        from_tables([table], {})
    assert len(RUNS) == len(from_tables([where(table, {"tokenizer": "gpt2"})], {}).loss)


def test_words_that_change_nothing_are_said_and_fitted(tmp_path: Path) -> None:
    """Two machines, say."""
    lines = ["params,tokens,cluster,loss"]
    lines += [f"{n},{d},{name},{x * worse}" for n, d, x in RUNS for name, worse in (("east", 1.0), ("west", 1.0002))]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    rows = from_tables([read_table(tmp_path / "a.csv")], {})

    assert 2 * len(RUNS) == len(rows.loss)
    assert any("'cluster'" in note for note in rows.notes)


def test_a_mean_below_the_runs_is_no_run_and_a_sweep_of_rates_no_checkpoints(tmp_path: Path) -> None:
    """Runs of one size, on as many tokens each, end where they end."""
    lines = ["params,tokens,lr,loss"]
    lines += [f"{n},{d},{rate},{x + rate}" for n, d, x in RUNS for rate in (0.001, 0.002, 0.004, 0.008, 0.01)]
    (tmp_path / "a.csv").write_text("\n".join([*lines, "average,,,3.2"]))
    rows = from_tables([read_table(tmp_path / "a.csv")], {})

    assert not rows.checkpoints
    assert 5 * len(RUNS) == len(rows.loss)

"""`scalewatch fit` of runs that carry no law: a status or an error that says what to do, never a confident number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scalewatch.errors import ConfigError
from scalewatch.fitting.chinchilla_file import load_chinchilla
from scalewatch.fitting.status import FitStatus
from scalewatch.laws.size import total
from tests.cli.tables import Said, runs, write


@pytest.mark.parametrize("share", [2, 3, 5])
def test_bits_per_byte_among_nats_are_seen(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path, share: int
) -> None:
    """Some runs a constant factor lower, half of them or fewer: no law, no interval, and the runs are named."""
    rows = runs()
    rows["loss"] = [v * (0.33 if i % share == 0 else 1.0) for i, v in enumerate(rows["loss"])]

    said = scalewatch("fit", write(tmp_path / "t.csv", rows), "-o", law_file, "--bootstrap", 0)
    assert 1 == said.code
    assert FitStatus.MIXED_UNITS.value in said.out
    assert "bits per byte, at 4.4 bytes a token?" in said.out
    assert "'row 2'" in said.out if share == 2 else "'row 1'" in said.out
    assert "not known" in said.out
    assert not load_chinchilla(law_file).status.usable


def test_a_table_in_two_units_is_seen_where_each_half_is_in_one(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path
) -> None:
    """The small runs from one notebook, the large ones from another: the law may not bend between them."""
    rows = runs()
    middle = float(np.median(rows["tokens"]))
    rows["loss"] = [v * (0.33 if d > middle else 1.0) for v, d in zip(rows["loss"], rows["tokens"], strict=True)]

    said = scalewatch("fit", write(tmp_path / "t.csv", rows), "-o", law_file, "--bootstrap", 0)
    assert 1 == said.code
    assert FitStatus.MIXED_UNITS.value in said.out


def test_runs_of_several_recipes_are_not_called_sound(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path
) -> None:
    """Scatter of 3 % is said, with what to do; at 9 % there is no law and no interval."""
    said = scalewatch("fit", write(tmp_path / "t.csv", runs(noise=0.03)), "-o", law_file, "--bootstrap", 0)
    assert FitStatus.SCATTERED.value in said.out
    assert FitStatus.OK.value not in said.out
    assert 0 == said.code
    said = scalewatch("fit", write(tmp_path / "t.csv", runs(noise=0.09)), "-o", law_file, "--bootstrap", 0)
    assert FitStatus.MISFIT.value in said.out
    assert "Do not plan with this law" in said.out
    assert "the best N grows" not in said.out
    assert 1 == said.code


def test_size_and_tokens_that_rise_together_give_no_interval(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path
) -> None:
    """Always 20 tokens a parameter: the two effects cannot be told apart."""
    size = np.geomspace(1e7, 1e10, 20)
    loss = (1.8 + 400 * size**-0.34 + 2000 * (20 * size) ** -0.37) * np.exp(
        0.002 * np.random.default_rng(0).standard_normal(20)
    )
    rows = {"params": size.tolist(), "tokens": (20 * size).tolist(), "loss": loss.tolist()}

    said = scalewatch("fit", write(tmp_path / "t.csv", rows), "-o", law_file, "--bootstrap", 0)
    assert 1 == said.code
    assert FitStatus.COLLINEAR.value in said.out
    assert "not known" in said.out


def test_a_row_that_is_a_copy_counts_once(scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path) -> None:
    """In one table or in two; a file given twice adds nothing."""
    rows = runs()
    source = write(tmp_path / "t.csv", {name: column + column[:2] for name, column in rows.items()})

    said = scalewatch("fit", source, source, "-o", law_file, "--bootstrap", 0)
    assert "2 rows that are copies of others, same size, tokens and loss: 't: row 36', 't: row 37'." in said.out
    assert "37 rows that are copies" in said.out
    assert 35 == load_chinchilla(law_file).runs


def test_a_million_checkpoints_without_a_column_for_their_run_are_refused(
    scalewatch: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fit of each as a finished run would take minutes and mean nothing: the message says what to name."""
    monkeypatch.setattr("scalewatch.offline.finished_runs.MOST_RUNS", 30)

    said = scalewatch("fit", write(tmp_path / "t.csv", runs()))
    assert 2 == said.code
    assert "35 rows are more finished runs than anybody has" in said.err
    assert "--column run=NAME" in said.err


def test_parameters_in_billions_are_refused(scalewatch: Callable[..., Said], tmp_path: Path) -> None:
    """7 is no count of parameters."""
    rows = runs()
    rows["params"] = [size / 1e9 for size in rows["params"]]

    said = scalewatch("fit", write(tmp_path / "t.csv", rows))
    assert 2 == said.code
    assert "are these millions or billions? Write 7e9 or 7B" in said.err


def test_flops_that_overflowed_are_said(scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path) -> None:
    """6 N D of a large run does not fit into 64 bits; the law takes size and tokens."""
    rows = runs()
    rows["flops"] = [6 * n * d for n, d in zip(rows["params"], rows["tokens"], strict=True)]
    rows["flops"][3] = -3.2e17

    said = scalewatch("fit", write(tmp_path / "t.csv", rows), "-o", law_file, "--bootstrap", 0)
    assert 0 == said.code
    assert "1 cell of 'flops' are zero or negative" in said.out


def test_a_law_of_one_kind_of_size_does_not_take_another(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path
) -> None:
    """Tables that count differently are not mixed, and the file keeps what its N counts."""
    rows = runs()
    inner = {"non_embedding_params": rows["params"], "tokens": rows["tokens"], "loss": rows["loss"]}
    one, other = write(tmp_path / "t.csv", rows), write(tmp_path / "u.csv", inner)

    said = scalewatch("fit", one, other, "-o", law_file)
    assert 2 == said.code
    assert "count parameters as non-embedding and total: choose one" in said.err
    assert 0 == scalewatch("fit", other, "-o", law_file, "--bootstrap", 0).code
    with pytest.raises(ConfigError, match="got total"):
        load_chinchilla(law_file).predict(total(1e9), 2e10)


def test_far_beyond_its_runs_a_prediction_says_so(scalewatch: Callable[..., Said], table: Path, law_file: Path) -> None:
    """With an interval, and how many times the compute it extrapolates."""
    near = scalewatch("fit", table, "-o", law_file, "--bootstrap", 0, "--target", "1B")
    far = scalewatch("fit", table, "-o", law_file, "--bootstrap", 0, "--target", "1T:20T")

    assert "At 1.00B parameters on the" in near.out
    assert "Extrapolates" not in near.out
    assert "At 1.00T parameters on 20.0T tokens:" in far.out
    assert "past the largest fitted run" in far.out


@pytest.mark.parametrize("option", ["--output", "--out"])
def test_a_file_that_cannot_be_written_is_said_before_anything_is_fitted(
    scalewatch: Callable[..., Said], table: Path, law_file: Path, option: str
) -> None:
    """A folder, or a file below a file: nothing is read, printed or written."""
    for path in (table.parent, table / "below" / "x.svg"):
        said = scalewatch("fit", table, "-o", law_file, option, path if path != table.parent else table.parent)
        assert 2 == said.code
        assert "" == said.out
        assert not law_file.exists()

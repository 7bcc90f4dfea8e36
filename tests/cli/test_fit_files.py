"""`scalewatch fit` and `approaches` from tables of finished runs: what is read, left out and said."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalewatch.fitting.chinchilla_file import load_chinchilla
from scalewatch.fitting.status import FitStatus
from tests.cli.tables import Rows, Said, runs, write


def changed(rows: Rows, name: str, row: int, value: Any) -> Rows:
    return {k: [value if (k, i) == (name, row) else v for i, v in enumerate(column)] for k, column in rows.items()}


# --- finished runs --------------------------------------------------------------------------------


def test_a_table_of_finished_runs_gives_chinchillas_law(
    scalewatch: Callable[..., Said], table: Path, law_file: Path
) -> None:
    """The constants are within their intervals, and the fit says how sound it is."""
    said = scalewatch("fit", table, "-o", law_file, "--bootstrap", 200)

    assert (0, "") == (said.code, said.err)
    fitted = load_chinchilla(law_file)
    assert 35 == fitted.runs
    assert fitted.law.alpha == pytest.approx(0.34, abs=0.04)
    low, high = fitted.interval_of(lambda draws: draws[:, 0], 0.98)
    assert low < 1.8 < high
    assert FitStatus.OK.value in said.out
    assert "parameters = column 'params'" in said.out


def test_parquet_gives_the_law_that_csv_does(scalewatch: Callable[..., Said], table: Path, tmp_path: Path) -> None:
    """The same rows, the same law."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table(runs()), tmp_path / "runs.parquet")
    for source in ("csv", "parquet"):
        assert (
            0
            == scalewatch("fit", tmp_path / f"runs.{source}", "-o", tmp_path / f"{source}.json", "--bootstrap", 0).code
        )

    assert load_chinchilla(tmp_path / "csv.json").law == load_chinchilla(tmp_path / "parquet.json").law


def test_parquet_without_pyarrow_is_one_line_that_says_what_to_install(
    scalewatch: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The core does not depend on it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "runs.parquet").write_bytes(b"PAR1")

    said = scalewatch("fit", tmp_path / "runs.parquet")
    assert 2 == said.code
    assert "pip install pyarrow" in said.err


@pytest.mark.parametrize("given", [("params", "flops"), ("tokens", "flops")])
def test_two_of_size_tokens_and_compute_are_enough(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path, given: tuple[str, str]
) -> None:
    """The third follows from C = 6 N D, and it is said."""
    rows = runs()
    rows["flops"] = [6 * n * d for n, d in zip(rows["params"], rows["tokens"], strict=True)]
    some = {name: rows[name] for name in (*given, "loss")}

    said = scalewatch("fit", write(tmp_path / "t.csv", some), "-o", law_file, "--bootstrap", 0)
    assert 0 == said.code
    assert "are taken as flops / (6" in said.out
    assert load_chinchilla(law_file).law.alpha == pytest.approx(0.34, abs=0.04)


def test_columns_can_be_named_and_rows_chosen(scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path) -> None:
    """Two series in one table, in columns that nobody would guess."""
    one = runs()
    rows = {"weights": one["params"] * 2, "seen": one["tokens"] * 2, "y": one["loss"] + [9.0] * 35}
    rows["kind"] = ["good"] * 35 + ["bad"] * 35
    names = [part for pair in ("parameters=weights", "tokens=seen", "loss=y") for part in ("--column", pair)]

    said = scalewatch("fit", write(tmp_path / "t.csv", rows), *names, "--where", "kind=good", "-o", law_file)
    assert 0 == said.code, said.err
    assert 35 == load_chinchilla(law_file).runs


def test_sizes_in_words_are_read(scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path) -> None:
    """Tables are written by people: 1.3B is 1.3e9."""
    rows = runs(noise=0.0)
    rows["params"] = [f"{n / 1e6:.9f}M" for n in rows["params"]]

    assert 0 == scalewatch("fit", write(tmp_path / "t.csv", rows), "-o", law_file, "--bootstrap", 0).code
    assert load_chinchilla(law_file).law.E == pytest.approx(1.8, abs=0.01)


def test_a_diverged_run_is_left_out_and_named(scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path) -> None:
    """It lies far above the law of the others; --keep-outliers keeps it."""
    rows = changed(runs(), "loss", 4, 7.5) | {"run": [f"run-{i}" for i in range(35)]}
    source = write(tmp_path / "t.csv", rows)

    said = scalewatch("fit", source, "-o", law_file, "--bootstrap", 0)
    assert "1 run far above the law of the others (diverged or unfinished?): 'run-4' (" in said.out
    assert 34 == load_chinchilla(law_file).runs
    assert any("run-4" in sentence for sentence in load_chinchilla(law_file).left_out)
    kept = scalewatch("fit", source, "-o", law_file, "--bootstrap", 0, "--keep-outliers")
    assert FitStatus.OUTLIERS.value in kept.out
    assert 35 == load_chinchilla(law_file).runs


@pytest.mark.parametrize("cell", ["nan", "inf", "", "NaN", "None"])
def test_a_run_without_a_finite_loss_is_left_out_and_named(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path, cell: str
) -> None:
    """Its row says that it diverged."""
    said = scalewatch("fit", write(tmp_path / "t.csv", changed(runs(), "loss", 2, cell)), "-o", law_file)

    assert "Left out: 1 row without a finite loss (diverged or unfinished): 'row 3'." in said.out
    assert 34 == load_chinchilla(law_file).runs


def test_of_checkpoints_only_the_last_of_each_run_is_used(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path
) -> None:
    """A loss in mid-schedule is higher than the run would have ended at."""
    rows = runs()
    many: Rows = {"run": [], "params": [], "tokens": [], "loss": []}
    for i, (size, tokens, loss) in enumerate(zip(*rows.values(), strict=True)):
        for part, more in ((0.2, 1.5), (0.6, 1.2), (1.0, 1.0)):
            for name, value in zip(many, (f"r{i}", size, part * tokens, loss * more), strict=True):
                many[name].append(value)

    said = scalewatch("fit", write(tmp_path / "t.csv", many), "-o", law_file, "--bootstrap", 0)
    assert "Left out: 70 rows before the end of their run" in said.out
    assert 35 == load_chinchilla(law_file).runs


def test_a_run_that_ended_above_its_best_checkpoint_has_diverged(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path
) -> None:
    """It is named, and not in the law."""
    rows = runs()
    many = {name: [*column, column[3]] for name, column in rows.items()}
    many["run"] = [f"r{i}" for i in range(35)] + ["r3"]
    many["tokens"][-1] *= 2
    many["loss"][-1] *= 1.5

    said = scalewatch("fit", write(tmp_path / "t.csv", many), "-o", law_file, "--bootstrap", 0)
    assert "'r3' is left out: it ends 50 % above its best loss." in said.out
    assert 34 == load_chinchilla(law_file).runs


# --- what no law can be fitted to -----------------------------------------------------------------


@pytest.mark.parametrize("loss", [0.0, -0.3])
def test_a_loss_of_zero_or_below_is_an_error_with_its_row(
    scalewatch: Callable[..., Said], tmp_path: Path, loss: float
) -> None:
    """It is the wrong column or no cross entropy, and never left out in silence."""
    said = scalewatch("fit", write(tmp_path / "t.csv", changed(runs(), "loss", 6, loss)))

    assert 2 == said.code
    assert f"the loss of row 7 ('row 7') is {loss:g}" in said.err
    assert "--column loss=NAME" in said.err


def test_two_runs_for_five_constants_are_an_error(scalewatch: Callable[..., Said], tmp_path: Path) -> None:
    """The message says how many it takes and what else could be done."""
    few = {name: column[:2] for name, column in runs().items()}

    said = scalewatch("fit", write(tmp_path / "t.csv", few))
    assert 2 == said.code
    assert "5 constants and got 2 runs; add runs" in said.err


def test_all_sizes_equal_gives_a_status_and_no_interval(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path
) -> None:
    """The effect of size is unknown, and nothing pretends to know it."""
    rows = runs() | {"params": [1e8] * 35}

    said = scalewatch("fit", write(tmp_path / "t.csv", rows), "-o", law_file, "--bootstrap", 50)
    assert FitStatus.SIZES_EQUAL.value in said.out
    assert "not known" in said.out
    assert not load_chinchilla(law_file).status.usable


def test_bits_per_byte_need_the_bytes_of_a_token(
    scalewatch: Callable[..., Said], tmp_path: Path, law_file: Path
) -> None:
    """With them the law is the one of nats per token."""
    rows = runs()
    bits = {"params": rows["params"], "tokens": rows["tokens"]}
    bits["bpb"] = [loss / np.log(2) / 4.3 for loss in rows["loss"]]
    source = write(tmp_path / "t.csv", bits)

    refused = scalewatch("fit", source, "-o", law_file)
    assert 2 == refused.code
    assert "--bytes-per-token" in refused.err
    assert 0 == scalewatch("fit", source, "-o", law_file, "--bytes-per-token", 4.3, "--bootstrap", 0).code
    assert load_chinchilla(law_file).law.E == pytest.approx(1.8, abs=0.1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no rows"),
        (b"loss,params\n", "no rows"),
        (b"loss,params,tokens\n1,2\n", "line 2 has 2 cells"),
        (b"loss,loss,tokens\n1,2,3\n", "each column once"),
        (b"loss,params,tokens\n3,1e8,\x00\n", "is no text"),
        (b"\xff\xfel\x00o\x00", "no rows"),
        (b"loss,params,tokens\n3.0,big,1e9\n", "is needed"),
        (b"a,b\n1,2\n", "--column loss=NAME"),
        (b"loss,params\n3,1e8\n", "two of parameters, tokens and flops"),
        (b"loss,params,tokens\n3.0,1e8,1e9\n3.0,many,1e9\n", "row 2: not a number (got 'many')"),
        (b"loss,params,tokens\nnan,1e8,1e9\n", "Column 'loss' is empty"),
        (b"loss,params,tokens\nbad,1e8,1e9\n", "Column 'loss' begins with 'bad', no number"),
    ],
)
def test_what_is_no_table_of_runs_is_one_line(
    scalewatch: Callable[..., Said], tmp_path: Path, content: bytes, reason: str
) -> None:
    """It names the file and what to do, and there is no traceback."""
    source = tmp_path / "t.csv"
    source.write_bytes(content)

    said = scalewatch("fit", source)
    assert 2 == said.code
    assert said.err.startswith(f"scalewatch: {source}")
    assert reason.replace("is needed", "are needed") in said.err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--column", "loss"], "NAME=VALUE"),
        (["--column", "mass=loss"], "is none of parameters"),
        (["--column", "loss=missing"], "no column 'missing'"),
        (["--where", "missing=1"], "no column 'missing'"),
        (["--where", "params=0"], "no row is params = 0"),
        (["--bytes-per-token", "4"], "not named so"),
        (["--bytes-per-token", "-4"], "between 0.1 and 100"),
        (["--estimator", "magic"], "huber or lad"),
        (["--bootstrap", "-1"], "`--bootstrap` must lie between 0 and 100,000"),
        (["--target", "big"], "such as 7e9 or 7B"),
        (["--out", "x.pdf"], ".png, .svg"),
        (["--chart", "residuals"], "`--chart` needs `--out FILE`"),
        (["--out", "x.svg", "--chart", "pie"], "one of auto, isoflop"),
        (["--out", "x.svg", "--chart", "collapse"], "one of auto, isoflop"),
    ],
)
def test_an_option_out_of_range_is_one_line(
    scalewatch: Callable[..., Said], table: Path, law_file: Path, options: Sequence[str], reason: str
) -> None:
    """With what it must be."""
    said = scalewatch("fit", table, "-o", law_file, *options)

    assert 2 == said.code
    assert reason in said.err

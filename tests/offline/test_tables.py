"""Tables of runs: which column is what, and that a log of the same columns is read alike."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from scalewatch.errors import FitError
from scalewatch.logs.columns import guess
from scalewatch.offline.finished_runs import ends, from_tables, nats_per_token
from scalewatch.offline.reading import Reading
from scalewatch.offline.tables import Table, named_columns

SHARED = ("step", "learning_rate", "tokens")


def table(names: list[str]) -> Table:
    return Table("t.csv", "t", {name: ["1.5", "2.5"] for name in names})


@pytest.mark.parametrize(
    "names",
    [
        "step|loss|lr|tokens",
        "global_step|train/loss|optim/lr|num_input_tokens_seen",
        "_step|_timestamp|train/loss|train/lr|train/global_step",
        "iteration|lm loss|learning-rate|consumed tokens",
        "Step|Train Loss|learningRate|tokensSeen|tokens_per_second",
        "it|nll|lr-AdamW|throughput/total_tokens|grad_norm",
        "trainer/global_step|eval/loss|lr_factor",
    ],
)
def test_a_table_of_curves_is_read_as_a_log_of_the_same_columns_is(names: str) -> None:
    """Steps, rates, tokens and, where there is one loss, the loss: `fit` and `replay` take the same columns."""
    columns = names.split("|")
    as_log, as_table = guess(columns).columns, named_columns(table(columns), {})

    assert {r: as_log[r] for r in SHARED if r in as_log} == {r: as_table[r] for r in SHARED if r in as_table}
    assert as_log["loss"] == as_table["loss"]


@pytest.mark.parametrize(
    ("names", "loss"),
    [
        ("train_loss val_loss loss final_loss", "final_loss"),
        ("train_loss val_loss loss", "loss"),
        ("train_loss test_loss val/loss", "val/loss"),
        ("loss_std train_loss", "train_loss"),
        ("val_ppl val_loss", "val_loss"),
    ],
)
def test_of_a_finished_run_the_loss_that_was_held_out_counts(names: str, loss: str) -> None:
    """Before that of training, and after one that is called final or only loss."""
    assert loss == named_columns(table(names.split()), {})["loss"]


def test_a_batch_is_a_size_in_a_table_of_runs() -> None:
    """And N, D and C are what they are in a paper; a log knows no such letters."""
    columns = ["N", "D", "C", "batch", "lr", "loss", "name"]

    sizes = {"parameters": "N", "tokens": "D", "flops": "C", "batch_size": "batch"}
    assert {**sizes, "learning_rate": "lr", "loss": "loss", "run": "name"} == named_columns(table(columns), {})
    assert {"step": "batch", "learning_rate": "lr", "loss": "loss"} == guess(columns).columns


def test_losses_become_nats_as_their_names_say() -> None:
    """Bits per token times ln 2, perplexity by its logarithm, and bits per byte with the bytes of a token."""
    several = table(["bpt", "val_ppl", "bits_per_byte", "loss"])
    notes: list[str] = []

    assert pytest.approx(np.array([1.5, 2.5]) * np.log(2)) == nats_per_token(several, "bpt", None, notes)
    assert pytest.approx(np.log([1.5, 2.5])) == nats_per_token(several, "val_ppl", None, notes)
    assert pytest.approx(np.array([6.0, 10.0]) * np.log(2)) == nats_per_token(several, "bits_per_byte", 4.0, notes)
    assert pytest.approx([1.5, 2.5]) == nats_per_token(several, "loss", None, notes)
    assert 3 == len(notes)
    with pytest.raises(FitError, match="bits per byte"):
        nats_per_token(several, "bits_per_byte", None, notes)


def test_a_cell_is_read_as_a_log_reads_it(tmp_path: Path) -> None:
    """Counts with a letter, NaN in many spellings; what is no number is said with its row."""
    read = Table("t.csv", "t", {"n": ["1.3B", "70k", "-", "tensor(2.0)"], "bad": ["1", "many", "", ""]})

    assert [1.3e9, 7e4, 2.0] == [value for value in read.numbers("n") if np.isfinite(value)]
    with pytest.raises(FitError, match=r"column 'bad', row 2: not a number \(got 'many'\)"):
        read.numbers("bad")


def test_rows_of_one_size_at_equal_distances_of_tokens_are_checkpoints_of_a_run() -> None:
    """Three sizes with fifty rows each are three runs, also where no column names them; sizes of a sweep are runs."""
    sizes = [1e8, 2e8, 4e8]
    saved = [(n, 1e9 * k, 2 + (n * 1e9 * k) ** -0.01) for n in sizes for k in range(1, 51)]
    swept = [(n, 1e9 * 3**k, 2 + (n * 1e9 * 3**k) ** -0.01) for n in sizes for k in range(1, 10)]
    read = {}
    for name, rows in (("saved", saved), ("swept", swept)):
        columns = zip(*rows, strict=True)
        found = {
            title: list(map(str, cells)) for title, cells in zip(("params", "tokens", "loss"), columns, strict=True)
        }
        read[name] = ends(from_tables([Table(f"{name}.csv", name, found)], {}))

    assert 3 == len(read["saved"].loss)
    assert "checkpoints of 3 runs" in read["saved"].notes[1]
    assert 27 == len(read["swept"].loss)


def test_a_folder_of_tables_is_its_tables_and_one_of_journals_is_not(tmp_path: Path) -> None:
    """So that `fit` takes several tables of finished runs at once."""
    (tmp_path / "tables").mkdir()
    for name in ("a", "b"):
        (tmp_path / "tables" / f"{name}.csv").write_text("params,tokens,loss\n1e8,2e9,3.0\n")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "journal-000.jsonl").write_text("{}\n")
    (tmp_path / "runs" / "notes.csv").write_text("a,b\n1,2\n")
    read = Reading.of([tmp_path / "tables", tmp_path / "runs"], [], [], None)

    assert 2 == len(read.tables)
    assert [tmp_path / "runs"] == read.folders


@pytest.mark.parametrize("said_by", ["n_params", "shape", "head", "name"])
def test_a_folder_of_logs_is_a_table_of_its_runs_with_sizes_from_where_they_stand(said_by: str, tmp_path: Path) -> None:
    """In the settings beside a log as a count or as a shape, in its first lines, or in the names of the runs."""
    sizes = {"n_params": [2e7, 8e7], "shape": [12 * 6 * 512**2, 12 * 12 * 768**2], "head": [1.065e7, 1.24e8]}
    for i, size in enumerate(sizes.get(said_by, [7e7, 1.6e8])):
        folder = tmp_path / (f"gpt-{size / 1e6:.0f}m" if said_by == "name" else f"run{i}")
        folder.mkdir()
        rows = [(step, 6.0 * step**-0.1) for step in range(1, 101)]
        if said_by == "head":
            lines = [f"iter {step}: loss {loss:.4f}, time 20.00ms, mfu 1.0%" for step, loss in rows]
            (folder / "out.log").write_text(f"number of parameters: {size / 1e6:.2f}M\n" + "\n".join(lines) + "\n")
            continue
        (folder / "metrics.csv").write_text("step,loss,lr\n" + "".join(f"{s},{loss},0.1\n" for s, loss in rows))
        shape = {"num_hidden_layers": (6, 12)[i], "hidden_size": (512, 768)[i]}
        told = {"n_params": {"n_params": size}, "shape": shape}.get(said_by, {})
        # of which a whole batch is made in parts, and what has a size is no model
        rest = {"total_batch_size": 8, "gradient_accumulation_steps": 4, "seq_len": 1024, "dataset": {"size": 50_000}}
        (folder / "config.json").write_text(json.dumps({**told, **rest}, indent=1))
    (every,) = Reading.of([tmp_path], [], [], None).tables
    (last,) = Reading.of([tmp_path], [], [], None, ends=True).tables

    named = "non_embedding_parameters" if said_by == "shape" else "parameters"
    assert sizes.get(said_by, [7e7, 1.6e8]) == pytest.approx(sorted(last.numbers(named)))
    assert (200, 2) == (len(every), len(last))
    assert pytest.approx(np.mean([6.0 * step**-0.1 for step in (99, 100)]), rel=1e-4) == last.numbers("loss")[0]
    if said_by != "head":
        assert 100 * 8 * 1024 == last.numbers("tokens")[0]


def test_the_batch_of_deepspeed_is_that_of_a_whole_step(tmp_path: Path) -> None:
    """Its `train_batch_size` holds the parts that a step is made of, which under this name elsewhere it does not."""
    steps = {}
    for name, more in {"deepspeed": {"train_micro_batch_size_per_gpu": 2}, "other": {}}.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "metrics.csv").write_text("step,loss\n" + "".join(f"{s},{6.0 * s**-0.1}\n" for s in range(1, 101)))
        config = {"train_batch_size": 8, "gradient_accumulation_steps": 4, "seq_len": 1024, **more}
        (folder / "config.json").write_text(json.dumps({"n_params": 1e8, **config}))
        (read,) = Reading.of([folder], [], [], None, ends=True).tables
        steps[name] = read.numbers("tokens")[0] / 100

    assert {"deepspeed": 8 * 1024, "other": 4 * 8 * 1024} == steps


@pytest.mark.parametrize(
    ("size", "tokens", "said"),
    [
        ("1e8", "20", "tokens are up to 20 in some rows and from 2e[+]09 on in the others .row 3 with 20."),
        ("160", "2e9", "parameters are up to 160 in some rows and from 1e[+]08 on in the others .row 3 with 160."),
    ],
)
def test_counts_of_which_some_are_in_another_unit_are_refused_with_the_row(size: str, tokens: str, said: str) -> None:
    """`20` among counts, where `20B` was meant: a law of both would be one of neither."""
    columns = {"params": ["1e8", "2e8", size, "4e8"], "tokens": ["2e9", "4e9", tokens, "8e9"]}
    mixed = Table("t.csv", "t", {**columns, "loss": ["3.4", "3.2", "3.1", "2.9"]})

    with pytest.raises(FitError, match=said):
        from_tables([mixed], {})


def test_it_is_asked_whether_sizes_far_from_all_others_are_in_the_same_unit() -> None:
    """A thousandth may be another unit, and may be a small model."""
    columns = {"params": ["1e8", "2e8", "1e5", "4e8"], "tokens": ["2e9", "4e9", "2e9", "8e9"]}
    rows = from_tables([Table("t.csv", "t", {**columns, "loss": ["3.4", "3.2", "5.1", "2.9"]})], {})

    assert any("row 3 with 100000" in note for note in rows.notes)

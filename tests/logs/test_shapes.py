"""Tables that have no column for each number, and what one JSON value may hold."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from scalewatch.logs import json_stream, open_logs
from scalewatch.logs.formats import trainer_state

LOSSES = [round(3.0 + 2.0 * 0.95**i + 0.01 * (i * 7 % 5), 4) for i in range(40)]
HELD_OUT = [round(loss + 0.1, 4) for loss in LOSSES]
ROWS = list(enumerate(LOSSES))


def table(head: str, row: str) -> str:
    """A table of a heading and a line for each row."""
    return f"{head}\n" + "".join(row.format(i=i, step=10 * i, x=x, v=HELD_OUT[i]) + "\n" for i, x in ROWS)


def dumped(value: Any) -> str:
    return json.dumps(value)


STEPS = [10 * i for i, _ in ROWS]
TENS, ONES, ZEROS = (0, 390), (1, 40), (0, 39)
LONG = "a,{step},train_loss,{x}\na,{step},lr,0.001"
DICTS = [{"step": 10 * i, "loss": x} for i, x in ROWS]
SHAPES: dict[str, tuple[str, str, tuple[int, int], int]] = {
    "a row a number, in CSV": ("a.csv", table("run,step,metric,value", LONG), TENS, 0),
    "a row a number, in JSON lines": (
        "a.jsonl",
        "".join(dumped({"step": 10 * i, "name": "train/loss", "value": x}) + "\n" for i, x in ROWS),
        TENS,
        0,
    ),
    "a row a number, in JSON": (
        "a.json",
        dumped({"metrics": [{"metricName": "loss", "metricValue": str(x), "step": 10 * i} for i, x in ROWS]}),
        TENS,
        0,
    ),
    "TensorBoard's download as JSON": ("a.json", dumped([[1.7e9 + i, 10 * i, x] for i, x in ROWS]), TENS, 0),
    "a list of numbers": ("loss_curve.json", dumped(LOSSES), ONES, 0),
    "a list for each name, nested": (
        "a.json",
        dumped({"train": {"loss": LOSSES}, "val": {"loss": HELD_OUT}}),
        ONES,
        40,
    ),
    "rows below some name": ("a.json", dumped({"config": {"lr": 1}, "history": DICTS}), TENS, 0),
    "rows under their numbers": (
        "a.json",
        dumped({str(i): {"loss": x, "val_loss": HELD_OUT[i]} for i, x in ROWS}),
        ZEROS,
        40,
    ),
    "columns under their numbers": (
        "a.json",
        dumped({"step": {str(i): 10 * i for i, _ in ROWS}, "loss": {str(i): x for i, x in ROWS}}),
        TENS,
        0,
    ),
    "names, and rows of numbers": (
        "a.json",
        dumped({"columns": ["step", "loss"], "data": [[10 * i, x] for i, x in ROWS]}),
        TENS,
        0,
    ),
    "steps and values below each name": ("a.json", dumped({"loss": {"train": {"x": STEPS, "y": LOSSES}}}), TENS, 0),
    "values over several lines each": ("a.json", "\n".join(json.dumps(row, indent=2) for row in DICTS), TENS, 0),
    "no heading": ("a.csv", table("0,4.9", "{step},{x}").partition("\n")[2], TENS, 0),
    "no heading, with a time": ("train_loss", table("", "17000000000{i:02d} {x} {step}").lstrip(), TENS, 0),
    "values without a name": (
        "chart.csv",
        table("step,timestamp,value", "{step},2024-05-01T10:00:{i:02d},{x}"),
        TENS,
        0,
    ),
    "an index": ("a.csv", table("Unnamed: 0,loss", "{i},{x}"), ZEROS, 0),
    "lines above the heading": ("a.csv", "Experiment A\nSeed 3\n\n" + table("step,loss", "{step},{x}"), TENS, 0),
    "thousands with commas": ("a.csv", table("step,loss", '"1,{i:03d}",{x}'), (1000, 1039), 0),
    "names below a holder": (
        "a.jsonl",
        "".join(dumped({"data": {"global_step": 10 * i, "loss": x}}) + "\n" for i, x in ROWS),
        TENS,
        0,
    ),
    "a table in Markdown": (
        "README.md",
        table("| Training Loss | Step | Validation Loss |\n|:---:|:---:|:---:|", "| {x} | {step} | {v} |"),
        TENS,
        40,
    ),
    "a training loss told where the model is evaluated": (
        "log.txt",
        "".join(f"[eval] step={10 * i:4d} train_loss={x} gap={x:.3e} floor=3.5e-02\n" for i, x in ROWS),
        TENS,
        0,
    ),
    "remarks in a table of Markdown": (
        "README.md",
        table(
            "| Época | Train Loss | Acc | Val Loss | Estado |\n|:--|:--|:--|:--|:--|",
            "| {i} | {x} | 52.5% | {v} | **ok** |",
        ),
        ZEROS,
        40,
    ),
    "training and validation without the word loss": (
        "log.txt",
        "".join(f"{10 * i} train {x}\n" + (f"{10 * i} val {x + 0.1}\n" if i % 10 == 9 else "") for i, x in ROWS),
        TENS,
        4,
    ),
}
SHAPES |= {
    "decimal commas between tabs": ("a.txt", table("step\tloss", "{step}\t{x}").replace(".", ","), TENS, 0),
    "a row for each side": ("a.csv", table("epoch,split,loss", "{i},train,{x}\n{i},val,{v}"), ZEROS, 40),
    "a data frame that was printed": (
        "a.txt",
        pd.DataFrame({"step": STEPS, "loss": LOSSES, "lr": 1e-3}).to_string() + "\n",
        TENS,
        0,
    ),
    "a heading behind a hash": ("a.dat", table("# step loss val_loss", "{step} {x} {v}"), TENS, 40),
    "bold numbers in Markdown": (
        "a.md",
        table("| step | train loss |\n|---|---|", "| 1,{i:03d} | **{x}** |"),
        (1000, 1039),
        0,
    ),
    "a line of a chart": ("a.json", dumped({"data": [{"name": "train loss", "x": STEPS, "y": LOSSES}]}), TENS, 0),
    "an array in a log": ("log", json.dumps(DICTS, indent=4), TENS, 0),
    "a table of another name": ("a.train", table("step,loss", "{step},{x}"), TENS, 0),
    "a list in YAML": ("a.yaml", table("# a run", "- step: {step}\n  loss: {x}"), TENS, 0),
    "newest first": ("a.csv", "step,loss\n" + "".join(f"{10 * i},{x}\n" for i, x in reversed(ROWS)), TENS, 0),
    "in no order": (
        "a.csv",
        "step,loss\n" + "".join(f"{10 * i},{x}\n" for i, x in sorted(ROWS, key=lambda r: r[0] * 17 % 40)),
        TENS,
        0,
    ),
    "a row for each process": ("a.csv", table("rank,step,loss", "0,{step},{x}\n1,{step},{v}"), TENS, 0),
    "steps in words": ("a.csv", table("step,loss", "step_{step},{x}"), TENS, 0),
    "steps in thousands": ("a.csv", table("step,loss", "{i}k,{x}"), (0, 39_000), 0),
    "an index without a name": ("a.csv", table(",loss", "{i},{x}"), ZEROS, 0),
    "steps below a name": (
        "a.jsonl",
        "".join(dumped({"progress": {"step": 10 * i, "total": 900}, "metrics": {"loss": x}}) + "\n" for i, x in ROWS),
        TENS,
        0,
    ),
    "room behind the commas": ("a.csv", table('"Step" , "Train Loss"', '"{step}" , "{x}"'), TENS, 0),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_table_of_any_shape_is_one_curve(shape: str, tmp_path: Path) -> None:
    """Loss, steps and validation are those that were written."""
    name, text, steps, validations = SHAPES[shape]
    (tmp_path / name).write_text(text)

    found = open_logs([tmp_path / name])

    assert [] == found.unreadable
    assert 1 == len(found.logs)
    rows = list(found.logs[0].rows())
    assert pytest.approx(LOSSES) == [row.loss for row in rows]
    assert steps == (rows[0].step, rows[-1].step)
    assert validations == sum(row.validation_loss is not None for row in rows)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("val_accuracy.csv", table("step,value", "{step},{x}")),
        ("accuracy.json", dumped([[1.7e9 + i, 10 * i, x] for i, x in ROWS])),
        ("long.csv", table("step,metric,value", "{step},accuracy,{x}")),
        ("config.json", dumped({"loss": {"name": "mse"}, "lr": 1e-3, "layers": [64, 64]})),
        ("numbers.txt", table("0 1", "{step} {x}")),
    ],
)
def test_numbers_that_may_be_anything_are_no_curve(name: str, text: str, tmp_path: Path) -> None:
    """An accuracy, a configuration, two columns of a text: a sentence says why, and how to read it all the same."""
    (tmp_path / name).write_text(text)

    found = open_logs([tmp_path / name])

    assert [] == found.logs
    assert name in found.unreadable[0].reason


def test_a_log_of_evaluations_only_is_the_curve_that_there_is(tmp_path: Path) -> None:
    """Where every row says that it is of a validation, none is left out for it."""
    (tmp_path / "a.csv").write_text(table("split,step,loss", "val,{step},{x}"))

    (log,) = open_logs([tmp_path / "a.csv"]).logs

    assert pytest.approx(LOSSES) == [row.loss for row in log.rows()]


def test_each_run_of_a_parquet_file_is_a_run(tmp_path: Path) -> None:
    """As of CSV and JSON lines."""
    frame = pd.DataFrame({"run_id": "a", "step": STEPS, "loss": LOSSES})
    pd.concat([frame, frame.assign(run_id="b", loss=HELD_OUT)]).to_parquet(tmp_path / "runs.parquet")

    logs = open_logs([tmp_path / "runs.parquet"]).logs

    assert ["runs/a", "runs/b"] == [log.name for log in logs]
    assert [pytest.approx(LOSSES), pytest.approx(HELD_OUT)] == [[row.loss for row in log.rows()] for log in logs]


def test_numbers_in_one_list_take_little_more_memory_than_the_list(tmp_path: Path) -> None:
    """A dict a row took ten times as much: gigabytes for a list of 100 MB."""
    losses = [2.0 + 1.0 / (1 + i) for i in range(20_000)]
    (path := tmp_path / "loss.json").write_text(dumped(losses))
    tracemalloc.start()
    (log,) = open_logs([path]).logs
    count = sum(len(block) for _, block in log.blocks())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(losses) == count
    assert peak < 250 * len(losses)


def test_a_loss_behind_a_long_list_of_steps_is_found(tmp_path: Path) -> None:
    """Columns one after the other: the first fills what is looked at of a file."""
    (path := tmp_path / "history.json").write_text(dumped({"step": list(range(20_000)), "loss": [2.0] * 20_000}))

    rows = list(open_logs([path]).logs[0].rows())

    assert (19_999, 2.0) == (rows[-1].step, rows[-1].loss)


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("nested", [False, True])
def test_a_long_list_is_the_same_read_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indent: int | None, nested: bool
) -> None:
    """Wherever a piece ends: in a row, in one inside it, in a word that holds what rows end with."""
    rows: list[dict[str, object]] = [
        {"step": i, "loss": 3.0 + 1 / (i + 1), "note": "}, {" if i % 7 == 0 else "é"} for i in range(300)
    ]
    rows = [{"step": row["step"], "train": row, "of": {"last": row}} for row in rows] if nested else rows
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")
    for piece in (40, 333, 1 << 20):
        monkeypatch.setattr(json_stream, "PIECE", piece)
        assert rows == list(json_stream.StreamedRows(path))

    path.write_text(json.dumps(rows)[:-30])
    with pytest.raises(ValueError, match=r"delimiter|Expecting|Unterminated"):
        json_stream.StreamedRows(path)


def test_a_long_list_says_what_a_short_one_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, columns and notes; so does one that is cut off, whose whole rows are read."""
    rows = [{"step": i, "loss": 3.0 + 1 / i, **({"eval_loss": 3.5} if i % 100 == 0 else {})} for i in range(1, 400)]
    whole, cut = tmp_path / "whole.json", tmp_path / "cut.json"
    whole.write_text(json.dumps(rows))
    cut.write_text(json.dumps(rows)[:-20])

    def told(path: Path) -> object:
        (log,) = open_logs([path]).logs
        return repr(list(log.rows())), log.columns, log.notes, log.run.logged

    at_once = told(whole), told(cut)
    monkeypatch.setattr(trainer_state, "LONG_BYTES", 0)

    assert at_once == (told(whole), told(cut))

"""Logs as they are found: out of order, written by two, cut off, in odd encodings, with words for numbers."""

from __future__ import annotations

import json
import math
import os
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalewatch.logs import AbstractLog, open_logs
from scalewatch.logs.formats.csv_table import CsvLog
from scalewatch.logs.lines import Lines
from scalewatch.logs.log import MAX_NOTES
from scalewatch.observation import Observation


def opened(path: Path, text: str | bytes, **columns: str) -> AbstractLog:
    """The one log in a file that holds `text` and was written long ago."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    long_ago = time.time() - 3600
    os.utime(path, (long_ago, long_ago))
    found = open_logs([path], columns=columns)
    assert not found.unreadable, found.unreadable
    return found.logs[0]


def read(path: Path, text: str | bytes, **columns: str) -> list[Observation]:
    return list(opened(path, text, **columns).rows())


def why_not(path: Path, text: str) -> str:
    path.write_text(text)
    found = open_logs([path])
    assert not found.logs
    return found.unreadable[0].reason


def test_without_a_loss_the_error_names_the_columns_and_what_to_type(tmp_path: Path) -> None:
    """No guess is made where there is none to make."""
    for name, text in (("a.csv", "step,accuracy\n1,0.5\n"), ("a.jsonl", '{"step": 1, "accuracy": 0.5}\n')):
        reason = why_not(tmp_path / name, text)
        assert "step, accuracy" in reason
        assert "--column loss=" in reason


def test_a_table_without_a_header_is_read_by_numbers(tmp_path: Path) -> None:
    """The error says how, and it works."""
    assert "--column step=1 --column loss=2" in why_not(tmp_path / "a.csv", "1,3.5\n2,3.4\n")
    rows = read(tmp_path / "b.csv", "1,3.5\n2,3.4\n", step="1", loss="2")
    assert [(1, 3.5), (2, 3.4)] == [(row.step, row.loss) for row in rows]
    rows = read(tmp_path / "c.csv", "1  3.5\n2  3.4\n", step="1", loss="2")
    assert [(1, 3.5), (2, 3.4)] == [(row.step, row.loss) for row in rows]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_do_not_matter(encoding: str, end: str, tmp_path: Path) -> None:
    """What Excel, PowerShell and old tools write is read."""
    text = end.join(["step,loss", "1,3.5", "2,3.4", "3,3.3", ""])
    rows = read(tmp_path / "a.csv", text.encode(encoding))

    assert [3.5, 3.4, 3.3] == [row.loss for row in rows]


def test_letters_that_are_no_utf8_cost_nothing(tmp_path: Path) -> None:
    """A Latin-1 remark in another column does not hide the numbers, and is noted."""
    log = opened(tmp_path / "a.csv", "step,loss,note\n1,3.5,größer\n2,3.4,\n".encode("latin-1"))

    assert [3.5, 3.4] == [row.loss for row in log.rows()]
    assert any("UTF-8" in note for note in log.notes)


@pytest.mark.parametrize(("delimiter", "comma"), [(",", "."), ("\t", "."), (";", "."), (";", ","), ("|", ".")])
def test_the_delimiter_is_seen(delimiter: str, comma: str, tmp_path: Path) -> None:
    """Tabs, semicolons with decimal commas, bars."""
    lines = [["step", "train loss"], ["1", f"3{comma}5"], ["2", f"3{comma}4"]]
    rows = read(tmp_path / "a.tsv", "\n".join(delimiter.join(line) for line in lines) + "\n")

    assert [3.5, 3.4] == [row.loss for row in rows]


def test_quotes_may_go_over_lines(tmp_path: Path) -> None:
    """A sample of text in a cell, with commas and newlines in it, is one cell."""
    rows = read(tmp_path / "a.csv", 'step,sample,loss\n1,"once, upon\na time",3.5\n2,"a ""word""",3.4\n')

    assert [(1, 3.5), (2, 3.4)] == [(row.step, row.loss) for row in rows]


def test_a_header_that_comes_again_or_grows_is_followed(tmp_path: Path) -> None:
    """A resumed writer says its columns again, in another order and with more of them."""
    rows = read(tmp_path / "a.csv", "step,loss\n1,3.5\nstep,loss\n2,3.4\nlr,loss,step\n0.1,3.3,3\n")

    assert [(1, 3.5, None), (2, 3.4, None), (3, 3.3, 0.1)] == [(r.step, r.loss, r.learning_rate) for r in rows]


def test_lightnings_file_is_followed_while_it_is_rewritten(tmp_path: Path) -> None:
    """When a new metric turns up the file is written anew with another header; no row comes twice."""
    path = tmp_path / "metrics.csv"
    log = opened(path, "epoch,step,train_loss\n0,1,3.5\n0,2,3.4\n")
    assert [3.5, 3.4] == [row.loss for row in log.rows()]

    path.write_text("epoch,step,train_loss,val_loss\n0,1,3.5,\n0,2,3.4,\n0,2,,3.6\n0,3,3.3,\n")

    assert [(3, 3.3, 3.6)] == [(row.step, row.loss, row.validation_loss) for row in log.rows()]


def test_rows_of_one_step_become_one(tmp_path: Path) -> None:
    """The rate before it, the loss, the validation after it: one row; blanks are no numbers."""
    text = "step,lr,train_loss,val_loss\n10,0.1,,\n10,,3.5,\n10,,,3.6\n20,0.2,,\n20,,3.4,\n"
    rows = read(tmp_path / "a.csv", text)

    assert [(10, 3.5, 0.1, 3.6), (20, 3.4, 0.2, None)] == [
        (row.step, row.loss, row.learning_rate, row.validation_loss) for row in rows
    ]


def test_losses_of_validation_in_the_same_column_are_told_apart(tmp_path: Path) -> None:
    """A column that says train or val keeps the two losses apart."""
    rows = read(tmp_path / "a.csv", "step,split,loss\n1,train,3.5\n1,val,3.9\n2,train,3.4\n2,val,3.8\n")

    assert [(3.5, 3.9), (3.4, 3.8)] == [(row.loss, row.validation_loss) for row in rows]


def test_a_blank_where_every_row_has_a_loss_is_nan(tmp_path: Path) -> None:
    """pandas writes NaN as nothing, JavaScript as null: the run is lost, and that must not be missed."""
    table = "step,loss,lr\n" + "".join(f"{i},{4 - 0.1 * i},0.1\n" for i in range(1, 11)) + "11,,0.1\n12,,0.1\n"
    lines = [json.dumps({"step": i, "loss": 3.0 if i < 11 else None}) for i in range(1, 13)]
    for log in (opened(tmp_path / "a.csv", table), opened(tmp_path / "a.jsonl", "\n".join(lines) + "\n")):
        losses = [row.loss for row in log.rows()]
        assert [10, 2] == [sum(map(math.isfinite, losses)), sum(map(math.isnan, losses))]
        assert any("NaN" in note for note in log.notes)


def test_blanks_between_losses_are_no_nan(tmp_path: Path) -> None:
    """A log that has a loss every fifth step only is a sparse log, not a lost run."""
    text = "step,loss,lr\n" + "".join(f"{i},{3.0 if i % 5 == 0 else ''},0.1\n" for i in range(1, 101))

    assert [3.0] * 20 == [row.loss for row in read(tmp_path / "a.csv", text)]


def test_perplexity_and_bits_become_nats_and_that_is_said(tmp_path: Path) -> None:
    """ln 20 and 1.5 ln 2, with a note."""
    ppl = opened(tmp_path / "a.csv", "step,ppl\n1,20\n2,-1\n")
    bits = opened(tmp_path / "b.csv", "step,bits_per_byte\n1,1.5\n")

    first, second = (row.loss for row in ppl.rows())
    assert pytest.approx(math.log(20)) == first
    assert math.isnan(second)
    assert pytest.approx(1.5 * math.log(2)) == next(iter(bits.rows())).loss
    assert "perplexity" in ppl.notes[0]
    assert "bits" in bits.notes[0]


def test_rows_are_counted_where_no_column_is_a_step(tmp_path: Path) -> None:
    """And the log says so."""
    log = opened(tmp_path / "a.csv", "loss\n3.5\n3.4\n3.3\n")

    assert [1, 2, 3] == [row.step for row in log.rows()]
    assert "counted" in log.notes[0]


def test_neighbours_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    """Two loggers that overtake each other by a row are no rewind."""
    rows = read(tmp_path / "a.csv", "step,loss\n1,3.1\n3,3.3\n2,3.2\n4,3.4\n5,3.5\n")

    assert [1, 2, 3, 4, 5] == [row.step for row in rows]


def test_a_run_that_goes_back_is_given_as_it_went(tmp_path: Path) -> None:
    """A resume from an older checkpoint is for the monitor to see."""
    steps = [1, 2, 3, 4, 5, 3, 4, 5, 6]
    rows = read(tmp_path / "a.csv", "step,loss\n" + "".join(f"{step},3.0\n" for step in steps))

    assert steps == [row.step for row in rows]


def test_two_writers_on_one_file_are_noticed_and_one_is_kept(tmp_path: Path) -> None:
    """Rows of a second run between those of the first do not make it jump to and fro."""
    lines = [f'{{"step": {step}, "loss": {loss}}}\n' for i in range(50) for step, loss in ((500 + i, 3.0), (i, 9.0))]
    log = opened(tmp_path / "a.jsonl", "".join(lines))
    rows = list(log.rows())

    # of the first two rows and the last nobody can tell yet whose they are
    assert list(range(500, 549)) == [row.step for row in rows[1:50]]
    assert [3.0] * 49 == [row.loss for row in rows[1:50]]
    assert len(rows) <= 52
    assert any("two writers" in note for note in log.notes)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_each_run_of_a_table_of_several_is_a_run(tmp_path: Path, name: str) -> None:
    """By a column that names them."""
    runs = [("a", 3.0), ("b", 9.0)]
    rows = [{"run": run, "step": i, "loss": loss} for run, loss in runs for i in (1, 2)]
    table = ["run,step,loss", *(",".join(map(str, row.values())) for row in rows)]
    lines = table if name.endswith("csv") else [json.dumps(row) for row in rows]
    (tmp_path / name).write_text("\n".join(lines) + "\n")

    logs = open_logs([tmp_path / name]).logs

    assert {"a/a": [(1, 3.0), (2, 3.0)], "a/b": [(1, 9.0), (2, 9.0)]} == {
        each.name: [(row.step, row.loss) for row in each.rows()] for each in logs
    }


def test_an_array_of_rows_is_read(tmp_path: Path) -> None:
    """`json.dump(history, file)` of a list of dicts."""
    rows = [{"step": i, "train": {"loss": 3.0 - i}} for i in (1, 2)]

    assert [2.0, 1.0] == [row.loss for row in read(tmp_path / "history.json", json.dumps(rows, indent=2))]


def test_a_list_for_each_name_is_read_as_rows(tmp_path: Path) -> None:
    """`json.dump(model.fit(...).history)` of Keras."""
    text = json.dumps({"loss": [3.0, 2.0, 1.0], "val_loss": [3.1, 2.1, 1.1], "lr": [0.1, 0.1, 0.1]})

    assert [(3.0, 3.1), (2.0, 2.1), (1.0, 1.1)] == [
        (row.loss, row.validation_loss) for row in read(tmp_path / "history.json", text)
    ]


def test_of_a_trainer_state_that_is_cut_the_whole_rows_are_read(tmp_path: Path) -> None:
    """A disk that was full while it was written costs the row in which it ends, and that is said."""
    history = [{"step": i, "loss": 3.0 - 0.01 * i, "learning_rate": 1e-4} for i in range(1, 101)]
    whole = json.dumps({"max_steps": 500, "log_history": history}, indent=2)
    log = opened(tmp_path / "trainer_state.json", whole[: len(whole) * 2 // 3])
    rows = list(log.rows())

    assert 60 < len(rows) < 70
    assert [row["loss"] for row in history[: len(rows)]] == [row.loss for row in rows]
    assert 500 == log.run.total_steps
    assert any("cut off" in note for note in log.notes)


def test_broken_lines_are_left_out_and_told_by_number(tmp_path: Path) -> None:
    """Half lines, two objects on one line, Python's nan, an array: what can be read is read."""
    text = (
        '{"step": 1, "loss": 3.5}\n{"step": 2, "lo\n{"step": 3, "loss": 3.3}{"step": 4, "loss": nan}\n[1, 2]\n'
        'Epoch 3 done\n{"step": 5, "loss": "tensor(3.1)", "x": {"y": [1]}}\n\n{"step": 6, "loss": 3.0'
    )
    log = opened(tmp_path / "a.jsonl", text)
    rows = list(log.rows())

    assert [1, 3, 4, 5] == [row.step for row in rows]
    assert math.isnan(rows[2].loss)
    assert 3.1 == rows[3].loss
    assert {"line 2", "line 5"} <= {note.split(":")[0] for note in log.notes}
    assert any("cut off" in note for note in log.notes)


def test_a_file_of_nothing_but_damage_makes_few_notes(tmp_path: Path) -> None:
    """Each kind of damage is said once with its count, and different ones are bounded."""
    log = opened(tmp_path / "a.csv", "step,loss\n1,3.0\n" + "2,what\n" * 500)
    list(log.rows())
    lines = opened(tmp_path / "b.jsonl", '{"step": 1, "loss": 3.0}\n' + "".join(f"line {i}\n" for i in range(500)))
    list(lines.rows())

    assert ["line 3: 'loss' is no number (got 'what'), and 499 more like it"] == log.notes
    assert MAX_NOTES == len(lines.notes)
    assert lines.notes_dropped >= 400


def test_a_last_line_without_its_end_waits_while_the_run_is_live(tmp_path: Path) -> None:
    """`12,3.4` may be the beginning of `12,3.456`; it is taken when it is complete, once."""
    path = tmp_path / "a.csv"
    path.write_text("step,loss\n11,3.5\n12,3.4")
    log = open_logs([path]).logs[0]
    assert [(11, 3.5)] == [(row.step, row.loss) for row in log.rows()]

    with path.open("a") as file:
        file.write("56\n13,3.3\n")

    assert [(12, 3.456), (13, 3.3)] == [(row.step, row.loss) for row in log.rows()]


def test_a_last_line_without_its_end_is_read_when_the_run_is_over(tmp_path: Path) -> None:
    """But for the number at its very end, which may have lost digits."""
    assert [3.5, 3.4] == [row.loss for row in read(tmp_path / "a.csv", "step,loss,lr\n1,3.5,0.1\n2,3.4,0.1")]
    log = opened(tmp_path / "b.csv", "step,loss\n1,3.5\n2,3.4")
    assert [3.5] == [row.loss for row in log.rows()]
    assert "cut off" in log.notes[-1]


@given(st.binary(max_size=400))
def test_no_bytes_break_a_reader(data: bytes) -> None:
    """Whatever follows a header, reading ends, and no exception comes out."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        for name, start in (("a.csv", b"step,loss\n1,3\n"), ("a.jsonl", b'{"step": 1, "loss": 3}\n')):
            (log,) = open_logs([_written(Path(folder, name), start + data)]).logs
            assert all(isinstance(row.step, int) for row in log.rows())


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_whatever_order_the_steps_have_no_row_comes_twice_and_none_is_made_up(steps: list[int]) -> None:
    """Each row that comes out went in, and what is left out is less than what is told."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        text = "step,loss\n" + "".join(f"{step},{i + 1}\n" for i, step in enumerate(steps))
        log = open_logs([_written(Path(folder, "a.csv"), text.encode())]).logs[0]
        rows = list(log.rows())

    places = [int(row.loss) - 1 for row in rows]
    assert len(set(places)) == len(places)
    assert all(steps[place] == row.step for place, row in zip(places, rows, strict=True))
    assert len(rows) == len(steps) or any("left out" in note for note in log.notes)


def test_memory_is_flat_over_a_long_file_and_a_line_without_end(tmp_path: Path) -> None:
    """40,000 rows and a line of 10 MB take no more than a few times the longest line that is held."""
    path = tmp_path / "long.csv"
    losses = np.linspace(4, 3, 40_000)
    with path.open("w") as file:
        file.write("step,loss\n")
        file.writelines(f"{i},{loss:.6f}\n" for i, loss in enumerate(losses.tolist(), 1))
        file.write("x" * 10_000_000 + "\n40001,2.9\n")
    log = open_logs([path]).logs[0]
    tracemalloc.start()

    count = sum(1 for _ in log.rows())

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 40_001 == count
    assert peak < 40e6
    assert any("longer than" in note for note in log.notes)


def test_lines_are_given_once_while_a_file_grows_byte_by_byte(tmp_path: Path) -> None:
    """In UTF-8 and UTF-16, wherever the writer was interrupted."""
    for encoding in ("utf-8", "utf-16"):
        path = tmp_path / encoding
        data = "step,löss\n1,3.5\r\n2,3.4\n".encode(encoding)
        path.write_bytes(b"")
        notes: list[str] = []
        lines, got = Lines(path, notes.append), []
        for byte in range(len(data)):
            with path.open("ab") as file:
                file.write(data[byte : byte + 1])
            got += list(lines.new())
        assert ["step,löss", "1,3.5", "2,3.4"] == [line for line in got if line]
        assert [] == notes


def test_a_quote_that_is_not_closed_does_not_cost_the_whole_file(tmp_path: Path) -> None:
    """What follows it and holds no row is left unread, and said; hundreds of megabytes would take minutes."""
    path = tmp_path / "run.csv"
    path.write_text('step,loss,text\n1,2.5,a\n2,2.4,"' + "lorem ipsum\n" * 300_000)
    (log,) = open_logs([path]).logs
    rows = list(log.rows())

    assert [1, 2] == [row.step for row in rows]
    assert any("a quote is not closed at line 3; the rest of the file, 2 MB, is not read" in note for note in log.notes)
    assert [] == list(log.rows())


def test_a_table_of_a_million_columns_is_refused_and_one_of_thousands_is_read(tmp_path: Path) -> None:
    """A run that logs each parameter has thousands of columns; a first line without end is no table."""
    for width, letters in ((3_000, 40), (1_000_000, 6)):
        names = ",".join(f"{number:0{letters}}" for number in range(width))
        (tmp_path / f"{width}.csv").write_text(f"step,loss,{names}\n" + f"1,2.5,{'0,' * (width - 1)}0\n" * 3)
    opened = open_logs([tmp_path])

    assert [3_002] == [len(log.names) for log in opened.logs if isinstance(log, CsvLog)]
    assert ["a table of a run has at most 20,000 columns" in no.reason for no in opened.unreadable] == [True]

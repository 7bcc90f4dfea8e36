"""Cells and lines that look like something else: a duration called step, thousands that look like decimals."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scalewatch.logs import AbstractLog, open_logs

ROWS = range(60)


def loss(i: int) -> float:
    return round(3.0 * (i + 5) ** -0.2 + 0.5, 4)


def opened(path: Path, text: str) -> AbstractLog:
    path.write_text(text, "utf-8")
    os.utime(path, (time.time() - 3600,) * 2)
    found = open_logs([path])
    assert not found.unreadable, found.unreadable
    return found.logs[0]


def dumped(row: Callable[[int], dict[str, object]]) -> str:
    return "".join(json.dumps(row(i)) + "\n" for i in ROWS)


def lines(line: str, above: str = "") -> str:
    return above + "".join(line.format(i=i, tens=10 * i, loss=loss(i)) + "\n" for i in ROWS)


@pytest.mark.parametrize(
    ("name", "text", "steps"),
    [
        ("counted.jsonl", dumped(lambda i: {"loss": loss(i), "timing": {"step": 0.31 + i / 500}}), [1, 60]),
        ("epochs.jsonl", dumped(lambda i: {"epoch": i, "loss": loss(i), "timing": {"step": 1.3 + i / 99}}), [0, 59]),
        ("less_than_a_step.csv", lines("{i},{tens},{loss}", "step,epoch,loss\n"), [0, 59]),
        ("stages.csv", lines("{tens},2,{loss}", "epoch,stage,loss\n"), [0, 590]),
        ("ids.tsv", lines("{tens:,}\t0,1\t{loss:.4f}", "step\tgpus\tloss\n"), [0, 590]),
        ("thousands.csv", lines("{tens:,}000;{loss:.4f}", "step;loss\n").replace(",", ""), [0, 590_000]),
        ("semicolons.csv", lines("{tens:,};{loss:.4f}", "step;loss\n").replace("0;", "0,000;"), [0, 590_000]),
        (
            "capitals.log",
            lines("STEP {tens:,} LOSS: {loss}", "GPUS: 0,1\n").replace(" LOSS", ",000 LOSS"),
            [0, 590_000],
        ),
        ("clock.log", lines("17000{i:05} iter {tens}: loss {loss}"), [0, 590]),
        ("numbered.log", lines("{i}\titer {tens}: loss {loss}"), [0, 590]),
        ("found.log", lines("{i}:iter {tens}: loss {loss}"), [0, 590]),
        ("labelled.log", lines("0: iter {tens}: loss {loss}\n1: iter {tens}: loss 9.5"), [0, 590]),
        ("state.log", json.dumps({"log_history": [{"loss": loss(i), "step": i} for i in ROWS]}, indent=1), [0, 59]),
    ],
)
def test_steps_are_what_counts_them(name: str, text: str, steps: list[int], tmp_path: Path) -> None:
    """Neither the time of a step, nor a list of numbers beside it, changes a step or a loss."""
    rows = list(opened(tmp_path / name, text).rows())
    assert [rows[0].step, rows[-1].step] == steps
    assert [row.loss for row in rows] == [loss(i) for i in ROWS]


def test_the_loss_of_a_value_is_none_of_a_validation(tmp_path: Path) -> None:
    """`v_loss` is that of the value beside a policy's, and one of a validation elsewhere."""
    text = lines("{i},{loss},{loss}", "step,loss,v_loss,pi_loss\n")
    assert "validation_loss" not in opened(tmp_path / "a.csv", text).columns
    text = lines("{i},{loss},{loss}", "step,t_loss,v_loss\n")
    assert opened(tmp_path / "b.csv", text).columns["validation_loss"] == "v_loss"


def test_rows_in_no_order_beyond_those_that_are_held_leave_out_what_comes_too_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is never told to have gone back, and the note says how many rows are missing."""
    monkeypatch.setattr("scalewatch.logs.rows.MOST_HELD", 40)
    log = opened(tmp_path / "a.csv", "step,loss\n" + "".join(f"{i},{loss(i)}\n" for i in reversed(ROWS)))
    assert [row.step for row in log.rows()] == list(range(20, 60))
    assert any("20 rows are of steps that were passed already" in note for note in log.notes)


@pytest.mark.parametrize("mark", ["-", "|", "+"])
def test_a_long_line_of_what_tables_are_drawn_with_is_no_row(mark: str, tmp_path: Path) -> None:
    """A line of 15,000 of them, with a loss behind it, is read like any other."""
    text = "".join(f"{mark * 15_000} iter {i} loss {loss(i)}\n| {'a ' * 7_000}| 3 | more\n" for i in ROWS)
    rows = list(opened(tmp_path / "a.log", text).rows())
    assert [(row.step, row.loss) for row in rows] == [(i, loss(i)) for i in ROWS]


def test_a_table_that_is_written_anew_with_a_point_in_each_number_goes_on(tmp_path: Path) -> None:
    """A writer that turns 3 into 3.0 has not begun another run."""
    log = opened(tmp_path / "a.csv", "step,loss\n" + "".join(f"{i},{60 - i}\n" for i in range(30)))
    before = list(log.rows())
    log.path.write_text("step,loss\n" + "".join(f"{i},{60 - i}.0\n" for i in range(40)))
    assert [row.step for row in [*before, *log.rows()]] == list(range(40))


@pytest.mark.parametrize("name", ["a.npz", "a.npy"])
def test_a_damaged_array_says_so(name: str, tmp_path: Path) -> None:
    """Neither an archive that is none, nor a size beyond all memory, ends the program."""
    np.save(tmp_path / "a.npy", np.zeros(8))
    whole = (tmp_path / "a.npy").read_bytes()
    huge = whole.replace(b"(8,), }" + b" " * 14, b"(100000000000000,), }")
    (tmp_path / name).write_bytes(b"PK\x03\x04 no archive" if name == "a.npz" else huge)
    found = open_logs([tmp_path / name])
    assert not found.logs
    assert "cannot be read as" in found.unreadable[0].reason

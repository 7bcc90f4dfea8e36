"""Rows that are read many at once are those that are read one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalewatch.columns import Columns
from scalewatch.logs import open_logs, tabular
from scalewatch.logs.epoch_steps import EpochLength
from scalewatch.observation import Observation

#: What stands in a row instead of a plain number now and then.
ODD_CELLS = st.sampled_from(["", "nan", "inf", "-Infinity", "x", "1_0", "None", "3/900", "1e999", "1.#QNAN"])
#: Rows before the first odd one, so that what a row has is known.
PLAIN_ROWS = 40


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    """Rows of step, loss, rate, validation and epoch: long plain stretches, and every disorder that loggers make."""
    table: list[list[str]] = []
    step, epoch = 0, 0
    for stretch in range(draw(st.integers(1, 6))):
        for _ in range(draw(st.integers(1, 60)) + PLAIN_ROWS * (stretch == 0)):
            step += draw(st.integers(1, 3)) if stretch else 1
            table.append([str(step), f"{3.0 + 1.0 / step:.5f}", "0.001", "", str(epoch)])
        epoch += draw(st.integers(0, 1))
        step = max(step + draw(st.sampled_from([0, 0, -1, -7, -step])), 0)
        odd = draw(st.lists(st.tuples(st.integers(0, 4), ODD_CELLS), max_size=2))
        row = [str(step), "2.75", "0.002", draw(st.sampled_from(["", "3.5"])), str(epoch)]
        for place, cell in odd:
            row[place] = cell
        table.append(row)
    return table


def as_csv(table: list[list[str]]) -> str:
    """The table as a program writes CSV, which heads it again every thirty rows."""
    lines = list(map(",".join, table))
    parts = [["step,loss,lr,val_loss,epoch", *lines[at : at + 30]] for at in range(0, len(lines), 30)]
    return "\n".join(line for part in parts for line in part) + "\n"


def as_json(table: list[list[str]]) -> str:
    """The table as JSON lines, without what is blank."""
    lines = []
    for row in table:
        record: dict[str, object] = {}
        for name, cell in zip(("step", "loss", "lr", "val_loss", "epoch"), row, strict=True):
            try:
                record[name] = int(cell) if name in ("step", "epoch") else float(cell)
            except ValueError:
                if cell:
                    record[name] = cell
        lines.append(json.dumps(record))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("suffix", "written"), [("csv", as_csv), ("jsonl", as_json)])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables())
def test_rows_read_at_once_are_those_read_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, written: Callable[..., str], table: list[list[str]]
) -> None:
    """Whatever stands in a log, what is made of it does not depend on how many of its rows are looked at together."""
    path = tmp_path / f"log.{suffix}"
    path.write_text(written(table))

    def read() -> tuple[str, list[str]]:
        (log,) = open_logs([path], columns={"loss": "loss"}).logs
        return repr([row for _, block in log.blocks() for row in block.rows()]), log.notes

    at_once = read()
    with monkeypatch.context() as patched:
        patched.setattr(tabular, "LEAST_ROWS", 1 << 30)
        one_by_one = read()

    assert one_by_one == at_once


def test_a_plain_log_is_read_in_blocks_and_not_row_by_row(tmp_path: Path) -> None:
    """A thousand plain rows are a few blocks."""
    path = tmp_path / "plain.csv"
    path.write_text("step,loss\n" + "".join(f"{step},{3 + 1 / step}\n" for step in range(1, 1001)))
    (log,) = open_logs([path]).logs

    blocks = [block for _, block in log.blocks()]

    assert sum(map(len, blocks)) == 1000
    assert len(blocks) < 10


def test_a_block_says_what_was_known_of_the_run_when_it_was_read(tmp_path: Path) -> None:
    """A name that turns up in mid-file counts from there on."""
    path = tmp_path / "late.jsonl"
    plain = [json.dumps({"step": step, "loss": 3.0}) for step in range(1, 200)]
    later = [json.dumps({"step": step, "loss": 3.0, "tokens": 8 * step}) for step in range(200, 300)]
    path.write_text("\n".join(plain) + "\n" + " " * (5 << 20) + "\n" + "\n".join(later) + "\n")
    (log,) = open_logs([path]).logs

    known = [(max(block.steps), "tokens" in run.logged) for run, block in log.blocks()]

    assert [step for step, told in known if not told][-1] < 200 < [step for step, told in known if told][-1]


def test_columns_are_the_rows_that_they_were_made_of() -> None:
    """A part of them too."""
    rows = [Observation(step, 3.0, seconds=float(step) if step % 2 else None) for step in range(1, 10)]

    columns = Columns.of(rows)

    assert list(columns.rows()) == rows
    assert list(columns.part(3, 5).rows()) == rows[3:5]
    assert columns.tokens is None
    assert len(Columns.of([])) == 0


@given(
    st.sampled_from([(7, 0), (50, 2), (97, 3), (1_000, 2)]),
    st.lists(st.integers(1, 5), min_size=1, max_size=200),
    st.integers(1, 40),
)
def test_the_length_of_an_epoch_does_not_depend_on_how_many_rows_are_looked_at_together(
    epoch: tuple[int, int], apart: list[int], together: int
) -> None:
    """Fractions are rounded, so that each row says another length; the one that is taken is that of row by row."""
    (length, digits), singly, at_once = epoch, EpochLength(), EpochLength()
    steps = [sum(apart[:i]) for i in range(len(apart))]
    epochs = [float(step // length) if digits == 0 else round(step / length, digits) for step in steps]
    for step, fraction in zip(steps, epochs, strict=True):
        singly.see(step, fraction)
    for at in range(0, len(steps), together):
        at_once.see_many(steps[at : at + together], epochs[at : at + together])

    assert singly.steps == at_once.steps

"""Runs read from TensorBoard event files: what becomes a row, several files, live runs, raw series."""

from __future__ import annotations

import math
import os
import tracemalloc
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalewatch.errors import LogError
from scalewatch.logs import open_logs
from scalewatch.logs.log import AbstractLog
from scalewatch.logs.tensorboard.event_log import TensorBoardFormat
from scalewatch.logs.tensorboard.events_folder import EventFolder
from scalewatch.logs.tensorboard.rows import Measured, RowMaker
from scalewatch.logs.tensorboard.series import EventSeries
from tests.logs.tensorboard_files import NAME, START, event, file_of, framed, losses

LATER = "events.out.tfevents.1700009000.host.2.0"


def opened(*paths: Path, **columns: str) -> AbstractLog:
    (log,) = TensorBoardFormat().open(sorted(paths), columns)
    return log


def steps_and_losses(log: AbstractLog) -> list[tuple[int, float]]:
    return [(row.step, row.loss) for row in log.rows()]


# --- rows -----------------------------------------------------------------------------------------


def test_the_tags_of_one_step_become_one_row(tmp_path: Path) -> None:
    """Loss, rate, norm, tokens and validation, written one by one, with the time at which the loss was."""
    path = file_of(
        tmp_path,
        [
            event(1, START + 1, lr=0.5, epoch=0.0),
            event(1, START + 2, train__loss=3.0),
            event(1, START + 3, grad_norm=0.25, tokens=512.0),
            event(1, START + 4, val__loss=3.5),
            event(2, START + 5, train__loss=2.5, lr=0.25),
        ],
    )
    log = opened(path)

    assert [
        (1, 3.0, 0.5, 0.25, 512.0, 3.5, START + 2),
        (2, 2.5, 0.25, None, None, None, START + 5),
    ] == [row[:7] for row in log.rows()]
    assert {
        "step": "step",
        "loss": "train/loss",
        "learning_rate": "lr",
        "grad_norm": "grad_norm",
        "tokens": "tokens",
        "validation_loss": "val/loss",
        "seconds": "wall_time",
    } == log.columns


def test_steps_without_a_loss_give_no_row(tmp_path: Path) -> None:
    """A rate logged at every step and a loss at every tenth: rows are the losses'."""
    events = [event(s, lr=0.5, **({"loss": 2.0} if s % 10 == 0 else {})) for s in range(1, 31)]

    assert [10, 20, 30] == [row.step for row in opened(file_of(tmp_path, events)).rows()]


def test_a_validation_between_losses_goes_to_the_next_row(tmp_path: Path) -> None:
    """It is not lost because it was made at a step at which no training loss was logged; the last goes back."""
    events = [
        event(10, loss=3.0),
        event(14, val_loss=3.5),
        event(20, loss=2.5),
        event(24, val_loss=3.25),
    ]

    def validations(events: list[bytes]) -> list[tuple[int, float | None]]:
        return [(row.step, row.validation_loss) for row in opened(file_of(tmp_path, events)).rows()]

    assert [(10, None), (20, 3.5)] == validations(events[:3])
    assert [(10, None), (20, 3.5)] == validations(events)
    assert [(10, 3.5)] == validations(events[:2])


def test_two_losses_at_one_step_are_two_rows(tmp_path: Path) -> None:
    """Micro-batches logged at the step that they belong to, or a run that was resumed at its last step."""
    events = [event(1, loss=3.0), event(1, lr=0.5), event(1, loss=2.5), event(1, lr=0.25), event(2, loss=2.0)]

    assert [(1, 3.0, 0.5), (1, 2.5, 0.25), (2, 2.0, None)] == [
        row[:3] for row in opened(file_of(tmp_path, events)).rows()
    ]


def rows_one_by_one(scalars: list[tuple[int, int, float]]) -> list[tuple[int, float, list[float | None]]]:
    """What `RowMaker` does, in the plainest way: (step, seconds, values by field)."""
    groups: list[dict[int, float]] = []
    steps: list[int] = []
    seconds: list[float] = []
    for place, (field, step, value) in enumerate(scalars):
        if not groups or steps[-1] != step or (field == 0 and 0 in groups[-1]):
            groups.append({})
            steps.append(step)
            seconds.append(math.nan)
        groups[-1][field] = value
        if field == 0:
            seconds[-1] = place + 1.0
    waiting = None
    for group in groups:
        if 0 not in group:
            waiting = group.get(4, waiting)
        else:
            if waiting is not None:
                group.setdefault(4, waiting)
            waiting = None
    rows = [group for group in groups if 0 in group]
    if rows and waiting is not None:
        rows[-1].setdefault(4, waiting)
    kept = [(step, second, group) for step, second, group in zip(steps, seconds, groups, strict=True) if 0 in group]
    return [(step, second, [group.get(field) for field in range(5)]) for step, second, group in kept]


@given(
    scalars=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3), st.integers(1, 99).map(float)), max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=4),
)
def test_rows_do_not_depend_on_the_blocks_that_were_read(
    scalars: list[tuple[int, int, float]], cuts: list[int]
) -> None:
    """Many at once, or few: the rows are those that a loop over the scalars makes."""
    maker = RowMaker()
    rows = []
    for begin, end in pairwise([0, *sorted(cuts), 40]):
        part = [(*scalar, place + 1.0) for place, scalar in enumerate(scalars)][begin:end]
        fields, steps, values, times = (list(column) for column in zip(*part, strict=True)) if part else ([],) * 4
        rows += maker.add(
            Measured(np.array(fields, np.int64), np.array(steps, np.int64), np.array(times), np.array(values))
        )
    rows += maker.flush()

    assert rows_one_by_one(scalars) == [(row.step, row.seconds, list(row[1:6])) for row in rows]


def test_a_nan_is_a_loss_and_not_a_gap(tmp_path: Path) -> None:
    """NaN and infinity are what somebody watches for."""
    values = [3.0, math.nan, math.inf, -math.inf]
    read = opened(file_of(tmp_path, [event(s, loss=v) for s, v in enumerate(values)])).rows()

    assert str(values) == str([row.loss for row in read])


def test_a_tag_of_the_users_choice_is_the_loss(tmp_path: Path) -> None:
    """`--column loss=TAG`; a perplexity becomes its logarithm, which a note says."""
    path = file_of(tmp_path, [event(s, train__loss=3.0, distill__ppl=math.e) for s in (1, 2)])

    assert [(1, 3.0), (2, 3.0)] == steps_and_losses(opened(path))
    asked = opened(path, loss="distill/ppl")
    assert [1.0, 1.0] == [pytest.approx(row.loss, rel=1e-6) for row in asked.rows()]
    assert "'distill/ppl' is a perplexity" in asked.notes[0]


def test_a_run_without_a_loss_is_refused_with_its_tags(tmp_path: Path) -> None:
    """The error says what there is, so that one can be chosen; also for a tag that is not there."""
    path = file_of(tmp_path, [event(1, accuracy=0.5, speed=3.0)])

    with pytest.raises(LogError, match=r"no loss can be told among its tags \(accuracy, speed\)"):
        opened(path)
    with pytest.raises(LogError, match=r"has no tag 'train/nll' for loss; it has accuracy, speed"):
        opened(path, loss="train/nll")
    with pytest.raises(LogError, match="holds no scalars"):
        opened(file_of(tmp_path / "new", []))


def test_a_tag_that_comes_late_is_still_found(tmp_path: Path) -> None:
    """The first validation may stand far behind what was looked at to tell the loss."""
    path = file_of(tmp_path, losses(5))
    log = opened(path)
    list(log.rows())
    with path.open("ab") as target:
        target.write(framed([event(6, train__loss=1.0, val__loss=1.5)]))

    assert [(6, 1.5)] == [(row.step, row.validation_loss) for row in log.rows()]
    assert "val/loss" == log.columns["validation_loss"]


# --- several files --------------------------------------------------------------------------------


def test_files_are_read_in_the_order_of_their_time(tmp_path: Path) -> None:
    """A resumed run goes on in a second file, whatever its name; the overlap stays as it was written."""
    second = file_of(tmp_path, [event(s, START + 99, train__loss=9.0) for s in (3, 4, 5)], "a.tfevents", START + 99)
    first = file_of(tmp_path, losses(4), "b.tfevents")
    log = opened(first, second)

    assert [1, 2, 3, 4, 3, 4, 5] == [row.step for row in log.rows()]
    assert [] == log.notes


def test_rows_that_a_second_file_repeats_are_read_once(tmp_path: Path) -> None:
    """The same step with the same loss, in a copy or after a resume that gave the same numbers."""
    file_of(tmp_path, losses(4))
    file_of(tmp_path, [*losses(6, first=2), event(5, train__loss=7.0)], LATER, START + 99)
    log = opened(*tmp_path.iterdir())

    assert [1, 2, 3, 4, 5, 6, 7, 5] == [row.step for row in log.rows()]
    assert ["3 rows stand in an earlier file too and are left out"] == log.notes[-1:]


def test_two_runs_in_one_folder_are_told(tmp_path: Path) -> None:
    """Files that were written at the same time belong to two runs, or to two writers of one."""
    file_of(tmp_path, losses(9))
    file_of(tmp_path, [event(s, START + s, train__loss=1.0) for s in range(1, 9)], LATER, START + 0.5)
    log = opened(*tmp_path.iterdir())

    assert 17 == len(list(log.rows()))
    assert [f"{LATER} was written while another file of this folder was"] == [n.partition(":")[0] for n in log.notes]


def test_runs_are_told_by_their_folders(tmp_path: Path) -> None:
    """Each folder with event files is a run, called by the name of the folder."""
    file_of(tmp_path / "sweep" / "a", losses(2))
    file_of(tmp_path / "sweep" / "b", losses(2))
    file_of(tmp_path, losses(2))
    (tmp_path / "notes.txt").write_text("no events")

    assert {tmp_path.name, "a", "b"} == {log.name for log in open_logs([tmp_path]).logs}
    assert "a" == opened(tmp_path / "sweep" / "a" / NAME).name


def test_event_files_are_claimed_by_name_or_content(tmp_path: Path) -> None:
    """A renamed file is known by its first record, a damaged or empty one by its name; a pipe is not opened."""
    good = file_of(tmp_path, losses(1))
    renamed = tmp_path / "run.log"
    renamed.write_bytes(good.read_bytes())
    (tmp_path / "x.tfevents").touch()
    (tmp_path / "metrics.csv").write_text("step,loss\n1,2\n")
    os.mkfifo(tmp_path / "pipe.tfevents")

    claims = TensorBoardFormat().claims
    assert [NAME, "run.log", "x.tfevents"] == sorted(p.name for p in tmp_path.iterdir() if claims(p))
    assert not claims(tmp_path / "gone")


# --- live -----------------------------------------------------------------------------------------


@given(cuts=st.lists(st.integers(0, 1700), max_size=12))
def test_a_growing_file_is_followed(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    """Whatever is there of a record at each look, each row comes once, in order, as from the whole file."""
    folder = tmp_path_factory.mktemp("run")
    whole = file_of(folder, losses(30)).read_bytes()
    path = folder / NAME
    start = len(framed([b"x" * 24])) + 200
    path.write_bytes(whole[:start])
    log = opened(path)
    got = steps_and_losses(log)
    for end in sorted({min(start + cut, len(whole)) for cut in cuts} | {len(whole)}):
        with path.open("ab") as target:
            target.write(whole[path.stat().st_size : end])
        got += steps_and_losses(log)

    assert steps_and_losses(opened(path)) == got
    assert 30 == len(got)
    assert [] == log.notes


def test_a_new_file_in_the_folder_is_followed(tmp_path: Path) -> None:
    """The run was resumed while somebody watched it."""
    log = opened(file_of(tmp_path, losses(3)))
    list(log.rows())
    file_of(tmp_path, losses(2, first=3), LATER, START + 99)

    assert [4] == [row.step for row in log.rows()]
    assert [] == list(log.rows())


def test_a_file_named_alone_is_read_alone(tmp_path: Path) -> None:
    """Who names one of two files does not get the other."""
    first = file_of(tmp_path, losses(3))
    file_of(tmp_path, losses(2, first=9), LATER, START + 99)

    assert [1, 2, 3] == [row.step for row in opened(first).rows()]


def test_a_reader_that_stops_midway_goes_on_there(tmp_path: Path) -> None:
    """Nothing is lost between two calls of `rows`."""
    log = opened(file_of(tmp_path, losses(6)))
    first = [row.step for row in islice(log.rows(), 3)]

    assert [1, 2, 3, 4, 5, 6] == [*first, *(row.step for row in log.rows())]


def test_progress_runs_to_the_end(tmp_path: Path) -> None:
    """A progress bar ends full."""
    path = file_of(tmp_path, losses(50))
    log = opened(path)
    assert (0, path.stat().st_size) == (log.bytes_read, log.bytes_total)
    list(log.rows())

    assert path.stat().st_size == log.bytes_read == log.bytes_total


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Three times the length takes no more memory: a 10 GB file is streamed."""
    block = framed(losses(1000))
    peaks = []
    for copies in (100, 300):
        path = file_of(tmp_path / str(copies), [])
        path.write_bytes(path.read_bytes() + copies * block)
        series = EventFolder([path], print)
        tracemalloc.start()
        assert 1000 * copies == sum(len(scalars.steps) for _, scalars in series.batches())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < 1.5 * peaks[0]


# --- raw series -----------------------------------------------------------------------------------


def test_the_raw_series_of_each_tag_are_arrays(tmp_path: Path) -> None:
    """Steps, wall times and values of every tag in the order of writing, and what came since at each poll."""
    path = file_of(tmp_path, [event(s, START + s, a=s / 2, b=s / 4) for s in (0, 1, 2**40, -3)])
    series = EventSeries(tmp_path)
    first = series.poll()
    with path.open("ab") as target:
        target.write(framed([event(7, START + 9, b=8.0)]))
    second = series.poll()

    assert ["a", "b"] == sorted(first)
    assert [0, 1, 2**40, -3] == first["a"].steps.tolist()
    assert [START, START + 1, START + 2**40, START - 3] == first["a"].wall_times.tolist()
    assert (np.array([0, 1, 2**40, -3]) / 4).tolist() == first["b"].values.tolist()
    assert [("b", [7], [8.0])] == [(tag, s.steps.tolist(), s.values.tolist()) for tag, s in second.items()]
    assert {} == series.poll()
    with pytest.raises(LogError, match="must hold an event file"):
        EventSeries(tmp_path / "nowhere")


def test_steps_of_every_width_are_read(tmp_path: Path) -> None:
    """A step takes one to ten bytes in the file."""
    steps = sorted({0, *(2**k + d for k in range(0, 62, 7) for d in (-1, 0, 1)), 2**63 - 1, -(2**63)})
    file_of(tmp_path, [event(step, train__loss=1.0) for step in steps])

    assert steps == EventSeries(tmp_path).poll()["train/loss"].steps.tolist()

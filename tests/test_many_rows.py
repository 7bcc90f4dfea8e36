"""Many rows at once are what they are one by one: findings, memory, and what is forecast."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalewatch import Finding, Monitor, Observation, Run
from scalewatch.columns import Columns
from scalewatch.detect import CalmRows

#: Rows before which nothing is settled: the quantiles of a long log are looked at in groups from here on.
EARLY_ROWS = 1_100
ODD = st.sampled_from(
    ["nan", "high", "higher", "repeat", "back", "validation", "no norm", "low", "norm", "phase", "zero"]
)


def log(seed: int, rows: int, odd: dict[int, str], *, sparse: int = 1, norms: bool = True) -> Iterator[Observation]:
    """A falling noisy loss of so many rows, with something odd at some of them."""
    noise = random.Random(seed)
    scatter, step = noise.choice([0.003, 0.02, 0.08]), 0
    for row in range(1, rows + 1):
        kind = odd.get(row, "")
        step += 0 if kind == "repeat" else -40 if kind == "back" else sparse
        loss = (3.0 * row**-0.1 + 1.0) * math.exp(noise.gauss(0.0, scatter))
        loss *= {"high": 1.4, "higher": 3.0, "low": 0.3}.get(kind, 1.0)
        loss = {"nan": math.nan, "zero": 0.0}.get(kind, loss)
        norm = math.exp(noise.gauss(0.0, 0.1)) * (9.0 if kind == "norm" else 1.0)
        yield Observation(
            step,
            loss,
            1e-3 * (1.0 - 0.5 * row / rows),
            None if kind == "no norm" or not norms else norm,
            validation_loss=loss if kind == "validation" else None,
            seconds=0.5 * row,
            phase="stage 2" if kind == "phase" else None,
        )


def found_in(monitor: Monitor, rows: list[Observation], size: int) -> list[Finding]:
    """What a monitor finds when it is given so many rows at once; one by one where that is 1."""
    if size == 1:
        return [finding for row in rows for finding in monitor.observe(row)]
    parts = (Columns.of(rows[first : first + size]) for first in range(0, len(rows), size))
    return [finding for part in parts for finding in monitor.observe_many(part)]


def told(run: Run, rows: list[Observation], size: int, resumed: int = 0) -> tuple[str, str, float]:
    """All that can be asked of a monitor afterwards, which another went on from after so many rows."""
    first, monitor = Monitor(run), Monitor(run)
    found = found_in(first, rows[:resumed], size)
    if resumed:
        monitor.load_state_dict(first.state_dict())
    found += found_in(monitor, rows[resumed:], size)
    return repr(found), repr(monitor.state_dict()), monitor.watch.sample.spacing


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    odd=st.lists(st.tuples(st.integers(1, EARLY_ROWS + 700), ODD), max_size=5),
    sparse=st.sampled_from([1, 10]),
    norms=st.booleans(),
    size=st.sampled_from([2, 61, 700, 5_000]),
    total=st.sampled_from([None, 20_000]),
    resumed=st.sampled_from([0, 1_200, 1_201]),
)
def test_many_rows_at_once_are_those_rows_one_by_one(
    seed: int, odd: list[tuple[int, str]], sparse: int, norms: bool, size: int, total: int | None, resumed: int
) -> None:
    """Bit for bit, whatever stands among them, however they are cut, and where the run is resumed."""
    rows = list(log(seed, EARLY_ROWS + 700, dict(odd), sparse=sparse, norms=norms))
    run = Run("many", total_steps=total)

    assert told(run, rows, 1) == told(run, rows, size, resumed)


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    odd=st.lists(st.tuples(st.integers(1, EARLY_ROWS + 700), ODD), max_size=3),
    unshown=st.sampled_from([1, 2, 5_000]),
    left=st.sampled_from([0, 1_300, 5_000]),
    batch=st.sampled_from([0, 1_400, 5_000]),
)
def test_rows_of_a_planned_run_at_once_are_those_rows_one_by_one(
    seed: int, odd: list[tuple[int, str]], unshown: int, left: int, batch: int
) -> None:
    """Also where it leaves its plan, does not show each rate, or has larger batches from some row on."""
    plan = 1e-3 * (1.0 - np.arange(1, 2_001) / 4_000)
    rows = [
        row._replace(
            learning_rate=row.learning_rate * (1.5 if left < at < left + 200 else 1.0) if at % unshown else None,
            tokens=1_000.0 * (at + max(0, at - batch)) if batch else None,
        )
        for at, row in enumerate(log(seed, EARLY_ROWS + 700, dict(odd)), 1)
        if row.learning_rate is not None
    ]
    run = Run("many", 2_000, plan)

    assert told(run, rows, 1) == told(run, rows, 700)


@pytest.mark.parametrize("run", [Run("many"), Run("planned", 5_000, 1e-3 * (1.0 - np.arange(1, 5_001) / 8_000))])
def test_a_quiet_stretch_is_taken_at_once(run: Run) -> None:
    """Else the rest of this file would say nothing: of a long quiet log most rows are never looked at by themselves."""
    monitor = Monitor(run)
    rows = list(log(1, 4_000, {}))
    monitor.observe_many(Columns.of(rows[:2_000]))
    rest, at, taken = CalmRows(Columns.of(rows[2_000:])), 0, 0

    while at < 2_000:
        end, _ = monitor._take_calm(rest, at, 2_000)
        taken += end - at
        for row in rows[2_000 + end : 2_000 + end + 1]:
            monitor.observe(row)
        at = end + 1

    assert taken > 1_500


@pytest.mark.parametrize("name", ["zoo/open.parquet", "curves.parquet"])
def test_real_runs_at_once_are_those_runs_one_by_one(data_folder: Path, name: str) -> None:
    """The same of what people trained, with what went wrong in it."""
    table = pandas.read_parquet(data_folder / name)
    long = [(run, rows) for run, rows in table.groupby("run_id", observed=True) if len(rows) >= 3_000]

    for run, part in long[:: max(len(long) // 5, 1)]:
        numbers = part[["loss", "lr", "grad_norm"]].astype(float).head(4_000)
        given = zip(part.step, *(numbers[name] for name in numbers), strict=False)
        rows = [Observation(int(step), *(None if n != n else n for n in others)) for step, *others in given]
        assert told(Run(str(run)), rows, 1) == told(Run(str(run)), rows, 2_048)

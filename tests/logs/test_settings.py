"""Columns of a log that say what was changed by design, and losses that are maximized."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from scalewatch import Monitor
from scalewatch.finding import Finding, Kind
from scalewatch.logs import open_logs

ROWS = np.arange(3000)


def written(path: Path, columns: Mapping[str, Iterable[object]]) -> Path:
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


def found_in(path: Path) -> list[Finding]:
    (log,) = open_logs([path]).logs
    monitor, found = Monitor(log.run), []
    for block in log.blocks():
        for observation in block[1].rows():
            found += monitor.observe(observation)
    return found


def falling(seed: int, rise: ArrayLike = 0.0) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).normal(0.0, 0.03, len(ROWS))
    return np.round(1.8 + 3.0 * (ROWS / 5 + 1) ** -0.5 + rise + noise, 5)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("seq_len", 512, 1024),
        ("train/resolution", 128, 192),
        ("stage", "warm", "long"),
        ("data.dataset", "web", "code"),
    ],
)
def test_a_rise_where_a_setting_changes_is_by_design(name: str, before: object, after: object, tmp_path: Path) -> None:
    """A phase begins there, and nobody is paged; the same rise without the column is a page."""
    rise = np.where(ROWS >= 1300, 0.35 * np.exp(-(ROWS - 1300) / 500), 0.0)
    columns = {"step": ROWS, "loss": falling(1, rise)}
    setting = np.where(ROWS < 1300, before, after)

    plain = found_in(written(tmp_path / "plain.csv", columns))
    told = found_in(written(tmp_path / "told.csv", {**columns, name: setting}))

    assert any(f.pages for f in plain)
    assert not any(f.pages for f in told)
    (phase,) = [f for f in told if f.kind == Kind.PHASE]
    assert 1300 == phase.step
    assert f"{before} -> {after}" in phase.message


def test_what_changes_all_the_time_is_no_setting(tmp_path: Path) -> None:
    """A length of sequence that each batch has, rows of training and of validation by turns."""
    lengths = np.random.default_rng(2).choice([128, 256, 512], len(ROWS))
    each = {"step": ROWS, "loss": falling(2), "seq_len": lengths}
    turns = {"step": ROWS, "loss": falling(3), "stage": np.where(ROWS % 100 < 90, "train", "val")}

    assert not [
        f for name, columns in (("a.csv", each), ("b.csv", turns)) for f in found_in(written(tmp_path / name, columns))
    ]


def test_a_weight_in_the_loss_that_is_raised_explains_its_rise(tmp_path: Path) -> None:
    """The total of an autoencoder rises with the weight of its divergence, for two thousand steps."""
    r = np.random.default_rng(4)
    weight = np.minimum(1.0, ROWS / 2000)
    divergence = 60 * (1 - np.exp(-ROWS / 300)) + r.normal(0, 0.4, len(ROWS))
    total = 90 + 150 * np.exp(-ROWS / 250) + r.normal(0, 1.5, len(ROWS)) + weight * divergence

    told = found_in(written(tmp_path / "told.csv", {"step": ROWS, "loss": total, "kl_weight": weight}))

    plain = found_in(written(tmp_path / "plain.csv", {"step": ROWS, "loss": total}))
    assert any(f.kind == Kind.LEVEL_SHIFT for f in plain)
    assert not any(f.pages or f.kind == Kind.LEVEL_SHIFT for f in told)
    assert 2 <= sum(f.kind == Kind.PHASE for f in told) <= 6


def test_a_bound_that_is_maximized_is_watched_by_its_negative(tmp_path: Path) -> None:
    """And one that falls, under the same name, as it is."""
    fall = 90 + 400 * np.exp(-ROWS / 200) + np.random.default_rng(5).normal(0, 2, len(ROWS))

    for sign in (1, -1):
        path = written(tmp_path / f"{sign}.csv", {"step": ROWS, "elbo": sign * fall})
        (log,) = open_logs([path]).logs
        losses = [loss for _, block in log.blocks() for loss in block.losses]
        assert losses == pytest.approx(fall)
        assert any("its negative is the loss" in note for note in log.notes) is (sign < 0)
        assert not any(f.pages for f in found_in(path))


def test_a_setting_that_is_not_known_in_some_rows_is_what_it_was(tmp_path: Path) -> None:
    """Tables are filled up with NaN: where one stands no phase begins that would hide a real rise."""
    rise = np.where(ROWS >= 1300, 0.35 * np.exp(-(ROWS - 1300) / 500), 0.0)
    columns = {"step": ROWS, "loss": falling(1, rise)}
    gap = np.where((ROWS >= 1290) & (ROWS < 1400), "nan", "512")
    rarely = np.where(ROWS % 50 > 0, "nan", np.where(ROWS < 1300, "512", "1024"))

    assert any(f.pages for f in found_in(written(tmp_path / "gap.csv", {**columns, "seq_len": gap})))
    (phase,) = found_in(written(tmp_path / "rarely.csv", {**columns, "seq_len": rarely}))
    assert (Kind.PHASE, 1300) == (phase.kind, phase.step)


def test_a_table_that_stands_upside_down_has_its_phases_where_they_begin(tmp_path: Path) -> None:
    setting = np.where(ROWS < 1300, 512, 1024)
    columns = {"step": ROWS[::-1], "loss": falling(1)[::-1], "seq_len": setting[::-1]}

    (phase,) = found_in(written(tmp_path / "table.csv", columns))

    assert 1300 == phase.step
    assert "512 -> 1024" in phase.message


def test_a_run_that_is_resumed_before_a_change_comes_to_it_again(tmp_path: Path) -> None:
    rise = np.where(ROWS >= 1300, 0.35 * np.exp(-(ROWS - 1300) / 500), 0.0)
    rows = np.concatenate([ROWS[:1320], ROWS[1280:]])
    columns = {"step": rows, "loss": falling(1, rise)[rows], "seq_len": np.where(rows < 1300, 512, 1024)}

    found = found_in(written(tmp_path / "run.csv", columns))

    assert not any(f.pages for f in found)
    assert [(Kind.PHASE, 1300), (Kind.REWOUND, 1280), (Kind.PHASE, 1300)] == [(f.kind, f.step) for f in found]


def test_a_change_in_a_row_without_a_loss_begins_with_the_next_loss(tmp_path: Path) -> None:
    losses = [("" if row % 50 == 3 else loss) for row, loss in enumerate(falling(1))]
    columns = {"step": ROWS, "loss": losses, "seq_len": np.where(ROWS < 1303, 512, 1024)}

    (phase,) = found_in(written(tmp_path / "run.csv", columns))

    assert (Kind.PHASE, 1304) == (phase.kind, phase.step)


@pytest.mark.parametrize("rows", [2, 3, 600])
def test_which_way_a_bound_is_learnt_is_told_from_two_rows_and_of_a_table_upside_down(
    rows: int, tmp_path: Path
) -> None:
    """A log that was begun just now goes on as it was understood, and noise of two rows says nothing."""
    fall = 90 + 400 * np.exp(-np.arange(rows) / 200) + np.where(np.arange(rows) % 2, 5.0, 0.0)

    for sign in (1, -1):
        for order in (1, -1):
            columns = {"step": np.arange(rows)[::order], "elbo": (sign * fall)[::order]}
            (log,) = open_logs([written(tmp_path / f"{sign}{order}.csv", columns)]).logs
            losses = [loss for _, block in log.blocks() for loss in block.losses]
            assert all(loss > 0 for loss in losses)
            assert any("its negative is the loss" in note for note in log.notes) is (sign < 0)

"""Runs whose data are seen again: the loss falls in a stair at each epoch, and the forecast knows of those to come."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scalewatch.forecast import Forecaster
from scalewatch.journal import run_from, run_record
from scalewatch.logs import open_logs
from scalewatch.offline.history import read
from tests.synthetic import Floats, TrueLaw, cosine, noisy, planned

TOTAL, LENGTH, SIZE = 2000, 500, 8e6
PLAN = cosine(TOTAL)
STEP = np.arange(1, TOTAL + 1)
FRESH = noisy(TrueLaw().losses(PLAN, SIZE), 0.01, 1)


def stairs(*heights: float) -> Floats:
    """Losses that change by so much where the second, third and fourth epoch begin [log loss]."""
    epoch = (STEP - 1) // LENGTH
    return FRESH * np.exp(np.concatenate([[0.0], np.cumsum(heights)]))[epoch]


def followed(losses: Floats, until: int, length: float | None = LENGTH) -> Forecaster:
    forecaster = Forecaster(replace(planned(PLAN, SIZE), steps_per_epoch=length))
    for step in range(1, until + 1):
        forecaster.observe(step, float(losses[step - 1]), None)
    return forecaster


@pytest.mark.parametrize("heights", [(-0.1, -0.15, -0.12), (-0.2, -0.3, -0.25), (0.0, 0.0, 0.0)])
def test_before_data_were_seen_again_a_forecast_holds_all_that_models_remember(heights: tuple[float, ...]) -> None:
    """At a fifth of four epochs no row tells how much it is: nothing, or half of the loss; and the forecast says so."""
    losses = stairs(*heights)
    made = followed(losses, 400).forecast()
    assert made is not None
    low, high = made.interval(0.8)

    assert low < losses[-40:].mean() < high
    assert any(note.startswith("From step 501 on its data are seen again") for note in made.notes)


def test_while_the_first_stair_is_being_seen_nothing_is_said_and_why() -> None:
    forecaster = followed(stairs(-0.1, -0.15, -0.12), 540)

    assert forecaster.forecast() is None
    assert forecaster.why_none.startswith("since step 501 its data are seen again")


@pytest.mark.parametrize("heights", [(-0.1, -0.15, -0.12), (-0.25, -0.4, -0.3), (0.0, 0.0, 0.0)])
@pytest.mark.parametrize("until", [640, 1_000, 1_300, 1_800])
def test_stairs_to_come_are_foretold_from_those_that_were_seen(heights: tuple[float, ...], until: int) -> None:
    losses = stairs(*heights)
    made = followed(losses, until).forecast()
    assert made is not None
    low, high = made.interval(0.8)

    assert low < losses[-40:].mean() < high
    assert any(f"Where epoch {until // LENGTH + 1} began" in note or until == 1_000 for note in made.notes)


@pytest.mark.parametrize(("length", "every", "until"), [(200, 1, 1_950), (LENGTH, 250, TOTAL)])
def test_each_stair_is_told_where_stretches_of_the_curve_are_long_for_an_epoch(
    length: int, every: int, until: int
) -> None:
    """In the last of ten epochs, and where a log has two rows an epoch: none is expected to come yet."""
    losses = FRESH * np.exp(-0.1 * ((STEP - 1) // length))
    forecaster = Forecaster(replace(planned(PLAN, SIZE), steps_per_epoch=length))
    for step in range(every, until + 1, every):
        forecaster.observe(step, float(losses[step - 1]), None)
    made = forecaster.forecast()
    assert made is not None
    low, high = made.interval(0.8)

    assert low < losses[-40:].mean() < high < 1.3 * low
    assert any("no epoch begins after it" in note for note in made.notes)


def test_a_length_of_an_epoch_that_becomes_known_counts_at_once() -> None:
    """The row that told it is the newest there is yet."""
    losses = stairs(-0.25, -0.4, -0.3)
    forecaster = followed(losses, 480, None)
    blind = forecaster.forecast()
    forecaster.know(replace(forecaster.run, steps_per_epoch=LENGTH))
    made = forecaster.forecast()
    assert made is not None
    assert blind is not None

    assert made.interval(0.8)[0] < losses[-40:].mean() < blind.interval(0.8)[0]


def test_whoever_does_not_know_the_epochs_is_sure_and_wrong() -> None:
    """What is said of the same rows without that knowledge, and with it."""
    losses = stairs(-0.25, -0.4, -0.3)
    blind = followed(losses, 480, None).forecast()
    assert blind is not None

    assert blind.interval(0.8)[0] > 1.3 * losses[-40:].mean()
    knows = followed(losses, 480).forecast()
    assert knows is not None
    assert knows.interval(0.8)[0] < losses[-40:].mean()


def test_the_way_ahead_goes_down_by_the_stairs_too() -> None:
    made = followed(stairs(-0.2, -0.2, -0.2), 800).forecast()
    assert made is not None
    (before, after), *_ = made.curve([1_000, 1_001])

    assert after < 0.9 * before


def test_data_that_are_seen_once_or_more_often_than_can_be_told_apart_change_nothing() -> None:
    """One epoch, or a hundred."""
    plain = followed(FRESH, 1_000, None).forecast()
    assert plain is not None

    for length in (TOTAL, 5 * TOTAL, TOTAL / 100):
        made = followed(FRESH, 1_000, length).forecast()
        assert made is not None
        assert (made.final_loss, made.notes) == (plain.final_loss, plain.notes)


def test_the_epochs_of_a_log_are_read_from_its_column(tmp_path: Path) -> None:
    """Whole numbers and fractions, and the state that the Trainer of transformers writes."""
    rows = [(step, 4.0 * step**-0.1, (step - 1) // 300) for step in range(10, 1_210, 10)]
    whole, parts, state = (tmp_path / name for name in ("whole.csv", "parts.csv", "trainer_state.json"))
    whole.write_text("step,loss,epoch\n" + "".join(f"{s},{y:.4f},{e}\n" for s, y, e in rows))
    parts.write_text("step,loss,epoch\n" + "".join(f"{s},{y:.4f},{s / 300:.2f}\n" for s, y, _ in rows))
    history = [{"step": s, "loss": y, "epoch": round(s / 300, 2)} for s, y, _ in rows]
    state.write_text(json.dumps({"epoch": 4.0, "global_step": 1_200, "max_steps": 1_200, "log_history": history}))

    for path in (whole, parts, state):
        (log,) = open_logs([path]).logs
        assert read(log, None).known.steps_per_epoch == pytest.approx(300, abs=6), path.name


@pytest.mark.parametrize(("epochs_a_step", "first"), [(1.5, 1.5), (5.0, 0.0)])
def test_epochs_that_are_shorter_than_a_step_have_no_length(tmp_path: Path, epochs_a_step: float, first: float) -> None:
    """A log of many epochs a row is read as it was before anybody asked for their length."""
    log = tmp_path / "short.csv"
    rows = (f"{step},{4.0 * step**-0.1:.4f},{first + epochs_a_step * (step - 1)}" for step in range(1, 101))
    log.write_text("step,loss,epoch\n" + "".join(f"{row}\n" for row in rows))

    past = read(open_logs([log]).logs[0], None)

    assert (past.known.steps_per_epoch, len(past.steps)) == (None, 100)


def test_a_journal_keeps_the_length_of_an_epoch() -> None:
    assert run_from(run_record(replace(planned(PLAN, SIZE), steps_per_epoch=500.5))).steps_per_epoch == 500.5

"""A run that leaves its law in a known way is told which, since when, and how likely it is by chance."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from scalewatch import Finding, Kind, Monitor, Phase
from scalewatch.errors import ConfigError
from scalewatch.fitting import fit_curves
from scalewatch.forecast.changepoint import ChangeShape, tail
from scalewatch.forecast.preregistered import BaselineForecast
from scalewatch.journal import JournalWriter, read_journal, registered_in
from scalewatch.laws import CurveLaw
from tests.synthetic import Floats, TrueLaw, cosine, ladder, noisy, planned, rows, walk_and_decay, watch

TOTAL = 4_000
SIZE = 8e6
PLAN = cosine(TOTAL)
TRUE = TrueLaw()
STEP = np.arange(1, TOTAL + 1)
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def law() -> CurveLaw:
    """The law of ten runs of five sizes, which scatter by 0.3 %."""
    sizes = [(size, steps) for size in (1e6, 1.5e6, 2e6, 3e6, 4e6) for steps in (600, 1_000)]
    return fit_curves(ladder(sizes=sizes, run_sd=0.003))


def left(way: ChangeShape) -> Floats:
    """The true curve, left by some 0.2 nats at the end in a known way; a step or a drift at 40 %."""
    walked, _ = walk_and_decay(PLAN, TRUE.memory_steps)
    share = np.maximum(walked, 1.0) / walked[TOTAL // 10]
    off = {
        ChangeShape.OFFSET: np.full(TOTAL, 0.2),
        ChangeShape.STEP: np.where(STEP >= 0.4 * TOTAL, 0.08, 0.0),
        ChangeShape.DRIFT: 0.25 * np.maximum(np.log(STEP / (0.4 * TOTAL)), 0.0),
        ChangeShape.SLOPE: 0.1 * np.maximum(np.log(share), 0.0),
        ChangeShape.ASYMPTOTE: 0.3 * np.maximum(1.0 - share**-TRUE.alpha, 0.0),
    }[way]
    return TRUE.losses(PLAN, SIZE) + off


def said(monitor: Monitor, losses: Floats, seed: int = 0) -> list[Finding]:
    found = watch(monitor, rows(noisy(losses, 0.01, seed), PLAN))
    return [each for each in found if each.kind in (Kind.OFF_LAW, Kind.BETTER_THAN_LAW)]


@pytest.mark.parametrize("way", ChangeShape)
def test_a_run_that_leaves_its_law_in_a_known_way_is_told_which(law: CurveLaw, way: ChangeShape) -> None:
    """One warning that names the way, since when, and a chance below 1 %; at the end the way is the true one."""
    monitor = Monitor(planned(PLAN, SIZE), law)
    found = said(monitor, left(way))
    gap = monitor.verdict().law_gap

    assert [(Kind.OFF_LAW, Phase.OPENED)] == [(each.kind, each.phase) for each in found]
    evidence = found[0].evidence
    assert 0 < float(evidence["chance"] or 0) < 0.01
    assert found[0].start_step == evidence["since_step"]
    assert "healthy run" in found[0].message
    assert gap is not None
    assert gap.departure is not None
    assert way is gap.departure.way
    since = gap.departure.since_step / TOTAL
    assert pytest.approx(0.43 if way in (ChangeShape.STEP, ChangeShape.DRIFT) else 0.11, abs=0.06) == since


def test_a_healthy_run_is_not_said_to_be_off_its_law(law: CurveLaw) -> None:
    """Whatever the noise of its batches."""
    for seed in range(5):
        monitor = Monitor(planned(PLAN, SIZE), law)

        assert [] == said(monitor, TRUE.losses(PLAN, SIZE), seed)
        gap = monitor.verdict().law_gap
        assert gap is not None
        assert gap.chance > 0.01


def test_a_law_of_three_runs_calls_fewer_runs_off_than_one_of_ten(law: CurveLaw) -> None:
    """Three runs hardly know their own scatter: the same offset is likelier by chance."""
    chances = []
    for each in (law, fit_curves(ladder(run_sd=0.003))):
        monitor = Monitor(planned(PLAN, SIZE), each)
        said(monitor, left(ChangeShape.OFFSET))
        gap = monitor.verdict().law_gap
        assert gap is not None
        chances.append(gap.chance)

    assert chances[0] < 0.01 < chances[1]


def test_token_equivalents_of_a_noisy_run_are_steady(law: CurveLaw) -> None:
    """From one stretch to the next they move by a few per cent at 10 % noise a row, and the interval holds 1."""
    monitor = Monitor(planned(PLAN, SIZE), law)
    ratios = []
    for row in rows(noisy(TRUE.losses(PLAN, SIZE), 0.1, 1), PLAN):
        monitor.observe(row)
        gap = monitor.verdict().law_gap if row.step > TOTAL // 4 and row.step % 50 == 0 else None
        if gap is not None and gap.token_ratio is not None and gap.token_range is not None:
            ratios.append(gap.token_ratio)
            assert gap.token_range[0] < gap.token_ratio < gap.token_range[1]
            assert gap.token_range[0] < 1.0 < gap.token_range[1]

    assert len(ratios) > 20
    assert np.median(np.abs(np.diff(np.log(ratios)))) < 0.05


@given(st.floats(0.0, 40.0), st.integers(1, 100))
def test_the_tail_is_students(sigmas: float, freedom: int) -> None:
    """As scipy has it, for both signs."""
    assert tail(sigmas, freedom) == pytest.approx(2 * student.sf(sigmas, freedom), abs=1e-9)
    assert tail(-sigmas, freedom) == tail(sigmas, freedom)


# --- registered once -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def other_law() -> CurveLaw:
    """A law that promises much less: of runs that end 10 % higher."""
    worse = TrueLaw(floor=2.1)
    sizes = [(size, steps) for size in (1e6, 1.5e6, 2e6, 3e6, 4e6) for steps in (600, 1_000)]
    return fit_curves(ladder(worse, sizes=sizes, run_sd=0.003))


def test_a_resumed_run_is_held_against_what_was_registered_first(law: CurveLaw, other_law: CurveLaw) -> None:
    """Through a checkpoint, also if a law was fitted anew in between: findings and gaps are those of no break."""
    whole, before, after = (Monitor(planned(PLAN, SIZE), each) for each in (law, law, other_law))
    log = rows(noisy(left(ChangeShape.DRIFT), 0.01, 0), PLAN)
    expected = watch(whole, log)
    found = watch(before, log[:1_500])
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    found += watch(after, log[1_500:])

    assert expected == found
    assert whole.verdict().law_gap == after.verdict().law_gap
    first = after.verdict().at(0.0)
    assert first is not None
    assert pytest.approx(first.final_loss) == (before.registered or pytest.fail("nothing registered")).final_loss


def test_what_a_journal_keeps_is_what_was_registered(law: CurveLaw, tmp_path: Path) -> None:
    """Number for number, and a run is held against it without the law; what comes later under its name is not it."""
    monitor = Monitor(planned(PLAN, SIZE), law)
    promise = monitor.registered
    assert promise is not None
    writer = JournalWriter(tmp_path, monitor.run)
    writer.append_through(promise.record())
    writer.append_through({**promise.record(), "final_loss": [9.0, 8.0, 10.0]})
    assert writer.close()
    record = read_journal(tmp_path).registered
    assert record is not None
    assert record == registered_in(tmp_path)
    again = Monitor(planned(PLAN, SIZE), registered=BaselineForecast.from_record(record))

    losses = left(ChangeShape.DRIFT)
    assert said(monitor, losses) == said(again, losses)
    assert monitor.verdict().law_gap == again.verdict().law_gap


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from scalewatch import Monitor
from scalewatch.journal import JournalWriter, observation_record
from scalewatch.laws import fit_curves
from tests.synthetic import TrueLaw, cosine, ladder, planned, rows
run = planned(cosine(4_000), 8e6)
monitor = Monitor(run, fit_curves(ladder(run_sd=0.003)))
writer = JournalWriter(sys.argv[2], run)
writer.append_through(monitor.registered.record())
for row in rows(TrueLaw().losses(cosine(4_000), 8e6), cosine(4_000)):
    monitor.observe(row)
    writer.append(observation_record(row))
    if row.step % 500 == 0:
        writer.drain()
        print(row.step, repr(monitor.registered.final_loss), flush=True)
"""


def test_after_a_kill_the_journal_still_has_the_first_prediction(other_law: CurveLaw, tmp_path: Path) -> None:
    """A process that is killed leaves it behind; the run that resumes, with another law, is held against it."""
    command = [sys.executable, "-c", KILLED, str(ROOT), str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        assert process.stdout is not None
        told = process.stdout.readline().split()
        assert "500" == told[0]
    finally:
        process.kill()
        process.communicate(timeout=600)
    run = planned(PLAN, SIZE)
    writer = JournalWriter(tmp_path, run, resumes_after_step=500)
    own = Monitor(run, other_law).registered
    assert own is not None
    writer.append_through(own.record())  # what a resumed run that looks at nothing would say
    assert writer.close()

    record = registered_in(tmp_path)
    assert record is not None
    assert record == read_journal(tmp_path).registered
    resumed = Monitor(run, other_law, registered=BaselineForecast.from_record(record))
    assert float(told[1]) == (resumed.registered or own).final_loss != own.final_loss


@pytest.mark.parametrize(
    "change",
    [
        {"steps": [1.0]},
        {"steps": "abc"},
        {"losses": [math.nan] * 200},
        {"final_loss": [1.0]},
        {"law": [0.0, 1.0, 0.01, 3]},
        {"law": None},
        {"factors": []},
        {"total_steps": "x"},
        {"factors": [[1e300]]},
    ],
)
def test_a_record_that_is_no_prediction_is_refused_with_a_reason(law: CurveLaw, change: dict[str, object]) -> None:
    """A journal may hold anything."""
    promise = Monitor(planned(PLAN, SIZE), law).registered
    assert promise is not None

    with pytest.raises(ConfigError, match="`record` must be a registered prediction"):
        BaselineForecast.from_record({**promise.record(), **change})


def test_there_is_no_registered_prediction_where_there_is_no_journal(tmp_path: Path) -> None:
    """Nor in a folder that is not there, nor in a journal of a run without a law."""
    assert registered_in(tmp_path / "none") is None
    writer = JournalWriter(tmp_path, planned(PLAN, SIZE))
    writer.append_through({"type": "note", "text": "hello"})
    writer.close()
    assert registered_in(tmp_path) is None


def test_what_a_stretch_costs_does_not_grow_with_the_run(law: CurveLaw) -> None:
    """A few milliseconds at most for each twentieth of the run, at any length."""
    plan = cosine(200_000, warmup=500)
    monitor = Monitor(planned(plan, SIZE), law)
    steps = np.unique(np.geomspace(600, 200_000, 4_000).astype(int))
    log = rows(TRUE.losses(plan, SIZE), plan)
    for step in steps.tolist():
        monitor.observe(log[step - 1])
    began = time.process_time()
    for _ in range(10):
        monitor.verdict()

    assert (time.process_time() - began) / 10 < 0.02

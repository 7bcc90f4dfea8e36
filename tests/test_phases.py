"""A person says that something is changed by design: what follows from it pages nobody, and a fault still does."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import scalewatch
from scalewatch import Finding, Kind, Monitor, Observation, Run, note_phase
from scalewatch.errors import ConfigError
from scalewatch.journal import JournalWriter, observation_from, observation_record
from scalewatch.offline.replayed import ReplayedRun, Settings
from scalewatch.worker import Worker
from tests.synthetic import fitted

STEPS, AT = 3_000, 1_500


def run_of(*, factor: float = 1.0, spacing: int = 1, late: int = 0) -> list[Observation]:
    """A falling loss with noise of 1 %, times `factor` from row 1,500 on, or `late` rows after."""
    noise = np.random.default_rng(0)
    losses = (2.0 + 4.0 * np.arange(1, STEPS + 1) ** -0.3) * (1.0 + 0.01 * noise.standard_normal(STEPS))
    losses[AT + late :] *= factor
    return [Observation(spacing * (row + 1), float(loss)) for row, loss in enumerate(losses)]


def watched(rows: list[Observation], *, phase: str = "", monitor: Monitor | None = None) -> Iterator[Finding]:
    """What is found in the rows; a phase is noted before row 1,500."""
    monitor = monitor or Monitor(Run("gpt", total_steps=rows[-1].step))
    for number, row in enumerate(rows):
        if phase and number == AT:
            note_phase(phase)
        yield from monitor.observe(row)


def pages(found: Iterator[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.pages]


@pytest.mark.parametrize("spacing", [1, 10, 100])
@pytest.mark.parametrize("factor", [1.3, 3.0])
def test_a_rise_by_design_pages_nobody_where_it_was_noted(factor: float, spacing: int) -> None:
    """A step of the loss, in a log of every step or of each hundredth; without a note it is paged."""
    rows = run_of(factor=factor, spacing=spacing)
    assert [] == pages(watched(rows, phase="long context"))
    assert pages(watched(rows))


def test_a_fall_by_design_pages_nobody_where_it_was_noted() -> None:
    """Easier data; without a note the loss is too good."""
    rows = run_of(factor=0.6)
    assert [] == [f for f in watched(rows, phase="clean data") if f.pages or f.kind is Kind.SUSPICIOUS_IMPROVEMENT]
    assert Kind.SUSPICIOUS_IMPROVEMENT in [f.kind for f in watched(rows)]


def test_a_rise_some_rows_after_the_note_pages_nobody() -> None:
    """Batches that were loaded ahead are of the stage before."""
    assert [] == pages(watched(run_of(factor=1.3, late=20), phase="long context"))


def test_a_phase_is_told_once_and_is_no_incident() -> None:
    """One finding, at its row, and the run is healthy."""
    monitor = Monitor(Run("gpt", total_steps=STEPS))
    found = list(watched(run_of(factor=1.3), phase="long context", monitor=monitor))

    told = [finding for finding in found if finding.kind is Kind.PHASE]
    assert [(AT + 1, "a phase begins: long context; levels start anew")] == [(f.step, f.message) for f in told]
    assert "over: healthy to its end" == monitor.verdict().headline
    assert {} == monitor.verdict().incident_counts


def test_a_loss_that_is_no_number_after_a_phase_is_critical() -> None:
    """Nobody plans that."""
    rows = run_of()
    for number in range(AT + 3, STEPS):
        rows[number] = rows[number]._replace(loss=math.nan)
    assert ["critical"] == [f.severity for f in watched(rows, phase="long context") if f.kind is Kind.NONFINITE][1:]


def test_a_loss_that_explodes_after_a_phase_is_paged() -> None:
    """A rise to five times within the time in which one is expected is more than was meant."""
    rows = run_of(factor=5.0, late=100)
    assert "critical" in [f.severity for f in pages(watched(rows, phase="long context"))]


def test_an_incident_that_is_open_stays_open_over_a_phase() -> None:
    """It is not called over because something else began."""
    rows = run_of()
    for number in range(AT - 40, STEPS):
        rows[number] = rows[number]._replace(loss=1.6 * rows[number].loss)
    monitor = Monitor(Run("gpt", total_steps=STEPS))
    for number, row in enumerate(rows[: AT + 200]):
        if number == AT:
            before = [(f.kind, f.start_step) for f in monitor.open_incidents]
            note_phase("long context")
        monitor.observe(row)
    assert before
    assert before == [(f.kind, f.start_step) for f in monitor.open_incidents]


def test_a_run_changed_by_design_is_not_told_that_it_is_off_its_law() -> None:
    """The law is of runs that were not changed so."""
    law = fitted()
    run = Run("gpt", 1_000, np.full(1_000, 1e-3), parameters=8_000_000, tokens_per_step=1_000)
    rows = [Observation(step, 6.0 + 3.0 * step**-0.3, 1e-3) for step in range(1, 1_001)]
    expected = Monitor(run, law)
    assert [Kind.OFF_LAW] == [f.kind for row in rows for f in expected.observe(row) if f.pages]

    changed = Monitor(run, law)
    changed.note_phase("another tokenizer")
    assert [] == [f.kind for row in rows for f in changed.observe(row) if f.pages]


def test_every_monitor_of_the_process_hears_a_note_and_one_made_later_does_not() -> None:
    """A note is of what goes on now; also one that another thread makes."""
    before = [Monitor(Run("a")), Monitor(Run("b"))]
    thread = threading.Thread(target=note_phase, args=("stage 2",))
    thread.start()
    thread.join()
    after = Monitor(Run("c"))

    found = [[f.kind for f in monitor.observe(Observation(1, 3.0))] for monitor in (*before, after)]
    assert [[Kind.PHASE], [Kind.PHASE], []] == found


def test_a_note_to_one_monitor_is_for_that_one_alone() -> None:
    """`Monitor.note_phase`, where several runs are trained in one process."""
    one, other = Monitor(Run("a")), Monitor(Run("b"))
    one.note_phase("stage 2")
    assert ["a phase begins: stage 2; levels start anew"] == [f.message for f in one.observe(Observation(1, 3.0))]
    assert [] == other.observe(Observation(1, 3.0))


def test_who_notes_the_same_phase_at_each_step_means_its_beginning() -> None:
    """Else no level would ever be known, and nothing found."""
    monitor = Monitor(Run("gpt"))
    found = []
    for row in run_of(factor=3.0):
        monitor.note_phase("stage 1")
        found += monitor.observe(row)
    assert 1 == sum(f.kind is Kind.PHASE for f in found)
    assert any(f.pages for f in found)


def test_several_notes_before_one_row_are_one_finding() -> None:
    """None of them is lost."""
    monitor = Monitor(Run("gpt"))
    note_phase("stage 2")
    note_phase("batch 512")
    found = monitor.observe(Observation(1, 3.0))
    assert ["a phase begins: stage 2, batch 512; levels start anew"] == [f.message for f in found]


@pytest.mark.parametrize("at", [AT - 1, AT, AT + 1, AT + 30])
def test_a_run_goes_on_from_its_state_over_a_phase(at: int) -> None:
    """Also where it was saved between the note and the next row."""
    rows, run = run_of(factor=1.3), Run("gpt", total_steps=STEPS)
    whole, first = Monitor(run), Monitor(run)
    for monitor, part in ((whole, rows[:at]), (first, rows[:at])):
        for number, row in enumerate(part):
            if number == AT:
                monitor.note_phase("long context")
            monitor.observe(row)
        if at == AT:
            monitor.note_phase("long context")
    second = Monitor(run)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for number in range(at, STEPS):
        if number == AT and at < AT:
            whole.note_phase("long context")
            second.note_phase("long context")
        assert whole.observe(rows[number]) == second.observe(rows[number])
    assert whole.state_dict() == second.state_dict()


def test_a_row_of_a_journal_carries_its_phase_so_a_replay_finds_what_was_found(tmp_path: Path) -> None:
    """The same monitor over the same rows."""
    run = Run("gpt", total_steps=STEPS)
    rows = run_of(factor=1.3)
    rows[AT] = rows[AT]._replace(phase="long context")
    monitor = Monitor(run)
    live = [finding for row in rows for finding in monitor.observe(row)]
    worker = Worker()
    writer = JournalWriter(tmp_path, run, worker=worker)
    worker.start()
    for row in rows:
        writer.append_through(observation_record(row))
    worker.close()

    [log] = Settings().open([tmp_path]).logs
    assert live == list(ReplayedRun(log, Settings()).advance())
    assert "long context" == observation_from(json.loads(json.dumps(observation_record(rows[AT])))).phase


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "\x1b[31mred", "x" * 81, 3, None, ["a"]])
def test_a_name_that_is_no_short_text_is_refused(name: object) -> None:
    """It stands in terminals and messages."""
    with pytest.raises(ConfigError, match="name of a phase must be a text of 1 to 80 letters"):
        note_phase(name)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="name of a phase"):
        Monitor(Run("gpt")).note_phase(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [7, math.nan, "", " \n", b"stage", ["stage"], "\x1b[31m" + "x" * 10_000])
def test_a_row_survives_any_phase(value: object) -> None:
    """Rows come from files of all kinds; what steers a terminal is not told."""
    monitor = Monitor(Run("gpt"))
    found = monitor.observe(Observation(1, 3.0, phase=value))  # type: ignore[arg-type]
    assert all(finding.message.isprintable() and len(finding.message) < 1_400 for finding in found)


def test_it_is_a_public_name() -> None:
    """`import scalewatch` is all that a module needs."""
    assert "note_phase" in scalewatch.__all__

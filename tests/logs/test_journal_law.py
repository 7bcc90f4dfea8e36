"""A journal holds the law that its run was watched by, so that whoever reads it says what was said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scalewatch.journal import LAW, JournalWriter, observation_record
from scalewatch.logs import open_logs
from scalewatch.observation import Observation
from scalewatch.offline.replayed import ReplayedRun, Settings
from tests.synthetic import TrueLaw, cosine, fitted, noisy, planned

PLAN = cosine(1_000)


def journal(folder: Path, law: object) -> Path:
    losses = noisy(TrueLaw().losses(PLAN, 8e6), 0.01, 0)
    writer = JournalWriter(folder, planned(PLAN, 8e6))
    writer.append({"type": LAW, "law": law})
    for step, (loss, rate) in enumerate(zip(losses[:400].tolist(), PLAN.tolist(), strict=False), 1):
        writer.append(observation_record(Observation(step, loss, rate)))
    writer.close()
    return folder


def test_a_replayed_journal_is_held_against_the_law_it_was_watched_by(tmp_path: Path) -> None:
    """The same prediction before the first step, and the same forecast, as with the law at hand."""
    law = fitted()
    (log,) = open_logs([journal(tmp_path / "run", json.loads(json.dumps(law.to_json())))]).logs
    run, given = ReplayedRun(log, Settings(), curve=True), ReplayedRun(log, Settings(law=law), curve=True)

    assert run.before is not None
    assert given.before is not None
    assert pytest.approx(given.before.final_loss) == run.before.final_loss


@pytest.mark.parametrize("law", [None, 3, {}, {"schema": 1}, "a law"])
def test_a_law_that_is_none_is_noted_and_the_run_read_all_the_same(tmp_path: Path, law: object) -> None:
    """Whatever stands where a law should."""
    (log,) = open_logs([journal(tmp_path / "run", law)]).logs

    assert log.law is None
    assert 400 == len(list(log.rows()))
    assert any("the law that it was watched by cannot be used" in note for note in log.notes)

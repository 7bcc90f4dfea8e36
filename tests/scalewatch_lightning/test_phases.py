"""`scalewatch.note_phase` from a module of a real fit: in the journal, and nobody is paged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl
import torch

import scalewatch
from scalewatch import Kind
from scalewatch.journal import read_journal
from scalewatch.offline.replayed import ReplayedRun, Settings
from scalewatch_lightning import ScaleWatch
from tests.scalewatch_lightning.conftest import TinyText, loader

NewTrainer = Callable[..., pl.Trainer]
STEPS, STAGE_2 = 320, 200


class TwoStages(TinyText):
    """A module whose loss is half as high again from its second stage on; it notes that if `notes`."""

    def __init__(self, *, notes: bool) -> None:
        super().__init__(spoil=self.harder)
        self.notes, self.noise = notes, torch.Generator().manual_seed(3)

    def harder(self, seen: int, loss: torch.Tensor) -> torch.Tensor:
        """A loss that scatters by 1 % about 3, or about 4.5 in the second stage."""
        if seen == STAGE_2 and self.notes:
            scalewatch.note_phase("stage 2")
        level = 4.5 if seen >= STAGE_2 else 3.0
        return 0.0 * loss + level * (1.0 + 0.01 * torch.randn((), generator=self.noise))


def findings(new_trainer: NewTrainer, tmp_path: Path, *, notes: bool) -> list[scalewatch.Finding]:
    """What is found in the two stages."""
    watch = ScaleWatch(quiet=True)
    new_trainer([watch], max_steps=STEPS, max_epochs=-1).fit(TwoStages(notes=notes), loader())
    return read_journal(tmp_path / "scalewatch").findings


def test_a_phase_that_a_module_notes_is_in_its_journal_and_pages_nobody(
    new_trainer: NewTrainer, tmp_path: Path
) -> None:
    """The verdict is healthy, and so it is in a replay of the journal."""
    found = findings(new_trainer, tmp_path, notes=True)
    assert ["a phase begins: stage 2; levels start anew"] == [f.message for f in found if f.kind is Kind.PHASE]
    assert [] == [f for f in found if f.pages]

    journal = read_journal(tmp_path / "scalewatch")
    assert [(STAGE_2, "stage 2")] == [(row.step, row.phase) for row in journal.observations if row.phase]
    assert ["over: healthy to its end"] == [
        text
        for record in journal.others
        if record["type"] == "verdict"
        for name, text in record["rows"]
        if name == "health"
    ]
    [log] = Settings().open([tmp_path / "scalewatch"]).logs
    replay = ReplayedRun(log, Settings())
    assert [] == [finding for finding in replay.advance() if finding.pages]
    assert "healthy" in replay.tracker.status.sentence


def test_without_a_note_the_same_run_is_paged(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """The test above is none that always passes."""
    assert any(f.pages for f in findings(new_trainer, tmp_path, notes=False))

"""`ScaleWatch(detectors=...)`: a detector of the user's looks at each step of a real fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl

from scalewatch.finding import Phase
from scalewatch.journal import read_journal
from scalewatch_lightning import ScaleWatch
from tests.detect.outside_detector import LossAbove
from tests.scalewatch_lightning.conftest import TinyText, loader

NewTrainer = Callable[..., pl.Trainer]


def test_what_a_detector_of_the_user_finds_is_in_the_journal(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """Under its own kind, opened and closed."""
    model = TinyText(spoil=lambda seen, loss: 0.0 * loss + (5.0 if 14 <= seen < 16 else 3.0))
    new_trainer([ScaleWatch(detectors=[LossAbove(4.0)], quiet=True)]).fit(model, loader())

    found = [f for f in read_journal(tmp_path / "scalewatch").findings if f.kind == "loss_above"]
    assert [Phase.OPENED, Phase.CLOSED] == [finding.phase for finding in found]

"""What was predicted before the first step is in the journal, and a resumed run is held against it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from scalewatch.fitting import fit_curves
from scalewatch.journal import read_journal
from scalewatch.laws import CurveLaw
from scalewatch_lightning import ScaleWatch
from tests.scalewatch_lightning.conftest import TinyText, loader
from tests.synthetic import TrueLaw, ladder

NewTrainer = Callable[..., pl.Trainer]


def module() -> TinyText:
    torch.manual_seed(0)
    return TinyText(scheduler=lambda opt: torch.optim.lr_scheduler.CosineAnnealingLR(opt, 60))


@pytest.fixture(scope="module")
def laws() -> tuple[CurveLaw, CurveLaw]:
    """A law, and one that was fitted anew and promises other losses."""
    return fit_curves(ladder()), fit_curves(ladder(TrueLaw(floor=2.5)))


@pytest.mark.parametrize("kept", [True, False], ids=["with-our-state", "without-our-state"])
def test_a_resumed_run_keeps_the_first_prediction(
    new_trainer: NewTrainer, tmp_path: Path, laws: tuple[CurveLaw, CurveLaw], kept: bool
) -> None:
    """Also where the law is another one now, and where the checkpoint lost what we had put into it."""
    saver = ModelCheckpoint(tmp_path / "saved", every_n_train_steps=21, save_top_k=-1, filename="{step}")
    first = [ScaleWatch(law=laws[0], quiet=True), saver]
    new_trainer(first, max_steps=30, enable_checkpointing=True).fit(module(), loader())
    checkpoint = tmp_path / "saved" / "step=21.ckpt"
    if not kept:
        content = torch.load(checkpoint, weights_only=False)
        content["callbacks"] = {}
        torch.save(content, checkpoint)
    promised = read_journal(tmp_path / "scalewatch").registered
    assert promised is not None

    watch = ScaleWatch(law=laws[1], quiet=True)
    new_trainer([watch], max_steps=60).fit(module(), loader(), ckpt_path=checkpoint)

    journal = read_journal(tmp_path / "scalewatch")
    assert [None, 21] == [segment.resumes_after_step for segment in journal.segments]
    said = [record for record in journal.others if record.get("type") == "registered"]
    assert [promised, promised] == said
    assert promised == watch.state_dict()["monitor"]["forecaster"]["registered"]

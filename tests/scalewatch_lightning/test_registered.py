"""What was predicted before the first step is in the journal, and a resumed run is held against it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from scalewatch.errors import ConfigError
from scalewatch.fitting import fit_curves
from scalewatch.forecast.prediction_file import write_prediction
from scalewatch.journal import read_journal
from scalewatch.laws import CurveLaw
from scalewatch.offline.registering import PlannedRun, register_run
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


@pytest.mark.parametrize("steps", [60, 70], ids=["of-this-length", "of-another-length"])
def test_a_run_is_held_against_a_prediction_from_a_file(
    new_trainer: NewTrainer, tmp_path: Path, laws: tuple[CurveLaw, CurveLaw], steps: int
) -> None:
    """With its fingerprint in the journal; one of another length says nothing of this run."""
    planned = PlannedRun("tiny", steps, "cosine", 1e-3, 5, 64.0, 1_000, 1_000)
    prediction = register_run(laws[0], planned, 1e9)
    write_prediction(prediction, tmp_path / "prediction.json")
    watch = ScaleWatch(registered=tmp_path / "prediction.json", quiet=True)
    new_trainer([watch], max_steps=60).fit(module(), loader())
    kept = read_journal(tmp_path / "scalewatch").registered

    assert kept is not None
    assert (prediction.fingerprint if steps == 60 else "") == kept["registered_as"]
    assert (prediction.baseline.record() == kept) is (steps == 60)


def test_a_law_and_a_prediction_are_not_given_together(tmp_path: Path, laws: tuple[CurveLaw, CurveLaw]) -> None:
    """The prediction's file holds its law."""
    with pytest.raises(ConfigError, match="either `law` or `registered`"):
        ScaleWatch(law=laws[0], registered=tmp_path / "prediction.json")

"""The last good checkpoint is named in the advice, and with acts it is kept, and none of dead weights is written."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from scalewatch.advice import Action
from scalewatch.journal import read_journal
from scalewatch_lightning import ScaleWatch
from scalewatch_torch.acting.kept import FOLDER
from tests.scalewatch_lightning.conftest import TinyText, loader

NewTrainer = Callable[..., pl.Trainer]


def dies(at: int) -> TinyText:
    """Its gradient is no number from this batch on, and so are the weights after it."""
    return TinyText(spoil=lambda n, loss: loss * math.nan if n >= at else loss)


def advice(folder: Path) -> list[str]:
    """What was advised of going back, as the journal has it."""
    return [each.reason for each in read_journal(folder / "scalewatch").advice if each.action is Action.REWIND]


def are_numbers(path: Path) -> bool:
    weights = torch.load(path, weights_only=False)["state_dict"].values()
    return all(bool(torch.isfinite(each).all()) for each in weights)


def every_20(folder: Path, **options: Any) -> ModelCheckpoint:
    return ModelCheckpoint(folder / "saved", filename="{step}", every_n_train_steps=20, **options)


@pytest.mark.parametrize("options", [{}, {"save_last": True}, {"save_last": True, "save_top_k": 0}])
def test_a_checkpoint_of_dead_weights_takes_nobodys_place(
    new_trainer: NewTrainer, tmp_path: Path, options: dict[str, Any]
) -> None:
    """A trainer that keeps its newest one only keeps the good one, by step or as `last.ckpt`."""
    callbacks = [ScaleWatch(act=["stop"], quiet=True), every_20(tmp_path, **options)]
    trainer = new_trainer(callbacks, max_steps=1000, enable_checkpointing=True, max_epochs=-1)

    trainer.fit(dies(at=119), loader())

    left = sorted((tmp_path / "saved").rglob("*.ckpt"))
    assert left
    assert all(are_numbers(path) for path in left)
    assert {100} == {torch.load(path, weights_only=False)["global_step"] for path in left}
    assert trainer.global_step == 121


def test_the_advice_names_it_with_and_without_acts(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """By its name, how far back it is, and where it is; nothing is touched without acts."""
    callbacks = [ScaleWatch(quiet=True), every_20(tmp_path, save_top_k=-1)]
    trainer = new_trainer(callbacks, max_steps=140, enable_checkpointing=True, max_epochs=-1)

    trainer.fit(dies(at=111), loader())

    assert ["Restart from step=100.ckpt, 11 steps before the non-finite loss"] == [
        text.split(" (in")[0] for text in advice(tmp_path)
    ][:1]
    assert f"(in {tmp_path / 'saved'})" in advice(tmp_path)[0]
    assert not (tmp_path / "saved" / FOLDER).exists()
    assert (tmp_path / "saved" / "step=140.ckpt").exists()  # dead, and not our affair


def test_a_checkpoint_from_a_step_before_the_first_bad_loss_is_not_trusted(
    new_trainer: NewTrainer, tmp_path: Path
) -> None:
    """The gradient of step 100 was no number: its loss was one, and what was saved after it is dead."""

    class GradientDies(TinyText):
        def on_before_optimizer_step(self, optimizer: Any) -> None:
            if self.trainer.global_step == 99:
                next(self.parameters()).grad.fill_(math.nan)  # type: ignore[union-attr]

    callbacks = [ScaleWatch(quiet=True), every_20(tmp_path, save_top_k=-1)]
    trainer = new_trainer(callbacks, max_steps=140, enable_checkpointing=True, max_epochs=-1)

    trainer.fit(GradientDies(), loader())

    assert not are_numbers(tmp_path / "saved" / "step=100.ckpt")
    assert advice(tmp_path)[0].startswith("Restart from step=80.ckpt, 21 steps before")


def test_a_fault_that_is_known_late_still_has_its_checkpoint(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """The rise begins at step 301 and is sure 50 steps later, when the trainer has deleted all from before it."""
    module = TinyText(spoil=lambda n, loss: loss + (3.0 if n > 300 else 0.0) + 0.01 * (n % 7))
    callbacks = [ScaleWatch(act=["stop"], quiet=True), every_20(tmp_path)]
    trainer = new_trainer(callbacks, max_steps=1000, enable_checkpointing=True, max_epochs=-1)

    trainer.fit(module, loader())

    assert 300 < trainer.global_step < 1000
    kept = list((tmp_path / "saved" / FOLDER).iterdir())
    assert 1 == len(kept)
    step = torch.load(kept[0], weights_only=False)["global_step"]
    assert 200 <= step <= 299
    assert any(f"step={step}.ckpt" in text for text in advice(tmp_path))


def test_a_healthy_run_leaves_nothing_behind(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """No second names, the callback of the user as it was, at no time more than four of them."""
    most = 0

    class Counts(pl.Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            nonlocal most
            folder = tmp_path / "saved" / FOLDER
            most = max(most, len(os.listdir(folder)) if folder.exists() else 0)

    saves = every_20(tmp_path)
    callbacks = [ScaleWatch(act=["stop"], quiet=True), Counts(), saves]
    trainer = new_trainer(callbacks, max_steps=600, enable_checkpointing=True, max_epochs=-1)

    trainer.fit(TinyText(), loader())

    assert 2 <= most <= 4
    assert ["step=600.ckpt"] == os.listdir(tmp_path / "saved")
    assert "_save_topk_checkpoint" not in vars(saves)


def test_where_no_second_name_can_be_made_it_is_said_once(
    new_trainer: NewTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some disks know no hard links."""

    def refused(*_: Any, **__: Any) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    callbacks = [ScaleWatch(act=["stop"], quiet=True), every_20(tmp_path)]
    trainer = new_trainer(callbacks, max_steps=60, enable_checkpointing=True, max_epochs=-1)

    trainer.fit(TinyText(), loader())

    notes = [r["text"] for r in read_journal(tmp_path / "scalewatch").others if r["type"] == "note"]
    assert ["note: checkpoints cannot be kept by a second name: Operation not permitted."] == notes


def test_the_checkpoint_that_a_run_goes_on_from_is_one(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """It is the last good one until there is another."""
    first = new_trainer([every_20(tmp_path)], max_steps=20, enable_checkpointing=True, max_epochs=-1)
    first.fit(TinyText(), loader())
    trainer = new_trainer([ScaleWatch(quiet=True)], max_steps=60, max_epochs=-1)

    trainer.fit(dies(at=10), loader(), ckpt_path=tmp_path / "saved" / "step=20.ckpt")

    assert advice(tmp_path)[0].startswith("Restart from step=20.ckpt, 10 steps before")

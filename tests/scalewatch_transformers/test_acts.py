"""What the callback may do to a training by the Trainer: asked for by name, and told where findings are."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Trainer

from scalewatch.fitting import fit_curves
from scalewatch.forecast.prediction_file import write_prediction
from scalewatch.journal import Journal, read_journal
from scalewatch.offline.registering import PlannedRun, register_run
from scalewatch_transformers import ScaleWatch, resume_from
from tests.supervised import supervised
from tests.synthetic import ladder

NewTrainer = Callable[..., Trainer]
STEPS = 100


class Spoiled(Trainer):
    """Losses of some steps are no numbers, and so are their gradients."""

    lost: Callable[[int], bool] = staticmethod(lambda step: step >= 50)

    def compute_loss(self, model: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        loss = super().compute_loss(model, inputs, *rest, **options)
        return loss * math.nan if self.lost(self.state.global_step + 1) else loss


class OneBatch(Spoiled):
    """One step's is."""

    lost = staticmethod(lambda step: step == 50)


def journal(folder: Path) -> Journal:
    return read_journal(folder / "out" / "scalewatch")


def acts(folder: Path) -> list[tuple[str, str, int]]:
    """What the journal has of acts."""
    return [(each["act"], each["phase"], each["step"]) for each in journal(folder).others if each["type"] == "act"]


def ended_as(folder: Path) -> str:
    """How the verdict says that the training has ended."""
    return str(dict([each["rows"] for each in journal(folder).others if each["type"] == "verdict"][-1])["ended"])


def test_a_lost_run_is_stopped_and_its_weights_are_not_saved(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """At the third loss on end that is no number; nothing is validated or saved after it, and what was is there."""
    saves = {"save_strategy": "steps", "save_steps": 17, "eval_strategy": "steps", "eval_steps": 13}
    trainer = new_trainer(ScaleWatch(act=["stop"], quiet=True), kind=Spoiled, max_steps=STEPS, **saves)

    trainer.train()

    assert trainer.state.global_step == 52
    assert acts(tmp_path) == [("stop", "asked", 52), ("stop", "honoured", 52)]
    assert ended_as(tmp_path).startswith("stopped by scalewatch after step 52: the loss is no number since step 50")
    assert {"checkpoint-17", "checkpoint-34"} == {each.name for each in (tmp_path / "out").glob("checkpoint-*")}
    assert [13, 26, 39] == [each["step"] for each in trainer.state.log_history if "eval_loss" in each]


def test_a_checkpoint_of_lost_weights_takes_no_good_ones_place(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """Though the training goes on and keeps its newest alone: nobody asked to stop it."""
    saves = {"save_strategy": "steps", "save_steps": 20, "save_total_limit": 1}
    trainer = new_trainer(ScaleWatch(act=["lower_learning_rate"], quiet=True), kind=Spoiled, max_steps=STEPS, **saves)

    trainer.train()

    assert trainer.state.global_step == STEPS
    assert ["checkpoint-40"] == [each.name for each in (tmp_path / "out").glob("checkpoint-*")]
    notes = [each["text"] for each in journal(tmp_path).others if each["type"] == "note"]
    assert any(note.startswith("no checkpoint is written at step 60: the weights are lost") for note in notes)


def test_a_dry_run_only_tells(new_trainer: NewTrainer, tmp_path: Path) -> None:
    trainer = new_trainer(ScaleWatch(act="dry-run", quiet=True), kind=Spoiled, max_steps=STEPS)

    trainer.train()

    assert trainer.state.global_step == STEPS
    assert {"would"} == {phase for _, phase, _ in acts(tmp_path)}
    assert {"skip", "rewind", "stop"} <= {act for act, *_ in acts(tmp_path)}


def test_a_step_without_a_number_is_skipped(new_trainer: NewTrainer, tmp_path: Path) -> None:
    trainer = new_trainer(ScaleWatch(act=["skip"], quiet=True), kind=OneBatch, max_steps=STEPS)

    trainer.train()

    assert acts(tmp_path) == [("skip", "asked", 50)]
    assert all(bool(torch.isfinite(each).all()) for each in trainer.model.parameters())


def test_acts_without_a_cause_change_nothing(new_trainer: NewTrainer) -> None:
    """Weights are those of a training that nobody watches, to the bit."""

    def weights(*callbacks: Any) -> list[bytes]:
        torch.manual_seed(0)
        trainer = new_trainer(*callbacks, max_steps=30)
        trainer.train()
        return [each.detach().numpy().tobytes() for each in trainer.model.parameters()]

    assert weights() == weights(ScaleWatch(act=["stop", "skip", "lower_learning_rate", "rewind"], quiet=True))


def test_a_lost_run_goes_back_and_leaves_the_batch_out(
    new_trainer: NewTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the Trainer's own checkpoint; `resume_from` hands it to `train`."""
    saves = {"save_strategy": "steps", "save_steps": 20, "save_total_limit": 1}
    trainers: list[Trainer] = []

    def train() -> None:
        torch.manual_seed(0)
        trainers.append(new_trainer(ScaleWatch(act=["rewind"], quiet=True), kind=OneBatch, max_steps=STEPS, **saves))
        trainers[-1].train(resume_from_checkpoint=resume_from())

    requests, trainer = supervised(tmp_path, monkeypatch, train), trainers[-1]

    assert STEPS == trainer.state.global_step
    assert [(40, 1)] == [(request.step, request.number) for request in requests]
    assert [("rewind", "asked"), ("rewind", "honoured")] == [each[:2] for each in acts(tmp_path)]
    assert all(bool(torch.isfinite(each).all()) for each in trainer.model.parameters())
    assert STEPS == journal(tmp_path).observations[-1].step


def test_a_run_is_held_against_what_was_registered(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """Its fingerprint is in the journal."""
    planned = PlannedRun("tiny", STEPS, "cosine", 1e-3, 5, 64.0, 1_000, 1_000)
    prediction = register_run(fit_curves(ladder()), planned, 1e9)
    write_prediction(prediction, tmp_path / "demo.json")

    new_trainer(ScaleWatch(registered=tmp_path / "demo.json", quiet=True), max_steps=STEPS).train()

    kept = journal(tmp_path).registered
    assert kept is not None
    assert prediction.fingerprint == kept["registered_as"]

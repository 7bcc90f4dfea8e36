"""A run that is lost goes back to its last good checkpoint and past what did it, and at most twice."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from scalewatch.acting.rewinding import MOST_REWINDS, RewindRequest, environment_of
from scalewatch.journal import read_journal
from scalewatch_lightning import ScaleWatch, resume_from
from scalewatch_lightning.passing_over import can_pass_over
from tests import warm
from tests.scalewatch_lightning.conftest import TinyText, loader, text
from tests.supervised import supervised as starts

ROOT = Path(__file__).resolve().parents[2]
NewTrainer = Callable[..., pl.Trainer]


@pytest.fixture
def supervised(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Callable[[], Any]], int]:
    """Runs `fit` as `scalewatch run` does: again from its request, in this process; returns how often it went back."""
    return lambda fit: len(starts(tmp_path, monkeypatch, fit))


def acts(folder: Path) -> list[dict[str, Any]]:
    return [record for record in read_journal(folder / "scalewatch").others if record["type"] == "act"]


def trainer_for(new_trainer: NewTrainer, folder: Path, *acts: str) -> pl.Trainer:
    saves = ModelCheckpoint(folder / "saved", filename="{step}", every_n_train_steps=20)
    watch = ScaleWatch(act=list(acts), quiet=True)
    return new_trainer([watch, saves], max_steps=400, max_epochs=-1, enable_checkpointing=True)


class Numbered(DataLoader[Any]):
    """Batches with their numbers, many more than a run has steps; its place in them is in the checkpoint."""

    def __init__(self, batches: int) -> None:
        super().__init__(range(batches))  # type: ignore[arg-type]
        self.drawn = 0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        lines = text()
        while self.drawn < len(self):
            self.drawn += 1
            yield lines[:4], self.drawn - 1

    def state_dict(self) -> dict[str, int]:
        return {"drawn": self.drawn}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.drawn = state["drawn"]


@pytest.mark.parametrize("accumulated", [1, 2])
def test_a_run_that_goes_back_passes_over_the_batch_that_killed_it(
    new_trainer: NewTrainer,
    tmp_path: Path,
    supervised: Callable[[Callable[[], Any]], int],
    accumulated: int,
) -> None:
    """Others take its place: as many steps are taken as were planned, each batch once, with the schedule they had."""
    seen: list[int] = []
    rates: list[float] = []

    class Poisoned(TinyText):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            assert loss is not None
            del seen[self.trainer.global_step * accumulated + batch_idx % accumulated :]
            seen.append(batch[1])
            return loss * math.nan if batch[1] == 154 * accumulated else loss

        def on_train_end(self) -> None:
            rates[:] = self.rates

    def fit() -> None:
        saves = ModelCheckpoint(tmp_path / "saved", filename="{step}", every_n_train_steps=20)
        trainer = new_trainer(
            [ScaleWatch(act=["rewind"], quiet=True), saves],
            max_steps=400,
            max_epochs=-1,
            enable_checkpointing=True,
            accumulate_grad_batches=accumulated,
        )
        module = Poisoned(scheduler=lambda optimizer: torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, 400))
        trainer.fit(module, Numbered(2_000), ckpt_path=resume_from())
        assert trainer.global_step == 400

    assert 1 == supervised(fit)
    assert "passes over the batches of steps 154 to 158: the loss is no number" in acts(tmp_path)[-1]["text"]
    first, last = 153 * accumulated, 158 * accumulated
    assert [*range(first), *range(last, 400 * accumulated + last - first)] == seen
    assert 1e-2 * (0.1 + 0.9 / 400) == pytest.approx(rates[-1])


def test_where_the_fault_comes_again_the_steps_are_left_out(
    new_trainer: NewTrainer, tmp_path: Path, supervised: Callable[[Callable[[], Any]], int]
) -> None:
    """Not the batch did it: passing over it has not helped, and the second time the steps themselves are not taken."""
    modules: list[TinyText] = []

    class Poisoned(TinyText):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            assert loss is not None
            return loss * math.nan if self.trainer.global_step == 154 else loss

    def fit() -> None:
        modules.append(Poisoned())
        trainer = trainer_for(new_trainer, tmp_path, "rewind")
        trainer.fit(modules[-1], loader(), ckpt_path=resume_from())
        assert trainer.global_step == 400

    assert 2 == supervised(fit)
    assert all(bool(torch.isfinite(each).all()) for each in modules[-1].parameters())
    asked, _, _, back = acts(tmp_path)[:4]
    assert ("asked", 157, 155) == (asked["phase"], asked["step"], asked["since"])
    assert asked["text"].startswith("rewinds to step=140.ckpt, 15 steps before: the loss is no number since step 155")
    assert back["text"].startswith("went back to step 140 (rewind 2), leaves out steps 154 to 184, multiplies")
    rows = [row.step for row in read_journal(tmp_path / "scalewatch").observations]
    assert [400] == rows[-1:]
    assert not set(rows) & set(range(154, 185))  # losses of no step


def test_a_rate_that_leaves_its_plan_again_is_kept_to_it(
    new_trainer: NewTrainer, tmp_path: Path, supervised: Callable[[Callable[[], Any]], int]
) -> None:
    """The fault that multiplied it comes again after the rewind, and does no harm any more."""
    inside: list[list[float]] = []

    class Fault(TinyText):
        def on_train_batch_start(self, *_: Any) -> None:
            self.trainer.optimizers[0].param_groups[0]["lr"] = 3e-2 * (
                100.0 if self.trainer.global_step >= 200 else 1.0
            )

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            assert loss is not None
            too_high = self.trainer.optimizers[0].param_groups[0]["lr"] > 1.0  # as the step is taken with
            return loss + 1.0 + 0.01 * (batch_idx * 7 % 11) + (3.0 if too_high else 0.0)

        def on_before_optimizer_step(self, optimizer: Any) -> None:
            inside[-1].append(optimizer.param_groups[0]["lr"])

    def fit() -> None:
        inside.append([])
        trainer = trainer_for(new_trainer, tmp_path, "rewind")
        trainer.fit(Fault(3e-2), loader(), ckpt_path=resume_from())

    assert 1 == supervised(fit)
    assert {3.0} == {round(rate, 6) for rate in inside[0][205:]}
    assert {0.03} == {round(rate, 6) for rate in inside[1]}


def test_a_run_that_is_lost_each_time_goes_back_twice(
    new_trainer: NewTrainer, tmp_path: Path, supervised: Callable[[Callable[[], Any]], int]
) -> None:
    """Then it is stopped, and the advice is a structural fix."""

    def fit() -> None:
        fault = TinyText(spoil=lambda n, loss: loss * math.nan if n > 60 else loss)
        trainer_for(new_trainer, tmp_path, "rewind", "stop").fit(fault, loader(), ckpt_path=resume_from())

    assert MOST_REWINDS == supervised(fit)
    assert "stop" == acts(tmp_path)[-1]["act"]
    advice = [each.text for each in read_journal(tmp_path / "scalewatch").advice if each.action == "check_setup"]
    assert any("rolled back 2 times already" in text for text in advice)


def test_without_a_supervisor_a_run_does_not_end_itself(new_trainer: NewTrainer, tmp_path: Path) -> None:
    trainer = trainer_for(new_trainer, tmp_path, "rewind")

    trainer.fit(TinyText(spoil=lambda n, loss: loss * math.nan if n > 60 else loss), loader())

    assert trainer.global_step == 400


@pytest.mark.parametrize(
    ("limits", "passes"),
    [
        ({"max_steps": 400, "max_epochs": -1}, True),
        ({"max_steps": 400, "max_epochs": 100}, True),
        ({"max_steps": 400, "max_epochs": 26}, False),
        ({"max_steps": -1, "max_epochs": 26}, False),
    ],
)
def test_a_run_that_its_epochs_end_does_not_end_sooner(
    new_trainer: NewTrainer, limits: dict[str, int], passes: bool
) -> None:
    """26 epochs of 16 batches have 416 steps: with 50 that are passed over the schedule would not be over."""
    found = []

    class Asks(pl.Callback):
        def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
            found.append(can_pass_over(trainer, 50))
            trainer.should_stop = True

    new_trainer([Asks()], **limits).fit(TinyText(), loader())

    assert [passes] == found


def test_a_script_that_begins_anew_is_told_how_to_go_on(
    new_trainer: NewTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was started again and does not read where from."""
    from scalewatch.acting.acts import Act, Decision

    request = RewindRequest("saved/step=140.ckpt", 140, 1, Decision(Act.REWIND, 157, "it is lost", 155))
    for name, value in environment_of(tmp_path / "rewind.json", 1, request).items():
        monkeypatch.setenv(name, value)

    trainer_for(new_trainer, tmp_path, "rewind").fit(TinyText(), loader())

    notes = [r["text"] for r in read_journal(tmp_path / "scalewatch").others if r["type"] == "note"]
    assert "`ckpt_path=scalewatch_lightning.resume_from()`" in notes[0]


CLI = "from scalewatch.cli import main; main()"
SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
import pytorch_lightning as pl
from scalewatch_lightning import ScaleWatch
from tests.scalewatch_lightning.conftest import TinyText, loader

class Poisoned(TinyText):
    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return loss * float("nan") if self.trainer.global_step == 94 else loss

saves = pl.callbacks.ModelCheckpoint("saved", filename="{step}", every_n_train_steps=20)
trainer = pl.Trainer(max_steps=200, max_epochs=-1, accelerator="cpu", logger=False, enable_progress_bar=False,
    enable_model_summary=False, default_root_dir=".", callbacks=[ScaleWatch(act=["rewind"], quiet=True), saves])
trainer.fit(Poisoned(), loader(), ckpt_path=sys.argv[1] if len(sys.argv) > 1 else None)
print("ended at", trainer.global_step, sys.argv[1:])
"""


def test_scalewatch_run_starts_it_again(tmp_path: Path) -> None:
    """With the arguments that were asked for; its output, and its exit code, are those of the last."""
    (tmp_path / "train.py").write_text(SCRIPT)
    command = [sys.executable, "-c", CLI, "run", "--folder", "watched", "--resume-with", "{checkpoint}", "--"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'integrations'}", "PYTHONWARNINGS": "ignore"}
    ended = subprocess.run(
        [*command, *warm.python(), "train.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )

    assert ended.returncode == 0, ended.stderr[-3000:]
    assert f"ended at 200 ['{tmp_path / 'saved' / 'step=80.ckpt'}']" in ended.stdout
    assert "rewind 1 of 2: starts again from " in ended.stderr

"""A lost run is stopped if that was asked for, on every process after the same step, and never otherwise."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from scalewatch.journal import read_journal
from scalewatch_lightning import ScaleWatch
from tests.scalewatch_lightning.conftest import TinyText, loader

NewTrainer = Callable[..., pl.Trainer]


def lost(at: int) -> TinyText:
    return TinyText(spoil=lambda n, loss: loss * math.nan if n >= at else loss)


def told(folder: Path, word: str) -> list[dict[str, Any]]:
    """The records of one type in the journal."""
    return [record for record in read_journal(folder / "scalewatch").others if record["type"] == word]


def ended_as(folder: Path) -> str:
    """How the verdict says that the run has ended."""
    return dict(told(folder, "verdict")[0]["rows"])["ended"]


def test_a_lost_run_is_stopped_as_soon_as_it_is_known_to_be(
    new_trainer: NewTrainer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the third loss running that is no number; the reason is in the terminal, the journal and the verdict."""
    trainer = new_trainer([ScaleWatch(act=["stop"])], max_steps=1000)

    trainer.fit(lost(at=30), loader())

    assert trainer.global_step == 32
    journal = read_journal(tmp_path / "scalewatch")
    notes = [r["text"] for r in journal.others if r["type"] == "note"]
    assert [note.startswith("stops the run at step 32: ") for note in notes] == [True]
    verdict = dict(next(r["rows"] for r in journal.others if r["type"] == "verdict"))
    assert verdict["ended"].startswith("stopped by scalewatch after step 32: ")
    assert "scalewatch: stops the run at step 32: " in capsys.readouterr().out


def test_a_lost_run_goes_on_if_nobody_asked(new_trainer: NewTrainer) -> None:
    """Advice is given; it is not taken."""
    trainer = new_trainer([ScaleWatch(quiet=True)], max_steps=60)

    trainer.fit(lost(at=30), loader())

    assert trainer.global_step == 60


def test_a_healthy_run_is_not_stopped(new_trainer: NewTrainer) -> None:
    """Also if it might be."""
    trainer = new_trainer([ScaleWatch(act=["stop"], quiet=True)], max_steps=200)

    trainer.fit(TinyText(), loader())

    assert trainer.global_step == 200


def test_a_trainer_that_must_go_on_is_told_of(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """`min_steps` also means one whole epoch, which nobody expects: it is said, and the verdict says what happened."""
    trainer = new_trainer([ScaleWatch(act=["stop"], quiet=True)], max_steps=1000, min_steps=1)

    trainer.fit(lost(at=5), loader())

    assert trainer.global_step == 16  # the end of the epoch
    assert len(told(tmp_path, "note")) == 1
    assert "(the trainer goes on until min_epochs=1 is met)" in told(tmp_path, "note")[0]["text"]
    ended = ended_as(tmp_path)
    assert ended.startswith("stopped by scalewatch after step 16; scalewatch asked to stop at step 7, and the trainer")


def test_a_stop_that_the_trainer_never_honours_is_no_stop(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """`min_steps` up to the end of the run: the verdict does not say that it was stopped."""
    trainer = new_trainer([ScaleWatch(act=["stop"], quiet=True)], max_steps=40, min_steps=40, max_epochs=-1)

    trainer.fit(lost(at=5), loader())

    assert trainer.global_step == 40
    assert ended_as(tmp_path).startswith("as planned; scalewatch asked to stop at step 7: ")
    assert ["asked", "not honoured"] == [each["phase"] for each in told(tmp_path, "act")]


def test_weights_that_are_lost_are_not_validated(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """The stop comes in mid-epoch, and nothing is validated after it; the trainer is left as it was."""
    module = lost(at=30)
    validated: list[int] = []
    module.validation_step = lambda batch, index: validated.append(module.trainer.global_step)  # type: ignore[method-assign]
    trainer = new_trainer([ScaleWatch(act=["stop"], quiet=True)], max_steps=1000, num_sanity_val_steps=0)

    trainer.fit(module, loader(160), loader(8))

    assert (32, []) == (trainer.global_step, validated)  # an epoch has 40 batches
    assert trainer.limit_val_batches == 1.0
    assert [("asked", 32), ("honoured", 32)] == [(each["phase"], each["step"]) for each in told(tmp_path, "act")]


def test_what_waits_for_a_validation_does_not_raise(new_trainer: NewTrainer) -> None:
    """An early stopping and a plateau scheduler look at the validation loss at the end of the epoch."""
    module = lost(at=30)
    module.scheduler = lambda optimizer: {
        "scheduler": torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer),
        "monitor": "val_loss",
    }
    callbacks = [ScaleWatch(act=["stop"], quiet=True), pl.callbacks.EarlyStopping("val_loss")]
    trainer = new_trainer(callbacks, max_steps=1000, num_sanity_val_steps=0)

    trainer.fit(module, loader(160), loader(8))

    assert trainer.global_step == 32


def test_a_dry_run_only_tells(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """Once, in the journal; the run goes to its end."""
    trainer = new_trainer([ScaleWatch(act=["stop", "dry-run"], quiet=True)], max_steps=60)

    trainer.fit(lost(at=30), loader())

    assert trainer.global_step == 60
    assert [("would", "stop", 32)] == [(each["phase"], each["act"], each["step"]) for each in told(tmp_path, "act")]
    assert told(tmp_path, "act")[0]["text"].startswith("would stop the run at step 32 (dry run): the loss is no number")
    assert ended_as(tmp_path) == "as planned"


def test_a_step_that_the_scaler_left_out_is_no_reason(new_trainer: NewTrainer) -> None:
    """The loss overflows for ten steps, and the optimizer takes none of them: nothing is lost."""

    class LeavesOut(TinyText):
        def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
            loss = optimizer_closure()
            if math.isfinite(loss.item()):
                super().optimizer_step(epoch, batch_idx, optimizer, lambda: loss)

    trainer = new_trainer([ScaleWatch(act=["stop"], quiet=True)], max_steps=80)

    trainer.fit(LeavesOut(spoil=lambda n, loss: loss * math.inf if 30 <= n < 40 else loss), loader())

    assert trainer.current_epoch >= 4


def test_losses_that_are_no_numbers_over_weights_that_are_do_not_stop_at_once(new_trainer: NewTrainer) -> None:
    """Some modules mask what they cannot use themselves: the weights are looked at before anything is done."""

    class Masks(TinyText):
        def on_before_optimizer_step(self, optimizer: Any) -> None:
            for parameter in self.parameters():
                parameter.grad.nan_to_num_(0.0)  # type: ignore[union-attr]

    trainer = new_trainer([ScaleWatch(act=["stop"], quiet=True)], max_steps=60)

    trainer.fit(Masks(spoil=lambda n, loss: loss * math.nan if 30 <= n < 40 else loss), loader())

    assert trainer.global_step == 60


@pytest.mark.parametrize(
    "where",
    [
        "scalewatch_lightning.acting.Acting._carry_out",
        "scalewatch_torch.watching.session.Session.decide",
    ],
)
def test_a_fault_in_acting_costs_one_warning(
    new_trainer: NewTrainer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    """The run is watched to its end."""
    monkeypatch.delenv("SCALEWATCH_STRICT")

    def breaks(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no vote")

    monkeypatch.setattr(where, breaks)
    trainer = new_trainer([ScaleWatch(act=["stop"], quiet=True)], max_steps=60)

    trainer.fit(lost(at=30), loader())

    assert trainer.global_step == 60
    assert len([r for r in caplog.records if "'act' failed" in r.getMessage()]) == 1


def test_without_act_there_is_no_collective_of_ours(new_trainer: NewTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each collective of torch raises if we are the ones who call it."""
    ours = os.sep + "scalewatch"

    def guarded(name: str) -> Callable[..., Any]:
        real = getattr(torch.distributed, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            frame = sys._getframe(1)
            while frame is not None:
                assert ours not in frame.f_code.co_filename or "tests" in frame.f_code.co_filename, name
                frame = frame.f_back  # type: ignore[assignment]
            return real(*args, **kwargs)

        return call

    names = ("all_reduce", "broadcast", "barrier", "all_gather", "broadcast_object_list", "reduce", "gather")
    for name in names:
        monkeypatch.setattr(torch.distributed, name, guarded(name))
    for name in ("reduce", "reduce_boolean_decision", "barrier", "broadcast", "all_gather"):
        monkeypatch.setattr(pl.strategies.SingleDeviceStrategy, name, _not_from_a_step(name))

    trainer = new_trainer([ScaleWatch(grad_norm_every=1, quiet=True)])
    trainer.fit(TinyText(), loader(), loader(8))

    assert trainer.global_step == 20


def test_a_step_whose_gradient_is_no_number_is_skipped(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """The run goes on as if that batch had not been there; it stands in the journal and the verdict."""
    trainer = new_trainer([ScaleWatch(act=["skip", "stop"], quiet=True)], max_steps=60)
    module = TinyText(spoil=lambda n, loss: loss * math.nan if n in (20, 30, 31, 32) else loss)

    trainer.fit(module, loader())

    assert trainer.global_step == 60
    assert all(bool(torch.isfinite(each).all()) for each in module.parameters())
    assert [20, 30, 31, 32] == [each["step"] for each in told(tmp_path, "act")]
    rows = [text for label, text in told(tmp_path, "verdict")[0]["rows"] if label == "act"]
    assert "skips step 20, the gradient of which is no number (1 so far)" == rows[0]


def test_a_rate_is_lowered_and_released(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """While the loss stands up by itself the rate is half, in the steps and nowhere else; later it is whole again."""
    inside: list[float] = []
    outside: list[float] = []

    class Looks(TinyText):
        def on_before_optimizer_step(self, optimizer: Any) -> None:
            inside.append(optimizer.param_groups[0]["lr"])

        def on_train_batch_end(self, *_: Any) -> None:
            outside.append(self.trainer.optimizers[0].param_groups[0]["lr"])

    up = range(300, 370)
    module = Looks(spoil=lambda n, loss: loss + (3.0 if n in up else 0.0) + 1.0 + 0.01 * (n * 7 % 11))
    trainer = new_trainer([ScaleWatch(act=["lower_learning_rate"], quiet=True)], max_steps=700)

    trainer.fit(module, loader())

    assert {1e-2} == set(outside)
    assert pytest.approx(5e-3) == min(inside)
    assert pytest.approx(1e-2) == inside[-1]
    acts = told(tmp_path, "act")
    assert [0.5, 1.0] == [each["factor"] for each in acts]
    assert acts[0]["step"] in up
    journal = read_journal(tmp_path / "scalewatch")
    assert {1e-2} == {row.learning_rate for row in journal.observations}
    assert not any(finding.kind == "off_plan" for finding in journal.findings)


def test_a_cut_goes_on_after_a_break(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """The checkpoint of the optimizer has the scheduled rate, and ours the cut."""
    up = range(300, 420)
    module = TinyText(spoil=lambda n, loss: loss + (3.0 if n in up else 0.0) + 1.0 + 0.01 * (n * 7 % 11))
    first = new_trainer([ScaleWatch(act=["lower_learning_rate"], quiet=True)], max_steps=390)
    first.fit(module, loader())
    first.save_checkpoint(tmp_path / "cut.ckpt")
    saved = torch.load(tmp_path / "cut.ckpt", weights_only=False)

    again = TinyText()
    second = new_trainer([ScaleWatch(act=["lower_learning_rate"], quiet=True)], max_steps=400)
    second.fit(again, loader(), ckpt_path=tmp_path / "cut.ckpt")

    assert [1e-2] == [group["lr"] for group in saved["optimizer_states"][0]["param_groups"]]
    assert pytest.approx([5e-3] * 10) == again.rates


def _not_from_a_step(name: str) -> Callable[..., Any]:
    real = getattr(pl.strategies.SingleDeviceStrategy, name)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        callers = set()
        frame = sys._getframe(1)
        while frame is not None:
            if "scalewatch_lightning/callback.py" in frame.f_code.co_filename:
                callers.add(frame.f_code.co_name)
            frame = frame.f_back  # type: ignore[assignment]
        # the folder of the trainer is a broadcast, read in `setup` on every process
        assert callers <= {"setup", "_set_up", "_where"}, (name, callers)
        return real(self, *args, **kwargs)

    return call

"""The training is the same with the callback and without it, whatever goes wrong inside of it."""

from __future__ import annotations

import copy
import logging
import pickle
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from torch import nn

from scalewatch.journal import read_journal
from scalewatch_lightning import ScaleWatch
from tests.scalewatch_lightning.conftest import TinyText, loader

NewTrainer = Callable[..., pl.Trainer]


class Dropped(TinyText):
    """Draws random numbers in each step, from all three sources."""

    def loss(self, batch: Any) -> torch.Tensor:
        noise = random.random() + np.random.rand()  # noqa: NPY002
        return super().loss(batch) * (1 + 0.01 * noise) + nn.functional.dropout(self.head.weight, 0.5).square().sum()


def trained(new_trainer: NewTrainer, callbacks: list[Any], **options: Any) -> tuple[Any, ...]:
    """Weights and random states after a training from the same seed."""
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    module = Dropped(
        scheduler=lambda opt: torch.optim.lr_scheduler.CosineAnnealingLR(opt, 50),
        spoil=lambda n, loss: loss + float("nan") if n == 15 else loss,  # the value; its gradient is as before
    )
    shuffled = torch.utils.data.DataLoader(loader().dataset, batch_size=4, shuffle=True)
    new_trainer(callbacks, **options).fit(module, shuffled, loader(8))
    weights = [p.detach().numpy().tobytes() for p in module.parameters()]
    numpy_state = np.random.get_state()[1].tobytes()  # noqa: NPY002
    return weights, torch.get_rng_state().numpy().tobytes(), numpy_state, random.getstate()


def test_nothing_changes(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """200 steps: the same weights and the same random states, to the bit."""
    options = {"max_steps": 200, "logger": TensorBoardLogger(tmp_path)}
    alone = trained(new_trainer, [], **options)

    watched = trained(new_trainer, [ScaleWatch(grad_norm_every=1, quiet=True)], **options)

    assert watched == alone


#: Everything that can fail while a run is watched, by where it is looked up.
FAULTS = [
    "scalewatch_lightning.callback.count_sizes",
    "scalewatch_lightning.callback.ScaleWatch._where",
    "scalewatch_lightning.callback.start",
    "scalewatch_torch.watching.session.Session.__init__",
    "scalewatch_lightning.sessions.Terminal.__init__",
    "scalewatch_lightning.callback.validation_losses",
    "scalewatch_lightning.sessions.loggers_of",
    "scalewatch_lightning.callback.why_no_norm",
    "scalewatch_torch.watching.session.Session.observe",
    "scalewatch_torch.watching.session.Session.state",
    "scalewatch_lightning.start.trainer_rates",
    "scalewatch_lightning.start.tokens_in",
    "scalewatch_lightning.start.Run.__init__",
    "scalewatch_torch.watching.step_metrics.gradient_norm",
    "scalewatch_lightning.step_metrics.tokens_in",
    "scalewatch_torch.watching.step_metrics.StepMetrics.before_step",
    "scalewatch_lightning.step_metrics.TrainerSteps._loss",
    "scalewatch_torch.scalars.HostReader.take",
    "scalewatch_torch.scalars.HostReader.flush",
    "scalewatch_torch.watching.resumed.Monitor.__init__",
    "scalewatch_torch.watching.resumed.Monitor.observe",
    "scalewatch_torch.watching.resumed.Monitor.advice",
    "scalewatch_torch.watching.resumed.Monitor.expected_at",
    "scalewatch_torch.watching.resumed.Monitor.verdict",
    "scalewatch_torch.watching.records.JournalWriter.__init__",
    "scalewatch_torch.watching.records.JournalWriter.append",
    "scalewatch_torch.watching.records.JournalWriter.drain",
    "scalewatch_torch.watching.records.observation_record",
    "scalewatch_torch.watching.records.finding_record",
    "scalewatch_torch.watching.drawing.verdict_markdown",
    "scalewatch_torch.watching.drawing.Board.__init__",
    "scalewatch_torch.watching.drawing.Board.point",
    "scalewatch_torch.watching.drawing.Board.drain",
    "scalewatch_torch.watching.session.Worker.__init__",
    "scalewatch_torch.loggers.tensorboard.layout_summary",
    "scalewatch_torch.watching.terminal.verdict_table",
    "scalewatch_torch.watching.terminal.in_colour",
    "scalewatch_torch.watching.terminal.finding_line",
    "scalewatch.forecast.forecaster.Forecaster.forecast",
    "scalewatch.detect.ensemble.DetectorSet.observe",
]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    """What a training without the callback ends with."""
    folder = tmp_path_factory.mktemp("alone")
    trainer = lambda callbacks, **options: pl.Trainer(  # noqa: E731
        callbacks=callbacks,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        **options,
    )
    return trained(trainer, [], max_steps=25, val_check_interval=5, logger=TensorBoardLogger(folder))


def fault(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a fault of ours")


@pytest.mark.parametrize("where", FAULTS)
def test_a_fault_of_ours_costs_one_warning_and_nothing_else(
    where: str,
    alone: tuple[Any, ...],
    new_trainer: NewTrainer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each call of ours made to raise in turn: the weights are the same, and one line tells of it."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    raised: list[str] = []

    def raises(*_: Any, **__: Any) -> Any:
        raised.append(where)
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(where, raises)

    watched = trained(
        new_trainer,
        [ScaleWatch(grad_norm_every=2)],
        max_steps=25,
        val_check_interval=5,
        logger=TensorBoardLogger(tmp_path),
    )

    assert raised
    assert watched == alone
    told = [r.getMessage() for r in caplog.records if r.name == "scalewatch" and r.levelno >= logging.WARNING]
    assert len(told) <= 1, told


def test_a_part_that_is_off_costs_no_step_anything(new_trainer: NewTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is logged is looked at some times in a run, also where nobody can be told of it any more."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    monkeypatch.setattr("scalewatch_torch.watching.session.Session.learn_logged", fault)
    looks: list[int] = []
    monkeypatch.setattr(
        pl.Trainer, "callback_metrics", property(lambda trainer: looks.append(trainer.global_step) or {})
    )

    new_trainer([ScaleWatch(quiet=True)], max_steps=100, enable_checkpointing=False).fit(TinyText(), loader(400))

    assert 1 <= len(looks) <= 7


def test_three_parts_that_fail_switch_all_of_it_off(
    new_trainer: NewTrainer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The journal, the terminal and the gradient norm fail: three warnings, one more, and silence."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    watching = "scalewatch_torch.watching"
    parts = (f"{watching}.records.observation_record", f"{watching}.terminal.in_colour")
    for where in (*parts, f"{watching}.step_metrics.gradient_norm"):
        monkeypatch.setattr(where, fault)

    new_trainer([ScaleWatch(grad_norm_every=4)]).fit(TinyText(), loader())

    told = [r.getMessage() for r in caplog.records if r.name == "scalewatch"]
    assert len(told) == 4
    assert "all of it is off" in told[-1]
    journal = read_journal(tmp_path / "scalewatch")
    verdict = dict(next(r["rows"] for r in journal.others if r["type"] == "verdict"))
    assert "gradient norm (RuntimeError: a fault of ours)" in verdict["switched off"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize(
    "where",
    [
        "scalewatch_torch.watching.resumed.Monitor.observe",
        "scalewatch_lightning.callback.start",
        "scalewatch_torch.watching.step_metrics.gradient_norm",
    ],
)
def test_what_stops_a_program_passes_through_us(
    stop: type[BaseException], where: str, new_trainer: NewTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not a fault of ours, and whoever pressed the keys wants the run to end."""
    monkeypatch.delenv("SCALEWATCH_STRICT")

    def stops(*_: Any, **__: Any) -> Any:
        raise stop

    monkeypatch.setattr(where, stops)
    # Lightning turns Ctrl-C into an exit with status 1
    expected = SystemExit if stop is KeyboardInterrupt else stop

    with pytest.raises(expected):
        new_trainer([ScaleWatch(grad_norm_every=1, quiet=True)]).fit(TinyText(), loader())


def test_a_stop_iteration_of_ours_does_not_end_the_epoch(
    new_trainer: NewTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of a hook it would, without a word."""
    monkeypatch.delenv("SCALEWATCH_STRICT")

    def stops(*_: Any, **__: Any) -> Any:
        raise StopIteration

    monkeypatch.setattr("scalewatch_torch.watching.resumed.Monitor.observe", stops)
    trainer = new_trainer([ScaleWatch(quiet=True)])

    trainer.fit(TinyText(), loader())

    assert trainer.global_step == 20


def test_a_folder_that_cannot_be_written_costs_one_warning(
    new_trainer: NewTrainer, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run is watched without a journal."""
    (tmp_path / "scalewatch").write_text("a file where the folder should be")

    new_trainer([ScaleWatch()]).fit(TinyText(), loader())

    told = [r.getMessage() for r in caplog.records if r.name == "scalewatch"]
    assert len(told) == 1
    assert "cannot be written" in told[0]
    assert "health" in capsys.readouterr().out


def test_a_standard_output_that_is_closed_costs_one_warning(
    new_trainer: NewTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The journal has it all."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    closed = open(tmp_path / "out", "w")  # noqa: SIM115
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)

    new_trainer([ScaleWatch()]).fit(TinyText(), loader())

    assert len([r for r in caplog.records if r.name == "scalewatch"]) == 1
    assert len(read_journal(tmp_path / "scalewatch").observations) == 20


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda callback: pickle.loads(pickle.dumps(callback))])
def test_a_copy_made_during_a_fit_is_a_callback_that_has_seen_nothing(
    copied: Callable[[ScaleWatch], ScaleWatch], new_trainer: NewTrainer, tmp_path: Path
) -> None:
    """Launchers and tuners copy callbacks: it has no thread and no file of the run, and watches one of its own."""
    made: list[ScaleWatch] = []

    class Copies(pl.Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any, **__: Any) -> None:
            if trainer.global_step == 3:
                made.append(copied(next(each for each in trainer.callbacks if isinstance(each, ScaleWatch))))

    new_trainer([ScaleWatch(quiet=True), Copies()]).fit(TinyText(), loader())
    new_trainer(made, max_steps=7, default_root_dir=tmp_path / "copy").fit(TinyText(), loader())

    steps = {name: len(read_journal(tmp_path / name).observations) for name in ("scalewatch", "copy/scalewatch")}
    assert {"scalewatch": 20, "copy/scalewatch": 7} == steps


def test_a_hook_that_somebody_wrote_anew_is_called_at_each_batch(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """Those of ours in which there is nothing to do are left out after the first batch; theirs are not."""

    class Counting(ScaleWatch):  # type: ignore[misc]  # at run time nothing forbids it
        calls = 0

        def on_after_backward(self, trainer: Any, pl_module: Any) -> None:
            super().on_after_backward(trainer, pl_module)
            self.calls += 1

    callback = Counting(quiet=True)
    new_trainer([callback]).fit(TinyText(), loader())

    assert 20 == callback.calls
    assert 20 == len(read_journal(tmp_path / "scalewatch").observations)

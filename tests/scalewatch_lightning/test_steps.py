"""What is observed of each step is what the step really was."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from scalewatch.journal import Journal, read_journal
from scalewatch_lightning import ScaleWatch
from scalewatch_lightning import start as begin
from scalewatch_torch.scalars import DeviceReader
from tests.scalewatch_lightning.conftest import BATCH, TIME, TinyText, loader

Watched = Callable[..., Journal]


def test_every_step_is_observed_once_with_its_loss(watched: Watched) -> None:
    """Steps 1 to 20 in order, and the losses that `training_step` returned."""
    module = TinyText()

    journal = watched(module)

    assert [row.step for row in journal.observations] == list(range(1, 21))
    assert [row.loss for row in journal.observations] == pytest.approx(module.losses, rel=1e-6)


def test_an_accumulated_loss_is_the_mean_over_its_batches(watched: Watched) -> None:
    """Lightning hands the loss out divided by 4, and 18 batches an epoch leave a step of two."""
    module = TinyText()

    journal = watched(module, data=loader(rows=72), accumulate_grad_batches=4, max_steps=10)

    by_epoch = [module.losses[i : i + 18] for i in (0, 18)]
    steps = [epoch[i : i + 4] for epoch in by_epoch for i in range(0, 18, 4)]
    expected = [sum(losses) / len(losses) for losses in steps]
    assert len(expected) == 10
    assert [row.loss for row in journal.observations] == pytest.approx(expected, rel=1e-6)


def test_tokens_are_counted_in_the_batch(watched: Watched) -> None:
    """Letters of all micro batches, also of the smaller one at the end of an epoch."""
    journal = watched(TinyText(), data=loader(rows=30), max_steps=10, accumulate_grad_batches=2)

    letters = TIME + 1
    per_epoch = [8 * letters, 8 * letters, 8 * letters, 6 * letters]
    expected = [sum((per_epoch * 3)[: i + 1]) for i in range(10)]
    assert [row.tokens for row in journal.observations] == expected
    assert journal.run is not None
    assert journal.run.tokens_per_step == 2 * BATCH * letters


def test_tokens_per_step_can_be_given(watched: Watched) -> None:
    """Then it is believed, and nothing is counted."""
    journal = watched(TinyText(), ScaleWatch(tokens_per_step=1000, quiet=True), max_steps=3)

    assert [row.tokens for row in journal.observations] == [1000, 2000, 3000]


class Pixels(TinyText):
    def loss(self, batch: Any) -> torch.Tensor:
        image, label = batch
        return nn.functional.cross_entropy(self.head(image.flatten(1)[:, :8]), label)


def test_a_batch_without_text_costs_one_warning(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """Images have no tokens; the run is watched by steps."""
    images = torch.utils.data.TensorDataset(torch.randn(64, 1, 4, 4), torch.randint(0, 16, (64,)))

    journal = watched(Pixels(), data=torch.utils.data.DataLoader(images, batch_size=4))

    assert [record.message for record in caplog.records if "tokens" in record.message] == [
        "scalewatch: the tokens of a batch cannot be counted: it holds no integer tensor of shape"
        " (batch, time). Give `tokens_per_step` to compare runs by tokens; steps are used until then."
    ]
    assert len(journal.observations) == 20
    assert {row.tokens for row in journal.observations} == {None}


def test_the_learning_rate_is_that_of_the_step_just_done(watched: Watched) -> None:
    """And not the next one's, which the optimizer holds when the batch ends."""
    module = TinyText(scheduler=lambda opt: torch.optim.lr_scheduler.LambdaLR(opt, lambda n: 1 / (n + 1)))

    journal = watched(module)

    assert [row.learning_rate for row in journal.observations] == module.rates


def test_the_learning_rate_is_that_of_the_largest_group(watched: Watched) -> None:
    """The head has more parameters than the embedding, and comes second."""

    class Groups(TinyText):
        def configure_optimizers(self) -> Any:
            small, large = {"params": self.embed.parameters(), "lr": 7.0}, {"params": self.head.parameters()}
            return torch.optim.SGD([small, large], lr=0.01)

    journal = watched(Groups(), max_steps=2)

    assert {row.learning_rate for row in journal.observations} == {0.01}


class Norms(TinyText):
    def __init__(self) -> None:
        super().__init__()
        self.norms: list[float] = []

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        self.norms.append(math.sqrt(sum(float(p.grad.square().sum()) for p in self.parameters())))


def test_the_gradient_norm_is_taken_every_so_many_steps_before_clipping(watched: Watched) -> None:
    """The whole norm of the accumulated gradient, at steps 3, 6 and 9."""
    module = Norms()

    journal = watched(
        module,
        ScaleWatch(grad_norm_every=3, quiet=True),
        max_steps=10,
        accumulate_grad_batches=2,
        gradient_clip_val=1e-3,
    )

    taken = {row.step: row.grad_norm for row in journal.observations if row.grad_norm is not None}
    assert list(taken) == [3, 6, 9]
    assert list(taken.values()) == pytest.approx(module.norms[2::3], rel=1e-5)


def test_the_gradient_norm_can_be_left_out(watched: Watched) -> None:
    """0 is for never."""
    journal = watched(TinyText(), ScaleWatch(grad_norm_every=0, quiet=True))

    assert {row.grad_norm for row in journal.observations} == {None}


def test_sparse_gradients_are_not_measured_and_one_note_says_so(watched: Watched) -> None:
    """Their norm needs a copy that is not sparse."""
    module = TinyText()
    module.embed.sparse = True

    journal = watched(module, ScaleWatch(grad_norm_every=2, quiet=True))

    notes = [r["text"] for r in journal.others if r["type"] == "note"]
    assert notes == ["note: the gradient norm is not watched: some gradients are sparse."]
    assert {row.grad_norm for row in journal.observations} == {None}


def test_the_validation_loss_comes_with_the_next_step(watched: Watched) -> None:
    """The check before training is not one of them, and neither is a step without validation."""
    journal = watched(TinyText(), validation=loader(8), val_check_interval=5, num_sanity_val_steps=2)

    with_one = {row.step for row in journal.observations if row.validation_loss is not None}
    assert with_one == {6, 11, 16}
    assert all(0 < row.validation_loss < 5 for row in journal.observations if row.validation_loss)


def test_the_validation_loss_after_the_last_step_is_not_lost(watched: Watched) -> None:
    """There is no next step to come with."""
    journal = watched(
        TinyText(),
        validation=loader(8),
        val_check_interval=20,
        max_steps=20,
        max_epochs=-1,
        check_val_every_n_epoch=None,
    )

    verdict = dict(next(r["rows"] for r in journal.others if r["type"] == "verdict"))
    assert 0 < float(verdict["validation loss"].split()[0]) < 5


def test_a_step_that_returns_none_is_counted_and_not_observed(watched: Watched) -> None:
    """Batches 3 and 7 are skipped by the module; the trainer counts them as steps."""
    module = TinyText(spoil=lambda n, loss: None if n in (3, 7) else loss)

    journal = watched(module)

    assert [row.step for row in journal.observations] == [n for n in range(1, 21) if n not in (3, 7)]
    verdict = dict(next(r["rows"] for r in journal.others if r["type"] == "verdict"))
    assert verdict["watched"] == "18 of 20 steps; 2 had no loss"


def test_a_loss_that_is_nan_is_observed_and_found(watched: Watched) -> None:
    """It is a value like others; the first is a note, and one that stays is critical."""
    module = TinyText(spoil=lambda n, loss: loss * math.nan if n == 12 else loss)

    journal = watched(module)

    assert math.isnan(journal.observations[11].loss)
    found = [(each.kind, each.severity, each.step) for each in journal.findings[:2]]
    assert found == [("nonfinite", "info", 12), ("nonfinite", "critical", 14)]


class ByHand(TinyText):
    """Two optimizers, stepped by the module: the embedding every batch, the head every second one."""

    def __init__(self, returns: str = "loss") -> None:
        super().__init__()
        self.automatic_optimization = False
        self.returns = returns

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        small, large = self.optimizers()
        loss = self.loss(batch)
        self.manual_backward(loss)
        small.step()
        if batch_idx % 2:
            large.step()
            large.zero_grad()
        small.zero_grad()
        self.losses.append(loss.item())
        if self.returns == "logged":
            self.log("train_loss", loss)
        return {"loss": loss} if self.returns == "loss" else None

    def configure_optimizers(self) -> Any:
        sgd = torch.optim.SGD
        return [sgd(self.embed.parameters(), lr=0.5), sgd(self.head.parameters(), lr=0.01)]


@pytest.mark.parametrize("returns", ["loss", "logged"])
def test_by_hand_a_step_is_one_of_the_largest_optimizer(watched: Watched, returns: str) -> None:
    """Each is the mean of two batches, whatever the trainer counts; a logged loss does as well."""
    module = ByHand(returns)

    journal = watched(module, max_steps=-1, max_epochs=1)

    pairs = zip(module.losses[::2], module.losses[1::2], strict=True)
    assert [row.step for row in journal.observations] == list(range(1, 9))
    assert [row.loss for row in journal.observations] == pytest.approx([(a + b) / 2 for a, b in pairs], rel=1e-5)
    assert {row.learning_rate for row in journal.observations} == {0.01}
    assert journal.run is not None
    assert journal.run.total_steps is None


def test_by_hand_without_any_loss_there_is_one_warning(
    new_trainer: Callable[..., pl.Trainer], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It says what to do about it, and training goes on."""
    new_trainer([ScaleWatch(quiet=True)], max_epochs=2, max_steps=-1).fit(ByHand("nothing"), loader())

    warnings = [r.message for r in caplog.records if r.levelno >= logging.WARNING and "no loss" in r.message]
    assert len(warnings) == 1
    assert "return it as 'loss'" in warnings[0]
    assert read_journal(tmp_path / "scalewatch").observations == []


def test_through_the_buffer_of_a_device_every_step_arrives(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """40 steps in transfers of 16, the rest at the end; a checkpoint in between misses none either."""
    monkeypatch.setattr(begin, "reader_for", lambda device: DeviceReader(device))
    module, watch = TinyText(), ScaleWatch(quiet=True)
    at: dict[int, int] = {}
    module.on_train_batch_end = lambda *_: at.update({len(module.losses): seen(watch)})  # type: ignore[method-assign]

    journal = watched(module, watch, max_steps=40, accumulate_grad_batches=2)

    assert [row.step for row in journal.observations] == list(range(1, 41))
    pairs = zip(module.losses[::2], module.losses[1::2], strict=True)
    assert [row.loss for row in journal.observations] == pytest.approx([(a + b) / 2 for a, b in pairs], rel=1e-6)
    assert at == {n: (n // 2) // 16 * 16 for n in range(1, 81)}
    assert watch.state_dict()["step"] == 40


def seen(watch: ScaleWatch) -> int:
    assert watch._watch is not None
    return watch._watch.session.observed


def test_a_checkpoint_waits_for_what_is_still_on_the_device(
    new_trainer: Callable[..., pl.Trainer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 5 is in the middle of a transfer, and in the monitor's state all the same."""
    monkeypatch.setattr(begin, "reader_for", lambda device: DeviceReader(device))
    watch = ScaleWatch(quiet=True)
    states: list[Any] = []
    module = TinyText()
    module.on_train_batch_end = lambda *_: states.append((watch.state_dict()["step"], seen(watch)))  # type: ignore[method-assign]

    new_trainer([watch], max_steps=6).fit(module, loader())

    assert states == [(n, n) for n in range(1, 7)]


class Frozen(TinyText):
    def configure_optimizers(self) -> None:
        return None

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        assert optimizer.param_groups == []


def test_a_module_without_an_optimizer_costs_one_warning(
    new_trainer: Callable[..., pl.Trainer], caplog: pytest.LogCaptureFixture
) -> None:
    """There are no steps to watch."""
    new_trainer([ScaleWatch(quiet=True)], max_epochs=1, max_steps=-1).fit(Frozen(), loader())

    assert [r.getMessage() for r in caplog.records if r.name == "scalewatch"] == [
        "scalewatch: the module has no optimizer, so there are no steps to watch."
    ]


def test_the_journal_says_when_each_step_was(watched: Watched) -> None:
    """Wall-clock seconds, rising: hours are an axis for whoever looks at the run later."""
    began = time.time()
    journal = watched(TinyText(), max_steps=20)
    seconds = [row.seconds for row in journal.observations]

    assert len(seconds) == 20
    assert all(began - 1 < at < time.time() + 1 for at in seconds if at is not None)
    assert sorted(at for at in seconds if at is not None) == seconds


def test_fast_steps_that_are_observed_together_are_found_as_each_by_itself(watched: Watched, tmp_path: Path) -> None:
    """A spike, a level that stays and a number that is none; where it may act each step is observed at once."""

    def spoil(seen: int, loss: torch.Tensor) -> torch.Tensor:
        level = 9.0 if seen == 101 else 4.0 if seen > 180 else 2.0
        return 0.0 * loss + (level + 0.01 * math.sin(seen) if seen != 150 else math.nan)

    options = {"max_steps": 240, "max_epochs": -1}
    together = watched(TinyText(spoil=spoil), ScaleWatch(directory=tmp_path / "scalewatch", quiet=True), **options)
    apart = ScaleWatch(directory=tmp_path / "scalewatch", name="apart", act="dry-run", quiet=True)
    watched(TinyText(spoil=spoil), apart, **options)
    each = read_journal(tmp_path / "scalewatch" / "apart")

    assert {101, 150, 181} <= {finding.start_step for finding in together.findings}
    assert [repr(finding) for finding in each.findings] == [repr(finding) for finding in together.findings]
    assert len(each.observations) == len(together.observations) == 240


def test_a_loader_that_becomes_slow_is_noted_while_it_is(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock of which a step takes a second, and from step 100 on three; the journal has the hour of each step."""
    steps = itertools.count(1)
    hour = SimpleNamespace(time=lambda: 1.7e9 + sum(3.0 if step > 100 else 1.0 for step in range(next(steps))))
    monkeypatch.setattr("scalewatch_torch.watching.step_metrics.time", hour)

    journal = watched(TinyText(), data=loader(), max_steps=160)

    assert [("throughput", "info")] == [(str(each.kind), str(each.severity)) for each in journal.findings]
    assert "3.0 times slower" in journal.findings[0].message
    assert 100 <= journal.findings[0].start_step <= 108
    assert 1.7e9 + 160.0 + 2.0 * 59 == journal.observations[159].seconds

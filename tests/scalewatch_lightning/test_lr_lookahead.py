"""The planned learning rates are those that the run then takes, and nothing is touched to find them."""

from __future__ import annotations

import copy
import logging
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.optim import lr_scheduler as lrs

from scalewatch.journal import Journal
from scalewatch_lightning import ScaleWatch
from scalewatch_torch import lr_lookahead
from tests.scalewatch_lightning.conftest import TinyText, loader

STEPS = 30


def warmed_cosine(optimizer: Any) -> Any:
    warm = lrs.LinearLR(optimizer, 0.1, total_iters=5)
    return lrs.SequentialLR(optimizer, [warm, lrs.CosineAnnealingLR(optimizer, 25)], [5])


def chained(optimizer: Any) -> Any:
    return lrs.ChainedScheduler([lrs.LinearLR(optimizer, 0.1, total_iters=5), lrs.ExponentialLR(optimizer, 0.9)])


class Halving:
    """A callable that keeps count, as some people write them."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, step: int) -> float:
        self.calls += 1
        return 0.5**self.calls


SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "lambda": partial(lrs.LambdaLR, lr_lambda=lambda n: min(1.0, (n + 1) / 10)),
    "stateful lambda": lambda opt: lrs.LambdaLR(opt, Halving()),
    "multiplicative": partial(lrs.MultiplicativeLR, lr_lambda=lambda n: 0.95),
    "step": partial(lrs.StepLR, step_size=7, gamma=0.3),
    "milestones": partial(lrs.MultiStepLR, milestones=[5, 11], gamma=0.3),
    "constant": partial(lrs.ConstantLR, factor=0.2, total_iters=9),
    "linear": partial(lrs.LinearLR, start_factor=0.1, total_iters=12),
    "exponential": partial(lrs.ExponentialLR, gamma=0.9),
    "polynomial": partial(lrs.PolynomialLR, total_iters=20, power=2.0),
    "cosine": partial(lrs.CosineAnnealingLR, T_max=30, eta_min=1e-4),
    "warm restarts": partial(lrs.CosineAnnealingWarmRestarts, T_0=7, T_mult=2),
    "one cycle": partial(lrs.OneCycleLR, max_lr=0.1, total_steps=STEPS + 1),
    "cyclic": partial(lrs.CyclicLR, base_lr=0.01, max_lr=0.1, step_size_up=4, mode="exp_range", gamma=0.95),
    "sequential": warmed_cosine,
    "chained": chained,
}


def plan_of(journal: Journal) -> list[float]:
    assert journal.run is not None
    assert journal.run.learning_rates is not None
    return journal.run.learning_rates.tolist()


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_plan_is_what_is_taken(watched: Callable[..., Journal], name: str) -> None:
    """For each step of each scheduler of torch."""
    module = TinyText(scheduler=SCHEDULERS[name])

    journal = watched(module, max_steps=STEPS)

    assert len(module.rates) == STEPS
    # the journal keeps a plan within 1e-6 of its peak
    assert plan_of(journal) == pytest.approx(module.rates, abs=2e-6 * max(module.rates))


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("frequency", [1, 2])
@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_the_plan_follows_interval_frequency_and_accumulation(
    watched: Callable[..., Journal], interval: str, frequency: int, accumulate: int
) -> None:
    """Epochs of 8 batches, so that a step at an epoch's end is made of fewer batches than the others."""
    module = TinyText(
        scheduler=lambda opt: {
            "scheduler": lrs.ExponentialLR(opt, 0.8),
            "interval": interval,
            "frequency": frequency,
        }
    )

    journal = watched(module, data=loader(32), max_steps=STEPS, accumulate_grad_batches=accumulate)

    assert len(set(module.rates)) > 1
    assert plan_of(journal) == pytest.approx(module.rates, abs=2e-6 * max(module.rates))


def test_without_a_scheduler_the_plan_is_constant(watched: Callable[..., Journal]) -> None:
    """There is nothing that would change it."""
    assert plan_of(watched(TinyText(learning_rate=0.02))) == [0.02] * 20


class Looks(pl.Callback):
    """Compares the scheduler, the optimizer and the random states before and after ours was set up."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == 0:
            scheduler, optimizer = trainer.lr_scheduler_configs[0].scheduler, trainer.optimizers[0]
            state = {k: v for k, v in scheduler.state_dict().items() if k != "_schedulers"}
            calls = [f.calls for f in getattr(scheduler, "lr_lambdas", []) if isinstance(f, Halving)]
            groups = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
            rng = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
            self.seen.append((copy.deepcopy((state, groups)), calls, rng))


def draws_numbers(optimizer: Any) -> Any:
    return lrs.LambdaLR(optimizer, lambda n: random.random() + float(torch.rand(())) + np.random.rand())  # noqa: NPY002


@pytest.mark.parametrize("scheduler", [*SCHEDULERS.values(), draws_numbers], ids=[*SCHEDULERS, "random"])
def test_running_ahead_leaves_no_trace(new_trainer: Callable[..., pl.Trainer], scheduler: Callable[[Any], Any]) -> None:
    """Scheduler, groups and random states are the same before and after."""
    before, after = Looks(), Looks()

    new_trainer([before, ScaleWatch(quiet=True), after], max_steps=STEPS).fit(TinyText(scheduler=scheduler), loader())

    assert len(before.seen) == 1
    assert before.seen == after.seen


class Unique:
    """A schedule that cannot be copied."""

    def __call__(self, step: int) -> float:
        return 1.0

    def __deepcopy__(self, memo: Any) -> Any:
        raise ValueError("there is only one of me")


def plateau(optimizer: Any) -> dict[str, Any]:
    return {"scheduler": lrs.ReduceLROnPlateau(optimizer), "interval": "epoch", "monitor": "val_loss", "strict": False}


def per_epoch(optimizer: Any) -> dict[str, Any]:
    return {"scheduler": lrs.ExponentialLR(optimizer, 0.9), "interval": "epoch"}


class Overrides(TinyText):
    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        scheduler.step()


class Endless(torch.utils.data.IterableDataset[Any]):
    def __iter__(self) -> Any:
        while True:
            yield from ((row,) for row in loader().dataset.tensors[0])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("module", "endless", "why"),
    [
        (TinyText(scheduler=plateau), False, "ReduceLROnPlateau"),
        (Overrides(scheduler=SCHEDULERS["cosine"]), False, "overrides lr_scheduler_step"),
        (TinyText(scheduler=per_epoch), True, "length of an epoch is unknown"),
        (TinyText(scheduler=lambda opt: lrs.LambdaLR(opt, Unique())), False, "there is only one of me"),
    ],
    ids=["plateau", "override", "endless epoch", "raises"],
)
def test_an_unknown_plan_costs_one_warning(
    watched: Callable[..., Journal],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    module: TinyText,
    endless: bool,
    why: str,
) -> None:
    """It says why, the run has no plan, and every step is watched all the same."""
    monkeypatch.delenv("SCALEWATCH_STRICT")
    data = torch.utils.data.DataLoader(Endless(), batch_size=4) if endless else loader()

    journal = watched(module, data=data, max_steps=10, max_epochs=-1)

    told = [r.getMessage() for r in caplog.records if r.name == "scalewatch" and r.levelno >= logging.WARNING]
    assert len(told) == 1
    assert why in told[0]
    assert journal.run is not None
    assert (journal.run.total_steps, journal.run.learning_rates) == (10, None)
    assert len(journal.observations) == 10


def test_a_run_without_an_end_has_no_plan(watched: Callable[..., Journal], monkeypatch: pytest.MonkeyPatch) -> None:
    """Endless training, stopped by somebody."""

    class StopsAt(pl.Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            trainer.should_stop = trainer.global_step >= 12

    module = TinyText(scheduler=SCHEDULERS["cosine"])
    module.configure_callbacks = lambda: [StopsAt()]  # type: ignore[method-assign]

    journal = watched(module, max_steps=-1, max_epochs=-1)

    assert journal.run is not None
    assert (journal.run.total_steps, journal.run.learning_rates) == (None, None)
    assert len(journal.observations) == 12


def test_a_plan_that_takes_too_long_is_given_up(
    watched: Callable[..., Journal], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that nobody can ask for a rate far ahead; the time is looked at every so many steps."""
    monkeypatch.setattr(lr_lookahead, "BUDGET_SECONDS", -1.0)
    chained = torch.optim.lr_scheduler.ChainedScheduler

    journal = watched(
        TinyText(scheduler=lambda opt: chained([SCHEDULERS["cosine"](opt), torch.optim.lr_scheduler.ConstantLR(opt)]))
    )

    assert journal.run is not None
    assert journal.run.learning_rates is None
    assert "20 steps take too long to run ahead" in caplog.text


def test_after_a_resume_the_past_is_that_of_the_checkpoint(
    watched: Callable[..., Journal], new_trainer: Callable[..., pl.Trainer], tmp_path: Path
) -> None:
    """Step 12 is in the middle of an epoch, and the whole plan is as in one go."""
    module = TinyText(scheduler=SCHEDULERS["sequential"])
    watch = ScaleWatch(quiet=True)
    first = new_trainer([watch], max_steps=12, limit_train_batches=8)
    first.fit(module, loader())
    first.save_checkpoint(tmp_path / "at12.ckpt")
    module = TinyText(scheduler=SCHEDULERS["sequential"])

    journal = watched(module, ckpt_path=tmp_path / "at12.ckpt", max_steps=STEPS, limit_train_batches=8)

    assert plan_of(journal)[12:] == pytest.approx(module.rates, abs=1e-7)
    whole = TinyText(scheduler=SCHEDULERS["sequential"])
    new_trainer([], max_steps=STEPS, limit_train_batches=8).fit(whole, loader())
    assert plan_of(journal) == pytest.approx(whole.rates, abs=1e-7)


def test_without_a_checkpoint_of_ours_the_past_is_taken_as_constant(
    watched: Callable[..., Journal], new_trainer: Callable[..., pl.Trainer], tmp_path: Path
) -> None:
    """Nobody knows it; the rates to come are known all the same."""
    first = new_trainer([], max_steps=12, limit_train_batches=8)
    first.fit(TinyText(scheduler=SCHEDULERS["sequential"]), loader())
    first.save_checkpoint(tmp_path / "at12.ckpt")
    module = TinyText(scheduler=SCHEDULERS["sequential"])

    journal = watched(module, ckpt_path=tmp_path / "at12.ckpt", max_steps=STEPS, limit_train_batches=8)

    assert plan_of(journal)[:12] == pytest.approx([module.rates[0]] * 12, abs=1e-7)
    assert plan_of(journal)[12:] == pytest.approx(module.rates, abs=1e-7)
    assert [row.step for row in journal.observations] == list(range(13, 31))

"""A resumed run is watched as if it had never been interrupted, and a bad checkpoint costs one warning."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from scalewatch.journal import read_journal
from scalewatch_lightning import ScaleWatch
from tests.scalewatch_lightning.conftest import TinyText, loader

NewTrainer = Callable[..., pl.Trainer]

#: A checkpoint must not grow by more than this [bytes].
MAX_STATE_BYTES = 64 * 1024


def module() -> TinyText:
    torch.manual_seed(0)
    return TinyText(scheduler=lambda opt: torch.optim.lr_scheduler.CosineAnnealingLR(opt, 60))


def plain(value: object) -> bool:
    """Whether a value is made of what `weights_only=True` loads without a list of allowed classes."""
    if isinstance(value, dict):
        return all(type(key) is str and plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(plain(item) for item in value)
    return value is None or type(value) in (int, float, str, bool)


@pytest.mark.parametrize("at", [16, 21, 48])
def test_a_resumed_run_ends_in_the_same_state(
    new_trainer: NewTrainer, tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At an epoch's end and in the middle of one: monitor, tokens and plan as without the break, at the same hour."""
    monkeypatch.setattr("scalewatch_torch.watching.step_metrics.time", SimpleNamespace(time=lambda: 1.7e9))
    saver = ModelCheckpoint(tmp_path / "saved", every_n_train_steps=at, save_top_k=-1, filename="{step}")
    whole, parts = ScaleWatch(quiet=True), ScaleWatch(quiet=True)
    new_trainer([whole, saver], max_steps=60, enable_checkpointing=True).fit(module(), loader())

    resumed = new_trainer([parts], max_steps=60)
    resumed.fit(module(), loader(), ckpt_path=tmp_path / "saved" / f"step={at}.ckpt")

    end, expected = parts.state_dict(), whole.state_dict()
    if at == 21:  # Lightning begins an interrupted epoch with its first batch again: other losses from here on
        del end["monitor"], expected["monitor"]
    assert json.dumps(end) == json.dumps(expected)
    journal = read_journal(tmp_path / "scalewatch")
    assert [row.step for row in journal.observations] == list(range(1, 61))
    assert [segment.resumes_after_step for segment in journal.segments] == [None, at]
    assert len(journal.rewinds) == 1


def test_the_state_is_plain_and_small_and_loads_with_weights_only(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """After 1,200 steps with a NaN and a spike."""
    spoiled = TinyText(spoil=lambda n, loss: loss + {600: math.nan, 1000: 9.0}.get(n, 0.0))
    watch = ScaleWatch(quiet=True)
    trainer = new_trainer([watch], max_steps=1200)

    trainer.fit(spoiled, loader())
    trainer.save_checkpoint(tmp_path / "end.ckpt")

    loaded = torch.load(tmp_path / "end.ckpt", weights_only=True)["callbacks"]
    assert list(loaded) == [watch.state_key]
    assert loaded[watch.state_key] == watch.state_dict()
    assert plain(watch.state_dict())
    torch.save(watch.state_dict(), tmp_path / "state")
    assert (tmp_path / "state").stat().st_size <= MAX_STATE_BYTES


GOOD = {"version": 1, "step": 20, "tokens": 800.0, "plan": None, "run_id": "a"}


@pytest.mark.parametrize(
    "state",
    [
        {"version": 0},
        {"version": 99, **GOOD, "monitor": {}} | {"version": 99},
        {"anything": [1, 2, 3]},
        {**GOOD, "monitor": None},
        {**GOOD, "monitor": {}},
        {**GOOD, "monitor": {"version": 1}},
        {**GOOD, "monitor": {"version": 1, "watch": "evil", "forecaster": 7}},
        {**GOOD, "monitor": {}, "step": -1},
        {**GOOD, "monitor": {}, "step": "x"},
        {**GOOD, "monitor": {}, "tokens": float("nan")},
        {**GOOD, "monitor": {}, "run_id": ["x"]},
        {**GOOD, "monitor": {}, "plan": {"steps": "evil"}},
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_a_state_that_cannot_be_read_costs_one_warning(
    new_trainer: NewTrainer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    state: dict[str, Any],
    strict: bool,
) -> None:
    """Older, newer, truncated, hostile: watching starts afresh, from the step that training goes on with."""
    if not strict:
        monkeypatch.delenv("SCALEWATCH_STRICT")
    monkeypatch.setattr(ScaleWatch, "state_dict", lambda self: state)
    first = new_trainer([ScaleWatch(quiet=True)], max_steps=16)
    first.fit(module(), loader())
    first.save_checkpoint(tmp_path / "a.ckpt")
    monkeypatch.undo()
    monkeypatch.setenv("SCALEWATCH_STRICT", "1" if strict else "0")

    trainer = new_trainer([ScaleWatch(quiet=True)], max_steps=32)
    trainer.fit(module(), loader(), ckpt_path=tmp_path / "a.ckpt")

    assert trainer.global_step == 32
    told = [r.getMessage() for r in caplog.records if r.name == "scalewatch" and r.levelno >= logging.WARNING]
    assert len(told) == 1
    assert "afresh" in told[0] or "state from the checkpoint" in told[0]
    assert read_journal(tmp_path / "scalewatch").observations[-1].step == 32


def test_two_callbacks_watch_the_same_run_each_for_itself(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """With a journal and a state of its own, also after a resume."""
    both = [ScaleWatch(name="a", quiet=True), ScaleWatch(name="b", grad_norm_every=1, quiet=True)]
    first = new_trainer(both, max_steps=16)
    first.fit(module(), loader())
    first.save_checkpoint(tmp_path / "a.ckpt")
    again = [ScaleWatch(name="b", grad_norm_every=1, quiet=True), ScaleWatch(name="a", quiet=True)]

    new_trainer(again, max_steps=32).fit(module(), loader(), ckpt_path=tmp_path / "a.ckpt")

    for name, norms in (("a", 3), ("b", 32)):
        rows = read_journal(tmp_path / "scalewatch" / name).observations
        assert [row.step for row in rows] == list(range(1, 33))
        assert sum(row.grad_norm is not None for row in rows) == norms


def test_two_callbacks_of_one_name_are_refused_when_the_trainer_is_built(new_trainer: NewTrainer) -> None:
    """By Lightning, which files a state under each name."""
    with pytest.raises(RuntimeError, match="more than one stateful callback of type `ScaleWatch`"):
        new_trainer([ScaleWatch(), ScaleWatch()])


def test_two_callbacks_of_one_name_are_refused_in_setup(new_trainer: NewTrainer) -> None:
    """Lightning does not look at those that are added later."""
    trainer = new_trainer([ScaleWatch()])
    trainer.callbacks.append(ScaleWatch())

    with pytest.raises(Exception, match="must have different names") as refusal:
        trainer.fit(module(), loader())

    assert type(refusal.value).__name__ == "ConfigError"


def test_a_second_fit_goes_on_where_the_first_one_ended(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """The same trainer and callback, without a checkpoint."""
    watch = ScaleWatch(quiet=True)
    trainer = new_trainer([watch], max_steps=16)
    trainer.fit(module(), loader())
    state = watch.state_dict()
    trainer.fit_loop.epoch_loop.max_steps = 32

    trainer.fit(module(), loader())

    assert watch.state_dict()["run_id"] == state["run_id"]
    assert [row.step for row in read_journal(tmp_path / "scalewatch").observations] == list(range(1, 33))


def test_another_trainer_begins_another_run(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """Also with the same callback."""
    watch = ScaleWatch(quiet=True)
    new_trainer([watch], max_steps=16).fit(module(), loader())
    first = watch.state_dict()["run_id"]

    new_trainer([watch], max_steps=16).fit(module(), loader())

    assert watch.state_dict()["run_id"] != first


def test_only_fit_is_watched(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """Validation, test and prediction write nothing."""
    trainer = new_trainer([ScaleWatch(quiet=True)])

    trainer.validate(module(), loader(8), verbose=False)

    assert not (tmp_path / "scalewatch").exists()


def test_a_dry_run_writes_nothing(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """`fast_dev_run` writes no logs and no checkpoints either."""
    new_trainer([ScaleWatch(quiet=True)], fast_dev_run=3, logger=True).fit(module(), loader())

    assert not (tmp_path / "scalewatch").exists()

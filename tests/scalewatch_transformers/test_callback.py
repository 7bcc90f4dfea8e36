"""What the callback of transformers sees of a training, against what its Trainer says of it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import EarlyStoppingCallback, Trainer

from scalewatch.errors import ConfigError
from scalewatch.journal import Journal, read_journal
from scalewatch_torch import Precursors
from scalewatch_transformers import ScaleWatch
from tests.clockless import without_clock
from tests.scalewatch_transformers.conftest import BATCH, STEPS, TIME, CountingText, Text

NewTrainer = Callable[..., Trainer]


@pytest.fixture
def journal(tmp_path: Path) -> Callable[[], Journal]:
    """Reads the journal of the training."""
    return lambda: read_journal(tmp_path / "out" / "scalewatch")


def verdict(journal: Journal) -> dict[str, str]:
    """The table that the newest part of a run ended with."""
    return dict([record["rows"] for record in journal.others if record["type"] == "verdict"][-1])


def logged(trainer: Trainer, name: str) -> list[float]:
    """What the Trainer has logged at each step."""
    return [entry[name] for entry in trainer.state.log_history if name in entry]


@pytest.mark.parametrize("model", [Text, CountingText])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_each_step_is_what_the_trainer_trains_on(
    model: type[Text], accumulate: int, new_trainer: NewTrainer, journal: Callable[[], Journal]
) -> None:
    """Loss, learning rate and the norm before clipping, however the Trainer divides its losses; and the tokens."""
    trainer = new_trainer(
        ScaleWatch(quiet=True, grad_norm_every=1),
        model=model(),
        gradient_accumulation_steps=accumulate,
        lr_scheduler_type="cosine",
        warmup_steps=4,
        max_grad_norm=0.1,
    )
    trainer.train()

    seen = journal().observations
    assert list(range(1, STEPS + 1)) == [each.step for each in seen]
    assert logged(trainer, "loss") == pytest.approx([each.loss for each in seen], rel=1e-5)
    assert logged(trainer, "learning_rate") == pytest.approx([each.learning_rate for each in seen], rel=1e-9)
    assert logged(trainer, "grad_norm") == pytest.approx([each.grad_norm for each in seen], rel=1e-4)
    assert min(logged(trainer, "grad_norm")) > 0.1  # each was clipped
    assert BATCH * TIME * accumulate * STEPS == seen[-1].tokens
    run = journal().run
    assert run is not None
    assert STEPS == run.total_steps
    assert run.steps_per_epoch == math.ceil(math.ceil(256 / BATCH) / accumulate)
    assert run.learning_rates is not None
    assert run.learning_rates.tolist() == pytest.approx([each.learning_rate for each in seen], rel=1e-6)


class Spoiled(Trainer):
    """The loss of two steps is no number; their gradients are as they were."""

    def compute_loss(self, model: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        loss = super().compute_loss(model, inputs, *rest, **options)
        return loss + math.nan if self.state.global_step in (4, 5) else loss


@pytest.mark.parametrize(("hides", "notes"), [(True, 1), (False, 0)])
def test_a_loss_that_the_log_hides_is_seen(
    hides: bool, notes: int, new_trainer: NewTrainer, journal: Callable[[], Journal]
) -> None:
    """The filter is told of once, where it is on."""
    trainer = new_trainer(ScaleWatch(quiet=True), kind=Spoiled, logging_nan_inf_filter=hides)
    trainer.train()

    assert [5, 6] == [each.step for each in journal().observations if not math.isfinite(each.loss)]
    assert hides == all(map(math.isfinite, logged(trainer, "loss")))
    texts = [record["text"] for record in journal().others if record["type"] == "note"]
    assert notes == sum("logging_nan_inf_filter" in text for text in texts)


def test_nothing_of_the_training_changes(new_trainer: NewTrainer, tmp_path: Path) -> None:
    """Weights and random state are those of a training without the callback, to the bit; the method is given back."""

    def trained(*callbacks: Any) -> tuple[list[bytes], bytes]:
        torch.manual_seed(0)
        trainer = new_trainer(*callbacks, gradient_accumulation_steps=2)
        trainer.train()
        assert "training_step" not in vars(trainer)
        weights = [p.detach().numpy().tobytes() for p in trainer.model.parameters()]
        return weights, torch.get_rng_state().numpy().tobytes()

    assert trained() == trained(ScaleWatch(quiet=True, grad_norm_every=1, precursors=Precursors(every=2)))


def test_a_training_that_goes_on_is_one_run(new_trainer: NewTrainer, journal: Callable[[], Journal]) -> None:
    """From the Trainer's own checkpoint, in the middle: rows and detectors are those of an uninterrupted run."""
    whole = ScaleWatch(quiet=True)
    new_trainer(whole, save_strategy="steps", save_steps=6).train()
    rows, state = journal().observations, whole._checkpoint.state
    watch = ScaleWatch(quiet=True)
    trainer = new_trainer(watch)
    trainer.train(resume_from_checkpoint=f"{trainer.args.output_dir}/checkpoint-6")

    again = journal()
    assert [each._replace(seconds=None) for each in rows] == [
        each._replace(seconds=None) for each in again.observations
    ]
    assert 1 == len({segment.run_id for segment in again.segments})
    assert state is not None
    assert watch._checkpoint.state is not None
    assert without_clock(state["monitor"]) == without_clock(watch._checkpoint.state["monitor"])


def test_a_training_that_goes_on_without_our_state_starts_to_watch(
    new_trainer: NewTrainer, journal: Callable[[], Journal], caplog: pytest.LogCaptureFixture
) -> None:
    """A checkpoint from before there was a callback: one line says so, and the rest is watched."""
    new_trainer(save_strategy="steps", save_steps=6).train()
    trainer = new_trainer(ScaleWatch(quiet=True))
    trainer.train(resume_from_checkpoint=f"{trainer.args.output_dir}/checkpoint-6")

    assert list(range(7, STEPS + 1)) == [each.step for each in journal().observations]
    told = [r.getMessage() for r in caplog.records if r.name == "scalewatch" and r.levelno >= logging.WARNING]
    assert 1 == len(told)
    assert "holds no state of it" in told[0]


class Crashing(Trainer):
    """Is out of memory at its sixth step."""

    def compute_loss(self, model: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        if self.state.global_step == 5:
            raise MemoryError("none left")
        return super().compute_loss(model, inputs, *rest, **options)


def test_a_crash_is_told(new_trainer: NewTrainer, journal: Callable[[], Journal]) -> None:
    """The Trainer has no word for it: what its step raised ends the watch, and goes on its way."""
    trainer = new_trainer(ScaleWatch(quiet=True), kind=Crashing)
    with pytest.raises(MemoryError):
        trainer.train()

    assert "crashed after step 5: MemoryError: none left" == verdict(journal())["ended"]
    assert "training_step" not in vars(trainer)


def test_a_training_that_stops_early_says_after_which_step(
    new_trainer: NewTrainer, journal: Callable[[], Journal]
) -> None:
    """And its validations are kept, each with the step that came after it."""
    trainer = new_trainer(
        ScaleWatch(quiet=True),
        EarlyStoppingCallback(early_stopping_patience=1, early_stopping_threshold=100.0),
        eval_strategy="steps",
        eval_steps=2,
        save_strategy="steps",
        save_steps=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
    )
    trainer.train()

    assert "after step 4" == verdict(journal())["ended"]
    seen = {each.step: each.validation_loss for each in journal().observations if each.validation_loss is not None}
    assert {3: logged(trainer, "eval_loss")[0]} == pytest.approx(seen)


def test_a_second_training_of_one_trainer_is_watched_too(
    new_trainer: NewTrainer, journal: Callable[[], Journal]
) -> None:
    """From the beginning."""
    trainer = new_trainer(ScaleWatch(quiet=True))
    trainer.train()
    trainer.train()

    assert list(range(1, STEPS + 1)) == [each.step for each in journal().observations]


def test_a_fault_of_ours_costs_one_warning(
    new_trainer: NewTrainer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The training goes on where the watch cannot begin."""
    monkeypatch.delenv("SCALEWATCH_STRICT")

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("scalewatch_torch.watching.loop.Session.__init__", fails)
    trainer = new_trainer(ScaleWatch(quiet=True))
    trainer.train()

    assert STEPS == trainer.state.global_step
    told = [r.getMessage() for r in caplog.records if r.name == "scalewatch"]
    assert 1 == len(told)


def test_a_wrong_option_is_refused() -> None:
    """When the callback is built."""
    with pytest.raises(ConfigError, match="`grad_norm_every` must be an integer"):
        ScaleWatch(grad_norm_every=-1)

"""Which column is what: the names that people use."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalewatch.errors import LogError
from scalewatch.logs import open_logs
from scalewatch.logs.columns import FIELDS, guess, scale_of
from scalewatch.logs.hints import likeliest
from scalewatch.logs.run_tables import finished_runs
from scalewatch.logs.sample import Sample


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("step loss", {"step": "step", "loss": "loss"}),
        ("global_step train_loss val_loss", {"loss": "train_loss", "validation_loss": "val_loss"}),
        ("step train/loss val/loss", {"loss": "train/loss", "validation_loss": "val/loss"}),
        ("iter Loss/train Loss/validation", {"step": "iter", "loss": "Loss/train"}),
        ("epoch step train_loss_epoch train_loss_step", {"loss": "train_loss_step", "step": "step"}),
        ("step loss/train_epoch lr-AdamW", {"loss": "loss/train_epoch", "learning_rate": "lr-AdamW"}),
        ("_step _timestamp train/loss train/global_step", {"step": "train/global_step", "seconds": "_timestamp"}),
        ("_step _runtime loss", {"step": "_step", "seconds": "_runtime"}),
        ("step loss grad_norm learning_rate", {"grad_norm": "grad_norm", "learning_rate": "learning_rate"}),
        ("step loss gnorm gradNorm/layer1", {"grad_norm": "gnorm"}),
        ("step loss num_input_tokens_seen tokens_per_second", {"tokens": "num_input_tokens_seen"}),
        ("iteration|lm loss|learning-rate|grad-norm", {"loss": "lm loss", "learning_rate": "learning-rate"}),
        ("step train_time_ms loss", {"seconds": "train_time_ms"}),
        ("step ppl", {"loss": "ppl"}),
        ("step perplexity loss", {"loss": "loss"}),
        ("step eval_loss", {"loss": "eval_loss"}),
        ("iteration train-rmse test-rmse", {"step": "iteration", "loss": "train-rmse", "validation_loss": "test-rmse"}),
        ("iteration validation_0-logloss validation_1-logloss", {"validation_loss": "validation_1-logloss"}),
        ("iter Logloss", {"step": "iter", "loss": "Logloss"}),
        ("step train_ppl val_ppl", {"loss": "train_ppl", "validation_loss": "val_ppl"}),
        ("epoch tloss vloss", {"loss": "tloss", "validation_loss": "vloss"}),
        ("epoch trainloss valloss", {"loss": "trainloss", "validation_loss": "valloss"}),
        ("epoch trn_loss tst_loss", {"loss": "trn_loss", "validation_loss": "tst_loss"}),
        ("epoch train_l1 valid_l1", {"loss": "train_l1", "validation_loss": "valid_l1"}),
        ("step loss_0 loss_1 loss_sum", {"loss": "loss_sum"}),
        ("step bits_per_dim", {"loss": "bits_per_dim"}),
        ("step nll elbo", {"loss": "nll"}),
        ("epoch cost time", {"loss": "cost", "seconds": "time"}),
        ("timesteps critic_loss ent_coef_loss", {"step": "timesteps", "loss": "critic_loss"}),
        ("step d_loss g_loss", {"loss": "d_loss"}),
        ("total_loss entropy_loss value_loss", {"loss": "total_loss"}),
        ("iteration loss_ce loss_dice total_loss", {"loss": "total_loss"}),
        ("train/box_loss train/cls_loss val/box_loss", {"loss": "train/box_loss", "validation_loss": "val/box_loss"}),
        ("step train_loss_simple_step train_loss_step", {"loss": "train_loss_step"}),
        ("time/total_timesteps train/loss train/value_loss", {"step": "time/total_timesteps", "loss": "train/loss"}),
        ("current_steps total_steps loss", {"step": "current_steps"}),
    ],
)
def test_names_that_people_use_are_known(names: str, expected: dict[str, str]) -> None:
    """Each of these logs is read without a word from the user."""
    found = guess(names.split("|") if "|" in names else names.split()).columns

    assert expected == {field: found[field] for field in expected}


@pytest.mark.parametrize(
    "name",
    [
        *("aux_loss", "z_loss", "router_loss", "loss_scale", "loss_std", "kl_loss", "lossless", "best_loss"),
        *("gloss", "tokens_per_step", "lr_factor", "grad_norm/layers.3.weight", "steps_per_second", "step_time"),
    ],
)
def test_what_only_sounds_like_a_field_is_none(name: str) -> None:
    """Another quantity is not taken for the loss, the rate, the norm or the step."""
    assert name not in guess([name]).columns.values()


def test_what_the_user_says_stands() -> None:
    """An override takes its column, and no other field does."""
    found = guess(["step", "loss", "train/ce"], {"loss": "train/ce"})

    assert {"step": "step", "loss": "train/ce"} == found.columns
    with pytest.raises(LogError, match="one of step, loss"):
        guess(["step"], {"los": "step"})


def test_other_losses_are_told() -> None:
    """Where several columns could be the loss, the others are named so that the user can choose."""
    assert ["train_loss_epoch"] == guess(["train_loss_epoch", "train_loss_step"]).rivals


@given(st.lists(st.text(max_size=30), max_size=20, unique=True))
def test_no_name_breaks_the_guess(names: list[str]) -> None:
    """Whatever columns are called, each is one field at most, and each field a column that is there."""
    found = guess(names).columns

    assert set(found) <= set(FIELDS)
    assert set(found.values()) <= set(names)
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize(
    ("column", "field", "expected"),
    [
        ("loss", "loss", ("linear", 1.0)),
        ("val_ppl", "validation_loss", ("log", 1.0)),
        ("bits_per_byte", "loss", ("linear", math.log(2))),
        ("train/bpb", "loss", ("linear", math.log(2))),
        ("bpd", "loss", ("linear", math.log(2))),
        ("train_time_ms", "seconds", ("linear", 1e-3)),
        ("_timestamp", "seconds", ("linear", 1.0)),
    ],
)
def test_units_are_known_by_name(column: str, field: str, expected: tuple[str, float]) -> None:
    """Perplexity, bits and milliseconds become nats and seconds."""
    assert expected == scale_of(column, field)


def rows(names: str, *cells: str) -> Sample:
    sample = Sample()
    for row in cells:
        sample.add(dict(zip(names.split(), row.split(), strict=True)))
    return sample


def test_what_a_column_holds_says_what_its_name_does_not() -> None:
    """A loss of epochs is none beside one of steps, a time that each row took is no time, an epoch can be the step."""
    dense = rows("step loss train_loss", *(f"{i} {3 - i / 9} -" for i in range(9)), "9 2 2.5")
    took = rows("epoch loss time", "1 3 9.2", "2 2 9.1", "3 1 9.3")
    within = rows("epoch loss", "1 3", "1 2", "2 1", "2 1")

    assert "loss" == guess(["step", "loss", "train_loss"], sample=dense).columns["loss"]
    assert {"step": "epoch", "loss": "loss"} == guess(["epoch", "loss", "time"], sample=took).columns
    assert {"loss": "loss"} == guess(["epoch", "loss"], sample=within).columns


def test_an_error_never_proposes_a_time_a_step_or_a_name() -> None:
    """It proposes what falls, and nothing where there is nothing."""
    names = ["Wall time", "iter", "Name", "energy", "speed"]
    sample = rows("time iter Name energy speed", "1 1 a 9 5", "2 2 b 8 6", "3 3 c 7 7")

    assert "energy" == likeliest(names, sample)
    assert likeliest(["Wall time", "iter", "Name"], sample) is None


def test_a_table_of_finished_runs_is_told_from_a_curve() -> None:
    """Names, settings and ends of runs, or several sizes; a log with its settings in each row is a curve."""
    runs = rows("run_name seed batch_size final_loss", "a 1 8 2.1", "b 2 8 2.2", "c 3 16 2.0")
    sizes = rows("params tokens loss", "1e8 2e9 3.1", "2e8 4e9 2.9", "4e8 8e9 2.7")
    trials = rows("number value params_lr params_wd state", "0 2.1 1 1 a", "1 2.0 2 1 a", "2 2.2 3 2 a")
    curve = rows("step seed batch_size loss", "1 1 8 3.1", "2 1 8 2.9", "3 1 8 2.7")

    assert "a row a run by 'run_name'" in str(finished_runs(["run_name", "seed", "batch_size", "final_loss"], runs))
    assert "several sizes by 'params'" in str(finished_runs(["params", "tokens", "loss"], sizes))
    assert finished_runs(["number", "value", "params_lr", "params_wd", "state"], trials) is not None
    assert finished_runs(["step", "seed", "batch_size", "loss"], curve) is None
    assert "several sizes by 'N'" in str(
        finished_runs(["N", "D", "loss"], rows("N D loss", "1e6 2e7 4", "2e6 4e7 3", "4e6 8e7 2"))
    )
    told = rows("id label prediction loss", "0 1 0.5 0.7", "1 0 0.5 0.7", "2 1 0.9 0.1")
    assert "predictions" in str(finished_runs(["id", "label", "prediction", "loss"], told))


def test_a_column_that_is_empty_says_nothing_of_the_kind_of_run(tmp_path: Path) -> None:
    """A trainer that has a column for rewards in every log does not make a fine-tuning one of rewards."""
    text = "".join(json.dumps({"step": i, "loss": 3.0 - i / 99, "reward": None}) + "\n" for i in range(30))
    (tmp_path / "a.jsonl").write_text(text)

    assert ("step", "loss") == open_logs([tmp_path / "a.jsonl"]).logs[0].run.logged


def test_a_step_that_is_written_as_a_part_of_the_planned_ones_is_both(tmp_path: Path) -> None:
    """`"global_step/max_steps": "10/438"`, as ms-swift logs it, and a plain `"step": "10/438"`."""
    for name in ("global_step/max_steps", "step"):
        rows = [{"loss": 3.0 - i / 99, name: f"{i * 5}/438"} for i in range(1, 31)]
        (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        log = open_logs([tmp_path / "a.jsonl"]).logs[0]

        assert [i * 5 for i in range(1, 31)] == [row.step for row in log.rows()]
        assert 438 == log.run.total_steps

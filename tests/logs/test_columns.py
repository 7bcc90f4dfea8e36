"""Which column is what: the names that people use."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalewatch.errors import LogError
from scalewatch.logs.columns import FIELDS, guess, scale_of


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
    ],
)
def test_names_that_people_use_are_known(names: str, expected: dict[str, str]) -> None:
    """Each of these logs is read without a word from the user."""
    found = guess(names.split("|") if "|" in names else names.split()).columns

    assert expected == {field: found[field] for field in expected}


@pytest.mark.parametrize(
    "name",
    [
        *("aux_loss", "z_loss", "router_loss", "loss_scale", "loss_std", "kl_loss", "lossless", "d_loss", "best_loss"),
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
        ("train_time_ms", "seconds", ("linear", 1e-3)),
        ("_timestamp", "seconds", ("linear", 1.0)),
    ],
)
def test_units_are_known_by_name(column: str, field: str, expected: tuple[str, float]) -> None:
    """Perplexity, bits and milliseconds become nats and seconds."""
    assert expected == scale_of(column, field)
